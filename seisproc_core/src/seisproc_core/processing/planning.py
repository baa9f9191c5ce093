"""Planning: from a flow to stages of segments, using headers and parameters alone.

The plan fixes everything that could change the result's bytes - order of rows, segments, batches, backend of each
kernel - and depends on neither the number of workers, nor memory, nor the host.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from seisproc_core.data.gather import Layout
from seisproc_core.data.headers import Headers
from seisproc_core.data.survey import OutputPlan, Survey
from seisproc_core.data.words import DEAD, LIVE_END, LIVE_FIRST, TRACE_ID
from seisproc_core.errors import DataError, FlowError, UsageError
from seisproc_core.plugins import Registry
from seisproc_core.processing import kernels
from seisproc_core.processing.flow import Flow, Step, word_list
from seisproc_core.processing.params import build, to_plain
from seisproc_core.processing.scattered import SHARDS_PER_BLOCK, by_blocks, too_scattered

BATCH_BYTES = 8 << 20
MAX_REPEATED = 0.05  # share of input traces that neighbouring segments may both read
MAX_SHARDS_PER_SEGMENT = 8


@attrs.frozen(kw_only=True)
class StepPlan:
    """A step with every parameter filled in and the backend of each kernel chosen."""

    use: str
    parameters: Mapping[str, Any]
    kernels: Mapping[str, str]
    version: int
    distribution: str


@attrs.frozen(eq=False, kw_only=True)
class StagePlan:
    """One stage: read gathers, run steps, write rows.

    Attributes
    ----------
    source
        ``{"storage", "paths", "options"}`` of the input survey, or ``{"stage": k}`` for an earlier stage.
    order
        Input rows in gather order, int64 ``(traces_in,)``; None for stored order.
    in_starts, out_starts
        First ordered input row, first output row of each gather (and the totals); None when every row is
        a gather by itself and stays one row.
    segment_rows
        Output rows per segment: a multiple of the sink's shard.
    """

    source: Mapping[str, Any]
    traces_in: int
    order: np.ndarray | None
    in_starts: np.ndarray | None
    out_starts: np.ndarray | None
    steps: tuple[StepPlan, ...]
    storage: str
    output: OutputPlan
    segment_rows: int

    @property
    def n_segments(self) -> int:
        return max(1, -(-self.output.n_traces // self.segment_rows))

    def segment(self, number: int) -> tuple[int, int]:
        """Output rows ``[first, end)`` of a segment."""
        first = number * self.segment_rows
        return first, min(first + self.segment_rows, self.output.n_traces)

    def gathers_of(self, first: int, end: int) -> tuple[int, int]:
        """Gathers ``[first, end)`` that touch a range of output rows."""
        if self.out_starts is None:
            return first, end
        low = int(np.searchsorted(self.out_starts, first, side="right")) - 1
        high = int(np.searchsorted(self.out_starts, end, side="left"))
        return low, max(low, high)

    def rows_in(self, first: int, end: int) -> tuple[int, int]:
        """Ordered input rows of gathers ``[first, end)``."""
        if self.in_starts is None:
            return first, end
        return int(self.in_starts[first]), int(self.in_starts[end])


@attrs.frozen(eq=False, kw_only=True)
class Plan:
    """Stages in order; the last one writes the job's output.

    Attributes
    ----------
    inputs
        Identity of every input (path, size, checksums), as its storage gives it.
    notes
        What a person should know: findings of the reader, gathers that are incomplete.
    """

    stages: tuple[StagePlan, ...]
    inputs: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]

    @property
    def traces_in(self) -> int:
        return sum(stage.traces_in for stage in self.stages)

    def fingerprint(self, versions: Mapping[str, str]) -> str:
        """Hash of all that decides the output's bytes; paths do not."""
        digest = hashlib.sha256()
        inputs = [{key: value for key, value in item.items() if key != "path"} for item in self.inputs]
        digest.update(json.dumps([inputs, dict(versions)], sort_keys=True).encode())
        for stage in self.stages:
            digest.update(json.dumps(stage_to_json(stage, with_paths=False), sort_keys=True).encode())
            for array in (stage.order, stage.in_starts, stage.out_starts):
                digest.update(b"-" if array is None else np.ascontiguousarray(array).view(np.uint8).data)
        return digest.hexdigest()


