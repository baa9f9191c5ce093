"""Compiled form of f-x prediction; what it computes is said at the reference form."""

from __future__ import annotations

import numpy as np
from numba import types

from seisproc_core.errors import Cancelled
from seisproc_numba import cancelled, jit

BLOCK = 64  # columns worked on together: their traces stay in cache and fill the vector registers


def fx_predict(
    spectra: np.ndarray,
    alive: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    weights: np.ndarray,
    order: int,
    damping: float,
    out: np.ndarray,
    flag: np.ndarray,
) -> None:
    """`seisproc_denoise.multichannel.fx_decon.fx_predict`, blocks of columns side by side."""
    columns, result = spectra.view(np.float32), out.view(np.float32)
    if not _fx_predict(columns, alive, starts, stops, weights, order, damping, result, flag):
        raise Cancelled


@jit()
def _correlate(re, im, rows, first, end, order, cr, ci):  # type: ignore[no-untyped-def]
    """Sums over the equations of conj(x[n-i]) x[n-j] for i >= j; `rows` tells which equations count."""
    count = 0
    cr[:] = 0
    ci[:] = 0
    for n in range(first + order, end):
        if not rows[n]:
            continue
        count += 1
        for i in range(order + 1):
            ar, ai = re[n - i], im[n - i]
            for j in range(i + 1):
                br, bi, sr, si = re[n - j], im[n - j], cr[i, j], ci[i, j]
                for f in range(BLOCK):
                    sr[f] += ar[f] * br[f] + ai[f] * bi[f]
                    si[f] += ar[f] * bi[f] - ai[f] * br[f]
    return count


@jit()
def _both_ways(order, damping, cr, ci, ar, ai, pr, pi):  # type: ignore[no-untyped-def]
    """Lower triangle of the damped matrix, and the right side, of forward and backward equations."""
    mean = np.zeros(BLOCK)
    for i in range(order):
        for j in range(i + 1):
            # c[i+1, j+1] + c[L-j-1, L-i-1]: both below the diagonal.
            for f in range(BLOCK):
                ar[i, j, f] = cr[i + 1, j + 1, f] + cr[order - j - 1, order - i - 1, f]
                ai[i, j, f] = ci[i + 1, j + 1, f] + ci[order - j - 1, order - i - 1, f]
        for f in range(BLOCK):
            mean[f] += ar[i, i, f]
            pr[i, f] = cr[i + 1, 0, f] + cr[order, order - i - 1, f]
            pi[i, f] = ci[i + 1, 0, f] + ci[order, order - i - 1, f]
    for i in range(order):
        for f in range(BLOCK):
            ar[i, i, f] += damping * mean[f] / order + 1e-300


@jit()
def _solve(order, ar, ai, pr, pi):  # type: ignore[no-untyped-def]
    """Hermitian positive definite systems side by side, by L D L^H; the solution replaces the right side."""
    scale = np.empty(BLOCK)
    for k in range(order):
        for f in range(BLOCK):
            scale[f] = 1 / ar[k, k, f]
        for i in range(k + 1, order):
            lr, li = ar[i, k], ai[i, k]
            for j in range(k + 1, i + 1):
                # a[i, j] -= a[i, k] conj(a[j, k]) / a[k, k], before row i is divided
                mr, mi, sr, si = ar[j, k], ai[j, k], ar[i, j], ai[i, j]
                for f in range(BLOCK):
                    sr[f] -= (lr[f] * mr[f] + li[f] * mi[f]) * scale[f]
                    si[f] -= (li[f] * mr[f] - lr[f] * mi[f]) * scale[f]
        for i in range(k + 1, order):
            for f in range(BLOCK):
                ar[i, k, f] *= scale[f]
                ai[i, k, f] *= scale[f]
                pr[i, f] -= ar[i, k, f] * pr[k, f] - ai[i, k, f] * pi[k, f]
                pi[i, f] -= ar[i, k, f] * pi[k, f] + ai[i, k, f] * pr[k, f]
    for k in range(order - 1, -1, -1):
        for f in range(BLOCK):
            pr[k, f] /= ar[k, k, f]
            pi[k, f] /= ar[k, k, f]
        for i in range(k + 1, order):
            for f in range(BLOCK):
                pr[k, f] -= ar[i, k, f] * pr[i, f] + ai[i, k, f] * pi[i, f]
                pi[k, f] -= ar[i, k, f] * pi[i, f] - ai[i, k, f] * pr[i, f]


