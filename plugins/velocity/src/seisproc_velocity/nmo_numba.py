"""The compiled form of NMO. What they compute, and why, stands with the reference forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from seisproc_core.errors import Cancelled
from seisproc_numba import cancelled, jit
from seisproc_velocity.moveout import EDGE, PAD, Moveout
from seisproc_velocity.sinc import PHASES, TAPS

BEFORE = TAPS // 2 - 1  # taps before the sample an operator belongs to
BLOCK = 64  # traces between looks at the flag, where a trace takes about a microsecond


@jit()
def _time(row, i, x2, start, dt):  # type: ignore[no-untyped-def]
    """Time t at the offset whose square is x2 of what belongs to sample i at zero offset."""
    t0 = start + i * dt
    return math.sqrt(t0 * t0 + x2 * row[i + 1])


@jit()
def _rate(row, i, x2, start, dt, su):  # type: ignore[no-untyped-def]
    """dt/dt0 at sample i, the velocity gradient included."""
    if su:
        i = max(i, min(1, len(row) - 3))
        return (_time(row, i, x2, start, dt) - _time(row, i - 1, x2, start, dt)) / dt if i > 0 else 1.0
    t = _time(row, i, x2, start, dt)
    return (start + i * dt + x2 * (row[i + 2] - row[i]) / (4 * dt)) / t if t > 0 else 1.0


@jit()
def _stretched(row, i, x2, start, dt, lowest_rate, su):  # type: ignore[no-untyped-def]
    """Whether _rate is below lowest_rate: squared where it can be, because roots and quotients are slow."""
    if su or lowest_rate <= 0:
        return _rate(row, i, x2, start, dt, su) < lowest_rate
    t0 = start + i * dt
    squared = t0 * t0 + x2 * row[i + 1]
    if squared <= 0:
        return lowest_rate > 1.0
    moved = t0 + x2 * (row[i + 2] - row[i]) * (0.25 / dt)
    return moved < 0 or moved * moved < lowest_rate * lowest_rate * squared


@jit()
def _mute(row, x2, start, dt, source, lowest_rate, scan_up, su):  # type: ignore[no-untyped-def]
    """First sample that survives the stretch mute."""
    n = len(row) - 2
    if scan_up:
        for i in range(n - 1, source - 1, -1):
            if _stretched(row, i, x2, start, dt, lowest_rate, su):
                return i if su else i + 1
        return source
    for i in range(source, n):
        if not _stretched(row, i, x2, start, dt, lowest_rate, su):
            return i
    return n


@jit()
def _path(row, x2, start, dt, lowest_rate, scan_up, ramp, scale, su, position, gain):  # type: ignore[no-untyped-def]
    """Positions and gains of NMO below the mute; returns the first sample that survives it."""
    n = len(position)
    source = 0
    while source < n and start + source * dt < -EDGE * dt:
        source += 1
    begin = _mute(row, x2, start, dt, source, lowest_rate, scan_up, su)
    gain[begin:] = 1.0
    # Counted from 0, indices need no care of negative ones, and the loop is vectorised.
    below, slowness_squared = position[begin:], row[begin + 1 : n + 1]
    for k in range(n - begin):
        t0 = start + (begin + k) * dt
        below[k] = (math.sqrt(t0 * t0 + x2 * slowness_squared[k]) - start) * (1.0 / dt)
    if scale:
        for i in range(begin, n):
            gain[i] = _rate(row, i, x2, start, dt, su)
    if ramp > 1 and (su or begin > source):
        for k in range(min(ramp, n - begin)):
            gain[begin + k] *= (k + 1) / ramp
    return begin


@jit()
def _anisotropic(row, eta, x2, start, dt, delay):  # type: ignore[no-untyped-def]
    """t^2 - t0^2 of a medium with eta, at one sample before the first to one after the last."""
    for i in range(len(row)):
        t0 = start + (i - 1) * dt
        hyperbola = x2 * row[i]
        far = t0 * t0 + (1 + 2 * eta[i]) * hyperbola
        delay[i] = hyperbola - 2 * eta[i] * hyperbola * hyperbola / far if far > 0 else hyperbola


@jit()
def _inverse(row, x2, start, dt, begin, scale, su, position, gain, undone):  # type: ignore[no-untyped-def]
    """Positions (into `undone`) and gains of the inverse from the positions of NMO; returns its window."""
    n = len(position)
    if begin >= n:
        return n, n
    top = n - 1
    while top > begin and position[top] > position[top - 1]:
        top -= 1
    low = min(n, max(0, math.ceil(position[top] - EDGE)))
    high = max(low, min(n, math.floor(position[n - 1] + EDGE) + 1))
    k = top
    for i in range(low, high):
        while k < n - 2 and position[k + 1] < i:
            k += 1
        part = (i - position[k]) / (position[k + 1] - position[k]) if k < n - 1 else 0.0
        undone[i] = k + min(max(part, 0.0), 1.0)
        gain[i] = 1.0
    for i in range(low, high if scale else low):
        if su:
            j = max(i, low + 1)
            gain[i] = undone[j] - undone[j - 1] if j < high else 1.0
        else:
            j = int(undone[i])
            rate = _rate(row, j, x2, start, dt, su)
            rate += (undone[i] - j) * (_rate(row, min(j + 1, n - 1), x2, start, dt, su) - rate)
            gain[i] = 1.0 / rate
    return low, high


def _dot8_code(typingctx: Any, a: Any, i: Any, b: Any, j: Any) -> Any:
    """``sum(a[i:i+8] * b[j:j+8])`` of float32 arrays as one vector product, summed in the fixed order of a tree.

    Numba compiles without the vectoriser that would find this; addition in another order would not be IEEE.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        eight = ir.VectorType(ir.FloatType(), 8)

        def load(k: int) -> Any:
            data = context.make_array(signature.args[k])(context, builder, args[k]).data
            start = builder.gep(data, [args[k + 1]])
            return builder.load(builder.bitcast(start, eight.as_pointer()), align=4)

        total = builder.fmul(load(0), load(2))
        for half in (4, 2, 1):
            low, high = (ir.Constant(ir.VectorType(ir.IntType(32), half), list(range(k, k + half))) for k in (0, half))
            total = builder.fadd(builder.shuffle_vector(total, total, low), builder.shuffle_vector(total, total, high))
        return builder.extract_element(total, ir.Constant(ir.IntType(32), 0))

    return types.float32(a, types.intp, b, types.intp), codegen


