"""f-x prediction as Seismic Unix computes it, for comparison with its results."""

from __future__ import annotations

import numpy as np
import scipy


def su_fx_decon(
    traces: np.ndarray,
    interval_s: float,
    band_hz: tuple[float, float],
    sizes: tuple[int, int, int],
    window_s: float,
    taper_s: float,
) -> np.ndarray:
    """What `sufxdecon` makes of a gather, computed in double precision.

    Time windows of equal length share a linear taper; space windows do not overlap, the last one takes the remainder.
    Each is widened on both sides by the length of the filter. The autocorrelation is that of the first traces of the
    widened window, and frequencies outside the band are 0.

    Parameters
    ----------
    traces
        Float32 ``(n_traces, n_samples)``.
    band_hz
        Lowest and highest frequency predicted.
    sizes
        Traces in a space window, coefficients of the filter, length of the FFT.
    window_s, taper_s
        Length of the time windows and of the taper between them, s.

    Returns
    -------
    numpy.ndarray
        Float32, same shape; all zero where the gather has fewer traces than a window.
    """
    n_samples, length = traces.shape[1], sizes[2]
    ramp = round(taper_s / interval_s)
    ramp += ramp % 2
    step = round(window_s / interval_s) + 1
    number = max(1, round((n_samples - 1) * interval_s / window_s))
    made = np.zeros(traces.shape)
    for k in range(number):
        start = k * step - (ramp // 2 if k else 0)
        stop = n_samples if k == number - 1 else (k + 1) * step + ramp // 2
        spectra = scipy.fft.rfft(traces[:, start:stop].astype(np.float64), length, axis=1)
        frequency = scipy.fft.rfftfreq(length, interval_s)
        inside = (frequency >= band_hz[0] - 1e-4) & (frequency <= band_hz[1] + 1e-4)
        predicted = np.zeros_like(spectra)
        predicted[:, inside] = _predict(spectra[:, inside], sizes[0], sizes[1])
        weight = np.ones(stop - start)
        fraction = np.arange(ramp) * interval_s / taper_s if ramp else np.zeros(0)
        if k > 0:
            weight[:ramp] = fraction
        if k < number - 1:
            weight[len(weight) - ramp :] = 1 - fraction
        made[:, start:stop] += weight * scipy.fft.irfft(predicted, length, axis=1)[:, : stop - start]
    return made.astype(np.float32)


def _predict(spectra: np.ndarray, size: int, order: int) -> np.ndarray:
    """Half the sum of forward and backward prediction in consecutive windows of `size` traces."""
    n = len(spectra)
    made = np.zeros_like(spectra)
    lag = np.arange(order)[:, None] - np.arange(order)
    for start in range(0, n // size * size, size):
        stop = n if n < start + 2 * size else start + size
        wide = spectra[np.clip(np.arange(start - order, stop + order), 0, n - 1)]
        head = wide[: stop - start]
        r = np.stack([(head[k:] * head[: len(head) - k].conj()).sum(axis=0) for k in range(order + 1)])
        toeplitz = np.where(lag[..., None] >= 0, r[np.abs(lag)], r[np.abs(lag)].conj()).transpose(2, 0, 1)
        empty = r[0].real == 0
        toeplitz[empty] += np.eye(order)
        filter_ = np.linalg.solve(toeplitz, r[1:].T[..., None])[..., 0].T
        for n_out in range(start, stop):
            here = n_out - start + order
            before, after = wide[here - order : here][::-1], wide[here + 1 : here + 1 + order]
            made[n_out] = 0.5 * (filter_ * before + filter_.conj() * after).sum(axis=0)
    return made
