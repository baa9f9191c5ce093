"""The workers of a job, from the control files in its working folders. No lock is taken and nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from seisproc_core.errors import SeisprocError
from seisproc_core.jobs.control import Control, WorkerState
from seisproc_core.jobs.model import Job


def worker_states(job: Job) -> list[WorkerState]:
    """The workers there are; none for a job in memory, or one that is not written at the moment."""
    return [state for control in _controls(job) for state in control.workers()]


def in_flight(job: Job) -> int:
    """Input traces done in segments that are not finished."""
    return sum(control.in_flight() for control in _controls(job))


def _controls(job: Job) -> Iterator[Control]:
    from seisproc_core.jobs.workfolder import WorkFolder

    try:
        folders = WorkFolder.find(Path(job.output)) if job.output else []
    except (OSError, ValueError):
        return
    for folder in folders:
        try:
            yield Control(folder / "control")
        except (SeisprocError, OSError, ValueError):
            continue  # it has not begun, or is over, or belongs to somebody else
