"""The engine: takes jobs, runs them one after the other by priority, keeps their store up to date.

The thin shell that owns a thread and a clock; what a segment is, how it is committed and when a job may move from one
state to another is decided elsewhere.
"""

from __future__ import annotations

import heapq
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import attrs

from seisproc_core.data.survey import Survey
from seisproc_core.errors import Cancelled, DataError, Incomplete, SeisprocError, StepError, UsageError
from seisproc_core.execution.executor import Executor
from seisproc_core.jobs.control import CANCEL
from seisproc_core.jobs.lock import OutputLock
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.runner import FolderRun, MemoryRun, Run, open_run_survey
from seisproc_core.jobs.states import State
from seisproc_core.jobs.store import JobStore, MemoryStore
from seisproc_core.jobs.workfolder import WorkFolder, check_target, sealed_fingerprint, sweep
from seisproc_core.plugins import Registry, registry
from seisproc_core.processing.flow import Flow
from seisproc_core.processing.planning import Plan, plan_flow

IN_PROCESS = "in-process"


@attrs.frozen(kw_only=True)
class Progress:
    """How far a job is: input traces done and planned over all stages, traces/s, seconds left (None: unknown)."""

    state: State
    stage: int
    stages: int
    done: int
    total: int
    rate: float
    eta_s: float | None


class JobHandle:
    """A submitted job, as its submitter holds it."""

    def __init__(self, engine: Engine, job: Job, run: Run, notes: tuple[str, ...], lock: OutputLock | None) -> None:
        self.id = job.id
        self.notes = notes
        self._engine = engine
        self._run = run
        self._lock = lock
        self._finished = threading.Event()
        self._error: BaseException | None = None
        self._result: Survey | Path | None = None
        self._began = time.monotonic()
        self._began_at = run.committed
        self._best = 0

    @property
    def job(self) -> Job:
        """The job as its store has it."""
        return self._engine.store.get(self.id)

    def snapshot(self) -> Progress:
        """Progress now. Never runs backwards, and reaches the total only when the job is completed."""
        run, state = self._run, self.job.state
        done = run.committed + run.control.in_flight()
        ceiling = run.total if state is State.COMPLETED else run.total - 1
        self._best = max(self._best, min(done, ceiling)) if state is not State.COMPLETED else run.total
        passed = time.monotonic() - self._began
        rate = (self._best - self._began_at) / passed if passed > 0.2 else 0.0
        eta = (run.total - self._best) / rate if rate > 0 else None
        stages = len(run.work.stages) if isinstance(run, FolderRun) else 1
        return Progress(
            state=state, stage=run.stage, stages=stages, done=self._best, total=run.total, rate=rate, eta_s=eta
        )

    def progress(self, every_s: float = 0.1) -> Iterator[Progress]:
        """Progress reports until the job has ended; the last one shows its final state."""
        while not self._finished.wait(every_s):
            yield self.snapshot()
        yield self.snapshot()

    def cancel(self) -> None:
        """Ask the job to stop; it will never be completed after this returns, unless it already was."""
        self._engine._cancel(self)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end; False when the time ran out."""
        return self._finished.wait(timeout_s)

    def result(self, timeout_s: float | None = None) -> Result:
        """The result; raises the job's error if it failed, `Cancelled` if it was cancelled."""
        if not self.wait(timeout_s):
            raise UsageError(f"job {self.id} is still {self.job.state} after {timeout_s} s")
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return Result(self._result, self._engine.registry)


