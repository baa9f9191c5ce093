"""What becomes of a job whose process is gone: one rule, for whoever notices it first."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from seisproc_core.errors import IllegalTransition
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.process import lives
from seisproc_core.jobs.states import ACTIVE, State
from seisproc_core.jobs.store import JobStore
from seisproc_core.jobs.workfolder import WorkFolder, is_committed

MAX_DEATHS = 3  # of processes that ran the same job


def is_interrupted(state: State, driver: str, *, attached: bool) -> bool:
    """Whether a job in this state needs a process that is no longer there."""
    needs_one = state in ACTIVE or (attached and state in (State.QUEUED, State.PAUSED))
    return needs_one and not lives(driver)


def recover(store: JobStore, job: Job) -> Job:
    """Bring an interrupted job to where it can go on, or to its end; any other is left as it is.

    A detached job is queued again, and fails at the third death. A job that belonged to its process ends with it: what
    it wrote stays and can be resumed. One whose output is in place is complete, whoever was to note that.
    """
    if not is_interrupted(job.state, job.driver, attached=job.attached):
        return job
    with contextlib.suppress(IllegalTransition):  # somebody else noticed it too, and was faster
        return _recovered(store, job)
    return store.get(job.id)


def _recovered(store: JobStore, job: Job) -> Job:
    if job.state is State.CANCELLING:
        return store.move(job.id, State.CANCELLED, "its process ended")
    if job.state is State.SEALING and is_in_place(job):
        return store.move(job.id, State.COMPLETED, "its process ended after the commit")
    if job.attached:
        unfinished = job.output and WorkFolder.find(Path(job.output))
        way_on = f"; go on with: seisproc resume {job.output}" if unfinished else ""
        message = f"its process ended before it was complete{way_on}"
        return store.move(job.id, State.FAILED, message, error=message)
    if job.state is State.PAUSING:
        return store.move(job.id, State.PAUSED, "its process ended", driver="")
    if job.attempt + 1 >= MAX_DEATHS:
        message = f"the process that ran it died {MAX_DEATHS} times; its log is {job.log or 'empty'}"
        return store.move(job.id, State.FAILED, message, error=message)
    return store.move(job.id, State.QUEUED, "its process died", driver="", attempt=job.attempt + 1)


def is_in_place(job: Job) -> bool:
    """Whether the output of a job that was sealing is there, with nothing left to do but to clean up."""
    target = Path(job.output)
    return os.path.lexists(target) and all(is_committed(path) for path in WorkFolder.find(target))
