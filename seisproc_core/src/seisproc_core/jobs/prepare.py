"""From a request to a job that can run: checks, plan, lock, store, working folder - or the resumption of one.

Whatever is wrong is said here, before any work, and leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

import attrs

from seisproc_core.data.survey import Survey
from seisproc_core.errors import Incomplete, SeisprocError, UsageError
from seisproc_core.jobs.handle import Prepared
from seisproc_core.jobs.lock import OutputLock
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.runner import FolderRun, MemoryRun, NothingToRun
from seisproc_core.jobs.states import State
from seisproc_core.jobs.store import JobStore
from seisproc_core.jobs.workfolder import WorkFolder, check_target, is_committed, remove, sealed_fingerprint, sweep
from seisproc_core.plugins import Registry, requirements
from seisproc_core.processing.flow import Flow
from seisproc_core.processing.kernels import REFERENCE
from seisproc_core.processing.planning import Plan, plan_flow

IN_PROCESS = "in-process"


@attrs.frozen(kw_only=True)
class Request:
    """How a flow is to be run; see `Engine.submit`."""

    type: str = "flow"
    priority: int = 5
    executor: str | None = None
    workers: int = 1
    threads: int = 1
    replace: bool = False
    discard: bool = False
    resume: bool = False


def prepare(flow: Flow, request: Request, store: JobStore, known: Registry) -> Prepared:
    """Plan a flow and store it as a job; see `Engine.submit` for what is refused."""
    if not 0 <= request.priority <= 9:
        raise UsageError(f"priority must be from 0 (low) to 9 (high), not {request.priority}")
    survey = flow.source.survey
    if survey is None:
        survey = known.load("storage", flow.source.storage)().open(flow.source.paths, flow.source.options)
    if flow.sink.storage != "memory":
        return _FolderJob(flow, request, store, known).prepare(survey)
    plan = plan_flow(flow, known, survey)
    job = Job(name=flow.name, type=request.type, config=flow.to_json(), priority=request.priority, executor=IN_PROCESS)
    store.add(job)
    return Prepared(job=job, run=MemoryRun(plan, survey, known), notes=plan.notes)


class _FolderJob:
    """Preparing a job that writes to disk."""

    def __init__(self, flow: Flow, request: Request, store: JobStore, known: Registry) -> None:
        self.flow, self.request, self.store, self.known = flow, request, store, known
        self.target = Path(os.path.abspath(flow.sink.path))

    def prepare(self, survey: Survey) -> Prepared:
        flow, request, target = self.flow, self.request, self.target
        in_memory = flow.source.storage == "memory"
        may_be_done = request.resume and os.path.lexists(target)
        check_target(target, list(flow.source.paths), replace=request.replace or may_be_done)
        plan = plan_flow(flow, self.known, survey)
        versions = _versions(plan, self.known)
        fingerprint = plan.fingerprint(versions)
        job = Job(
            name=flow.name,
            type=request.type,
            config=flow.to_json(),
            output=str(target),
            priority=request.priority,
            workers=request.workers,
            threads=request.threads,
            executor=IN_PROCESS if in_memory else request.executor or _default_executor(self.known),
        )
        self.known.find("executors", job.executor)
        lock = OutputLock(target, job.id)
        fresh: WorkFolder | None = None
        try:
            settle_dead_holder(self.store, target)
            work = self._unfinished(fingerprint)
            if may_be_done and work is None and self._is_done(plan, fingerprint):
                prepared = self._already_done(job)
                lock.release(remove=True)
                return prepared
            self.store.add(job)
            if work is None:
                work = fresh = self._create(plan, job, versions, fingerprint)
            run = FolderRun(
                work,
                self.known,
                source=survey if in_memory else None,
                replace=request.replace,
                keep_open=(lock.handle,),
            )
        except BaseException as error:
            if fresh is not None:
                with contextlib.suppress(SeisprocError):
                    fresh.remove()
            abandon(self.store, job, error)
            if lock.held:
                lock.release(remove=not WorkFolder.find(target))
            raise
        notes = plan.notes if fresh else (*plan.notes, f"going on with the unfinished output {work.path.name}")
        return Prepared(job=job, run=run, notes=notes, lock=lock)

    def _unfinished(self, fingerprint: str) -> WorkFolder | None:
        """The unfinished output of the same job, if there is one; others are refused, or discarded where asked."""
        sweep(self.target)
        same = None
        for path in WorkFolder.find(self.target):
            if self.request.discard or is_committed(path):
                remove(path)
            elif path.name.endswith(f".{fingerprint[:8]}.part"):
                same = WorkFolder(path)
            else:
                raise Incomplete(
                    f"{path.name} holds the unfinished output of another flow: "
                    f"seisproc resume {self.target} finishes it, --discard throws it away"
                )
        return same

    def _is_done(self, plan: Plan, fingerprint: str) -> bool:
        """Whether the output that is there is this job's; a single file tells no more than its size."""
        size = self._file_bytes(plan)
        if size is None:
            done = sealed_fingerprint(self.target) == fingerprint
        else:
            done = self.target.is_file() and self.target.stat().st_size == size
        if not done and not self.request.replace:
            raise UsageError(f"{self.target} is the result of another flow; use --replace to replace it")
        return done

    def _already_done(self, job: Job) -> Prepared:
        """`resume` of a finished output: no byte changes."""
        self.store.add(job)
        for state in (State.QUEUED, State.RUNNING, State.SEALING, State.COMPLETED):
            self.store.move(job.id, state, "already complete")
        return Prepared(job=job, run=NothingToRun(), result=self.target)

    def _create(self, plan: Plan, job: Job, versions: Mapping[str, str], fingerprint: str) -> WorkFolder:
        record = {
            "job": job.id,
            "name": job.name,
            "type": job.type,
            "replace": self.request.replace,
            "flow": dict(job.config),
            "inputs": list(plan.inputs),
            "notes": list(plan.notes),
            "versions": dict(versions),
            "executor": job.executor,
            "workers": job.workers,
            "threads": job.threads,
        }
        return WorkFolder.create(self.target, fingerprint, plan.stages, self._file_bytes(plan), record)

    def _file_bytes(self, plan: Plan) -> int | None:
        last = plan.stages[-1]
        size: int | None = self.known.load("storage", last.storage)().sink(last.output).file_bytes
        return size