@jit()
def _add_prediction(re, im, n, sign, share, pr, pi, sr, si):  # type: ignore[no-untyped-def]
    """Add the prediction of trace n from before it (sign -1) or, conjugated, from after it (sign 1)."""
    for k in range(len(pr)):
        xr, xi = re[n + sign * (k + 1)], im[n + sign * (k + 1)]
        for f in range(BLOCK):
            qr, qi = share * pr[k, f], -sign * share * pi[k, f]
            sr[f] += qr * xr[f] - qi * xi[f]
            si[f] += qr * xi[f] + qi * xr[f]


@jit()
def _complete(alive, order):  # type: ignore[no-untyped-def]
    """Whether the `order` traces before, and after, each trace are all there and alive."""
    n_traces = len(alive)
    before, after = np.zeros(n_traces, np.bool_), np.zeros(n_traces, np.bool_)
    for n in range(n_traces):
        before[n] = n >= order
        after[n] = n + order < n_traces
        for k in range(1, order + 1):
            before[n] = before[n] and alive[n - k]
            after[n] = after[n] and alive[n + k]
    return before, after


@jit(
    types.boolean(
        types.Array(types.float32, 2, "C", readonly=True),
        types.Array(types.boolean, 1, "C", readonly=True),
        types.Array(types.int64, 1, "C", readonly=True),
        types.Array(types.int64, 1, "C", readonly=True),
        types.Array(types.float64, 2, "C", readonly=True),
        types.int64,
        types.float64,
        types.Array(types.float32, 2, "C"),
        types.Array(types.uint8, 1, "C", readonly=True),
    )
)
def _fx_predict(columns, alive, starts, stops, weights, order, damping, result, flag):  # type: ignore[no-untyped-def]
    n_traces, n_columns = columns.shape[0], columns.shape[1] // 2
    re, im = np.zeros((n_traces, BLOCK)), np.zeros((n_traces, BLOCK))
    sr, si = np.zeros((n_traces, BLOCK)), np.zeros((n_traces, BLOCK))
    cr, ci = np.empty((order + 1, order + 1, BLOCK)), np.empty((order + 1, order + 1, BLOCK))
    ar, ai = np.empty((order, order, BLOCK)), np.empty((order, order, BLOCK))
    pr, pi = np.empty((order, BLOCK)), np.empty((order, BLOCK))
    before, after = _complete(alive, order)
    rows = before & alive
    for column in range(0, n_columns, BLOCK):
        if cancelled(flag):
            return False
        width = min(BLOCK, n_columns - column)
        re[:] = 0
        im[:] = 0
        for n in range(n_traces):
            if alive[n]:
                for f in range(width):
                    re[n, f] = columns[n, 2 * (column + f)]
                    im[n, f] = columns[n, 2 * (column + f) + 1]
        sr[:] = 0
        si[:] = 0
        for window in range(len(starts)):
            start, stop = starts[window], stops[window]
            solved = _correlate(re, im, rows, start, stop, order, cr, ci) > 0
            if solved:
                _both_ways(order, damping, cr, ci, ar, ai, pr, pi)
                _solve(order, ar, ai, pr, pi)
            for n in range(start, stop):
                weight = weights[window, n - start]
                sides = int(before[n]) + int(after[n])
                if not solved or sides == 0:
                    for f in range(BLOCK):
                        sr[n, f] += weight * re[n, f]
                        si[n, f] += weight * im[n, f]
                    continue
                if before[n]:
                    _add_prediction(re, im, n, -1, weight / sides, pr, pi, sr[n], si[n])
                if after[n]:
                    _add_prediction(re, im, n, 1, weight / sides, pr, pi, sr[n], si[n])
        for n in range(n_traces):
            for f in range(width):
                result[n, 2 * (column + f)] = sr[n, f]
                result[n, 2 * (column + f) + 1] = si[n, f]
    return True
