"""Filters that are one gain per frequency, shifts, and transforms of single traces: peers are FFTs of SciPy."""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any

import numpy as np
from scipy import fft, ndimage, signal

from benchmarks.processors.case import Case
from benchmarks.processors.data import INTERVAL_S, SAMPLES
from seisproc_core.data.gather import Gather

LOW_HZ, HIGH_HZ, ORDER = 8.0, 60.0, 4
PADDED = 2000  # samples of the FFT that a filter in one library call works on
CORNERS_HZ = (5.0, 10.0, 40.0, 60.0)
NOTCH_HZ, NOTCH_WIDTH_HZ = 50.0, 2.0
ANGLE_DEG = 90.0
SHIFT_SAMPLES = 2.3
LAGS = 125  # of an autocorrelation: 500 ms
BANDS = 8
SLOPE = 1 / 1900  # s/m
Q = 80.0
FREQUENCY = fft.rfftfreq(PADDED, INTERVAL_S)


def _filtered(batch: Gather, gain: np.ndarray) -> Any:
    spectrum = fft.rfft(batch.traces, PADDED, axis=1, workers=1) * gain
    return fft.irfft(spectrum, PADDED, axis=1, workers=1)[:, :SAMPLES]


def _sections() -> Any:
    high = signal.butter(ORDER, LOW_HZ, "highpass", fs=1 / INTERVAL_S, output="sos")
    low = signal.butter(ORDER, HIGH_HZ, "lowpass", fs=1 / INTERVAL_S, output="sos")
    return np.vstack((high, low))


def _bandpass_recursive(batch: Gather) -> Any:
    return signal.sosfiltfilt(_sections(), batch.traces, axis=1, padtype=None)


def _bandpass_by_fft(batch: Gather) -> Any:
    response = signal.freqz_sos(_sections(), FREQUENCY, fs=1 / INTERVAL_S)[1]
    return _filtered(batch, (np.abs(response) ** 2).astype(np.float32))


def _trapezoid(batch: Gather) -> Any:
    return _filtered(batch, np.interp(FREQUENCY, CORNERS_HZ, (0, 1, 1, 0)).astype(np.float32))


def _notched(batch: Gather) -> Any:
    b, a = signal.iirnotch(NOTCH_HZ, NOTCH_HZ / NOTCH_WIDTH_HZ, fs=1 / INTERVAL_S)
    return _filtered(batch, (np.abs(signal.freqz(b, a, FREQUENCY, fs=1 / INTERVAL_S)[1]) ** 2).astype(np.float32))


def _halved(batch: Gather) -> Any:
    return signal.resample_poly(batch.traces, 1, 2, axis=1, window=("kaiser", 7.86))


def _rotated(batch: Gather) -> Any:
    analytic = signal.hilbert(batch.traces, 2 * SAMPLES, axis=1)[:, :SAMPLES]
    return np.real(analytic * np.exp(1j * np.deg2rad(ANGLE_DEG)))


def _minimum_phase(batch: Gather) -> Any:
    """Kolmogorov's way for every trace: the logarithm of the spectrum, folded cepstrum, exponential."""
    amplitude = np.abs(fft.rfft(batch.traces, 2 * PADDED, axis=1, workers=1))
    cepstrum = fft.irfft(np.log(np.maximum(amplitude, 1e-6)), axis=1, workers=1)
    cepstrum[:, 1:PADDED] *= 2
    cepstrum[:, PADDED + 1 :] = 0
    return fft.irfft(np.exp(fft.rfft(cepstrum, axis=1, workers=1)), axis=1, workers=1)[:, :SAMPLES]


def _shifted_by_spline(batch: Gather) -> Any:
    return ndimage.shift(batch.traces, (0, SHIFT_SAMPLES), order=3)


def _shifted_by_fft(batch: Gather) -> Any:
    return _filtered(batch, np.exp(-2j * np.pi * FREQUENCY * SHIFT_SAMPLES * INTERVAL_S).astype(np.complex64))


def _moved_linearly(batch: Gather) -> Any:
    times = SLOPE * np.abs(batch.headers["offset"])
    return _filtered(batch, np.exp(2j * np.pi * FREQUENCY * times[:, None]).astype(np.complex64))


def _measured(batch: Gather) -> Any:
    """rms, peak, and mean frequency of the power spectrum."""
    traces = batch.traces.astype(np.float64)
    power = np.abs(fft.rfft(traces, 2 * SAMPLES, axis=1, workers=1)) ** 2
    frequency = fft.rfftfreq(2 * SAMPLES, INTERVAL_S)
    return np.sqrt(np.mean(traces**2, axis=1)), np.abs(traces).max(axis=1), power @ frequency / power.sum(axis=1)


