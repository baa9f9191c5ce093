"""NMO: physics, time origin, live windows, inverse, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core.data.gather import Gather
from seisproc_core.data.headers import Headers
from seisproc_core.data.sampling import Sampling
from seisproc_core.data.tables import Table
from seisproc_core.errors import HeaderError, ParameterError
from seisproc_core.testing import make_gather, run_processor
from seisproc_velocity.fields import slowness_squared
from seisproc_velocity.nmo import Nmo
from seisproc_velocity.plugin import KERNELS
from seisproc_velocity.sinc import BAND, operators

Run = Callable[..., Gather]
Make = Callable[..., np.ndarray]
FLAT = {"time_ms": [0], "rms_m_per_s": [2000]}
RISING = {"time_ms": [100, 800, 1600], "rms_m_per_s": [1600, 2100, 2700]}
OFFSET = np.arange(0, 1300, 100)


def band_limited(n_traces: int, n: int, highest: float, seed: int = 0) -> np.ndarray:
    """Noise with a flat spectrum up to a fraction of Nyquist."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal((n_traces, n)))
    spectrum[:, int(highest * n / 2) :] = 0
    return np.fft.irfft(spectrum, n).astype(np.float32)


@pytest.mark.parametrize("t0", [0.6, 0.9337, 1.5])
def test_hyperbola_becomes_flat(run: Run, hyperbola: Make, ricker: Make, t0: float) -> None:
    gather = make_gather(hyperbola(OFFSET, t0, 2000), offset=OFFSET)
    made = run(Nmo, gather, velocity=FLAT, max_stretch_percent=100.0)
    fine = t0 + np.arange(-0.006, 0.006, 0.0001)
    for trace, first in zip(made.traces, made.live_window[0], strict=True):
        assert first * 0.004 < t0
        # The peak between samples, from the band-limited continuation of the trace.
        peak = fine[np.argmax(np.sinc((fine[:, None] - gather.sampling.times()) / 0.004) @ trace)]
        assert abs(peak - t0) < 0.0004  # a tenth of a sample
        assert abs(trace.max() - ricker(np.round(t0 / 0.004) * 0.004 - t0, 25.0)) < 0.03  # stretch flattens the top
    assert np.abs(made.traces[0] - gather.traces[0]).max() < 1e-6  # zero offset stays


def test_wavelet_is_stretched_by_the_rate(run: Run, hyperbola: Make, ricker: Make) -> None:
    gather = make_gather(hyperbola(np.array([800]), 0.8, 2000, interval_ms=2, n=800), interval_ms=2, offset=[800])
    made = run(Nmo, gather, velocity=FLAT, taper_ms=0.0)
    t = gather.sampling.times()
    moved = ricker(np.sqrt(t**2 + 0.16) - np.sqrt(0.8**2 + 0.16), 25)
    live = slice(*(int(edge[0]) for edge in made.live_window))
    np.testing.assert_allclose(made.traces[0, live], moved[live], atol=2e-3)


@pytest.mark.parametrize("percent", [10.0, 50.0, 100.0])
def test_stretch_mute_is_where_the_formula_says(run: Run, percent: float) -> None:
    gather = make_gather(np.ones((13, 500)), offset=OFFSET)
    made = run(Nmo, gather, velocity=FLAT, max_stretch_percent=percent, taper_ms=0.0)
    limit = OFFSET / 2000 / np.sqrt((1 + percent / 100) ** 2 - 1)  # where t0/t = 1/(1 + stretch)
    np.testing.assert_array_equal(made.live_window[0], np.ceil(limit / 0.004 - 1e-9))


