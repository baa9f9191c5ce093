"""The scheduler's decisions, case by case; `test_scheduler_machine` has them in random histories."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core.jobs.resources import HEAD_ROOM, Resources
from seisproc_core.jobs.scheduler import Action, Cancel, Fail, Scheduler, Start, fifo
from seisproc_core.jobs.states import ACTIVE, State
from seisproc_core.jobs.store import Outline

GB = 10**9


class Jobs:
    """A store's side of the conversation: news with growing versions."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.version = itertools.count(1)
        self.known: dict[str, Outline] = {}

    def news(self, job: str, state: State = State.QUEUED, **changes: Any) -> Outline:
        """The next version of a job: what it was, and the changes."""
        old = self.known.get(job)
        values: dict[str, Any] = {"number": len(self.known), "priority": 5, "resources": Resources(1), "after": ()}
        if old is not None:
            values = {name: getattr(old, name) for name in values}
        self.known[job] = Outline(id=job, version=next(self.version), state=state, **{**values, **changes})
        return self.known[job]

    def add(self, job: str, now: float = 0.0, **changes: Any) -> None:
        self.scheduler.update(self.news(job, **changes), now)

    def move(self, job: str, *states: State, now: float = 0.0) -> None:
        for state in states:
            self.scheduler.update(self.news(job, state), now)

    def started(self, now: float = 0.0) -> list[str]:
        """Decide, and have every start carried out."""
        actions = self.scheduler.decide(now)
        assert all(isinstance(action, Start) for action in actions), actions
        for action in actions:
            self.move(action.id, State.RUNNING, now=now)
        return [action.id for action in actions]

    def complete(self, job: str, now: float = 0.0) -> None:
        self.move(job, State.SEALING, State.COMPLETED, now=now)


def make(cpus: int = 4, memory: int = 0, gpus: int = 0, **options: Any) -> tuple[Scheduler, Jobs]:
    scheduler = Scheduler(Resources(cpus, memory, gpus), **options)
    return scheduler, Jobs(scheduler)


def reasons(actions: list[Action]) -> dict[str, str]:
    return {action.id: action.reason for action in actions if not isinstance(action, Start)}


# -- order


def test_by_priority_then_first_come() -> None:
    scheduler, jobs = make(cpus=1)
    for job, priority in (("three", 3), ("eight", 8), ("five", 5), ("eight too", 8)):
        jobs.add(job, priority=priority)
    order = []
    while started := jobs.started():
        order += started
        jobs.complete(started[0])
    assert order == ["eight", "eight too", "five", "three"]
    assert scheduler.free == Resources(1)


def test_fifo_is_another_policy() -> None:
    _, jobs = make(cpus=2, policy=fifo)
    for priority in range(4):
        jobs.add(str(priority), priority=priority)
    assert jobs.started() == ["0", "1"]


def test_a_new_priority_counts_at_once() -> None:
    _, jobs = make(cpus=1)
    jobs.add("a")
    jobs.add("b")
    jobs.add("b", priority=6)
    assert jobs.started() == ["b"]


def test_an_aged_job_passes_all_that_came_later() -> None:
    _, jobs = make(cpus=1, patience_s=600)
    jobs.add("old", priority=0)
    for now in range(0, 600, 50):
        jobs.add(f"urgent {now}", priority=9, now=now)
        assert jobs.started(now) == [f"urgent {now}"]
        jobs.complete(f"urgent {now}", now)
    jobs.add("urgent 600", priority=9, now=600)
    assert jobs.started(600) == ["old"]


def test_a_child_that_comes_after_its_parent_ended_waits_from_then_on() -> None:
    _, jobs = make(cpus=1, patience_s=100)
    jobs.move("parent", State.COMPLETED)
    jobs.add("child", after=("parent",), priority=0)
    assert jobs.scheduler.unknown() == []
    jobs.add("later", priority=1, now=50)
    assert jobs.started(100) == ["child"]


