"""What happens inside a segment: read gathers, run the steps on batches, keep the segment's own rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.data.headers import Headers
from seisproc_core.data.survey import OutputPlan, Piece, Sink, Survey
from seisproc_core.data.words import DEAD
from seisproc_core.errors import Cancelled, SeisprocError, StepError, UsageError
from seisproc_core.execution.remote import in_words
from seisproc_core.jobs.control import Control
from seisproc_core.plugins import Registry
from seisproc_core.processing import kernels
from seisproc_core.processing.context import BufferPool, Context
from seisproc_core.processing.inputs import complete
from seisproc_core.processing.params import build, to_plain
from seisproc_core.processing.plan import BATCH_BYTES, StagePlan, StepPlan
from seisproc_core.processing.processor import Processor
from seisproc_core.processing.sides import REMOVED
from seisproc_core.processing.survey_scope import tables_of


def _nothing(where: Any) -> Any:
    raise UsageError(f"a stage asked for {where}, and nobody has it")


@attrs.frozen
class Sources:
    """What a stage may read beside its source.

    Attributes
    ----------
    survey
        A further survey, by its address in the plan.
    arrays
        What an earlier stage measured or solved: arrays by key.
    """

    survey: Callable[[Mapping[str, Any]], Survey] = _nothing
    arrays: Callable[[int], Mapping[str, np.ndarray]] = _nothing


NO_SOURCES = Sources()


class StageRunner:
    """Runs segments of one stage in this process; equal input gives equal pieces, however often.

    Parameters
    ----------
    source
        The open input of the stage.
    control
        Polled between batches, and by kernels through its flag.
    sources
        What else its steps read.
    """

    def __init__(
        self,
        plan: StagePlan,
        source: Survey,
        sink: Sink,
        registry: Registry,
        control: Control,
        threads: int = 1,
        sources: Sources = NO_SOURCES,
    ) -> None:
        self.plan = plan
        self.source = source
        self.sink = sink
        self.control = control
        self._pool = BufferPool()
        self.sources = sources
        self.steps: list[RunningStep] = []
        self._sides = [(s, registry.load("storage", s.storage)().sink(s.output)) for s in plan.sides]
        for number, step in enumerate(plan.steps):
            instance = build(registry.load("processors", step.use), step.use, step.parameters)
            found = kernels.load(registry, step.kernels)
            solution = {} if step.solution is None else tables_of(sources.arrays(step.solution))
            saving = frozenset(side.name for side in plan.sides if side.step == number)
            context = Context(
                found, flag=control.flag, threads=threads, pool=self._pool, solution=solution, saving=saving
            )
            surveys = {name: sources.survey(item.source) for name, item in step.inputs.items()}
            self.steps.append(RunningStep(step, instance, context, surveys))

    def run(self, segment: int, slot: int) -> tuple[list[Piece], int, int]:
        """Compute one segment.

        Returns
        -------
        pieces, traces_in, traces_out
            What the sink wants written, input traces read, output traces made.
        """
        self.control.begin(slot, segment)
        began = time.thread_time_ns()
        first, end = self.plan.segment(segment)
        outputs = [(self.sink, self.plan.output), *((sink, side.output) for side, sink in self._sides)]
        parts: list[list[Gather]] = [[] for _ in outputs]
        traces_in = 0
        for batch in self.batches(first, end):
            self.control.check()
            made, count = self._batch(segment, *batch)
            for mine, gather in zip(parts, made, strict=True):
                mine.append(_clip(gather, self._first_output(batch[0]), first, end))
            traces_in += count
            self.control.beat(slot, count, bytes_in=4 * self.source.sampling.count * count)
        rows = _assembled(parts[0], self.plan.output)
        pieces = self.sink.encode(first, rows)
        for (side, sink), mine in zip(self._sides, parts[1:], strict=True):
            made_of = sink.encode(first, _assembled(mine, side.output))
            pieces += [attrs.evolve(piece, side=side.number) for piece in made_of]
        self.control.spent(slot, time.thread_time_ns() - began)
        return pieces, traces_in, rows.n_traces

    def batches(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """Ranges of gathers that cover output rows ``[first, end)``, each about 8 MiB of input or one gather; all at
        once where there is nothing to do but to copy: a read of more rows in another order is a read of fewer places.
        """
        low, high = self.plan.gathers_of(first, end)
        if not self.plan.steps and low < high:
            yield low, high
            return
        limit = max(1, BATCH_BYTES // (4 * self.source.sampling.count))
        starts = self.plan.in_starts
        while low < high:
            if starts is None:
                stop = min(low + limit, high)
            else:
                stop = int(np.searchsorted(starts, starts[low] + limit, side="right")) - 1
                stop = min(max(stop, low + 1), high)
            yield low, stop
            low = stop

    def _first_output(self, gather: int) -> int:
        return gather if self.plan.out_starts is None else int(self.plan.out_starts[gather])

    def _read(self, low: int, high: int) -> Gather:
        first, end = self.plan.rows_in(low, high)
        order = self.plan.order
        rows = np.arange(first, end) if order is None else np.asarray(order[first:end])
        wanted = slice(first, end) if order is None else rows
        got = self.source.read(wanted, flag=self.control.flag)
        starts = (
            np.arange(end - first + 1) if self.plan.in_starts is None else self.plan.in_starts[low : high + 1] - first
        )
        headers = complete(got.headers, rows, self.source.sampling.count)
        return attrs.evolve(got, headers=headers, gather_starts=np.asarray(starts, np.int64))

    def _batch(self, segment: int, low: int, high: int) -> tuple[list[Gather], int]:
        """Gathers ``[low, high)`` after all steps, what is saved of these, and how many input traces they had."""
        batch = self._read(low, high)
        count = batch.n_traces
        saved: list[Gather] = []
        for number, step in enumerate(self.steps):
            made = step.call(step.instance.apply, batch, low, high)
            if not isinstance(made, Gather):
                raise StepError(f"step '{step.instance.id}' returned {type(made).__name__}, not a Gather")
            names = [side.name for side, _ in self._sides if side.step == number]
            saved += step.saved(names, batch, made)
            batch = made
        starts, sampling = self._planned_starts(low, high), self.plan.output.sampling
        if batch.sampling != sampling or not np.array_equal(batch.gather_starts, starts):
            raise StepError(
                f"segment {segment}: the steps made {batch.n_traces} traces of {batch.n_samples} samples in "
                f"{batch.n_gathers} gathers, the plan said {starts[-1]} of {sampling.count} in {high - low}; "
                "every gather must have its planned size, and the samples their planned start and interval"
            )
        return [batch, *saved], count

    def _planned_starts(self, low: int, high: int) -> np.ndarray:
        """`gather_starts` of the output of gathers ``[low, high)``."""
        if self.plan.out_starts is None:
            return np.arange(high - low + 1)
        planned: np.ndarray = self.plan.out_starts[low : high + 1] - self.plan.out_starts[low]
        return planned


def _assembled(parts: list[Gather], output: OutputPlan) -> Gather:
    """A segment's rows as one gather with exactly the planned words."""
    rows = Gather.concatenate(parts)
    missing = [name for name in output.words if name not in rows.headers.columns]
    if missing:
        raise StepError(f"the steps lost header word '{missing[0]}' that the plan declared")
    columns = {name: _exactly(name, rows.headers.columns[name], np.dtype(d)) for name, d in output.words.items()}
    held = rows.headers
    exact = Headers(columns, held.count, length_factor=held.length_factor, raw=held.raw)
    return attrs.evolve(rows, headers=exact)


