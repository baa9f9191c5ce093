"""First breaks of modelled arrivals, and the weathering that they tell of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from seisproc_core import Engine, Flow, MemorySurvey, Source
from seisproc_core.errors import SeisprocError
from seisproc_core.testing import make_gather, run_processor
from seisproc_signal.statics.first_breaks import FirstBreaks

SHOTS, CHANNELS, SAMPLES = 12, 24, 300
SHOT, CHANNEL = (values.ravel() for values in np.mgrid[:SHOTS, :CHANNELS])
STATION = 2 * SHOT + CHANNEL
OFFSET = 20.0 * CHANNEL
WEATHERING, REFRACTOR = 600.0, 2000.0
COSINE = np.sqrt(1 - (WEATHERING / REFRACTOR) ** 2)
THICKNESS = 6 + 3 * np.random.default_rng(2).uniform(-1, 1, int(STATION.max()) + 1)


def arrivals_ms() -> np.ndarray:
    delay = 1000 * THICKNESS * COSINE / WEATHERING
    return np.asarray(delay[2 * SHOT] + delay[STATION] + 1000 * OFFSET / REFRACTOR)


def recorded(noise: float = 0.02, start_ms: float = 0.0) -> Any:
    """Minimum-phase arrivals that begin at once, in noise, with some dead traces and some bursts before them."""
    random = np.random.default_rng(6)
    times = start_ms + 2.0 * np.arange(SAMPLES) - arrivals_ms()[:, None]
    traces = np.where(times >= 0, np.exp(-times / 40) * np.sin(2 * np.pi * np.maximum(times, 0) / 25), 0)
    traces += noise * random.standard_normal(traces.shape)
    traces[5] = 0
    return make_gather(
        traces, interval_ms=2.0, start_ms=start_ms, field_record=SHOT + 1, channel=CHANNEL + 1,
        source_x=20 * 2 * SHOT, receiver_x=20 * STATION, offset=OFFSET.astype(int),
    )  # fmt: skip


PICK = {"fastest_m_per_s": 3000.0, "slowest_m_per_s": 1200.0}


@pytest.mark.parametrize("start_ms", [0.0, -100.0])
def test_first_breaks_are_where_arrivals_begin(start_ms: float) -> None:
    gather = recorded(start_ms=start_ms)
    out = run_processor(FirstBreaks, gather, PICK)
    assert np.array_equal(out.traces, gather.traces)
    found, quality = out.headers["first_break_ms"], out.headers["first_break_quality"]
    assert found[5] == 0 and quality[5] == 0
    error = np.delete(found - arrivals_ms(), 5)
    assert np.median(np.abs(error)) <= 4 and np.mean(np.abs(error) < 8) > 0.97  # two, and four samples


def test_noise_has_no_first_breaks() -> None:
    gather = make_gather(np.random.default_rng(1).standard_normal((40, SAMPLES)), interval_ms=2.0)
    out = run_processor(FirstBreaks, gather, {"min_ratio": 3.0})
    assert np.count_nonzero(out.headers["first_break_ms"]) <= 2


def test_the_weathering_comes_back_and_is_replaced() -> None:
    random = np.random.default_rng(4)
    times = arrivals_ms() + random.normal(0, 0.5, len(SHOT))
    times[random.choice(len(SHOT), 15, replace=False)] += 40  # picks of a later phase
    times[7] = 0
    gather = recorded()
    gather = gather.with_headers(gather.headers.with_columns(first_break_ms=times.astype(np.float32)))
    made = processed(gather, weathering_m_per_s=WEATHERING, replacement_m_per_s=1800.0, min_offset_m=60.0)
    headers = made.headers()
    total = headers["source_thickness_m"] + headers["receiver_thickness_m"]
    known = THICKNESS[2 * SHOT] + THICKNESS[STATION]
    enough = headers["receiver_thickness_m"] != 0
    assert enough.mean() > 0.9
    assert np.abs(total - known)[enough].max() < 1.0 and np.std((total - known)[enough]) < 0.3
    wanted = 1000 * known * (1 / 1800 - 1 / WEATHERING)
    assert np.abs(headers["refraction_static_ms"] - wanted)[enough].max() < 1.3
    with pytest.raises(SeisprocError, match="applied already"):
        processed(made.read(slice(None)), weathering_m_per_s=WEATHERING)


def processed(gather: Any, **step: Any) -> Any:
    plain = {"use": "refraction_statics", "source": ["source_x"], "receiver": ["receiver_x"], **step}
    steps = Flow.parse({"source": {"survey": "x"}, "step": [plain], "sink": {"survey": "y"}}).steps
    with Engine(executor="in-process") as engine:
        source = Source(storage="memory", survey=MemorySurvey(gather))
        return engine.submit(Flow(source=source, steps=steps)).result(120).open()


def test_what_does_not_fit_is_refused() -> None:
    gather = recorded()
    with pytest.raises(SeisprocError, match="first_break_ms"):
        processed(gather, weathering_m_per_s=600.0)
    held = gather.with_headers(gather.headers.with_columns(first_break_ms=arrivals_ms().astype(np.float32)))
    with pytest.raises(SeisprocError, match="must be less than the refractor's velocity; the first breaks give 20"):
        processed(held, weathering_m_per_s=2500.0, min_offset_m=60.0)
    with pytest.raises(SeisprocError, match="window_ms"):
        run_processor(FirstBreaks, gather, {"window_ms": 2.0})
    with pytest.raises(SeisprocError, match="start_ms.*must lie before"):
        run_processor(FirstBreaks, gather, {"start_ms": 200.0})