def prepare_resume(target: Path, request: Request, store: JobStore, known: Registry, *, trust: bool) -> Prepared | None:
    """Take up the unfinished output beside `target`; None when the output is already whole."""
    if not WorkFolder.find(target):
        if os.path.lexists(target):
            _tidy(target)
            return None
        raise UsageError(f"nothing to resume: there is no unfinished output for {target}")
    lock = OutputLock(target, "resume")
    try:
        work = _found(target, store)
        if work is None:
            lock.release(remove=True)
            return prepare_resume(target, request, store, known, trust=trust)
        _check_unchanged(work, known)
        record = work.record
        job = Job(
            name=str(record["name"]),
            type=str(record["type"]),
            config=record["flow"],
            output=str(target),
            workers=request.workers,
            threads=int(record["threads"]),
            executor=request.executor or str(record["executor"]),
        )
        store.add(job)
        try:
            run = FolderRun(work, known, trust=trust, keep_open=(lock.handle,))
        except BaseException as error:
            abandon(store, job, error)
            raise
    except BaseException:
        if lock.held:
            lock.release(remove=not WorkFolder.find(target))
        raise
    return Prepared(job=job, run=run, notes=tuple(record["notes"]), lock=lock)


def _tidy(target: Path) -> None:
    """Remove what a crash after the commit may have left beside a whole output."""
    left = (".lock", ".gone", ".new")
    if any(path.name.startswith(f"{target.name}.") and path.suffix in left for path in target.parent.iterdir()):
        lock = OutputLock(target, "resume")
        sweep(target)
        lock.release(remove=True)


def _found(target: Path, store: JobStore) -> WorkFolder | None:
    """The one unfinished output; None when all that was missing was to clean up after the commit."""
    settle_dead_holder(store, target)
    sweep(target)
    for path in filter(is_committed, WorkFolder.find(target)):
        remove(path)
    found = WorkFolder.find(target)
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise UsageError(f"{target} has {len(found)} unfinished outputs ({names}): delete those you do not want")
    return WorkFolder(found[0]) if found else None


def settle_dead_holder(store: JobStore, target: Path) -> None:
    """With the output's lock in hand: whichever unfinished job the store has for it lost its engine."""
    holder = store.holder(str(target))
    if holder is None:
        return
    unfinished = [path for path in WorkFolder.find(target) if not is_committed(path)]
    if holder.state is State.SEALING and not unfinished and os.path.lexists(target):
        store.move(holder.id, State.COMPLETED, "its engine died after the commit")
    elif holder.state in (State.CANCELLING, State.PAUSED):
        store.move(holder.id, State.CANCELLED, "its engine died")
    else:
        store.move(holder.id, State.FAILED, "its engine died", error="its engine died; resumed as a new job")


def _check_unchanged(work: WorkFolder, known: Registry) -> None:
    """Refuse to mix: the same plugin versions and the same input as when the output was begun."""
    for name, version in work.record["versions"].items():
        now = known.code_of(name)
        if now != version:
            raise Incomplete(
                f"the unfinished output was begun with {name} {version}, installed is {now or 'none'}; "
                "install that version, or run again with --discard"
            )
    source = work.stages[0].source
    survey = known.load("storage", source["storage"])().open(source["paths"], source["options"])
    if survey.identity() != list(work.record["inputs"]):
        raise Incomplete(f"the input changed since {work.target} was begun; run again with --discard")


def _versions(plan: Plan, known: Registry) -> dict[str, str]:
    """Versions of every distribution whose code decides the output's bytes, and of the libraries these require."""
    steps = [step for stage in plan.stages for step in stage.steps]
    kernels = [item for step in steps for item in step.kernels.items()]
    used = {"seisproc-core", *(step.distribution for step in steps)}
    used |= {known.find("storage", stage.storage).distribution for stage in plan.stages}
    used.add(known.find("storage", str(plan.stages[0].source["storage"])).distribution)
    used |= {known.find("kernels", f"{name}.{backend}").distribution for name, backend in kernels}
    used |= {known.find("backends", backend).distribution for _, backend in kernels if backend != REFERENCE}
    used |= {name for distribution in used for name in requirements(distribution)}
    return {name: known.code_of(name) for name in sorted(used)}


def _default_executor(known: Registry) -> str:
    best = known.best("executors")
    return best.id if best else IN_PROCESS


def abandon(store: JobStore, job: Job, error: BaseException) -> None:
    """A job that could not be prepared ends as failed, if it was stored at all."""
    try:
        store.move(job.id, State.FAILED, str(error), error=str(error))
    except SeisprocError:
        return
