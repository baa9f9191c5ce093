"""The engine's side of the nursery and of its workers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

from seisproc_core.errors import StorageError
from seisproc_core.execution.channel import Channel
from seisproc_core.execution.remote import thread_environment

LOG = "log.txt"
# Not "-m": the module search path must be the engine's before anything is imported.
_START = "import sys; fd, *sys.path = sys.argv[1:]; from seisproc_processes.nursery import main; main(int(fd))"
_ANSWER_S = 1.0

Origin = tuple[int, tuple[str, ...], dict[str, str]]


@attrs.define(eq=False)
class Worker:
    """A worker as the engine knows it.

    Attributes
    ----------
    segment
        What it works on; None while it is idle.
    usable
        False when it can be given no further work: it closed its socket, or said that it ends.
    pid, peak
        Its process, 0 until the nursery tells; the most anonymous memory seen of it, in bytes.
    killed_for
        Why the engine has it killed, in words; "" where it has not.
    """

    number: int
    channel: Channel
    slot: int
    segment: int | None = None
    usable: bool = True
    pid: int = 0
    peak: int = 0
    killed_for: str = ""


class Nursery:
    """A running nursery process; it serves one job at a time and may rest between jobs.

    Parameters
    ----------
    threads
        What the numerical libraries in each worker are held to.
    folder
        Working folder of the first job, where what goes wrong in starting is logged; None where there is none yet.
    """

    def __init__(self, threads: int, folder: Path | None = None) -> None:
        self.origin = origin(threads)
        self.ready = False  # it imports nothing now, and answers
        log = _open_log(folder) if folder is not None else os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        ours, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-u", "-c", _START, str(theirs.fileno()), *sys.path],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(),),
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

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def preload(self, modules: Sequence[str]) -> None:
        """Import for a job to come; what fails is tried again, and logged, when it begins."""
        self.channel.tell({"preload": list(modules)})

    def begin(self, folder: Path, keep_open: Sequence[int], preload: Sequence[str]) -> None:
        """Serve a job: output of the nursery and of its workers is appended to `LOG` in its folder, its workers hold
        the descriptors in `keep_open`, and `preload` is imported - what is loaded already costs nothing."""
        log = _open_log(folder)
        try:
            self.ready = False
            self.channel.tell({"begin": 1 + len(keep_open), "preload": list(preload)}, [log, *keep_open])
        finally:
            os.close(log)

    def rest(self) -> bool:
        """Let go of the job's files; False when the nursery does not answer and is of no more use."""
        self.channel.socket.settimeout(_ANSWER_S)
        try:
            self.channel.tell({"rest": True})
            while not any("rested" in message for message in self.channel.receive()):
                pass
            self.channel.socket.settimeout(None)
        except (EOFError, OSError):
            return False
        return True

    def spawn(self, number: int, slot: int, target: str) -> Worker:
        """Ask for a worker. It may be given work at once: its socket keeps it."""
        ours, theirs = socket.socketpair()
        with theirs:
            self.channel.tell({"spawn": number, "target": target}, [theirs.fileno()])
        return Worker(number=number, channel=Channel(ours), slot=slot)

    def kill(self, numbers: Sequence[int]) -> None:
        self.channel.tell({"kill": list(numbers)})

    def close(self) -> None:
        """End the process; whatever workers it still has end with it."""
        self.channel.close()
        self._process.kill()
        self._process.wait()


def origin(threads: int) -> Origin:
    """What a nursery takes over from this process when it starts: one of another origin cannot serve."""
    return threads, tuple(sys.path), dict(os.environ)


def _open_log(folder: Path) -> int:
    try:
        return os.open(folder / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError.from_os(error, "cannot write the job's log") from error