def bytes_per_worker(stage: StagePlan) -> int:
    """Estimate of a worker's peak: the rows of a segment and their encoded form, and input and output of a batch."""
    row = 4 * stage.output.sampling.count + stage.output.raw_header_bytes
    largest = 1 if stage.in_starts is None else int(np.diff(stage.in_starts).max())
    return 2 * min(stage.segment_rows, stage.output.n_traces) * row + 3 * max(BATCH_BYTES, largest * row)


def stage_to_json(stage: StagePlan, *, with_paths: bool = True) -> dict[str, Any]:
    """Everything but the arrays, as plain JSON values."""
    source = dict(stage.source)
    if not with_paths:
        source.pop("paths", None)
    return {
        "source": source,
        "traces_in": stage.traces_in,
        "steps": [attrs.asdict(step) for step in stage.steps],
        "storage": stage.storage,
        "output": stage.output.to_json(),
        "segment_rows": stage.segment_rows,
    }


def stage_from_json(plain: Mapping[str, Any], arrays: Mapping[str, np.ndarray | None]) -> StagePlan:
    """The inverse of `stage_to_json`; `arrays` holds order, in_starts and out_starts."""
    return StagePlan(
        source=plain["source"],
        traces_in=plain["traces_in"],
        order=arrays["order"],
        in_starts=arrays["in_starts"],
        out_starts=arrays["out_starts"],
        steps=tuple(StepPlan(**step) for step in plain["steps"]),
        storage=plain["storage"],
        output=OutputPlan.from_json(plain["output"]),
        segment_rows=plain["segment_rows"],
    )


def complete(headers: Headers, rows: np.ndarray, n_samples: int) -> Headers:
    """Headers with the words that every trace has: identity, live window, dead mark."""
    missing = {}
    if TRACE_ID not in headers.columns:
        missing[TRACE_ID] = rows.astype(np.int64)
    if LIVE_FIRST not in headers.columns:
        missing[LIVE_FIRST] = np.zeros(len(rows), np.int32)
        missing[LIVE_END] = np.full(len(rows), n_samples, np.int32)
    if DEAD not in headers.columns:
        missing[DEAD] = np.zeros(len(rows), np.uint8)
    return headers.with_columns(**missing) if missing else headers


def plan_flow(flow: Flow, registry: Registry, survey: Survey) -> Plan:
    """Plan a flow on an open source survey.

    Raises
    ------
    UsageError
        Unknown processor or parameter, value out of range for these data, header word that is not there, step that
        needs gathers where there are none: before any work, naming step and parameter.
    """
    planner = _Planner(flow, registry, survey)
    return planner.plan()


