"""Resampling and shifts: against Seismic Unix and exact signals, absolute times, adjoints."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from seisproc_core.data.sampling import Sampling
from seisproc_core.errors import HeaderError, ParameterError
from seisproc_core.processing.context import Context
from seisproc_core.testing import make_gather, run_processor
from seisproc_signal.bandpass import Trapezoid
from seisproc_signal.edit import Select
from seisproc_signal.plugin import seisproc_kernels
from seisproc_signal.resample import Resample, resampling
from seisproc_signal.shift import Shift

KERNELS = seisproc_kernels()
BACKENDS = ["reference", "numba"]


def worst(found, expected):
    return float(np.abs(found.astype(np.float64) - expected).max() / np.abs(expected).max())


GOLDEN = {
    "dt3ms": {"interval_ms": 3.0, "count": 1000},
    "edge_delrt": {"interval_ms": 1.0, "start_ms": 50.0, "count": 700},
    "spikes_up": {"interval_ms": 1.0, "count": 1024},
    "tmin": {"interval_ms": 2.5, "start_ms": 201.3, "count": 400},
    "up_rf2": {"interval_ms": 2.0, "count": 1500},
}


@pytest.mark.parametrize("case", GOLDEN)
def test_seismic_unix(golden, case):
    gather, expected = golden(f"resample/{case}")
    found = run_processor(Resample, gather, GOLDEN[case] | {"mode": "su"})
    # Outside the input's live window Seismic Unix lets its operator ring on.
    first, end = found.live_window
    sample = np.arange(found.n_samples)
    live = (sample >= first[:, None]) & (sample < end[:, None])
    assert worst(found.traces, np.where(live, expected, 0)) < 4e-3
    assert found.sampling.interval_s == pytest.approx(GOLDEN[case]["interval_ms"] / 1000)


def test_seismic_unix_with_its_own_anti_alias_filter(golden):
    gather, expected = golden("resample/down_rf0p5_aa")
    filtered = run_processor(
        Trapezoid, gather, {"corners_hz": [40.0, 50.0], "amplitudes": [1.0, 0.0], "su_length": 840}
    )
    found = run_processor(Resample, filtered, {"interval_ms": 8.0, "count": 375, "mode": "su"})
    assert worst(found.traces, expected) < 1e-4
    # The anti-aliased operator agrees where nothing can alias, but for its longer reach at the ends.
    filtered_twice = run_processor(Resample, filtered, {"interval_ms": 8.0, "count": 375}).traces
    assert worst(filtered_twice[:, 36:-36], expected[:, 36:-36]) < 1e-3


def test_band_limited_data_agree_with_seismic_unix(golden):
    gather, expected = golden("resample/up_rf2")
    found = run_processor(Resample, gather, {"interval_ms": 2.0, "count": 1500}).traces[:, 20:-20]
    assert np.linalg.norm(found - expected[:, 20:-20]) < 0.05 * np.linalg.norm(expected)


@pytest.mark.parametrize(
    ("case", "cut"), [("shift", {"start_ms": 200.0, "count": 400}), ("window", {"start_ms": 400.0, "count": 301})]
)
def test_cutting_keeps_samples_as_they_are(golden, case, cut):
    gather, expected = golden(f"misc/{case}")
    if case == "window":
        gather = run_processor(Select, gather, {"where": {"offset": [500.0, 1500.0]}})
    assert np.array_equal(run_processor(Resample, gather, cut).traces, expected)


def ricker(times, peak_hz, at):
    u = (np.pi * peak_hz * (times - at)) ** 2
    return (1 - 2 * u) * np.exp(-u)


@pytest.mark.parametrize("start_ms", [-100.0, 0.0, 100.0])
@pytest.mark.parametrize("interval_ms", [1.0, 1.7, 4.0, 5.0, 8.0])
def test_events_keep_their_absolute_times(start_ms, interval_ms):
    at, peak = 0.5037, 15.0
    old = Sampling(start_ms / 1000, 0.004, 400)
    out = run_processor(
        Resample,
        make_gather(ricker(old.times(), peak, at)[None], interval_ms=4, start_ms=start_ms),
        {"interval_ms": interval_ms},
    )
    assert out.sampling.start_s == old.start_s and out.sampling.end_s <= old.end_s + 1e-9
    assert np.abs(out.traces[0] - ricker(out.sampling.times(), peak, at)).max() < 2e-4


def test_nothing_aliases_and_the_pass_band_stays():
    n, new_nyquist = 4000, 62.5
    times = np.arange(n) * 0.002
    inside = slice(60, -60)
    for frequency, kept in [(5.0, True), (30.0, True), (0.85 * new_nyquist, True), (63.0, False), (100.0, False),
                            (200.0, False)]:  # fmt: skip
        out = run_processor(Resample, make_gather(np.sin(2 * np.pi * frequency * times)[None], interval_ms=2),
                            {"interval_ms": 8.0})  # fmt: skip
        expected = np.sin(2 * np.pi * frequency * out.sampling.times()) if kept else np.zeros(out.n_samples)
        assert np.abs(out.traces[0] - expected)[inside].max() < 1e-3, frequency


def test_polyphase_filtering_by_scipy_gives_the_same():
    rng = np.random.default_rng(2)
    wavelet = signal.firwin(101, 0.2)
    traces = signal.lfilter(wavelet, 1, rng.standard_normal((5, 1000)), axis=1)
    for interval, up, down in [(4.0, 1, 2), (3.0, 2, 3), (1.0, 2, 1)]:
        out = run_processor(Resample, make_gather(traces, interval_ms=2), {"interval_ms": interval}).traces
        expected = signal.resample_poly(traces, up, down, axis=1, window=("kaiser", 10.0))[:, : out.shape[1]]
        assert worst(out[:, 80:-80], expected[:, 80 : out.shape[1] - 80]) < 2e-3


def test_down_and_up_again_is_the_identity_on_band_limited_data():
    times = np.arange(1000) * 0.002
    gather = make_gather(ricker(times, 12.0, 1.0)[None], interval_ms=2)
    down = run_processor(Resample, gather, {"interval_ms": 6.0})
    up = run_processor(Resample, down, {"interval_ms": 2.0, "count": 1000})
    assert np.abs(up.traces - gather.traces).max() < 5e-4


@pytest.mark.parametrize("mode", ["anti_alias", "su"])
@pytest.mark.parametrize("interval", [0.0011, 0.002, 0.0047, 0.02])
def test_the_adjoint_passes_the_dot_product_test(mode, interval):
    rng = np.random.default_rng(3)
    operator = resampling(Sampling(-0.013, 0.002, 301), Sampling(0.05, interval, 97), mode)
    x, y = rng.standard_normal((7, 301)).astype(np.float32), rng.standard_normal((7, 97)).astype(np.float32)
    forward, back = np.empty_like(y), np.empty_like(x)
    operator.apply(x, (np.zeros(7, np.int64), np.full(7, 301)), forward, Context())
    operator.adjoint.apply(y, (np.zeros(7, np.int64), np.full(7, 97)), back, Context())
    left, right = np.vdot(forward.astype(np.float64), y), np.vdot(x, back.astype(np.float64))
    assert abs(left - right) <= 1e-6 * np.linalg.norm(forward) * np.linalg.norm(y) and np.any(forward)


def test_live_windows_move_with_the_axis():
    live = (np.array([10, 0, 5]), np.array([21, 100, 5]))
    out = run_processor(Resample, make_gather(np.ones((3, 100)), interval_ms=2, live=live), {"interval_ms": 3.0})
    first, end = out.live_window
    assert first.tolist()[:2] == [7, 0] and end.tolist()[:2] == [14, 67] and first[2] == end[2]
    assert not out.traces[0, :7].any() and not out.traces[0, 14:].any() and not out.traces[2].any()
    earlier = run_processor(
        Resample, make_gather(np.ones((3, 100)), interval_ms=2, live=live), {"start_ms": -10.0, "count": 30}
    )
    assert [w.tolist() for w in earlier.live_window] == [[15, 5, 10], [26, 30, 10]]


def test_rows_do_not_depend_on_their_neighbours():
    traces = np.random.default_rng(1).standard_normal((150, 333))
    parameters = {"interval_ms": 3.1}
    whole = run_processor(Resample, make_gather(traces), parameters).traces
    single = [run_processor(Resample, make_gather(traces[i : i + 1]), parameters).traces[0] for i in (0, 63, 64, 149)]
    assert np.array_equal(whole[[0, 63, 64, 149]], single)


def test_axes_that_make_no_sense_are_refused():
    gather = make_gather(np.ones((1, 100)), start_ms=100)
    for parameters, problem in [
        ({"start_ms": 600.0}, "leaves nothing"),
        ({"start_ms": 0.0, "count": 10}, "leaves nothing"),
        ({"interval_ms": 1e-7}, "longer than"),
        ({"interval_ms": -1.0}, "above 0"),
    ]:
        with pytest.raises(ParameterError, match=problem):
            run_processor(Resample, gather, parameters)
    deep = attrs.evolve(gather, sampling=attrs.evolve(gather.sampling, domain="depth"))
    with pytest.raises(ParameterError, match="count depth"):
        run_processor(Resample, deep, {"interval_ms": 2.0})


@pytest.mark.parametrize("backend", BACKENDS)
@given(samples=st.floats(-40, 40))
def test_a_shift_moves_events_by_that_time(samples, backend):
    times = np.arange(200) * 0.004
    gather = make_gather(ricker(times, 12.0, 0.4)[None])
    out = run_processor(Shift, gather, {"shift_ms": 4 * samples}, kernels=KERNELS, backend=backend)
    expected = ricker(times, 12.0, 0.4 + 0.004 * samples)
    first, end = out.live_window
    assert np.abs(out.traces[0] - expected)[first[0] : end[0]].max() < 2e-3
    assert end[0] - first[0] == pytest.approx(200 - abs(samples), abs=1)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("samples", [-300, -7, 0, 12, 300])
def test_whole_samples_are_moved_exactly(samples, backend):
    traces = np.random.default_rng(0).standard_normal((3, 50)).astype(np.float32)
    out = run_processor(Shift, make_gather(traces), {"shift_ms": 4.0 * samples}, kernels=KERNELS, backend=backend)
    expected = np.zeros_like(traces)
    if abs(samples) < 50:
        expected[:, max(samples, 0) : 50 + min(samples, 0)] = traces[:, max(-samples, 0) : 50 - max(samples, 0)]
    assert np.allclose(out.traces, expected, atol=1e-6)


def test_shifts_come_from_header_words_in_their_units():
    times = np.arange(200) * 0.004
    words = {"source_static": [12, -8, 0], "receiver_static": [4, 0, -30], "residual_ms": [0, 0, 10]}
    gather = make_gather(np.tile(ricker(times, 12.0, 0.4), (3, 1)), **words)
    parameters = {"words": ["sstat", "receiver_static", "residual_ms"], "factor": -1.0, "shift_ms": 2.0}
    out = run_processor(Shift, gather, parameters, kernels=KERNELS).traces
    for trace, moved in zip(out, [-14, 10, 22], strict=True):
        assert np.abs(trace - ricker(times, 12.0, 0.4 + moved / 1000)).max() < 2e-3


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_opposite_shift_is_the_adjoint(backend):
    x, y = np.random.default_rng(8).standard_normal((2, 6, 120)).astype(np.float32)
    for samples in (3.3, -17.8, 5.0):
        ahead = run_processor(Shift, make_gather(x), {"shift_ms": 4 * samples}, kernels=KERNELS, backend=backend)
        # Both windows count: what is muted at the far end of one is not read by the other.
        first, end = ahead.live_window
        sample = np.arange(120)
        inside = (sample >= first[:, None]) & (sample < end[:, None])
        limited = make_gather(np.where(inside, y, 0), live=(first, end))
        back = run_processor(Shift, limited, {"shift_ms": -4 * samples}, kernels=KERNELS, backend=backend)
        (a, b) = back.live_window
        narrow = np.where((sample >= a[:, None]) & (sample < b[:, None]), x, 0)
        once = run_processor(Shift, make_gather(narrow), {"shift_ms": 4 * samples}, kernels=KERNELS, backend=backend)
        left = np.vdot(np.where(inside, once.traces, 0).astype(np.float64), y)
        right = np.vdot(narrow.astype(np.float64), back.traces)
        assert abs(left - right) <= 1e-6 * np.linalg.norm(x) * np.linalg.norm(y) and abs(left) > 1


def test_shift_refuses_words_that_are_no_times():
    gather = make_gather(np.ones((2, 50)), offset=3)
    with pytest.raises(ParameterError, match="'offset' is not one"):
        run_processor(Shift, gather, {"words": ["offset"]}, kernels=KERNELS)
    with pytest.raises(HeaderError, match="source_static"):
        run_processor(Shift, gather, {"words": ["source_static"]}, kernels=KERNELS)
