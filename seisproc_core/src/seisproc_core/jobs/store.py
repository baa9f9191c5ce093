"""Where jobs are kept: the protocol, and the core's own store in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

import attrs

from seisproc_core.errors import OutputBusy, UsageError
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.states import State


class JobStore(Protocol):
    """Keeps jobs. Every method is safe from several threads, a durable store's also from several processes."""

    def add(self, job: Job) -> None:
        """Keep a new job; when this returns, a durable store has it on disk. `OutputBusy` when another job that is
        not finished has the same output: the path is reserved from here on."""
        ...

    def get(self, job_id: str) -> Job:
        """The job; an unambiguous beginning of its id will do. `UsageError` when there is none."""
        ...

    def list(self, *, limit: int = 50) -> list[Job]:
        """The newest jobs first."""
        ...

    def move(self, job_id: str, state: State, reason: str = "", **changes: Any) -> Job:
        """Make a transition (compare-and-set: `IllegalTransition` if the job's present state has no such edge)."""
        ...

    def report(self, job_id: str, done: int, total: int) -> None:
        """Note progress; need not be durable."""
        ...

    def holder(self, output: str) -> Job | None:
        """The job that is not finished and has this output, if there is one."""
        ...


class MemoryStore:
    """Jobs of this process, forgotten with it."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def add(self, job: Job) -> None:
        with self._lock:
            other = self._holder(job.output)
            if other is not None:
                raise OutputBusy(f"{job.output} belongs to job {other.id} ({other.name}), which is {other.state}")
            self._jobs[job.id] = job

    def get(self, job_id: str) -> Job:
        with self._lock:
            return self._jobs[the_one(job_id, list(self._jobs))]

    def list(self, *, limit: int = 50) -> list[Job]:
        with self._lock:
            return list(reversed(self._jobs.values()))[:limit]

    def move(self, job_id: str, state: State, reason: str = "", **changes: Any) -> Job:
        return self._change(job_id, lambda job: job.moved(state, reason, **changes))

    def report(self, job_id: str, done: int, total: int) -> None:
        self._change(job_id, lambda job: attrs.evolve(job, done=done, total=total))

    def holder(self, output: str) -> Job | None:
        with self._lock:
            return self._holder(output)

    def _holder(self, output: str) -> Job | None:
        unfinished = (job for job in self._jobs.values() if output and job.output == output and not job.finished)
        return next(unfinished, None)

    def _change(self, job_id: str, change: Callable[[Job], Job]) -> Job:
        with self._lock:
            job_id = the_one(job_id, list(self._jobs))
            self._jobs[job_id] = change(self._jobs[job_id])
            return self._jobs[job_id]


def the_one(beginning: str, ids: list[str]) -> str:
    """The only id that begins so."""
    found = [job_id for job_id in ids if job_id.startswith(beginning)] if beginning else []
    if len(found) != 1:
        what = "no job" if not found else f"{len(found)} jobs"
        raise UsageError(f"{what} with an id that begins with '{beginning}' (seisproc jobs list shows them)")
    return found[0]
