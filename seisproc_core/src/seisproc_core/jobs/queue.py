"""The jobs that could start, in the order in which they should: by a policy, the impatient ones first."""

from __future__ import annotations

import math
import threading
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from seisproc_core.errors import UsageError
from seisproc_core.jobs.resources import Resources

_NOTHING = Resources(0)


@attrs.frozen
class Entry:
    """A job that waits.

    Attributes
    ----------
    number
        Order of submission, which decides between equals.
    since
        When it began to wait, seconds of a clock that never goes back.
    """

    id: str
    number: int
    priority: int
    resources: Resources
    since: float


Policy = Callable[[Entry], Any]
"""Gives what jobs are sorted by, least first; equals are sorted by number of submission."""


def by_priority(entry: Entry) -> int:
    """High priorities first."""
    return -entry.priority


def fifo(entry: Entry) -> int:
    """First come, first served, whatever the priority."""
    return 0


@attrs.frozen
class QueueStatistics:
    """How a queue does.

    Attributes
    ----------
    waiting, by_priority
        How many wait, in all and of each priority.
    entered, taken, removed
        How many came, were taken to be run, and left otherwise, since the queue was made.
    longest_s
        How long the one that waits longest has waited, seconds.
    mean_taken_s, longest_taken_s
        How long those waited that were taken, seconds.
    """

    waiting: int
    by_priority: Mapping[int, int]
    entered: int
    taken: int
    removed: int
    longest_s: float
    mean_taken_s: float
    longest_taken_s: float


class JobQueue:
    """A priority queue of jobs, safe from several threads.

    The order: first the jobs that have waited for `patience_s`, first come first; then the others as the policy says.
    So a job is overtaken by later ones of higher priority for `patience_s` at most.

    Nothing here reads a clock: every method that needs the time is told it. To put, remove or find a job takes
    O(log n) comparisons and moves of a few hundred pointers; the first one that fits into given resources is found
    without a look at most of those that do not.

    Parameters
    ----------
    policy
        What jobs are sorted by.
    patience_s
        Seconds; infinite: the policy alone counts.
    """

    def __init__(self, policy: Policy = by_priority, *, patience_s: float = math.inf) -> None:
        self._policy = policy
        self._patience = patience_s
        self._entries: dict[str, Entry] = {}
        self._lanes: dict[tuple[int, int], _Lane] = {}
        self._priorities: Counter[int] = Counter()
        self._entered = self._taken = self._removed = 0
        self._waited = self._longest = 0.0
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, job: object) -> bool:
        return job in self._entries

    def put(
        self, job: str, priority: int, *, now: float, number: int | None = None, resources: Resources = _NOTHING
    ) -> None:
        """Let a job wait. One that waits already gets the new values and keeps the time it has waited.

        `number` is its order of submission: the order of the calls by default.
        """
        with self._lock:
            old = self._entries.get(job)
            if old is None:
                self._entered += 1
                number = self._entered if number is None else number
            else:
                self._drop(old)
                number, now = old.number if number is None else number, old.since
            entry = Entry(job, number, priority, resources, now)
            self._entries[job] = entry
            self._priorities[priority] += 1
            kind = resources.cpus, resources.gpus
            lane = self._lanes[kind] = self._lanes.get(kind) or _Lane()
            lane.by_policy.add(self._by_policy(entry))
            lane.by_age.add(_by_age(entry))

    def reprioritise(self, job: str, priority: int) -> None:
        """Give a waiting job another priority; `UsageError` when it does not wait."""
        with self._lock:
            old = self._known(job)
            self.put(job, priority, now=old.since, number=old.number, resources=old.resources)

    def remove(self, job: str) -> bool:
        """A job does not wait any more, and is not run either; False when it did not wait."""
        with self._lock:
            if job not in self._entries:
                return False
            self._drop(self._entries[job])
            self._removed += 1
            return True

    def take(self, job: str, now: float) -> Entry:
        """Take a job out in order to run it; `UsageError` when it does not wait."""
        with self._lock:
            entry = self._known(job)
            self._drop(entry)
            self._taken += 1
            self._waited += now - entry.since
            self._longest = max(self._longest, now - entry.since)
            return entry

    def pop(self, now: float) -> Entry | None:
        """Take out the first job; None when there is none."""
        with self._lock:
            entry = self.first(now)
            return None if entry is None else self.take(entry.id, now)

    def first(self, now: float, within: Resources | None = None) -> Entry | None:
        """The first job of all, or of those that need no more than `within`; it stays."""
        memory: float = math.inf if within is None else within.memory
        limit = now - self._patience
        with self._lock:
            lanes = [
                lane
                for (cpus, gpus), lane in self._lanes.items()
                if within is None or (cpus <= within.cpus and gpus <= within.gpus)
            ]
            item = _first([lane.by_age for lane in lanes if lane.by_age.head[0] <= limit], memory)
            if item is None or item[0] > limit:
                item = _first([lane.by_policy for lane in lanes], memory)
            return None if item is None else item[-1]

    def in_order(self, now: float) -> list[Entry]:
        """All that wait, in the order in which they would be taken."""
        with self._lock:
            entries = list(self._entries.values())
        aged = sorted((entry for entry in entries if self._impatient(entry, now)), key=_by_age)
        return aged + sorted((entry for entry in entries if not self._impatient(entry, now)), key=self._by_policy)

    def statistics(self, now: float) -> QueueStatistics:
        """Counts and waiting times."""
        with self._lock:
            oldest = [lane.by_age.head[0] for lane in self._lanes.values()]
            return QueueStatistics(
                waiting=len(self._entries),
                by_priority={priority: count for priority, count in sorted(self._priorities.items()) if count},
                entered=self._entered,
                taken=self._taken,
                removed=self._removed,
                longest_s=now - min(oldest) if oldest else 0.0,
                mean_taken_s=self._waited / self._taken if self._taken else 0.0,
                longest_taken_s=self._longest,
            )

    def _impatient(self, entry: Entry, now: float) -> bool:
        return entry.since <= now - self._patience

    def _by_policy(self, entry: Entry) -> _Item:
        return (self._policy(entry), entry.number, entry.id, entry.resources.memory, entry)

    def _known(self, job: str) -> Entry:
        if job not in self._entries:
            raise UsageError(f"job {job} does not wait in the queue")
        return self._entries[job]

    def _drop(self, entry: Entry) -> None:
        kind = entry.resources.cpus, entry.resources.gpus
        lane = self._lanes[kind]
        lane.by_policy.remove(self._by_policy(entry))
        lane.by_age.remove(_by_age(entry))
        if not lane.by_age:
            del self._lanes[kind]
        del self._entries[entry.id]
        self._priorities[entry.priority] -= 1


