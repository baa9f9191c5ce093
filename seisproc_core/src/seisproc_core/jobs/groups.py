"""Jobs that belong together: one flow for many lines. A group is nothing but its jobs, and its state follows from them.

No record of a group is kept beside the jobs, so that none can contradict them.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable

import attrs

from seisproc_core.errors import UsageError
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.states import ACTIVE, State
from seisproc_core.jobs.store import JobStore, NoSuchJob, Query

TYPE = "lines"  # what a list shows where a job has its type
_PAGE = 200  # jobs read at once
_WHILE_WORKING = (State.RUNNING, State.SEALING, State.PAUSING, State.CANCELLING)  # the first that one of them is in
_LEFT = (State.QUEUED, State.PAUSED, State.FAILED, State.CANCELLED)  # likewise, when none works


@attrs.frozen(kw_only=True)
class Group:
    """A group of jobs.

    Attributes
    ----------
    id
        12 hexadecimal digits, in `Job.part_of` of each.
    jobs
        One for each part, the latest where it was retried; in the order of submission.
    """

    id: str
    jobs: tuple[Job, ...]

    @property
    def name(self) -> str:
        return str(self.jobs[0].options.get("group", "")) or self.jobs[0].name

    @property
    def state(self) -> State:
        """``running`` as long as one works or some have ended and others wait; ``failed`` at the end if one has."""
        states = Counter(job.state for job in self.jobs)
        for state in _WHILE_WORKING:
            if states[state]:
                return state
        ended = states[State.COMPLETED] + states[State.FAILED]
        if states[State.QUEUED] and ended:
            return State.RUNNING
        return next((state for state in _LEFT if states[state]), State.COMPLETED)

    @property
    def done(self) -> int:
        """Input traces done."""
        return sum(job.done for job in self.jobs)

    @property
    def total(self) -> int:
        """Input traces planned: jobs that wait are not planned yet."""
        return sum(job.total for job in self.jobs)

    @property
    def summary(self) -> str:
        """How many are in which state, for people: ``3 of 40 completed, 1 failed``."""
        states = Counter(job.state for job in self.jobs)
        others = (f"{states[state]} {state}" for state in State if states[state] and state is not State.COMPLETED)
        return ", ".join([f"{states[State.COMPLETED]} of {len(self.jobs)} completed", *others])


def group_of(jobs: Iterable[Job]) -> Group:
    """The group that some jobs make, in whatever order; all have the same `part_of`."""
    everything = list(jobs)
    repeated = {job.retry_of for job in everything}
    latest = sorted((job for job in everything if job.id not in repeated), key=_row)
    return Group(id=latest[0].part_of, jobs=tuple(latest))


def _row(job: Job) -> int:
    return int(job.options.get("row", 0))


def newest(store: JobStore, limit: int, states: frozenset[State] = frozenset()) -> list[Job | Group]:
    """The newest jobs, a group counted and given as one.

    Parameters
    ----------
    states
        Only jobs in one of these, and groups with such a job.
    """
    found: dict[str, Job | Group] = {}
    for offset in itertools.count(0, _PAGE):
        jobs = store.find(Query(states=states, limit=_PAGE, offset=offset))
        for job in jobs:
            if len(found) == limit:
                return list(found.values())
            if not job.part_of:
                found[job.id] = job
            elif job.part_of not in found:
                group = group_of(store.find(Query(part_of=job.part_of, limit=None)))
                if not states or any(one.state in states for one in group.jobs):
                    found[group.id] = group
        if len(jobs) < _PAGE:
            return list(found.values())
    raise AssertionError("numbers do not end")


def find(store: JobStore, beginning: str) -> Job | Group:
    """The job or the group whose id begins so.

    Raises
    ------
    UsageError
        There is none, or several.
    """
    members = store.find(Query(part_of=beginning, limit=None)) if beginning else []
    if not members:
        return store.get(beginning)
    ids = {job.part_of for job in members}
    if len(ids) == 1:
        try:
            other = store.get(beginning)
        except NoSuchJob:
            return group_of(members)
        raise UsageError(f"'{beginning}' begins both job {other.id} and group {min(ids)}: write more of it")
    raise UsageError(f"{len(ids)} groups of jobs with an id that begins with '{beginning}'")


def members(store: JobStore, beginning: str) -> tuple[str, ...]:
    """Whole ids of the jobs that an id stands for: of a group the latest of each part. See `find`."""
    found = find(store, beginning)
    return (found.id,) if isinstance(found, Job) else tuple(job.id for job in found.jobs)


def every(store: JobStore, beginning: str, ask: Callable[[JobStore, str], Job]) -> list[Job]:
    """Ask something (`client.cancel`, `client.pause`, ...) of a job, or of every job of a group that it fits.

    Jobs that wait are asked first: else they would start as soon as others stop.

    Raises
    ------
    UsageError
        It cannot be done; of a group, to none of its jobs.
    """
    found = find(store, beginning)
    if isinstance(found, Job):
        return [ask(store, found.id)]
    asked, refusal = [], UsageError(f"all jobs of {found.id} are finished: {found.summary}")
    for job in sorted(found.jobs, key=lambda job: job.state in ACTIVE):
        if not job.finished:
            try:
                asked.append(ask(store, job.id))
            except UsageError as error:
                refusal = error
    if not asked:
        raise refusal
    return asked
