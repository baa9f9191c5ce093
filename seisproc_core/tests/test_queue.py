"""The priority queue: its order, its search, its figures."""

from __future__ import annotations

import contextlib
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from seisproc_core.errors import UsageError
from seisproc_core.jobs import queue as queue_module
from seisproc_core.jobs.queue import Entry, JobQueue, by_priority, fifo
from seisproc_core.jobs.resources import Resources


def drain(queue: JobQueue, now: float = 0.0) -> list[str]:
    ids = []
    while (entry := queue.pop(now)) is not None:
        ids.append(entry.id)
    return ids


def test_high_priorities_leave_first() -> None:
    queue = JobQueue()
    for priority in (3, 8, 5):
        queue.put(str(priority), priority, now=0)
    assert drain(queue) == ["8", "5", "3"]
    assert queue.pop(0) is None


def test_first_come_first_served_within_a_priority() -> None:
    queue = JobQueue()
    for place in range(1000):
        queue.put(f"{place % 2}-{place:03}", place % 2, now=0)
    assert drain(queue) == [f"1-{n:03}" for n in range(1, 1000, 2)] + [f"0-{n:03}" for n in range(0, 1000, 2)]


def test_the_number_of_submission_decides_not_the_order_of_calls() -> None:
    queue = JobQueue(fifo)
    for number in (3, 1, 2):
        queue.put(str(number), number, number=number, now=0)
    assert drain(queue) == ["1", "2", "3"]


def test_impatient_jobs_pass_all_that_came_later() -> None:
    queue = JobQueue(patience_s=600)
    queue.put("old", 0, now=0)
    queue.put("older than new", 1, now=500)
    queue.put("new", 9, now=550)
    assert [entry.id for entry in queue.in_order(599)] == ["new", "older than new", "old"]
    assert [entry.id for entry in queue.in_order(600)] == ["old", "new", "older than new"]
    assert [entry.id for entry in queue.in_order(1100)] == ["old", "older than new", "new"]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 20)), min_size=1, max_size=60), st.integers(0, 30))
def test_later_ones_overtake_only_for_the_patience(jobs: list[tuple[int, int]], patience: int) -> None:
    """A job put in every so many seconds, one taken each second: a job overtaken by one that came at t left by then,
    or had not waited for the patience yet."""
    queue = JobQueue(patience_s=patience)
    now = 0
    for place, (priority, pause) in enumerate(jobs):
        queue.put(str(place), priority, now=now)
        now += pause
        taken = queue.pop(now)
        assert taken is not None
        for entry in queue.in_order(now):
            if entry.number < taken.number and entry.since < taken.since:
                assert now - entry.since < patience


def test_a_new_priority_keeps_place_and_waiting_time() -> None:
    queue = JobQueue(patience_s=10)
    for job in "abc":
        queue.put(job, 5, now=0)
    queue.reprioritise("c", 6)
    assert [entry.id for entry in queue.in_order(1)] == ["c", "a", "b"]
    queue.reprioritise("c", 5)
    assert [entry.id for entry in queue.in_order(1)] == ["a", "b", "c"]
    queue.put("b", 5, now=9)  # as news of a job repeat
    assert [entry.since for entry in queue.in_order(10)] == [0, 0, 0]
    with pytest.raises(UsageError, match="job d"):
        queue.reprioritise("d", 1)


def test_peek_take_and_remove() -> None:
    queue = JobQueue()
    queue.put("a", 1, now=0)
    queue.put("b", 2, now=0)
    first = queue.first(0)
    assert first is not None and first.id == "b" and len(queue) == 2
    assert queue.take("a", 3).priority == 1
    assert queue.remove("b") and not queue.remove("b") and "b" not in queue
    with pytest.raises(UsageError, match="job a does not wait"):
        queue.take("a", 3)
    assert queue.first(0) is None


def test_statistics() -> None:
    queue = JobQueue()
    for place, priority in enumerate((5, 5, 9, 0)):
        queue.put(str(place), priority, now=place)
    queue.take("2", 6)
    queue.take("0", 10)
    queue.remove("3")
    stats = queue.statistics(11)
    assert (stats.waiting, stats.by_priority) == (1, {5: 1})
    assert (stats.entered, stats.taken, stats.removed) == (4, 2, 1)
    assert (stats.longest_s, stats.mean_taken_s, stats.longest_taken_s) == (10, 7, 10)
    assert JobQueue().statistics(5).longest_s == 0