_Item = tuple[Any, int, str, int, Entry]  # what it is sorted by, number, id (unique, so no more is compared), memory


def _by_age(entry: Entry) -> _Item:
    return (entry.since, entry.number, entry.id, entry.resources.memory, entry)


class _Order:
    """Items in order, in chunks of some hundreds: an insertion moves one chunk's pointers only.

    Every chunk has a lower bound of its memory needs, so that a search passes over chunks in which nothing fits. A
    bound may be too low after a removal; the search that was misled by it corrects it.
    """

    def __init__(self) -> None:
        self._chunks: list[list[_Item]] = []
        self._last: list[_Item] = []
        self._least: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._chunks)

    @property
    def head(self) -> _Item:
        return self._chunks[0][0]

    def add(self, item: _Item) -> None:
        if not self._chunks:
            self._chunks, self._last, self._least = [[item]], [item], [item[3]]
            return
        at = min(bisect_left(self._last, item), len(self._chunks) - 1)
        chunk = self._chunks[at]
        insort(chunk, item)
        self._last[at] = chunk[-1]
        self._least[at] = min(self._least[at], item[3])
        if len(chunk) > 2 * _CHUNK:
            self._chunks.insert(at + 1, chunk[_CHUNK:])
            self._last.insert(at + 1, chunk[-1])
            self._least.insert(at + 1, self._least[at])
            del chunk[_CHUNK:]
            self._last[at] = chunk[-1]

    def remove(self, item: _Item) -> None:
        at = bisect_left(self._last, item)
        chunk = self._chunks[at]
        del chunk[bisect_left(chunk, item)]
        if chunk:
            self._last[at] = chunk[-1]
        else:
            del self._chunks[at], self._last[at], self._least[at]

    def first(self, memory: float) -> _Item | None:
        """The first item that needs no more memory than this."""
        for at, least in enumerate(self._least):
            if least <= memory:
                for item in self._chunks[at]:
                    if item[3] <= memory:
                        return item
                self._least[at] = min(item[3] for item in self._chunks[at])
        return None


_CHUNK = 256


def _first(orders: list[_Order], memory: float) -> _Item | None:
    """The first item of several orders that needs no more memory than this."""
    best: _Item | None = None
    for order in orders:
        if best is None or order.head < best:
            item = order.first(memory)
            if item is not None and (best is None or item < best):
                best = item
    return best


@attrs.frozen
class _Lane:
    """Jobs that need equally many CPUs and GPUs, in both orders: only their memory tells whether one of them fits."""

    by_policy: _Order = attrs.field(factory=_Order)
    by_age: _Order = attrs.field(factory=_Order)