def test_the_wait_for_parents_does_not_age() -> None:
    _, jobs = make(cpus=1, patience_s=100)
    jobs.add("parent")
    jobs.add("child", after=("parent",), priority=0)
    assert jobs.started(0) == ["parent"]
    jobs.add("later", priority=1, now=150)
    jobs.complete("parent", now=200)
    assert jobs.started(299) == ["later"]


# -- resources


def test_sixteen_gigabytes_hold_a_job_of_twelve_and_not_one_of_four_more() -> None:
    scheduler, jobs = make(cpus=8, memory=int(16 * GB * (1 - HEAD_ROOM)))
    jobs.add("big", resources=Resources(1, 12 * GB))
    jobs.add("small", resources=Resources(1, 4 * GB))
    assert jobs.started() == ["big"]
    assert scheduler.waiting("small") == "needs 4.0 GB of memory, 2.4 GB free"
    jobs.complete("big")
    assert jobs.started() == ["small"]


@pytest.mark.parametrize("kind", ["cpus", "memory", "gpus"])
def test_each_kind_limits(kind: str) -> None:
    _, jobs = make(10, 10, 10)
    for job in "abcd":
        jobs.add(job, resources=Resources(**{"cpus": 1, "memory": 1, "gpus": 1, kind: 4}))
    assert jobs.started() == ["a", "b"]


def test_a_start_holds_resources_until_news_of_the_end() -> None:
    scheduler, jobs = make(cpus=2)
    jobs.add("a", resources=Resources(2))
    assert scheduler.decide(0) == [Start("a")]
    scheduler.update(jobs.known["a"], 0)  # what is known already
    assert scheduler.decide(0) == [] and scheduler.free == Resources(0)
    for state in (State.RUNNING, State.PAUSING):
        jobs.move("a", state)
        assert scheduler.held == {"a": Resources(2)}
    jobs.move("a", State.PAUSED)
    assert scheduler.free == Resources(2) and not scheduler.held
    jobs.move("a", State.QUEUED)
    assert jobs.started() == ["a"]
    jobs.move("a", State.SEALING)
    assert scheduler.free == Resources(0)
    jobs.move("a", State.COMPLETED)
    assert scheduler.free == Resources(2)


def test_a_cancelled_job_holds_on_until_its_workers_stopped() -> None:
    scheduler, jobs = make(cpus=1)
    jobs.add("a")
    jobs.add("b")
    assert jobs.started() == ["a"]
    jobs.move("a", State.CANCELLING)
    assert jobs.started() == [] and scheduler.free == Resources(0)
    jobs.move("a", State.CANCELLED)
    assert jobs.started() == ["b"]


def test_a_job_that_can_never_fit_fails_at_once_and_its_children_with_it() -> None:
    _, jobs = make(cpus=4, memory=8 * GB)
    jobs.add("big", resources=Resources(1, 12 * GB))
    jobs.add("child", after=("big",))
    jobs.add("negative", resources=Resources(-1))
    why = "needs 12.0 GB of memory, of which 8.0 GB are for jobs"
    actions = jobs.scheduler.decide(0)
    assert all(isinstance(action, Fail) for action in actions)
    assert reasons(actions) == {
        "big": why,
        "child": f"job big failed: {why}",
        "negative": "asks for less than nothing: -1 CPUs, 0 bytes of memory, 0 GPUs",
    }


def test_jobs_that_run_already_are_admitted_even_if_too_many() -> None:
    """An engine begins anew on a machine that has fewer CPUs."""
    scheduler, jobs = make(cpus=4)
    jobs.move("a", State.RUNNING)
    scheduler.update(jobs.news("b", State.RUNNING, resources=Resources(5)), 0)
    jobs.add("c", resources=Resources(0))
    jobs.add("d")
    assert scheduler.free == Resources(-2)
    assert jobs.started() == []
    jobs.complete("a")
    assert jobs.started() == [] and scheduler.free == Resources(-1)
    jobs.complete("b")
    assert jobs.started() == ["c", "d"]


# -- those who overtake