_dot8: Any = intrinsic(_dot8_code)


@jit()
def _locate(position, begin, end, where):  # type: ignore[no-untyped-def]
    """First tap (in the padded trace) and phase of every position, as one count of 1/512 samples."""
    highest = len(position) + 3.0
    part, found = position[begin:end], where[begin:end]
    for k in range(len(part)):
        inside = part[k]
        inside = inside if inside > -5.0 else -5.0
        inside = inside if inside < highest else highest
        found[k] = np.int32((inside + (PAD - BEFORE)) * PHASES + 0.5)


@jit()
def _interpolate(padded, weights, where, gain, begin, end, out):  # type: ignore[no-untyped-def]
    """One output trace; the shift and the mask part sample and phase."""
    for i in range(begin, end):
        out[i] = _dot8(padded, where[i] >> 9, weights, (where[i] & (PHASES - 1)) * TAPS) * gain[i]


@jit(
    "boolean(samples_in, indices, indices, values, indices, indices, table, table, float64, float64, table32,"
    " float64, boolean, int64, boolean, boolean, boolean, samples_out, indices_out, indices_out, flag)"
)
def _nmo(  # type: ignore[no-untyped-def]
    traces, first, end, offset, function, order, slowness_squared, eta, start, dt, weights, lowest_rate, scan_up, ramp,
    scale, inverse, su, out, new_first, new_end, flag,
):  # fmt: skip
    n = traces.shape[1]
    margin = TAPS / 2 if su else EDGE
    padded = np.zeros(n + 2 * PAD, np.float32)
    path, undone = np.empty(n, np.float64), np.empty(n, np.float64)
    delay = np.empty(n + 2, np.float64)
    gain = np.empty(n, np.float32)
    where = np.empty(n, np.int32)
    flat_weights = weights.ravel()
    begin, stop = 0, 0
    position = undone if inverse else path
    last_function, last_offset = -1, -1.0
    for i in order:
        if cancelled(flag):
            return False
        new_first[i] = new_end[i] = 0
        if function[i] != last_function or offset[i] != last_offset:
            last_function, last_offset = function[i], offset[i]
            row, x2 = slowness_squared[last_function], last_offset * last_offset
            if len(eta):
                _anisotropic(row, eta[last_function], x2, start, dt, delay)
                row, x2 = delay, 1.0
            begin, stop = _path(row, x2, start, dt, lowest_rate, scan_up, ramp, scale, su, path, gain), n
            if inverse:
                begin, stop = _inverse(row, x2, start, dt, begin, scale, su, path, gain, undone)
            _locate(position, begin, stop, where)
        low, high = begin, stop
        above, below = first[i] - margin, end[i] - 1 + margin
        while low < high and not (above <= position[low] <= below):
            low += 1
        while high > low and not (above <= position[high - 1] <= below):
            high -= 1
        if high <= low or end[i] <= first[i]:
            out[i] = 0.0
            continue
        padded[PAD : PAD + first[i]] = 0.0
        padded[PAD + first[i] : PAD + end[i]] = traces[i, first[i] : end[i]]
        padded[PAD + end[i] :] = 0.0
        out[i, :low] = 0.0
        _interpolate(padded, flat_weights, where, gain, low, high, out[i])
        out[i, high:] = 0.0
        new_first[i], new_end[i] = low, high
    return True


def nmo(
    traces: np.ndarray,
    first: np.ndarray,
    end: np.ndarray,
    offset: np.ndarray,
    function: np.ndarray,
    moveout: Moveout,
    out: np.ndarray,
    flag: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """See `seisproc_velocity.moveout.nmo`. Traces of equal offset and velocity follow each other: they share a path."""
    new_first, new_end = np.empty(len(traces), np.int64), np.empty(len(traces), np.int64)
    m = moveout
    order = np.lexsort((offset, function))
    done = _nmo(
        traces, first, end, offset, function, order, m.slowness_squared, m.eta, m.start_s, m.interval_s,
        m.weights, m.lowest_rate, m.scan_up, m.ramp, m.scale, m.inverse, m.su, out, new_first, new_end, flag,
    )  # fmt: skip
    if not done:
        raise Cancelled
    return new_first, new_end
