"""Paging through the gathers of a survey: what comes next is read before it is asked for.

For front ends. A survey stays as it is on disk; this keeps gathers in memory, as many as there is room for, and reads
ahead on threads in the direction of travel.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import attrs
import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.data.survey import Survey
from seisproc_core.errors import UsageError

MAX_DEPTH = 5
SHARE_OF_FREE_MEMORY = 0.25
USUAL_BYTES = 1 << 30


@attrs.define
class BrowsingStatistics:
    """What became of requests: kept gathers (`hits`), gathers that were just being read (`waits`), others (`misses`);
    gathers read ahead, and how many of these requests were dropped because the reader went elsewhere."""

    hits: int = 0
    waits: int = 0
    misses: int = 0
    read_ahead: int = 0
    dropped: int = 0
    kept_bytes: int = 0


class GatherBrowser:
    """The gathers of a survey by number. Safe to use from several threads.

    Parameters
    ----------
    survey
        An open survey.
    rows
        Row numbers of all traces, gather after gather; see `starts`.
    starts
        First position in `rows` of each gather and the row count: int64 ``(gathers + 1,)``, as in a gather index.
    depth
        How many gathers are read ahead, 1 to 5; 0 for none.
    max_bytes
        Most memory that kept gathers take; never more than a quarter of what the machine has free at the time.
    threads
        How many gathers are read at once.

    Raises
    ------
    UsageError
        `depth` is out of range.

    Examples
    --------
    >>> index = survey.index("field_record")  # doctest: +SKIP
    >>> with GatherBrowser(survey, index.order, index.starts) as shots:  # doctest: +SKIP
    ...     shots[17].traces
    """

    def __init__(
        self,
        survey: Survey,
        rows: np.ndarray,
        starts: np.ndarray,
        *,
        depth: int = 2,
        max_bytes: int = USUAL_BYTES,
        threads: int = 2,
    ) -> None:
        if not 0 <= depth <= MAX_DEPTH:
            raise UsageError(f"gathers are read ahead 0 to {MAX_DEPTH} deep, not {depth}")
        self.survey = survey
        self.statistics = BrowsingStatistics()
        self._rows, self._starts = rows, starts
        self._depth, self._max_bytes = depth, max_bytes
        self._last = 0
        self._direction = 1
        self._kept: OrderedDict[int, Gather] = OrderedDict()  # the longest unused first
        self._wanted: list[int] = []
        self._reading: set[int] = set()
        self._stop = np.zeros(1, np.uint8)
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._read_ahead, daemon=True) for _ in range(threads if depth else 0)]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, number: int) -> Gather:
        """One gather; the next ones in the direction of travel are read meanwhile.

        Raises
        ------
        IndexError
            There is no such gather.
        ChunkMissing, ChunkCorrupt
            The survey is damaged there.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"there is no gather {number}: there are {len(self)}")
        with self._changed:
            self._look_ahead(number)
            if number in self._reading:
                self.statistics.waits += 1
                self._changed.wait_for(lambda: number not in self._reading)
            elif number in self._kept:
                self.statistics.hits += 1
            else:
                self.statistics.misses += 1
            if number in self._kept:
                self._kept.move_to_end(number)
                return self._kept[number]
            self._reading.add(number)
        return self._read(number)

    def close(self) -> None:
        """Stop reading ahead and forget the gathers."""
        with self._changed:
            self._stop[0] = 1
            self._wanted.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._kept.clear()

    def __enter__(self) -> GatherBrowser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _look_ahead(self, number: int) -> None:
        """What to read next, now that somebody is at `number`; requests from where they were are dropped."""
        if number != self._last:
            self._direction = 1 if number > self._last else -1
            self._last = number
        ahead = [number + self._direction * step for step in range(1, self._depth + 1)]
        new = [k for k in ahead if 0 <= k < len(self) and k not in self._kept and k not in self._reading]
        self.statistics.dropped += len(set(self._wanted) - set(new) - self._reading)
        self._wanted = [k for k in new if k != number]
        self._changed.notify_all()

    def _read(self, number: int) -> Gather:
        try:
            low, high = self._starts[number], self._starts[number + 1]
            gather = self.survey.read(self._rows[low:high], flag=self._stop)
            with self._changed:
                self._keep(number, gather)
            return gather
        finally:
            with self._changed:
                self._reading.discard(number)
                self._changed.notify_all()

    def _keep(self, number: int, gather: Gather) -> None:
        self._kept[number] = gather
        self._kept.move_to_end(number)
        self.statistics.kept_bytes += _size(gather)
        room = min(self._max_bytes, SHARE_OF_FREE_MEMORY * (_free_memory() + self.statistics.kept_bytes))
        while self.statistics.kept_bytes > room and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self.statistics.kept_bytes -= _size(oldest)

    def _read_ahead(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted or self._stop[0])
                if self._stop[0]:
                    return
                number = self._wanted.pop(0)
                self._reading.add(number)
                self.statistics.read_ahead += 1
            # What is wrong with a gather is said to whoever asks for it.
            with contextlib.suppress(Exception):
                self._read(number)


def _size(gather: Gather) -> int:
    raw = gather.headers.raw
    return int(gather.traces.nbytes + (0 if raw is None else raw.nbytes))


def _free_memory() -> float:
    """Bytes that programs may still take; infinite where the system does not say."""
    try:
        lines: Sequence[str] = Path("/proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return float("inf")
    return next((1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), float("inf"))
