"""What any process of the user may do to a job, wherever it runs: cancel, pause, resume, re-prioritise.

Each is a compare-and-set in the job store, and a command byte in the control file that the job's workers poll.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from seisproc_core.errors import IllegalTransition, SeisprocError, UsageError
from seisproc_core.jobs.control import CANCEL, PAUSE, Control
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.recovery import is_interrupted, recover
from seisproc_core.jobs.states import State
from seisproc_core.jobs.store import JobStore
from seisproc_core.jobs.workfolder import WorkFolder


def cancel(store: JobStore, job_id: str, reason: str = "") -> Job:
    """Cancel a job, and what comes after it.

    Returns
    -------
    The job: cancelled, or cancelling if its workers have to stop first. It will not be completed any more; a job that
    was finished already is returned as it is.

    Raises
    ------
    UsageError
        The job is just writing its last bytes.
    """

    def step(job: Job) -> Job:
        if job.state is State.SEALING:
            job = recover(store, job)
        if job.finished:
            return job
        if job.state is State.SEALING:
            raise UsageError(f"job {job.id} is already finishing: too late to cancel it")
        if job.state in (State.QUEUED, State.PAUSED):
            return store.move(job.id, State.CANCELLED, reason)
        if job.state is not State.CANCELLING:
            job = store.move(job.id, State.CANCELLING, reason)
        if is_interrupted(job.state, job.driver, attached=job.attached):  # nobody is there to obey
            return store.move(job.id, State.CANCELLED, reason)
        raise_command(job, CANCEL)
        return job

    job = _try(store, job_id, step)
    if job.state in (State.CANCELLING, State.CANCELLED):
        for child in store.children(job.id):
            with contextlib.suppress(UsageError):
                cancel(store, child, f"job {job.id}, which it comes after, was cancelled")
    return job


def pause(store: JobStore, job_id: str) -> Job:
    """Have a job stop after the batches in hand and give back its CPUs, or hold back one that waits.

    Raises
    ------
    UsageError
        The job is finished, finishing or being cancelled.
    """

    def step(job: Job) -> Job:
        job = recover(store, job)
        if job.state is State.QUEUED:
            return store.move(job.id, State.PAUSED, "held back", of=State.QUEUED)
        if job.state is State.RUNNING:
            job = store.move(job.id, State.PAUSING)
            raise_command(job, PAUSE)
        elif job.state not in (State.PAUSING, State.PAUSED):
            raise UsageError(f"job {job.id} is {job.state}: it cannot be paused")
        return job

    return _try(store, job_id, step)


def resume(store: JobStore, job_id: str) -> Job:
    """Queue a paused job again; it goes on where it was.

    Raises
    ------
    UsageError
        The job is not paused.
    """

    def step(job: Job) -> Job:
        job = recover(store, job)
        if job.state is State.PAUSED:
            return store.move(job.id, State.QUEUED, "resumed", of=State.PAUSED)
        if job.state in (State.QUEUED, State.RUNNING):
            return job
        hint = {State.PAUSING: ": try again when it is paused", State.FAILED: f": seisproc jobs retry {job.id}"}
        raise UsageError(f"job {job.id} is {job.state}, not paused{hint.get(job.state, '')}")

    return _try(store, job_id, step)


def prioritise(store: JobStore, job_id: str, priority: int) -> Job:
    """Change the priority of a job that is not finished; one that runs keeps running."""
    check_priority(priority)
    job = store.get(job_id)
    if job.finished:
        raise UsageError(f"job {job.id} is {job.state}: its priority no longer matters")
    return store.edit(job.id, priority=priority)


def check_priority(priority: int) -> None:
    """Raise `UsageError` unless it is from 0 to 9."""
    if not 0 <= priority <= 9:
        raise UsageError(f"priority must be from 0 (low) to 9 (high), not {priority}")


def raise_command(job: Job, command: int) -> None:
    """Raise the command byte in a job's control file; its process and workers poll it."""
    for folder in WorkFolder.find(Path(job.output)) if job.output else ():
        with contextlib.suppress(OSError, SeisprocError):  # it ended a moment ago, or has not begun: the state tells
            Control(folder / "control").raise_command(command)


def _try(store: JobStore, job_id: str, step: Callable[[Job], Job]) -> Job:
    """Take a step from whatever state the job is in; again when it changed meanwhile."""
    while True:
        try:
            return step(store.get(job_id))
        except IllegalTransition:
            continue
