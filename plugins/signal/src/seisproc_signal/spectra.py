"""Spectral analysis of traces: amplitude and power spectra, Welch's average, autocorrelation.

Plain functions on arrays, for quality control and displays; they read samples and change none.
"""

from __future__ import annotations

import numpy as np
import scipy


def amplitude_spectrum(
    traces: np.ndarray, interval_s: float, length: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Amplitude of the Fourier transform of every trace.

    Parameters
    ----------
    traces
        Samples, shape ``(n_traces, n_samples)``.
    interval_s
        Sample interval, s.
    length
        FFT length, zeros appended (or samples cut); the number of samples when None.

    Returns
    -------
    frequency_hz
        float64, shape ``(length // 2 + 1,)``, from 0 to Nyquist.
    amplitude
        Shape ``(n_traces, length // 2 + 1)``: abs(sum_n x[n] exp(-2 pi i f n dt)), not scaled; float32 for traces of
        float32, else float64.
    """
    _check(traces, interval_s)
    length = traces.shape[1] if length is None else length
    if length < 1:
        raise ValueError(f"an FFT needs a length of at least 1, not {length}")
    spectrum = scipy.fft.rfft(traces, length, axis=1, workers=1)
    return scipy.fft.rfftfreq(length, interval_s), np.abs(spectrum)


def power_spectrum(
    traces: np.ndarray, interval_s: float, *, segment: int | None = None, overlap: float = 0.5, window: str = "hann"
) -> tuple[np.ndarray, np.ndarray]:
    """One-sided power spectral density of every trace, averaged over segments (Welch's method).

    Parameters
    ----------
    traces
        Samples, shape ``(n_traces, n_samples)``.
    interval_s
        Sample interval, s.
    segment
        Samples of a segment, at most those of a trace; whole traces (a periodogram) when None.
    overlap
        Part of a segment that the next one shares, from 0 up to but not including 1.
    window
        Name of a window as `scipy.signal.get_window` knows it.

    Returns
    -------
    frequency_hz
        float64, shape ``(segment // 2 + 1,)``.
    density
        float64, shape ``(n_traces, segment // 2 + 1)``, amplitude^2 / Hz. Its integral is the mean power of
        the windowed samples; means are not removed.

    Notes
    -----
    Welch, The use of fast Fourier transform for the estimation of power spectra, IEEE Transactions on Audio and
    Electroacoustics 15 (1967), 70-73.
    """
    _check(traces, interval_s)
    segment = traces.shape[1] if segment is None else segment
    if not 1 <= segment <= traces.shape[1]:
        raise ValueError(f"a segment must have 1 to {traces.shape[1]} samples, not {segment}")
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap must be at least 0 and below 1, not {overlap}")
    shared = min(int(overlap * segment), segment - 1)
    frequency, density = scipy.signal.welch(
        np.asarray(traces, np.float64), 1 / interval_s, window, segment, shared, detrend=False, axis=1
    )
    return frequency, density


def mean_amplitude_spectrum(traces: np.ndarray, interval_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Root mean square over all live traces of their amplitude spectra: frequency and amplitude, float64 each.

    Traces that are zero throughout do not count; without any other, the amplitude is 0.
    """
    frequency, amplitude = amplitude_spectrum(np.asarray(traces, np.float64), interval_s)
    live = np.any(traces, axis=1)
    mean = np.sqrt(np.square(amplitude[live]).sum(axis=0) / max(np.count_nonzero(live), 1))
    return frequency, mean


def autocorrelation(traces: np.ndarray, lags: int, *, normalise: bool = False, symmetric: bool = False) -> np.ndarray:
    """Autocorrelation r[k] = sum_n x[n] x[n + k] of every trace.

    Parameters
    ----------
    traces
        Samples, shape ``(n_traces, n_samples)``.
    lags
        How many lags, 0 .. lags - 1, with zeros beyond the trace length.
    normalise
        Divide by lag 0; traces without energy stay 0.
    symmetric
        Give lags -(lags - 1) .. lags - 1.

    Returns
    -------
    correlation
        float64, shape ``(n_traces, lags)`` or ``(n_traces, 2 lags - 1)``; of traces of float32 good to 1e-6 of lag 0.
    """
    _check(traces, 1.0)
    if lags < 1:
        raise ValueError(f"at least one lag is needed, not {lags}")
    # Long enough that the lags asked for do not wrap round; those beyond may.
    length = scipy.fft.next_fast_len(traces.shape[1] + min(lags, traces.shape[1]), real=True)
    traces = np.asarray(traces, np.float32 if traces.dtype == np.float32 else np.float64)
    # Near 1 in size, by powers of two, which round nothing: squares neither overflow nor vanish.
    peak = np.maximum(traces.max(axis=1), -traces.min(axis=1)).astype(np.float64)
    power_of_two = np.frexp(np.where(np.isfinite(peak), peak, 0))[1]
    scaled = traces * np.ldexp(1.0, np.clip(-power_of_two, -126, 126)).astype(traces.dtype)[:, None]
    spectrum = scipy.fft.rfft(scaled, length, axis=1, workers=1)
    spectrum *= spectrum.conj()
    every = scipy.fft.irfft(spectrum, length, axis=1, overwrite_x=True, workers=1)
    found = np.zeros((len(traces), lags))
    kept = min(lags, traces.shape[1])
    found[:, :kept] = every[:, :kept]
    if normalise:
        zero = found[:, :1].copy()
        np.divide(found, zero, out=found, where=zero > 0)
    else:
        found = np.ldexp(found, 2 * np.clip(power_of_two, -126, 126)[:, None])
    return np.concatenate((found[:, :0:-1], found), axis=1) if symmetric else found


def _check(traces: np.ndarray, interval_s: float) -> None:
    if traces.ndim != 2 or traces.shape[1] == 0:
        raise ValueError(f"traces must have shape (n_traces, n_samples), not {traces.shape}")
    if not interval_s > 0:
        raise ValueError(f"the sample interval must be above 0 s, not {interval_s}")
