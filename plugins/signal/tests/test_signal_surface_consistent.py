"""Surface-consistent amplitudes and deconvolution on lines whose factors and wavelets are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.signal import lfilter

from seisproc_core import Engine, Flow, MemorySurvey, Source
from seisproc_core.errors import SeisprocError
from seisproc_core.testing import make_gather
from seisproc_signal.statics.stations import decompose, decompose_robustly

SHOTS, CHANNELS, SAMPLES = 14, 30, 400
SHOT, CHANNEL = (values.ravel() for values in np.mgrid[:SHOTS, :CHANNELS])
STATION, CDP = SHOT + CHANNEL, 2 * SHOT + CHANNEL
STATIONS = {"source": ["field_record"], "receiver": ["source_station"], "offset_bin_m": 25.0}


def line(traces: np.ndarray, **more: Any) -> MemorySurvey:
    return MemorySurvey(
        make_gather(
            traces, interval_ms=2.0, field_record=SHOT + 1, channel=CHANNEL + 1, source_station=STATION + 1,
            cdp=CDP + 1, offset=25 * CHANNEL, **more,
        )
    )  # fmt: skip


def processed(survey: MemorySurvey, **step: Any) -> Any:
    steps = Flow.parse({"source": {"survey": "x"}, "step": [{**STATIONS, **step}], "sink": {"survey": "y"}}).steps
    with Engine(executor="in-process") as engine:
        return engine.submit(Flow(source=Source(storage="memory", survey=survey), steps=steps)).result(120).open()


def reflectivity(seed: int = 1) -> np.ndarray:
    """White reflectivity that changes from gather to gather, one row per trace."""
    return np.random.default_rng(seed).standard_normal((CDP.max() + 1, SAMPLES))[CDP]


def detrended(values: np.ndarray) -> np.ndarray:
    at = np.arange(len(values))
    return values - np.polyval(np.polyfit(at, values, 1), at)


def of_stations(survey: Any, word: str, value: str) -> np.ndarray:
    headers = survey.headers()
    return np.asarray(headers[value][np.unique(headers[word], return_index=True)[1]], np.float64)


@pytest.fixture(scope="module")
def factors() -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)
    return {"source": random.uniform(-9, 9, SHOTS), "receiver": random.uniform(-9, 9, SHOTS + CHANNELS - 1)}


def levelled(factors: dict[str, np.ndarray]) -> np.ndarray:
    """Traces with geology, decay with offset, and the factors in dB."""
    geology = 3 * np.sin(CDP / 6) - 0.15 * CHANNEL
    db = factors["source"][SHOT] + factors["receiver"][STATION] + geology
    return reflectivity() * 10 ** (db / 20)[:, None]


def test_known_amplitudes_come_back(factors: dict[str, np.ndarray]) -> None:
    made = processed(line(levelled(factors)), use="surface_consistent_amplitude")
    for term, word in (("source", "field_record"), ("receiver", "source_station")):
        found = of_stations(made, word, f"{term}_amplitude_db")
        counted = found != 0  # the outermost receivers have too few traces
        assert counted.sum() >= len(found) - 4
        assert np.corrcoef(detrended(found[counted]), detrended(factors[term][counted]))[0, 1] > 0.99
        assert np.std(detrended(found[counted]) - detrended(factors[term][counted])) < 0.8
    gain = made.headers()["surface_gain_db"]
    assert abs(gain.mean()) < 1e-4  # the geometric mean stays
    expected = line(levelled(factors)).gather.traces * 10 ** (gain / 20)[:, None]
    assert np.allclose(made.read(slice(None)).traces, expected, rtol=1e-4)


def test_bursts_and_dead_traces_do_not_bend_amplitudes(factors: dict[str, np.ndarray]) -> None:
    traces = levelled(factors)
    clean = processed(line(traces), use="surface_consistent_amplitude").headers()
    bad = np.random.default_rng(3).choice(len(traces), 30, replace=False)
    traces[bad[:15]] *= 300
    traces[bad[15:]] = 0
    made = processed(line(traces), use="surface_consistent_amplitude")
    others = np.setdiff1d(np.arange(len(traces)), bad)
    assert not made.read(slice(None)).traces[bad[15:]].any()
    change = made.headers()["source_amplitude_db"][others] - clean["source_amplitude_db"][others]
    assert np.std(change) < 0.4  # 300 is 50 dB


def test_corrections_are_limited_refused_twice_and_chosen(factors: dict[str, np.ndarray]) -> None:
    survey = line(levelled(factors))
    made = processed(survey, use="surface_consistent_amplitude", correct=["source"], max_db=2.0)
    gain = made.headers()["surface_gain_db"]
    assert np.ptp(gain) <= 4.0 + 1e-4
    assert all(np.ptp(gain[shot == SHOT]) < 1e-5 for shot in range(SHOTS))
    with pytest.raises(SeisprocError, match="corrected already"):
        processed(MemorySurvey(made.read(slice(None))), use="surface_consistent_amplitude")
    with pytest.raises(SeisprocError, match="'correct' must be some of source, receiver, each once, not offset"):
        processed(survey, use="surface_consistent_amplitude", terms=["source", "receiver"], correct=["offset"])
    with pytest.raises(SeisprocError, match="design_start_ms.*must lie before"):
        processed(survey, use="surface_consistent_amplitude", design_start_ms=100, design_end_ms=100)


def filtered(traces: np.ndarray) -> np.ndarray:
    """Minimum-phase wavelets of the survey, of sources and of receivers: reverberation of different strength."""
    random = np.random.default_rng(9)
    source, receiver = random.uniform(-0.7, 0.7, SHOTS), random.uniform(-0.7, 0.7, SHOTS + CHANNELS - 1)
    out = np.empty_like(traces)
    for row, trace in enumerate(traces):
        out[row] = lfilter([1, 0.5], [1, -0.8, 0.5], trace)
        out[row] = lfilter([1], [1, source[SHOT[row]]], out[row])
        out[row] = lfilter([1], [1, 0, 0, receiver[STATION[row]]], out[row])
    return out


def likeness(traces: np.ndarray, others: np.ndarray) -> float:
    """Mean normalised zero-lag correlation."""
    product = (traces * others).sum(axis=1)
    return float(np.mean(product / np.sqrt((traces**2).sum(axis=1) * (others**2).sum(axis=1))))


def test_decon_brings_the_reflectivity_back() -> None:
    white = reflectivity()
    survey = line(filtered(white))
    made = (
        processed(survey, use="surface_consistent_decon", backend="reference", operator_ms=40).read(slice(None)).traces
    )
    inner = np.abs(STATION - STATION.max() / 2) < 15
    assert likeness(survey.gather.traces, white) < 0.6
    assert likeness(made[inner], white[inner]) > 0.97
    dead = filtered(white)
    dead[::17] = 0
    made = (
        processed(line(dead), use="surface_consistent_decon", backend="reference", operator_ms=40)
        .read(slice(None))
        .traces
    )
    assert not made[::17].any()
    inner[::17] = False
    assert likeness(made[inner], white[inner]) > 0.97


def test_decon_without_whitening_keeps_the_shared_wavelet() -> None:
    white = reflectivity()
    shared = lfilter([1, 0.5], [1, -0.8, 0.5], white, axis=1)
    step = {"use": "surface_consistent_decon", "backend": "reference", "operator_ms": 40, "whiten": False}
    made = processed(line(filtered(white)), **step).read(slice(None)).traces
    inner = np.abs(STATION - STATION.max() / 2) < 15
    assert likeness(made[inner], shared[inner]) > 0.95
    assert likeness(made[inner], white[inner]) < 0.7


def test_decon_is_refused_twice_and_where_the_operator_does_not_fit() -> None:
    survey = line(reflectivity())
    made = processed(survey, use="surface_consistent_decon", backend="reference", operator_ms=20)
    with pytest.raises(SeisprocError, match="done already"):
        processed(MemorySurvey(made.read(slice(None))), use="surface_consistent_decon")
    for operator_ms in (2, 500):
        with pytest.raises(SeisprocError, match="operator_ms"):
            processed(survey, use="surface_consistent_decon", backend="reference", operator_ms=operator_ms)


def test_terms_are_those_of_dense_least_squares() -> None:
    random = np.random.default_rng(2)
    values, weight = random.standard_normal(len(SHOT)), random.uniform(0, 1, len(SHOT))
    weight[::9] = 0
    columns = [np.eye(int(index.max()) + 1)[index] for index in (SHOT, STATION, CDP)]
    model, damping = np.concatenate(columns, axis=1), (0.02, 0.01, 0.0)
    share = np.repeat(damping, [part.shape[1] for part in columns])
    count = weight @ model
    normal = model.T @ (weight[:, None] * model) + np.diag(share * count)
    wanted = np.linalg.lstsq(normal, model.T @ (weight * values), rcond=None)[0]
    found = np.concatenate(decompose(values, weight, [SHOT, STATION, CDP], damping))
    assert np.abs((model @ (found - wanted))[weight > 0]).max() < 1e-5
    many = np.stack([values, 0 * values, np.roll(values, 7)], axis=1)  # columns are split each by itself
    both = np.concatenate(decompose(many, weight, [SHOT, STATION, CDP], damping))
    assert not both[:, 1].any()
    assert np.abs((model @ (both[:, 0] - found))[weight > 0]).max() < 1e-5
    exact = sum(random.standard_normal(int(i.max()) + 1)[i] for i in (SHOT, STATION))
    terms = decompose_robustly(exact + 0.01 * values, weight, [SHOT, STATION], (0.0, 0.0))
    assert np.std((exact - terms[0][SHOT] - terms[1][STATION])[weight > 0]) < 0.02