class Result:
    """What a completed job made."""

    def __init__(self, made: Survey | Path, known: Registry) -> None:
        self._made = made
        self._registry = known

    @property
    def path(self) -> Path:
        """Where it lies; `UsageError` for a result in memory."""
        if not isinstance(self._made, Path):
            raise UsageError("the result is in memory; use open()")
        return self._made

    def open(self) -> Survey:
        """The result as an open survey."""
        return open_run_survey(self._made, self._registry) if isinstance(self._made, Path) else self._made


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
        self._workers = workers or len(os.sched_getaffinity(0))
        self._threads = threads
        self._queue: list[tuple[int, int, JobHandle]] = []
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
            waiting = [handle for _, _, handle in self._queue]
            self._changed.notify()
        if cancel:
            for handle in waiting:
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
        replace
            Replace an output that is there, when the new one is whole.
        discard
            Throw away an unfinished output of an earlier, different job.
        resume
            Go on with an unfinished output of the same flow, and accept a finished one as the result.

        Raises
        ------
        UsageError, OutputExists, OutputBusy, DataError
            Anything wrong with the request, before any work and with nothing left behind.
        """
        survey = flow.source.survey
        if survey is None:
            survey = self.registry.load("storage", flow.source.storage)().open(flow.source.paths, flow.source.options)
        if flow.sink.storage == "memory":
            plan = plan_flow(flow, self.registry, survey)
            job = Job(name=flow.name, type=type, config=describe(flow), priority=priority, executor=IN_PROCESS)
            self.store.add(job)
            return self._enqueue(job, MemoryRun(plan, survey, self.registry), plan.notes, None)
        if flow.source.storage == "memory":
            raise UsageError("a survey in memory can only be processed into memory; write it to a file first")
        return self._submit_to_disk(flow, survey, type, priority, executor, replace, discard, resume)

    def _submit_to_disk(
        self,
        flow: Flow,
        survey: Survey,
        type: str,
        priority: int,
        executor: str | None,
        replace: bool,
        discard: bool,
        resume: bool,
    ) -> JobHandle:
        target = Path(flow.sink.path)
        done = resume and os.path.lexists(target)
        check_target(target, list(flow.source.paths), replace=replace or done)
        plan = plan_flow(flow, self.registry, survey)
        versions = self._versions(plan)
        fingerprint = plan.fingerprint(versions)
        job = Job(
            name=flow.name,
            type=type,
            config=describe(flow),
            output=str(target),
            priority=priority,
            workers=self._workers,
            threads=self._threads,
            executor=executor or self._executor or self._default_executor(),
        )
        lock = OutputLock(target, job.id)
        try:
            self._settle_dead_holder(target)
            found = self._adoptable(target, fingerprint, discard=discard)
            if done and found is None:
                handle = self._already_done(job, target, fingerprint)
                lock.release(remove=True)
                return handle
            self.store.add(job)
            if found is None:
                record = {
                    "job": job.id, "name": flow.name, "type": type, "replace": replace, "flow": dict(job.config),
                    "inputs": list(plan.inputs), "notes": list(plan.notes), "versions": versions,
                    "executor": job.executor, "workers": job.workers, "threads": job.threads,
                }  # fmt: skip
                found = WorkFolder.create(target, fingerprint, plan.stages, self._file_bytes(plan), record)
            run = FolderRun(found, self.registry, keep_open=(lock.handle,))
        except BaseException as error:
            self._abandon(job, error)
            if lock.held:
                lock.release(remove=not WorkFolder.find(target))
            raise
        return self._enqueue(job, run, plan.notes, lock)

    def resume(self, target: Path, *, executor: str | None = None, trust: bool = False) -> JobHandle | None:
        """Go on with the unfinished output that lies beside `target`, from its folder alone.

        Returns
        -------
        The job, or None when the output is already whole.

        Raises
        ------
        UsageError
            There is nothing to resume.
        """
        target = Path(os.path.abspath(target))
        found = WorkFolder.find(target)
        if not found and os.path.lexists(target):
            return None
        if not found:
            raise UsageError(f"nothing to resume: there is no unfinished output for {target}")
        if len(found) > 1:
            raise UsageError(f"{target} has {len(found)} unfinished outputs: {', '.join(p.name for p in found)}")
        lock = OutputLock(target, "resume")
        try:
            self._settle_dead_holder(target)
            sweep(target)
            found = WorkFolder.find(target)
            if found and WorkFolder(found[0]).committed:
                WorkFolder(found.pop()).remove()
            if not found:
                lock.release(remove=True)
                return self.resume(target, executor=executor, trust=trust)
            work = WorkFolder(found[0])
            record = work.record
            self._check_versions(record)
            self._check_inputs(work)
            job = Job(
                name=str(record["name"]),
                type=str(record["type"]),
                config=record["flow"],
                output=str(target),
                workers=self._workers,
                threads=int(record["threads"]),
                executor=executor or self._executor or str(record["executor"]),
            )
            self.store.add(job)
            run = FolderRun(work, self.registry, trust=trust, keep_open=(lock.handle,))
        except BaseException:
            if lock.held:
                lock.release(remove=not WorkFolder.find(target))
            raise
        return self._enqueue(job, run, tuple(record["notes"]), lock)

    # -- preparation -------------------------------------------------------------------------------------------------

    def _default_executor(self) -> str:
        best = self.registry.best("executors")
        assert best is not None
        return best.id

    def _versions(self, plan: Plan) -> dict[str, str]:
        """Versions of every distribution whose code decides the output's bytes."""
        used = {step.distribution for stage in plan.stages for step in stage.steps}
        used |= {self.registry.find("storage", stage.storage).distribution for stage in plan.stages}
        return {name: self.registry.version_of(name) for name in sorted(used)}

    def _check_versions(self, record: Mapping[str, Any]) -> None:
        for name, version in record["versions"].items():
            now = self.registry.version_of(name)
            if now != version:
                raise Incomplete(
                    f"the unfinished output was begun with {name} {version}, installed is {now or 'none'}; "
                    "install that version, or run again with --discard"
                )

    def _check_inputs(self, work: WorkFolder) -> None:
        source = work.stages[0].source
        survey = self.registry.load("storage", source["storage"])().open(source["paths"], source["options"])
        if survey.identity() != list(work.record["inputs"]):
            raise Incomplete(f"the input changed since {work.target} was begun; run again with --discard")

    def _file_bytes(self, plan: Plan) -> int | None:
        last = plan.stages[-1]
        size: int | None = self.registry.load("storage", last.storage)().sink(last.output).file_bytes
        return size

    def _adoptable(self, target: Path, fingerprint: str, *, discard: bool) -> WorkFolder | None:
        """The unfinished output of the same job, if there is one; others are refused or discarded."""
        sweep(target)
        same = None
        for path in WorkFolder.find(target):
            if WorkFolder(path).committed:
                WorkFolder(path).remove()
            elif path.name.endswith(f".{fingerprint[:8]}.part") and not discard:
                same = WorkFolder(path)
            elif discard:
                WorkFolder(path).remove()
            else:
                raise Incomplete(
                    f"{path.name} holds the unfinished output of another flow: "
                    f"seisproc resume {target} finishes it, --discard throws it away"
                )
        return same

    def _already_done(self, job: Job, target: Path, fingerprint: str) -> JobHandle:
        """`resume` of a finished output: no byte changes."""
        sealed = sealed_fingerprint(target)
        if sealed != fingerprint and (sealed is not None or target.is_dir()):
            raise UsageError(f"{target} is the result of another flow; use --replace to replace it")
        self.store.add(job)
        for state in (State.QUEUED, State.RUNNING, State.SEALING, State.COMPLETED):
            self.store.move(job.id, state, "already complete")
        handle = JobHandle(self, job, _NothingToDo(), (), None)
        handle._result = target
        handle._finished.set()
        return handle

    def _settle_dead_holder(self, target: Path) -> None:
        """We hold the lock, so whichever unfinished job the store has for this output lost its engine."""
        holder = self.store.holder(str(target))
        if holder is None:
            return
        committed = any(WorkFolder(path).committed for path in WorkFolder.find(target))
        if holder.state is State.SEALING and (committed or not WorkFolder.find(target)):
            self.store.move(holder.id, State.COMPLETED, "its engine died after the commit")
        elif holder.state in (State.CANCELLING, State.PAUSED):
            self.store.move(holder.id, State.CANCELLED, "its engine died")
        else:
            self.store.move(holder.id, State.FAILED, "its engine died", error="its engine died; resumed as a new job")

    def _abandon(self, job: Job, error: BaseException) -> None:
        """A job that was stored but could not be prepared ends as failed."""
        try:
            self.store.move(job.id, State.FAILED, str(error), error=str(error))
        except SeisprocError:
            return

    # -- running -----------------------------------------------------------------------------------------------------

    def _enqueue(self, job: Job, run: Run, notes: tuple[str, ...], lock: OutputLock | None) -> JobHandle:
        self.store.move(job.id, State.QUEUED)
        handle = JobHandle(self, job, run, notes, lock)
        with self._changed:
            if self._closing:
                raise UsageError("the engine is closed")
            self._count += 1
            heapq.heappush(self._queue, (-job.priority, self._count, handle))
            self._changed.notify()
        return handle

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closing:
                    self._changed.wait()
                if not self._queue:
                    return
                _, _, handle = self._queue[0]
            if not handle._finished.is_set():
                self._run(handle)
            with self._changed:
                self._queue = [entry for entry in self._queue if entry[2] is not handle]
                heapq.heapify(self._queue)

    def _run(self, handle: JobHandle) -> None:
        run = handle._run
        try:
            job = self.store.move(handle.id, State.RUNNING)
            executor = self._make_executor(job.executor)
            try:
                run.execute(executor, self._workers, self._threads)
            finally:
                closing = getattr(executor, "close", None)
                if closing:
                    closing()
            self.store.move(handle.id, State.SEALING)
            handle._result = run.seal()
            self.store.report(handle.id, run.total, run.total)
            self.store.move(handle.id, State.COMPLETED)
        except BaseException as error:
            handle._error = error
            self._fail(handle, error)
        finally:
            run.close()
            if handle._lock is not None:
                target = handle._lock.path.with_name(handle._lock.path.name.removesuffix(".lock"))
                handle._lock.release(remove=not WorkFolder.find(target))
            handle._finished.set()

    def _fail(self, handle: JobHandle, error: BaseException) -> None:
        """Note why; what can go on stays, what would only fail again leaves nothing behind."""
        run = handle._run
        self.store.report(handle.id, run.committed, run.total)
        if isinstance(error, (StepError, DataError)) and isinstance(run, FolderRun):
            run.work.remove()
        cancelled = isinstance(error, Cancelled) or run.control.command == CANCEL
        if cancelled:
            if self.store.get(handle.id).state is State.RUNNING:
                self.store.move(handle.id, State.CANCELLING)
            self.store.move(handle.id, State.CANCELLED)
            handle._error = error if isinstance(error, Cancelled) else Cancelled()
        else:
            self.store.move(handle.id, State.FAILED, str(error), error=str(error))

    def _make_executor(self, id: str) -> Executor:
        made: Executor = self.registry.load("executors", id)()
        return made

    def _cancel(self, handle: JobHandle) -> None:
        with self._changed:
            state = self.store.get(handle.id).state
            if state is State.QUEUED:
                self.store.move(handle.id, State.CANCELLED)
                handle._error = Cancelled()
                handle._finished.set()
                self._changed.notify()
            elif state is State.RUNNING:
                self.store.move(handle.id, State.CANCELLING)
                handle._run.control.raise_command(CANCEL)


class _NothingToDo:
    """The run of a job whose output was already whole."""

    total = committed = stage = 0

    def __init__(self) -> None:
        from seisproc_core.jobs.control import Control

        self.control = Control()

    def execute(self, executor: Executor, workers: int, threads: int) -> None:
        return None

    def seal(self) -> Path:
        raise UsageError("nothing to seal")

    def close(self) -> None:
        return None


def describe(flow: Flow) -> dict[str, Any]:
    """A flow as plain JSON values: what the store, the working folder and the provenance keep."""
    return {
        "name": flow.name,
        "source": {
            "storage": flow.source.storage,
            "paths": list(flow.source.paths),
            "gather": list(flow.source.gather),
            "sort": list(flow.source.sort),
            "options": dict(flow.source.options),
        },
        "steps": [{"use": s.use, "backend": s.backend, "parameters": _plain(dict(s.parameters))} for s in flow.steps],
        "sink": {
            "storage": flow.sink.storage,
            "path": flow.sink.path,
            "index": [list(keys) for keys in flow.sink.index],
            "options": dict(flow.sink.options),
        },
    }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value.to_json() if hasattr(value, "to_json") else value for key, value in values.items()}
