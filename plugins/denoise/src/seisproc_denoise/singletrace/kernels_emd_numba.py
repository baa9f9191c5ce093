"""Numba forms of the kernels of mode decomposition; what they compute is said at the reference form of each."""

from __future__ import annotations

import numpy as np
from numba import types

from seisproc_core.errors import Cancelled
from seisproc_numba import cancelled, jit

TABLE = types.Array(types.float64, 2, "C")
TABLE_IN = types.Array(types.float64, 2, "C", readonly=True)
CUBE = types.Array(types.float64, 3, "C")
VALUES = types.Array(types.float64, 1, "C", readonly=True)
FLAG = types.Array(types.uint8, 1, "C", readonly=True)


def emd_modes(signals: np.ndarray, siftings: int, out: np.ndarray, flag: np.ndarray) -> None:
    """`seisproc_denoise.singletrace.emd.emd_modes`, with its own splines."""
    if not _emd_modes(signals, siftings, out, flag):
        raise Cancelled


def interval_shrink(modes: np.ndarray, limit: np.ndarray, shape: int, flag: np.ndarray) -> None:
    """`seisproc_denoise.singletrace.emd.interval_shrink`, one pass."""
    if not _interval_shrink(modes, limit, shape, flag):
        raise Cancelled


@jit()
def _maxima(signal, sign, knots, values):  # type: ignore[no-untyped-def]
    """Knots of the envelope of ``sign * signal``, continued evenly; 0 where there is no maximum inside."""
    last = len(signal) - 1
    count, inside = 2, 0  # room for two mirrored ones
    head, tail = 0, 0
    if sign * signal[0] > sign * signal[1]:
        knots[count] = 0
        count += 1
        head = 1
    for i in range(1, last):
        here = sign * signal[i]
        if here > sign * signal[i - 1] and here >= sign * signal[i + 1]:
            knots[count] = i
            count += 1
            inside += 1
    if inside == 0:
        return 0, 0
    if sign * signal[last] > sign * signal[last - 1]:
        knots[count] = last
        count += 1
        tail = 1
    begin, stop = 2, count
    for k in range(min(2, count - 2 - head)):
        begin -= 1
        knots[begin] = -knots[2 + head + k]
    for k in range(min(2, stop - 2 - tail)):
        knots[count] = 2 * last - knots[stop - 1 - tail - k]
        count += 1
    for k in range(begin, count):
        at = abs(knots[k])
        values[k] = sign * signal[2 * last - at if at > last else at]
    return begin, count


@jit()
def _add_envelope(knots, values, second, scratch, begin, stop, weight, out):  # type: ignore[no-untyped-def]
    """Add `weight` times the natural cubic spline through the knots to `out`, at every sample."""
    second[begin] = 0.0
    scratch[begin] = 0.0
    for k in range(begin + 1, stop - 1):
        left, right = knots[k] - knots[k - 1], knots[k + 1] - knots[k]
        slope = (values[k + 1] - values[k]) / right - (values[k] - values[k - 1]) / left
        pivot = 2.0 * (left + right) - left * scratch[k - 1]
        scratch[k] = right / pivot
        second[k] = (6.0 * slope - left * second[k - 1]) / pivot
    second[stop - 1] = 0.0
    for k in range(stop - 2, begin, -1):
        second[k] -= scratch[k] * second[k + 1]
    last = len(out) - 1
    for k in range(begin, stop - 1):
        low, width = knots[k], knots[k + 1] - knots[k]
        first = max(low, 0)
        end = min(knots[k + 1], last + 1) if k < stop - 2 else last + 1
        linear = (values[k + 1] - values[k]) / width - width * (2.0 * second[k] + second[k + 1]) / 6.0
        cubic = (second[k + 1] - second[k]) / (6.0 * width)
        for i in range(first, end):
            x = np.float64(i - low)
            out[i] += weight * (values[k] + x * (linear + x * (0.5 * second[k] + x * cubic)))


@jit(types.boolean(TABLE_IN, types.int64, CUBE, FLAG))
def _emd_modes(signals, siftings, out, flag):  # type: ignore[no-untyped-def]
    n = signals.shape[1]
    knots = np.empty(n + 4, np.int64)
    values, second, scratch, mean, rest = np.empty(n + 4), np.empty(n + 4), np.empty(n + 4), np.empty(n), np.empty(n)
    for row in range(signals.shape[0]):
        rest[:] = signals[row]
        for number in range(out.shape[1]):
            sifted = out[row, number]
            sifted[:] = rest
            for done in range(siftings):
                if cancelled(flag):
                    return False
                mean[:] = 0.0
                found = True
                for sign in (1.0, -1.0):
                    begin, stop = _maxima(sifted, sign, knots, values)
                    if stop == 0:
                        found = False
                        break
                    _add_envelope(knots, values, second, scratch, begin, stop, 0.5 * sign, mean)
                if not found:
                    if done == 0:
                        sifted[:] = 0.0
                    break
                sifted -= mean
            rest -= sifted
    return True


@jit(types.boolean(TABLE, VALUES, types.int64, FLAG))
def _interval_shrink(modes, limit, shape, flag):  # type: ignore[no-untyped-def]
    n = modes.shape[1]
    for row in range(modes.shape[0]):
        if cancelled(flag):
            return False
        mode, low, start = modes[row], limit[row], 0
        while start < n:
            positive, peak, stop = mode[start] > 0, 0.0, start
            while stop < n and (mode[stop] > 0) == positive:
                peak = max(peak, abs(mode[stop]))
                stop += 1
            gain = 0.0
            if peak > low:
                ratio = low / peak
                gain = 1.0 - ratio if shape == 0 else 1.0 if shape == 1 else 1.0 - ratio * ratio
            for i in range(start, stop):
                mode[i] *= gain
            start = stop
    return True
