"""Planning: from a flow to stages of segments, using headers and parameters alone.

The plan fixes everything that could change the result's bytes - order of rows, segments, batches, backend of each
kernel - and depends on neither the number of workers, nor memory, nor the host.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from seisproc_core.data.gather import Layout
from seisproc_core.data.survey import OutputPlan, Survey, SurveyInfo
from seisproc_core.errors import DataError, FlowError, UsageError
from seisproc_core.plugins import Registry
from seisproc_core.processing import kernels
from seisproc_core.processing.flow import Flow, Step, word_list
from seisproc_core.processing.history import steps_of
from seisproc_core.processing.inputs import Inputs, complete
from seisproc_core.processing.ordering import gather_order
from seisproc_core.processing.params import build, tables_of, to_plain
from seisproc_core.processing.plan import BATCH_BYTES, Plan, SidePlan, StagePlan, StepPlan
from seisproc_core.processing.scattered import SHARDS_PER_BLOCK, by_blocks, too_scattered
from seisproc_core.processing.sides import check_all_saves, check_saves, same_rows
from seisproc_core.processing.survey_scope import SurveyProcessor

MAX_REPEATED = 0.05  # share of input traces that neighbouring segments may both read
MAX_SHARDS_PER_SEGMENT = 8
_COMPARED = 1 << 20  # traces at a time: a survey may have a hundred million
MEASURED_BYTES = 2 * BATCH_BYTES  # of input, in a segment that is measured


def plan_flow(flow: Flow, registry: Registry, survey: Survey) -> Plan:
    """Plan a flow on an open source survey.

    Raises
    ------
    UsageError
        Unknown processor or parameter, value out of range for these data, header word that is not there, step that
        needs gathers where there are none: before any work, naming step and parameter.
    """
    return _Planner(flow, registry, survey).plan()


class _Planner:
    """Walks the steps once; a sort ends a stage."""

    def __init__(self, flow: Flow, registry: Registry, survey: Survey) -> None:
        if survey.n_traces == 0:
            raise DataError("the source has no traces")
        self.flow = flow
        self.registry = registry
        self.survey = survey
        self.surveys = Inputs(flow.base)
        self.stages: list[StagePlan] = []
        self.notes: list[str] = list(survey.notes)
        # The stage under way: where it reads, in which order, and what its gathers are before and after its steps.
        self._source: Mapping[str, Any] = {}
        self._stored = self._before = self._now = Layout(headers=survey.headers(), sampling=survey.sampling)
        self._order: np.ndarray | None = None
        self._has_gathers = False
        self._steps: list[StepPlan] = []
        self._sides: list[SidePlan] = []
        self._saved = 0  # side outputs so far
        self._files: dict[int, dict[str, str]] = {}  # of tables, by position of the step and parameter
        self._datum = survey.info.datum

    def plan(self) -> Plan:
        flow, survey = self.flow, self.survey
        check_all_saves(flow)
        headers = complete(survey.headers(), np.arange(survey.n_traces), survey.sampling.count)
        files = tuple(str(name) for name, _ in survey.info.file.get("inputs", []))
        layout = Layout(headers=headers, sampling=survey.sampling, files=files)
        self._begin(self.surveys.add_source(flow.source, survey), layout, flow.source.gather, flow.source.sort)
        for position, step in enumerate(flow.steps):
            if step.use == "sort":
                keys = _sort_keys(step)
                self._begin(*self._close(last=False), *keys)
            else:
                self._add(step, position)
        if self._sides and flow.sink.storage != self._working_storage():
            self._go_on()  # side outputs share the shard grid of their stage
        self._close(last=True)
        inputs = self.surveys.identities(self.stages)
        return Plan(stages=tuple(self.stages), inputs=inputs, notes=tuple(self.notes), held=self.surveys.held)

    def _measure(self, instance: SurveyProcessor, planned: StepPlan) -> StepPlan:
        """The stages that measure and solve; returns the step as it is to be applied."""
        if planned.inputs:
            raise FlowError(f"step '{planned.use}' measures the survey; it cannot read a further one")
        if self._steps:
            self._go_on()
        order, starts = gather_order(self._stored.headers, *instance.measuring_order())
        for _ in range(instance.rounds()):
            self.stages += measuring(instance, planned, self._source, self._stored, order, starts, len(self.stages))
            planned = attrs.evolve(planned, solution=len(self.stages) - 1)
        return planned

    def _go_on(self) -> None:
        """End the stage under way, and begin another with the same gathers."""
        now = self._now
        self._source, self._stored = self._close(last=False)
        self._order, self._before, self._steps, self._sides = None, now, [], []

    def _begin(self, source: Mapping[str, Any], layout: Layout, gather: tuple[str, ...], sort: tuple[str, ...]) -> None:
        """Begin a stage that reads a survey in gather order."""
        order, starts = gather_order(layout.headers, gather, sort)
        headers = layout.headers if order is None else layout.headers.take(order)
        self._source, self._stored, self._order, self._has_gathers = source, layout, order, starts is not None
        if starts is None:
            starts = np.arange(layout.n_traces + 1)
        self._before = self._now = Layout(
            headers=headers, sampling=layout.sampling, gather_starts=starts, files=layout.files
        )
        self._steps, self._sides = [], []

    def _add(self, step: Step, position: int) -> None:
        """Plan one step, the flow's `position`-th, of the stage under way."""
        entry = self.registry.find("processors", step.use)
        cls = self.registry.load("processors", step.use)
        if cls.scope == "gather" and not self._has_gathers:
            raise FlowError(
                f"step '{step.use}' works on gathers: put gather = [...] into [source], or a sort step before it"
            )
        layout = attrs.evolve(self._now, datum=self._datum)
        if (cls.scope == "survey") != issubclass(cls, SurveyProcessor):
            raise FlowError(f"step '{step.use}': scope 'survey' and the base SurveyProcessor go together")
        instance = build(cls, step.use, step.parameters, self.flow.base).resolve(layout)
        instance.check(layout)
        self.notes += [f"{step.use}: {note}" for note in instance.notes(layout)]
        after = instance.plan(layout)
        if after.n_gathers != layout.n_gathers:
            raise FlowError(f"step '{step.use}' changed the number of gathers in its plan; only a sort may do that")
        check_saves(step, cls, layout, after)
        if self._sides and not same_rows(layout, after):
            self._go_on()  # the rows of side outputs are those of their stage
        inputs, notes = self.surveys.match(step, instance, layout)
        self.notes += notes
        planned = StepPlan(
            use=step.use,
            parameters=to_plain(instance),
            kernels=kernels.choose(self.registry, cls.kernels, step.backend, f"step '{step.use}'"),
            version=cls.version,
            distribution=entry.distribution,
            tables=tables_of(instance),
            inputs=inputs,
            starts=None if not inputs or _each_by_itself(layout) else layout.gather_starts,
        )
        self._files[position] = {name: table["file"] for name, table in planned.tables.items()}
        if isinstance(instance, SurveyProcessor):
            planned = self._measure(instance, planned)
        self._steps.append(planned)
        self._now, self._datum = after, after.datum or self._datum
        self._sides += [self._side(step, position, name) for name in step.save]

    def _side(self, step: Step, position: int, name: str) -> SidePlan:
        output = self._output(self._now, last=False)
        history = (*self.survey.info.history, *steps_of(self.flow, self.registry, self._files, position, name))
        output = attrs.evolve(
            output, info=attrs.evolve(output.info, history=history), options=self._side_options(), raw_sample_bytes=0
        )
        self._saved += 1
        return SidePlan(
            step=len(self._steps) - 1,
            use=step.use,
            name=name,
            path=step.save[name],
            number=self._saved - 1,
            storage=self._working_storage(),
            output=output,
        )

    def _side_options(self) -> Mapping[str, Any]:
        """Those of the sink where it is of the same format: one grid for all."""
        return self.flow.sink.options if self.flow.sink.storage == self._working_storage() else {}

    def _close(self, *, last: bool) -> tuple[Mapping[str, Any], Layout]:
        """End the stage under way; returns its result as the source of another."""
        before, after = self._before, self._now
        if after.n_traces == 0:
            raise DataError("no trace is left after the steps; check the selection")
        plain = _each_by_itself(before) and _each_by_itself(after) and not self._has_gathers
        output = self._output(after, last)
        storage = self.flow.sink.storage if last else self._working_storage()
        if self._sides and not last:
            output = attrs.evolve(output, options=self._side_options())
        outputs = [(storage, output), *((side.storage, side.output) for side in self._sides)]
        shard_rows = math.lcm(*(self.registry.load("storage", s)().sink(planned).shard_rows for s, planned in outputs))
        rows_in = shard_rows * before.n_traces // after.n_traces
        source, order = self._within_reach(self._source, self._stored, self._order, rows_in)
        stage = StagePlan(
            source=source,
            traces_in=before.n_traces,
            order=order,
            in_starts=None if plain else before.gather_starts,
            out_starts=None if plain else after.gather_starts,
            steps=tuple(self._steps),
            storage=storage,
            output=output,
            segment_rows=shard_rows,
            sides=tuple(self._sides),
        )
        self.stages.append(_fewer_repeats(stage, shard_rows))
        return {"stage": len(self.stages) - 1}, Layout(
            headers=after.headers, sampling=after.sampling, files=before.files
        )

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

    def _output(self, layout: Layout, last: bool) -> OutputPlan:
        headers, flow, info = layout.headers, self.flow, self.survey.info
        changed = any(
            step.use != "sort" and not self.registry.load("processors", step.use).headers_only for step in flow.steps
        )
        index = flow.sink.index if last else ()
        done = steps_of(flow, self.registry, self._files) if last else ()  # every step has been looked at by then
        for word in {word for keys in index for word in keys} - set(headers):
            headers.column(word)  # says which words there are
        return OutputPlan(
            n_traces=layout.n_traces,
            sampling=layout.sampling,
            words={name: headers.dtype(name).str for name in headers},
            info=attrs.evolve(
                info,
                processed=info.processed or changed,
                history=(*info.history, *done),
                datum=self._datum,
            ),
            raw_header_bytes=self.survey.raw_header_bytes,
            raw_sample_bytes=0 if changed else self.survey.raw_sample_bytes,
            index=index,
            options=flow.sink.options if last else {},
            largest_gather=int(np.diff(layout.gather_starts).max()) if self._has_gathers else 0,
        )

    def _working_storage(self) -> str:
        if self.flow.sink.storage == "memory":
            return "memory"
        for entry in self.registry.of("storage"):
            if entry.spec["working"]:
                return entry.id
        raise UsageError("a flow with a sort needs an installed format that can hold intermediate stages")