def test_taper_and_scale(run: Run) -> None:
    gather = make_gather(band_limited(13, 500, 0.5), offset=OFFSET)
    plain = run(Nmo, gather, velocity=FLAT, taper_ms=0.0)
    tapered = run(Nmo, gather, velocity=FLAT, taper_ms=40.0)
    scaled = run(Nmo, gather, velocity=FLAT, taper_ms=0.0, scale_stretch=True)
    first = int(plain.live_window[0][8])
    ramp = slice(first, first + 10)
    np.testing.assert_allclose(tapered.traces[8, ramp], plain.traces[8, ramp] * np.arange(1, 11) / 10, rtol=1e-6)
    np.testing.assert_array_equal(tapered.traces[8, first + 10 :], plain.traces[8, first + 10 :])
    np.testing.assert_array_equal(tapered.traces[0], plain.traces[0])  # nothing muted, nothing tapered
    t0 = gather.sampling.times()[first:]
    rate = t0 / np.sqrt(t0**2 + (800 / 2000) ** 2)
    np.testing.assert_allclose(scaled.traces[8, first:], plain.traces[8, first:] * rate, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("start_ms", [-100.0, 100.0])
@pytest.mark.parametrize("inverse", [False, True])
def test_time_of_the_first_sample_does_not_matter(run: Run, start_ms: float, inverse: bool) -> None:
    noise = band_limited(13, 560, 0.5)
    noise[:, :60] = 0  # nothing before 0.1 s, so that all three hold the same data

    def at(start: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        skip = round((start + 100) / 4)
        first, end = np.full(13, 60 - skip), np.full(13, 500 - skip)
        g = make_gather(noise[:, skip:500], start_ms=start, offset=OFFSET, live=(first, end))
        out = run(Nmo, g, velocity=RISING, inverse=inverse)
        whole = np.zeros((13, 500), np.float32)
        whole[:, skip:] = out.traces
        return whole, out.live_window[0] + skip, out.live_window[1] + skip

    wanted, wanted_first, wanted_end = at(0.0)
    made, first, end = at(start_ms)
    np.testing.assert_array_equal(first, wanted_first)
    np.testing.assert_array_equal(end, wanted_end)
    np.testing.assert_allclose(made, wanted, atol=1e-5)


def test_before_the_source_nothing_is_live(run: Run) -> None:
    made = run(Nmo, make_gather(np.ones((2, 100)), start_ms=-100, offset=[0, 50]), velocity=FLAT)
    assert made.live_window[0][0] == 25
    assert made.live_window[0][1] > 25
    assert not made.traces[:, :25].any()


@pytest.mark.parametrize("velocity", [FLAT, RISING])
@pytest.mark.parametrize("scale", [False, True])
def test_inverse_undoes_nmo(run: Run, velocity: Any, scale: bool) -> None:
    gather = make_gather(band_limited(13, 700, 0.6), offset=OFFSET)
    flat = run(Nmo, gather, velocity=velocity, taper_ms=0.0, scale_stretch=scale)
    back = run(Nmo, flat, velocity=velocity, taper_ms=0.0, scale_stretch=scale, inverse=True)
    first, end = back.live_window
    for row in range(13):
        assert end[row] - first[row] > 300
        inner = slice(int(first[row]) + 8, int(end[row]) - 8)
        difference = back.traces[row, inner] - gather.traces[row, inner]
        assert np.sqrt(np.mean(difference**2)) <= 0.01 * np.sqrt(np.mean(gather.traces[row, inner] ** 2))


def test_samples_outside_the_live_window_have_no_influence(run: Run) -> None:
    first, end = np.arange(13) * 10 + 20, np.full(13, 480) - np.arange(13) * 7
    clean = band_limited(13, 500, 0.6)
    sample = np.arange(500)
    outside = (sample < first[:, None]) | (sample >= end[:, None])
    clean[outside] = 0
    garbage = np.where(outside, np.float32(1e30), clean)
    one, other = (run(Nmo, make_gather(x, offset=OFFSET, live=(first, end)), velocity=RISING) for x in (clean, garbage))
    np.testing.assert_array_equal(one.traces, other.traces)
    new_first, new_end = one.live_window
    t0 = one.sampling.times()
    for row in range(13):  # live exactly where t(t0) is
        v = np.interp(t0, np.array(RISING["time_ms"]) / 1000, RISING["rms_m_per_s"])
        position = np.sqrt(t0**2 + (OFFSET[row] / v) ** 2) / 0.004
        live = (position >= first[row] - 1e-6) & (position <= end[row] - 1 + 1e-6)
        assert new_end[row] == np.flatnonzero(live)[-1] + 1
        assert new_first[row] >= np.flatnonzero(live)[0]
        assert not one.traces[row, : new_first[row]].any()
        assert not one.traces[row, new_end[row] :].any()


def test_order_sign_of_offset_and_batch_do_not_matter(run: Run) -> None:
    gather = make_gather(band_limited(13, 301, 0.6), offset=OFFSET, cdp=np.arange(13))
    table = {"cdp": [0, 0, 10, 10], "time_ms": [0, 900, 100, 800], "rms_m_per_s": [1500, 2500, 1700, 2600]}
    whole = run(Nmo, gather, velocity=table)
    flipped = Gather(
        headers=gather.headers.take(np.arange(13)[::-1]).with_columns(offset=-OFFSET[::-1].astype(np.int32)),
        sampling=gather.sampling,
        traces=gather.traces[::-1].copy(),
    )
    np.testing.assert_array_equal(run(Nmo, flipped, velocity=table).traces[::-1], whole.traces)
    parts = [run(Nmo, gather.rows(a, b), velocity=table).traces for a, b in ((0, 1), (1, 6), (6, 13))]
    np.testing.assert_array_equal(np.concatenate(parts), whole.traces)


def test_velocity_between_cdps() -> None:
    table = Table({"cdp": [20, 20, 10], "time_ms": [0, 1000, 500], "rms_m_per_s": [2000, 3000, 1500]})
    times, cdp = np.array([0.0, 0.5, 2.0]), np.array([15, 5, 20, 15, 40])
    rows, row = slowness_squared(table, times, {"cdp": cdp})
    middle, last = [1750, 2000, 2250], [2000, 2500, 3000]
    np.testing.assert_allclose(rows[row] ** -0.5, [middle, [1500] * 3, last, middle, last])
    rows, row = slowness_squared(table, times, {"cdp": cdp}, "slowness_squared")
    np.testing.assert_allclose(rows[row[0]], (1500.0**-2 + np.array([2000.0, 2500, 3000]) ** -2) / 2)


def test_dead_and_empty_traces(run: Run) -> None:
    window = (np.zeros(3), np.array([51, 51, 0]))
    gather = make_gather(np.ones((3, 51)), offset=[0, 10, 20], dead=[0, 2, 0], live=window)
    made = run(Nmo, gather, velocity=FLAT)
    first, end = made.live_window
    assert end[0] == 51 and made.traces[0].all()
    assert (end[1:] <= first[1:]).all() and not made.traces[1:].any()


@given(n=st.integers(1, 40), count=st.integers(0, 5), inverse=st.booleans(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_shape(n: int, count: int, inverse: bool, data: st.DataObject) -> None:
    pytest.importorskip("seisproc_numba", reason="the numba backend is not installed")
    offset = data.draw(st.integers(-3000, 3000))
    first = np.array([data.draw(st.integers(0, n)) for _ in range(count)], int)
    end = np.array([data.draw(st.integers(f, n)) for f in first], int)
    start = data.draw(st.sampled_from([-200.0, 0.0, 37.0]))
    mode = data.draw(st.sampled_from(["default", "su"]))
    gather = make_gather(np.ones((count, n)), offset=offset, live=(first, end), start_ms=start)
    options = {"velocity": RISING, "inverse": inverse, "mode": mode, "scale_stretch": True, "max_stretch_percent": 2e2}
    made = [run_processor(Nmo, gather, options, kernels=KERNELS, backend=b) for b in ("reference", "numba")]
    assert np.isfinite(made[0].traces).all()
    np.testing.assert_allclose(made[0].traces, made[1].traces, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(made[0].live_window, made[1].live_window)


def test_operators_interpolate_within_one_per_cent() -> None:
    weights = operators("sinc8").astype(np.float64)
    np.testing.assert_allclose(weights[0], np.eye(8)[3], atol=1e-6)
    np.testing.assert_allclose(weights, weights[::-1, ::-1], atol=1e-6)
    tap, delay = np.arange(8) - 3, np.arange(513) / 512
    for fraction in np.linspace(0, 0.6, 13):
        w = np.pi * fraction
        error = np.abs(weights @ np.exp(1j * w * tap) - np.exp(1j * w * delay))
        assert error.max() < 0.01, f"{fraction} of Nyquist"
    assert BAND > 0.6
    linear = operators("linear")
    np.testing.assert_allclose(linear[256], [0, 0, 0, 0.5, 0.5, 0, 0, 0])


@pytest.mark.parametrize(
    ("velocity", "message"),
    [
        ({"time_ms": [0, 0], "rms_m_per_s": [1, 2]}, "must increase within a function: see time_ms = 0"),
        ({"time_ms": [0, 9], "rms_m_per_s": [1, 0]}, "must be positive: see time_ms = 9"),
        ({"cdp": [1, 2, 2], "time_ms": [5, 9, 7], "rms_m_per_s": [1, 1, 1]}, r"time_ms = 9 \(cdp 2\)"),
        ({"time_ms": [0]}, "lacks column rms_m_per_s"),
    ],
)
def test_bad_tables_are_refused(velocity: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        run_processor(Nmo, make_gather(np.ones((1, 9)), offset=1, cdp=1), {"velocity": velocity}, kernels=KERNELS)


def test_missing_words_and_wrong_domain_are_refused_before_work() -> None:
    bare = make_gather(np.ones((1, 9)))
    keyed = {"cdp": [1], "time_ms": [0], "rms_m_per_s": [1500]}
    with pytest.raises(HeaderError, match="'offset'"):
        Nmo(velocity=Table(FLAT)).check(bare.layout)
    with pytest.raises(HeaderError, match="'cdp'"):
        Nmo(velocity=Table(keyed)).check(make_gather(np.ones((1, 9)), offset=1).layout)
    headers = Headers({"offset": np.zeros(1, np.int32)}, 1)
    depth = Gather(headers=headers, sampling=Sampling(0, 5, 9, "depth"), traces=bare.traces)
    with pytest.raises(ParameterError, match="depth"):
        Nmo(velocity=Table(FLAT)).check(depth.layout)
    planned = Nmo(velocity=Table(FLAT)).plan(depth.layout)
    assert planned.live_window[1].tolist() == [9] and "live_end" in planned.headers
