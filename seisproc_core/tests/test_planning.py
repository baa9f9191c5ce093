"""Segments: whatever the gathers, every output row belongs to exactly one segment that has all it needs."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisproc_core.data.headers import Headers, LazyColumns
from seisproc_core.data.sampling import Sampling
from seisproc_core.data.survey import MemorySurvey, OutputPlan, SurveyInfo
from seisproc_core.errors import HeaderError
from seisproc_core.plugins import registry
from seisproc_core.processing.flow import Flow, Source, Target
from seisproc_core.processing.ordering import gather_order
from seisproc_core.processing.plan import StagePlan, stage_from_json, stage_to_json
from seisproc_core.processing.planning import _fewer_repeats, plan_flow
from seisproc_core.testing import make_gather


def stage(gather_sizes: list[tuple[int, int]], segment_rows: int) -> StagePlan:
    """A stage whose gathers have so many (input, output) rows."""
    ins = np.concatenate(([0], np.cumsum([i for i, _ in gather_sizes])))
    outs = np.concatenate(([0], np.cumsum([o for _, o in gather_sizes])))
    output = OutputPlan(n_traces=int(outs[-1]), sampling=Sampling(0, 0.004, 10), words={}, info=SurveyInfo())
    return StagePlan(
        source={"storage": "memory"},
        traces_in=int(ins[-1]),
        order=None,
        in_starts=ins,
        out_starts=outs,
        steps=(),
        storage="memory",
        output=output,
        segment_rows=segment_rows,
    )


sizes = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), min_size=1, max_size=30).filter(
    lambda gathers: sum(o for _, o in gathers) > 0
)


@given(sizes, st.integers(1, 10))
def test_segments_cover_every_row_once_with_whole_gathers(gathers: list[tuple[int, int]], rows: int) -> None:
    plan = stage(gathers, rows)
    assert plan.out_starts is not None
    covered: list[int] = []
    for number in range(plan.n_segments):
        first, end = plan.segment(number)
        covered += range(first, end)
        low, high = plan.gathers_of(first, end)
        assert plan.out_starts[low] <= first < end <= plan.out_starts[high]
        # no gather too many: the first and the last one have a row in the segment
        assert plan.out_starts[low + 1] > first
        assert plan.out_starts[high - 1] < end
    assert covered == list(range(plan.output.n_traces))


@given(sizes, st.integers(1, 4))
def test_segments_grow_until_little_is_read_twice(gathers: list[tuple[int, int]], rows: int) -> None:
    grown = _fewer_repeats(stage(gathers, rows), rows)
    assert grown.segment_rows % rows == 0
    read = sum(
        end - first
        for first, end in (grown.rows_in(*grown.gathers_of(*grown.segment(i))) for i in range(grown.n_segments))
    )
    assert grown.segment_rows == 8 * rows or read <= 1.05 * grown.traces_in


@given(sizes, st.integers(1, 10))
def test_a_plan_survives_json(gathers: list[tuple[int, int]], rows: int) -> None:
    import json

    plan = stage(gathers, rows)
    again = stage_from_json(json.loads(json.dumps(stage_to_json(plan))), dict(plan.arrays()).get)
    assert attrs.asdict(again, recurse=False).keys() == attrs.asdict(plan, recurse=False).keys()
    assert stage_to_json(again) == stage_to_json(plan)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40), st.randoms())
def test_gather_order_does_not_depend_on_the_order_in_the_file(keys: list[tuple[int, int]], random: object) -> None:
    rows = np.arange(len(keys))
    shuffled = np.random.default_rng(random.randrange(2**31)).permutation(rows)  # type: ignore[attr-defined]

    def ids(permutation: np.ndarray) -> tuple[list[int], list[int]]:
        cdp, offset = (np.array([key[i] for key in keys])[permutation] for i in (0, 1))
        headers = make_gather(np.zeros((len(keys), 1)), cdp=cdp, offset=offset, trace_id=permutation).headers
        order, starts = gather_order(headers, ("cdp",), ("offset",))
        order = rows if order is None else order
        assert starts is not None
        return headers["trace_id"][order].tolist(), starts.tolist()

    assert ids(rows) == ids(shuffled)


def test_a_flow_that_looks_at_no_header_loads_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """An import, also one with an index: a survey may have a hundred million traces."""
    gather = make_gather(np.zeros((6, 4), np.float32), cdp=np.arange(6, dtype=np.int32))

    def load(name: str) -> np.ndarray:
        raise AssertionError(f"{name} was loaded")

    survey = MemorySurvey(gather)
    monkeypatch.setattr(survey, "headers", lambda: Headers(LazyColumns(gather.headers.dtypes, load), 6))
    sink = Target(storage="survey", path="/nowhere/out.seis", index=(("cdp",),))
    flow = Flow(source=Source(storage="memory", survey=survey), sink=sink)
    assert plan_flow(flow, registry(), survey).traces_in == 6
    with pytest.raises(HeaderError, match="offset"):
        plan_flow(attrs.evolve(flow, sink=attrs.evolve(sink, index=(("offset",),))), registry(), survey)
