"""Numba forms of the kernels; what they compute is said at the reference form of each."""

from __future__ import annotations

import numpy as np
from numba import types

from seisproc_core.errors import Cancelled
from seisproc_denoise.singletrace.aperture import CLIP, HARD, LEAST
from seisproc_numba import cancelled, jit

F32 = types.Array(types.float32, 2, "C")
F32_IN = types.Array(types.float32, 2, "C", readonly=True)
I64_IN = types.Array(types.int64, 2, "C", readonly=True)
FLAG = types.Array(types.uint8, 1, "C", readonly=True)
WINDOW = types.Array(types.int64, 1, "A", readonly=True)
VALUES_OUT = types.Array(types.float64, 1, "C")
VALUES = types.Array(types.float64, 1, "C", readonly=True)


def band_noise(
    reals: np.ndarray,
    parts: int,
    first: np.ndarray,
    end: np.ndarray,
    aperture: np.ndarray,
    out: np.ndarray,
    flag: np.ndarray,
) -> None:
    """`seisproc_denoise.singletrace.bands.band_noise`, by selection instead of sorting."""
    if not _band_noise(reals, parts, first, end, aperture, out, flag):
        raise Cancelled


def band_shrink(reals: np.ndarray, parts: int, limit: np.ndarray, shape: int, flag: np.ndarray) -> None:
    """`seisproc_denoise.singletrace.bands.band_shrink`, one pass."""
    if not _band_shrink(reals, parts, limit, shape, flag):
        raise Cancelled


def aperture_reject(
    reals: np.ndarray,
    parts: int,
    first: np.ndarray,
    end: np.ndarray,
    aperture: np.ndarray,
    factor: float,
    by_spread: bool,
    remedy: int,
    flag: np.ndarray,
) -> None:
    """`seisproc_denoise.singletrace.aperture.aperture_reject`, cell by cell."""
    if not _aperture_reject(reals, parts, first, end, aperture, factor, by_spread, remedy, flag):
        raise Cancelled


@jit()
def _sizes(reals, parts, begin, count, out):  # type: ignore[no-untyped-def]
    """Magnitudes of `count` cells of a trace from `begin` on."""
    if parts == 1:
        for i in range(count):
            out[i] = abs(reals[begin + i])
    else:
        for i in range(count):
            re, im = reals[2 * (begin + i)], reals[2 * (begin + i) + 1]
            out[i] = np.sqrt(re * re + im * im)


