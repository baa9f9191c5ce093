"""The driver: the process that talks to Ray. Started by `bridge`; one per engine process.

On the main socket the engine sends one byte per job, and with it the job's own socket and the descriptors that must
live as long as the job's workers. What is said on the job's socket is in `crew`. A job whose socket closes is over.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

from seisproc_core.execution.channel import Channel
from seisproc_core.execution.remote import adopt_orphans
from seisproc_ray import session
from seisproc_ray.crew import Crew, Spares
from seisproc_ray.settings import Settings

MOST_FDS = 8
_TICK_S = 0.2
_OBJECT_STORE = 80 << 20  # nothing of ours goes there; the least that Ray accepts, and a little
_CPUS = 4096  # of a local Ray on paper: how many workers there are is the engine's decision, not Ray's
_CONNECT_S = 5.0
_LOOK_S = 1.0  # at a cluster that was joined
_ANSWER_S = 2.0
_MISSES = 3  # in a row, and it is gone
_SHUTDOWN_S = 2.0


class _Driver:
    def __init__(self, fd: int, settings: Settings, folder: Path) -> None:
        self.engine = socket.socket(fileno=fd)
        self.settings = settings
        self.folder = folder
        self.crews: list[Crew] = []
        self.leaving = threading.Lock()
        self.spares = Spares(settings)
        self.ray: Any = None
        self.dashboard = ""

    def run(self) -> NoReturn:
        # Starting Ray takes seconds; an engine that dies meanwhile must not leave anything behind.
        threading.Thread(target=self.watch_engine, daemon=True).start()
        problem = ""
        try:
            self.start_ray()
        except BaseException as error:  # Ray raises SystemExit too
            problem = f"{type(error).__name__}: {' '.join(str(error).split())}"
        poll = select.poll()
        poll.register(self.engine, select.POLLIN)
        for pidfd in self.daemons():
            poll.register(pidfd, select.POLLIN)
        idle_since = time.monotonic()
        while self.crews or time.monotonic() <= idle_since + self.settings.keep_s:
            ready = {fd for fd, _ in poll.poll(_TICK_S * 1000)}
            if self.engine.fileno() in ready:
                self.accept(problem)
            if ready - {self.engine.fileno()}:  # a process of the local Ray has ended: it is of no more use
                break
            self.crews = [crew for crew in self.crews if crew.is_alive()]
            if self.crews:
                idle_since = time.monotonic()
        self.leave()

    def start_ray(self) -> None:
        """Start a local Ray, or join one; `self.ray` is set when that is done."""
        host, colon, port = self.settings.address.rpartition(":")
        if colon:  # Ray itself would try for a minute and more before it says so
            socket.create_connection((host, int(port)), _CONNECT_S).close()
        import ray

        common: dict[str, Any] = {
            "address": self.settings.address,
            "configure_logging": False,
            "log_to_driver": False,
        }
        if self.settings.local:
            common |= {
                "num_cpus": _CPUS,
                "include_dashboard": self.settings.dashboard,
                "object_store_memory": _OBJECT_STORE,
                "_temp_dir": str(self.folder / "r"),  # Ray opens its own to everybody; the one above stays ours
                "_system_config": {
                    "prestart_worker_first_driver": False,
                    "enable_worker_prestart": False,
                    "worker_niceness": 0,  # Ray's own 15 keeps workers from starting on a machine that is busy
                },
            }
        self.dashboard = str(ray.init(**common).dashboard_url or "")
        self.ray = ray
        self.spares.ray = ray
        if not self.settings.local:
            threading.Thread(target=self.watch_cluster, daemon=True).start()

    def watch_cluster(self) -> None:
        """Leave when the head of a cluster that was joined, or Ray's daemon on this node, does not answer any more:
        Ray itself would wait for a minute and more, and calls would hang."""
        context = self.ray.get_runtime_context()
        host, _, port = str(context.gcs_address).rpartition(":")
        daemons = [node["RayletSocketName"] for node in self.ray.nodes() if node["NodeID"] == context.get_node_id()]
        missed = 0
        while missed < _MISSES:
            time.sleep(_LOOK_S)
            well = _answers(socket.AF_INET, (host, int(port))) and all(_answers(socket.AF_UNIX, d) for d in daemons)
            missed = 0 if well else missed + 1
        sys.stderr.write(f"the Ray cluster at {self.settings.address} does not answer any more\n")
        self.leave()

    def daemons(self) -> list[int]:
        """Descriptors that become readable when a process of the local Ray ends (Linux)."""
        if not self.settings.local or not hasattr(os, "pidfd_open"):
            return []
        me = os.getpid()
        children = Path(f"/proc/{me}/task/{me}/children")
        return [os.pidfd_open(int(pid)) for pid in children.read_text().split()] if children.exists() else []

    def accept(self, problem: str) -> None:
        data, fds, _, _ = socket.recv_fds(self.engine, 1, MOST_FDS)
        if not data:
            self.leave()
        for fd in fds:
            os.set_inheritable(fd, False)
        channel = Channel(socket.socket(fileno=fds[0]))
        if problem:
            channel.tell({"failed": problem})
            for fd in fds[1:]:
                os.close(fd)
            channel.close()
            return
        crew = Crew(channel, fds[1:], self.settings, self.spares)
        channel.tell({"hello": os.getpid(), "dashboard": self.dashboard})
        crew.start()
        self.crews.append(crew)

    def watch_engine(self) -> None:
        poll = select.poll()
        poll.register(self.engine, 0)  # with no event asked for, only a hang-up is reported
        poll.poll()
        self.leave()

    def leave(self) -> NoReturn:
        """The engine hung up or is dead, Ray is broken, or nobody wants it any more: nothing may stay behind."""
        self.leaving.acquire()  # whoever comes second waits for the end
        if not self.settings.local and self.ray is not None:
            end = threading.Thread(target=self.disconnect, daemon=True)
            end.start()
            end.join(_SHUTDOWN_S)
        session.end(os.getpid(), spare=os.getpid())
        session.reap()
        shutil.rmtree(self.folder, ignore_errors=True)
        os._exit(0)

    def disconnect(self) -> None:
        for crew in self.crews:
            crew.disband()
        self.ray.shutdown()


def _answers(family: socket.AddressFamily, address: Any) -> bool:
    """Whether somebody listens there."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(_ANSWER_S)
        return probe.connect_ex(address) == 0


def main(fd: str, settings: str, folder: str) -> NoReturn:
    """Serve the engine at the other end of socket `fd`.

    Parameters
    ----------
    settings
        `Settings` as JSON.
    folder
        For Ray's files; removed at the end.
    """
    # A service manager may reach the whole group; the engine decides what becomes of us.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    adopt_orphans()  # to reap them in the end
    plain = json.loads(settings)
    plain["resources"] = tuple((name, amount) for name, amount in plain["resources"])
    os.set_inheritable(int(fd), False)
    try:
        _Driver(int(fd), Settings(**plain), Path(folder)).run()
    except BaseException:
        sys.excepthook(*sys.exc_info())
        session.end(os.getpid(), spare=os.getpid(), patience_s=1.0)
        os._exit(1)