def test_a_policy_is_a_plain_function() -> None:
    def small_first(entry: Entry) -> tuple[int, int]:
        return entry.resources.cpus, -entry.priority

    queue = JobQueue(small_first)
    for job, cpus, priority in (("a", 4, 9), ("b", 1, 0), ("c", 1, 3)):
        queue.put(job, priority, resources=Resources(cpus), now=0)
    assert drain(queue) == ["c", "b", "a"]


def test_a_hundred_thousand() -> None:
    queue = JobQueue()
    for place in range(100_000):
        queue.put(str(place), place * 7919 % 10, now=0)
    for place in range(0, 100_000, 3):
        queue.remove(str(place))
    left = [place for place in range(100_000) if place % 3]
    assert drain(queue) == [str(place) for place in sorted(left, key=lambda place: -(place * 7919 % 10))]


def test_threads_lose_and_repeat_nothing() -> None:
    queue = JobQueue(patience_s=5)
    taken: list[list[str]] = [[] for _ in range(4)]
    all_put = threading.Event()

    def put(start: int) -> None:
        for place in range(start, 4000, 4):
            queue.put(str(place), place % 10, now=place % 7)
            with contextlib.suppress(UsageError):  # taken already
                queue.reprioritise(str(place), 9)

    def take(mine: list[str]) -> None:
        while (entry := queue.pop(6)) is not None or not all_put.is_set():
            if entry is not None:
                mine.append(entry.id)

    takers = [threading.Thread(target=take, args=[mine]) for mine in taken]
    putters = [threading.Thread(target=put, args=[start]) for start in range(4)]
    for thread in takers + putters:
        thread.start()
    for thread in putters:
        thread.join()
    all_put.set()
    for thread in takers:
        thread.join()
    assert sorted(int(job) for mine in taken for job in mine) == list(range(4000))
    assert len(queue) == 0 and queue.statistics(6).taken == 4000


class Model(RuleBasedStateMachine):
    """The queue against a plain list that is sorted and searched anew each time, in chunks small enough to split."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = JobQueue(patience_s=10)
        self.model: dict[str, Entry] = {}
        self.now = 0.0
        self.count = 0

    def ordered(self) -> list[Entry]:
        def rank(entry: Entry) -> tuple[float, ...]:
            if self.now - entry.since >= 10:
                return (0, entry.since, entry.number)
            return (1, by_priority(entry), entry.number)

        return sorted(self.model.values(), key=rank)

    @rule(priority=st.integers(0, 3), cpus=st.integers(0, 2), memory=st.integers(0, 9))
    def put(self, priority: int, cpus: int, memory: int) -> None:
        self.count += 1
        entry = Entry(str(self.count), self.count, priority, Resources(cpus, memory), self.now)
        self.queue.put(entry.id, priority, now=self.now, resources=entry.resources)
        self.model[entry.id] = entry

    @rule(seconds=st.integers(0, 6))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @precondition(lambda self: self.model)
    @rule(data=st.data(), how=st.sampled_from(["remove", "take", "reprioritise"]), priority=st.integers(0, 3))
    def change(self, data: st.DataObject, how: str, priority: int) -> None:
        job = data.draw(st.sampled_from(sorted(self.model)))
        if how == "remove":
            assert self.queue.remove(job)
        elif how == "take":
            assert self.queue.take(job, self.now) == self.model[job]
        else:
            self.queue.reprioritise(job, priority)
            old = self.model[job]
            self.model[job] = Entry(job, old.number, priority, old.resources, old.since)
            return
        del self.model[job]

    @rule(cpus=st.integers(0, 2), memory=st.integers(0, 9))
    def find(self, cpus: int, memory: int) -> None:
        room = Resources(cpus, memory)
        fitting = [entry for entry in self.ordered() if entry.resources.within(room)]
        assert self.queue.first(self.now, within=room) == (fitting[0] if fitting else None)

    @invariant()
    def same_order(self) -> None:
        ordered = self.ordered()
        assert self.queue.in_order(self.now) == ordered
        assert self.queue.first(self.now) == (ordered[0] if ordered else None)
        assert len(self.queue) == len(ordered)
        counts = self.queue.statistics(self.now).by_priority
        assert sum(counts.values()) == len(ordered)


@pytest.fixture(autouse=True)
def small_chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "hundred_thousand" not in request.node.name:
        monkeypatch.setattr(queue_module, "_CHUNK", 2)


TestModel = Model.TestCase
TestModel.settings = settings(stateful_step_count=40)
