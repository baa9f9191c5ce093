"""The control file: one byte from the user's click to the innermost loop, and the workers' counters back.

Memory-mapped, one per attempt of a job, 64 bytes a slot. Slot 0 holds the command byte; a worker's slot its counters.
Any process of the user may raise the command; nothing else is ever written from outside.
"""

from __future__ import annotations

import mmap
import os
import time
from pathlib import Path

import numpy as np

from seisproc_core.errors import Cancelled, StorageError, UsageError

RUN, PAUSE, CANCEL = 0, 1, 2
SLOTS = 256
_SLOT = 64


class Control:
    """The control of one job.

    Parameters
    ----------
    path
        The file to share; None keeps it in this process.
    create
        Make a fresh file (command "run", counters zero) instead of opening the one that is there.
    """

    def __init__(self, path: Path | None = None, *, create: bool = False) -> None:
        self.path = path
        size = SLOTS * _SLOT
        if path is None:
            self._map: mmap.mmap = mmap.mmap(-1, size)
        else:
            try:
                self._map = _open_map(path, size, create)
            except OSError as error:
                raise StorageError.from_os(error, "cannot open the control file") from error
        self.flag: np.ndarray = np.frombuffer(self._map, np.uint8, 1)
        self._counters = np.frombuffer(self._map, np.int64).reshape(SLOTS, _SLOT // 8)

    @property
    def command(self) -> int:
        return int(self.flag[0])

    def raise_command(self, command: int) -> None:
        """Ask for pause or cancel; a cancel is never taken back by a later pause."""
        self.flag[0] = max(self.flag[0], command)

    def check(self) -> None:
        """Raise `Cancelled` unless the command is "run"."""
        if self.flag[0]:
            raise Cancelled("paused" if self.flag[0] == PAUSE else "cancelled")

    def begin(self, slot: int, segment: int) -> None:
        """Worker: segment `segment` starts (-1: idle)."""
        self._counters[slot, 1] = 0
        self._counters[slot, 2] = segment + 1
        self.beat(slot)

    def beat(self, slot: int, traces: int = 0) -> None:
        """Worker: still alive, `traces` more input traces done."""
        self._counters[slot, 1] += traces
        self._counters[slot, 3] = time.monotonic_ns()

    def in_flight(self) -> int:
        """Input traces done in segments that are not finished."""
        return int(self._counters[1:, 1].sum())

    def progress(self, slot: int) -> np.ndarray:
        """The slot's trace counter as an int64 array of one, for compiled loops that add to it atomically."""
        view: np.ndarray = self._counters[slot, 1:2]
        return view


def _open_map(path: Path, size: int, create: bool) -> mmap.mmap:
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT | os.O_TRUNC if create else 0), 0o600)
    try:
        if create:
            os.posix_fallocate(handle, 0, size)
        elif os.fstat(handle).st_size != size:
            raise UsageError(f"{path} is not a control file")
        return mmap.mmap(handle, size)
    finally:
        os.close(handle)
