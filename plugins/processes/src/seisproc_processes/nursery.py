"""The nursery: imports what the work needs, forks workers, reaps them, kills them, and relays their output to the log.

Started by `handle.Nursery`. One thread, one loop. It runs no segment, because a process that has started threads of
its own (OpenMP, BLAS) is not safe to fork. It serves one job at a time and keeps what it imported for the next.

Messages in: ``{"begin": count, "preload": [modules]}`` with so many descriptors, the job's log and what its workers
shall hold; ``{"preload": [modules]}`` alone for a job that is still being planned; ``{"spawn": number, "target":
"module:function"}`` with the worker's socket; ``{"kill": [numbers]}``; ``{"rest": true}`` at the end of a job. Messages
out: ``{"ready": true}`` after the imports; ``{"started": number, "pid": pid}``; ``{"exited": number, "status": wait
status}``, or with ``"refused": reason`` instead of the status when the system gave no process; ``{"rested": true}``.

Processes that a worker leaves behind become the nursery's children (Linux) and are killed before the worker's end is
told.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import importlib
import os
import select
import selectors
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import NoReturn

from seisproc_core.execution.channel import Channel, Message
from seisproc_core.execution.remote import adopt_orphans, die_with
from seisproc_core.plugins import registry
from seisproc_processes import worker

LOG_CAP = 10 << 20
_ORPHANS_S = 1.0  # a killed process that takes longer hangs in the kernel
_LOG_FULL = b"\n[the log is full: what workers write from here on is dropped]\n"


class _Nursery:
    def __init__(self, fd: int) -> None:
        self.engine = Channel(socket.socket(fileno=fd))
        self.engine.socket.set_inheritable(False)
        self.children: dict[int, int] = {}  # pid -> the engine's number
        self.log_full = False
        self.held: list[int] = []  # descriptors of the job
        # Workers write to a pipe, and only this process to the log (our own stdout and stderr), so it can be capped.
        self.output, self.worker_output = os.pipe()
        os.set_blocking(self.output, False)
        self.wake, wake_write = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(wake_write, False)
        self.wake_write = wake_write
        self.arm()
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.engine, selectors.EVENT_READ, self.obey)
        self.selector.register(self.output, selectors.EVENT_READ, self.relay)
        self.selector.register(self.wake, selectors.EVENT_READ, self.reap)
        self.not_for_workers = (self.output, self.worker_output, self.wake, wake_write)

    def arm(self) -> None:
        """Listen to the signals that matter, and to no others; a module that was imported may have changed that."""
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # Ctrl-C, a closing terminal and a service manager reach the whole group; the engine decides what becomes of us.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # the engine's thread may have blocked what we live by

    def run(self) -> NoReturn:
        while True:
            for key, _ in self.selector.select():
                key.data()

    def obey(self) -> None:
        try:
            messages = self.engine.receive()
        except EOFError:
            self.leave()
        for message in messages:
            if "begin" in message:
                self.begin(message["begin"], message["preload"])
            elif "spawn" in message:
                self.spawn(message)
            elif "kill" in message:
                for pid, number in self.children.items():
                    if number in message["kill"]:
                        os.kill(pid, signal.SIGKILL)  # still our child, not reaped: the pid cannot be someone else's
            elif "rest" in message:
                self.rest()
            elif "preload" in message:
                self.preload(message["preload"])

    def begin(self, descriptors: int, modules: list[str]) -> None:
        log, *self.held = (self.engine.fds.popleft() for _ in range(descriptors))
        self.log_to(log)
        self.preload(modules)
        self.tell({"ready": True})

    def preload(self, modules: list[str]) -> None:
        # An import can take seconds; an engine that dies meanwhile must not leave this process behind.
        signal.signal(signal.SIGALRM, lambda *_: self.leave_if_alone())
        signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)
        for name in modules:
            try:
                importlib.import_module(name)
            except BaseException:  # the worker that needs it will fail with the same error and report it
                sys.stderr.write(f"preloading {name}:\n{traceback.format_exc()}\n")
        registry()  # what workers know of plugins they have from us
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        self.arm()
        gc.freeze()  # what is loaded now stays shared: the workers' collectors leave it alone

    def rest(self) -> None:
        self.relay()
        self.log_to(os.open(os.devnull, os.O_WRONLY))
        while self.held:
            os.close(self.held.pop())
        self.tell({"rested": True})

    def log_to(self, fd: int) -> None:
        self.log_full = False
        os.dup2(fd, 1)
        os.dup2(fd, 2)
        os.close(fd)

    def leave_if_alone(self) -> None:
        poll = select.poll()
        poll.register(self.engine, 0)
        if poll.poll(0):  # with no event asked for, only a hang-up is reported
            self.leave()

    def spawn(self, message: Message) -> None:
        number, fd = message["spawn"], self.engine.fds.popleft()
        me = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            os.close(fd)
            self.tell({"exited": number, "refused": error.strerror})
            return
        if pid == 0:
            self.become_worker(me, fd, message["target"])
        self.children[pid] = number
        self.tell({"started": number, "pid": pid})
        os.close(fd)  # only the worker has its end now, so its death is end-of-file for the engine

    def become_worker(self, parent: int, fd: int, target: str) -> NoReturn:
        status = 1
        try:
            die_with(parent)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self.engine.close()
            os.dup2(self.worker_output, 1)
            os.dup2(self.worker_output, 2)
            self.selector.close()
            for inherited in self.not_for_workers:
                os.close(inherited)
            worker.volunteer_for_oom()
            faulthandler.enable()
            worker.serve(fd, target)
            status = 0
        except ConnectionError:  # the engine is gone
            pass
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)  # never back into the loop of the nursery

    def reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.wake, 4096)
        self.relay()  # the last words of a worker are in the log before the engine hears of its death
        ended = []
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                if found[0] in self.children:
                    ended.append((self.children.pop(found[0]), found[1]))
        if ended:
            self.end_orphans()
        for number, status in ended:
            self.tell({"exited": number, "status": status})

    def end_orphans(self) -> None:
        """Kill what workers have left running, and what that leaves when it dies.

        A process that detached itself from a worker which still lives is an orphan too.
        """
        deadline = time.monotonic() + _ORPHANS_S
        while (orphans := _children() - self.children.keys()) and time.monotonic() < deadline:
            for pid in orphans:
                with contextlib.suppress(OSError):  # it runs as another user: not ours to end
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, os.WNOHANG)
            time.sleep(0.001)

    def relay(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.output, 1 << 16):
                self.log(data)

    def log(self, data: bytes) -> None:
        if self.log_full:
            return
        with contextlib.suppress(OSError):  # a full disk must not stop the supervision
            room = LOG_CAP - os.fstat(2).st_size
            self.log_full = len(data) > room
            os.write(2, data[: max(room, 0)] + _LOG_FULL if self.log_full else data)

    def tell(self, message: Message) -> None:
        try:
            self.engine.send(message)
        except OSError:
            self.leave()

    def leave(self) -> NoReturn:
        """The engine hung up, or is dead: nothing may outlive it."""
        for pid in self.children:
            os.kill(pid, signal.SIGKILL)
        self.children.clear()
        self.end_orphans()  # the workers among them
        self.relay()
        os._exit(0)


def _children() -> set[int]:
    """Our children, dead ones that are not yet reaped too; none where the system does not tell."""
    try:
        return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))
    except OSError:
        return set()


def main(fd: int) -> NoReturn:
    """Serve the engine at the other end of socket `fd`."""
    adopt_orphans()
    _Nursery(fd).run()
