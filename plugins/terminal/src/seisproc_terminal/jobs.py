"""Running a job in the foreground: progress on stderr, Ctrl-C turned into a cancel, a summary at the end."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from seisproc_core.data.formats import open_survey, unfinished
from seisproc_core.errors import Cancelled, PluginError, SeisprocError, StorageError
from seisproc_core.jobs.engine import Engine, JobHandle, Progress
from seisproc_core.plugins import registry
from seisproc_terminal import output
from seisproc_terminal.options import How, as_typed

if TYPE_CHECKING:
    from seisproc_core.jobs.store import JobStore

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LINE_EVERY_S = 5.0


@attrs.frozen(kw_only=True)
class Outcome:
    """A completed job.

    Attributes
    ----------
    traces_in, traces_out
        Traces of the input and of the output.
    seconds
        From the request to the whole output, planning included.
    already_complete
        It was there before; nothing was done.
    """

    job: str
    name: str
    path: Path
    traces_in: int
    traces_out: int
    seconds: float
    notes: tuple[str, ...] = ()
    already_complete: bool = False

    def to_json(self) -> dict[str, Any]:
        rate = self.traces_in / self.seconds
        return {**attrs.asdict(self), "path": str(self.path), "state": "completed", "traces_per_s": rate}


def carry_out(start: Callable[[Engine], JobHandle | None], how: How, *, as_json: bool) -> bool:
    """Start a job; print what it made, or its id where it is detached. False when there was nothing to do."""
    if how.detach:
        with Engine(store=durable_store(), executor=how.executor, workers=how.workers) as engine:
            handle = start(engine)
            if handle is not None:
                _report_queued(handle, as_json)
            return handle is not None
    outcome = run_job(start, how, as_json=as_json)
    if outcome is not None:
        _report(outcome, as_json)
    return outcome is not None


def run_job(
    start: Callable[[Engine], JobHandle | None], how: How | None = None, *, as_json: bool = False
) -> Outcome | None:
    """Start a job, follow it to its end, and return what it made.

    Parameters
    ----------
    start
        Submits the job to the engine it gets; None when there is nothing to do.
    as_json
        Show no progress.

    Raises
    ------
    SeisprocError
        Why the job failed; `Cancelled` after a signal, with exit code 128 + signal.
    """
    how = how or How()
    began = time.monotonic()
    if how.executor is not None:
        registry().find("executors", how.executor)
    with Signals() as signals, Engine(store=best_store(), executor=how.executor, workers=how.workers) as engine:
        handle = start(engine)
        if handle is None:
            return None
        if not as_json:
            for note in handle.notes:
                output.remark(f"note: {as_typed(note) if handle.job.type == 'import' else note}")
        follow(handle, signals, as_json=as_json)
        target = Path(handle.job.output)
        try:
            path = handle.result().path
        except SeisprocError as error:
            raise _with_way_on(error, target, signals) from error
        return Outcome(
            job=handle.id,
            name=handle.job.name,
            path=path,
            traces_in=handle.traces_in,
            traces_out=open_survey(path).n_traces,
            seconds=time.monotonic() - began,
            notes=handle.notes,
            already_complete=handle.snapshot().total == 0,
        )


def _report_queued(handle: JobHandle, as_json: bool) -> None:
    job = handle.job
    if as_json:
        output.document({"job": job.id, "name": job.name, "state": str(job.state), "output": job.output})
    else:
        output.show(f"job {job.id}  {job.name}  {job.state}")


def _report(outcome: Outcome, as_json: bool) -> None:
    """Print what a job made."""
    if as_json:
        output.document(outcome.to_json())
        return
    if outcome.already_complete:
        output.show(f"{outcome.path}: already complete")
        return
    rate = outcome.traces_in / outcome.seconds
    output.show(
        f"{outcome.path}: {outcome.traces_out:,} traces from {outcome.traces_in:,} "
        f"in {outcome.seconds:.1f} s ({rate:,.0f} traces/s)"
    )


def best_store() -> JobStore | None:
    """The installed durable job store, or None with a warning where it cannot be used."""
    if registry().best("job_stores") is None:
        return None
    try:
        return durable_store()
    except (SeisprocError, OSError) as error:
        output.remark(f"this job will not be in the job list: {error}")
        return None


def durable_store() -> JobStore:
    """The installed durable job store, opened."""
    entry = registry().best("job_stores")
    if entry is None:
        raise PluginError("there is no durable job store; install seisproc-jobstore")
    try:
        store: JobStore = registry().load("job_stores", entry.id)()
    except OSError as error:
        raise StorageError.from_os(error, "cannot open the job store") from error
    return store


def follow(handle: JobHandle, signals: Signals, *, as_json: bool) -> None:
    """Show progress until the job has ended; the first signal cancels it, the second ends the program."""
    asked = False
    with display(as_json) as shown, signals.caught():
        for progress in handle.progress():
            shown.update(progress)
            if signals.first is not None and not asked:
                asked = True
                handle.cancel()
                shown.say("cancelling: waiting for the segments in flight; again to end at once")


def _with_way_on(error: SeisprocError, target: Path, signals: Signals) -> SeisprocError:
    """The job's error with how to go on, where that is possible, and a signal's exit code."""
    message = str(error)
    if message.endswith("seisproc resume"):
        message = f"{message} {target}"
    elif unfinished(target) and "seisproc resume" not in message:
        message = f"{message}; go on with: seisproc resume {target}"
    if isinstance(error, Cancelled):
        return cancelled(signals.first, message)
    error.args = (message,)
    return error


def cancelled(number: int | None, message: str = "cancelled") -> Cancelled:
    """What a signal ends a command with."""
    error = Cancelled(message)
    if number is not None:
        error.exit_code = 128 + number
    return error


class Signals:
    """SIGINT, SIGTERM and SIGHUP while a job is prepared and run. Signals that were ignored stay ignored."""

    def __init__(self) -> None:
        self.first: int | None = None
        self._caught = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def caught(self) -> Iterator[None]:
        """While a job runs, signals are noted for `follow`; before that they raise."""
        self._caught = True
        try:
            yield
        finally:
            self._caught = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.first is not None:
            # Workers end with this process; everything committed so far is on disk.
            if sys.stderr.isatty():
                os.write(2, b"\x1b[?25h\n")  # the progress bar hid the cursor
            os._exit(128 + number)
        self.first = number
        if not self._caught:
            raise cancelled(number)


class _Display(Protocol):
    def update(self, progress: Progress) -> None: ...

    def say(self, text: str) -> None: ...


@contextmanager
def display(as_json: bool) -> Iterator[_Display]:
    if as_json:
        yield _Silent()
    elif sys.stderr.isatty():
        from seisproc_terminal.progress_bar import progress_bar

        with progress_bar() as bar:
            yield bar
    else:
        yield _Lines()


class _Silent:
    def update(self, progress: Progress) -> None:
        return None

    def say(self, text: str) -> None:
        return None


class _Lines:
    """A line now and then, for logs."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._why = ""

    def update(self, progress: Progress) -> None:
        if progress.why and progress.why != self._why:
            self.say(f"{progress.state}: {progress.why}")
        self._why = progress.why
        if time.monotonic() - self._last < _LINE_EVERY_S or progress.why:
            return
        self._last = time.monotonic()
        left = "" if progress.eta_s is None else f", {progress.eta_s:.0f} s left"
        share = 100 * progress.done / max(progress.total, 1)
        self.say(
            f"{share:.0f} % of {progress.total:,} traces, stage {progress.stage + 1}/{progress.stages}, "
            f"{progress.rate:,.0f} traces/s{left}"
        )

    def say(self, text: str) -> None:
        output.remark(text)