@attrs.frozen(eq=False)
class RunningStep:
    """A step as it runs: its plan, the processor, what that may ask for, and the further surveys it reads."""

    plan: StepPlan
    instance: Processor
    context: Context
    surveys: Mapping[str, Survey]

    def call(self, method: Callable[[Gather, Context], Any], batch: Gather, low: int, high: int) -> Any:
        """A method of the processor, on a batch which is gathers ``[low, high)`` of the stage."""
        context = self.context
        context.begin({name: self._reader(name, batch, low, high) for name in self.surveys})
        context.saved()  # what a batch gave that was interrupted
        try:
            return method(batch, context)
        except (SeisprocError, MemoryError, KeyboardInterrupt):  # none is the step's fault
            raise
        except BaseException as error:  # a plugin may raise anything, and must not end more than its job
            raise _step_error(self.instance, method, context, batch, low, error) from error

    def saved(self, names: list[str], batch: Gather, made: Gather) -> list[Gather]:
        """Side outputs of the call that made `made` of `batch`."""
        if not names:
            return []
        given = self.context.saved()
        if REMOVED in names:
            out = self.context.empty(made.traces.shape)
            given[REMOVED] = np.subtract(batch.traces, made.traces, out=out)
        for name in names:
            found = given.get(name)
            if found is None or found.dtype != np.float32 or found.shape != made.traces.shape:
                got = "nothing" if found is None else f"{found.dtype} {found.shape}"
                raise StepError(
                    f"step '{self.instance.id}' saved {got} as '{name}', not float32 {made.traces.shape} as its output"
                )
        of_removed = _as_before(batch.headers, made.headers, made.n_samples)
        return [
            made.with_traces(np.ascontiguousarray(given[name]), headers=of_removed if name == REMOVED else None)
            for name in names
        ]

    def _reader(self, name: str, batch: Gather, low: int, high: int) -> Callable[[], Gather]:
        rows = self.plan.inputs[name].rows[self.plan.rows_of(low, high)]
        return lambda: partners(self.surveys[name], np.asarray(rows), batch.gather_starts, self.context.flag)


