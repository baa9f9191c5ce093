"""The control file: one byte from the user's click to the innermost loop, and the workers' counters back.

Memory-mapped, one per attempt of a job: 256 slots of 64 bytes, each eight int64 in the machine's byte order. Slot 0
is the engine's; the first byte of its field 0 is the command. Every other slot is one worker's:

===== ==============================================================================================
field holds
===== ==============================================================================================
0     the largest resident memory of the worker's process, bytes
1     input traces done in the segment under way; kernels may add to it, see `Control.progress`
2     the segment under way plus one; 0: none
3     the last sign of life, nanoseconds of the system's monotonic clock
4     process id; 0: the slot has no worker
5, 6  bytes read and bytes written by all workers this slot has had: these only grow
7     CPU time of all workers this slot has had, nanoseconds, in the threads that run segments; only grows
===== ==============================================================================================

A slot has one writer at a time, and a reader takes numbers as they are: they may be of different moments, and whoever
can write the file can write anything. Any process of the user may raise the command; nothing else is written from
outside but by the executor, which empties the slot of a worker that has ended. A new attempt makes a new file under
the same name, so what is mapped is never cut short under a process that still looks at it.
"""

from __future__ import annotations

import mmap
import os
import resource
import sys
import time
from pathlib import Path

import attrs
import numpy as np

from seisproc_core.errors import Cancelled, StorageError, UsageError

RUN, PAUSE, CANCEL = 0, 1, 2
SLOTS = 256
_SLOT = 64
_PEAK, _TRACES, _SEGMENT, _BEAT, _PID, _BYTES_IN, _BYTES_OUT, _CPU = range(8)
_MOST = 1 << 62  # counters beyond are no counts


@attrs.frozen(kw_only=True)
class WorkerState:
    """What a worker's slot says.

    Attributes
    ----------
    segment
        The segment under way; None while there is none.
    traces
        Input traces done in it.
    idle_s
        Seconds since the last sign of life; a long kernel gives none, but may count `traces` up.
    bytes_in, bytes_out
        Samples read and output written, by this worker and those that had its slot before.
    """

    slot: int
    pid: int
    segment: int | None
    traces: int
    idle_s: float
    bytes_in: int
    bytes_out: int


class Control:
    """The control of one job.

    Parameters
    ----------
    path
        The file to share; None keeps it in this process.
    create
        Make a fresh file (command "run", counters zero) instead of opening the one that is there.

    Raises
    ------
    StorageError
        The file cannot be opened or made.
    UsageError
        It has not the size of a control file.
    """

    def __init__(self, path: Path | None = None, *, create: bool = False) -> None:
        self.path = path
        size = SLOTS * _SLOT
        if path is None:
            self._map: mmap.mmap = mmap.mmap(-1, size)
        else:
            try:
                self._map = _create_map(path, size) if create else _open_map(path, size)
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

    def go_on(self) -> None:
        """Take back a pause; a cancel stays."""
        if self.flag[0] == PAUSE:
            self.flag[0] = RUN

    def check(self) -> None:
        """Raise `Cancelled` unless the command is "run"."""
        if self.flag[0]:
            raise Cancelled("paused" if self.flag[0] == PAUSE else "cancelled")

    def begin(self, slot: int, segment: int) -> None:
        """Worker: segment `segment` starts (-1: idle)."""
        counters = self._counters[slot]
        counters[_TRACES] = 0
        counters[_SEGMENT] = segment + 1
        counters[_PID] = os.getpid()
        counters[_BEAT] = time.monotonic_ns()

    def beat(self, slot: int, traces: int = 0, *, bytes_in: int = 0, bytes_out: int = 0) -> None:
        """Worker: still alive, so much more done."""
        counters = self._counters[slot]
        counters[_TRACES] += traces
        counters[_BYTES_IN] += bytes_in
        counters[_BYTES_OUT] += bytes_out
        counters[_BEAT] = time.monotonic_ns()

    def spent(self, slot: int, cpu_ns: int) -> None:
        """Worker: a segment took so much CPU time; its process's peak of memory is noted, too."""
        counters = self._counters[slot]
        counters[_CPU] += cpu_ns
        unit = 1 if sys.platform == "darwin" else 1024
        counters[_PEAK] = max(counters[_PEAK], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)

    def vacate(self, slot: int) -> None:
        """Executor: the worker of this slot has ended, and what it had half done does not count."""
        self._counters[slot, [_TRACES, _SEGMENT, _PID]] = 0

    def workers(self) -> list[WorkerState]:
        """The workers there are, by slot."""
        now = time.monotonic_ns()
        slots = self._counters.copy()
        found = []
        for slot in np.flatnonzero(slots[:, _PID] > 0).tolist():
            _, traces, segment, beat, pid, bytes_in, bytes_out, _ = slots[slot].clip(0, _MOST).tolist()
            found.append(
                WorkerState(
                    slot=slot,
                    pid=pid,
                    segment=segment - 1 if segment else None,
                    traces=traces,
                    idle_s=max(0, now - beat) / 1e9,
                    bytes_in=bytes_in,
                    bytes_out=bytes_out,
                )
            )
        return found

    def in_flight(self) -> int:
        """Input traces done in segments that are not finished."""
        return sum(self._counts(_TRACES))

    def traffic(self) -> tuple[int, int]:
        """Bytes read and bytes written since the attempt began, by all workers together."""
        return sum(self._counts(_BYTES_IN)), sum(self._counts(_BYTES_OUT))

    def usage(self) -> tuple[float, int]:
        """CPU seconds of all workers together, and the largest memory of a worker's process in bytes."""
        return sum(self._counts(_CPU)) / 1e9, max(self._counts(_PEAK))

    def _counts(self, field: int) -> list[int]:
        counts: list[int] = self._counters[1:, field].clip(0, _MOST).tolist()  # sums of these are exact in Python
        return counts

    def progress(self, slot: int) -> np.ndarray:
        """The slot's trace counter as an int64 array of one, for compiled loops that add to it atomically."""
        view: np.ndarray = self._counters[slot, _TRACES : _TRACES + 1]
        return view


def _create_map(path: Path, size: int) -> mmap.mmap:
    """Beside, then renamed: whoever still maps the file of an earlier attempt keeps that one."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    handle = os.open(fresh, os.O_RDWR | os.O_CLOEXEC | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.posix_fallocate(handle, 0, size)
        made = mmap.mmap(handle, size)
        os.rename(fresh, path)
        return made
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)


def _open_map(path: Path, size: int) -> mmap.mmap:
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        if os.fstat(handle).st_size != size:
            raise UsageError(f"{path} is not a control file")
        return mmap.mmap(handle, size)
    finally:
        os.close(handle)
