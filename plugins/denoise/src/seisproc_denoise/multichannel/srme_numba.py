"""Compiled form of the sum over surface points; what it computes is said at the reference form."""

from __future__ import annotations

import numpy as np

from seisproc_core.errors import Cancelled
from seisproc_denoise.multichannel.srme_sum import Pairs
from seisproc_numba import cancelled, jit


def sum_of_products(spectra: np.ndarray, pairs: Pairs, out: np.ndarray, flag: np.ndarray) -> None:
    """`seisproc_denoise.multichannel.srme_sum.sum_of_products`, one trace after the other."""
    parts, sums = spectra.view(np.float32), out.view(np.float32)
    if not _sums(parts, pairs.left, pairs.right, pairs.weight, pairs.starts, sums, flag):
        raise Cancelled


@jit("boolean(table32, indices, indices, values, indices, samples_out, flag)")
def _sums(spectra, left, right, weight, starts, out, flag):  # type: ignore[no-untyped-def]
    count = spectra.shape[1] // 2
    real, imaginary = np.empty(count, np.float32), np.empty(count, np.float32)
    for row in range(len(starts) - 1):
        if cancelled(flag):
            return False
        real[:] = 0
        imaginary[:] = 0
        for pair in range(starts[row], starts[row + 1]):
            a, b, share = spectra[left[pair]], spectra[right[pair]], np.float32(weight[pair])
            for f in range(count):
                ar, ai, br, bi = a[2 * f], a[2 * f + 1], b[2 * f], b[2 * f + 1]
                real[f] += share * (ar * br - ai * bi)
                imaginary[f] += share * (ar * bi + ai * br)
        for f in range(count):
            out[row, 2 * f] = real[f]
            out[row, 2 * f + 1] = imaginary[f]
    return True
