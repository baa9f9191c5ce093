"""Random histories of a job system: users, drivers that die, a leader that begins anew, and promises that always hold.

The scheduler's decisions are compared with an oracle that knows the rule and nothing of indexes: it sorts and scans all
jobs each time. ``pytest --hypothesis-profile=thorough`` runs many more histories.
"""

from __future__ import annotations

from collections.abc import Collection

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from seisproc_core.errors import IllegalTransition
from seisproc_core.jobs.model import Event, Job, replay
from seisproc_core.jobs.resources import Resources
from seisproc_core.jobs.scheduler import Action, Cancel, Scheduler, Start
from seisproc_core.jobs.states import ACTIVE, FINAL, TRANSITIONS, State
from seisproc_core.jobs.store import MemoryStore, Outline, outline

PATIENCE = 10
MAX_DEATHS = 3
CAPACITIES = (Resources(4, 8, 1), Resources(3, 6, 1), Resources(2, 8, 0))
NEXT = {
    State.RUNNING: State.SEALING,
    State.SEALING: State.COMPLETED,
    State.PAUSING: State.PAUSED,
    State.CANCELLING: State.CANCELLED,
}
orders = st.permutations(range(5))
meddlings = st.lists(st.sampled_from(["", "cancel", "pause", "pause and resume", "prioritise"]), min_size=1, max_size=5)
needs = st.builds(Resources, st.sampled_from([0, 1, 1, 2, 3, 4]), st.integers(0, 7), st.sampled_from([0, 0, 0, 1]))
parents = st.sets(st.integers(1, 8), max_size=3) | st.just(set())


class Oracle:
    """What has been told of jobs, and what should be decided upon it, by brute force."""

    def __init__(self, capacity: Resources) -> None:
        self.capacity = capacity
        self.jobs: dict[str, Outline] = {}
        self.ended: dict[str, State] = {}
        self.since: dict[str, float] = {}  # of those that stand in line
        self.starting: dict[str, float] = {}  # decided; since when they had waited
        self.overtaken: dict[str, float] = {}
        self.fates: dict[str, set[State]] = {}  # of jobs that ended badly, or can only
        self.told: set[str] = set()  # that they are lost

    def hear(self, news: Collection[Outline], now: float) -> None:
        for each in news:
            self.told.discard(each.id)
            self.starting.pop(each.id, None)
            if each.state is not State.QUEUED:
                self.since.pop(each.id, None)
                self.overtaken.pop(each.id, None)
            if each.state in FINAL:
                self.jobs.pop(each.id, None)
                self.ended[each.id] = each.state
            else:
                self.jobs[each.id] = each
            self.lost()
        for job in self.jobs.values():
            if job.state is State.QUEUED and job.id not in self.starting and self.is_ready(job):
                self.since.setdefault(job.id, now)

    def is_ready(self, job: Outline) -> bool:
        return all(self.ended.get(parent) is State.COMPLETED for parent in job.after) and not self.never_fits(job)

    def never_fits(self, job: Outline) -> bool:
        return not job.resources.within(self.capacity)

    def lost(self) -> list[str]:
        """Jobs that cannot start. What may become of each is noted: a job that was to fail may be cancelled first."""
        for job_id, state in self.ended.items():
            if state is not State.COMPLETED:
                self.fates.setdefault(job_id, set()).add(state)
        lost: list[str] = []
        for job in sorted(self.jobs.values(), key=lambda job: job.id):  # parents before children
            fates = {fate for parent in job.after for fate in self.fates.get(parent, ())}
            if job.state is State.QUEUED and self.never_fits(job):
                fates.add(State.FAILED)
            if fates and job.state not in ACTIVE:
                self.fates.setdefault(job.id, set()).update(fates)
            if job.id in self.fates:
                lost.append(job.id)
        return lost

    def used(self) -> Resources:
        holding = [job for job in self.jobs.values() if job.state in ACTIVE or job.id in self.starting]
        return sum((job.resources for job in holding), Resources(0))

    def line(self, now: float) -> list[Outline]:
        def place(job: str) -> tuple[float, ...]:
            aged = now - self.since[job] >= PATIENCE
            number = self.jobs[job].number
            return (0, self.since[job], number) if aged else (1, -self.jobs[job].priority, number)

        return [self.jobs[job] for job in sorted(self.since, key=place)]

    def starts(self, now: float) -> list[str]:
        started = []
        while job := self.next(now):
            started.append(job.id)
            self.starting[job.id] = self.since.pop(job.id)
            self.overtaken.pop(job.id, None)
        return started

    def next(self, now: float) -> Outline | None:
        line = self.line(now)
        free = self.capacity - self.used()
        if not line or line[0].resources.within(free):
            return line[0] if line else None
        head = line[0]
        fitting = [job for job in line if job.resources.within(free)]
        harmless = [job for job in fitting if self.cannot_delay(job.resources, head.resources, free)]
        if head.id in self.overtaken and now - self.overtaken[head.id] >= PATIENCE:
            return harmless[0] if harmless else None
        if fitting and fitting[0] not in harmless:
            self.overtaken.setdefault(head.id, now)
        return fitting[0] if fitting else None

    @staticmethod
    def cannot_delay(job: Resources, head: Resources, free: Resources) -> bool:
        """Kind by kind: nothing is taken, or the head still fits afterwards."""
        kinds = ("cpus", "memory", "gpus")
        asked, wanted, there = ([getattr(each, kind) for kind in kinds] for each in (job, head, free))
        return all(a == 0 or a + w <= f for a, w, f in zip(asked, wanted, there, strict=True))

    def refused(self, job: str) -> None:
        self.told.discard(job)
        if job in self.starting:
            self.since[job] = self.starting.pop(job)