def test_backfill_uses_what_the_first_cannot() -> None:
    scheduler, jobs = make(cpus=4)
    jobs.add("long", resources=Resources(3))
    assert jobs.started() == ["long"]
    jobs.add("wide", priority=9, resources=Resources(4))
    jobs.add("narrow", priority=0)
    assert jobs.started() == ["narrow"]
    assert scheduler.waiting("wide") == "needs 4 CPUs, 0 free"


def test_the_first_is_overtaken_only_for_the_patience() -> None:
    scheduler, jobs = make(cpus=2, patience_s=100)
    jobs.add("long")
    jobs.started(0)
    jobs.add("wide", resources=Resources(2), now=0)
    for now in range(0, 300, 20):
        jobs.add(f"narrow {now}", priority=9, now=now)
        jobs.add("again", priority=0, now=now) if now == 200 else None
        started = jobs.started(now)
        # Higher priorities pass it until it has aged, at 100; from then on it is first, and 100 s later nothing passes.
        assert started == ([f"narrow {now}"] if now < 200 else [])
        for job in started:
            jobs.complete(job, now)
    assert scheduler.waiting("narrow 200") == "behind job wide (priority 5)"
    jobs.complete("long", 300)
    assert jobs.started(300) == ["wide"]


def test_a_reservation_leaves_alone_what_it_does_not_need() -> None:
    """The first waits for a GPU; jobs without one that leave its CPUs cannot delay it."""
    scheduler, jobs = make(cpus=8, gpus=1, patience_s=10)
    jobs.add("on gpu", resources=Resources(1, 0, 1))
    assert jobs.started(0) == ["on gpu"]
    jobs.add("first", priority=9, resources=Resources(4, 0, 1))
    jobs.add("taker", priority=8, resources=Resources(4))
    assert jobs.started(0) == ["taker"]  # 3 CPUs are left: this one delays the first
    jobs.complete("taker", 20)
    jobs.add("small", priority=0, resources=Resources(3))
    jobs.add("taker too", priority=8, resources=Resources(4), now=20)
    assert jobs.started(20) == ["small"]
    assert scheduler.waiting("taker too") == "behind job first (priority 9)"
    jobs.complete("on gpu", 21)
    assert jobs.started(21) == ["first"]


def test_harmless_passing_is_no_overtaking() -> None:
    _, jobs = make(cpus=8, gpus=1, patience_s=10)
    jobs.add("on gpu", resources=Resources(1, 0, 1))
    jobs.started(0)
    jobs.add("first", priority=9, resources=Resources(1, 0, 1))
    jobs.add("small", priority=1, resources=Resources(1))
    assert jobs.started(0) == ["small"]
    jobs.add("large", priority=1, resources=Resources(6), now=9)
    assert jobs.started(100) == ["large"]  # would be refused, had the patience begun at 0


def test_who_was_held_back_meanwhile_is_overtaken_anew() -> None:
    _, jobs = make(cpus=2, patience_s=100)
    jobs.add("long")
    jobs.started(0)
    jobs.add("wide", resources=Resources(2), priority=9, now=0)
    jobs.add("a", now=0)
    assert jobs.started(0) == ["a"]
    jobs.move("wide", State.PAUSED, now=10)
    jobs.complete("a", 10)
    jobs.move("wide", State.QUEUED, now=150)
    jobs.add("b", now=150)
    assert jobs.started(150) == ["b"]


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(0, 40))
def test_nobody_waits_longer_than_promised(seed: int, patience: int) -> None:
    """A stream of urgent jobs that never ends, of random needs: the wait of every job is within the stated bound."""
    rnd = random.Random(seed)
    longest_run = 10
    _, jobs = make(4, 4, patience_s=patience)
    line: dict[str, tuple[int, int]] = {}  # since when, place
    bound: dict[str, int] = {}
    ends: dict[str, int] = {}
    for now in range(400):
        for job in [job for job, end in ends.items() if end <= now]:
            jobs.complete(job, now)
            del ends[job]
        if now < 200:
            for _ in range(rnd.randrange(3)):
                job = f"{now}-{len(jobs.known)}"
                line[job] = now, len(jobs.known)
                needs = Resources(rnd.randint(1, 4), rnd.randint(0, 4))
                jobs.add(job, now=now, priority=rnd.choice((0, 9)), resources=needs)
        for job, (since, place) in line.items():
            if now - since == patience:
                before = sum((other[0], other[1]) < (since, place) for other in line.values())
                bound[job] = since + patience + (before + 1) * (patience + 2 * longest_run)
        for job in jobs.started(now):
            ends[job] = now + rnd.randint(1, longest_run)
            del line[job]
        assert all(now <= bound.get(job, now) for job in line)


