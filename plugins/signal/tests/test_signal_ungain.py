"""AGC comes off again by its saved factors, whatever order the traces are in by then."""

from __future__ import annotations

import numpy as np
import pytest

from seisproc_core import Engine, Flow, MemorySurvey, Source, Step
from seisproc_core.testing import make_gather, run_processor
from seisproc_signal.agc import Agc
from seisproc_signal.plugin import seisproc_kernels
from seisproc_signal.ungain import RemoveGain


def run(source: MemorySurvey, *steps: Step) -> MemorySurvey:
    flow = Flow(source=Source(storage="memory", survey=source), steps=steps)
    with Engine(executor="in-process") as engine:
        made = engine.submit(flow).result(120).open()
    assert isinstance(made, MemorySurvey)
    return made


@pytest.mark.parametrize("kind", ["rms", "gaussian"])
def test_agc_then_a_sort_then_its_factors_give_the_input_back(kind: str) -> None:
    random = np.random.default_rng(4)
    count, samples = 30, 250
    first, end = random.integers(0, 60, count), random.integers(150, samples + 1, count)
    sample = np.arange(samples)
    live = (sample >= first[:, None]) & (sample < end[:, None])
    traces = random.standard_normal((count, samples)) * np.exp(-sample / 40) * live
    source = MemorySurvey(make_gather(traces, live=(first, end), cdp=random.integers(1, 6, count)))
    agc, saved = {"window_ms": 120.0, "kind": kind}, dict[str, np.ndarray]()
    run_processor(Agc, source.gather, agc, kernels=seisproc_kernels(), saved=saved)
    gains = MemorySurvey(source.gather.with_traces(saved["gain"]))
    made = run(
        source,
        Step(use="agc", parameters=agc, backend="reference"),
        Step(use="sort", parameters={"gather": ["cdp"]}),
        Step(use="remove_gain", parameters={"gain": gains}),
    )
    rows = made.gather.headers["trace_id"]
    assert not np.array_equal(rows, np.arange(count))
    back, given = made.gather.traces, source.gather.traces[rows]
    assert np.abs(back - given).max() <= 1e-5 * np.abs(given).max()
    inside = live[rows]
    assert np.abs(back - given)[inside].max() <= 1e-5 * np.abs(given[inside]).max()
    assert not back[~inside].any()


def test_without_a_gain_a_sample_stays() -> None:
    data, gain = make_gather([[1.0, 2.0, 3.0, 4.0]]), make_gather([[0.0, 2.0, 0.5, 0.0]])
    out = run_processor(RemoveGain, data, inputs={"gain": gain})
    assert np.array_equal(out.traces, [[1.0, 1.0, 6.0, 4.0]])