class _Planner:
    """Walks the steps once; a sort ends a stage."""

    def __init__(self, flow: Flow, registry: Registry, survey: Survey) -> None:
        if survey.n_traces == 0:
            raise DataError("the source has no traces")
        self.flow = flow
        self.registry = registry
        self.survey = survey
        self.stages: list[StagePlan] = []
        self.notes: list[str] = list(survey.notes)

    def plan(self) -> Plan:
        flow, survey = self.flow, self.survey
        headers = complete(survey.headers(), np.arange(survey.n_traces), survey.sampling.count)
        files = tuple(str(name) for name, _ in survey.info.file.get("inputs", []))
        layout = Layout(headers=headers, sampling=survey.sampling, files=files)
        source: dict[str, Any] = {
            "storage": flow.source.storage,
            "paths": list(flow.source.paths),
            "options": dict(flow.source.options),
        }
        gather, sort = flow.source.gather, flow.source.sort
        steps: list[Step] = []
        for step in flow.steps:
            if step.use == "sort":
                layout = self._stage(source, layout, gather, sort, steps, last=False)
                source = {"stage": len(self.stages) - 1}
                gather, sort = _sort_keys(step)
                steps = []
            else:
                steps.append(step)
        self._stage(source, layout, gather, sort, steps, last=True)
        return Plan(stages=tuple(self.stages), inputs=tuple(survey.identity()), notes=tuple(self.notes))

    def _stage(
        self,
        source: Mapping[str, Any],
        layout: Layout,
        gather: tuple[str, ...],
        sort: tuple[str, ...],
        steps: list[Step],
        *,
        last: bool,
    ) -> Layout:
        order, starts = gather_order(layout.headers, gather, sort)
        count = layout.n_traces
        headers = layout.headers if order is None else layout.headers.take(order)
        has_gathers = starts is not None
        if starts is None:
            starts = np.arange(count + 1)
        before = Layout(headers=headers, sampling=layout.sampling, gather_starts=starts, files=layout.files)
        after, planned = self._steps(steps, before, has_gathers)
        same_rows = after.n_traces == count and np.array_equal(after.gather_starts, starts)
        plain = not has_gathers and same_rows
        output = self._output(after, last)
        storage = self.flow.sink.storage if last else self._working_storage()
        sink = self.registry.load("storage", storage)().sink(output)
        source, order = self._within_reach(source, layout, order, sink.shard_rows * count // max(after.n_traces, 1))
        stage = StagePlan(
            source=source,
            traces_in=count,
            order=order,
            in_starts=None if plain else starts,
            out_starts=None if plain else after.gather_starts,
            steps=planned,
            storage=storage,
            output=output,
            segment_rows=sink.shard_rows,
        )
        self.stages.append(_fewer_repeats(stage, sink.shard_rows))
        return Layout(headers=after.headers, sampling=after.sampling, files=layout.files)

    def _within_reach(
        self, source: Mapping[str, Any], layout: Layout, order: np.ndarray | None, segment_rows: int
    ) -> tuple[Mapping[str, Any], np.ndarray | None]:
        """Source and order of a stage; behind one that sorts by blocks, where the order is all over a large survey."""
        storage = self._working_storage() if order is not None else "memory"
        row_bytes = 4 * layout.n_samples + self.survey.raw_header_bytes
        if order is None or storage == "memory" or not too_scattered(order, row_bytes, segment_rows):
            return source, order
        output = self._output(layout, last=False)
        block_rows = SHARDS_PER_BLOCK * self.registry.load("storage", storage)().sink(output).shard_rows
        first, second = by_blocks(order, block_rows)
        stage = StagePlan(
            source=source,
            traces_in=layout.n_traces,
            order=first,
            in_starts=None,
            out_starts=None,
            steps=(),
            storage=storage,
            output=output,
            segment_rows=block_rows,
        )
        self.stages.append(stage)
        self.notes.append("the traces are sorted by blocks first: one more pass, instead of reading them several times")
        return {"stage": len(self.stages) - 1}, second

    def _steps(self, steps: list[Step], layout: Layout, has_gathers: bool) -> tuple[Layout, tuple[StepPlan, ...]]:
        planned = []
        for step in steps:
            entry = self.registry.find("processors", step.use)
            cls = self.registry.load("processors", step.use)
            if cls.scope == "gather" and not has_gathers:
                raise FlowError(
                    f"step '{step.use}' works on gathers: put gather = [...] into [source], or a sort step before it"
                )
            instance = build(cls, step.use, step.parameters, self.flow.base).resolve(layout)
            instance.check(layout)
            self.notes += [f"{step.use}: {note}" for note in instance.notes(layout)]
            after = instance.plan(layout)
            if after.n_gathers != layout.n_gathers:
                raise FlowError(f"step '{step.use}' changed the number of gathers in its plan; only a sort may do that")
            layout = after
            chosen = kernels.choose(self.registry, cls.kernels, step.backend, f"step '{step.use}'")
            planned.append(
                StepPlan(
                    use=step.use,
                    parameters=to_plain(instance),
                    kernels=chosen,
                    version=cls.version,
                    distribution=entry.distribution,
                )
            )
        if layout.n_traces == 0:
            raise DataError("no trace is left after the steps; check the selection")
        return layout, tuple(planned)

    def _output(self, layout: Layout, last: bool) -> OutputPlan:
        headers, flow, info = layout.headers, self.flow, self.survey.info
        changed = any(
            step.use != "sort" and not self.registry.load("processors", step.use).headers_only for step in flow.steps
        )
        index = flow.sink.index if last else ()
        for word in {word for keys in index for word in keys}:
            headers.column(word)
        return OutputPlan(
            n_traces=layout.n_traces,
            sampling=layout.sampling,
            words={name: headers.dtype(name).str for name in headers},
            info=attrs.evolve(info, processed=info.processed or changed),
            raw_header_bytes=self.survey.raw_header_bytes,
            raw_sample_bytes=0 if changed else self.survey.raw_sample_bytes,
            index=index,
            options=flow.sink.options if last else {},
        )

    def _working_storage(self) -> str:
        if self.flow.sink.storage == "memory":
            return "memory"
        for entry in self.registry.of("storage"):
            if entry.spec["working"]:
                return entry.id
        raise UsageError("a flow with a sort needs an installed format that can hold intermediate stages")


def _sort_keys(step: Step) -> tuple[tuple[str, ...], tuple[str, ...]]:
    unknown = set(step.parameters) - {"gather", "sort"}
    if unknown:
        raise FlowError(f"step 'sort': unknown parameter '{min(unknown)}'; it has gather and sort")
    gather, sort = (word_list("step 'sort'", key, step.parameters.get(key, [])) for key in ("gather", "sort"))
    if not gather and not sort:
        raise FlowError("step 'sort' needs gather = [...] or sort = [...]")
    return gather, sort


def gather_order(
    headers: Headers, gather: tuple[str, ...], sort: tuple[str, ...]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The total order of rows, and where gathers start in it.

    Returns
    -------
    order
        Rows in gather order, int64; None where that is the stored order.
    starts
        First position of each gather and the row count, int64; None without gather words.
    """
    if not gather and not sort:
        return None, None
    columns = [_sort_column(headers, name) for name in (*gather, *sort)]
    order = np.lexsort((headers.column(TRACE_ID), *reversed(columns)))
    starts = None
    if gather:
        change = np.zeros(len(order), bool)
        change[0] = True
        for column in columns[: len(gather)]:
            ordered = column[order]
            change[1:] |= ordered[1:] != ordered[:-1]
        starts = np.append(np.flatnonzero(change), len(order))
    identity = np.array_equal(order, np.arange(len(order)))
    return (None if identity else order), starts


def _sort_column(headers: Headers, name: str) -> np.ndarray:
    column = headers.column(name.removeprefix("-"))
    if not name.startswith("-"):
        return column
    return -column.astype(np.float64 if column.dtype.kind == "f" else np.int64)


def _fewer_repeats(stage: StagePlan, shard_rows: int) -> StagePlan:
    """Larger segments where gathers on borders would be computed twice too often."""
    for shards in (1, 2, 4, MAX_SHARDS_PER_SEGMENT):
        stage = attrs.evolve(stage, segment_rows=shards * shard_rows)
        if stage.out_starts is None:
            break
        bounds = [stage.segment(i) for i in range(stage.n_segments)]
        touched = [stage.rows_in(*stage.gathers_of(first, end)) for first, end in bounds]
        read = sum(end - first for first, end in touched)
        if read <= (1 + MAX_REPEATED) * stage.traces_in:
            break
    return stage