# -- what comes after what


def test_children_start_when_all_parents_are_complete() -> None:
    scheduler, jobs = make()
    jobs.add("child", after=("a", "b"))
    jobs.add("a")
    jobs.add("b")
    assert jobs.started() == ["a", "b"]
    assert scheduler.waiting("child") == "after job a, which is running, and 1 more"
    jobs.complete("a")
    assert jobs.started() == []
    assert scheduler.waiting("child") == "after job b, which is running"
    jobs.complete("b")
    assert jobs.started() == ["child"]


def test_a_failed_parent_fails_and_a_cancelled_one_cancels() -> None:
    scheduler, jobs = make()
    jobs.add("a")
    jobs.add("b", after=("a",))
    jobs.add("c", after=("b",))
    jobs.started()
    jobs.move("a", State.FAILED)
    assert scheduler.waiting("b") == "job a failed"
    assert scheduler.decide(0) == [Fail("b", "job a failed"), Fail("c", "it comes after job b, and job a failed")]
    assert scheduler.decide(0) == []
    jobs.add("late", after=("a",))
    assert scheduler.decide(0) == [Fail("late", "job a failed")]
    jobs.add("d")
    jobs.add("e", after=("d",))
    jobs.move("d", State.CANCELLED)
    assert scheduler.decide(0) == [Cancel("e", "job d was cancelled")]


def test_a_paused_child_is_told_too() -> None:
    scheduler, jobs = make()
    jobs.add("a")
    jobs.add("b", after=("a",))
    jobs.move("b", State.PAUSED)
    jobs.started()
    jobs.move("a", State.FAILED)
    assert scheduler.decide(0) == [Fail("b", "job a failed")]


def test_a_paused_child_does_not_start_when_its_parent_completes() -> None:
    _, jobs = make()
    jobs.add("a")
    jobs.add("b", after=("a",))
    jobs.move("b", State.PAUSED)
    jobs.started()
    jobs.complete("a")
    assert jobs.started() == []
    jobs.move("b", State.QUEUED)
    assert jobs.started() == ["b"]


def test_unknown_parents_count_as_completed_unless_heard_of_in_time() -> None:
    scheduler, jobs = make()
    jobs.add("a", after=("gone",))
    jobs.add("b", after=("broken",))
    assert scheduler.unknown() == ["gone", "broken"]
    scheduler.update(jobs.news("broken", State.FAILED), 0)
    assert scheduler.decide(0) == [Fail("b", "job broken failed"), Start("a")]


def test_jobs_that_wait_for_each_other_fail() -> None:
    scheduler, jobs = make()
    jobs.add("a", after=("b",))
    jobs.add("b", after=("a",))
    jobs.add("c")
    why = "jobs would wait for each other: b after a after b"
    actions = scheduler.decide(0)
    assert actions == [Fail("b", why), Fail("a", f"job b failed: {why}"), Start("c")]


# -- news


def test_news_may_repeat_and_come_in_any_order() -> None:
    scheduler, jobs = make(cpus=1)
    old = jobs.news("a")
    running, sealing, done = (jobs.news("a", state) for state in (State.RUNNING, State.SEALING, State.COMPLETED))
    scheduler.update(running, 0)
    for outline in (old, running):
        scheduler.update(outline, 0)
        assert scheduler.held == {"a": Resources(1)} and scheduler.decide(0) == []
    scheduler.update(done, 0)
    for outline in (sealing, old, done, running):
        scheduler.update(outline, 0)
        assert not scheduler.held and scheduler.decide(0) == []


