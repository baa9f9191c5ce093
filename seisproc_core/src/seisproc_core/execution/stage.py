"""What happens inside a segment: read gathers, run the steps on batches, keep the segment's own rows."""

from __future__ import annotations

import time
from collections.abc import Iterator

import attrs
import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.data.headers import Headers
from seisproc_core.data.survey import Piece, Sink, Survey
from seisproc_core.errors import Cancelled, SeisprocError, StepError
from seisproc_core.execution.remote import in_words
from seisproc_core.jobs.control import Control
from seisproc_core.plugins import Registry
from seisproc_core.processing import kernels
from seisproc_core.processing.context import BufferPool, Context
from seisproc_core.processing.params import build, to_plain
from seisproc_core.processing.planning import BATCH_BYTES, StagePlan, complete
from seisproc_core.processing.processor import Processor


class StageRunner:
    """Runs segments of one stage in this process; equal input gives equal pieces, however often.

    Parameters
    ----------
    source
        The open input of the stage.
    control
        Polled between batches, and by kernels through its flag.
    """

    def __init__(
        self, plan: StagePlan, source: Survey, sink: Sink, registry: Registry, control: Control, threads: int = 1
    ) -> None:
        self.plan = plan
        self.source = source
        self.sink = sink
        self.control = control
        self._pool = BufferPool()
        self._steps: list[tuple[Processor, Context]] = []
        for step in plan.steps:
            instance = build(registry.load("processors", step.use), step.use, step.parameters)
            found = kernels.load(registry, step.kernels)
            self._steps.append((instance, Context(found, flag=control.flag, threads=threads, pool=self._pool)))

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
        parts, traces_in = [], 0
        for batch in self.batches(first, end):
            self.control.check()
            made, count = self._batch(segment, *batch)
            parts.append(_clip(made, self._first_output(batch[0]), first, end))
            traces_in += count
            self.control.beat(slot, count, bytes_in=4 * self.source.sampling.count * count)
        rows = self._assemble(parts)
        pieces = self.sink.encode(first, rows)
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

    def _batch(self, segment: int, low: int, high: int) -> tuple[Gather, int]:
        """Gathers ``[low, high)`` after all steps, and how many input traces they had."""
        batch = self._read(low, high)
        count = batch.n_traces
        for instance, context in self._steps:
            try:
                made = instance.apply(batch, context)
            except (SeisprocError, MemoryError, KeyboardInterrupt):  # none is the step's fault
                raise
            except BaseException as error:  # a plugin may raise anything, and must not end more than its job
                raise _step_error(instance, context, batch, low, error) from error
            if not isinstance(made, Gather):
                raise StepError(f"step '{instance.id}' returned {type(made).__name__}, not a Gather")
            batch = made
        starts, sampling = self._planned_starts(low, high), self.plan.output.sampling
        if batch.sampling != sampling or not np.array_equal(batch.gather_starts, starts):
            raise StepError(
                f"segment {segment}: the steps made {batch.n_traces} traces of {batch.n_samples} samples in "
                f"{batch.n_gathers} gathers, the plan said {starts[-1]} of {sampling.count} in {high - low}; "
                "every gather must have its planned size, and the samples their planned start and interval"
            )
        return batch, count

    def _planned_starts(self, low: int, high: int) -> np.ndarray:
        """`gather_starts` of the output of gathers ``[low, high)``."""
        if self.plan.out_starts is None:
            return np.arange(high - low + 1)
        planned: np.ndarray = self.plan.out_starts[low : high + 1] - self.plan.out_starts[low]
        return planned

    def _assemble(self, parts: list[Gather]) -> Gather:
        """The segment's rows as one gather with exactly the planned words."""
        rows = Gather.concatenate(parts)
        planned = self.plan.output.words
        missing = [name for name in planned if name not in rows.headers.columns]
        if missing:
            raise StepError(f"the steps lost header word '{missing[0]}' that the plan declared")
        columns = {name: _exactly(name, rows.headers.columns[name], np.dtype(d)) for name, d in planned.items()}
        held = rows.headers
        exact = Headers(columns, held.count, length_factor=held.length_factor, raw=held.raw)
        return attrs.evolve(rows, headers=exact)


class StageRunners:
    """Runs segments of one stage in any thread of this process: every slot has a `StageRunner`, and so buffers, of its
    own. Parameters as there; `source` is shared."""

    def __init__(
        self, plan: StagePlan, source: Survey, sink: Sink, registry: Registry, control: Control, threads: int = 1
    ) -> None:
        self._parts = (plan, source, sink, registry, control, threads)
        self._runners: dict[int, StageRunner] = {}

    def run(self, segment: int, slot: int) -> tuple[list[Piece], int, int]:
        """`StageRunner.run`; one segment at a time in a slot."""
        if slot not in self._runners:
            self._runners[slot] = StageRunner(*self._parts)
        return self._runners[slot].run(segment, slot)


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


def _step_error(step: Processor, context: Context, batch: Gather, low: int, error: BaseException) -> StepError:
    """Name step, parameters and the very gather: the batch is tried again gather by gather."""
    number, culprit = low, batch
    for position, gather in enumerate(batch.split(), low):
        try:
            step.apply(gather, context)
        except (Cancelled, KeyboardInterrupt):
            raise
        except BaseException as again:
            number, culprit, error = position, gather, again
            break
    headers = culprit.headers
    words = [w for w in ("field_record", "channel", "cdp", "inline", "crossline") if w in headers and culprit.n_traces]
    place = ", ".join(f"{w} {headers.column(w)[0]}" for w in words[:3])
    given = ", ".join(f"{key}={value!r}" for key, value in to_plain(step).items() if not isinstance(value, dict))
    return StepError(
        f"step '{step.id}' ({given}) failed on gather {number}{f' ({place})' if place else ''}: {in_words(error)}"
    )
