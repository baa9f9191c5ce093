"""From a request to a job that can run: checks, plan, lock, store, working folder - or the resumption of one.

Whatever is wrong is said here, before any work, and leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from seisproc_core.data.survey import Survey
from seisproc_core.errors import Incomplete, SeisprocError, UsageError
from seisproc_core.execution.worker import open_address
from seisproc_core.jobs import client
from seisproc_core.jobs.checks import check_begun, checked_plan, file_bytes, is_done, open_source, versions_of
from seisproc_core.jobs.lock import OutputLock
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.reserving import settle, settle_one, settle_owners
from seisproc_core.jobs.resources import Resources
from seisproc_core.jobs.runner import FolderRun, MemoryRun, NothingToRun, Run
from seisproc_core.jobs.states import State
from seisproc_core.jobs.store import JobStore
from seisproc_core.jobs.workfolder import (
    WorkFolder,
    is_committed,
    remove,
    sweep,
)
from seisproc_core.plugins import Registry
from seisproc_core.processing.flow import Flow
from seisproc_core.processing.inputs import identities
from seisproc_core.processing.plan import Plan, bytes_per_worker
from seisproc_core.processing.planning import plan_flow

IN_PROCESS, THREADS = "in-process", "threads"
# What one process has copied by the time workers have started, in bytes and in files.
_SMALL_BYTES, _SMALL_PARTS = 32 << 20, 500
WORKER_BYTES = 150 << 20  # an interpreter with its libraries, before any data


@attrs.frozen(kw_only=True)
class Request:
    """How a flow is to be run; see `Engine.submit`."""

    type: str = "flow"
    priority: int = 5
    executor: str | None = None
    workers: int = 1
    threads: int = 1
    gpus: int = 0
    replace: bool = False
    discard: bool = False
    resume: bool = False
    detach: bool = False
    after: tuple[str, ...] = ()
    retry_of: str = ""
    part_of: str = ""
    group: str = ""
    row: int = 0
    driver: str = ""


@attrs.frozen(kw_only=True, eq=False)
class Prepared:
    """A job that is checked, planned and stored, and how it will run.

    Attributes
    ----------
    notes
        What its submitter should know: findings of the reader, incomplete gathers.
    lock
        Of the output; None for a job in memory, and for one that another process will run.
    result
        The output, where it is already whole and nothing will run.
    """

    job: Job
    run: Run
    notes: tuple[str, ...] = ()
    lock: OutputLock | None = None
    result: Path | None = None

    def release(self) -> None:
        """Give up the journal and the output's lock; once."""
        if self.lock is not None and self.lock.held:
            self.run.close()
            self.lock.release(remove=not WorkFolder.find(Path(self.job.output)))


def new_job(flow: Flow, request: Request, known: Registry, capacity: Resources) -> Job:
    """The job of a request, before anything is known of its data."""
    client.check_priority(request.priority)
    in_memory = flow.sink.storage == "memory"
    if request.detach and (in_memory or flow.in_memory):
        raise UsageError("a job with data in memory ends with its process; it cannot be detached")
    executor = request.executor or (IN_PROCESS if _is_small_copy(flow) else default_executor(known))
    if in_memory or flow.in_memory:
        executor = request.executor if request.executor in (IN_PROCESS, THREADS) else IN_PROCESS
    known.find("executors", executor)
    workers = 1 if executor == IN_PROCESS else request.workers
    chosen = {name: getattr(request, name) for name in ("replace", "discard", "resume", "group", "row")}
    return Job(
        name=flow.name,
        type=request.type,
        config=flow.to_json(),
        output="" if in_memory else os.path.abspath(flow.sink.path),
        priority=request.priority,
        executor=executor,
        workers=workers,
        threads=request.threads,
        resources=Resources(min(workers * request.threads, capacity.cpus), workers * WORKER_BYTES, request.gpus),
        after=request.after,
        options={name: value for name, value in chosen.items() if value},
        driver="" if request.detach else request.driver,
        attached=not request.detach,
        retry_of=request.retry_of,
        part_of=request.part_of,
    )