@jit()
def _median(values, count):  # type: ignore[no-untyped-def]
    """Median of the first `count` values, none negative; 0 of none.

    Bits of positive floats are ordered as they are: halving the range of bits and counting what lies below takes at
    most 31 passes without a branch, which vector units do faster than any selection.
    """
    if count == 0:
        return 0.0
    bits = values.view(np.int32)[:count]
    half = count // 2
    low, high = np.int32(0), np.int32(0)
    for i in range(count):
        high = max(high, bits[i])
    while low < high:
        middle = np.int32(low + (high - low) // 2)
        below = np.int32(0)
        for i in range(count):
            below = np.int32(below + np.int32(bits[i] <= middle))
        if below > half:
            high = middle
        else:
            low = np.int32(middle + 1)
    lower = low
    if count % 2 == 0:
        below, largest = np.int32(0), np.int32(0)
        for i in range(count):
            smaller = bits[i] < low
            below = np.int32(below + np.int32(smaller))
            largest = max(largest, bits[i] if smaller else np.int32(0))
        if below == half:
            lower = largest
    pair = np.array([lower, low], np.int32).view(np.float32)
    return (np.float64(pair[0]) + np.float64(pair[1])) / 2


@jit(types.boolean(F32_IN, types.int64, WINDOW, WINDOW, I64_IN, VALUES_OUT, FLAG))
def _band_noise(reals, parts, first, end, aperture, out, flag):  # type: ignore[no-untyped-def]
    scratch = np.empty(max(1, aperture.shape[1] * (reals.shape[1] // parts)), np.float32)
    for row in range(aperture.shape[0]):
        if cancelled(flag):
            return False
        count = 0
        for place in range(aperture.shape[1]):
            other = aperture[row, place]
            if other >= 0 and end[other] > first[other]:
                live = end[other] - first[other]
                _sizes(reals[other], parts, first[other], live, scratch[count : count + live])
                count += live
        out[row] = _median(scratch, count)
    return True


@jit(types.boolean(F32, types.int64, VALUES, types.int64, FLAG))
def _band_shrink(reals, parts, limit, shape, flag):  # type: ignore[no-untyped-def]
    cells = reals.shape[1] // parts
    size, zero, one = np.empty(cells, np.float32), np.float32(0), np.float32(1)
    for row in range(reals.shape[0]):
        if cancelled(flag):
            return False
        low, trace = np.float32(limit[row]), reals[row]
        _sizes(trace, parts, 0, cells, size)
        if shape == 0:
            for i in range(cells):
                size[i] = one - low / size[i] if size[i] > low else zero
        elif shape == 1:
            for i in range(cells):
                size[i] = one if size[i] > low else zero
        else:
            for i in range(cells):
                size[i] = one - (low / size[i]) * (low / size[i]) if size[i] > low else zero
        if parts == 1:
            for i in range(cells):
                trace[i] *= size[i]
        else:
            for i in range(cells):
                trace[2 * i] *= size[i]
                trace[2 * i + 1] *= size[i]
    return True


@jit()
def _sort(values, count):  # type: ignore[no-untyped-def]
    """Sort a few values by insertion."""
    for i in range(1, count):
        value, j = values[i], i - 1
        while j >= 0 and values[j] > value:
            values[j + 1] = values[j]
            j -= 1
        values[j + 1] = value


@jit()
def _middle(values, count):  # type: ignore[no-untyped-def]
    """Median of sorted values."""
    return (values[(count - 1) // 2] + values[count // 2]) * np.float32(0.5)


@jit()
def _deviation(values, count, middle):  # type: ignore[no-untyped-def]
    """Median distance of sorted values from their median: the nearest on either side, until half of them are taken."""
    below, above = (count - 1) // 2, (count - 1) // 2 + 1
    last = before = np.float32(0)
    for _ in range(count // 2 + 1):
        before = last
        down = abs(values[below] - middle) if below >= 0 else np.float32(np.inf)
        up = abs(values[above] - middle) if above < count else np.float32(np.inf)
        if down <= up:
            last = down
            below -= 1
        else:
            last = up
            above += 1
    return last if count % 2 else (before + last) * np.float32(0.5)


@jit(types.boolean(F32, types.int64, WINDOW, WINDOW, I64_IN, types.float64, types.boolean, types.int64, FLAG))
def _aperture_reject(reals, parts, first, end, aperture, factor, by_spread, remedy, flag):  # type: ignore[no-untyped-def]
    count, cells = reals.shape[0], reals.shape[1] // parts
    size = np.empty((count, cells), np.float32)
    for row in range(count):
        _sizes(reals[row], parts, 0, cells, size[row])
    values = np.empty(aperture.shape[1], np.float32)
    many, spread = np.float32(factor), np.float32(1.4826 * factor)
    for row in range(count):
        if cancelled(flag):
            return False
        for i in range(first[row], end[row]):
            found = 0
            for place in range(aperture.shape[1]):
                other = aperture[row, place]
                if other >= 0 and first[other] <= i < end[other]:
                    values[found] = size[other, i]
                    found += 1
            if found < LEAST:
                continue
            _sort(values, found)
            middle = _middle(values, found)
            limit = many * middle
            if by_spread:
                limit = middle + spread * _deviation(values, found, middle)
            if size[row, i] > limit:
                target = np.float32(0) if remedy == HARD else limit if remedy == CLIP else middle
                gain = target / size[row, i]
                for part in range(parts):
                    reals[row, parts * i + part] *= gain
    return True
