"""Which pairs of traces make the multiples of a trace, and the sum of their products: the reference form."""

from __future__ import annotations

import attrs
import numpy as np

from seisproc_core.errors import Cancelled


@attrs.frozen(eq=False)
class Pairs:
    """Of every trace the surface points, each with the rows of the two traces that meet there.

    Attributes
    ----------
    left, right
        Row of the trace from source to point, and from point to receiver, int64 ``(n_pairs,)``.
    weight
        Of each pair, float64 ``(n_pairs,)``.
    starts
        First pair of each trace and their number, int64 ``(n_traces + 1,)``.
    """

    left: np.ndarray
    right: np.ndarray
    weight: np.ndarray
    starts: np.ndarray


def pairs(
    source: np.ndarray,
    receiver: np.ndarray,
    midpoints: np.ndarray,
    first: np.ndarray,
    spacing_m: float,
    reach: int,
) -> Pairs:
    """The pairs of traces for places along a line, metres.

    Parameters
    ----------
    source, receiver
        Places of the traces that are wanted, float64 ``(n_traces,)``.
    midpoints, first
        Midpoints of the traces that there are, ascending in each class of offsets (multiples of `spacing_m`); the
        first row of each class, and their number.
    reach
        Points before and behind source and receiver; the outer quarter is tapered.
    """
    count = np.rint(np.abs(receiver - source) / spacing_m).astype(np.int64) + 2 * reach + 1
    row = np.repeat(np.arange(len(source)), count)
    place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    step = np.where(receiver >= source, spacing_m, -spacing_m)
    point = source[row] + step[row] * (place - reach)
    ramp = np.sin(np.pi / 2 * (np.arange(reach // 4) + 0.5) / max(reach // 4, 1)) ** 2
    inside = np.minimum(place, count[row] - 1 - place)  # points to the nearer end
    weight = np.append(ramp, 1.0)[np.minimum(inside, len(ramp))]
    held = np.repeat(np.arange(len(first) - 1), np.diff(first)) + 1j * midpoints
    left, right = (_nearest(held, first, a, b, spacing_m) for a, b in ((source[row], point), (point, receiver[row])))
    both = (left >= 0) & (right >= 0)
    starts = np.concatenate([[0], np.cumsum(np.bincount(row[both], minlength=len(source)))])
    return Pairs(left[both], right[both], weight[both], starts)


def _nearest(held: np.ndarray, first: np.ndarray, a: np.ndarray, b: np.ndarray, spacing_m: float) -> np.ndarray:
    """Rows whose offset is that between two places and whose midpoint is nearest, the lower of two; -1 for none.

    `held` is class and midpoint of every row as one complex number, by which rows ascend.
    """
    kind, midpoint = np.rint(np.abs(b - a) / spacing_m).astype(np.int64), 0.5 * (a + b)
    if len(first) < 2:
        return np.full(len(a), -1)
    known = kind < len(first) - 1
    kind = np.where(known, kind, 0)
    low, high = first[kind], first[kind + 1]
    known &= high > low
    after = np.searchsorted(held, kind + 1j * midpoint)
    before, after = np.maximum(after - 1, low), np.minimum(after, high - 1)
    near = np.where(known, before, 0), np.where(known, after, 0)
    away = [np.abs(held.imag[rows] - midpoint) for rows in near]
    return np.where(known, np.where(away[0] <= away[1], *near), -1)


def sum_of_products(spectra: np.ndarray, pairs: Pairs, out: np.ndarray, flag: np.ndarray) -> None:
    """Weighted sums of products of spectra: reference form.

    Parameters
    ----------
    spectra
        Of all traces, complex64 ``(n_rows, n_frequencies)``.
    pairs
        Which of them make each trace of the output.
    out
        complex64 ``(n_traces, n_frequencies)``.
    flag
        uint8 ``(1,)``, raised to cancel.

    Raises
    ------
    Cancelled
        When the flag was raised.
    """
    for row, (start, stop) in enumerate(zip(pairs.starts[:-1], pairs.starts[1:], strict=True)):
        if flag[0]:
            raise Cancelled
        left, right = spectra[pairs.left[start:stop]], spectra[pairs.right[start:stop]]
        out[row] = pairs.weight[start:stop] @ (left * right)
