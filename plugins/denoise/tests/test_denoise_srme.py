"""Surface-related multiples: predicted where modelled ones are, and taken off without the primaries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from seisproc_core import Engine, Flow, MemorySurvey, Source
from seisproc_core.errors import Cancelled, SeisprocError
from seisproc_core.specs import resolve
from seisproc_core.testing import make_gather, run_processor
from seisproc_denoise.multichannel.descriptions import KERNELS
from seisproc_denoise.multichannel.srme_sum import Pairs, pairs
from seisproc_denoise.multichannel.subtract import AdaptiveSubtract

SHOTS, CHANNELS, SAMPLES, SPACING = 5, 40, 350, 12.5
FLOOR_S, DEEP_S, DEEP_M_PER_S = 0.3, 0.74, 1800.0
SHOT, CHANNEL = (values.ravel() for values in np.mgrid[:SHOTS, :CHANNELS])
OFFSET = SPACING * (CHANNEL + 4.0)


def arrival(at_s: float, velocity: float, strength: float, start_s: float) -> np.ndarray:
    """A reflection of a horizontal interface, spreading with distance: Ricker wavelet of 25 Hz."""
    times = start_s + 0.004 * np.arange(SAMPLES)
    when = np.hypot(at_s, OFFSET / velocity)
    phase = (np.pi * 25 * (times - when[:, None])) ** 2
    return (strength / when)[:, None] * (1 - 2 * phase) * np.exp(-phase)


def line(start_s: float = 0.0, turn: float = 0.0) -> tuple[MemorySurvey, np.ndarray, np.ndarray]:
    """Shots over a sea floor and a deep reflector, on a line in any direction; primaries and multiples of the floor."""
    primaries = arrival(FLOOR_S, 1500, 0.4, start_s) + arrival(DEEP_S, DEEP_M_PER_S, 0.25, start_s)
    multiples = arrival(2 * FLOOR_S, 1500, -0.16, start_s) + arrival(3 * FLOOR_S, 1500, 0.064, start_s)
    source, receiver = 2 * SPACING * SHOT, 2 * SPACING * SHOT + OFFSET
    words = {
        f"{end}_{axis}": np.rint(100 * at * along).astype(int)
        for end, at in (("source", source), ("receiver", receiver))
        for axis, along in (("x", np.cos(turn)), ("y", np.sin(turn)))
    }
    gather = make_gather(
        primaries + multiples, interval_ms=4.0, start_ms=1000 * start_s, field_record=SHOT + 1, channel=CHANNEL + 1,
        coordinate_scalar=np.full(len(SHOT), -100), **words,
    )  # fmt: skip
    return MemorySurvey(gather), primaries, multiples


def predicted(survey: MemorySurvey, **step: Any) -> Any:
    plain = {"use": "srme", "spacing_m": SPACING, "aperture_m": 200.0, "max_hz": 70.0, **step}
    steps = Flow.parse({"source": {"survey": "x"}, "step": [plain], "sink": {"survey": "y"}}).steps
    with Engine(executor="in-process") as engine:
        return engine.submit(Flow(source=Source(storage="memory", survey=survey), steps=steps)).result(120).open()


@pytest.mark.parametrize(("start_s", "turn"), [(0.0, 0.0), (-0.1, 0.6)])
def test_multiples_are_predicted_and_subtracted(start_s: float, turn: float) -> None:
    survey, primaries, multiples = line(start_s, turn)
    model = predicted(survey).read(slice(None))
    data = survey.gather
    times = start_s + 0.004 * np.arange(SAMPLES)
    near = OFFSET < 350
    window = (times[None] > 0.55) & (times[None] < 0.72) & near[:, None]  # the first multiple of the sea floor
    inside = np.where(window, model.traces, 0)
    lags = [float((np.roll(inside, lag, axis=1) * multiples)[window].sum()) for lag in range(-12, 13)]
    assert abs(int(np.argmax(lags)) - 12) <= 1  # the right time, and the right sign
    before = times[None] < 0.5
    assert np.abs(np.where(before, model.traces, 0)).max() < 0.02 * np.abs(model.traces).max()  # no primary
    rows = [np.flatnonzero(shot - 1 == SHOT) for shot in (2, 3)]
    for row in rows:
        one, its = data.rows(int(row[0]), int(row[-1]) + 1), model.rows(int(row[0]), int(row[-1]) + 1)
        step = {"filter_ms": 60, "window_ms": 500, "window_traces": 40}
        left = run_processor(AdaptiveSubtract, one, step, inputs={"model": its}).traces
        error, part = left - primaries[row], window[row]
        assert (error[part] ** 2).sum() < 0.1 * (multiples[row][part] ** 2).sum()
        deep = (np.abs(times[None] - np.hypot(DEEP_S, OFFSET[row] / DEEP_M_PER_S)[:, None]) < 0.03) & near[row][:, None]
        assert (error[deep] ** 2).sum() < 0.1 * (primaries[row][deep] ** 2).sum()


def test_dead_traces_stay_dead_and_are_made_up_for() -> None:
    survey, _, _ = line()
    whole = predicted(survey).read(slice(None)).traces
    traces = survey.gather.traces.copy()
    traces[[7, 50, 90]] = 0
    words = {name: survey.gather.headers.column(name) for name in survey.gather.headers if not name.startswith("live")}
    words.pop("trace_id")
    left = predicted(MemorySurvey(make_gather(traces, interval_ms=4.0, **words))).read(slice(None)).traces
    assert np.abs(left - whole).max() < 0.25 * np.abs(whole).max()


def test_points_may_be_denser_than_receivers() -> None:
    survey, _, _ = line()
    one, half = (predicted(survey, spacing_m=step).read(slice(None)).traces for step in (SPACING, SPACING / 2))
    likeness = (one * half).sum() / np.sqrt((one**2).sum() * (half**2).sum())
    assert likeness > 0.97 and 0.8 < np.linalg.norm(half) / np.linalg.norm(one) < 1.25


def test_what_does_not_fit_is_refused() -> None:
    survey, _, _ = line()
    with pytest.raises(SeisprocError, match="Nyquist"):
        predicted(survey, max_hz=200.0)
    with pytest.raises(SeisprocError, match="spacing_m.*quarter of the largest offset"):
        predicted(survey, spacing_m=300.0)


def test_pairs_meet_at_points_and_are_those_of_the_nearest_midpoints() -> None:
    offset = np.repeat([0.0, 10.0, 30.0], [3, 2, 4])  # no trace of offset 20
    midpoints = np.array([0.0, 5.0, 5.0, 5.0, 25.0, -10.0, 0.0, 15.0, 50.0])
    first = np.array([0, 3, 5, 5, 9])
    source, receiver = np.array([0.0, 40.0]), np.array([20.0, 20.0])
    found = pairs(source, receiver, midpoints, first, 10.0, 1)
    for row in range(2):
        wanted = []
        beyond = (receiver[row] - source[row]) / 2
        for point in np.linspace(source[row] - beyond, receiver[row] + beyond, 5):
            legs = []
            for a, b in ((source[row], point), (point, receiver[row])):
                near = np.flatnonzero(offset == abs(b - a))
                legs += near[np.abs(midpoints[near] - (a + b) / 2).argsort(kind="stable")[:1]].tolist()
            wanted += [tuple(legs)] * (len(legs) == 2)
        made = slice(*found.starts[row : row + 2])
        assert sorted(zip(found.left[made].tolist(), found.right[made].tolist(), strict=True)) == sorted(wanted)
    assert not len(pairs(source, receiver, np.zeros(0), np.zeros(1, np.int64), 10.0, 1).left)


def test_backends_add_the_same_products_and_stop_when_told(rng: np.random.Generator) -> None:
    spectra = (rng.standard_normal((9, 33)) + 1j * rng.standard_normal((9, 33))).astype(np.complex64)
    chosen = Pairs(rng.integers(0, 9, 20), rng.integers(0, 9, 20), rng.uniform(0, 1, 20), np.array([0, 0, 7, 20]))
    sums = {}
    for spec in KERNELS:
        if spec.name != "sum_of_products":
            continue
        if spec.backend == "numba":
            pytest.importorskip("numba")
        out = np.full((3, 33), np.nan, np.complex64)
        resolve(spec.impl)(spectra, chosen, out, np.zeros(1, np.uint8))
        sums[spec.backend] = out
        with pytest.raises(Cancelled):
            resolve(spec.impl)(spectra, chosen, out, np.ones(1, np.uint8))
    assert not sums["reference"][0].any() and np.abs(sums["reference"]).max() > 1
    assert np.abs(sums["numba"] - sums["reference"]).max() < 1e-5 * np.abs(sums["reference"]).max()


def test_a_survey_without_a_live_trace_gives_no_multiples() -> None:
    survey, _, _ = line()
    words = {name: survey.gather.headers.column(name) for name in survey.gather.headers if name != "trace_id"}
    silent = MemorySurvey(make_gather(np.zeros_like(survey.gather.traces), interval_ms=4.0, **words))
    assert not predicted(silent).read(slice(None)).traces.any()
