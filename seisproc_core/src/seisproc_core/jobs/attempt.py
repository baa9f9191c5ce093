"""One attempt at a job in this process, from its grant to its end or its pause."""

from __future__ import annotations

import contextlib
import logging
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seisproc_core.data.survey import Survey
from seisproc_core.errors import Cancelled, DiskFull, IllegalTransition, SeisprocError, without_secrets
from seisproc_core.execution.executor import Executor
from seisproc_core.jobs.control import CANCEL
from seisproc_core.jobs.handle import JobHandle
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.runner import FolderRun, Run
from seisproc_core.jobs.states import State
from seisproc_core.jobs.store import JobStore
from seisproc_core.places import state_folder

logger = logging.getLogger(__name__)


class Attempt:
    """Runs a granted job and notes in the store what becomes of it.

    Parameters
    ----------
    executor
        The executor of the job's choice.
    """

    def __init__(self, handle: JobHandle, store: JobStore, executor: Executor) -> None:
        assert handle.prepared is not None
        self._handle, self._store, self._executor = handle, store, executor
        self._run = handle.prepared.run
        self._began = time.monotonic()

    def run(self) -> None:
        """Take the job to its end, or to a pause. Never raises."""
        handle = self._handle
        result: Survey | Path | None = None
        error: BaseException | None = None
        try:
            result = self._complete()
        except BaseException as problem:
            error = note_failure(handle.id, self._run, self._store, problem)
            if error is None:
                return  # paused
        try:
            assert handle.prepared is not None
            handle.prepared.release()
        except Exception:
            logger.exception("job %s: its files could not be let go", handle.id)
        handle.end(result=result, error=error)

    def _complete(self) -> Survey | Path:
        run, job = self._run, self._handle.job
        run.on_commit = self._reporter()
        with contextlib.suppress(SeisprocError):  # onlookers want to know the total; the journal counts
            self._store.report(job.id, run.committed, run.total)
        run.execute(self._executor, job.workers, job.threads)
        try:
            self._store.move(job.id, State.SEALING)
        except IllegalTransition as late:  # it was told to stop when there was no segment left to stop
            raise Cancelled from late
        result = run.seal()
        # The output is there: a store that fails from here on cannot take it back.
        try:
            changes: dict[str, Any] = {
                "done": run.total,
                "total": run.total,
                "result": self._summary(result),
                "usage": self._usage(),
            }
            self._store.move(job.id, State.COMPLETED, **changes)
        except Exception as problem:
            logger.warning("job %s is complete, but its store does not know: %s", job.id, problem)
        return result

    def _summary(self, result: Survey | Path) -> dict[str, Any]:
        place = str(result) if isinstance(result, Path) else "in memory"
        return {"traces_in": self._run.traces_in, "output": place}

    def _usage(self) -> dict[str, Any]:
        return {"seconds": round(time.monotonic() - self._began, 3), **self._run.usage()}

    def _reporter(self) -> Callable[[], None]:
        """Tells the store how far the job is, at most once a second."""
        last = time.monotonic()

        def report() -> None:
            nonlocal last
            if time.monotonic() - last > 1:
                last = time.monotonic()
                with contextlib.suppress(SeisprocError):
                    self._store.report(self._handle.id, self._run.committed, self._run.total)

        return report


def note_failure(job_id: str, run: Run | None, store: JobStore, error: BaseException) -> BaseException | None:
    """Note in the store why an attempt ended without a result; None when it may go on later.

    What can go on stays, what would only fail again leaves nothing behind. Never raises.
    """
    try:
        if isinstance(run, FolderRun) and run.hopeless:
            run.work.remove()
        if run is not None:
            store.report(job_id, run.committed, run.total)
        job = store.get(job_id)
        stopped = _stopped(job, store, error, run is not None and run.control.command == CANCEL)
        if stopped is not None:
            return None if stopped is State.PAUSED else error if isinstance(error, Cancelled) else Cancelled()
        message = one_line(error)
        if isinstance(error, DiskFull) and not job.attached:
            store.move(job_id, State.PAUSED, message)
            return None
        store.move(job_id, State.FAILED, message, error=message, log=save_log(job_id, run, error))
    except Exception as problem:
        logger.warning("job %s: its end could not be noted: %s", job_id, problem)
    return error


def _stopped(job: Job, store: JobStore, error: BaseException, told_to_cancel: bool) -> State | None:
    """Where a job is that stopped because it was told to, by this process or through the store; None: it was not."""
    state = job.state
    try:
        if state is State.RUNNING and (told_to_cancel or isinstance(error, Cancelled)):
            state = store.move(job.id, State.CANCELLING).state
        if state is State.CANCELLING:
            state = store.move(job.id, State.CANCELLED).state
        if state is State.PAUSING and isinstance(error, Cancelled):
            state = store.move(job.id, State.PAUSED).state
    except IllegalTransition:  # a pause became a cancel in this very moment
        return _stopped(store.get(job.id), store, error, told_to_cancel)
    return state if state in (State.CANCELLED, State.PAUSED) else None


def save_log(job_id: str, run: Run | None, error: BaseException) -> str:
    """Keep the traceback, and what workers printed, where it outlives the working folder; "" where that fails."""
    if run is not None and not isinstance(run, FolderRun):
        return ""
    path = state_folder() / "logs" / f"{job_id}.txt"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        worker_log = run.work.path / "log.txt" if run is not None else None
        printed = worker_log.read_text("utf-8", "replace") if worker_log and worker_log.exists() else ""
        path.write_text(
            without_secrets(printed + "".join(traceback.format_exception(error))), "utf-8", "backslashreplace"
        )
    except OSError:
        return ""
    return str(path)


def one_line(error: BaseException) -> str:
    """What went wrong, in one line; the kind of an error that was not written for people."""
    message = str(error) if isinstance(error, SeisprocError) else f"{type(error).__name__}: {error}"
    return without_secrets(" ".join(message.split()))