class JobSystem(RuleBasedStateMachine):
    """A store, its users, the processes that run jobs, and a leader."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.now = 0.0
        self.submitted: list[str] = []
        self.cancelled: set[str] = set()  # acknowledged
        self.stories: dict[str, tuple[Event, ...]] = {}
        self.ended: dict[str, Job] = {}
        self.allowed = Resources(0)

    @initialize(capacity=st.sampled_from(CAPACITIES))
    def begin(self, capacity: Resources) -> None:
        self.lead(capacity)

    @rule(capacity=st.sampled_from(CAPACITIES))
    def lead(self, capacity: Resources) -> None:
        """A new leader, which knows no more than the store tells."""
        self.scheduler = Scheduler(capacity, patience_s=PATIENCE)
        self.oracle = Oracle(capacity)
        unfinished = self.store.unfinished()
        self.version = max((each.version for each in unfinished), default=0)
        self.tell(unfinished)
        for job_id in self.submitted:
            job = self.store.get(job_id)
            if job.finished:
                self.oracle.ended[job_id] = job.state
        self.oracle.hear([], self.now)
        used = self.used()
        self.allowed = Resources(
            max(capacity.cpus, used.cpus), max(capacity.memory, used.memory), max(capacity.gpus, used.gpus)
        )

    def tell(self, news: list[Outline]) -> None:
        for each in news:
            self.scheduler.update(each, self.now)
        for parent in self.scheduler.unknown():
            self.scheduler.update(outline(self.store.get(parent), 0, 0), self.now)
        self.oracle.hear(news, self.now)

    def used(self) -> Resources:
        return sum((job.resources for job in self.in_states(ACTIVE)), Resources(0))

    def in_states(self, states: Collection[State]) -> list[Job]:
        jobs = [self.store.get(job_id) for job_id in self.submitted if job_id not in self.ended or states is FINAL]
        return [job for job in jobs if job.state in states]

    def any_of(self, data: st.DataObject, *states: State) -> Job | None:
        ids = sorted(job.id for job in self.in_states(states))
        return self.store.get(data.draw(st.sampled_from(ids))) if ids else None

    # -- users

    @rule(wishes=st.lists(st.tuples(st.integers(0, 9), needs, parents), min_size=1, max_size=6), shuffled=orders)
    def submit(self, wishes: list[tuple[int, Resources, set[int]]], shuffled: list[int]) -> None:
        """Some jobs at once, which come after any of the last ones, of the same submission too."""
        jobs: list[Job] = []
        for priority, resources, back in wishes:
            others = [*self.submitted, *(job.id for job in jobs)]
            after = tuple(others[-place] for place in back if place <= len(others))
            job = Job(name="n", type="t", config={}, priority=priority, resources=resources, after=after)
            jobs.append(attrs.evolve(job, id=f"{len(others):012x}"))
        places = {job.id: shuffled[place % len(shuffled)] for place, job in enumerate(jobs)}
        self.store.add(*sorted(jobs, key=lambda job: places[job.id]))
        self.submitted += [job.id for job in jobs]

    @rule(data=st.data(), how=st.sampled_from(["cancel", "pause", "resume", "prioritise"]))
    def use(self, data: st.DataObject, how: str) -> None:
        states = {"pause": (State.QUEUED, State.RUNNING), "resume": (State.PAUSED,)}
        job = self.any_of(data, *states.get(how, set(State) - FINAL))
        if job is not None:
            self.meddle(how, job.id)

    def meddle(self, how: str, job_id: str) -> None:
        """What a user does to a job."""
        job = self.store.get(job_id)
        if how == "cancel":
            self.cancel_job(job)
        elif how == "prioritise":
            self.store.edit(job_id, priority=9 - job.priority)
        else:
            if "pause" in how:
                self.pause_job(job)
            if "resume" in how:
                self.resume_job(self.store.get(job_id))

    def cancel_job(self, job: Job | None) -> None:
        if job is None or job.state in FINAL or job.state is State.SEALING:
            return
        if job.state is not State.CANCELLING:
            at_rest = job.state in (State.QUEUED, State.PAUSED)
            self.store.move(job.id, State.CANCELLED if at_rest else State.CANCELLING)
        self.cancelled.add(job.id)

    def pause_job(self, job: Job | None) -> None:
        if job is not None and job.state in (State.QUEUED, State.RUNNING):
            self.store.move(job.id, State.PAUSED if job.state is State.QUEUED else State.PAUSING)

    def resume_job(self, job: Job | None) -> None:
        if job is not None and job.state is State.PAUSED:
            self.store.move(job.id, State.QUEUED)

    # -- processes that run jobs

    @rule(fates=st.lists(st.sampled_from(["go on"] * 5 + ["", "fail", "die"]), min_size=1, max_size=4))
    def work(self, fates: list[str]) -> None:
        """Each process gets on with its job, or rests, fails or dies."""
        for place, job in enumerate(self.in_states(ACTIVE)):
            fate = fates[place % len(fates)]
            if fate == "die":
                self.die(job)
            elif fate == "fail" and State.FAILED in TRANSITIONS[job.state]:
                self.store.move(job.id, State.FAILED)
            elif fate:
                self.store.move(job.id, NEXT[job.state])

    def die(self, job: Job) -> None:
        if job.state in (State.PAUSING, State.CANCELLING):
            self.store.move(job.id, NEXT[job.state])
        elif job.attempt + 1 == MAX_DEATHS:
            self.store.move(job.id, State.FAILED, attempt=MAX_DEATHS)
        else:
            self.store.move(job.id, State.QUEUED, attempt=job.attempt + 1)

    # -- the leader

    @rule(seconds=st.sampled_from([0, 0.5, 3, 5, 10, 1000]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    # All is drawn before anything is done: hypothesis may end a history at any draw, and nothing must be half done.

    @rule(order=orders)
    def look(self, order: list[int]) -> None:
        news = self.store.changes(self.version)
        if news:
            self.version = news[-1].version
            places = {each.id: order[place % len(order)] for place, each in enumerate(news)}
            self.tell(sorted(news, key=lambda each: places[each.id]))

    @rule(order=orders | st.none(), meddling=meddlings, failures=st.lists(st.integers(0, 9), max_size=1))
    def decide(self, order: list[int] | None, meddling: list[str], failures: list[int]) -> None:
        if order is not None:
            self.look(order)
        for place, action in enumerate(self.checked_decision()):
            self.meddle(meddling[place % len(meddling)], action.id)
            self.carry_out(action, store_works=place not in failures)

    def checked_decision(self) -> list[Action]:
        """Decide, and compare with the oracle."""
        lost = self.oracle.lost()
        actions = self.scheduler.decide(self.now)
        assert [action.id for action in actions if isinstance(action, Start)] == self.oracle.starts(self.now)
        verdicts = [action for action in actions if not isinstance(action, Start)]
        for verdict in verdicts:
            kind = State.CANCELLED if isinstance(verdict, Cancel) else State.FAILED
            assert kind in self.oracle.fates[verdict.id] and verdict.reason
        self.oracle.told |= {verdict.id for verdict in verdicts}
        assert self.oracle.told.issuperset(lost)
        assert self.scheduler.free == self.oracle.capacity - self.oracle.used()
        return actions

    def carry_out(self, action: Action, *, store_works: bool = True) -> None:
        try:
            if not store_works:
                raise IllegalTransition("the disk is full")
            if isinstance(action, Start):
                self.store.move(action.id, State.RUNNING)
            else:
                kind = State.CANCELLED if isinstance(action, Cancel) else State.FAILED
                self.store.move(action.id, kind, action.reason)
        except IllegalTransition:
            self.scheduler.refused(action.id, self.now)
            self.oracle.refused(action.id)

    # -- what always holds

    @invariant()
    def histories_are_legal_and_only_grow(self) -> None:
        for job_id in self.submitted:
            job = self.store.get(job_id)
            if job is self.ended.get(job_id):
                continue
            if job.events != self.stories.get(job_id):
                assert replay(job.events) is job.state
                assert job.events[: len(self.stories.get(job_id, ()))] == self.stories.get(job_id, ())
                self.stories[job_id] = job.events
            if job.finished:
                assert self.ended.setdefault(job_id, job).state is job.state

    @invariant()
    def nothing_is_oversold(self) -> None:
        assert self.used().within(self.allowed)

    @invariant()
    def what_is_active_had_all_it_waits_for(self) -> None:
        for job in self.in_states(ACTIVE):
            assert all(self.store.get(parent).state is State.COMPLETED for parent in job.after)

    @invariant()
    def cancelled_means_cancelled(self) -> None:
        for job_id in self.cancelled:
            assert self.store.get(job_id).state in (State.CANCELLING, State.CANCELLED)

    def teardown(self) -> None:
        """Left alone, every job comes to its end, or waits for one that is paused."""
        if not hasattr(self, "scheduler"):
            return
        self.run_down()
        for job in self.in_states({State.QUEUED}):
            assert self.waits_for_a_paused_job(job)
            assert self.scheduler.waiting(job.id).startswith("after job ")
        for job in self.in_states({State.PAUSED}):
            self.resume_job(job)
        self.run_down()
        assert len(self.in_states(FINAL)) == len(self.submitted)
        assert not self.scheduler.held and self.scheduler.free == self.oracle.capacity
        self.histories_are_legal_and_only_grow()
        self.cancelled_means_cancelled()

    def waits_for_a_paused_job(self, job: Job) -> bool:
        parents = [self.store.get(parent) for parent in job.after]
        return any(parent.state is State.PAUSED or self.waits_for_a_paused_job(parent) for parent in parents)

    def run_down(self) -> None:
        """Nobody meddles any more, and every process does what it should."""
        moved = True
        while moved:
            news = self.store.changes(self.version)
            self.version = news[-1].version if news else self.version
            self.tell(news)
            actions = self.checked_decision()
            for action in actions:
                self.carry_out(action)
            active = self.in_states(ACTIVE)
            for job in active:
                self.store.move(job.id, NEXT[job.state])
            self.nothing_is_oversold()
            moved = bool(actions or active or news)


TestJobSystem = JobSystem.TestCase
TestJobSystem.settings = settings(max_examples=max(300, settings().max_examples), stateful_step_count=40)
