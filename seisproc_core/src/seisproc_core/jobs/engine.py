"""The engine: takes jobs, runs them one after the other by priority, keeps their store up to date.

The thin shell that owns a thread and a clock; what a segment is, how it is committed and when a job may move from one
state to another is decided elsewhere.
"""

from __future__ import annotations

import contextlib
import heapq
import logging
import os
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from seisproc_core.data.survey import Survey
from seisproc_core.errors import Cancelled, SeisprocError, UsageError
from seisproc_core.execution.executor import Executor
from seisproc_core.jobs.control import CANCEL
from seisproc_core.jobs.handle import JobHandle, Prepared, Progress
from seisproc_core.jobs.prepare import Request, abandon, prepare, prepare_resume
from seisproc_core.jobs.runner import FolderRun, Run
from seisproc_core.jobs.states import State
from seisproc_core.jobs.store import JobStore, MemoryStore
from seisproc_core.jobs.workfolder import WorkFolder
from seisproc_core.places import state_folder
from seisproc_core.plugins import registry
from seisproc_core.processing.flow import Flow

__all__ = ["Engine", "JobHandle", "Progress"]

logger = logging.getLogger(__name__)


class Engine:
    """Runs jobs in this process.

    Parameters
    ----------
    store
        Where jobs are kept; a private one in memory by default.
    executor
        Id of the executor jobs run on; the best installed one by default, ``in-process`` for jobs in memory.
    workers
        Workers per job; one per CPU by default.
    threads
        Threads that a kernel may use inside a worker.
    """

    def __init__(
        self,
        *,
        store: JobStore | None = None,
        executor: str | None = None,
        workers: int | None = None,
        threads: int = 1,
    ) -> None:
        self.store: JobStore = store or MemoryStore()
        self.registry = registry()
        self._executor = executor
        self._workers = workers or _cpus()
        self._threads = threads
        self._queue: list[tuple[int, int, JobHandle]] = []
        self._running: JobHandle | None = None
        self._count = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="seisproc-engine", daemon=True)
        self._thread.start()

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(cancel=error is not None)

    def close(self, *, cancel: bool = False) -> None:
        """Finish (or cancel) what was submitted, then stop."""
        with self._changed:
            self._closing = True
            open_jobs = [handle for _, _, handle in self._queue] + ([self._running] if self._running else [])
            self._changed.notify()
        if cancel:
            for handle in open_jobs:
                handle.cancel()
        self._thread.join()

    def submit(
        self,
        flow: Flow,
        *,
        type: str = "flow",
        priority: int = 5,
        executor: str | None = None,
        replace: bool = False,
        discard: bool = False,
        resume: bool = False,
    ) -> JobHandle:
        """Plan a flow and queue it as a job.

        Parameters
        ----------
        type
            For people and history: ``import``, ``flow``, ``export``.
        priority
            0 (low) to 9 (high); first come, first served within one.
        replace
            Replace an output that is there, when the new one is whole.
        discard
            Throw away an unfinished output of an earlier, different job.
        resume
            Go on with an unfinished output of the same flow, and accept a finished one as the result.

        Raises
        ------
        UsageError, OutputExists, OutputBusy, DataError, Incomplete
            Anything wrong with the request, before any work and with nothing left behind.
        """
        request = Request(
            type=type,
            priority=priority,
            executor=executor or self._executor,
            workers=self._workers,
            threads=self._threads,
            replace=replace,
            discard=discard,
            resume=resume,
        )
        return self._enqueue(prepare(flow, request, self.store, self.registry))

    def resume(self, target: Path, *, executor: str | None = None, trust: bool = False) -> JobHandle | None:
        """Go on with the unfinished output that lies beside `target`, from its folder alone.

        Parameters
        ----------
        trust
            Do not check the bytes of what is journalled.

        Returns
        -------
        The job, or None when the output is already whole.

        Raises
        ------
        UsageError
            There is nothing to resume.
        Incomplete
            The input or a plugin's version changed since the output was begun.
        """
        request = Request(executor=executor or self._executor, workers=self._workers)
        target = Path(os.path.abspath(target))
        prepared = prepare_resume(target, request, self.store, self.registry, trust=trust)
        return None if prepared is None else self._enqueue(prepared)

    def _enqueue(self, prepared: Prepared) -> JobHandle:
        handle = JobHandle(prepared, self.store, self.registry, self._cancel)
        if handle.ended:
            return handle
        with self._changed:
            try:
                if self._closing:
                    raise UsageError("the engine is closed")
                self.store.move(handle.id, State.QUEUED)
            except SeisprocError as error:
                abandon(self.store, prepared.job, error)
                _release(prepared)
                raise
            self._count += 1
            heapq.heappush(self._queue, (-prepared.job.priority, self._count, handle))
            self._changed.notify()
        return handle

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closing:
                    self._changed.wait()
                if not self._queue:
                    return
                _, _, handle = heapq.heappop(self._queue)
                # Under the lock: a cancel sees the job either queued or running.
                self._running = None if handle.ended else handle
                error = self._begin(handle) if self._running else None
            if self._running:
                self._run(handle, error)
            self._running = None

    def _begin(self, handle: JobHandle) -> BaseException | None:
        """Tell the store that a job runs; why it may not, otherwise: another process cancelled it, the disk is full."""
        try:
            self.store.move(handle.id, State.RUNNING)
        except Exception as problem:
            return problem
        return None

    def _run(self, handle: JobHandle, error: BaseException | None) -> None:
        """Take a job to its end. Whatever happens, it gets one, and its lock is given up."""
        result: Survey | Path | None = None
        try:
            if error is not None:
                raise error
            result = self._complete(handle)
        except BaseException as problem:
            error = self._failed(handle, problem)
        try:
            _release(handle.prepared)
        except Exception:
            logger.exception("job %s: its files could not be let go", handle.id)
        handle.end(result=result, error=error)

    def _complete(self, handle: JobHandle) -> Survey | Path:
        run = handle.prepared.run
        if isinstance(run, FolderRun):
            run.on_commit = self._reporter(handle)
        executor: Executor = self.registry.load("executors", handle.prepared.job.executor)()
        try:
            run.execute(executor, self._workers, self._threads)
        finally:
            getattr(executor, "close", lambda: None)()
        self.store.move(handle.id, State.SEALING)
        result = run.seal()
        # The output is there: a store that fails from here on cannot take it back.
        summary = {"traces_in": run.traces_in, "output": str(result) if isinstance(result, Path) else "in memory"}
        try:
            self.store.report(handle.id, run.total, run.total)
            self.store.move(handle.id, State.COMPLETED, result=summary)
        except Exception as problem:
            logger.warning("job %s is complete, but its store does not know: %s", handle.id, problem)
        return result

    def _reporter(self, handle: JobHandle) -> Callable[[], None]:
        """Tells the store how far the job is, at most once a second."""
        run, last = handle.prepared.run, time.monotonic()

        def report() -> None:
            nonlocal last
            if time.monotonic() - last > 1:
                last = time.monotonic()
                with contextlib.suppress(SeisprocError):  # the journal counts, this is for onlookers
                    self.store.report(handle.id, run.committed, run.total)

        return report

    def _failed(self, handle: JobHandle, error: BaseException) -> BaseException:
        """Note why; what can go on stays, what would only fail again leaves nothing behind. Never raises."""
        run = handle.prepared.run
        log = save_log(handle.id, run, error)
        try:
            if isinstance(run, FolderRun) and run.hopeless:
                run.work.remove()
            self.store.report(handle.id, run.committed, run.total)
            if self._was_cancelled(handle, error):
                return error if isinstance(error, Cancelled) else Cancelled()
            message = one_line(error)
            self.store.move(handle.id, State.FAILED, message, error=message, log=log)
        except Exception as problem:
            logger.warning("job %s: its end could not be noted: %s", handle.id, problem)
        return error

    def _was_cancelled(self, handle: JobHandle, error: BaseException) -> bool:
        """Whether a job that stopped was told to, by this process or through the store; then it is cancelled now."""
        state = self.store.get(handle.id).state
        if state is State.RUNNING and (isinstance(error, Cancelled) or handle.prepared.run.control.command == CANCEL):
            state = self.store.move(handle.id, State.CANCELLING).state
        if state is State.CANCELLING:
            state = self.store.move(handle.id, State.CANCELLED).state
        return state is State.CANCELLED

    def _cancel(self, handle: JobHandle) -> None:
        with self._changed:
            state = self.store.get(handle.id).state
            if state is State.QUEUED:
                self.store.move(handle.id, State.CANCELLED)
                _release(handle.prepared)
                handle.end(error=Cancelled())
            elif state is State.RUNNING:
                self.store.move(handle.id, State.CANCELLING)
                handle.prepared.run.control.raise_command(CANCEL)


def _release(prepared: Prepared) -> None:
    """Give up the journal and the output's lock; once."""
    if prepared.lock is not None and prepared.lock.held:
        prepared.run.close()
        target = Path(prepared.job.output)
        prepared.lock.release(remove=not WorkFolder.find(target))


def save_log(job_id: str, run: Run, error: BaseException) -> str:
    """Keep the traceback, and what workers printed, where it outlives the working folder; "" where that fails."""
    if not isinstance(run, FolderRun) or isinstance(error, Cancelled):
        return ""
    path = state_folder() / "logs" / f"{job_id}.txt"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        worker_log = run.work.path / "log.txt"
        printed = worker_log.read_text("utf-8", "replace") if worker_log.exists() else ""
        path.write_text(printed + "".join(traceback.format_exception(error)), "utf-8", "backslashreplace")
    except OSError:
        return ""
    return str(path)


def one_line(error: BaseException) -> str:
    """What went wrong, in one line; the kind of an error that was not written for people."""
    message = str(error) if isinstance(error, SeisprocError) else f"{type(error).__name__}: {error}"
    return " ".join(message.split())


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
