"""From a request to a job that can run: checks, plan, lock, store, working folder - or the resumption of one.

Whatever is wrong is said here, before any work, and leaves nothing behind.
"""

from __future__ import annotations

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
from seisproc_core.plugins import Registry
from seisproc_core.processing.flow import Flow
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
        self.target = Path(flow.sink.path)

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
        lock = OutputLock(target, job.id)
        try:
            settle_dead_holder(self.store, target)
            work = self._unfinished(fingerprint)
            if may_be_done and work is None:
                prepared = self._already_done(job, fingerprint)
                lock.release(remove=True)
                return prepared
            self.store.add(job)
            if work is None:
                work = self._create(plan, job, versions, fingerprint)
            run = FolderRun(work, self.known, source=survey if in_memory else None, keep_open=(lock.handle,))
        except BaseException as error:
            _abandon(self.store, job, error)
            if lock.held:
                lock.release(remove=not WorkFolder.find(target))
            raise
        return Prepared(job=job, run=run, notes=plan.notes, lock=lock)

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

    def _already_done(self, job: Job, fingerprint: str) -> Prepared:
        """`resume` of a finished output: no byte changes."""
        sealed = sealed_fingerprint(self.target)
        if sealed != fingerprint and (sealed is not None or self.target.is_dir()):
            raise UsageError(f"{self.target} is the result of another flow; use --replace to replace it")
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
        last = plan.stages[-1]
        size = self.known.load("storage", last.storage)().sink(last.output).file_bytes
        return WorkFolder.create(self.target, fingerprint, plan.stages, size, record)


def prepare_resume(target: Path, request: Request, store: JobStore, known: Registry, *, trust: bool) -> Prepared | None:
    """Take up the unfinished output beside `target`; None when the output is already whole."""
    if not WorkFolder.find(target):
        if os.path.lexists(target):
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
            _abandon(store, job, error)
            raise
    except BaseException:
        if lock.held:
            lock.release(remove=not WorkFolder.find(target))
        raise
    return Prepared(job=job, run=run, notes=tuple(record["notes"]), lock=lock)


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
    if holder.state is State.SEALING and not unfinished:
        store.move(holder.id, State.COMPLETED, "its engine died after the commit")
    elif holder.state in (State.CANCELLING, State.PAUSED):
        store.move(holder.id, State.CANCELLED, "its engine died")
    else:
        store.move(holder.id, State.FAILED, "its engine died", error="its engine died; resumed as a new job")


def _check_unchanged(work: WorkFolder, known: Registry) -> None:
    """Refuse to mix: the same plugin versions and the same input as when the output was begun."""
    for name, version in work.record["versions"].items():
        now = known.version_of(name)
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
    """Versions of every distribution whose code decides the output's bytes."""
    used = {step.distribution for stage in plan.stages for step in stage.steps}
    formats = {stage.storage for stage in plan.stages} | {str(s.source["storage"]) for s in plan.stages[:1]}
    used |= {known.find("storage", format_).distribution for format_ in formats}
    return {name: known.version_of(name) for name in sorted(used)}


def _default_executor(known: Registry) -> str:
    best = known.best("executors")
    return best.id if best else IN_PROCESS


def _abandon(store: JobStore, job: Job, error: BaseException) -> None:
    """A job that could not be prepared ends as failed, if it was stored at all."""
    try:
        store.move(job.id, State.FAILED, str(error), error=str(error))
    except SeisprocError:
        return