def _is_small_copy(flow: Flow) -> bool:
    """Whether a flow without steps, an import or an export, reads so little that starting workers would take longer."""
    if flow.steps or not flow.source.paths:
        return False
    try:
        total = 0
        for number, size in enumerate(_sizes(flow.source.paths)):
            total += size
            if total > _SMALL_BYTES or number > _SMALL_PARTS:
                return False
    except OSError:  # not there, or not to be read: opening it says so
        return False
    return True


def _sizes(paths: Sequence[str]) -> Iterator[int]:
    """Bytes of files, and of all files in folders."""
    for path in map(Path, paths):
        for part in path.rglob("*") if path.is_dir() else [path]:
            yield part.lstat().st_size


def prepare(flow: Flow, job: Job, store: JobStore, known: Registry, capacity: Resources) -> Prepared:
    """Plan a flow and keep it as a job; see `Engine.submit` for what is refused."""
    survey = open_source(flow, known)
    if not job.output:
        plan = plan_flow(flow, known, survey)
        job = sized(job, plan, capacity)
        store.add(job)
        return Prepared(job=job, run=MemoryRun(plan, survey, known), notes=plan.notes)
    return _ToFolder(flow, job, store, known).prepare(survey, capacity)


def prepare_stored(job: Job, flow: Flow | None, store: JobStore, known: Registry) -> Prepared:
    """Prepare a job that the store has, and that was not, or by another process.

    Parameters
    ----------
    flow
        What it was submitted with; None to take it from the job.
    """
    flow = flow or Flow.from_json(job.config)
    if not job.output:
        survey = open_source(flow, known)
        plan = plan_flow(flow, known, survey)
        return Prepared(job=job, run=MemoryRun(plan, survey, known), notes=plan.notes)
    found = _begun_by(job)
    if found is None:
        return _ToFolder(flow, job, store, known).prepare(open_source(flow, known), None)
    lock = OutputLock(Path(job.output), job.id, even_living=True)
    with released_on_error(lock):
        work = WorkFolder(found)
        lock.also(Path(side.path) for side in work.sides)
        _check_unchanged(work, known)
        run = FolderRun(work, known, keep_open=(lock.handle,))
    return Prepared(job=job, run=run, notes=tuple(work.record["notes"]), lock=lock)


def _begun_by(job: Job) -> Path | None:
    """The working folder of a job that was prepared when it was submitted, or is taken up again."""
    for path in WorkFolder.find(Path(job.output)):
        with contextlib.suppress(SeisprocError):
            if WorkFolder(path).record["job"] == job.id and not is_committed(path):
                return path
    return None


