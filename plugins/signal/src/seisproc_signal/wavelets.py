"""Wavelets given as tables, their minimum-phase equivalents, and the filters that turn one into another."""

from __future__ import annotations

import numpy as np
import scipy

from seisproc_core.data.sampling import Sampling
from seisproc_core.data.tables import Table
from seisproc_signal.resample import windowed_sinc

COLUMNS = ("time_ms", "amplitude")
FLOOR = 1e-6  # amplitudes below this part of the largest are raised to it before their logarithm is taken


def wavelet_problem(table: Table, sampling: Sampling) -> str | None:
    """What is wrong with a wavelet's table: times not evenly spaced, too coarse for the data, or no amplitude."""
    times = table["time_ms"]
    steps = np.diff(times)
    if np.any(steps <= 0) or np.ptp(steps) > 1e-3 * steps.mean() if len(steps) else False:
        return "needs evenly spaced, increasing time_ms"
    if len(steps) and steps[0] > 1000 * sampling.interval_s * (1 + 1e-6):
        return f"is sampled at {steps[0]:g} ms, more coarsely than the data ({1000 * sampling.interval_s:g} ms)"
    if not np.any(table["amplitude"]):
        return "is zero everywhere"
    if len(times) > 1 << 16:
        return f"has {len(times)} samples; the most is {1 << 16}"
    return None


def wavelet_samples(table: Table, sampling: Sampling) -> tuple[np.ndarray, int]:
    """A wavelet at the sample interval of the data.

    Returns
    -------
    samples, first_lag
        float64 ``(n,)``, and the sample number of the first one, counted from the wavelet's time 0. Taken as they are
        where times are whole samples, else by anti-aliased interpolation.
    """
    position = table["time_ms"] / (1000 * sampling.interval_s)
    whole = np.rint(position)
    step = float(position[1] - position[0]) if len(position) > 1 else 1.0
    if np.all(np.abs(position - whole) < 1e-3) and abs(step - 1) < 1e-3:
        return table["amplitude"], int(whole[0])
    first, last = int(np.ceil(position[0] - 1e-6)), int(np.floor(position[-1] + 1e-6))
    start, weights = windowed_sinc((np.arange(first, last + 1) - position[0]) / step, max(1 / step, 1.0))
    column = start[:, None] + np.arange(weights.shape[1])
    inside = (column >= 0) & (column < len(position))
    values = np.where(inside, table["amplitude"][np.where(inside, column, 0)], 0.0)
    return np.einsum("ij,ij->i", weights, values), first


def wavelet_spectrum(samples: np.ndarray, first_lag: int, length: int) -> np.ndarray:
    """Spectrum of a wavelet about its time 0, complex ``(length // 2 + 1,)``."""
    wrapped = np.zeros(length)
    np.add.at(wrapped, (first_lag + np.arange(len(samples))) % length, samples)
    spectrum: np.ndarray = scipy.fft.rfft(wrapped)
    return spectrum


def minimum_phase(amplitude: np.ndarray) -> np.ndarray:
    """The spectrum of minimum phase with a given amplitude, by Kolmogorov's factorisation.

    Parameters
    ----------
    amplitude
        Amplitude from 0 to Nyquist, real, shape ``(..., m)``; m - 1 frequency steps, FFT length 2 (m - 1). It should
        be sampled finely: the logarithm's transform, the cepstrum, must not wrap round.

    Returns
    -------
    spectrum
        complex128, same shape; amplitudes below 1e-6 of the largest are raised to that.

    Notes
    -----
    Kolmogorov 1939; Claerbout, Fundamentals of Geophysical Data Processing (McGraw-Hill, 1976), chapter 3: the
    logarithm of a minimum-phase spectrum is causal, so the cepstrum of log amplitude, folded to positive
    times, holds both amplitude and phase.
    """
    largest = amplitude.max(axis=-1, keepdims=True)
    safe = np.maximum(amplitude, FLOOR * np.where(largest > 0, largest, 1))
    cepstrum = scipy.fft.irfft(np.log(safe), axis=-1, workers=1)
    half = cepstrum.shape[-1] // 2
    cepstrum[..., 1:half] *= 2
    cepstrum[..., half + 1 :] = 0
    spectrum: np.ndarray = np.exp(scipy.fft.rfft(cepstrum, axis=-1, workers=1))
    return spectrum


def phase_of_minimum(power: np.ndarray) -> np.ndarray:
    """The phase of minimum phase with given powers, radians, float32 of the shape of `power`.

    As that of `minimum_phase` for the root of `power` (float64, as its range is twice that of amplitudes), without its
    amplitude, to 1e-5.
    """
    largest = power.max(axis=-1, keepdims=True)
    logarithm = 0.5 * np.log(np.maximum(power, FLOOR**2 * np.where(largest > 0, largest, 1)))
    cepstrum = scipy.fft.irfft(logarithm.astype(np.float32), axis=-1, workers=1)
    half = cepstrum.shape[-1] // 2
    cepstrum[..., 0] = 0
    cepstrum[..., half:] = 0
    phase: np.ndarray = 2 * scipy.fft.rfft(cepstrum, axis=-1, workers=1).imag
    return phase


def shaping_filter(
    source: tuple[np.ndarray, int], desired: tuple[np.ndarray, int], taps: int, first_lag: int, prewhitening: float
) -> np.ndarray:
    """The Wiener filter f of least |source * f - desired|^2 + prewhitening |source|^2 |f|^2.

    Parameters
    ----------
    source, desired
        Samples, float64, and the lag of the first one.
    taps, first_lag
        Coefficients of the filter and the lag of its first one; negative lags look ahead.
    prewhitening
        Part of the zero lag that is added to it.

    Returns
    -------
    filter
        float64 ``(taps,)``.

    Notes
    -----
    Robinson and Treitel, Geophysical Signal Analysis (Prentice-Hall, 1980).
    """
    w, w_lag = source
    d, d_lag = desired
    auto = np.zeros(taps)
    own = np.correlate(w, w, "full")[len(w) - 1 :]
    auto[: len(own)] = own[:taps]
    auto[0] *= 1 + prewhitening
    # Cross-correlation of all overlaps: element m belongs to the lag m - (len(w) - 1) of d against w.
    every = np.correlate(d, w, "full")
    index = np.arange(taps) + first_lag + w_lag - d_lag + len(w) - 1
    inside = (index >= 0) & (index < len(every))
    cross = np.where(inside, every[np.where(inside, index, 0)], 0.0)
    solution: np.ndarray = scipy.linalg.solve_toeplitz(auto, cross)
    return solution
