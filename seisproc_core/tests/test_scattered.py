"""Sorting by blocks first gives the same order, with fewer places to read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisproc_core import Flow
from seisproc_core.data.survey import MemorySurvey
from seisproc_core.plugins import registry
from seisproc_core.processing import planning, scattered
from seisproc_core.processing.flow import Source, Target
from seisproc_core.testing import make_gather


@given(st.integers(1, 300), st.integers(5, 80), st.integers(0, 2**32 - 1))
def test_two_steps_make_the_order(count: int, block: int, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(count)
    first, second = scattered.by_blocks(order, block)
    assert np.array_equal(first[second], order)
    rank = np.argsort(order)
    for start in range(0, count, block):
        part = first[start : start + block]
        assert np.array_equal(np.sort(part), np.arange(start, min(start + block, count)))  # a block's own rows
        assert (np.diff(rank[part]) > 0).all()  # in the order they will be wanted in


def test_a_segment_finds_its_rows_of_a_block_together() -> None:
    order = np.random.default_rng(1).permutation(40_000)
    _, second = scattered.by_blocks(order, 4000)
    assert scattered.times_read(order, 4000, 2000) == pytest.approx(19, rel=0.1)
    assert scattered.times_read(second, 4000, 2000) < 2


def test_gathers_of_a_line_are_near_each_other() -> None:
    shot, channel = np.divmod(np.arange(100_000), 100)
    order = np.lexsort((channel, 2 * shot + channel))
    assert scattered.times_read(order, 4000, 4000) < scattered.TIMES_READ


def test_what_fits_into_memory_must_be_far_more_scattered() -> None:
    shot, channel = np.divmod(np.arange(100_000), 50)
    channels = np.lexsort((shot, channel))  # of 64 neighbouring traces two at most have one channel
    assert scattered.too_scattered(channels, 4000, 4000)
    assert not scattered.too_scattered(channels[:50_000], 4000, 4000)  # 200 MB
    shot, channel = np.divmod(np.arange(100_000), 10)
    tenths = np.lexsort((shot, channel))
    assert scattered.TIMES_READ < scattered.times_read(tenths, 4000, 4000) < scattered.TIMES_READ_CACHED
    assert not scattered.too_scattered(tenths, 4000, 4000)
    assert scattered.too_scattered(tenths, scattered.WORTHWHILE_BYTES // 100_000 + 1, 4000)


def test_the_planner_puts_a_stage_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("seisproc_zarr")
    count = 6000
    survey = MemorySurvey(make_gather(np.zeros((count, 10)), channel=np.arange(count) % 100, cdp=np.arange(count)))
    source = Source(storage="memory", survey=survey, gather=("channel",))
    flow = Flow(source=source, sink=Target(storage="survey", path="/nowhere/out.seis", options={"shard_traces": 64}))
    assert len(planning.plan_flow(flow, registry(), survey).stages) == 1  # small: the system keeps it in memory
    monkeypatch.setattr(scattered, "WORTHWHILE_BYTES", 0)
    plan = planning.plan_flow(flow, registry(), survey)
    first, second = plan.stages
    assert second.source == {"stage": 0} and first.order is not None and second.order is not None
    assert np.array_equal(first.order[second.order], np.argsort(np.arange(count) % 100, kind="stable"))
    assert "sorted by blocks" in plan.notes[-1]
