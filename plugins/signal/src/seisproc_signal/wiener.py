"""Wiener filters trace by trace: autocorrelation, the normal equations, convolution. Reference forms of the kernels.

Arithmetic is float64 up to the filters; samples that go in and come out are float32.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy

from seisproc_core.errors import Cancelled

ROWS = 32  # traces between two looks at the cancel flag
SINGULAR = 1e-13  # part of the zero lag from which the prediction error counts as none


def autocorrelate(traces: np.ndarray, first: np.ndarray, end: np.ndarray, out: np.ndarray, flag: np.ndarray) -> None:
    """Autocorrelation r[k] = sum_i x[i] x[i + k] of the samples in a window of each trace, not normalised.

    Parameters
    ----------
    traces
        float32, shape ``(n_traces, n_samples)``.
    first, end
        Window of each trace, int64 ``(n_traces,)``, inside the trace.
    out
        float64, shape ``(n_traces, lags)``: lags 0, 1, ...
    flag
        uint8 ``(1,)``, raised to cancel.

    Raises
    ------
    Cancelled
        When the flag was raised.
    """
    lags = out.shape[1]
    length = scipy.fft.next_fast_len(traces.shape[1] + lags, real=True)
    for rows, inside in blocks(traces, first, end, flag):
        spectrum = scipy.fft.rfft(inside, length, axis=1, workers=1)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        out[rows] = scipy.fft.irfft(power, length, axis=1, workers=1)[:, :lags]


def levinson(auto: np.ndarray, cross: np.ndarray, out: np.ndarray, flag: np.ndarray) -> None:
    """Solve sum_j r[|i - j|] f[j] = g[i] for every row by Levinson's recursion.

    Where the matrix is singular to working precision the recursion stops at the order reached; without power
    the solution is 0.

    Parameters
    ----------
    auto, cross, out
        r, g and f: float64, shape ``(n_traces, n)``.
    flag
        uint8 ``(1,)``, raised to cancel.

    Raises
    ------
    Cancelled
        When the flag was raised.

    Notes
    -----
    Levinson, Journal of Mathematics and Physics 25 (1946), 261-278; Robinson and Treitel, Geophysical Signal
    Analysis (Prentice-Hall, 1980).
    """
    out[...] = 0
    alive = auto[:, 0] > 0
    error = np.where(alive, auto[:, 0], 1)
    limit = SINGULAR * error
    predict = np.zeros_like(auto)
    predict[:, 0] = alive
    out[:, 0] = np.where(alive, cross[:, 0] / error, 0)
    for j in range(1, auto.shape[1]):
        if flag[0]:
            raise Cancelled
        back = auto[:, j:0:-1]
        reflection = np.einsum("ij,ij->i", predict[:, :j], back) / error
        alive = alive & (error * (1 - reflection**2) > limit)
        reflection = np.where(alive, reflection, 0)
        predict[:, : j + 1] -= reflection[:, None] * predict[:, j::-1].copy()
        error = error * (1 - reflection**2)
        step = (cross[:, j] - np.einsum("ij,ij->i", out[:, :j], back)) / error
        out[:, : j + 1] += np.where(alive, step, 0)[:, None] * predict[:, j::-1]


def convolve(
    traces: np.ndarray,
    first: np.ndarray,
    end: np.ndarray,
    filters: np.ndarray,
    first_lag: np.ndarray,
    identity: float,
    out_first: np.ndarray,
    out_end: np.ndarray,
    out: np.ndarray,
    flag: np.ndarray,
) -> None:
    """Filter every trace by its own operator: y[i] = identity x[i] + sum_j f[j] x[i - first_lag - j].

    Parameters
    ----------
    traces, out
        float32, shape ``(n_traces, n_samples)``.
    first, end
        Samples of each trace that are read; all others count as 0.
    filters
        f: float64, shape ``(n_traces, taps)``.
    first_lag
        int64 ``(n_traces,)``; negative lags look ahead.
    out_first, out_end
        Samples of each trace that are computed; all others become 0.
    flag
        uint8 ``(1,)``, raised to cancel.

    Raises
    ------
    Cancelled
        When the flag was raised.
    """
    n, taps = traces.shape[1], filters.shape[1]
    sample = np.arange(n)
    # Lags of a trace length or more reach no sample; for all others nothing wraps round. The length does not depend on
    # the lags, so that a trace's bytes do not depend on its neighbours.
    length = scipy.fft.next_fast_len(2 * n, real=True)
    for rows, inside in blocks(traces, first, end, flag):
        lag = first_lag[rows, None] + np.arange(taps)
        row, tap = np.nonzero(np.abs(lag) < n)
        wrapped = np.zeros((len(lag), length))
        wrapped[row, lag[row, tap] % length] = filters[rows][row, tap]
        spectrum = scipy.fft.rfft(inside, length, axis=1, workers=1) * scipy.fft.rfft(wrapped, axis=1, workers=1)
        total = identity * inside + scipy.fft.irfft(spectrum, length, axis=1, workers=1)[:, :n]
        computed = (sample >= out_first[rows, None]) & (sample < out_end[rows, None])
        out[rows] = np.where(computed, total, 0)


def blocks(
    traces: np.ndarray, first: np.ndarray, end: np.ndarray, flag: np.ndarray
) -> Iterator[tuple[slice, np.ndarray]]:
    """Blocks of rows: which, and their samples as float64 with zeros outside the windows."""
    sample = np.arange(traces.shape[1])
    for row in range(0, len(traces), ROWS):
        if flag[0]:
            raise Cancelled
        rows = slice(row, row + ROWS)
        inside = (sample >= first[rows, None]) & (sample < end[rows, None])
        yield rows, np.where(inside, traces[rows], np.float32(0)).astype(np.float64)
