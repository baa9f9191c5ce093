"""Whose an output is: no two unfinished jobs write one path, be it their result or a side output.

The store knows a job by its result. Side outputs of a job that waits, or was interrupted, are known by the lock files
that it left beside them, with its id in them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from seisproc_core.errors import OutputBusy, UsageError
from seisproc_core.jobs.lock import OutputLock
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.recovery import recover
from seisproc_core.jobs.store import JobStore, busy
from seisproc_core.processing.flow import Flow


def settle(store: JobStore, job: Job, lock: OutputLock) -> None:
    """With the locks of its outputs in hand: end the jobs that the store has for them, if their processes are gone.

    Raises
    ------
    OutputBusy
        One is still to be run.
    """
    holder = store.holder(job.output)
    if holder is not None and holder.id != job.id:
        settle_one(store, holder, lock.target)
    settle_owners(store, lock, job.id)


def settle_owners(store: JobStore, lock: OutputLock, job_id: str) -> None:
    """Likewise for jobs of which one of the outputs is a side output: the store knows jobs by their main output."""
    for target, owner in lock.owners():
        with contextlib.suppress(UsageError):  # a job of another store, or forgotten
            found = store.get(owner) if owner else None
            if found is not None and found.id == owner != job_id and _writes(found, target):
                try:
                    settle_one(store, found, target)
                except OutputBusy:
                    lock.leave_to_owner(target)
                    raise


def _writes(job: Job, target: Path) -> bool:
    """Whether a job was to write a path: a folder may have been renamed since, with the lock in it."""
    saved = [path for step in job.config.get("steps", ()) for path in step.get("save", {}).values()]
    return str(target) in (job.output, *saved)


def settle_one(store: JobStore, holder: Job, target: Path) -> None:
    now = recover(store, holder)
    if not now.finished:
        raise busy(str(target), now)


@contextlib.contextmanager
def reserved_sides(store: JobStore, made: Sequence[tuple[Flow, Job]]) -> Iterator[None]:
    """Hold the side outputs of jobs that are planned later, while they are stored; their names are then left there.

    Raises
    ------
    OutputBusy
        Two of these jobs, or another one that is not finished, would write the same path.
    """
    claimed = {job.output for _, job in made}
    locks: list[OutputLock] = []
    try:
        for flow, job in made:
            for path in (path for step in flow.steps for path in step.save.values()):
                if path in claimed:
                    raise OutputBusy(f"{path} would be written by two of these jobs, or twice by one")
                claimed.add(path)
                if Path(path).parent.is_dir():
                    locks.append(OutputLock(Path(path), job.id))
                    settle_owners(store, locks[-1], job.id)
        yield
    except BaseException:
        for lock in locks:
            lock.release(remove=True)
        raise
    for lock in locks:
        lock.release(remove=False)
