"""New rows between traces of a gather: which, and what their header words become."""

from __future__ import annotations

import attrs
import numpy as np

from seisproc_core.data.gather import Layout
from seisproc_core.data.headers import Headers
from seisproc_core.data.words import DEAD, TRACE_ID, word

MADE = 1 << 62  # bit of trace_id that tells traces made between others from traces read


@attrs.frozen(eq=False)
class Rows:
    """Rows of the output: each stands between two rows of the input, or on one.

    Attributes
    ----------
    left, right
        Neighbouring input rows, int64 ``(n_rows,)``; equal where the row is an input row.
    part
        Where the row stands between them, 0 to 1.
    starts
        First row of each gather and the row count.
    """

    left: np.ndarray
    right: np.ndarray
    part: np.ndarray
    starts: np.ndarray

    @property
    def new(self) -> np.ndarray:
        """Which rows are not in the input."""
        new: np.ndarray = self.left != self.right
        return new

    def layout(self, layout: Layout) -> Layout:
        """Headers and gathers of the output.

        A new row copies the words of the row to its left; lengths, coordinates and elevations are interpolated, the
        live window is what both neighbours have, and `trace_id` is one of its own.
        """
        headers = layout.headers.take(self.left)
        first, end = layout.live_window
        begin = np.maximum(first[self.left], first[self.right])
        headers = self._interpolated(layout.headers, headers)
        stop = np.maximum(np.minimum(end[self.left], end[self.right]), begin)
        headers = headers.with_live_window(begin, stop)
        if DEAD in layout.headers:
            dead = layout.headers.column(DEAD)
            headers = headers.with_columns(**{DEAD: np.maximum(dead[self.left], dead[self.right])})
        if TRACE_ID in layout.headers:
            ids = layout.headers.column(TRACE_ID)
            made = np.where(self.new, _mixed(ids[self.left], ids[self.right], self.part), ids[self.left])
            headers = headers.with_columns(**{TRACE_ID: made})
        return Layout(headers=headers, sampling=layout.sampling, gather_starts=self.starts)

    def _interpolated(self, before: Headers, headers: Headers) -> Headers:
        for name in before:
            if word(name).kind in ("coordinate", "elevation", "length"):
                values = before[name]
                between = values[self.left] * (1 - self.part) + values[self.right] * self.part
                headers = headers.with_values(name, between)
        return headers


def revived(layout: Layout) -> Layout:
    """Dead rows made live where their gather has live ones: the window that the nearest of them have."""
    first, end = (values.copy() for values in layout.live_window)
    alive = end > first
    for start, stop in zip(layout.gather_starts[:-1], layout.gather_starts[1:], strict=True):
        live = start + np.flatnonzero(alive[start:stop])
        dead = start + np.flatnonzero(~alive[start:stop])
        if len(live):
            above = live[np.searchsorted(live, dead).clip(max=len(live) - 1)]
            below = live[(np.searchsorted(live, dead) - 1).clip(min=0)]
            first[dead] = np.maximum(first[below], first[above])
            end[dead] = np.maximum(np.minimum(end[below], end[above]), first[dead])
    headers = layout.headers.with_live_window(first, end)
    if DEAD in headers:
        headers = headers.with_columns(**{DEAD: np.where(end > first, 0, headers.column(DEAD)).astype(np.uint8)})
    return attrs.evolve(layout, headers=headers)


def _mixed(left: np.ndarray, right: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Ids that depend on both neighbours and the place between them (splitmix64), with the bit `MADE`."""
    mixed = left.astype(np.uint64)
    for other in (right.astype(np.uint64), np.rint(part * (1 << 20)).astype(np.uint64)):
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + other
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(31)
    made: np.ndarray = (mixed & np.uint64(MADE - 1)).astype(np.int64) | np.int64(MADE)
    return made


def halved(layout: Layout) -> Rows:
    """One new row in the middle of every two neighbours of a gather."""
    left, right, starts = [], [], [0]
    for start, stop in zip(layout.gather_starts[:-1], layout.gather_starts[1:], strict=True):
        places = np.arange(max(2 * (stop - start) - 1, 0))
        left.append(start + places // 2)
        right.append(start + (places + 1) // 2)
        starts.append(starts[-1] + len(places))
    return _rows(left, right, [np.where(r > q, 0.5, 0.0) for q, r in zip(left, right, strict=True)], starts)


def filled(layout: Layout, lines: list[np.ndarray]) -> Rows:
    """A row at every position from the first to the last trace of each gather.

    Parameters
    ----------
    lines
        Positions of the traces of each gather, increasing from 0.
    """
    left, right, part, starts = [], [], [], [0]
    for start, index in zip(layout.gather_starts[:-1], lines, strict=True):
        places = np.arange(index[-1] + 1 if len(index) else 0)
        below = np.searchsorted(index, places, side="right") - 1
        above = np.searchsorted(index, places, side="left")
        gap = np.maximum(index[above] - index[below], 1) if len(index) else places
        left.append(start + below)
        right.append(start + above)
        part.append((places - index[below]) / gap if len(index) else places.astype(float))
        starts.append(starts[-1] + len(places))
    return _rows(left, right, part, starts)


def _rows(left: list[np.ndarray], right: list[np.ndarray], part: list[np.ndarray], starts: list[int]) -> Rows:
    empty = np.zeros(0, np.int64)
    return Rows(
        np.concatenate([empty, *left]).astype(np.int64),
        np.concatenate([empty, *right]).astype(np.int64),
        np.concatenate([np.zeros(0), *part]),
        np.array(starts, np.int64),
    )