def measuring(
    instance: SurveyProcessor,
    step: StepPlan,
    source: Mapping[str, Any],
    layout: Layout,
    order: np.ndarray | None,
    starts: np.ndarray | None,
    number: int,
) -> tuple[StagePlan, StagePlan]:
    """Two stages, the first of which is stage `number`: measure the traces of a survey in gather order, and solve."""
    record = instance.measured(layout)
    about = OutputPlan(n_traces=layout.n_traces, sampling=layout.sampling, words={}, info=SurveyInfo())
    rows = max(1, MEASURED_BYTES // (4 * layout.n_samples))
    measure = StagePlan(
        kind="measure",
        source=source,
        traces_in=layout.n_traces,
        order=order,
        in_starts=starts,
        out_starts=starts,
        steps=(step,),
        storage="memory",
        output=about,
        segment_rows=rows,
    )
    solve = attrs.evolve(
        measure,
        kind="solve",
        source={"stage": number},
        traces_in=0,
        order=None,
        in_starts=None,
        out_starts=None,
        output=attrs.evolve(about, n_traces=0, options={"records": layout.n_traces, "record_bytes": record.itemsize}),
    )
    return _fewer_repeats(measure, rows), solve


def _sort_keys(step: Step) -> tuple[tuple[str, ...], tuple[str, ...]]:
    unknown = set(step.parameters) - {"gather", "sort"}
    if unknown:
        raise FlowError(f"step 'sort': unknown parameter '{min(unknown)}'; it has gather and sort")
    gather, sort = (word_list("step 'sort'", key, step.parameters.get(key, [])) for key in ("gather", "sort"))
    if not gather and not sort:
        raise FlowError("step 'sort' needs gather = [...] or sort = [...]")
    return gather, sort


def _each_by_itself(layout: Layout) -> bool:
    """Whether every trace is a gather of its own."""
    starts = layout.gather_starts
    parts = (starts[k : k + _COMPARED + 1] for k in range(0, layout.n_traces, _COMPARED))
    return layout.n_gathers == layout.n_traces and all(bool((np.diff(part) == 1).all()) for part in parts)


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