def sized(job: Job, plan: Plan, capacity: Resources) -> Job:
    """The job with what it needs of the machine: no more workers than there are segments, or than fit into memory.

    Asking for more workers than there are CPUs is the user's choice, and takes all of them.
    """
    each = WORKER_BYTES + max(bytes_per_worker(stage) for stage in plan.stages)
    segments = max(stage.n_segments for stage in plan.stages)
    workers = max(1, min(job.workers, segments, capacity.memory // each))
    needed = Resources(min(workers * job.threads, capacity.cpus), workers * each, job.resources.gpus)
    if not needed.within(capacity):
        raise UsageError(f"{job.name} needs {needed.lacking(capacity)}")
    return attrs.evolve(job, workers=workers, resources=needed)


class _ToFolder:
    """Preparing a job that writes to disk."""

    def __init__(self, flow: Flow, job: Job, store: JobStore, known: Registry) -> None:
        self.flow, self.job, self.store, self.known = flow, job, store, known
        self.target = Path(job.output)
        self.replace, self.discard, self.resume = (bool(job.options.get(n)) for n in ("replace", "discard", "resume"))

    def prepare(self, survey: Survey, capacity: Resources | None) -> Prepared:
        """`capacity` is that of the machine for a new job; None for one that the store has."""
        target = self.target
        may_be_done = self.resume and os.path.lexists(target)
        plan = checked_plan(self.flow, self.known, survey, replace=self.replace, resume=self.resume)
        if capacity is not None:
            self.job = sized(self.job, plan, capacity)
        versions = versions_of(plan, self.known)
        fingerprint = plan.fingerprint(versions)
        lock = OutputLock(target, self.job.id, even_living=capacity is None)
        fresh: WorkFolder | None = None
        with released_on_error(lock):
            lock.also(Path(side.path) for side in plan.sides)
            settle(self.store, self.job, lock)
            work = self._unfinished(fingerprint, lock)
            if work is not None and tuple(work.sides) != plan.sides:
                raise Incomplete(
                    f"{work.path.name} was begun with other side outputs (save): "
                    f"seisproc resume {self.target} finishes it, --discard throws it away"
                )
            there = may_be_done and work is None
            if there and is_done(self.target, plan, fingerprint, self.known, replace=self.replace):
                prepared = self._already_done(new=capacity is not None)
                lock.release(remove=True)
                return prepared
            if work is None:
                work = fresh = self._create(plan, versions, fingerprint)
            try:
                return self._ready(work, plan, lock, new=capacity is not None, resumed=fresh is None)
            except BaseException:
                if fresh is not None:
                    with contextlib.suppress(SeisprocError):
                        fresh.remove()
                raise

    def _ready(self, work: WorkFolder, plan: Plan, lock: OutputLock, *, new: bool, resumed: bool) -> Prepared:
        notes = plan.notes
        if resumed:
            notes = (*notes, f"going on with the unfinished output {work.path.name}")
        if new and not self.job.attached:  # another process will run it, from the folder alone
            self.store.add(self.job)
            lock.release(remove=False)
            return Prepared(job=self.job, run=NothingToRun(), notes=notes)
        run = FolderRun(work, self.known, held=plan.held, replace=self.replace, keep_open=(lock.handle,))
        try:
            if new:
                self.store.add(self.job)
        except BaseException:
            run.close()
            raise
        return Prepared(job=self.job, run=run, notes=notes, lock=lock)

    def _unfinished(self, fingerprint: str, lock: OutputLock) -> WorkFolder | None:
        """The unfinished output of the same job, if there is one; others are refused, or discarded where asked."""
        sweep(self.target)
        same = None
        for path in WorkFolder.find(self.target):
            if self.discard or is_committed(path):
                _remove(path, lock)
            else:
                check_begun(path, self.target, fingerprint)
                same = WorkFolder(path)
        return same

    def _already_done(self, *, new: bool) -> Prepared:
        """`resume` of a finished output: no byte changes."""
        if new:
            self.store.add(as_complete(self.job))
        else:
            self.store.move(self.job.id, State.SEALING, "already complete")
            self.store.move(self.job.id, State.COMPLETED, "already complete")
        return Prepared(job=self.job, run=NothingToRun(), result=self.target)

    def _create(self, plan: Plan, versions: Mapping[str, str], fingerprint: str) -> WorkFolder:
        record: dict[str, Any] = {
            "job": self.job.id,
            "name": self.job.name,
            "type": self.job.type,
            "replace": self.replace,
            "flow": dict(self.job.config),
            "inputs": list(plan.inputs),
            "notes": list(plan.notes),
            "versions": dict(versions),
            "executor": self.job.executor,
            "workers": self.job.workers,
            "threads": self.job.threads,
        }
        return WorkFolder.create(self.target, fingerprint, plan.stages, file_bytes(plan, self.known), record)


def as_complete(job: Job) -> Job:
    """A new job that had nothing to do."""
    for state in (State.QUEUED, State.RUNNING, State.SEALING, State.COMPLETED):
        job = job.moved(state, "already complete")
    return job


@contextlib.contextmanager
def released_on_error(lock: OutputLock) -> Iterator[None]:
    try:
        yield
    except BaseException:
        if lock.held:
            lock.release(remove=not WorkFolder.find(lock.path.with_suffix("")))
        raise


def prepare_resume(
    target: Path, request: Request, store: JobStore, known: Registry, capacity: Resources, *, trust: bool
) -> Prepared | None:
    """Take up the unfinished output beside `target`; None when the output is already whole."""
    if not WorkFolder.find(target):
        if os.path.lexists(target):
            _tidy(target)
            return None
        raise UsageError(f"nothing to resume: there is no unfinished output for {target}")
    lock = OutputLock(target, "resume")
    with released_on_error(lock):
        work = _found(target, store, lock)
        if work is None:
            lock.release(remove=True)
            return prepare_resume(target, request, store, known, capacity, trust=trust)
        lock.also(Path(side.path) for side in work.sides)
        record = work.record
        settle_owners(store, lock, str(record["job"]))
        _check_unchanged(work, known)
        plan = Plan(stages=tuple(work.stages))
        job = Job(
            name=str(record["name"]),
            type=str(record["type"]),
            config=record["flow"],
            output=str(target),
            priority=request.priority,
            workers=request.workers,
            threads=int(record["threads"]),
            executor=request.executor or str(record["executor"]),
            options={"resume": True},
            driver="" if request.detach else request.driver,
            attached=not request.detach,
        )
        known.find("executors", job.executor)
        job = sized(job, plan, capacity)
        if request.detach:
            store.add(job)
            lock.release(remove=False)
            return Prepared(job=job, run=NothingToRun(), notes=tuple(record["notes"]))
        run = FolderRun(work, known, trust=trust, keep_open=(lock.handle,))
        try:
            store.add(job)
        except BaseException:
            run.close()
            raise
    return Prepared(job=job, run=run, notes=tuple(record["notes"]), lock=lock)


def _tidy(target: Path) -> None:
    """Remove what a crash after the commit may have left beside a whole output."""
    left = (".lock", ".gone", ".new")
    if any(path.name.startswith(f"{target.name}.") and path.suffix in left for path in target.parent.iterdir()):
        lock = OutputLock(target, "resume")
        sweep(target)
        lock.release(remove=True)


def _found(target: Path, store: JobStore, lock: OutputLock) -> WorkFolder | None:
    """The one unfinished output; None when all that was missing was to clean up after the commit."""
    holder = store.holder(str(target))
    if holder is not None:
        settle_one(store, holder, target)
    sweep(target)
    for path in filter(is_committed, WorkFolder.find(target)):
        _remove(path, lock)
    found = WorkFolder.find(target)
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise UsageError(f"{target} has {len(found)} unfinished outputs ({names}): delete those you do not want")
    return WorkFolder(found[0]) if found else None


def _remove(path: Path, lock: OutputLock) -> None:
    """Delete a working folder; what its dead process left beside side outputs goes when the lock is given up."""
    with contextlib.suppress(SeisprocError):  # a damaged folder, or others write there by now
        lock.also(Path(side.path) for side in WorkFolder(path).sides)
    remove(path)


def _check_unchanged(work: WorkFolder, known: Registry) -> None:
    """Refuse to mix: the same plugin versions and the same input as when the output was begun."""
    for name, version in work.record["versions"].items():
        now = known.code_of(name)
        if now != version:
            raise Incomplete(
                f"the unfinished output was begun with {name} {version}, installed is {now or 'none'}; "
                "install that version, or run again with --discard"
            )
    opened = functools.partial(open_address, known=known, held={})
    if list(identities(work.stages, opened)) != list(work.record["inputs"]):
        raise Incomplete(f"an input changed since {work.target} was begun; run again with --discard")


def default_executor(known: Registry) -> str:
    """The best executor that is installed."""
    best = known.best("executors")
    return best.id if best else IN_PROCESS
