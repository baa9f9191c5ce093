"""Where jobs are kept: the protocol, and the core's own store in memory."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import attrs

from seisproc_core.errors import IllegalTransition, OutputBusy, UsageError
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.process import lives
from seisproc_core.jobs.resources import Resources
from seisproc_core.jobs.states import State


@attrs.frozen(kw_only=True)
class Outline:
    """What scheduling and watching need to know of a job, cheap to have for very many.

    Attributes
    ----------
    number
        Order of submission: grows over the life of a store.
    version
        Number of the latest change of this job in the store: grows over all jobs together.
    """

    id: str
    number: int
    version: int
    state: State
    priority: int
    resources: Resources
    after: tuple[str, ...] = ()
    driver: str = ""
    attached: bool = True


@attrs.frozen(kw_only=True)
class Query:
    """Which jobs: all conditions that are given must hold.

    Attributes
    ----------
    states, types
        Any of these.
    text
        Occurs in the name, output, error or id, whatever the case.
    since, until
        Wall time of submission, seconds since the epoch; `since` inclusive, `until` exclusive.
    part_of
        Id of a group of jobs, or its beginning.
    limit, offset
        So many, after so many newer ones; None: all.
    """

    states: frozenset[State] = frozenset()
    types: frozenset[str] = frozenset()
    text: str = ""
    since: float | None = None
    until: float | None = None
    part_of: str = ""
    limit: int | None = 50
    offset: int = 0

    def matches(self, job: Job) -> bool:
        """Whether a job is meant, whatever `limit` and `offset` say."""
        words = f"{job.name}\n{job.output}\n{job.error}\n{job.id}".casefold()
        return (
            (not self.states or job.state in self.states)
            and (not self.types or job.type in self.types)
            and self.text.casefold() in words
            and (self.since is None or job.created_at >= self.since)
            and (self.until is None or job.created_at < self.until)
            and job.part_of.startswith(self.part_of)
        )


class NoSuchJob(UsageError):
    """No job has an id that begins so."""


class JobStore(Protocol):
    """Keeps jobs. Every method is safe from several threads, a shared store's also from several processes.

    A store holds no opinion on what should run; it only makes transitions, one at a time, and remembers them.

    Attributes
    ----------
    shared
        Whether other processes may change it, so that it has to be watched.
    address
        What ``open_store`` of another process needs to open the same one; "" when nothing would do.
    """

    shared: bool
    address: str

    def add(self, *jobs: Job) -> None:
        """Keep new jobs, all or none, as queued; when this returns, a durable store has them on disk. `OutputBusy`
        when another unfinished job has the same output: the path is reserved from here on. `UsageError` when
        an id is taken, or a job that one should come after is not there."""
        ...

    def get(self, job_id: str) -> Job:
        """The job; an unambiguous beginning of its id will do. `UsageError` when there is none."""
        ...

    def find(self, query: Query) -> list[Job]:
        """The jobs that match, newest submission first."""
        ...

    def move(self, job_id: str, state: State, reason: str = "", *, of: State | None = None, **changes: Any) -> Job:
        """Make a transition (compare-and-set: `IllegalTransition` if the job's present state has no such edge, or is
        not `of` where that is given).
        Durable when it returns if `state` is final or asked for by a user; others must survive the process only."""
        ...

    def move_all(self, job_ids: Sequence[str], state: State) -> list[Job]:
        """Make the same transition of many jobs, by whole ids, at the cost of one; those that made it. A job that is
        not there, or whose state has no such edge, is left out and keeps none of the others."""
        ...

    def edit(self, job_id: str, *, of: State | None = None, **changes: Any) -> Job:
        """Change attributes without a transition; with `of`, `IllegalTransition` unless it is in that state."""
        ...

    def report(self, job_id: str, done: int, total: int) -> None:
        """Note progress; need not be durable, and is no change to be noticed by `changes`."""
        ...

    def holder(self, output: str) -> Job | None:
        """The job that is not finished and has this output, if there is one."""
        ...

    def unfinished(self) -> list[Outline]:
        """All jobs that are not finished, in the order of submission."""
        ...

    def changes(self, since: int) -> list[Outline]:
        """Jobs added, moved or edited after version `since`, finished ones too, in the order of their versions.
        Cheap when there are none: this is polled."""
        ...

    def children(self, job_id: str) -> list[str]:
        """Ids of the unfinished jobs that come directly after this one."""
        ...

    def lead(self, who: str) -> bool:
        """Become the engine of this store; False when another living process is. Idempotent."""
        ...

    def leader(self) -> str:
        """The process that leads, "" when none does or it is dead."""
        ...

    def leave(self, who: str, *, force: bool = False) -> bool:
        """Stop to lead. Unless `force`, False when detached jobs are still to be run, paused ones left aside: then
        nothing changes."""
        ...

    def purge(self, before: float) -> int:
        """Forget jobs that ended before a wall time; returns how many. Unfinished jobs and what they wait for stay."""
        ...

    def close(self) -> None: ...


class MemoryStore:
    """Jobs of this process, forgotten with it.

    Parameters
    ----------
    keep
        So many finished jobs are remembered, the latest, so that a program may run for months. Those that others come
        after stay, and those whose end was not yet told to whoever asks for `changes`.
    """

    shared = False
    address = ""

    def __init__(self, *, keep: int = 1000) -> None:
        self._jobs: dict[str, Job] = {}
        self._outlines: dict[str, Outline] = {}  # the job that changed last comes last
        self._outputs: dict[str, str] = {}  # of unfinished jobs
        self._children: dict[str, list[str]] = {}
        self._finished: deque[str] = deque()
        self._keep = keep
        self._told = 0  # version up to which somebody knows of all changes
        self._version = 0
        self._count = 0
        self._leader = ""
        self._lock = threading.RLock()

    def add(self, *jobs: Job) -> None:
        with self._lock:
            new = {job.id for job in jobs}
            known = new | self._jobs.keys() if any(job.after for job in jobs) else new
            if len(new) < len(jobs) or not new.isdisjoint(self._jobs):
                raise UsageError("there is a job with this id already")
            for job in jobs:
                other = self.holder(job.output)
                if other is not None:
                    raise busy(job.output, other)
                check_parents(job, known)
            outputs = [job.output for job in jobs if job.output]
            if len(set(outputs)) < len(outputs):
                raise OutputBusy("two of these jobs have the same output")
            for job in jobs:
                self._count += 1
                self._put(job.moved(State.QUEUED) if job.state is State.CREATED else job, self._count)
                for parent in job.after:
                    self._children.setdefault(parent, []).append(job.id)

    def get(self, job_id: str) -> Job:
        with self._lock:
            return self._jobs[self._id(job_id)]

    def find(self, query: Query) -> list[Job]:
        with self._lock:
            found = [job for job in reversed(self._jobs.values()) if query.matches(job)]
        end = None if query.limit is None else query.offset + query.limit
        return found[query.offset : end]

    def move(self, job_id: str, state: State, reason: str = "", *, of: State | None = None, **changes: Any) -> Job:
        def change(job: Job) -> Job:
            check_state(job, of)
            return job.moved(state, reason, **changes)

        return self._change(job_id, change)

    def move_all(self, job_ids: Sequence[str], state: State) -> list[Job]:
        moved = []
        with self._lock:
            for job_id in job_ids:
                with contextlib.suppress(IllegalTransition, UsageError):
                    moved.append(self.move(job_id, state))
        return moved

    def edit(self, job_id: str, *, of: State | None = None, **changes: Any) -> Job:
        def change(job: Job) -> Job:
            check_state(job, of)
            return attrs.evolve(job, **changes)

        return self._change(job_id, change)

    def report(self, job_id: str, done: int, total: int) -> None:
        with self._lock:
            job_id = self._id(job_id)
            self._jobs[job_id] = attrs.evolve(self._jobs[job_id], done=done, total=total)

    def holder(self, output: str) -> Job | None:
        with self._lock:
            job_id = self._outputs.get(output) if output else None
            return None if job_id is None else self._jobs[job_id]

    def unfinished(self) -> list[Outline]:
        with self._lock:
            return [self._outlines[job.id] for job in self._jobs.values() if not job.finished]

    def changes(self, since: int) -> list[Outline]:
        with self._lock:
            self._told = max(self._told, since)
            news = list(itertools.takewhile(lambda one: one.version > since, reversed(self._outlines.values())))
            return news[::-1]

    def children(self, job_id: str) -> list[str]:
        with self._lock:
            return [child for child in self._children.get(job_id, ()) if not self._jobs[child].finished]

    def lead(self, who: str) -> bool:
        with self._lock:
            if not self.leader():
                self._leader = who
            return self._leader == who

    def leader(self) -> str:
        return self._leader if self._leader and lives(self._leader) else ""

    def leave(self, who: str, *, force: bool = False) -> bool:
        with self._lock:
            if not force and any(not o.attached and o.state is not State.PAUSED for o in self.unfinished()):
                return False
            if self._leader == who:
                self._leader = ""
            return True

    def purge(self, before: float) -> int:
        with self._lock:
            needed = {parent for job in self._jobs.values() if not job.finished for parent in job.after}
            old = [
                job.id
                for job in self._jobs.values()
                if job.finished and job.id not in needed and job.events and job.events[-1].at < before
            ]
            for job_id in old:
                self._forget(job_id)
            return len(old)

    def close(self) -> None:
        return None

    def _id(self, job_id: str) -> str:
        return job_id if job_id in self._jobs else the_one(job_id, self._jobs)

    def _change(self, job_id: str, change: Callable[[Job], Job]) -> Job:
        with self._lock:
            job_id = self._id(job_id)
            self._put(change(self._jobs[job_id]), self._outlines[job_id].number)
            return self._jobs[job_id]

    def _forget(self, job_id: str) -> None:
        del self._jobs[job_id], self._outlines[job_id]
        self._children.pop(job_id, None)

    def _forget_the_oldest(self) -> None:
        """Few at a time, whatever has gathered: whoever waits for a store waits for this, too."""
        for _ in range(min(2, len(self._finished) - self._keep)):
            oldest = self._finished.popleft()
            if oldest not in self._jobs:  # purged
                continue
            if self._outlines[oldest].version > self._told or self.children(oldest):
                self._finished.append(oldest)
            else:
                self._forget(oldest)

    def _put(self, job: Job, number: int) -> None:
        self._version += 1
        self._jobs[job.id] = job
        self._outlines.pop(job.id, None)
        self._outlines[job.id] = outline(job, number, self._version)
        if job.finished:
            self._finished.append(job.id)
            self._forget_the_oldest()
        if job.output and not job.finished:
            self._outputs[job.output] = job.id
        elif self._outputs.get(job.output) == job.id:
            del self._outputs[job.output]


def outline(job: Job, number: int, version: int) -> Outline:
    """The outline of a job."""
    return Outline(
        id=job.id,
        number=number,
        version=version,
        state=job.state,
        priority=job.priority,
        resources=job.resources,
        after=job.after,
        driver=job.driver,
        attached=job.attached,
    )


def busy(output: str, other: Job) -> OutputBusy:
    """The refusal of a job whose output belongs to another one."""
    return OutputBusy(f"{output} belongs to job {other.id} ({other.name}), which is {other.state}")


def check_parents(job: Job, known: Iterable[str]) -> None:
    """Raise `UsageError` when a job should come after one that is not there."""
    missing = [parent for parent in job.after if parent not in known]
    if missing:
        raise UsageError(f"job {job.id} should come after job {missing[0]}, which does not exist")


def check_state(job: Job, of: State | None) -> None:
    """Raise `IllegalTransition` unless the job is in the state it is thought to be in."""
    if of is not None and job.state is not of:
        raise IllegalTransition(f"job {job.id} is {job.state}, no longer {of}")


def the_one(beginning: str, ids: Iterable[str]) -> str:
    """The only id that begins so."""
    found: Sequence[str] = [job_id for job_id in ids if job_id.startswith(beginning)] if beginning else []
    if len(found) != 1:
        kind, what = (UsageError, f"{len(found)} jobs") if found else (NoSuchJob, "no job")
        raise kind(f"{what} with an id that begins with '{beginning}' (seisproc jobs list shows them)")
    return found[0]