@given(st.permutations(range(4)), st.lists(st.integers(0, 3), max_size=4))
def test_only_the_newest_news_count(order: list[int], repeated: list[int]) -> None:
    scheduler, jobs = make(cpus=3)
    news = [jobs.news("a", state) for state in (State.QUEUED, State.RUNNING, State.PAUSING, State.PAUSED)]
    for at in [*order, *repeated]:
        scheduler.update(news[at], 0)
    assert scheduler.free == Resources(3) and scheduler.decide(0) == []
    scheduler.update(jobs.news("a", State.QUEUED), 0)
    assert scheduler.decide(0) == [Start("a")]


def test_a_refused_start_is_free_again_and_news_decide() -> None:
    scheduler, jobs = make(cpus=1)
    jobs.add("a", priority=6)
    jobs.add("b")
    assert scheduler.decide(0) == [Start("a")]
    scheduler.refused("a", 0)
    assert scheduler.free == Resources(1)
    jobs.move("a", State.CANCELLED)
    assert scheduler.decide(0) == [Start("b")]


def test_what_was_refused_for_no_reason_is_decided_again() -> None:
    scheduler, jobs = make(cpus=1, patience_s=10)
    jobs.add("a")
    jobs.add("big", resources=Resources(2))
    first = scheduler.decide(0)
    assert first == [Fail("big", "needs 2 CPUs, of which there are 1"), Start("a")]
    for action in first:
        scheduler.refused(action.id, 5)
    jobs.add("b", priority=9, now=5)
    assert scheduler.decide(10) == first  # it has waited since 0, the refusal included
    scheduler.refused("nobody", 10)


def test_a_job_that_came_back_before_it_was_seen_running_starts_again() -> None:
    """It started, its process died and it was queued again, all between two looks at the store."""
    scheduler, jobs = make(cpus=1)
    jobs.add("a")
    assert scheduler.decide(0) == [Start("a")]
    jobs.news("a", State.RUNNING)
    jobs.move("a", State.QUEUED)
    assert scheduler.decide(0) == [Start("a")]
    assert scheduler.free == Resources(0)


def test_a_job_whose_needs_changed_waits_for_the_new_ones() -> None:
    scheduler, jobs = make(cpus=2)
    jobs.add("a", resources=Resources(2))
    jobs.add("a", resources=Resources(1))
    assert jobs.started() == ["a"] and scheduler.free == Resources(1)


@pytest.mark.parametrize("state", sorted(State))
def test_only_a_queued_job_starts_and_only_an_active_one_holds(state: State) -> None:
    scheduler, jobs = make()
    jobs.move("a", state)
    assert scheduler.decide(0) == ([Start("a")] if state is State.QUEUED else [])
    assert ("a" in scheduler.held) == (state is State.QUEUED or state in ACTIVE)


# -- for people


def test_says_why_a_job_waits() -> None:
    scheduler, jobs = make(cpus=4)
    jobs.add("x", priority=8, resources=Resources(3))
    jobs.started()
    assert scheduler.waiting("x") == "" and scheduler.waiting("nobody") == ""
    jobs.add("y", priority=8, resources=Resources(4))
    jobs.add("z", resources=Resources(2))
    assert scheduler.decide(0) == []
    assert scheduler.waiting("y") == "needs 4 CPUs, 1 free"
    assert scheduler.waiting("z") == "behind job y (priority 8); needs 2 CPUs, 1 free"
    jobs.complete("x")
    scheduler.decide(0)
    assert scheduler.waiting("y") == ""


def test_statistics() -> None:
    scheduler, jobs = make(cpus=1)
    for job in "abc":
        jobs.add(job, priority=ord(job) % 2)
    jobs.add("d", after=("a",))
    jobs.started(4)
    found = scheduler.statistics(10)
    assert found.states == {State.RUNNING: 1, State.QUEUED: 3}
    assert found.queue.by_priority == {0: 1, 1: 1}
    assert (found.queue.longest_s, found.queue.mean_taken_s) == (10, 4)
    assert (found.free, found.capacity) == (Resources(0), Resources(1))
