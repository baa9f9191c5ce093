"""Figures that say how two versions of the same traces differ."""

from __future__ import annotations

import numpy as np

from seisproc_core.data.gather import Gather

LEAKAGE_WINDOW_MS = 100.0
LEAKAGE_TRACES = 5


def live_mask(gather: Gather) -> np.ndarray:
    """True at live samples, bool ``(n_traces, n_samples)``."""
    first, end = gather.live_window
    sample = np.arange(gather.n_samples)
    mask: np.ndarray = (sample >= first[:, None]) & (sample < end[:, None])
    return mask


def rms(gather: Gather) -> float:
    """Root mean square of the live samples; 0 where there are none."""
    live = gather.traces[live_mask(gather)].astype(np.float64)
    return float(np.sqrt(np.mean(live**2))) if live.size else 0.0


def amplitude_spectrum(gather: Gather) -> tuple[np.ndarray, np.ndarray]:
    """Root mean square over live traces of the amplitude spectra of a gather.

    Returns
    -------
    frequency, amplitude
        Hz (cycles per m in depth) and ``|sum x exp(-i w t)| dt``, in amplitude times seconds, float64.
    """
    first, end = gather.live_window
    traces = gather.traces[end > first].astype(np.float64)
    interval = gather.sampling.interval_s
    frequency = np.fft.rfftfreq(gather.n_samples, interval)
    if not len(traces):
        return frequency, np.zeros(len(frequency))
    power = np.mean(np.abs(np.fft.rfft(traces, axis=1)) ** 2, axis=0)
    return frequency, np.sqrt(power) * interval


def autocorrelation(gather: Gather, longest_s: float = 0.4) -> tuple[np.ndarray, np.ndarray]:
    """Mean autocorrelation of the live traces of a gather, each divided by its lag 0.

    Returns
    -------
    lag, correlation
        s, from 0 to `longest_s` at most, and float64 from 1 on; 0 for silence.
    """
    traces = np.where(live_mask(gather), gather.traces, 0).astype(np.float64)
    traces = traces[traces.any(axis=1)]
    interval, count = gather.sampling.interval_s, gather.n_samples
    lags = min(count, int(longest_s / interval) + 1)
    if not len(traces):
        return interval * np.arange(lags), np.zeros(lags)
    power = np.abs(np.fft.rfft(traces, 2 * count, axis=1)) ** 2
    correlation = np.fft.irfft(power, axis=1)[:, :lags]
    return interval * np.arange(lags), np.mean(correlation / correlation[:, :1], axis=0)


def dominant_frequency(gather: Gather) -> float:
    """Frequency (Hz) at which the smoothed mean power spectrum is largest; 0 for silence.

    The spectrum is smoothed over 2 Hz, at least three samples of it, so that one line does not decide.
    """
    from scipy.ndimage import uniform_filter1d

    frequency, amplitude = amplitude_spectrum(gather)
    if not amplitude.any():
        return 0.0
    width = max(3, round(2.0 / frequency[1])) if len(frequency) > 3 and gather.sampling.domain == "time" else 1
    return float(frequency[np.argmax(uniform_filter1d(amplitude**2, width, mode="constant"))])


def leakage(kept: Gather, removed: Gather) -> float:
    """Share of what was removed that looks like what was kept: signal leakage, 0 (none) to 1.

    In windows of 5 traces and 100 ms round every sample the correlation ``c = <k r> / sqrt(<k k> <r r>)`` of kept and
    removed samples is formed, and the removed energy weighted with it: ``sum c^2 r^2 / sum r^2``. Noise that has
    nothing in common with the signal gives a few per cent, by chance; removed reflections give much more. After the
    local orthogonality of Chen and Fomel (2015), Geophysics 80(6), WD1-WD9.

    Parameters
    ----------
    kept, removed
        The same traces, whose sum was the input; windows stay inside gathers.
    """
    from scipy.ndimage import uniform_filter

    width = 2 * max(1, round(LEAKAGE_WINDOW_MS / 2000 / kept.sampling.interval_s)) + 1
    leaked = total = 0.0
    for a, b in zip(kept.gather_starts[:-1], kept.gather_starts[1:], strict=True):
        k, r = (gather.traces[a:b].astype(np.float64) for gather in (kept, removed))
        if not len(k):
            continue
        size = (min(LEAKAGE_TRACES, len(k)), width)
        kk, rr, kr = (uniform_filter(product, size, mode="constant") for product in (k * k, r * r, k * r))
        scale = kk * rr
        share = np.divide(kr**2, scale, out=np.zeros_like(kr), where=scale > 1e-30 * scale.max(initial=0))
        leaked += float(np.sum(np.clip(share, 0, 1) * r**2))
        total += float(np.sum(r**2))
    return leaked / total if total > 0 else 0.0
