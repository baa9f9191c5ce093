"""What rules need to remember of job events: which jobs run, since when each has not got on, which have ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from seisproc_core.jobs.events import JobChanged, JobProgress
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.states import ACTIVE

_REMEMBERED = 10_000  # ids of jobs that ended


@attrs.frozen(kw_only=True)
class Watched:
    """A job that runs: traces done and planned, and when (on the observer's clock) that last changed."""

    job: Job
    done: int
    total: int
    since: float

    def advanced(self, done: int, total: int, now: float) -> Watched:
        if (done, total) == (self.done, self.total):
            return self
        return attrs.evolve(self, done=done, total=total, since=now)


class Watch:
    """Running and ended jobs, from the events about them.

    Parameters
    ----------
    began_at
        Wall time; jobs that ended before are of no interest.
    """

    def __init__(self, began_at: float) -> None:
        self._began_at = began_at
        self._active: dict[str, Watched] = {}
        self._fresh: list[Job] = []
        self._known: dict[str, None] = {}

    @property
    def active(self) -> Mapping[str, Watched]:
        return self._active

    @property
    def has_ended(self) -> bool:
        """Some job has ended since `take_ended`."""
        return bool(self._fresh)

    def note(self, event: Any, now: float) -> None:
        """Take an event into account; `now` is the observer's clock."""
        if isinstance(event, JobProgress):
            self.advance(event.id, event.done, event.total, now)
        elif isinstance(event, JobChanged) and event.job.state in ACTIVE:
            job = event.job
            before = self._active.get(job.id)
            if before is None or before.job.state is not job.state or before.job.attempt != job.attempt:
                self._active[job.id] = Watched(job=job, done=job.done, total=job.total, since=now)
            else:
                self._active[job.id] = attrs.evolve(before, job=job)
        elif isinstance(event, JobChanged):
            self._active.pop(event.job.id, None)
            self._note_end(event.job)

    def _note_end(self, job: Job) -> None:
        # A later edit of an ended job is no second end.
        if not job.finished or job.id in self._known or job.events[-1].at < self._began_at:
            return
        self._fresh.append(job)
        self._known[job.id] = None
        if len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]

    def advance(self, job_id: str, done: int, total: int, now: float) -> None:
        """A running job's progress is known."""
        if job_id in self._active:
            self._active[job_id] = self._active[job_id].advanced(done, total, now)

    def take_ended(self) -> tuple[Job, ...]:
        """Jobs that have ended since this was last asked."""
        ended, self._fresh = tuple(self._fresh), []
        return ended
