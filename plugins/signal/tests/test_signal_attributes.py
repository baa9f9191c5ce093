"""Attributes of traces in header words, and differences of surveys."""

from __future__ import annotations

import numpy as np
import pytest

from seisproc_core import Engine, Flow, MemorySurvey, Source, Step
from seisproc_core.errors import ParameterError, UsageError
from seisproc_core.testing import make_gather, run_processor
from seisproc_signal.attributes import Attributes
from seisproc_signal.difference import Difference


def word(gather, name):
    return np.asarray(gather.headers[name], np.float64)


def test_measures_are_those_of_their_formulas(rng: np.random.Generator) -> None:
    traces = rng.standard_normal((5, 300)) + 0.5
    first, end = np.array([0, 20, 0, 100, 60]), np.array([300, 280, 300, 101, 60])
    names = ["rms", "peak", "mean", "centroid_hz", "bandwidth_hz"]
    out = run_processor(Attributes, make_gather(traces, live=(first, end)), {"measures": names})
    for row in range(4):
        x = traces[row, first[row] : end[row]].astype(np.float32).astype(np.float64)
        assert word(out, "trace_rms")[row] == pytest.approx(np.sqrt(np.mean(x**2)), rel=1e-5)
        assert word(out, "trace_peak")[row] == pytest.approx(np.abs(x).max(), rel=1e-6)
        assert word(out, "trace_mean")[row] == pytest.approx(x.mean(), rel=1e-5)
        f = np.fft.rfftfreq(8192, 0.004)
        power = np.abs(np.fft.rfft(x, 8192)) ** 2
        centroid = np.trapezoid(f * power, f) / np.trapezoid(power, f)
        assert word(out, "trace_centroid_hz")[row] == pytest.approx(centroid, rel=0.01)
        spread = np.sqrt(np.trapezoid((f - centroid) ** 2 * power, f) / np.trapezoid(power, f))
        assert word(out, "trace_bandwidth_hz")[row] == pytest.approx(spread, rel=0.01)
    assert all(word(out, f"trace_{name}")[4] == 0 for name in names)
    assert np.array_equal(out.traces[:4], make_gather(traces, live=(first, end)).traces[:4])


def test_the_window_follows_the_velocity_and_a_second_prefix_keeps_a_second_window() -> None:
    traces = np.zeros((2, 250))
    traces[0, 50:60], traces[1, 100:110] = 2, 3  # 200 ms at offset 0, 400 ms at 400 m
    gather = make_gather(traces, offset=np.array([0, 400]))
    window = {"start_ms": 200, "end_ms": 236, "velocity_m_per_s": 2000}
    out = run_processor(Attributes, gather, window | {"measures": ["rms"]})
    assert word(out, "trace_rms").tolist() == [2, 3]
    again = run_processor(Attributes, out, {"measures": ["peak"], "prefix": "early_", "end_ms": 100})
    assert word(again, "early_peak").tolist() == [0, 0] and word(again, "trace_rms").tolist() == [2, 3]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"measures": []}, "must name one measure"),
        ({"measures": ["rms", "rms"]}, "each once"),
        ({"measures": ["loudness"]}, "must be one of rms"),
        ({"prefix": "Trace "}, "lower-case"),
        ({"start_ms": 100, "end_ms": 100}, "must lie before"),
    ],
)
def test_attributes_refuse(parameters, message) -> None:
    with pytest.raises(ParameterError, match=message):
        run_processor(Attributes, make_gather(np.zeros((1, 50))), parameters)


def test_difference_takes_what_both_have(rng: np.random.Generator) -> None:
    one, other = rng.standard_normal((2, 3, 100))
    left = make_gather(one, live=(np.array([0, 10, 90]), np.array([100, 80, 100])))
    right = make_gather(other, live=(np.array([20, 0, 0]), np.array([100, 100, 50])))
    out = run_processor(Difference, left, {"other": MemorySurvey(right), "scale": 0.5}, inputs={"other": right})
    assert np.allclose(out.traces[0, 20:], one[0, 20:] - 0.5 * other[0, 20:], atol=1e-6)
    assert not out.traces[0, :20].any() and not out.traces[2].any()
    first, end = out.live_window
    assert (first[0], end[0], first[1], end[1], end[2] - first[2]) == (20, 100, 10, 80, 0)


def test_difference_of_two_surveys_in_a_flow(rng: np.random.Generator) -> None:
    before = MemorySurvey(make_gather(rng.standard_normal((12, 60)), cdp=np.arange(12) % 3))

    def made(*steps: Step) -> MemorySurvey:
        with Engine(executor="in-process") as engine:
            survey = engine.submit(Flow(source=Source(storage="memory", survey=before), steps=steps)).result(60).open()
        assert isinstance(survey, MemorySurvey)
        return survey

    after = made(Step(use="gain", parameters={"scale": 3.0}), Step(use="sort", parameters={"gather": ["cdp"]}))
    out = made(Step(use="difference", parameters={"other": after})).gather
    assert np.allclose(out.traces, -2 * before.gather.traces, atol=1e-5)
    shorter = MemorySurvey(make_gather(rng.standard_normal((12, 50))))
    with pytest.raises(UsageError, match="difference"):
        made(Step(use="difference", parameters={"other": shorter}))
