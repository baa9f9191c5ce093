"""The compiled form of the stack. What it computes stands with the reference form."""

from __future__ import annotations

import numpy as np

from seisproc_core.errors import Cancelled
from seisproc_numba import cancelled, jit

EIGHT = 8  # traces summed at once


@jit()
def _add(row, w, low, high, total):  # type: ignore[no-untyped-def]
    """total += w row, from low to high."""
    part, into = row[low:high], total[low:high]
    for k in range(len(part)):
        into[k] += w * part[k]


@jit()
def _add_eight(traces, rows, low, high, total):  # type: ignore[no-untyped-def]
    """The same for eight traces of weight 1: sums are read and written once, and memory feeds eight readers better.

    Eight samples are added in single precision, by pairs: to make doubles of them takes as long as to read them.
    """
    a, b = traces[rows[0], low:high], traces[rows[1], low:high]
    c, d = traces[rows[2], low:high], traces[rows[3], low:high]
    e, f = traces[rows[4], low:high], traces[rows[5], low:high]
    g, h = traces[rows[6], low:high], traces[rows[7], low:high]
    into = total[low:high]
    for k in range(len(into)):
        into[k] += ((a[k] + b[k]) + (c[k] + d[k])) + ((e[k] + f[k]) + (g[k] + h[k]))


@jit()
def _live(first, end, weight, at, stop, rows):  # type: ignore[no-untyped-def]
    """The next live traces from `at` on, as many as `rows` holds; returns how many, and where to go on.

    And the samples that can be added at once: those live in all of them, if `rows` is full and every weight is 1.
    """
    found, low, high, plain = 0, 0, end[at], True
    while at < stop and found < len(rows):
        if end[at] > first[at] and weight[at] != 0:
            low = max(low, first[at])
            high = min(high, end[at]) if found else end[at]
            plain = plain and weight[at] == 1
            rows[found] = at
            found += 1
        at += 1
    return found, at, low, high if plain and found == len(rows) else low


@jit()
def _shared(first, end, weight, start, stop):  # type: ignore[no-untyped-def]
    """The live window that all live traces share, how many they are, and their sum of abs(w); no traces where not."""
    low, high, count, share = 0, 0, 0, 0.0
    for i in range(start, stop):
        if end[i] > first[i] and weight[i] != 0:
            if count and (first[i] != low or end[i] != high):
                return 0, 0, 0, 0.0
            low, high = first[i], end[i]
            count += 1
            share += abs(weight[i])
    return low, high, count, share


@jit()
def _fold(first, end, weight, start, stop, fold):  # type: ignore[no-untyped-def]
    """Number of live traces at each time, of the traces from start to stop: noted as differences, summed once."""
    fold[:] = 0
    for i in range(start, stop):
        if end[i] > first[i] and weight[i] != 0:
            fold[first[i]] += 1
            fold[end[i]] -= 1
    number = np.int32(0)
    for k in range(len(fold)):
        number += fold[k]
        fold[k] = number


@jit()
def _weights(first, end, weight, start, stop, fold, weights):  # type: ignore[no-untyped-def]
    """Sum of abs(w) at each time: where every weight is 1, the fold."""
    weights[:] = fold[: len(weights)]
    if np.all(np.abs(weight[start:stop]) == 1):
        return
    weights[:] = 0.0
    for i in range(start, stop):
        if end[i] > first[i]:
            weights[first[i] : end[i]] += abs(weight[i])


@jit()
def _sums(traces, first, end, weight, start, stop, total, rows, flag):  # type: ignore[no-untyped-def]
    """Weighted sum of the live samples of the traces from start to stop; False when told to stop."""
    total[:] = 0.0
    at = start
    while at < stop:
        if cancelled(flag):
            return False
        found, at, low, high = _live(first, end, weight, at, stop, rows)
        if low < high:
            _add_eight(traces, rows, low, high, total)
        else:
            low = high = len(total)
        for k in range(found):
            i = rows[k]
            if first[i] < low:
                _add(traces[i], weight[i], first[i], min(low, end[i]), total)
            if end[i] > high:
                _add(traces[i], weight[i], max(high, first[i]), end[i], total)
    return True


@jit(
    "boolean(samples_in, indices, indices, values, indices, float64, samples_out, indices_out, indices_out,"
    " indices_out, flag)"
)
def _stack(  # type: ignore[no-untyped-def]
    traces, first, end, weight, gather_starts, power, out, top, new_first, new_end, flag,
):  # fmt: skip
    n = traces.shape[1]
    total, weights, fold = np.empty(n), np.empty(n), np.empty(n + 1, np.int32)
    rows = np.empty(EIGHT, np.int64)
    at = 0
    for g in range(len(gather_starts) - 1):
        start, stop = gather_starts[g], gather_starts[g + 1]
        if start == stop:
            continue
        if not _sums(traces, first, end, weight, start, stop, total, rows, flag):
            return False
        low, high, count, share = _shared(first, end, weight, start, stop)
        made = out[at]
        if count > 0:
            made[:low] = 0.0
            made[low:high] = total[low:high] / share**power
            made[high:] = 0.0
            top[at], new_first[at], new_end[at] = count, low, high
            at += 1
            continue
        _fold(first, end, weight, start, stop, fold)
        _weights(first, end, weight, start, stop, fold, weights)
        if power != 1:
            weights[:] = weights**power
        for k in range(n):
            made[k] = total[k] / weights[k] if fold[k] > 0 else 0.0
        low, high = 0, n
        while low < high and fold[low] == 0:
            low += 1
        while high > low and fold[high - 1] == 0:
            high -= 1
        top[at] = fold.max()
        new_first[at], new_end[at] = (low, high) if low < high else (0, 0)
        at += 1
    return True


def stack(
    traces: np.ndarray,
    first: np.ndarray,
    end: np.ndarray,
    weight: np.ndarray,
    gather_starts: np.ndarray,
    normalise_power: float,
    out: np.ndarray,
    flag: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """See `seisproc_velocity.stack.stack`."""
    top, new_first, new_end = (np.empty(len(out), np.int64) for _ in range(3))
    if not _stack(traces, first, end, weight, gather_starts, normalise_power, out, top, new_first, new_end, flag):
        raise Cancelled
    return top, new_first, new_end
