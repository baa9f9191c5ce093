"""Adaptive subtraction of a modelled part (multiples, noise) from data."""

from __future__ import annotations

import numpy as np

from seisproc_denoise.multichannel.windows import windows


def adaptive_subtract(
    data: np.ndarray,
    model: np.ndarray,
    *,
    filter_samples: int = 21,
    window_samples: int = 250,
    window_traces: int = 20,
    damping: float = 1e-3,
) -> np.ndarray:
    """Subtract a model after matching it to the data with short filters, window by window.

    In overlapping windows of time and traces (neighbours share half), the filter f of `filter_samples` coefficients,
    centred on zero lag, minimises ``sum (d - f * m)^2 + damping c sum f^2`` with c the mean energy of the shifted
    model. It may scale the model, change its wavelet and shift it by up to half its length. The matched models of all
    windows are blended with weights that sum to 1, and subtracted. Long filters in small windows match primaries too.

    Parameters
    ----------
    data, model
        Float32 ``(n_traces, n_samples)``, the same traces in the same order; zeros where nothing is live.
    filter_samples
        Odd, at least 1.
    window_samples, window_traces
        Size of a window; the whole axis where it is shorter.
    damping
        At least 0.

    Returns
    -------
    numpy.ndarray
        Data without the matched model, float32, same shape.

    Raises
    ------
    ValueError
        Shapes differ, or a size or the damping is out of range.

    Notes
    -----
    Verschuur, Berkhout and Wapenaar, Geophysics 57(9), 1992, on adaptive surface-related multiple elimination;
    windowed least squares: Robinson and Treitel, Geophysical Signal Analysis (Prentice-Hall, 1980), chapter 7.
    """
    if data.ndim != 2 or data.shape != model.shape:
        raise ValueError(f"data and model must have the same 2-D shape, not {data.shape} and {model.shape}")
    if filter_samples < 1 or filter_samples % 2 == 0 or min(window_samples, window_traces) < 2 or damping < 0:
        raise ValueError("filter_samples must be odd, windows at least 2, damping at least 0")
    half = filter_samples // 2
    padded = np.pad(np.asarray(model, np.float64), ((0, 0), (half, half)))
    # shifted[j, i, k] is the model of trace j at sample i + half - k.
    shifted = np.lib.stride_tricks.sliding_window_view(padded, filter_samples, axis=1)[:, :, ::-1]
    matched = np.zeros(data.shape)
    for across in windows(data.shape[0], window_traces, window_traces // 2):
        for down in windows(data.shape[1], window_samples, window_samples // 2):
            columns = shifted[across.points, down.points].reshape(-1, filter_samples)
            wanted = data[across.points, down.points].reshape(-1).astype(np.float64)
            weight = np.multiply.outer(across.weight, down.weight)
            fitted = columns @ _matching_filter(columns, wanted, damping)
            matched[across.points, down.points] += weight * fitted.reshape(weight.shape)
    return (data - matched).astype(np.float32)


def _matching_filter(columns: np.ndarray, wanted: np.ndarray, damping: float) -> np.ndarray:
    """Damped least-squares filter; zero where the model is."""
    normal = columns.T @ columns
    energy = np.trace(normal) / len(normal)
    if energy == 0:
        return np.zeros(len(normal))
    # Never singular: noise-free models of narrow band would be.
    normal[np.diag_indices_from(normal)] += max(damping, 1e-12) * energy
    return np.asarray(np.linalg.solve(normal, columns.T @ wanted))
