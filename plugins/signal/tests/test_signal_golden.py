"""Against Seismic Unix 44R24 (and Madagascar): full tolerance in the named compatible modes, 1e-3 with the defaults."""

from __future__ import annotations

import numpy as np
import pytest

from seisproc_core.testing import run_processor
from seisproc_signal.agc import Agc
from seisproc_signal.bandpass import Bandpass, Trapezoid
from seisproc_signal.gain import Gain, TraceBalance
from seisproc_signal.mute import Mute, SurgicalMute
from seisproc_signal.plugin import seisproc_kernels

KERNELS = seisproc_kernels()


def worst(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference over the largest expected amplitude."""
    return float(np.abs(found.astype(np.float64) - expected).max() / np.abs(expected).max())


GAINS = {
    "bias_scale": {"bias": 0.25, "scale": 3.0},
    "clip_trap": {"trap": 2.0, "clip": 0.5},
    "epow0p8": {"exponential_per_s": 0.8},
    "epow_etpow": {"exponential_per_s": 0.5, "exponential_power": 1.5},
    "gpow0p5": {"power": 0.5},
    "jon": {"t_power": 2.0, "power": 0.5, "clip_quantile": 0.95},
    "qclip95": {"clip_quantile": 0.95},
    "tpow1p5_delrt": {"t_power": 1.5},
    "tpow2": {"t_power": 2.0},
}


@pytest.mark.parametrize("case", GAINS)
def test_gain(golden, case):
    gather, expected = golden(f"gain/{case}")
    assert worst(run_processor(Gain, gather, GAINS[case]).traces, expected) < 2e-6


BALANCES = {
    "mbal": {"kind": "mean"},
    "pbal": {"kind": "rms"},
    "qbal": {"kind": "max"},
    "qbal99": {"kind": "quantile", "quantile": 0.99},
}


@pytest.mark.parametrize("case", BALANCES)
def test_trace_balance(golden, case):
    gather, expected = golden(f"gain/{case}")
    assert worst(run_processor(TraceBalance, gather, BALANCES[case]).traces, expected) < 2e-6


# Window in ms, and the half window whose samples at the end, like sample 0, Seismic Unix computes wrongly.
AGCS = {"agc_default": (500.0, 62), "agc_w0200_spikes": (100.0, 12), "agc_w0250_edge": (250.0, 62)}


@pytest.mark.parametrize("backend", ["reference", "numba"])
@pytest.mark.parametrize("case", AGCS)
def test_agc(golden, case, backend):
    gather, expected = golden(f"gain/{case}")
    window_ms, half = AGCS[case]
    inside = slice(1, -half)
    su = run_processor(Agc, gather, {"window_ms": window_ms, "mode": "su"}, kernels=KERNELS, backend=backend)
    assert worst(su.traces[:, inside], expected[:, inside]) < 2e-6


@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_gaussian_agc(golden, backend):
    gather, expected = golden("gain/gagc_w0400")
    parameters = {"window_ms": 400.0, "kind": "gaussian", "mode": "su"}
    assert worst(run_processor(Agc, gather, parameters, kernels=KERNELS, backend=backend).traces, expected) < 2e-6


def test_centred_agc_is_that_of_seismic_unix_but_for_one_sample_of_the_window(golden):
    gather, expected = golden("gain/agc_default")
    centred = run_processor(Agc, gather, kernels=KERNELS).traces[:, 63:-63].astype(np.float64)
    ratio = np.abs(expected[:, 63:-63] / centred)
    # The window of Seismic Unix lacks sample i + 62: rms^2 = (124 rms_su^2 + x[i + 62]^2) / 125.
    ahead = np.sqrt((124 + 1.0) / 124)
    power = np.square(gather.traces.astype(np.float64))
    mean = (np.cumsum(power, axis=1)[:, 125:] - np.cumsum(power, axis=1)[:, :-125])[:, :624] / 125
    expected_ratio = np.sqrt(mean / ((mean * 125 - power[:, 125 : 125 + 624]) / 124))
    assert ratio.max() > ahead and np.allclose(ratio, expected_ratio, rtol=1e-4)


def test_chain_of_gain_and_agc(golden):
    gather, expected = golden("gain/tpow_agc_order")
    gained = run_processor(Gain, gather, {"t_power": 1.5, "exponential_per_s": 0.3, "power": 0.8})
    balanced = run_processor(Agc, gained, {"window_ms": 600.0, "mode": "su"}, kernels=KERNELS)
    found = run_processor(Gain, balanced, {"scale": 2.0}).traces
    assert worst(found[:, 1:675], expected[:, 1:675]) < 2e-6


FILTERS = {
    "bp_5_10_50_70": ([5.0, 10.0, 50.0, 70.0], [0.0, 1.0, 1.0, 0.0], 840),
    "bp_default": ([12.5, 18.75, 56.25, 62.5], [0.0, 1.0, 1.0, 0.0], 840),
    "bp_spikes": ([8.0, 16.0, 40.0, 60.0], [0.0, 1.0, 1.0, 0.0], 280),
    "highpass": ([10.0, 20.0, 40.0, 50.0], [0.0, 0.0, 1.0, 1.0], 840),
    "lowpass": ([40.0, 60.0], [1.0, 0.0], 840),
    "lp_edge": ([0.0, 0.0, 70.0, 90.0], [1.0, 1.0, 1.0, 0.0], 420),
    "notch": ([10.0, 12.5, 35.0, 50.0, 60.0], [1.0, 0.5, 0.0, 0.5, 1.0], 840),
}


@pytest.mark.parametrize("case", FILTERS)
def test_trapezoid(golden, case):
    gather, expected = golden(f"filter/{case}")
    corners, amplitudes, length = FILTERS[case]
    parameters = {"corners_hz": corners, "amplitudes": amplitudes}
    su = run_processor(Trapezoid, gather, parameters | {"su_length": length}).traces
    assert worst(su, expected) < 2e-6
    # With the defaults corners are exact and nothing wraps round; Seismic Unix comes to the same with enough padding.
    found = run_processor(Trapezoid, gather, parameters).traces
    long = run_processor(Trapezoid, gather, parameters | {"su_length": 1 << 16}).traces
    assert worst(found, long) < 2e-4
    assert worst(found[:, 20:-20], expected[:, 20:-20]) < (4e-2 if case == "bp_spikes" else 1e-2)


def test_butterworth(golden):
    gather, expected = golden("madagascar/sfbandpass_5_50")
    found = run_processor(Bandpass, gather, {"low_hz": 5.0, "high_hz": 50.0, "order": 3}).traces
    assert worst(found[:, 150:-150], expected[:, 150:-150]) < 5e-3


def table(offsets, times):
    return {"table": {"offset_m": offsets, "time_ms": times}}


MUTES = {
    "top_hard": table([500, 1500, 2400], [200, 900, 1100]) | {"extrapolation": "su"},
    "top_linear": table([100, 2400], [100, 1200]) | {"taper_ms": 80},
    "bottom_linear": table([100, 2400], [2000, 2800]) | {"taper_ms": 100, "where": "bottom"},
    "top_edge_delrt": table([-1100, 0, 1150], [600, 150, 700]) | {"taper_ms": 24, "signed": True},
}


@pytest.mark.parametrize("case", MUTES)
def test_mute(golden, case):
    gather, expected = golden(f"mute/{case}")
    out = run_processor(Mute, gather, MUTES[case])
    first, end = out.live_window
    for trace, a, b in zip(expected, first, end, strict=True):
        assert not trace[: max(a - 1, 0)].any() and not trace[b + 1 :].any()
    # Mute times that fall half-way between samples may be rounded either way (270 ms at 4 ms, in top_hard).
    sure = np.max(np.abs(out.traces - expected), axis=1) <= 1e-6 * np.abs(expected).max()
    knots = MUTES[case]["table"]
    times = np.interp(gather.headers["offset"], knots["offset_m"], knots["time_ms"])
    position = times / gather.sampling.interval_s / 1000
    halves = np.abs(position % 1 - 0.5) < 1e-6
    assert np.all(sure | halves) and np.count_nonzero(halves) <= (15 if case == "top_hard" else 0)


SURGICAL = {
    "linvel": {"velocity_m_per_s": 1200.0, "time_ms": 100.0, "taper_ms": 40.0, "shape": "linear",
               "width": {"offset_m": [0, 2400], "width_ms": [200, 300]}},
    "hyperbolic": {"velocity_m_per_s": 2000.0, "time_ms": 800.0, "taper_ms": 32.0, "shape": "hyperbolic",
                   "width": {"offset_m": [0, 2400], "width_ms": [120, 120]}},
}  # fmt: skip


@pytest.mark.parametrize("case", SURGICAL)
def test_surgical_mute(golden, case):
    gather, expected = golden(f"mute/{case}")
    parameters = SURGICAL[case]
    found = run_processor(SurgicalMute, gather, parameters).traces
    offset = gather.headers["offset"]
    length = np.floor(np.interp(offset, parameters["width"]["offset_m"], parameters["width"]["width_ms"]) / 4 + 0.5)
    taper = round(parameters["taper_ms"] / 4)
    checked = 0
    for row in np.flatnonzero(length % 2 == 0):  # of an odd length Seismic Unix mutes one sample less
        (zeros,) = np.nonzero(found[row] == 0)
        start, stop = zeros[0], zeros[-1] + 1
        assert stop - start == length[row]
        differ = np.abs(found[row] - expected[row]) > 1e-6 * np.abs(expected).max()
        if abs(int(np.flatnonzero(expected[row] == 0)[0]) - start) == 1:
            continue  # its centre lies half-way between samples
        assert not differ[: start - taper].any() and not differ[start:].any()
        # Above the zone the first weight of Seismic Unix falls on a zeroed sample.
        weights = np.sin(np.pi / 2 * np.arange(2, taper + 1) / taper) ** 2
        above = gather.traces[row, start - taper + 1 : start] * weights[::-1]
        assert np.allclose(above, expected[row, start - taper + 1 : start], atol=1e-5)
        checked += 1
    assert checked >= 24