def _spectrum(batch: Gather) -> Any:
    return np.abs(fft.rfft(batch.traces, axis=1, workers=1))


def _autocorrelated(batch: Gather) -> Any:
    power = np.abs(fft.rfft(batch.traces, PADDED, axis=1, workers=1)) ** 2
    lags = fft.irfft(power, PADDED, axis=1, workers=1)[:, :LAGS]
    return lags / lags[:, :1]


def _whitened(batch: Gather) -> Any:
    spectrum = fft.rfft(batch.traces, PADDED, axis=1, workers=1)
    edges = np.linspace(LOW_HZ, HIGH_HZ, BANDS + 1)
    out = np.zeros_like(batch.traces)
    for low, high in itertools.pairwise(edges):
        gain = np.clip(1 - np.abs(FREQUENCY - (low + high) / 2) / (high - low), 0, 1).astype(np.float32)
        band = fft.irfft(spectrum * gain, PADDED, axis=1, workers=1)[:, :SAMPLES]
        out += band / np.sqrt(np.mean(band**2, axis=1, keepdims=True))
    return out


def _absorbed(batch: Gather) -> Any:
    """A filter that changes with time is a matrix: here it is, from traces to traces, dense."""
    return batch.traces @ _absorption()


@cache
def _absorption() -> Any:
    frequency, times = fft.rfftfreq(SAMPLES, INTERVAL_S), np.arange(SAMPLES) * INTERVAL_S
    gain = np.minimum(np.exp(np.pi * frequency * times[:, None] / Q), 10.0)
    kernel = gain * np.exp(2j * np.pi * frequency * times[:, None])
    return fft.irfft(np.conj(kernel), SAMPLES, axis=1).T.astype(np.float32).copy()


CASES = (
    Case(
        use="bandpass", parameters={"low_hz": LOW_HZ, "high_hz": HIGH_HZ, "order": ORDER}, goal=75_000, same=1e-3,
        peers={"SciPy rfft, irfft": _bandpass_by_fft, "SciPy sosfiltfilt": _bandpass_recursive}, transforms=2,
    ),
    Case(
        use="trapezoid", parameters={"corners_hz": list(CORNERS_HZ)}, peers={"SciPy rfft, irfft": _trapezoid},
        transforms=2,
    ),
    Case(
        use="notch", parameters={"frequencies_hz": [NOTCH_HZ], "width_hz": NOTCH_WIDTH_HZ},
        peers={"SciPy rfft, irfft": _notched}, transforms=2,
    ),
    Case(
        use="resample", label="twice the interval", parameters={"interval_ms": 2000 * INTERVAL_S}, goal=50_000,
        peers={"SciPy resample_poly (10 lobes)": _halved},
    ),
    Case(
        use="phase_rotate", parameters={"angle_deg": ANGLE_DEG}, peers={"SciPy hilbert": _rotated}, transforms=2,
    ),
    Case(
        use="phase_convert", parameters={"to": "minimum"}, peers={"SciPy, cepstrum of every trace": _minimum_phase},
        transforms=4,
    ),
    Case(
        use="shift", parameters={"shift_ms": 1000 * INTERVAL_S * SHIFT_SAMPLES}, goal=150_000,
        peers={"SciPy ndimage.shift (cubic)": _shifted_by_spline, "SciPy rfft, irfft": _shifted_by_fft},
        multiplications=8 * SAMPLES,
    ),
    Case(
        use="linear_moveout", parameters={"velocity_m_per_s": 1 / SLOPE},
        peers={"SciPy rfft, phase, irfft": _moved_linearly},
    ),
    Case(use="attributes", peers={"NumPy, SciPy rfft of twice the length": _measured}, transforms=2),
    Case(use="spectrum", peers={"SciPy rfft": _spectrum}, transforms=1),
    Case(
        use="autocorrelation", parameters={"length_ms": 1000 * INTERVAL_S * LAGS},
        peers={"SciPy rfft, irfft": _autocorrelated}, transforms=2,
    ),
    Case(
        use="whiten", label=f"{BANDS} bands", parameters={"low_hz": LOW_HZ, "high_hz": HIGH_HZ, "bands": BANDS},
        peers={"SciPy rfft, irfft of bands": _whitened}, transforms=1 + BANDS,
    ),
    Case(
        use="inverse_q", label="phase and amplitude", parameters={"q": Q, "kind": "both", "reference_hz": 50.0},
        peers={"NumPy matmul, the dense operator": _absorbed}, goal=10_000,
    ),
)  # fmt: skip
