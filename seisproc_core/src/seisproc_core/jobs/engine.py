"""The engine: submits jobs, has them run when it is their turn, and lets them be followed from any process.

Every process that works with a job store has an engine. One of them leads: it decides which job runs when, for all.
Each runs the jobs that belong to its own process, when their turn has come (`supervisor`). In a private store, in
memory, the one engine does both.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import attrs

from seisproc_core.errors import UsageError
from seisproc_core.jobs import client, detached, groups
from seisproc_core.jobs.events import EventBus
from seisproc_core.jobs.handle import JobHandle, Progress
from seisproc_core.jobs.model import Job, new_id
from seisproc_core.jobs.prepare import Prepared, Request, default_executor, new_job, prepare, prepare_resume
from seisproc_core.jobs.process import identity
from seisproc_core.jobs.recovery import recover
from seisproc_core.jobs.repair import prepare_repair
from seisproc_core.jobs.reserving import reserved_sides
from seisproc_core.jobs.resources import Resources, cpu_count, this_machine
from seisproc_core.jobs.states import State
from seisproc_core.jobs.store import JobStore, MemoryStore
from seisproc_core.jobs.supervisor import Supervisor
from seisproc_core.plugins import registry
from seisproc_core.processing.flow import Flow

__all__ = ["Engine", "JobHandle", "Progress"]


class Engine:
    """Runs jobs.

    Parameters
    ----------
    store
        Where jobs are kept; a private one in memory by default. A durable one is shared with other processes.
    executor
        Id of the executor jobs run on; the best installed one by default, ``in-process`` for jobs in memory.
    workers
        Workers per job; one per CPU by default.
    threads
        Threads that a kernel may use inside a worker.
    capacity
        What all jobs together may use of this machine; counts where this engine leads.
    """

    def __init__(
        self,
        *,
        store: JobStore | None = None,
        executor: str | None = None,
        workers: int | None = None,
        threads: int = 1,
        capacity: Resources | None = None,
    ) -> None:
        self.store: JobStore = store or MemoryStore()
        self.registry = registry()
        self.events = EventBus()
        self.capacity = capacity or this_machine()
        self._me = identity()
        self._executor = executor
        self._workers = workers or cpu_count()
        self._threads = threads
        self._supervisor = Supervisor(self.store, self.registry, self.events, self.capacity)

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(cancel=error is not None)

    def close(self, *, cancel: bool = False) -> None:
        """Finish (or cancel) the jobs of this process, then stop; detached jobs go on in a process of their own."""
        self._supervisor.close(cancel=cancel)
        self.events.close()

    # -- submitting

    def submit(
        self,
        flow: Flow,
        *,
        type: str = "flow",
        priority: int = 5,
        executor: str | None = None,
        gpus: int = 0,
        replace: bool = False,
        discard: bool = False,
        resume: bool = False,
        detach: bool = False,
        after: Sequence[str | JobHandle] = (),
        check: bool = True,
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
        detach
            Run it in a process of its own, that goes on when this one ends. Needs a durable store.
        after
            Jobs, or ids of groups of them (beginnings will do), that must be completed before; the flow, whose input
            they may make, is then planned when it starts.
        check
            False to queue at once and plan when the job starts; what is wrong with the flow is then the job's error.

        Raises
        ------
        UsageError, OutputExists, OutputBusy, DataError, Incomplete
            Anything wrong with the request, before any work and with nothing left behind.
        """
        request = self._request(
            type=type,
            priority=priority,
            executor=executor or self._executor,
            gpus=gpus,
            replace=replace,
            discard=discard,
            resume=resume,
            detach=detach,
            after=self._jobs_of(after),
        )
        self._refuse_if_closed()
        job = new_job(flow, request, self.registry, self.capacity)
        if check and not request.after:
            since = self._supervisor.noticed
            if job.attached:
                self._supervisor.warm(job, flow)
            return self._hold(prepare(flow, job, self.store, self.registry, self.capacity), since)
        return self._hold_unplanned([(flow, job)])[0]

    def submit_all(
        self,
        flows: Iterable[Flow],
        *,
        priority: int = 5,
        executor: str | None = None,
        replace: bool = False,
        discard: bool = False,
        resume: bool = False,
        detach: bool = False,
        after: Sequence[str | JobHandle] = (),
        group: str = "",
    ) -> list[JobHandle]:
        """Queue many flows at once, all or none; they are planned when they start. Options are those of `submit`.

        Parameters
        ----------
        group
            A name: the jobs then belong together, and are listed, paused, cancelled and retried as one; see
            `seisproc_core.jobs.groups`.
        """
        self._refuse_if_closed()
        request = self._request(
            priority=priority,
            executor=executor or self._executor or default_executor(self.registry),
            replace=replace,
            discard=discard,
            resume=resume,
            detach=detach,
            after=self._jobs_of(after),
            group=group,
            part_of=new_id() if group else "",
        )
        with _without_garbage_collection():
            made = []
            for row, flow in enumerate(flows, 1):
                one = attrs.evolve(request, row=row) if group else request
                made.append((flow, new_job(flow, one, self.registry, self.capacity)))
            return self._hold_unplanned(made)

    def resume(
        self, target: Path, *, executor: str | None = None, trust: bool = False, detach: bool = False
    ) -> JobHandle | None:
        """Go on with the unfinished output that lies beside `target`, from its folder alone.

        Where a detached job has that output and is paused or queued, that job goes on, and is followed.

        Parameters
        ----------
        trust
            Do not check the bytes of what is journalled.
        detach
            Go on in a process of its own.

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
        self._refuse_if_closed()
        since = self._supervisor.noticed
        target = Path(os.path.abspath(target))
        holder = self.store.holder(str(target))
        if holder is not None and not holder.attached and holder.state in (State.QUEUED, State.PAUSED):
            client.resume(self.store, holder.id)
            return self.follow(holder.id)
        request = self._request(executor=executor or self._executor, detach=detach)
        prepared = prepare_resume(target, request, self.store, self.registry, self.capacity, trust=trust)
        return None if prepared is None else self._hold(prepared, since)

    def repair(self, target: Path, *, executor: str | None = None, detach: bool = False) -> JobHandle | None:
        """Make the damaged files of a sealed output again, from the inputs it was made from.

        Every file is read and held to the manifest; whole ones are adopted. The output stays as it is until the
        repaired one is whole and has the checksums of the manifest.

        Returns
        -------
        The job, or None when no file is damaged.

        Raises
        ------
        Damaged
            It cannot be repaired: its provenance is damaged too, an input is gone or changed, or what made it is not
            installed in the same version.
        UsageError, Incomplete
            `target` is no sealed folder.
        """
        self._refuse_if_closed()
        since = self._supervisor.noticed
        request = self._request(type="repair", replace=True, detach=detach, executor=executor or self._executor)
        prepared = prepare_repair(Path(os.path.abspath(target)), request, self.store, self.registry, self.capacity)
        return None if prepared is None else self._hold(prepared, since)

    def retry(self, job_id: str, *, detach: bool = False, discard: bool = False) -> JobHandle:
        """Repeat a job that failed or was cancelled, as a new job that goes on with what it left.

        Parameters
        ----------
        discard
            Throw away what it left and begin anew: what another version of a plugin began is not completed.

        Raises
        ------
        UsageError
            The job is not finished, or was completed; or its data were in memory.
        """
        since = self._supervisor.noticed
        flow, job = self._again(job_id, detach=detach, discard=discard)
        return self._hold(prepare(flow, job, self.store, self.registry, self.capacity), since)

    def retry_all(self, job_ids: Iterable[str], *, detach: bool = False, discard: bool = False) -> list[JobHandle]:
        """Repeat several jobs, all or none; they are planned when they start. See `retry`."""
        self._refuse_if_closed()
        return self._hold_unplanned([self._again(job_id, detach=detach, discard=discard) for job_id in job_ids])

    def _again(self, job_id: str, *, detach: bool, discard: bool) -> tuple[Flow, Job]:
        """Flow and new job that repeat one."""
        old = recover(self.store, self.store.get(job_id))
        if old.state not in (State.FAILED, State.CANCELLED):
            raise UsageError(f"job {old.id} is {old.state}: only a failed or cancelled job can be retried")
        request = self._request(
            type=old.type,
            priority=old.priority,
            executor=old.executor,
            workers=old.workers,
            threads=old.threads,
            gpus=old.resources.gpus,
            replace=bool(old.options.get("replace")),
            discard=discard,
            resume=True,
            detach=detach,
            retry_of=old.id,
            part_of=old.part_of,
            group=str(old.options.get("group", "")),
            row=int(old.options.get("row", 0)),
        )
        flow = Flow.from_json(old.config)
        return flow, new_job(flow, request, self.registry, self.capacity)

    # -- other jobs

    def follow(self, job_id: str) -> JobHandle:
        """A job that any process runs, as if it had been submitted here; it ends when the store says so."""
        since = self._supervisor.noticed
        job = self.store.get(job_id)
        handle = self._supervisor.find(job.id) or JobHandle(job.id, self, None, own=False)
        if job.finished:
            handle.end_as(job)
            return handle
        if not job.attached:
            detached.ensure_leader(self.store)
        self._supervisor.look_after([handle], since)
        return handle

    def adopt(self, job_id: str) -> JobHandle:
        """Run a detached job in this process, which the leader started for it."""
        deadline, since = time.monotonic() + detached.START_S, self._supervisor.noticed
        while (job := self.store.get(job_id)).driver != self._me:
            if job.state is not State.RUNNING or time.monotonic() > deadline:
                raise UsageError(f"job {job.id} is {job.state} and not for this process")
            time.sleep(0.002)
        handle = JobHandle(job.id, self, None)
        self._supervisor.look_after([handle], since)
        self._supervisor.start(handle)
        return handle

    def cancel(self, job_id: str) -> Job:
        """Cancel any job of the store, and what comes after it; see `seisproc_core.jobs.client.cancel`."""
        return self._changed(client.cancel(self.store, job_id))

    def pause(self, job_id: str) -> Job:
        """Pause any job of the store; see `seisproc_core.jobs.client.pause`."""
        return self._changed(client.pause(self.store, job_id))

    def resume_job(self, job_id: str) -> Job:
        """Let a paused job go on, whichever process it belongs to."""
        job = self._changed(client.resume(self.store, job_id))
        if not job.attached:
            detached.ensure_leader(self.store)
        return job

    def prioritise(self, job_id: str, priority: int) -> Job:
        """Change the priority of a waiting job."""
        return self._changed(client.prioritise(self.store, job_id, priority))

    # -- for handles

    def obey_now(self, handle: JobHandle) -> None:
        """Have a change of a job's state noticed at once, not at the next look."""
        self._supervisor.obey_now(handle)

    def why_waiting(self, job_id: str) -> str:
        """What a queued job waits for; "" when this engine does not lead, or it waits for nothing."""
        return self._supervisor.why_waiting(job_id)

    # -- inside

    def _request(self, *, workers: int | None = None, threads: int | None = None, **chosen: Any) -> Request:
        request = Request(workers=workers or self._workers, threads=threads or self._threads, driver=self._me)
        return attrs.evolve(request, **chosen)

    def _jobs_of(self, chosen: Sequence[str | JobHandle]) -> tuple[str, ...]:
        """Whole ids of jobs, a group's in its place, each once."""
        ids = (groups.members(self.store, one) if isinstance(one, str) else (one.id,) for one in chosen)
        return tuple(dict.fromkeys(itertools.chain.from_iterable(ids)))

    def _refuse_if_closed(self) -> None:
        if self._supervisor.closing:
            raise UsageError("the engine is closed")

    def _hold(self, prepared: Prepared, since: int) -> JobHandle:
        """The handle of a job that was planned and stored; `since`: see `Supervisor.look_after`."""
        if not prepared.job.attached and prepared.result is None:
            detached.ensure_leader(self.store)
            handle = JobHandle(prepared.job.id, self, None, prepared.notes, own=False)
        else:
            handle = JobHandle(prepared.job.id, self, prepared, prepared.notes)
        if not handle.ended:
            self._supervisor.look_after([handle], since)
        return handle

    def _hold_unplanned(self, made: list[tuple[Flow, Job]]) -> list[JobHandle]:
        jobs = [job for _, job in made]
        since = self._supervisor.noticed
        with reserved_sides(self.store, made):
            self.store.add(*jobs)
        handles = [JobHandle(job.id, self, None, own=job.attached) for job in jobs]
        if all(job.attached for job in jobs):
            self._supervisor.flows |= {job.id: flow for flow, job in made}
        else:
            detached.ensure_leader(self.store)
        self._supervisor.look_after(handles, since)
        return handles

    def _changed(self, job: Job) -> Job:
        self._supervisor.nudge()
        return job

    def lead_until_idle(self) -> None:
        """Lead the store in this process as long as there are detached jobs to run; return at once if another does."""
        self._supervisor.serve()


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Looking through a hundred thousand new objects again and again would take longer than making them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
