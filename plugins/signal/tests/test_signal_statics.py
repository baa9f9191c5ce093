"""Elevation statics, datums, statics from tables and trim statics, on traces whose delays are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seisproc_core import Engine, Flow, MemorySurvey, Source
from seisproc_core.data.datum import Datum
from seisproc_core.errors import FlowError, ParameterError, SeisprocError
from seisproc_core.testing import make_gather, run_processor
from seisproc_signal.plugin import seisproc_kernels
from seisproc_signal.statics.elevation import ElevationStatics
from seisproc_signal.statics.from_tables import ApplyStatics
from seisproc_signal.statics.trim import TrimStatics

KERNELS = list(seisproc_kernels())
N = 300
DATUM: dict[str, Any] = {"use": "elevation_statics", "datum_m": 200.0, "replacement_m_per_s": 2000.0}


def ricker(delays_ms: np.ndarray, noise: float = 0.0, interval_ms: float = 2.0) -> np.ndarray:
    times = interval_ms * np.arange(N)
    phase = (np.pi * 0.03 * (times - 300 - delays_ms[:, None])) ** 2
    return (1 - 2 * phase) * np.exp(-phase) + noise * np.random.default_rng(4).standard_normal((len(delays_ms), N))


def peaks_ms(traces: np.ndarray) -> np.ndarray:
    """Time of the largest sample, between samples by a parabola."""
    at = traces.argmax(axis=1)
    before, top, after = (np.take_along_axis(traces, (at + k)[:, None], axis=1)[:, 0] for k in (-1, 0, 1))
    return np.asarray(2.0 * (at + 0.5 * (before - after) / (before - 2 * top + after)))


def hills(shots: int = 6, channels: int = 10) -> dict[str, np.ndarray]:
    """Headers of a line over rough ground, elevations in centimetres."""
    shot, channel = (values.ravel() for values in np.mgrid[:shots, :channels])
    height = 100 * np.random.default_rng(1).uniform(80, 120, shots + channels)
    return {
        "field_record": shot + 1, "channel": channel + 1, "source_station": shot, "cdp": 2 * shot + channel,
        "source_elevation": np.rint(height[shot]).astype(int),
        "receiver_elevation": np.rint(height[shot + channel]).astype(int),
        "source_depth": np.where(shot % 2, 1200, 0), "elevation_scalar": np.full(len(shot), -100),
        "receiver_uphole": np.full(len(shot), 12), "source_uphole": np.full(len(shot), 8),
    }  # fmt: skip


def delays_of(words: dict[str, np.ndarray], datum_m: float = 200.0, velocity: float = 2000.0) -> np.ndarray:
    """What the rough ground adds to times, against a datum: the opposite of statics, ms."""
    source = (words["source_elevation"] - words["source_depth"]) / 100
    return 1000 * (source + words["receiver_elevation"] / 100 - 2 * datum_m) / velocity


def in_memory(survey: MemorySurvey, *steps: dict[str, Any], gather: tuple[str, ...] = ()) -> Any:
    made = Flow.parse({"source": {"survey": "x"}, "step": list(steps), "sink": {"survey": "y"}}).steps
    with Engine(executor="in-process") as engine:
        source = Source(storage="memory", survey=survey, gather=gather)
        return engine.submit(Flow(source=source, steps=made)).result(120).open()


def test_elevations_are_taken_out_on_the_way_to_the_final_datum() -> None:
    words = hills()
    survey = MemorySurvey(make_gather(ricker(delays_of(words)), interval_ms=2, **words))
    made = in_memory(survey, {**DATUM, "to": "final"})
    assert np.abs(peaks_ms(made.read(slice(None)).traces) - 300).max() < 0.3
    headers = made.headers()
    assert np.allclose(headers["total_static_ms"], -delays_of(words), atol=1e-3)
    assert np.allclose(
        headers["source_static_ms"] + headers["receiver_static_ms"], headers["total_static_ms"], atol=1e-3
    )
    assert made.info.datum == Datum(200.0, 2000.0, floating=False)


def test_floating_and_final_datum() -> None:
    words = hills()
    survey = MemorySurvey(make_gather(ricker(delays_of(words)), interval_ms=2, **words))
    floating = in_memory(survey, {**DATUM, "smoothing_gathers": 3})
    headers = floating.headers()
    assert floating.info.datum == Datum(200.0, 2000.0, floating=True)
    cmp_ms, cdp = headers["cmp_static_ms"], headers["cdp"]
    assert all(np.ptp(cmp_ms[cdp == number]) == 0 for number in np.unique(cdp))
    total = headers["source_static_ms"] + headers["receiver_static_ms"] - cmp_ms
    assert np.allclose(headers["total_static_ms"], total, atol=1e-3)
    assert np.abs(headers["total_static_ms"]).mean() < 0.2 * np.abs(delays_of(words)).mean()  # near the surface
    final = in_memory(MemorySurvey(floating.read(slice(None)), info=floating.info), {"use": "final_datum"})
    assert np.abs(peaks_ms(final.read(slice(None)).traces) - 300).max() < 0.4
    assert not final.headers()["cmp_static_ms"].any() and not final.info.datum.floating
    at_once = in_memory(survey, {**DATUM, "smoothing_gathers": 3}, {"use": "final_datum"}).read(slice(None)).traces
    assert np.array_equal(at_once, final.read(slice(None)).traces)


def test_a_stack_goes_to_the_final_datum() -> None:
    words = hills()
    survey = MemorySurvey(make_gather(ricker(delays_of(words)), interval_ms=2, **words))
    steps = (
        {**DATUM, "smoothing_gathers": 3},
        {"use": "sort", "gather": ["cdp"]},
        {"use": "combine"},
        {"use": "final_datum"},
    )
    made = in_memory(survey, *steps)
    assert made.n_traces == len(np.unique(words["cdp"]))
    assert np.abs(peaks_ms(made.read(slice(None)).traces) - 300).max() < 0.5


def test_statics_to_a_datum_are_applied_once() -> None:
    survey = MemorySurvey(make_gather(ricker(delays_of(hills())), interval_ms=2, **hills()))
    done = in_memory(survey, {**DATUM, "to": "final"})
    again = MemorySurvey(done.read(slice(None)), info=done.info)
    with pytest.raises(
        ParameterError, match="the survey is at the datum of 200 m, replacement velocity 2000 m/s; this is done once"
    ):
        in_memory(again, {**DATUM, "datum_m": 100.0})
    with pytest.raises(FlowError, match="wants what elevation_statics moved to a floating datum"):
        in_memory(again, {"use": "final_datum"})
    with pytest.raises(FlowError, match="at no datum"):
        in_memory(survey, {"use": "final_datum"})


def test_uphole_times_replace_the_weathering() -> None:
    words = hills()
    gather = make_gather(ricker(np.zeros(60)), interval_ms=2, **words)
    step = ElevationStatics(datum_m=200, replacement_m_per_s=2000, weathering_m_per_s=600, to="final")
    source_ms, receiver_ms = step._terms_ms(gather.layout)
    rise = 200 - words["receiver_elevation"] / 100
    assert np.allclose(receiver_ms, 1000 * (rise + 600 * 0.012) / 2000 - 12)
    buried = words["source_depth"] > 0
    rise = 200 - (words["source_elevation"] - words["source_depth"]) / 100
    assert np.allclose(source_ms[buried], 1000 * rise[buried] / 2000)
    assert np.allclose(source_ms[~buried], 1000 * (rise[~buried] + 600 * 0.008) / 2000 - 8)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"datum_m": 9000.0, "to": "final"}, "moves traces by up to"),
        ({"smoothing_gathers": 4}, "must be odd"),
        ({"cmp_statics": {"cdp": [1], "static_ms": [2]}}, "has no row for cdp 0"),
        ({"gather": ["inline"]}, "inline"),
    ],
)
def test_what_does_not_suit_the_data_is_refused(more: dict[str, Any], message: str) -> None:
    gather = make_gather(ricker(np.zeros(60)), interval_ms=2, **hills())
    parameters = {"datum_m": 200.0, "replacement_m_per_s": 2000.0, **more}
    with pytest.raises(SeisprocError, match=message):
        run_processor(ElevationStatics, gather, parameters, kernels=KERNELS)


def test_statics_from_tables() -> None:
    words = hills()
    source = np.array([3.5, -2.0, 0.0, 7.25, -6.0, 1.0])
    survey = MemorySurvey(make_gather(ricker(-source[words["source_station"]]), interval_ms=2, **words))
    table = {"source_station": [3, 1, 2, 0, 5, 4], "static_ms": source[[3, 1, 2, 0, 5, 4]].tolist()}
    made = in_memory(survey, {"use": "apply_statics", "source": table})
    assert np.abs(peaks_ms(made.read(slice(None)).traces) - 300).max() < 0.2
    assert made.info.datum is None
    placed = {**table, "datum_m": [200] * 6, "replacement_m_per_s": [2000] * 6}
    made = in_memory(survey, {"use": "apply_statics", "source": placed})
    assert made.info.datum == Datum(200, 2000)
    at_other = {**DATUM, "datum_m": 100.0, "to": "final"}
    with pytest.raises(ParameterError, match="is for the datum of 200 m.*; the survey is at the datum of 100 m"):
        in_memory(survey, at_other, {"use": "apply_statics", "source": placed})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"source_station": [1], "static_ms": [1]}, "has no row for source_station 0"),
        ({"source_station": [0, 0], "static_ms": [1, 2]}, "several rows"),
        ({"static_ms": [1]}, "needs columns of header words"),
        ({"source_station": [0], "static_ms": [1], "datum_m": [1]}, "together"),
    ],
)
def test_tables_that_do_not_fit_are_refused(table: dict[str, Any], message: str) -> None:
    gather = make_gather(ricker(np.zeros(60)), interval_ms=2, **hills())
    with pytest.raises(ParameterError, match=message):
        run_processor(ApplyStatics, gather, {"source": table}, kernels=KERNELS)


def test_trim_statics_align_a_gather_and_reject_what_is_unlike() -> None:
    random = np.random.default_rng(8)
    delays = np.append(random.uniform(-3.5, 3.5, 24), 0.0)
    traces = ricker(delays, noise=0.1)
    traces[-1] = random.standard_normal(N)
    out = run_processor(TrimStatics, make_gather(traces, interval_ms=2), {"max_ms": 6.0}, kernels=KERNELS)
    move = out.headers["trim_static_ms"]
    assert move[-1] == 0 and out.headers["trim_correlation"][-1] < 0.3
    assert np.array_equal(out.traces[-1], out.traces[-1].astype(np.float32)) and np.allclose(out.traces[-1], traces[-1])
    left = delays[:-1] + move[:-1]
    assert np.std(left) < 0.35 and abs(move[:-1].mean()) < 0.05
    with pytest.raises(ParameterError, match="applied already"):
        run_processor(TrimStatics, out, kernels=KERNELS)


def test_trim_statics_against_a_model_in_a_window() -> None:
    delays = np.linspace(-3, 3, 11)
    gather = make_gather(ricker(delays, noise=0.05), interval_ms=2)
    model = make_gather(ricker(np.full(11, 1.0)), interval_ms=2)
    window = {"window_start_ms": 220, "window_end_ms": 380}
    out = run_processor(TrimStatics, gather, {**window, "max_ms": 6.0}, kernels=KERNELS, inputs={"model": model})
    assert np.abs(out.headers["trim_static_ms"] - (1.0 - delays)).max() < 0.4
    held = run_processor(TrimStatics, gather, {**window, "max_ms": 2.0}, kernels=KERNELS, inputs={"model": model})
    assert np.abs(held.headers["trim_static_ms"]).max() <= 2.0 + 1e-6


def test_datum_survives_the_disk(tmp_path: Path) -> None:
    from seisproc_core.data.survey import SurveyInfo

    for datum in (None, Datum(-12.5, 1800.0, floating=True)):
        assert SurveyInfo.from_json(SurveyInfo(datum=datum).to_json()).datum == datum
