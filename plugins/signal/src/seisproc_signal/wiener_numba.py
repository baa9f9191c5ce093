"""Numba forms of the kernels of `seisproc_signal.wiener`; what they compute is said there."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from seisproc_core.errors import Cancelled
from seisproc_numba import cancelled, jit
from seisproc_numba.compiling import make_array
from seisproc_signal.wiener import SINGULAR

LAGS = 24  # lags summed at a time
TILE = 512  # samples of a tile: its sums stay in the first-level cache


def autocorrelate(traces: np.ndarray, first: np.ndarray, end: np.ndarray, out: np.ndarray, flag: np.ndarray) -> None:
    """`seisproc_signal.wiener.autocorrelate`, by direct summation."""
    if not _autocorrelate(traces, first, end, out, flag):
        raise Cancelled


def levinson(auto: np.ndarray, cross: np.ndarray, out: np.ndarray, flag: np.ndarray) -> None:
    """`seisproc_signal.wiener.levinson`, row by row."""
    if not _levinson(np.ascontiguousarray(auto), np.ascontiguousarray(cross), out, flag):
        raise Cancelled


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
    """`seisproc_signal.wiener.convolve`, by direct summation in float32."""
    if not _convolve(traces, first, end, filters, first_lag, identity, out_first, out_end, out, flag):
        raise Cancelled


def _lag_sums_code(typingctx: Any, x: Any, length: Any, k: Any, sums: Any) -> Any:
    """``sums[j] = sum(x[i] * x[i + k + j] for i in range(length))`` for `LAGS` successive j, held in vector registers.

    Numba compiles without the vectoriser that would find this; each sum keeps the order of its samples.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        four = ir.VectorType(ir.DoubleType(), 4)
        splat = ir.Constant(ir.VectorType(ir.IntType(32), 4), [0] * 4)
        data, result = (make_array(signature.args[n])(context, builder, args[n]).data for n in (0, 3))
        alloca: Any = cgutils.alloca_once_value
        totals = [alloca(builder, ir.Constant(four, [0.0] * 4)) for _ in range(LAGS // 4)]
        with cgutils.for_range(builder, args[1]) as loop:
            sample = builder.insert_element(
                ir.Constant(four, ir.Undefined), builder.load(builder.gep(data, [loop.index])), ir.IntType(32)(0)
            )
            spread = builder.shuffle_vector(sample, sample, splat)
            ahead = builder.gep(data, [builder.add(loop.index, args[2])])
            for n, total in enumerate(totals):
                part = builder.gep(ahead, [ir.IntType(64)(4 * n)])
                product = builder.fmul(spread, builder.load(builder.bitcast(part, four.as_pointer()), align=8))
                builder.store(builder.fadd(builder.load(total), product), total)
        for n, total in enumerate(totals):
            part = builder.gep(result, [ir.IntType(64)(4 * n)])
            builder.store(builder.load(total), builder.bitcast(part, four.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(x, types.intp, types.intp, sums), codegen


_lag_sums: Any = intrinsic(_lag_sums_code)


@jit("boolean(samples_in, indices, indices, table_out, flag)")
def _autocorrelate(traces, first, end, out, flag):  # type: ignore[no-untyped-def]
    lags = out.shape[1]
    sums = np.empty((lags + LAGS - 1) // LAGS * LAGS)
    padded = np.zeros(traces.shape[1] + len(sums))
    for row in range(traces.shape[0]):
        start, stop = first[row], end[row]
        length = max(stop - start, 0)
        for i in range(length):
            padded[i] = traces[row, start + i]
        padded[length:] = 0.0
        for k in range(0, lags, LAGS):
            if cancelled(flag):
                return False
            _lag_sums(padded, length, k, sums[k:])
        out[row] = sums[:lags]
    return True


@jit()
def _dot(a, b):  # type: ignore[no-untyped-def]
    """Inner product in four chains, which hide an addition's latency."""
    n = len(a)
    s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
    whole = n - n % 4
    for i in range(0, whole, 4):
        s0 += a[i] * b[i]
        s1 += a[i + 1] * b[i + 1]
        s2 += a[i + 2] * b[i + 2]
        s3 += a[i + 3] * b[i + 3]
    for i in range(whole, n):
        s0 += a[i] * b[i]
    return (s0 + s1) + (s2 + s3)


@jit()
def _solve(r, reverse, g, predict, before, f):  # type: ignore[no-untyped-def]
    """Levinson's recursion. `before` holds the last predictor backwards, `reverse` the autocorrelation."""
    n = len(r)
    f[:] = 0.0
    if not r[0] > 0:
        return
    for i in range(n):
        reverse[i] = r[n - 1 - i]
    error, limit = r[0], SINGULAR * r[0]
    predict[0] = 1.0
    f[0] = g[0] / error
    for j in range(1, n):
        back = reverse[n - 1 - j : n - 1]
        reflection = _dot(predict[:j], back) / error
        if not error * (1 - reflection * reflection) > limit:
            return
        predict[j] = 0.0
        for i in range(j + 1):
            before[i] = predict[j - i]
        error *= 1 - reflection * reflection
        step = (g[j] - _dot(f[:j], back)) / error
        for i in range(j + 1):
            predict[i] -= reflection * before[i]
        for i in range(j + 1):
            f[i] += step * predict[j - i]


@jit("boolean(table, table, table_out, flag)")
def _levinson(auto, cross, out, flag):  # type: ignore[no-untyped-def]
    n = auto.shape[1]
    reverse, predict, before = np.empty(n), np.empty(n), np.empty(n)
    for row in range(auto.shape[0]):
        if cancelled(flag):
            return False
        _solve(auto[row], reverse, cross[row], predict, before, out[row])
    return True


@jit()
def _add_taps(padded, f0, f1, f2, f3, total):  # type: ignore[no-untyped-def]
    """Add four successive taps of a filter; the inner loop is over samples."""
    n = len(total)
    x0, x1, x2, x3 = padded[3 : n + 3], padded[2 : n + 2], padded[1 : n + 1], padded[:n]
    for i in range(n):
        total[i] += (f0 * x0[i] + f1 * x1[i]) + (f2 * x2[i] + f3 * x3[i])


@jit("boolean(samples_in, indices, indices, table, indices, float64, indices, indices, samples_out, flag)")
def _convolve(  # type: ignore[no-untyped-def]
    traces, first, end, filters, first_lag, identity, out_first, out_end, out, flag
):
    n, taps = traces.shape[1], filters.shape[1]
    rounded = (taps + 3) // 4 * 4
    operator = np.zeros(rounded, np.float32)
    # Three stretches: zeros as long as a trace and the taps, the trace, zeros again; any lag stays inside.
    margin = n + rounded
    padded = np.zeros(n + 2 * margin, np.float32)
    trace = padded[margin : margin + n]
    for row in range(traces.shape[0]):
        trace[:] = 0
        trace[first[row] : end[row]] = traces[row, first[row] : end[row]]
        for j in range(taps):
            operator[j] = np.float32(filters[row, j])
        low, high = out_first[row], max(out_end[row], out_first[row])
        out[row, :low] = 0
        out[row, high:] = 0
        lag = min(max(first_lag[row], -n - rounded), n)
        for begin in range(low, high, TILE):
            if cancelled(flag):
                return False
            total = out[row, begin : min(begin + TILE, high)]
            for i in range(len(total)):
                total[i] = np.float32(identity) * trace[begin + i]
            for j in range(0, rounded, 4):
                _add_taps(
                    padded[margin + begin - lag - j - 3 :],
                    operator[j], operator[j + 1], operator[j + 2], operator[j + 3], total,
                )  # fmt: skip
    return True