def partners(survey: Survey, rows: np.ndarray, gather_starts: np.ndarray, flag: np.ndarray) -> Gather:
    """Rows of a further input as gathers of the data; a dead trace of zeros where a row is -1."""
    first, missing = int(rows[0]) if len(rows) else 0, rows < 0
    consecutive = bool((rows == np.arange(first, first + len(rows))).all()) and not missing.any()
    wanted = slice(first, first + len(rows)) if consecutive else np.where(missing, 0, rows)
    got = survey.read(wanted, flag=flag)
    headers, traces = complete(got.headers, rows, survey.sampling.count), got.traces
    if missing.any():
        live_first, live_end = headers.live_window(survey.sampling.count)
        traces = np.where(missing[:, None], np.float32(0), traces)
        headers = headers.with_live_window(np.where(missing, 0, live_first), np.where(missing, 0, live_end))
    return attrs.evolve(got, headers=headers, traces=traces, gather_starts=gather_starts)


def _as_before(before: Headers, after: Headers, n_samples: int) -> Headers:
    """Headers of what a step removed: its output's, alive where the input was too."""
    (first, end), (first_after, end_after) = before.live_window(n_samples), after.live_window(n_samples)
    headers = after.with_live_window(np.minimum(first, first_after), np.maximum(end, end_after))
    return headers.with_columns(**{DEAD: before.column(DEAD)}) if DEAD in before.columns else headers


def _exactly(name: str, values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """A column in its planned type; a value that this type cannot hold is an error, never another value."""
    with np.errstate(invalid="ignore"):
        cast: np.ndarray = values.astype(dtype, copy=False)
    if values.dtype != dtype and not np.array_equal(cast, values, equal_nan=True):
        raise StepError(
            f"the steps made '{name}' as {values.dtype}; the plan said {dtype}, which cannot hold the values"
        )
    return cast


def _clip(made: Gather, first_row: int, first: int, end: int) -> Gather:
    """The rows of `made` (which starts at output row `first_row`) inside ``[first, end)``."""
    low, high = max(first - first_row, 0), min(end - first_row, made.n_traces)
    return made.rows(low, high)


def _step_error(
    step: Processor,
    method: Callable[[Gather, Context], Any],
    context: Context,
    batch: Gather,
    low: int,
    error: BaseException,
) -> StepError:
    """Name step, parameters and the very gather: the batch is tried again gather by gather."""
    number, culprit = low, batch
    for position, gather in enumerate(batch.split(), low):
        try:
            method(gather, context.of_gather(position - low))
        except (Cancelled, KeyboardInterrupt):
            raise
        except BaseException as again:
            number, culprit, error = position, gather, again
            break
    headers = culprit.headers
    words = [w for w in ("field_record", "channel", "cdp", "inline", "crossline") if w in headers and culprit.n_traces]
    place = ", ".join(f"{w} {headers.column(w)[0]}" for w in words[:3])
    return StepError(f"{described(step)} failed on gather {number}{f' ({place})' if place else ''}: {in_words(error)}")


def described(step: Processor) -> str:
    """A step with its parameters, for messages."""
    given = ", ".join(f"{key}={value!r}" for key, value in to_plain(step).items() if not isinstance(value, dict))
    return f"step '{step.id}' ({given})"
