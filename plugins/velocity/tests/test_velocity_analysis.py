"""Velocity panels, partial stacks, anisotropic NMO and picks, by physics."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core.data.gather import Gather
from seisproc_core.errors import HeaderError, ParameterError
from seisproc_core.testing import make_gather
from seisproc_velocity.nmo import Nmo
from seisproc_velocity.partial import PartialStack
from seisproc_velocity.picking import VelocityPick, best_path, pick_velocities
from seisproc_velocity.semblance import velocity_spectrum
from seisproc_velocity.stack import Stack
from seisproc_velocity.velan import Semblance, VelocityStacks

Run = Callable[..., Gather]
Make = Callable[..., np.ndarray]
OFFSET = np.arange(100, 1600, 75)
RANGE = {"first_m_per_s": 1600.0, "last_m_per_s": 3000.0, "step_m_per_s": 50.0}
TRIALS = np.arange(1600, 3001, 50.0)


@pytest.mark.parametrize("start_ms", [-100.0, 0.0, 100.0])
@pytest.mark.parametrize("measure", ["semblance", "ab", "stack_power"])
def test_a_hyperbola_focuses_at_its_velocity(run: Run, hyperbola: Make, start_ms: float, measure: str) -> None:
    gather = make_gather(hyperbola(OFFSET, 0.8, 2200, start_ms=start_ms), offset=-OFFSET, start_ms=start_ms, cdp=7)
    panel = run(Semblance, gather, measure=measure, every=2, **RANGE)
    assert panel.traces.shape == (29, 250)
    assert panel.sampling.interval_s == 0.008 and panel.sampling.start_s == start_ms / 1000
    np.testing.assert_array_equal(panel.headers["velocity_m_per_s"], TRIALS)
    assert set(panel.headers["cdp"]) == {7} and set(panel.headers["offset"]) == {0}
    at = round((0.8 - start_ms / 1000) / 0.008)
    assert abs(TRIALS[panel.traces[:, at].argmax()] - 2200) <= 50
    if measure != "stack_power":
        assert panel.traces[:, at].max() > 0.95


def test_ab_sees_a_reversal_of_polarity(run: Run, hyperbola: Make) -> None:
    sine_squared = OFFSET**2 / (OFFSET**2 + (2200 * 0.8) ** 2)
    turning = 1 - 2 * sine_squared[:, None] / sine_squared.mean() / 2
    gather = make_gather(hyperbola(OFFSET, 0.8, 2200) * turning, offset=OFFSET)
    plain, ab = (run(Semblance, gather, measure=m, **RANGE).traces[12, 200] for m in ("semblance", "ab"))
    assert plain < 0.2
    assert ab > 0.9


def test_rows_are_those_of_the_function_and_of_other_batches(run: Run) -> None:
    rng = np.random.default_rng(4)
    first = rng.integers(0, 50, 40)
    samples = rng.standard_normal((40, 120))
    samples[np.arange(120) < first[:, None]] = 1e20  # not live
    gather = make_gather(
        samples, gather_starts=[0, 10, 10, 40], offset=np.tile(OFFSET - 100, 2), live=(first, np.full(40, 110))
    )
    panel = run(Semblance, gather, **RANGE)
    assert panel.gather_starts.tolist() == [0, 29, 29, 58]
    parts = [gather.rows(0, 10), gather.rows(10, 40)]
    np.testing.assert_allclose(
        panel.traces, np.concatenate([velocity_spectrum(g, TRIALS) for g in parts]), rtol=1e-5, atol=1e-7
    )
    alone = np.concatenate([run(Semblance, g, **RANGE).traces for g in parts])
    np.testing.assert_array_equal(panel.traces, alone)
    assert panel.traces.max() <= 1 + 1e-6


def test_velocity_stacks_are_nmo_and_stack(run: Run, hyperbola: Make) -> None:
    samples = np.concatenate([hyperbola(OFFSET, 0.8, 2200), hyperbola(OFFSET[:5], 1.1, 2500)])
    gather = make_gather(
        samples, gather_starts=[0, 20, 20, 25], offset=np.append(OFFSET, OFFSET[:5]), cdp=[1] * 20 + [2] * 5
    )
    panel = run(VelocityStacks, gather, **RANGE)
    assert panel.gather_starts.tolist() == [0, 29, 29, 58]
    for number in (0, 12, 28):
        velocity = {"time_ms": [0], "rms_m_per_s": [TRIALS[number]]}
        wanted = run(Stack, run(Nmo, gather, velocity=velocity))
        made = panel.headers.take(np.array([number, 29 + number]))
        np.testing.assert_allclose(panel.traces[[number, 29 + number]], wanted.traces, atol=1e-6)
        np.testing.assert_array_equal(made["fold"], wanted.headers["fold"])
        np.testing.assert_array_equal(made.live_window(500), wanted.live_window)
    assert TRIALS[panel.traces[:29, 200].argmax()] == 2200


@pytest.mark.parametrize("start_ms", [-100.0, 100.0])
def test_velocity_stacks_whatever_the_start(run: Run, hyperbola: Make, start_ms: float) -> None:
    made, wanted = (
        run(VelocityStacks, make_gather(hyperbola(OFFSET, 0.8, 2200, start_ms=s), offset=OFFSET, start_ms=s), **RANGE)
        for s in (start_ms, 0.0)
    )
    before = round(start_ms / 4)  # samples
    here, there = slice(max(0, -before), 400 - max(0, before)), slice(max(0, before), 400 + min(0, before))
    np.testing.assert_allclose(made.traces[:, here], wanted.traces[:, there], atol=1e-5)
    # Nothing is recorded before the start.
    np.testing.assert_array_equal(made.live_window[0] + before, np.maximum(wanted.live_window[0], before))


def test_panels_check_their_range() -> None:
    layout = make_gather(np.ones((1, 9)), offset=1).layout
    with pytest.raises(ParameterError, match="'last_m_per_s' must be at least first_m_per_s = 1600"):
        Semblance(**(RANGE | {"last_m_per_s": 1500.0})).check(layout)
    with pytest.raises(ParameterError, match="more than 1000 velocities"):
        Semblance(**(RANGE | {"step_m_per_s": 0.1})).check(layout)
    with pytest.raises(HeaderError, match="'offset'"):
        Semblance(**RANGE).check(make_gather(np.ones((1, 9))).layout)


@pytest.mark.parametrize("start_ms", [-100.0, 0.0, 100.0])
@pytest.mark.parametrize("eta", [0.15, -0.1])
def test_eta_flattens_where_a_hyperbola_does_not(run: Run, ricker: Make, start_ms: float, eta: float) -> None:
    offset, t0, v = np.arange(0, 2900, 100), 0.8, 2000.0
    x2 = offset.astype(float) ** 2
    t = np.sqrt(t0**2 + x2 / v**2 - 2 * eta * x2**2 / (v**2 * (t0**2 * v**2 + (1 + 2 * eta) * x2)))
    times = start_ms / 1000 + np.arange(500) * 0.004
    gather = make_gather(ricker(times - t[:, None], 25.0), offset=offset, start_ms=start_ms)
    velocity = {"velocity": {"time_ms": [0], "rms_m_per_s": [v]}, "max_stretch_percent": 400.0}
    bent = run(Nmo, gather, **velocity)
    flat = run(Nmo, gather, eta={"time_ms": [0], "eta": [eta]}, **velocity)
    at = round((t0 - start_ms / 1000) / 0.004)
    np.testing.assert_array_equal(flat.traces[:, at - 8 : at + 9].argmax(axis=1), 8)
    assert abs(np.abs(bent.traces[-1]).argmax() - at) > 8  # eight samples early or late at x/z = 3.5
    back = run(Nmo, flat, eta={"time_ms": [0], "eta": [eta]}, inverse=True, **velocity)
    first, end = back.live_window
    rows = [(r, slice(int(first[r]) + 8, int(end[r]) - 8)) for r in range(len(offset))]
    error = np.concatenate([back.traces[r, s] - gather.traces[r, s] for r, s in rows])
    kept = np.concatenate([gather.traces[r, s] for r, s in rows])
    assert np.sqrt(np.mean(error**2)) <= 0.01 * np.sqrt(np.mean(kept**2))


def test_eta_of_zero_is_none(run: Run) -> None:
    gather = make_gather(np.random.default_rng(0).standard_normal((20, 300)), offset=OFFSET, cdp=np.arange(20))
    velocity = {"cdp": [0, 9], "time_ms": [0, 0], "rms_m_per_s": [1800, 2600]}
    plain = run(Nmo, gather, velocity=velocity)
    zero = run(Nmo, gather, velocity=velocity, eta={"time_ms": [0], "eta": [0.0]})
    np.testing.assert_allclose(zero.traces, plain.traces, atol=1e-6)
    with pytest.raises(ParameterError, match="'eta' eta must be above"):
        run(Nmo, gather, velocity=velocity, eta={"time_ms": [0], "eta": [-0.7]})


def test_partial_stacks_by_hand(run: Run) -> None:
    values = np.array([1.0, 2, 4, 8, 16, 32, 64])
    gather = make_gather(
        np.repeat(values[:, None], 5, axis=1), gather_starts=[0, 4, 4, 7], offset=[-50, 10, 150, 400, 100, 300, 320],
        cdp=[1, 1, 1, 1, 2, 2, 2], live=(np.zeros(7), np.array([5, 3, 5, 5, 5, 5, 5])),
    )  # fmt: skip
    made = run(PartialStack, gather, edges=[0, 100, 300])
    assert made.gather_starts.tolist() == [0, 2, 2, 3]
    assert made.headers["partial_class"].tolist() == [1, 2, 2]
    assert made.headers["offset"].tolist() == [-20, 150, 200]
    assert made.headers["fold"].tolist() == [2, 1, 2]
    assert made.headers["cdp"].tolist() == [1, 1, 2]
    np.testing.assert_allclose(made.traces[:, 0], [1.5, 4, 24])
    np.testing.assert_allclose(made.traces[0], [1.5, 1.5, 1.5, 1, 1])
    signed = run(PartialStack, gather, edges=[-100, 0, 100], signed=True)
    assert signed.headers["partial_class"].tolist() == [1, 2, 2]
    assert run(PartialStack, gather, edges=[0, 1000], method="median").traces[:, 4].tolist() == [4, 32]


@given(st.data())
@settings(max_examples=40)
def test_partial_stacks_add_up_to_the_sum(data: st.DataObject) -> None:
    from seisproc_core.testing import run_processor
    from seisproc_velocity.plugin import KERNELS

    count = data.draw(st.integers(1, 12))
    offset = [data.draw(st.integers(-500, 500)) for _ in range(count)]
    cut = data.draw(st.integers(0, count))
    samples = np.random.default_rng(count).standard_normal((count, 6))
    gather = make_gather(samples, gather_starts=[0, cut, count], offset=offset)
    edges = sorted({0.0, 501.0, *data.draw(st.lists(st.floats(1, 500), max_size=4))})
    made = run_processor(PartialStack, gather, {"edges": edges, "normalise_power": 0.0}, kernels=KERNELS)
    for one, all_ in zip(made.split(), gather.split(), strict=True):
        np.testing.assert_allclose(one.traces.sum(axis=0), all_.traces.sum(axis=0), atol=1e-5)
        assert one.headers["fold"].sum() == all_.n_traces


def test_partial_stacks_refuse_bad_edges(run: Run) -> None:
    gather = make_gather(np.ones((2, 3)), offset=[100, 200])
    for edges, message in (
        ([5], "two or more"),
        ([5, 5], "ascending"),
        ([-5, 5], "signed"),
        ([0, 50], "hold no trace"),
    ):
        with pytest.raises(ParameterError, match=message):
            run(PartialStack, gather, edges=edges)


@given(
    st.integers(1, 4), st.integers(1, 5), st.floats(0, 2), st.integers(0, 2**32 - 1)
)  # small enough to try all paths
def test_the_path_is_the_best_of_all(n_rows: int, n_times: int, cost: float, seed: int) -> None:
    spectrum = np.random.default_rng(seed).random((n_rows, n_times))

    def worth(path: Any) -> float:
        return float(spectrum[list(path), np.arange(n_times)].sum() - cost * np.abs(np.diff(path)).sum())

    best = max(worth(path) for path in product(range(n_rows), repeat=n_times))
    assert worth(best_path(spectrum, cost)) == pytest.approx(best)


EVENTS = {0.4: 1700.0, 0.8: 2120.0, 1.3: 2480.0}


def events(hyperbola: Make, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 0.15, (20, 500))
    return sum(hyperbola(OFFSET * 0.7, t0, v) for t0, v in EVENTS.items()) + noise


def test_picks_are_the_model(run: Run, hyperbola: Make) -> None:
    samples = np.concatenate([events(hyperbola, 1), np.zeros((20, 500)), events(hyperbola, 2)])
    gather = make_gather(
        samples, gather_starts=[0, 20, 40, 60], offset=np.tile(OFFSET * 0.7, 3), cdp=np.repeat([3, 4, 5], 20), dead=0
    )
    panel = run(Semblance, gather, **RANGE)
    picked = run(VelocityPick, panel, least=0.4)
    assert picked.headers["cdp"].tolist() == [3, 4, 5] and "velocity_m_per_s" not in picked.headers
    assert picked.headers["dead"].tolist() == [0, 1, 0] and picked.live_window[1].tolist() == [500, 0, 500]
    for row in (0, 2):
        for t0, v in EVENTS.items():
            assert abs(picked.traces[row, round(t0 / 0.004)] / v - 1) < 0.025
    assert not picked.traces[1].any()
    guided = run(VelocityPick, panel, guide={"time_ms": [0], "rms_m_per_s": [2900]}, guide_percent=5.0, least=0.0)
    assert guided.traces[0].min() >= 2900 * 0.95 - 50


def test_knots_keep_their_distance_and_their_least(hyperbola: Make) -> None:
    gather = make_gather(events(hyperbola, 1), offset=OFFSET * 0.7)
    spectrum, times = velocity_spectrum(gather, TRIALS), gather.sampling.times()
    picks = pick_velocities(spectrum, TRIALS, times, least=0.05, separation_ms=150)
    assert (np.diff(picks.times_s) >= 0.15 - 1e-9).all() and (picks.strength >= 0.05).all()
    assert not len(pick_velocities(spectrum, TRIALS, times, least=1.1).times_s)
    stiff = pick_velocities(spectrum, TRIALS, times, change_ms=1e6)
    assert np.ptp(stiff.rms_m_per_s) <= 50  # no change is worth its price; only refinement within a step


def test_pick_needs_panels(run: Run) -> None:
    gather = make_gather(np.ones((3, 9)), gather_starts=[0, 2, 3])
    with pytest.raises(HeaderError, match="velocity_m_per_s"):
        run(VelocityPick, gather)
    falling = attrs.evolve(gather, headers=gather.headers.with_columns(velocity_m_per_s=np.array([2.0, 1, 5])))
    with pytest.raises(ParameterError, match="panels of ascending velocity_m_per_s"):
        run(VelocityPick, falling)
