"""Wavelets and phase: minimum phase, rotation, conversion, shaping, matching, designature."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import fft, signal

from seisproc_core.data.sampling import Sampling
from seisproc_core.data.tables import Table
from seisproc_core.errors import ParameterError
from seisproc_core.processing.context import Context
from seisproc_core.testing import make_gather, run_processor
from seisproc_signal import wavelets
from seisproc_signal.bandpass import Bandpass
from seisproc_signal.filtering import filter_traces, fir_transfer
from seisproc_signal.matching import Designature, Match, Shape
from seisproc_signal.phase import PhaseConvert, PhaseRotate, rotation
from seisproc_signal.plugin import seisproc_kernels

KERNELS = seisproc_kernels()
BACKENDS = ["reference", "numba"]
MINIMUM = np.convolve(np.convolve([1, -1.2, 0.6], [1, 0.5]), [1, -0.3])  # all zeros outside the unit circle in z
TIMES = np.arange(-80, 81) * 4.0


def table(samples, first_ms=0.0, interval_ms=4.0):
    return {"time_ms": (first_ms + interval_ms * np.arange(len(samples))).tolist(), "amplitude": list(samples)}


def ricker(times_ms, peak_hz=20.0):
    u = (np.pi * peak_hz * times_ms / 1000) ** 2
    return (1 - 2 * u) * np.exp(-u)


def reflectivity(n=1500, density=0.1, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((4, n)) * (rng.random((4, n)) < density)


def close(found, expected, inside=slice(100, -100)):
    """Relative rms difference."""
    difference = np.linalg.norm((found - expected)[:, inside])
    return float(difference / np.linalg.norm(expected[:, inside]))


def test_the_phase_alone_is_that_of_the_whole_spectrum(rng):
    power = np.abs(fft.rfft(rng.standard_normal((3, 60)), 4096)) ** 2
    power[1] = 0
    whole = wavelets.minimum_phase(np.sqrt(power))
    turned = np.exp(1j * wavelets.phase_of_minimum(power)) * np.abs(whole)
    assert np.abs(turned - whole).max() < 1e-5 * np.abs(whole).max()


def test_kolmogorov_recovers_a_minimum_phase_wavelet_from_its_amplitude():
    spectrum = fft.rfft(MINIMUM, 4096)
    found = wavelets.minimum_phase(np.abs(spectrum))
    assert np.allclose(found, spectrum, atol=1e-9)
    # Its mirror image has the same amplitude, hence the same equivalent.
    mirrored = wavelets.minimum_phase(np.abs(fft.rfft(MINIMUM[::-1], 4096)))
    assert np.allclose(mirrored, spectrum, atol=1e-9)


def test_kolmogorov_agrees_with_scipy_and_concentrates_energy_early():
    symmetric = signal.firwin(65, 0.3)
    found = fft.irfft(wavelets.minimum_phase(np.abs(fft.rfft(symmetric, 1 << 14))))[:65]
    expected = signal.minimum_phase(symmetric, method="homomorphic", n_fft=1 << 14, half=False)
    early = np.cumsum(found**2) - np.cumsum(symmetric**2)
    assert np.all(early > -1e-6) and early.max() > 0.5 * np.sum(symmetric**2)
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()


@given(angle=st.floats(-360, 360))
def test_rotation_turns_the_phase_of_a_wave(angle):
    n, cycles = 1024, 64
    times = np.arange(n)
    wave = np.cos(2 * np.pi * cycles / n * times)[None] * signal.windows.tukey(n, 0.5)
    out = run_processor(PhaseRotate, make_gather(wave), {"angle_deg": angle}).traces
    expected = np.cos(2 * np.pi * cycles / n * times + np.deg2rad(angle))[None] * signal.windows.tukey(n, 0.5)
    assert np.abs(out - expected)[:, 100:-100].max() < 2e-3


def test_rotation_is_the_hilbert_transform_of_scipy():
    traces = np.zeros((3, 2001))
    traces[:, 900:1100] = np.random.default_rng(1).standard_normal((3, 200))
    analytic = signal.hilbert(traces, 1 << 16, axis=1)[:, :2001]
    for angle in (30.0, 90.0, -45.0):
        out = run_processor(PhaseRotate, make_gather(traces), {"angle_deg": angle}).traces
        expected = np.real(analytic * np.exp(1j * np.deg2rad(angle)))
        assert np.abs(out - expected).max() < 1e-4 * np.abs(expected).max()
    flipped = run_processor(PhaseRotate, make_gather(traces), {"angle_deg": 180.0}).traces
    assert np.allclose(flipped, -traces, atol=1e-6)


@pytest.mark.parametrize("kernel", ["rotation", "operator", "bandpass"])
def test_filters_pass_the_dot_product_test(kernel):
    rng = np.random.default_rng(2)
    n = 301
    transfer = {
        "rotation": rotation(37.0, n),
        "operator": fir_transfer(rng.standard_normal(60), -21, n),
        "bandpass": Bandpass(low_hz=10.0, high_hz=60.0).transfer(n, 0.004),
    }[kernel]
    x, y = rng.standard_normal((2, 9, n)).astype(np.float32)
    forward, back = np.empty_like(x), np.empty_like(x)
    filter_traces(x, transfer, forward, Context())
    filter_traces(y, transfer.adjoint, back, Context())
    left, right = np.vdot(forward.astype(np.float64), y), np.vdot(x.astype(np.float64), back)
    assert abs(left - right) <= 1e-6 * np.linalg.norm(forward) * np.linalg.norm(y)


@pytest.mark.parametrize("first_lag", [-30, -3, 0, 5, 400])
def test_a_fixed_operator_is_numpys_convolution(first_lag):
    rng = np.random.default_rng(3)
    x, kernel = rng.standard_normal(200), rng.standard_normal(31)
    out = np.empty((1, 200), np.float32)
    filter_traces(x[None].astype(np.float32), fir_transfer(kernel, first_lag, 200), out, Context())
    full = np.concatenate((np.zeros(500), np.convolve(x, kernel), np.zeros(500)))
    assert np.allclose(out[0], full[500 - first_lag : 700 - first_lag], atol=1e-5)


def convert(traces, parameters):
    return run_processor(PhaseConvert, make_gather(traces), parameters, kernels=KERNELS).traces


def test_a_known_wavelet_is_made_zero_phase_with_its_peak_at_time_zero():
    r = reflectivity()
    minimum = signal.lfilter(MINIMUM, 1, r, axis=1)
    zero = fft.irfft(np.abs(fft.rfft(MINIMUM, 4096)))
    expected = np.stack([np.convolve(x, np.roll(zero, 200)[:401], "same") for x in r])
    out = convert(minimum, {"to": "zero", "wavelet": table(MINIMUM)})
    assert close(minimum, expected) > 0.3 and close(out, expected) < 1e-3
    two_sided = table(np.roll(zero, 80)[:161], -320.0)
    again = convert(out, {"to": "minimum", "wavelet": two_sided})
    assert close(again, minimum) < 5e-3


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_unknown_minimum_phase_wavelet_is_made_zero_phase(backend):
    r = reflectivity(6000, seed=4)
    minimum = signal.lfilter(MINIMUM, 1, r, axis=1)
    zero = fft.irfft(np.abs(fft.rfft(MINIMUM, 4096)))
    expected = np.stack([np.convolve(x, np.roll(zero, 200)[:401], "same") for x in r])
    parameters = {"to": "zero", "wavelet_ms": 60.0}
    out = run_processor(PhaseConvert, make_gather(minimum), parameters, kernels=KERNELS, backend=backend).traces
    assert close(out, expected) < 0.15 < 0.3 < close(minimum, expected)
    forth = run_processor(
        PhaseConvert, make_gather(out), parameters | {"to": "minimum"}, kernels=KERNELS, backend=backend
    ).traces
    assert close(forth, minimum) < 0.05


def test_conversion_keeps_amplitude_spectra():
    trace = np.zeros((1, 1000))
    trace[0, 500 : 500 + len(MINIMUM)] = MINIMUM
    for parameters in ({"to": "zero", "wavelet": table(MINIMUM)}, {"to": "zero"}, {"to": "minimum"}):
        out = run_processor(PhaseConvert, make_gather(trace), parameters, kernels=KERNELS).traces
        before, after = np.abs(fft.rfft(trace[0])), np.abs(fft.rfft(out[0]))
        assert np.abs(after - before).max() < 2e-2 * before.max()


def test_shaping_turns_one_wavelet_into_another():
    r = reflectivity()
    source, desired = MINIMUM, ricker(np.arange(-20, 21) * 4.0)
    data = signal.lfilter(source, 1, r, axis=1)
    expected = np.stack([np.convolve(x, desired, "same") for x in r])
    out = run_processor(
        Shape, make_gather(data),
        {"wavelet": table(source), "desired": table(desired, -80.0), "prewhitening_percent": 1e-6},
    ).traces  # fmt: skip
    assert close(out, expected) < 1e-3


def test_shaping_filter_solves_the_normal_equations():
    rng = np.random.default_rng(5)
    w, d = rng.standard_normal(12), rng.standard_normal(17)
    taps, lag, w_lag, d_lag = 25, -9, -4, 3
    found = wavelets.shaping_filter((w, w_lag), (d, d_lag), taps, lag, 0.01)
    # Least squares with the convolution written out: rows are times -40 .. 80.
    time = np.arange(-40, 81)
    columns = np.zeros((len(time), taps))
    for k in range(taps):
        start = 40 + w_lag + lag + k
        columns[start : start + len(w), k] = w
    target = np.zeros(len(time))
    target[40 + d_lag : 40 + d_lag + len(d)] = d
    stacked = np.vstack((columns, np.sqrt(0.01 * np.sum(w**2)) * np.eye(taps)))
    expected = np.linalg.lstsq(stacked, np.concatenate((target, np.zeros(taps))), rcond=None)[0]
    assert np.allclose(found, expected, atol=1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
def test_matching_gives_every_trace_the_wanted_wavelet_where_its_event_is(backend):
    rng = np.random.default_rng(6)
    offsets = np.array([0, 400, 800, 1200])
    traces = np.zeros((4, 400))
    for row, offset in enumerate(offsets):
        own = np.convolve(MINIMUM, rng.standard_normal(3) * 0.2 + np.array([1, 0, 0]))
        at = 50 + offset // 16
        traces[row, at : at + len(own)] = (row + 1) * own
    desired = ricker(np.arange(-15, 16) * 4.0)
    parameters = {
        "desired": table(desired, -60.0), "time_ms": 200.0, "velocity_m_per_s": 4000.0, "design_start_ms": 180.0,
        "design_end_ms": 260.0, "operator_ms": 300.0, "operator_start_ms": -150.0, "prewhitening_percent": 1e-6,
    }  # fmt: skip
    gather = make_gather(traces, offset=offsets)
    out = run_processor(Match, gather, parameters, kernels=KERNELS, backend=backend).traces
    expected = np.zeros_like(traces)
    for row, offset in enumerate(offsets):
        at = 50 + offset // 16
        expected[row, at - 15 : at + 16] = desired
    assert close(out, expected, slice(None)) < 1e-2


@pytest.mark.parametrize(("phase", "tolerance"), [("zero", 0.02), ("minimum", 0.02)])
def test_designature_leaves_the_reflectivity(phase, tolerance):
    r = reflectivity(seed=7)
    signature = np.convolve(MINIMUM, np.concatenate(([1], np.zeros(20), [-0.5])))  # with a bubble
    data = signal.lfilter(signature, 1, r, axis=1)
    parameters = {"signature": table(signature), "phase": phase, "noise_percent": 1e-3}
    assert close(run_processor(Designature, make_gather(data), parameters).traces, r) < tolerance < close(data, r)


def test_the_noise_level_limits_the_gain_of_designature():
    signature = [1.0, 1.0]  # nothing at Nyquist
    trace = np.zeros((1, 500))
    trace[0, 250] = 1
    for noise in (0.1, 1.0, 10.0):
        out = run_processor(Designature, make_gather(trace), {"signature": table(signature), "noise_percent": noise})
        gain = np.abs(fft.rfft(out.traces[0])).max()
        assert gain <= 1.02 / (2 * np.sqrt(4 * noise / 100))


def test_wavelets_are_brought_to_the_interval_of_the_data():
    fine = {"time_ms": (np.arange(-100, 101) * 1.0).tolist(), "amplitude": ricker(np.arange(-100, 101) * 1.0).tolist()}
    samples, lag = wavelets.wavelet_samples(Table(fine), Sampling(0.0, 0.004, 10))
    assert lag == -25 and np.allclose(samples, ricker(np.arange(-25, 26) * 4.0), atol=2e-3)
    shifted = Table({"time_ms": np.arange(-30, 31) * 4.0 + 1.5, "amplitude": ricker(np.arange(-30, 31) * 4.0 + 1.5)})
    samples, lag = wavelets.wavelet_samples(shifted, Sampling(0.0, 0.004, 10))
    assert np.allclose(samples, ricker((lag + np.arange(len(samples))) * 4.0), atol=2e-3)


@pytest.mark.parametrize(
    ("wavelet", "problem"),
    [
        ({"time_ms": [0, 4, 9], "amplitude": [1, 2, 3]}, "evenly spaced"),
        ({"time_ms": [4, 0], "amplitude": [1, 2]}, "evenly spaced"),
        ({"time_ms": [0, 8], "amplitude": [1, 2]}, "more coarsely"),
        ({"time_ms": [0, 4], "amplitude": [0, 0]}, "zero everywhere"),
    ],
)
def test_bad_wavelets_are_refused(wavelet, problem):
    gather = make_gather(np.ones((1, 100)))
    good = table(MINIMUM)
    for cls, parameters in [
        (Designature, {"signature": wavelet}),
        (Shape, {"wavelet": good, "desired": wavelet}),
        (PhaseConvert, {"to": "zero", "wavelet": wavelet}),
        (Match, {"desired": wavelet, "time_ms": 50.0, "design_start_ms": 0.0, "design_end_ms": 90.0}),
    ]:
        with pytest.raises(ParameterError, match=problem):
            run_processor(cls, gather, parameters, kernels=KERNELS)


def test_operators_longer_than_traces_are_refused():
    gather, good = make_gather(np.ones((1, 50))), table(MINIMUM)
    with pytest.raises(ParameterError, match=r"the trace \(200 ms\) at most"):
        run_processor(Shape, gather, {"wavelet": good, "desired": good})
    with pytest.raises(ParameterError, match="two samples at least"):
        run_processor(PhaseConvert, gather, {"to": "zero", "wavelet_ms": 400.0}, kernels=KERNELS)
