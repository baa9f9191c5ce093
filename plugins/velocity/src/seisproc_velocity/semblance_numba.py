"""Compiled form of velocity spectra. What it computes, and why, stands with the reference in `semblance`."""

from __future__ import annotations

import math

import numpy as np

from seisproc_core.errors import Cancelled
from seisproc_numba import cancelled, jit
from seisproc_velocity.semblance import EDGE, LEAST_TRACES, Trial


@jit()
def _window(first, end, u, mute_ratio, start, dt, n, su):  # type: ignore[no-untyped-def]
    """Samples whose hyperbola t^2 = t0^2 + u runs inside the live window, below the stretch mute."""
    top = (mute_ratio * math.sqrt(u) - start) / dt
    top = math.floor(top) if su else max(top, -start / dt) - EDGE
    low = max(0, math.ceil(top))
    # The hyperbola solved for t0 comes within a sample of each end; comparing positions settles it.
    starts = start + (first - EDGE) * dt
    if starts > 0 and starts * starts > u:
        low = max(low, int((math.sqrt(starts * starts - u) - start) / dt) - 1)
    stops = start + (end - 1 + EDGE) * dt
    if stops < 0 or stops * stops < u:
        return 0, 0
    high = min(n, int((math.sqrt(stops * stops - u) - start) / dt) + 3)
    while low < high and _position(low, u, start, dt) < first - EDGE:
        low += 1
    while high > low and _position(high - 1, u, start, dt) > end - 1 + EDGE:
        high -= 1
    return low, high


@jit()
def _position(i, u, start, dt):  # type: ignore[no-untyped-def]
    t0 = start + i * dt
    return (math.sqrt(t0 * t0 + u) - start) / dt


@jit()
def _ratios(coherent, power, before, after, every, out):  # type: ignore[no-untyped-def]
    n = len(coherent)
    for k in range(len(out)):
        i = k * every
        above, below = 0.0, 0.0
        # A window without a sample, before + after = 0, is the sample itself.
        for j in range(max(0, i - before), min(n, max(i + after, i - before + 1))):
            above += coherent[j]
            below += power[j]
        out[k] = above / below if below > 0 else 0.0


@jit()
def _flatten(live, low, high, u, start, dt, first, tap, part, value):  # type: ignore[no-untyped-def]
    """Samples low to high of one trace after NMO, into the first places of `value`."""
    # Loops of one kind of work each, counted from 0, are vectorised; 32 bits are enough for the index of a sample.
    taps, parts = tap[: high - low], part[: high - low]
    for k in range(len(taps)):
        t0 = start + (low + k) * dt
        place = (math.sqrt(t0 * t0 + u) - start) * (1.0 / dt)
        taps[k] = np.int32(place)
        parts[k] = place - taps[k]
    values = value[: high - low]
    for k in range(len(values)):
        before = max(taps[k], first)
        inside = parts[k] if taps[k] == before else 0.0  # rounding put it a hair above the first live sample
        values[k] = live[before] + inside * (live[before + 1] - live[before])


@jit()
def _add(values, fold, total, square, su):  # type: ignore[no-untyped-def]
    """Add a trace to fold, sum and sum of squares at each time."""
    for k in range(len(values)):
        a = values[k]
        total[k] += a
        square[k] += a * a
    if su:
        for k in range(len(values)):
            fold[k] += 1.0 if values[k] != 0 else 0.0
    else:
        for k in range(len(values)):
            fold[k] += 1.0


@jit()
def _add_ab(values, low, u, start, dt, p, pp, pa, su):  # type: ignore[no-untyped-def]
    """Add a trace to the sums over sin^2 of its angles."""
    for k in range(len(values)):
        t0 = start + (low + k) * dt
        sine_squared = u / (t0 * t0 + u)
        counted = 0.0 if su and values[k] == 0 else sine_squared
        p[k] += counted
        pp[k] += counted * counted
        pa[k] += counted * values[k]


@jit()
def _energies(least_traces, stack_power, ab, fold, total, square, p, pp, pa):  # type: ignore[no-untyped-def]
    """Coherent power into `total`, total power into `square`."""
    for i in range(len(total)):
        n, sum_ = fold[i], total[i]
        if n < least_traces:
            n, sum_, square[i] = 0.0, 0.0, 0.0
        if stack_power:
            total[i] = (sum_ / n) * (sum_ / n) if n > 0 else 0.0
            square[i] = 1.0 if n > 0 else 0.0
            continue
        total[i] = sum_ * sum_
        square[i] *= n
        if ab and n >= LEAST_TRACES:
            spread = n * pp[i] - p[i] * p[i]
            if spread > 1e-9 * n * n:
                slope = n * pa[i] - p[i] * sum_
                total[i] += slope * slope / spread


@jit(
    "boolean(samples_in, indices, indices, values, indices, values, float64, float64, int64, int64, int64, float64,"
    " int64, boolean, boolean, boolean, samples_out, flag)"
)
def _spectra(  # type: ignore[no-untyped-def]
    traces, first, end, offset, gather_starts, velocities, start, dt, before, after, every, mute_ratio, least_traces,
    stack_power, ab, su, out, flag,
):  # fmt: skip
    n, nv = traces.shape[1], len(velocities)
    sums = np.empty((6, n))
    fold, total, square, p, pp, pa = sums[0], sums[1], sums[2], sums[3], sums[4], sums[5]
    tap, part, value = np.empty(n, np.int32), np.empty(n), np.empty(n)
    live = np.zeros(n + 1)
    row = 0
    for g in range(len(gather_starts) - 1):
        if gather_starts[g + 1] == gather_starts[g]:
            continue
        for iv in range(nv):
            sums[:] = 0.0
            for j in range(gather_starts[g], gather_starts[g + 1]):
                if cancelled(flag):
                    return False
                a, b = first[j], end[j]
                if b <= a:
                    continue
                delay = offset[j] / velocities[iv]
                u = delay * delay
                low, high = _window(a, b, u, mute_ratio, start, dt, n, su)
                if high > low:
                    live[a:b] = traces[j, a:b]
                    live[b] = live[b - 1]
                    _flatten(live, low, high, u, start, dt, a, tap, part, value)
                    values = value[: high - low]
                    _add(values, fold[low:high], total[low:high], square[low:high], su)
                    if ab and u > 0:
                        _add_ab(values, low, u, start, dt, p[low:high], pp[low:high], pa[low:high], su)
            _energies(least_traces, stack_power, ab, fold, total, square, p, pp, pa)
            _ratios(total, square, before, after, every, out[row])
            row += 1
    return True


def spectra(
    traces: np.ndarray,
    first: np.ndarray,
    end: np.ndarray,
    offset: np.ndarray,
    gather_starts: np.ndarray,
    options: Trial,
    out: np.ndarray,
    flag: np.ndarray,
) -> None:
    """See `seisproc_velocity.semblance.spectra`."""
    o = options
    done = _spectra(
        traces, first, end, offset, gather_starts, o.velocities, o.start_s, o.interval_s, o.before, o.after, o.every,
        o.mute_ratio, o.least_traces, o.measure == "stack_power", o.measure == "ab", o.su, out, flag,
    )  # fmt: skip
    if not done:
        raise Cancelled
