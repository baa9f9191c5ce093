"""Spectral analysis against Seismic Unix and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from seisproc_signal import spectra


def test_amplitude_spectrum_of_seismic_unix(golden):
    gather, expected = golden("misc/ampspec")
    _, amplitude = spectra.amplitude_spectrum(gather.traces, gather.sampling.interval_s, 840)
    amplitude[:, 0] /= 2  # suspecfx halves the zero frequency
    assert np.abs(amplitude - expected).max() < 5e-6 * np.abs(expected).max()


@pytest.mark.parametrize(("case", "options"), [
    ("autocorr", {"lags": 101, "normalise": True}),
    ("autocorr_sym", {"lags": 51, "symmetric": True}),
])  # fmt: skip
def test_autocorrelation_of_seismic_unix(golden, case, options):
    gather, expected = golden(f"misc/{case}")
    found = spectra.autocorrelation(gather.traces, **options)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 5e-6 * np.abs(expected).max()


@pytest.mark.parametrize("n", [1, 2, 255, 256])
def test_autocorrelation_is_numpys(n, rng):
    traces = rng.standard_normal((3, n))
    found = spectra.autocorrelation(traces, n + 5)
    for trace, row in zip(traces, found, strict=True):
        assert np.allclose(row[:n], np.correlate(trace, trace, "full")[n - 1 :]) and not row[n:].any()
    both = spectra.autocorrelation(traces, n + 5, symmetric=True, normalise=True)
    assert np.allclose(both, both[:, ::-1]) and np.allclose(both[:, n + 4], 1)
    assert not spectra.autocorrelation(np.zeros((1, n)), 3, normalise=True).any()


@pytest.mark.parametrize(("segment", "overlap"), [(None, 0.5), (128, 0.5), (100, 0.75), (64, 0.0)])
def test_power_spectrum_is_scipys_welch(segment, overlap, rng):
    traces = rng.standard_normal((4, 1000)).astype(np.float32)
    frequency, density = spectra.power_spectrum(traces, 0.002, segment=segment, overlap=overlap)
    size = segment or 1000
    expected = signal.welch(
        traces.astype(float), 500, nperseg=size, noverlap=int(overlap * size), detrend=False, axis=1
    )
    assert np.allclose(frequency, expected[0]) and np.allclose(density, expected[1], rtol=1e-12)
    # White noise of unit variance: its power spreads evenly from 0 to Nyquist.
    assert np.trapezoid(density.mean(axis=0), frequency) == pytest.approx(1, rel=0.15)


def test_a_sine_shows_at_its_frequency_with_its_amplitude():
    times = np.arange(1000) * 0.002
    frequency, amplitude = spectra.amplitude_spectrum(3 * np.sin(2 * np.pi * 30 * times)[None], 0.002)
    assert frequency[amplitude[0].argmax()] == pytest.approx(30) and amplitude.max() == pytest.approx(1500)
    found = spectra.mean_amplitude_spectrum(np.stack([np.sin(2 * np.pi * 30 * times), np.zeros(1000)]), 0.002)[1]
    assert found.max() == pytest.approx(500)
    assert not spectra.mean_amplitude_spectrum(np.zeros((2, 8)), 0.002)[1].any()


def test_arguments_out_of_range_are_refused():
    traces = np.ones((2, 10))
    for problem, call in [
        ("shape", lambda: spectra.amplitude_spectrum(np.ones(10), 0.002)),
        ("above 0 s", lambda: spectra.amplitude_spectrum(traces, 0.0)),
        ("at least 1", lambda: spectra.amplitude_spectrum(traces, 0.002, 0)),
        ("1 to 10", lambda: spectra.power_spectrum(traces, 0.002, segment=11)),
        ("below 1", lambda: spectra.power_spectrum(traces, 0.002, overlap=1.0)),
        ("one lag", lambda: spectra.autocorrelation(traces, 0)),
    ]:
        with pytest.raises(ValueError, match=problem):
            call()


@pytest.mark.parametrize("size", [1e-35, 1.0, 1e35])
def test_single_precision_is_enough_for_autocorrelations_of_any_size(size, rng):
    traces = (size * rng.standard_normal((3, 200))).astype(np.float32)
    traces[1] = 0
    exact = spectra.autocorrelation(traces.astype(np.float64), 20)
    assert np.abs(spectra.autocorrelation(traces, 20) - exact).max() <= 1e-6 * exact.max()
    shape = spectra.autocorrelation(traces, 20, normalise=True)
    assert shape[[0, 2], 0].tolist() == [1, 1] and not shape[1].any()
