"""Muted samples count nowhere: mute, band-pass, AGC, NMO and stack against a stack of live samples computed here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from integration_kit import STACKING, Line, assert_close, model_line

from seisproc_core import Engine, Flow, Gather, MemorySurvey, Source, Step
from seisproc_core.testing import make_gather

MUTE = {"use": "mute", "time_ms": 150.0, "velocity_m_per_s": 1800.0}
BANDPASS, AGC, NMO, STACK = (
    next(step for step in STACKING if step["use"] == use) for use in ("bandpass", "agc", "nmo", "stack")
)
STEPS = (MUTE, BANDPASS, AGC, NMO, STACK)


def in_memory(source: Gather, *steps: dict[str, Any]) -> Gather:
    """The gathers after some steps."""
    made = tuple(Step(use=s["use"], parameters={k: v for k, v in s.items() if k != "use"}) for s in steps)
    source_of = Source(storage="memory", survey=MemorySurvey(source), gather=("cdp",), sort=("offset",))
    with Engine() as engine:
        survey = engine.submit(Flow(source=source_of, steps=made)).result(60).open()
    return survey.read(slice(0, survey.n_traces))


def gathers(line: Line, **changes: Any) -> Gather:
    traces = changes.pop("traces", line.traces)
    words = {name: line.words[name] for name in ("cdp", "offset", "field_record", "channel")}
    return make_gather(traces, interval_ms=line.interval_ms, start_ms=line.start_ms, **words, **changes)


def first_live(gather: Gather) -> np.ndarray:
    """First sample that the mute leaves, from its definition."""
    time_ms = MUTE["time_ms"] + 1000 * np.abs(gather.headers["offset"]) / MUTE["velocity_m_per_s"]
    return np.floor((time_ms - 1000 * gather.sampling.start_s) / (1000 * gather.sampling.interval_s) + 0.5).astype(int)


def is_live(gather: Gather) -> np.ndarray:
    return np.arange(gather.n_samples) >= first_live(gather)[:, None]


@pytest.fixture(scope="module", params=[0.0, -100.0, 100.0], ids=lambda start: f"start={start:g}ms")
def record(request: pytest.FixtureRequest) -> Gather:
    return gathers(model_line(start_ms=request.param))


def test_filter_does_not_fill_the_mute(record: Gather) -> None:
    made = in_memory(record, MUTE, BANDPASS)
    assert not made.traces[~is_live(made)].any()
    muted = in_memory(record, MUTE).traces
    spectrum = np.fft.rfft(muted, 4096).astype(np.complex128)
    tangent = np.tan(np.pi * np.minimum(np.fft.rfftfreq(4096, 0.004), 124.999) * 0.004)
    low, high = (np.tan(np.pi * BANDPASS[name] * 0.004) for name in ("low_hz", "high_hz"))
    gain = 1 / (1 + (low / np.maximum(tangent, 1e-9)) ** 8) / (1 + (tangent / high) ** 8)
    filtered = np.fft.irfft(spectrum * gain, 4096)[:, : made.n_samples]
    assert_close(made.traces, np.where(is_live(made), filtered, 0), 1e-4)


def test_agc_measures_live_samples_only(record: Gather) -> None:
    before, made = in_memory(record, MUTE, BANDPASS), in_memory(record, MUTE, BANDPASS, AGC)
    half = round(AGC["window_ms"] / 4) // 2
    expected = np.zeros(before.traces.shape)
    for row, first in enumerate(first_live(before)):
        live = before.traces[row].astype(np.float64)
        for i in range(first, before.n_samples):
            window = live[max(first, i - half) : i + half + 1]
            expected[row, i] = live[i] / np.sqrt(np.mean(window**2))
    assert_close(made.traces, expected, 1e-4)


def test_stack_is_that_of_live_samples_only(record: Gather) -> None:
    corrected, made = in_memory(record, *STEPS[:-1]), in_memory(record, *STEPS)
    time = corrected.sampling.times()
    velocity = np.interp(1000 * time, NMO["velocity"]["time_ms"], NMO["velocity"]["rms_m_per_s"])
    assert velocity.max() - velocity.min() > 400
    live = _live_after_nmo(corrected, time)
    assert not corrected.traces[~live].any()
    for row, cdp in enumerate(made.headers["cdp"]):
        member = corrected.headers["cdp"] == cdp
        fold = live[member].sum(axis=0)
        mean = corrected.traces[member].sum(axis=0, dtype=np.float64) / np.maximum(fold, 1)
        assert np.abs(made.traces[row] - mean).max() <= 1e-5, f"cdp {cdp}"
        assert made.headers["fold"][row] == fold.max()


def _live_after_nmo(gather: Gather, time: np.ndarray) -> np.ndarray:
    """Output samples whose input time is live and whose stretch, by a central difference, is allowed."""

    def moveout(t0: np.ndarray) -> np.ndarray:
        velocity = np.interp(1000 * t0, NMO["velocity"]["time_ms"], NMO["velocity"]["rms_m_per_s"])
        return np.sqrt(t0**2 + (np.abs(gather.headers["offset"])[:, None] / velocity) ** 2)

    rate = (moveout(time + 1e-7) - moveout(time - 1e-7)) / 2e-7
    allowed = (rate >= 1 / (1 + NMO["max_stretch_percent"] / 100)) & (time >= 0)
    unmuted = np.arange(len(time)) >= np.argmax(allowed, axis=1)[:, None]
    position = (moveout(time) - gather.sampling.start_s) / gather.sampling.interval_s
    inside = (position > first_live(gather)[:, None] - 1e-6) & (position < gather.n_samples - 1 + 1e-6)
    return unmuted & inside & (time >= 0)


@pytest.mark.parametrize("garbage", [1.0, 1e6])
def test_what_the_mute_removed_has_no_influence(record: Gather, garbage: float) -> None:
    noise = np.random.default_rng(1).normal(0, garbage, record.traces.shape)
    ordered = in_memory(record)  # in gather order, as `first_live` must be too
    spoiled = make_gather(
        np.where(is_live(ordered), ordered.traces, noise),
        start_ms=1000 * record.sampling.start_s,
        **{word: ordered.headers.column(word) for word in ("cdp", "offset")},
    )
    assert np.array_equal(in_memory(spoiled, *STEPS).traces, in_memory(record, *STEPS).traces)


def test_samples_outside_live_windows_have_no_influence(line: Line) -> None:
    count, n_samples = line.traces.shape
    random = np.random.default_rng(2)
    live = random.integers(5, 60, count), random.integers(90, n_samples, count)
    sample = np.arange(n_samples)
    outside = (sample < live[0][:, None]) | (sample >= live[1][:, None])
    clean = gathers(line, traces=np.where(outside, 0, line.traces), live=live)
    spoiled = gathers(line, traces=np.where(outside, 1e6, line.traces), live=live)
    for steps in ((AGC,), (AGC, NMO), (NMO, STACK), (STACK,), (AGC, NMO, STACK)):
        assert np.array_equal(in_memory(spoiled, *steps).traces, in_memory(clean, *steps).traces), steps[-1]["use"]


def test_dead_traces_are_in_no_stack(line: Line) -> None:
    dead = np.zeros(len(line.traces), np.uint8)
    dead[::5] = 4
    spoiled = gathers(line, traces=np.where(dead[:, None] > 0, 1e6, line.traces), dead=dead)
    kept = dead == 0
    without = Line(line.traces[kept], {name: values[kept] for name, values in line.words.items()})
    made, expected = in_memory(spoiled, NMO, STACK), in_memory(gathers(without), NMO, STACK)
    alive = np.isin(made.headers["cdp"], expected.headers["cdp"])
    assert np.array_equal(made.traces[alive], expected.traces)
    assert not made.traces[~alive].any() and made.headers["dead"][~alive].all()
