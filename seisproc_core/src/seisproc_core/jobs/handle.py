"""A submitted job as its submitter holds it: progress, cancel, result."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

from seisproc_core.data.survey import Survey
from seisproc_core.errors import StorageError, UsageError
from seisproc_core.jobs.lock import OutputLock
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.runner import Run, open_output
from seisproc_core.jobs.states import State
from seisproc_core.jobs.store import JobStore
from seisproc_core.plugins import Registry


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
        return open_output(self._made, self._registry) if isinstance(self._made, Path) else self._made


@attrs.frozen(kw_only=True, eq=False)
class Prepared:
    """A job that is checked, planned and stored, and how it will run.

    Attributes
    ----------
    notes
        What its submitter should know: findings of the reader, incomplete gathers.
    lock
        Of the output; None for a job in memory.
    result
        The output, where it is already whole and nothing will run.
    """

    job: Job
    run: Run
    notes: tuple[str, ...] = ()
    lock: OutputLock | None = None
    result: Path | None = None


class JobHandle:
    """A submitted job; made by `Engine.submit` and `Engine.resume`."""

    def __init__(
        self, prepared: Prepared, store: JobStore, known: Registry, cancel: Callable[[JobHandle], None]
    ) -> None:
        self.id = prepared.job.id
        self.notes = prepared.notes
        self.prepared = prepared
        self._store = store
        self._registry = known
        self._cancel = cancel
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self._result: Survey | Path | None = None
        self._began = time.monotonic()
        self._began_at = prepared.run.committed
        self._most = 0
        self._state = prepared.job.state
        if prepared.result is not None:
            self.end(result=prepared.result)

    @property
    def job(self) -> Job:
        """The job as its store has it."""
        return self._store.get(self.id)

    @property
    def traces_in(self) -> int:
        """Traces of the job's input."""
        return self.prepared.run.traces_in

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def end(self, *, result: Survey | Path | None = None, error: BaseException | None = None) -> None:
        """The engine tells how it ended."""
        self._result, self._error = result, error
        self._ended.set()

    def snapshot(self) -> Progress:
        """Progress now. Never runs backwards, and reaches the total only when the job is completed."""
        with contextlib.suppress(StorageError):  # a store that is busy keeps nobody from looking
            self._state = self.job.state
        run, state = self.prepared.run, self._state
        if state is State.COMPLETED:
            self._most = run.total
        else:
            self._most = max(self._most, min(run.committed + run.control.in_flight(), run.total - 1))
        passed = time.monotonic() - self._began
        rate = (self._most - self._began_at) / passed if passed > 0.2 else 0.0
        return Progress(
            state=state,
            stage=run.stage,
            stages=run.stages,
            done=self._most,
            total=run.total,
            rate=rate,
            eta_s=(run.total - self._most) / rate if rate > 0 else None,
        )

    def progress(self, every_s: float = 0.1) -> Iterator[Progress]:
        """Progress reports until the job has ended; the last one shows its final state."""
        while not self._ended.wait(every_s):
            yield self.snapshot()
        yield self.snapshot()

    def cancel(self) -> None:
        """Ask the job to stop; it will never be completed after this returns, unless it already was."""
        self._cancel(self)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end; False when the time ran out."""
        return self._ended.wait(timeout_s)

    def result(self, timeout_s: float | None = None) -> Result:
        """The result; raises the job's error if it failed, `Cancelled` if it was cancelled."""
        if not self.wait(timeout_s):
            raise UsageError(f"job {self.id} is still {self.job.state} after {timeout_s} s")
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return Result(self._result, self._registry)
