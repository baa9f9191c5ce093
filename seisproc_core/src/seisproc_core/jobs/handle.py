"""A job as its submitter, or whoever follows it, holds it: progress, cancel, result."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Protocol

import attrs

from seisproc_core.data.formats import open_survey
from seisproc_core.data.survey import Survey
from seisproc_core.errors import Cancelled, JobFailed, SeisprocError, StorageError, UsageError
from seisproc_core.jobs import client
from seisproc_core.jobs.control import Control
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.prepare import Prepared
from seisproc_core.jobs.states import State
from seisproc_core.jobs.store import JobStore
from seisproc_core.jobs.workfolder import WorkFolder


@attrs.frozen(kw_only=True)
class Progress:
    """How far a job is: input traces done and planned over all stages, traces/s, seconds left (None: unknown).

    `why` says what a queued or paused job waits for.
    """

    state: State
    stage: int
    stages: int
    done: int
    total: int
    rate: float
    eta_s: float | None
    why: str = ""


class Result:
    """What a completed job made."""

    def __init__(self, made: Survey | Path) -> None:
        self._made = made

    @property
    def path(self) -> Path:
        """Where it lies; `UsageError` for a result in memory."""
        if not isinstance(self._made, Path):
            raise UsageError("the result is in memory; use open()")
        return self._made

    def open(self) -> Survey:
        """The result as an open survey."""
        return open_survey(self._made) if isinstance(self._made, Path) else self._made


class Owner(Protocol):
    """What a handle needs of its engine."""

    store: JobStore

    def obey_now(self, handle: JobHandle) -> None:
        """Have a change of the job's state noticed at once."""
        ...

    def why_waiting(self, job_id: str) -> str:
        """What a queued job waits for; "" when this process does not know."""
        ...


