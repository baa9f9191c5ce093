"""The engine's side of the driver process: started when first needed, shared by all jobs of this process."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import attrs

from seisproc_core.errors import StorageError
from seisproc_core.execution.channel import Channel
from seisproc_ray import session
from seisproc_ray.settings import Settings

_START = "import sys; sys.path[:] = sys.argv[4:]; from seisproc_ray.driver import main; main(*sys.argv[1:4])"
_LONGEST = 24  # characters of the temporary folder: Ray's socket names must stay below 108 bytes
_END_S = 4.0


class Bridge:
    """A running driver process and the temporary folder it works in."""

    def __init__(self, settings: Settings) -> None:
        base = tempfile.gettempdir()
        self.folder = Path(tempfile.mkdtemp(prefix="sr-", dir=base if len(base) <= _LONGEST else "/tmp"))
        self.log = self.folder / "driver.txt"
        ours, theirs = socket.socketpair()
        path = [os.path.abspath(entry) if entry else str(Path.cwd()) for entry in sys.path]
        command = [sys.executable, "-P", "-u", "-c", _START, str(theirs.fileno())]
        try:
            with self.log.open("wb") as log:
                self._process = subprocess.Popen(
                    [*command, json.dumps(attrs.asdict(settings)), str(self.folder), *path],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self.folder,  # Ray puts it on the workers' module path
                    pass_fds=(theirs.fileno(),),
                    env=settings.driver_environment(os.environ, os.pathsep.join(path)),
                    start_new_session=True,
                )
        except OSError as error:
            ours.close()
            shutil.rmtree(self.folder, ignore_errors=True)
            raise StorageError.from_os(error, "cannot start the process that talks to Ray") from error
        finally:
            theirs.close()
        self._socket = ours
        self._owner = os.getpid()

    @property
    def pid(self) -> int:
        """Of the driver; also the number of its session."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def connect(self, keep_open: Sequence[int]) -> Channel:
        """A conversation for one job. Its first message is the driver's, when Ray runs."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._socket, [b"+"], [theirs.fileno(), *keep_open])
        return Channel(ours)

    def end(self) -> None:
        """End the driver and whatever it started; nothing is left when this returns."""
        self._socket.close()
        if os.getpid() != self._owner:  # a fork of the engine
            return
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            session.end(self.pid)
            self._process.kill()
            self._process.wait()
        session.end(self.pid)  # where it was killed
        shutil.rmtree(self.folder, ignore_errors=True)


_bridges: dict[Settings, Bridge] = {}
_lock = threading.Lock()


def connect(settings: Settings, keep_open: Sequence[int]) -> tuple[Bridge, Channel]:
    """A conversation with the driver for these settings; a driver that has ended is replaced by another."""
    with _lock:
        bridge = _bridges.get(settings)
        if bridge is not None:
            try:
                if bridge.alive:
                    return bridge, bridge.connect(keep_open)
            except OSError:  # it ended just now
                pass
            _bridges.pop(settings).end()
        bridge = _bridges[settings] = Bridge(settings)
        return bridge, bridge.connect(keep_open)


def drop(settings: Settings, bridge: Bridge) -> None:
    """End a driver that is of no more use; the next `connect` starts another."""
    with _lock:
        if _bridges.get(settings) is bridge:
            del _bridges[settings]
    bridge.end()


@atexit.register
def close() -> None:
    """End all drivers of this process."""
    with _lock:
        while _bridges:
            _bridges.popitem()[1].end()
