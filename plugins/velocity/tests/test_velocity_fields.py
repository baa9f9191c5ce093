"""Dix and its relatives against layered models, and fields between positions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisproc_core.data.tables import Table
from seisproc_core.errors import ParameterError, UsageError
from seisproc_core.testing import make_gather, run_processor
from seisproc_velocity import dix
from seisproc_velocity.fields import field_of, functions_at, slowness_squared
from seisproc_velocity.nmo import Nmo
from seisproc_velocity.plugin import KERNELS

# Three layers: 1500, 2500 and 2000 m/s of 400, 500 and 600 m.
THICKNESS, LAYERS = np.array([400.0, 500, 600]), np.array([1500.0, 2500, 2000])
TIMES = np.cumsum(2 * THICKNESS / LAYERS)


def test_layers_are_recovered_exactly() -> None:
    durations = np.diff(TIMES, prepend=0)
    rms = np.sqrt(np.cumsum(LAYERS**2 * durations) / TIMES)
    np.testing.assert_allclose(dix.rms_from_interval(TIMES, LAYERS), rms, rtol=1e-14)
    np.testing.assert_allclose(dix.interval_from_rms(TIMES, rms), LAYERS, rtol=1e-12)
    np.testing.assert_allclose(dix.average_from_interval(TIMES, LAYERS), 2 * np.cumsum(THICKNESS) / TIMES, rtol=1e-14)
    np.testing.assert_allclose(
        dix.converted(TIMES, rms, "rms_m_per_s", "average_m_per_s"), 2 * np.cumsum(THICKNESS) / TIMES, rtol=1e-12
    )


def test_depth_and_time() -> None:
    depths = np.cumsum(THICKNESS)
    np.testing.assert_allclose(dix.depth_of_time(TIMES, LAYERS, TIMES), depths, rtol=1e-14)
    np.testing.assert_allclose(dix.depth_of_time(TIMES, LAYERS, [0, TIMES[0] / 2, TIMES[2] + 1]), [0, 200, 2500])
    np.testing.assert_allclose(dix.time_of_depth(TIMES, LAYERS, [0, 400, 650, 2500]), [0, *TIMES[:1], TIMES[0] + 0.2,
                                                                                      TIMES[2] + 1])  # fmt: skip
    np.testing.assert_allclose(dix.depth_of_time(TIMES, LAYERS, np.array([-0.1])), [-75])


functions = st.lists(
    st.tuples(st.floats(0.01, 1), st.floats(300, 7000)), min_size=1, max_size=30
)  # durations (s) and interval velocities (m/s)


@given(functions, st.booleans(), st.floats(-1, 9))
def test_conversions_are_inverse(layers: list[tuple[float, float]], from_zero: bool, at: float) -> None:
    times = np.cumsum([duration for duration, _ in layers])
    interval = np.array([velocity for _, velocity in layers])
    if from_zero:
        times, interval = np.append(0.0, times), np.append(interval[0], interval)
    for kind in ("rms_m_per_s", "average_m_per_s"):
        other = dix.converted(times, interval, "interval_m_per_s", kind)
        assert interval.min() * (1 - 1e-9) <= other.min() and other.max() <= interval.max() * (1 + 1e-9)
        np.testing.assert_allclose(dix.converted(times, other, kind, "interval_m_per_s"), interval, rtol=1e-6)
    rms, average = (dix.converted(times, interval, "interval_m_per_s", k) for k in ("rms_m_per_s", "average_m_per_s"))
    assert (rms >= average * (1 - 1e-12)).all()  # a mean of squares is never less than the square of the mean
    depth = dix.depth_of_time(times, interval, at)
    np.testing.assert_allclose(dix.time_of_depth(times, interval, depth), at, atol=1e-9)


def test_impossible_inversions_are_refused_and_the_limit_is_true() -> None:
    times = np.array([1.0, 1.1])
    with pytest.raises(UsageError, match=r"no interval velocity .* 1800 m/s at 1100 ms: .* must exceed 1906\.93 m/s"):
        dix.interval_from_rms(times, np.array([2000.0, 1800]))
    assert dix.interval_from_rms(times, np.array([2000.0, 1906.94]))[1] > 0
    with pytest.raises(UsageError, match="depth that falls with time at 1100 ms"):
        dix.interval_from_average(times, np.array([2000.0, 1800]))
    for wrong in ([1.0, 1.0], [-0.1, 1.0]):
        with pytest.raises(UsageError, match="increasing times from 0 on"):
            dix.rms_from_interval(np.array(wrong), np.array([2000.0, 2000]))
    with pytest.raises(UsageError, match="one velocity per knot"):
        dix.rms_from_interval(times, np.array([2000.0]))


def test_smoothing_keeps_lines_and_calms_noise() -> None:
    rng = np.random.default_rng(0)
    axis = np.sort(rng.uniform(0, 3, 40))
    line = 1500 + 600 * axis
    np.testing.assert_allclose(dix.smoothed(axis, line, 0.5), line, rtol=1e-9)
    noisy = line + rng.normal(0, 50, 40)
    assert np.std(dix.smoothed(axis, noisy, 0.6) - line) < 0.5 * np.std(noisy - line)
    np.testing.assert_array_equal(dix.smoothed(axis, noisy, 0.0), noisy)
    apart = dix.smoothed(np.array([0.0, 1000.0]), np.array([1.0, 9.0]), 1.0)
    np.testing.assert_allclose(apart, [1, 9])
    slowness = dix.smoothed(axis, line**-0.5, 0.5, power=-2.0)
    np.testing.assert_allclose(slowness, line**-0.5, rtol=1e-9)


GRID = Table(
    {
        "inline": [10, 10, 20, 20],
        "crossline": [1, 5, 1, 5],
        "time_ms": [0, 0, 0, 0],
        "rms_m_per_s": [2000, 2400, 3000, 3400],
    }
)


def test_bilinear_between_inlines_and_crosslines() -> None:
    words = {"inline": np.array([10, 15, 15, 99, 15]), "crossline": np.array([1, 1, 3, 99, 3])}
    rows, row = functions_at(field_of(GRID), np.array([0.0, 1.0]), words)
    assert len(rows) == 4  # the same position twice
    np.testing.assert_allclose(rows[row][:, 0], [2000, 2500, 2700, 3400, 2700])
    slow, row = slowness_squared(GRID, np.array([0.0]), words, "slowness_squared")
    four = np.array([2000.0, 2400, 3000, 3400]) ** -2
    np.testing.assert_allclose(slow[row[2]], four.mean())
    with pytest.raises(UsageError, match=r"inline 99 lies outside the velocity table \(10 to 20\)"):
        functions_at(field_of(GRID), np.array([0.0]), words, outside="error")


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=6, unique=True),
    st.lists(st.integers(-20, 70), min_size=1, max_size=9),
    st.sampled_from([1.0, -2.0]),
)
def test_between_positions_values_stay_between_functions(at: list[int], cdps: list[int], power: float) -> None:
    values = 1500 + 37.0 * np.arange(len(at))
    table = Table({"cdp": at, "time_ms": np.zeros(len(at)), "rms_m_per_s": values})
    rows, row = functions_at(field_of(table), np.zeros(1), {"cdp": np.array(cdps)}, power=power)
    made = rows[row][:, 0]
    assert made.min() >= values.min() * (1 - 1e-12) and made.max() <= values.max() * (1 + 1e-12)
    for cdp, value in zip(cdps, made, strict=True):
        if cdp in at:
            assert value == pytest.approx(values[at.index(cdp)])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"time_ms": [0], "average_m_per_s": [1]}, "has no column rms_m_per_s; it has time_ms, average_m_per_s"),
        ({"time_ms": [0], "rms_m_per_s": [1], "inline": [1]}, "not by inline"),
        ({"time_ms": [5, 5], "rms_m_per_s": [1, 1], "cdp": [7, 7]}, r"see time_ms = 5 \(cdp 7\)"),
        ({"depth_m": [5, 4], "rms_m_per_s": [1, 1]}, "depth_m must increase"),
    ],
)
def test_bad_tables(columns: dict[str, list[float]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        field_of(Table(columns))


def test_a_hole_in_the_grid_and_low_eta() -> None:
    holed = Table({name: column[:3] for name, column in GRID.columns.items()})
    with pytest.raises(UsageError, match="inline 20, crossline 5 has none"):
        field_of(holed)
    with pytest.raises(UsageError, match=r"eta must be above -0\.5: see time_ms = 0"):
        field_of(Table({"time_ms": [0], "eta": [-0.5]}), "eta")


def test_nmo_refuses_traces_outside_when_told() -> None:
    gather = make_gather(np.ones((2, 50)), offset=100, cdp=[5, 12])
    velocity = {"cdp": [1, 10], "time_ms": [0, 0], "rms_m_per_s": [2000, 2000]}
    with pytest.raises(ParameterError, match=r"'velocity' cdp 12 lies outside the velocity table \(1 to 10\)"):
        run_processor(Nmo, gather, {"velocity": velocity, "outside": "error"}, kernels=KERNELS)
    assert run_processor(Nmo, gather, {"velocity": velocity}, kernels=KERNELS).traces.any()
