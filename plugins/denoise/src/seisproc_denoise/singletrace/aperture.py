"""Apertures of neighbouring traces, and the rejection of what stands out of them."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np

from seisproc_core.errors import Cancelled
from seisproc_core.processing.context import Context
from seisproc_denoise.singletrace.bands import magnitudes

CHUNK = 64  # traces worked on together, beside their neighbours
DISTANCES = 1 << 16  # between traces, sorted at a time
LEAST = 3  # traces that make a median worth comparing with
HARD, CLIP, MEDIAN = 0, 1, 2  # what becomes of a cell that stands out


def nearest(count: int, width: int) -> np.ndarray:
    """The `width` traces round each of `count`, itself included; at the ends as many to one side.

    Returns
    -------
    ndarray
        int64 ``(count, min(width, count))``.
    """
    width = min(width, count)
    start = np.clip(np.arange(count) - width // 2, 0, count - width)
    near: np.ndarray = start[:, None] + np.arange(width)
    return near


def nearest_in_plane(x: np.ndarray, y: np.ndarray, width: int) -> np.ndarray:
    """The `width` traces nearest to each in a plane, itself included; ties go to the earlier trace.

    Parameters
    ----------
    x, y
        Positions, float64 ``(n_traces,)``, in like units.

    Returns
    -------
    ndarray
        int64 ``(n_traces, min(width, n_traces))``.
    """
    width = min(width, len(x))
    near = np.empty((len(x), width), np.int64)
    step = max(1, DISTANCES // max(len(x), 1))
    for start in range(0, len(x), step):
        rows = np.arange(start, min(start + step, len(x)))
        distance = (x - x[rows, None]) ** 2 + (y - y[rows, None]) ** 2
        distance[np.arange(len(rows)), rows] = -1
        near[rows] = np.argsort(distance, axis=1, kind="stable")[:, :width]
    return near


@attrs.frozen(eq=False)
class Chunk:
    """Some traces of a gather, with all that lie in their apertures.

    Attributes
    ----------
    rows
        The traces, in the gather.
    needed
        They and their neighbours, in the gather: ascending int64 ``(n,)``.
    mine
        Where `rows` are among `needed`.
    aperture
        Apertures counted within `needed`, int64 ``(n, k)``; -1 throughout for neighbours that are not `mine`.
    """

    rows: slice
    needed: np.ndarray
    mine: np.ndarray
    aperture: np.ndarray


def chunks(near: np.ndarray, context: Context) -> Iterator[Chunk]:
    """Cut a gather for work on neighbours; looks at the cancel flag before each chunk.

    Parameters
    ----------
    near
        Aperture of each trace, itself included, int64 ``(n_traces, k)``.
    """
    step = max(CHUNK, 4 * near.shape[1])
    for start in range(0, len(near), step):
        context.check()
        rows = slice(start, min(start + step, len(near)))
        needed, place = np.unique(near[rows], return_inverse=True)
        mine = np.searchsorted(needed, np.arange(rows.start, rows.stop))
        aperture = np.full((len(needed), near.shape[1]), -1)
        aperture[mine] = place.reshape(near[rows].shape)
        yield Chunk(rows, needed, mine, aperture)


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
    """Attenuate cells that stand out of the same cell of neighbouring traces, in place: reference form.

    With m the median of the magnitudes over the live cells of the aperture and d the median of their distance from m,
    cells of magnitude a above L = `factor` m, or L = m + `factor` 1.4826 d, are multiplied with 0 (remedy 0),
    L / a (1) or m / a (2). Cells with fewer than 3 live ones in their aperture stay as they are.

    Parameters
    ----------
    reals
        Cells as real numbers, float32 ``(n_traces, n_cells * parts)``.
    parts
        1 for real cells, 2 for complex ones.
    first, end
        Live cells of each trace, int64 ``(n_traces,)``.
    aperture
        Traces round each, int64 ``(n_traces, k)``, -1 for none.
    by_spread
        Take the second limit.
    flag
        uint8 ``(1,)``, raised to cancel.

    Raises
    ------
    Cancelled
        When the flag was raised.
    """
    size = magnitudes(reals, parts)
    cell = np.arange(size.shape[1])
    live = (cell >= first[:, None]) & (cell < end[:, None])
    known = np.where(live, size, np.float32(np.nan))
    cells = reals.reshape(*size.shape, parts)
    for start in range(0, len(size), CHUNK):
        if flag[0]:
            raise Cancelled
        rows = slice(start, start + CHUNK)
        near = aperture[rows]
        values = np.where((near >= 0)[:, :, None], known[near], np.float32(np.nan))
        count = np.isfinite(values).sum(axis=1)
        middle = _median(values, count)
        limit = np.float32(factor) * middle
        if by_spread:
            limit = middle + np.float32(1.4826 * factor) * _median(np.abs(values - middle[:, None]), count)
        out = (size[rows] > limit) & (count >= LEAST) & live[rows]
        target = (np.float32(0), limit, middle)[remedy]
        gain = np.divide(target, size[rows], out=np.ones_like(size[rows]), where=out)
        cells[rows] *= gain[:, :, None]


def _median(values: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Median over axis 1 of the values that are not NaN, of which there are `count`; 0 where there are none."""
    ordered = np.sort(values, axis=1)
    low = np.take_along_axis(ordered, (np.maximum(count - 1, 0) // 2)[:, None], axis=1)[:, 0]
    high = np.take_along_axis(ordered, np.minimum(count // 2, values.shape[1] - 1)[:, None], axis=1)[:, 0]
    return np.where(count > 0, (low + high) * np.float32(0.5), np.float32(0))
