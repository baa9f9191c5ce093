"""Interpolation, linear moveout, local slant stacks, 3-D velocity filter, adaptive subtraction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core.errors import Cancelled, ParameterError
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import build
from seisproc_core.specs import resolve
from seisproc_core.testing import make_gather, run_processor
from seisproc_denoise.multichannel.descriptions import KERNELS
from seisproc_denoise.multichannel.fkk import FkkFilter
from seisproc_denoise.multichannel.fx_interpolate import FxFill, FxInterpolate
from seisproc_denoise.multichannel.moveout import LinearMoveout, shifted
from seisproc_denoise.multichannel.slant import SlantMedian
from seisproc_denoise.multichannel.subtract import adaptive_subtract
from seisproc_denoise.multichannel.windows import windows

BACKENDS = ["reference", "numba"]


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


@given(st.integers(1, 200), st.integers(2, 60), st.floats(0, 0.99))
def test_windows_cover_an_axis_with_weights_that_sum_to_1(count, length, share):
    total = np.zeros(count)
    parts = windows(count, length, int(share * length))
    for part in parts:
        assert part.stop - part.start == min(length, count) == len(part.weight)
        total[part.points] += part.weight
    assert np.allclose(total, 1)


def test_spitz_interpolates_aliased_dips(plane):
    x = 12.5 * np.arange(79)
    full = plane(x, 1.2e-3, 1.0, hz=30.0) + 0.8 * plane(x, -0.3e-3, 0.8, hz=30.0) + plane(x, 0.0, 0.5, hz=30.0)
    gather = make_gather(full[::2], offset=25 * np.arange(40))
    # Over the width of a space window the steep dip takes 600 ms: much less than the time window.
    out = run_processor(FxInterpolate, gather, {"window_ms": 2000.0})
    assert out.traces.shape == full.shape
    assert np.array_equal(out.traces[::2], gather.traces)
    new = slice(9, 70, 2)
    between = 0.5 * (full[:-2:2] + full[2::2])
    assert rms((out.traces - full)[new]) < 0.1 * rms(full[new])
    assert rms(between - full[1::2]) > 0.5 * rms(full)  # what linear interpolation is off by


def test_interpolation_is_the_same_in_blocks(monkeypatch):
    gather = make_gather(np.random.default_rng(3).standard_normal((9, 300)), offset=25 * np.arange(9))
    whole = run_processor(FxInterpolate, gather).traces.copy()
    monkeypatch.setattr("seisproc_denoise.multichannel.fx_interpolate.ELEMENTS", 3000)
    assert np.allclose(run_processor(FxInterpolate, gather).traces, whole, atol=1e-5)


def test_new_rows_have_headers_of_their_own():
    words = {"offset": [100, 150, 200, 300, 400], "source_x": 1000, "coordinate_scalar": -10, "cdp": [1, 2, 3, 8, 9]}
    dead = [0, 0, 1, 0, 0]
    live = (np.array([0, 4, 0, 2, 0]), np.array([50, 50, 50, 40, 44]))
    gather = make_gather(np.ones((5, 50)), gather_starts=[0, 3, 3, 5], dead=dead, live=live, **words)
    out = run_processor(FxInterpolate, gather)
    assert out.gather_starts.tolist() == [0, 5, 5, 8]
    assert out.headers["offset"].tolist() == [100, 125, 150, 175, 200, 300, 350, 400]
    assert out.headers["source_x"].tolist() == [100] * 8
    assert out.headers["cdp"].tolist() == [1, 1, 2, 2, 3, 8, 8, 9]
    assert out.headers["dead"].tolist() == [0, 0, 0, 1, 1, 0, 0, 0]
    first, end = out.live_window
    assert (first[[1, 6]].tolist(), end[[1, 6]].tolist()) == ([4, 2], [50, 40])
    ids = out.headers.column("trace_id")
    assert ids[[0, 2, 4, 5, 7]].tolist() == [0, 1, 2, 3, 4] and len(set(ids)) == 8
    # Another pass makes other ids.
    assert len(set(run_processor(FxInterpolate, out).headers.column("trace_id"))) == 9 + 5


def test_fill_puts_traces_into_gaps_and_revives_dead_ones(plane):
    x = 25 * np.arange(40)
    full = plane(x, 0.4e-3, 1.0) + 0.8 * plane(x, -0.3e-3, 0.6) + plane(x, 0.0, 1.4)
    kept = np.delete(np.arange(40), [5, 6, 17, 30])
    traces, dead = full[kept].copy(), kept == 23
    traces[dead] = 0
    gather = make_gather(traces, offset=x[kept], dead=dead)
    out = run_processor(FxFill, gather)
    assert out.headers["offset"].tolist() == x.tolist()
    assert not out.headers["dead"].any()
    found = np.isin(np.arange(40), kept) & (np.arange(40) != 23)
    assert np.array_equal(out.traces[found], gather.traces[~dead])
    for row in np.flatnonzero(~found):
        assert rms(out.traces[row] - full[row]) < 0.03 * rms(full[row])
    still = run_processor(FxFill, gather, {"revive": False})
    assert still.headers["dead"].sum() == 1 and not still.traces[23].any()


@settings(max_examples=25)
@given(
    counts=st.lists(st.integers(0, 9), min_size=1, max_size=3), n_samples=st.integers(16, 60), seed=st.integers(0, 99)
)
def test_interpolations_keep_to_their_plan_for_any_shape(counts, n_samples, seed):
    rng = np.random.default_rng(seed)
    starts = np.concatenate(([0], np.cumsum(counts)))
    offset = np.concatenate([np.zeros(0, int), *(25 * np.sort(rng.choice(2 * n + 1, n, False)) for n in counts)])
    dead = rng.random(starts[-1]) < 0.2
    traces = rng.standard_normal((starts[-1], n_samples))
    traces[dead] = 0
    gather = make_gather(traces, gather_starts=starts.tolist(), offset=offset, dead=dead)
    parameters = {"window_ms": 64.0, "window_traces": 5, "filter_traces": 2}
    halved = run_processor(FxInterpolate, gather, parameters)
    assert np.diff(halved.gather_starts).tolist() == [max(2 * n - 1, 0) for n in counts]
    assert np.isfinite(halved.traces).all()
    assert np.array_equal(
        halved.traces[np.isin(halved.headers.column("trace_id"), np.arange(starts[-1]))], gather.traces
    )
    try:
        filled = run_processor(FxFill, gather, parameters)
    except ParameterError as error:
        assert "not regular" in str(error)  # what the random positions may well be
    else:
        assert np.isfinite(filled.traces).all() and filled.n_traces >= gather.n_traces


def test_linear_moveout_flattens_and_restores(plane):
    x = 50 * np.arange(30) - 500
    wave = plane(np.abs(x), 0.5e-3, 0.8)
    gather = make_gather(wave, offset=x, start_ms=-100.0, live=(np.full(30, 10), np.full(30, 480)))
    flat = run_processor(LinearMoveout, gather, {"velocity_m_per_s": 2000.0})
    assert np.abs(np.diff(flat.traces[:, 60:340], axis=0)).max() < 1e-4
    first, end = flat.live_window
    assert (first <= np.maximum(0, np.ceil(10 - np.abs(x) / 8))).all() and (end <= 480).all()
    back = run_processor(LinearMoveout, flat, {"velocity_m_per_s": 2000.0, "inverse": True})
    first, end = back.live_window
    for row in range(30):
        part = slice(first[row] + 10, end[row] - 10)
        assert np.allclose(back.traces[row, part], wave[row, part], atol=1e-3)
    signed = run_processor(LinearMoveout, gather, {"slope_ms_per_m": 0.5, "sign": "signed"})
    assert signed.live_window[0][0] == np.ceil(10 + 500 / 8)


@given(st.integers(1, 60), st.lists(st.floats(-80, 80), min_size=1, max_size=5), st.integers(0, 99))
def test_shift_adjoint(n_samples, samples, seed):
    x, y = np.random.default_rng(seed).standard_normal((2, len(samples), n_samples))
    by = np.array(samples)
    left, right = np.vdot(shifted(x, by), y), np.vdot(x, shifted(y, -by))
    assert abs(left - right) < 1e-6 * np.linalg.norm(x) * np.linalg.norm(y)


def test_shift_by_whole_samples_moves_them():
    x = np.random.default_rng(1).standard_normal((3, 40)).astype(np.float32)
    moved = shifted(x, np.array([3.0, 0.0, -5.0]))
    assert np.allclose(moved[0, :37], x[0, 3:], atol=1e-5) and np.allclose(moved[0, 37:], 0, atol=1e-5)
    assert np.allclose(moved[1], x[1], atol=1e-5)
    assert np.allclose(moved[2, 5:], x[2, :35], atol=1e-5)
    assert np.allclose(shifted(x, np.array([1e9, -1e9, 41.0])), 0, atol=1e-5)


def slant(gather, backend="reference", **parameters):
    return run_processor(SlantMedian, gather, parameters, kernels=KERNELS, backend=backend).traces


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("statistic", ["median", "mean"])
def test_slant_stack_keeps_events_and_leaves_noise(plane, backend, statistic):
    x = 25 * np.arange(40)
    event = plane(x, 0.4e-3, 0.5, count=300) + plane(x, -0.2e-3, 0.9, count=300)
    noise = 0.2 * np.random.default_rng(1).standard_normal(event.shape)
    noise[20, 150] = 50  # a spike
    parameters = {"min_ms_per_m": -0.6, "max_ms_per_m": 0.6, "statistic": statistic}
    gather = make_gather(event + noise, offset=x)
    kept = slant(gather, backend, **parameters)
    away = np.abs(np.arange(300) - 150) > 30
    assert rms((kept - event)[5:-5, away]) < 0.6 * rms(noise[5:-5, away])
    if statistic == "median":
        assert abs(kept[20, 150] - event[20, 150]) < 0.5
    removed = slant(gather, backend, kind="remove", **parameters)
    assert np.allclose(kept + removed, gather.traces, atol=1e-5)


def test_median_of_flattened_events_ignores_dead_and_muted_traces():
    traces = np.ones((9, 50))
    traces[4] = 99
    live = (np.where(np.arange(9) == 6, 20, 0), np.full(9, 50))
    gather = make_gather(traces, offset=10 * np.arange(9), dead=np.arange(9) == 4, live=live)
    for backend in BACKENDS:
        found = slant(gather, backend)
        assert not found[4].any() and not found[6, :20].any()
        assert np.array_equal(np.delete(found, [4, 6], axis=0), np.ones((7, 50)))


@settings(max_examples=20)
@given(
    n_traces=st.integers(1, 9), n_samples=st.integers(1, 40), half=st.integers(1, 4), seed=st.integers(0, 99),
    least=st.sampled_from([0.0, 0.3]), statistic=st.sampled_from(["median", "mean"]),
)  # fmt: skip
def test_compiled_slant_stack_is_the_reference(n_traces, n_samples, half, seed, least, statistic):
    rng = np.random.default_rng(seed)
    first = rng.integers(0, n_samples + 1, n_traces)
    live = (first, np.minimum(first + rng.integers(0, n_samples + 1, n_traces), n_samples))
    index = np.sort(rng.choice(2 * n_traces, n_traces, False))
    gather = make_gather(rng.standard_normal((n_traces, n_samples)), offset=10 * index, live=live)
    parameters = {
        "min_ms_per_m": -2.0, "max_ms_per_m": 1.5, "slopes": 6, "half_traces": half,
        "least_semblance": least, "statistic": statistic,
    }  # fmt: skip
    try:
        one, other = (slant(gather, backend, **parameters) for backend in BACKENDS)
    except ParameterError as error:
        assert "not regular" in str(error)
    else:
        assert np.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_slant_stack_stops_when_told(backend):
    kernel = next(resolve(spec.impl) for spec in KERNELS if (spec.name, spec.backend) == ("slant_stack", backend))
    context = Context({"slant_stack": kernel}, flag=np.ones(1, np.uint8))
    with pytest.raises(Cancelled):
        build(SlantMedian, "", {"spacing_m": 10.0}).apply(make_gather(np.ones((3, 50))), context)


@pytest.fixture
def patch(ricker):
    """A cross-spread and the plane wave of a slope (s/m) and azimuth (degrees) on it."""
    x, y = (axis.ravel() for axis in np.meshgrid(20 * np.arange(48), 25 * np.arange(40)))

    def made(slope: float, azimuth: float):
        a = np.radians(azimuth)
        along = (x - 480) * np.cos(a) + (y - 500) * np.sin(a)
        wave = ricker(np.arange(300) * 0.004 - 0.6 - slope * along[:, None], 12.0)
        return wave, {"receiver_x": x, "receiver_y": y}

    inside = (x > 200) & (x < 740) & (y > 220) & (y < 760)
    return made, inside


@pytest.mark.parametrize(
    ("parameters", "slope", "azimuth", "gain"),
    [
        ({"kind": "pass", "min_m_per_s": 2000.0}, 0.2e-3, 30.0, 1),
        ({"kind": "pass", "min_m_per_s": 2000.0}, 1.0e-3, 120.0, 0),
        ({"min_m_per_s": 500.0, "max_m_per_s": 1600.0}, 1.0e-3, 250.0, 0),
        ({"min_m_per_s": 500.0, "max_m_per_s": 1600.0}, 0.2e-3, 250.0, 1),
        ({"min_m_per_s": 500.0, "max_m_per_s": 1600.0, "azimuth_deg": 30.0}, 1.0e-3, 30.0, 0),
        ({"min_m_per_s": 500.0, "max_m_per_s": 1600.0, "azimuth_deg": 30.0}, 1.0e-3, 210.0, 1),
        ({"min_m_per_s": 500.0, "max_m_per_s": 1600.0, "azimuth_deg": 30.0}, 1.0e-3, 120.0, 1),
    ],
)
def test_3d_filter_by_velocity_and_azimuth(patch, parameters, slope, azimuth, gain):
    made, inside = patch
    wave, words = made(slope, azimuth)
    found = run_processor(FkkFilter, make_gather(wave, **words), parameters).traces
    assert rms((found - gain * wave)[inside]) < 0.1 * rms(wave[inside])


def test_3d_filter_is_the_same_in_blocks(patch, monkeypatch):
    made, _ = patch
    wave, words = made(0.6e-3, 40.0)
    gather, parameters = make_gather(wave, **words), {"min_m_per_s": 500.0, "max_m_per_s": 1600.0}
    whole = run_processor(FkkFilter, gather, parameters).traces.copy()
    monkeypatch.setattr("seisproc_denoise.multichannel.fkk.BLOCK_ELEMENTS", 50_000)
    assert np.allclose(run_processor(FkkFilter, gather, parameters).traces, whole, atol=1e-6)


def test_3d_filter_lets_flat_events_pass_through_gaps_and_in_any_order(patch):
    made, _ = patch
    wave, words = made(0.0, 0.0)
    order = np.random.default_rng(1).permutation(len(wave))[:1800]
    words = {name: values[order] for name, values in words.items()}
    dead = np.arange(1800) % 50 == 0
    traces = np.where(dead[:, None], 0, wave[order])
    for parameters in ({"kind": "pass", "min_m_per_s": 2000.0}, {"min_m_per_s": 500.0, "max_m_per_s": 1600.0}):
        found = run_processor(FkkFilter, make_gather(traces, dead=dead, **words), parameters).traces
        assert np.abs(found - traces).max() < 1e-2
    with pytest.raises(ParameterError, match="two traces"):
        twice = {name: np.append(values[:-1], values[0]) for name, values in words.items()}
        run_processor(FkkFilter, make_gather(traces, **twice), {"min_m_per_s": 500.0})


def test_adaptive_subtraction_finds_the_filter_and_leaves_primaries():
    rng = np.random.default_rng(0)
    primaries = rng.standard_normal((30, 600)) * (rng.random((30, 600)) > 0.9)
    model = rng.standard_normal((30, 600))
    multiples = np.stack([np.convolve(trace, [0.2, -0.8, 0.5, 0.1, 0.0], "same") for trace in model])
    data = (primaries + multiples).astype(np.float32)
    found = adaptive_subtract(data, model.astype(np.float32), filter_samples=11)
    assert rms(found - primaries) < 0.1 * rms(multiples)
    assert rms(found - primaries) < 0.1 * rms(primaries)
    alone = adaptive_subtract(multiples.astype(np.float32), model.astype(np.float32), filter_samples=5, damping=0.0)
    assert rms(alone) < 0.01 * rms(multiples)
    silent = adaptive_subtract(data, np.zeros_like(data))
    assert np.array_equal(silent, data)


def test_adaptive_subtraction_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="same 2-D shape"):
        adaptive_subtract(np.zeros((2, 9)), np.zeros((3, 9)))
    with pytest.raises(ValueError, match="odd"):
        adaptive_subtract(np.zeros((2, 9)), np.zeros((2, 9)), filter_samples=4)
