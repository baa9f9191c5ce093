"""The lock beside an output: one writer, told apart from a dead one, inherited by workers.

``flock`` frees itself when the last process that inherited it is gone, orphans included. The file is unlinked
only by a holder that is done; whoever then holds the old file notices, because the name no longer leads to it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from seisproc_core.errors import OutputBusy, StorageError


class OutputLock:
    """Exclusive right to write one output, until `release` or the end of the process and its workers.

    Parameters
    ----------
    target
        The output; the lock is ``<target>.lock`` beside it.
    job
        Who wants it, for the message others get.
    patience_s
        How long to wait for the orphans of a killed process.
    even_living
        Wait as long for a holder that lives, because it is about to let go.

    Attributes
    ----------
    left_by
        The job that the file beside the output named, left there when that job gave up the lock without being done:
        one that is queued, or was interrupted. "" where there was none.

    Raises
    ------
    OutputBusy
        Somebody holds it; says who.
    """

    def __init__(self, target: Path, job: str, patience_s: float = 3.0, *, even_living: bool = False) -> None:
        self.target, self.path = target, target.with_name(target.name + ".lock")
        deadline = time.monotonic() + patience_s
        while (handle := self._try()) is None:
            if time.monotonic() > deadline or (self._holder_lives() and not even_living):
                raise OutputBusy(f"{target} is being written by {self._holder()}")
            time.sleep(0.02)
        self.handle = handle
        self.held = True
        self._left = self._note()
        self.left_by = str(self._left.get("job", ""))
        self._kept = False
        self._others: list[OutputLock] = []
        self._job = job
        note = {"host": socket.gethostname(), "pid": os.getpid(), "job": job, "since": time.strftime("%F %T")}
        self._say(note)

    def _say(self, note: dict[str, object]) -> None:
        with contextlib.suppress(OSError):  # a full disk: the lock itself needs no space, only the note does
            os.ftruncate(self.handle, 0)
            os.pwrite(self.handle, json.dumps(note).encode(), 0)

    def also(self, targets: Iterable[Path]) -> None:
        """Lock further outputs of the same job, for as long; on failure the caller gives up all."""
        for target in targets:
            if all(other.target != target for other in self._others):
                self._others.append(OutputLock(target, self._job))

    def leave_to_owner(self, target: Path) -> None:
        """Put back the name that was found in the lock of one of the outputs; it stays there when this one is gone."""
        for lock in (self, *self._others):
            if lock.target == target:
                lock._kept = True
                lock._say(lock._left)

    def owners(self) -> Iterator[tuple[Path, str]]:
        """All outputs that are locked, with the jobs that left their locks there."""
        yield self.target, self.left_by
        for other in self._others:
            yield other.target, other.left_by

    def _try(self) -> int | None:
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError.from_os(error, f"cannot write beside {self.path.with_suffix('')}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            here = os.stat(self.path)
            if (here.st_ino, here.st_dev) == (os.fstat(handle).st_ino, os.fstat(handle).st_dev):
                return handle
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(handle)
        return None

    def _note(self) -> dict[str, object]:
        try:
            note = json.loads(self.path.read_text("utf-8")[:4096])
            return note if isinstance(note, dict) else {}
        except (OSError, ValueError):
            return {}

    def _holder_lives(self) -> bool:
        """True when the process named in the lock still runs on this host: waiting is then no use."""
        note = self._note()
        if note.get("host") != socket.gethostname() or not isinstance(note.get("pid"), int):
            return False
        try:
            os.kill(int(str(note["pid"])), 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def _holder(self) -> str:
        note = self._note()
        keys = ("job", "pid", "host", "since")
        return ", ".join(f"{key} {note[key]}" for key in keys if key in note) or "another process"

    def release(self, *, remove: bool) -> None:
        """Give it up; `remove` also unlinks the files: not where the job is still to be run, or to be resumed."""
        self.held = False
        for other in self._others:
            other.release(remove=remove)
        self._others = []
        try:
            if remove and not self._kept:
                with contextlib.suppress(OSError):  # a stale file blocks nobody: only the descriptor does
                    self.path.unlink(missing_ok=True)
        finally:
            os.close(self.handle)
