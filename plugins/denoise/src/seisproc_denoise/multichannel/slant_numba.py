"""Compiled form of the local slant stack; what it computes is said at the reference form."""

from __future__ import annotations

import numpy as np

from seisproc_core.errors import Cancelled
from seisproc_denoise.multichannel.slant import TIE
from seisproc_numba import cancelled, jit


def slant_stack(
    traces: np.ndarray,
    first: np.ndarray,
    end: np.ndarray,
    index: np.ndarray,
    slopes: np.ndarray,
    half_traces: int,
    half_window: int,
    least_semblance: float,
    median: bool,
    out: np.ndarray,
    flag: np.ndarray,
) -> None:
    """`seisproc_denoise.multichannel.slant.slant_stack`, one trace after the other."""
    if not _slant_stack(
        traces, first, end, index, slopes, half_traces, half_window, least_semblance, median, out, flag
    ):
        raise Cancelled


@jit()
def _reach(shift, first, end):  # type: ignore[no-untyped-def]
    """Whole part of a shift, its fraction, and the samples i whose ``i + shift`` lies between live samples."""
    whole = int(np.floor(shift))
    part = shift - whole
    low = max(first - whole, 0)
    high = end - whole - (1 if part > 0 else 0)
    return whole, part, low, high


@jit()
def _semblance(traces, first, end, index, row, begin, stop, slope, half, work):  # type: ignore[no-untyped-def]
    """Semblance along one slope, into ``work[0]``, over windows within the row's live window."""
    n_samples = traces.shape[1]
    work[:] = 0
    ratio, total, power, count = work[0], work[1], work[2], work[3]
    for near in range(begin, stop):
        if end[near] <= first[near]:
            continue
        whole, part, low, high = _reach(slope * (index[near] - index[row]), first[near], end[near])
        high = min(high, n_samples)
        step = 1 if part > 0 else 0
        trace = traces[near]
        for i in range(low, high):
            value = trace[i + whole] * (1 - part) + trace[i + whole + step] * part
            total[i] += value
            power[i] += value * value
            count[i] += 1
    above, below = work[4], work[5]
    for i in range(n_samples):
        above[i + 1] = above[i] + total[i] * total[i]
        below[i + 1] = below[i] + count[i] * power[i]
    for i in range(n_samples):
        low = min(max(i - half, first[row]), end[row])
        high = min(max(i + half + 1, first[row]), end[row])
        energy = below[high] - below[low]
        ratio[i] = (above[high] - above[low]) / energy if energy > 0 else 0.0


@jit()
def _estimate(traces, first, end, index, row, begin, stop, i, slope, median, values):  # type: ignore[no-untyped-def]
    """Median or mean of the live samples along a slope through sample i of a row."""
    found = 0
    for near in range(begin, stop):
        if end[near] <= first[near]:
            continue
        whole, part, low, high = _reach(slope * (index[near] - index[row]), first[near], end[near])
        if low <= i < high:
            step = 1 if part > 0 else 0
            value = traces[near, i + whole] * (1 - part) + traces[near, i + whole + step] * part
            k = found
            while median and k > 0 and values[k - 1] > value:
                values[k] = values[k - 1]
                k -= 1
            values[k] = value
            found += 1
    if found == 0:
        return 0.0
    if median:
        return 0.5 * (values[(found - 1) // 2] + values[found // 2])
    return values[:found].sum() / found


@jit("boolean(samples_in, indices, indices, indices, values, int64, int64, float64, boolean, samples_out, flag)")
def _slant_stack(  # type: ignore[no-untyped-def]
    traces, first, end, index, slopes, half_traces, half_window, least_semblance, median, out, flag
):
    n_traces, n_samples = traces.shape
    work = np.empty((6, n_samples + 1))
    values = np.empty(2 * half_traces + 2)
    best, choice = np.empty(n_samples), np.empty(n_samples, np.int64)
    out[:] = 0
    begin = stop = 0
    for row in range(n_traces):
        while index[begin] < index[row] - half_traces:
            begin += 1
        while stop < n_traces and index[stop] <= index[row] + half_traces:
            stop += 1
        if end[row] <= first[row]:
            continue
        best[:] = -1.0
        choice[:] = -1
        for k in range(len(slopes)):
            if cancelled(flag):
                return False
            _semblance(traces, first, end, index, row, begin, stop, slopes[k], half_window, work)
            for i in range(n_samples):
                if work[0, i] > best[i] + TIE and work[0, i] >= least_semblance:
                    best[i] = work[0, i]
                    choice[i] = k
        for i in range(n_samples):
            if choice[i] >= 0:
                slope = slopes[choice[i]]
                out[row, i] = _estimate(traces, first, end, index, row, begin, stop, i, slope, median, values)
    return True
