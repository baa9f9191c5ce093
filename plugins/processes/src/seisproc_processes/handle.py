"""The engine's side of the nursery and of its workers."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

from seisproc_core.errors import StorageError
from seisproc_core.execution.remote import thread_environment
from seisproc_processes.wire import Channel

LOG = "log.txt"
# Not "-m": the module search path must be the engine's before anything is imported.
_START = "import sys; fd, *sys.path = sys.argv[1:]; from seisproc_processes.nursery import main; main(int(fd))"


@attrs.define(eq=False)
class Worker:
    """A worker as the engine knows it; `segment` is None while it is idle, `hung_up` when its socket is closed."""

    number: int
    channel: Channel
    slot: int
    segment: int | None = None
    hung_up: bool = False


class Nursery:
    """A running nursery process.

    Parameters
    ----------
    folder
        The job's working folder; output of the nursery and its workers is appended to `LOG` in it.
    threads
        What the numerical libraries in each worker are held to.
    keep_open
        Descriptors that nursery and workers inherit under the same numbers.
    """

    def __init__(self, folder: Path, threads: int, keep_open: Sequence[int]) -> None:
        self.made_for = (folder, threads, tuple(keep_open))
        try:
            log = os.open(folder / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError.from_os(error, "cannot write the job's log") from error
        ours, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-u", "-c", _START, str(theirs.fileno()), *sys.path],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(), *keep_open),
                env=os.environ | thread_environment(threads),
            )
        except OSError as error:
            ours.close()
            raise StorageError.from_os(error, "cannot start the worker processes") from error
        finally:
            os.close(log)
            theirs.close()
        self.channel = Channel(ours)

    @property
    def pid(self) -> int:
        return self._process.pid

    def preload(self, modules: Sequence[str]) -> None:
        """Import modules ahead; those already loaded cost nothing."""
        self._send({"preload": list(modules)})

    def spawn(self, number: int, slot: int, target: str) -> Worker:
        """Ask for a worker. It may be given work at once: its socket keeps it."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._send({"spawn": number, "target": target}, [theirs.fileno()])
        return Worker(number=number, channel=Channel(ours), slot=slot)

    def kill(self, numbers: Sequence[int]) -> None:
        self._send({"kill": list(numbers)})

    def _send(self, message: dict[str, object], fds: Sequence[int] = ()) -> None:
        with contextlib.suppress(ConnectionError):  # its death is noticed where its messages are read
            self.channel.send(message, fds)

    def close(self) -> None:
        """End the process; whatever workers it still has end with it."""
        self.channel.close()
        self._process.kill()
        self._process.wait()