class JobHandle:
    """A submitted or followed job; made by `Engine.submit`, `Engine.resume` and `Engine.follow`.

    Awaiting it gives the `Result`.
    """

    def __init__(
        self, job_id: str, owner: Owner, prepared: Prepared | None, notes: tuple[str, ...] = (), *, own: bool = True
    ) -> None:
        self.id = job_id
        self.own = own  # it ends with this process
        self.notes = notes
        self.prepared = prepared
        self.running = False  # an attempt in this process
        self._owner = owner
        self._ended = False
        self._under_way = threading.Lock()  # held until the end: waiting for that is waiting for the lock
        self._under_way.acquire()
        self._last: Job | None = None  # when it has ended: it will not change, and stores need not keep it
        self._callbacks: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._error: BaseException | None = None
        self._result: Survey | Path | None = None
        self._began = time.monotonic()
        self._began_at = prepared.run.committed if prepared else 0
        self._most = 0
        self._state = State.QUEUED
        if prepared is not None and prepared.result is not None:
            self.end(result=prepared.result)

    @property
    def job(self) -> Job:
        """The job as its store has it."""
        if self._last is not None:
            return self._last
        job = self._owner.store.get(self.id)
        if self._ended and job.finished:
            self._last = job
        return job

    @property
    def traces_in(self) -> int:
        """Traces of the job's input; 0 as long as it is not planned."""
        if self.prepared:
            return self.prepared.run.traces_in
        return int((self.job.result or {}).get("traces_in", 0))

    @property
    def ended(self) -> bool:
        return self._ended

    # -- what its user does

    def cancel(self) -> None:
        """Ask the job to stop; it will never be completed after this returns, unless it already was."""
        with contextlib.suppress(UsageError):  # too late: it is finishing
            client.cancel(self._owner.store, self.id)
        self._owner.obey_now(self)

    def pause(self) -> None:
        """Have the job stop after the batches in hand and give back its CPUs."""
        client.pause(self._owner.store, self.id)
        self._owner.obey_now(self)

    def resume(self) -> None:
        """Let a paused job go on where it was."""
        client.resume(self._owner.store, self.id)
        self._owner.obey_now(self)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end; False when the time ran out."""
        if self._under_way.acquire(timeout=-1 if timeout_s is None else max(timeout_s, 0)):
            self._under_way.release()
        return self._ended

    def result(self, timeout_s: float | None = None) -> Result:
        """The result; raises the job's error if it failed, `Cancelled` if it was cancelled."""
        if not self.wait(timeout_s):
            raise UsageError(f"job {self.id} is still {self.job.state} after {timeout_s} s")
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return Result(self._result)

    def __await__(self) -> Generator[Any, None, Result]:
        return self._until_ended().__await__()

    async def _until_ended(self) -> Result:
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
                loop.call_soon_threadsafe(ended.set)

        self.call_at_end(wake)
        await ended.wait()
        return self.result(0)

    # -- progress

    def snapshot(self) -> Progress:
        """Progress now. Never runs backwards, and reaches the total only when the job is completed."""
        job = None
        with contextlib.suppress(StorageError):  # a store that is busy keeps nobody from looking
            job = self.job
            self._state = job.state
        state = self._state
        stage, stages, done, total = self._counts(job)
        if state is State.COMPLETED:
            self._most = total
        else:
            self._most = max(self._most, min(done, total - 1), 0)
        rate = self.rate(self._most)
        return Progress(
            state=state,
            stage=stage,
            stages=stages,
            done=self._most,
            total=total,
            rate=rate,
            eta_s=(total - self._most) / rate if rate > 0 else None,
            why=self._why(job),
        )

    def rate(self, done: int) -> float:
        """Traces/s since this attempt began; 0 until that means something."""
        passed = time.monotonic() - self._began
        return max(0.0, (done - self._began_at) / passed) if passed > 0.2 else 0.0

    def _counts(self, job: Job | None) -> tuple[int, int, int, int]:
        if self.prepared is not None:
            run = self.prepared.run
            return run.stage, run.stages, run.committed + run.control.in_flight(), run.total
        if job is None:
            return 0, 1, self._most, self._most + 1
        return 0, 1, job.done + in_flight(job), job.total

    def _why(self, job: Job | None) -> str:
        if job is None or job.state not in (State.QUEUED, State.PAUSED):
            return ""
        return self._owner.why_waiting(self.id) or job.events[-1].reason

    def progress(self, every_s: float = 0.1) -> Iterator[Progress]:
        """Progress reports until the job has ended; the last one shows its final state."""
        while not self.wait(every_s):
            yield self.snapshot()
        yield self.snapshot()

    async def updates(self, every_s: float = 0.1) -> AsyncIterator[Progress]:
        """`progress` for ``async for``."""
        while not self.ended:
            yield self.snapshot()
            await asyncio.sleep(every_s)
        yield self.snapshot()

    # -- what its engine does

    def begin(self) -> None:
        """An attempt begins: the rate counts from here."""
        self._began = time.monotonic()
        self._began_at = self._most = max(self._most, self.prepared.run.committed if self.prepared else 0)

    def end(self, *, result: Survey | Path | None = None, error: BaseException | None = None) -> None:
        """Tell how it ended; only the first time counts."""
        with self._lock:
            if self._ended:
                return
            self._result, self._error = result, error
            self._ended = True
            self._under_way.release()
        if not self._owner.store.shared:
            with contextlib.suppress(SeisprocError):
                self.job  # noqa: B018 - kept here: such a store forgets
        for callback in self._callbacks:
            callback()

    def end_as(self, job: Job) -> None:
        """It ended as the store says."""
        if job.state is State.COMPLETED:
            self.end(result=Path(job.output))
        elif job.state is State.CANCELLED:
            self.end(error=Cancelled())
        else:
            self.end(error=JobFailed(job.error or f"job {job.id} failed"))

    def call_at_end(self, callback: Callable[[], None]) -> None:
        """Call back when it has ended, from whatever thread; at once if it has."""
        with self._lock:
            if not self._ended:
                self._callbacks.append(callback)
                return
        callback()


def in_flight(job: Job) -> int:
    """Input traces done in unfinished segments of a job that any process runs; 0 when nobody can tell."""
    for folder in WorkFolder.find(Path(job.output)) if job.output else ():
        with contextlib.suppress(OSError, SeisprocError):
            return Control(folder / "control").in_flight()
    return 0
