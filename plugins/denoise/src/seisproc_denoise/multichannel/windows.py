"""What all operators on gathers share: where traces stand, overlapping windows, samples that count."""

from __future__ import annotations

from functools import lru_cache

import attrs
import numpy as np

from seisproc_core.data.gather import Gather, Layout, mute_outside

MAX_GAPS = 4  # grid positions per trace from which a line counts as irregular
OFF_GRID = 0.15  # distance to the nearest grid position, in spacings, that rounded headers may have


@attrs.frozen(eq=False)
class Line:
    """Traces on a regular line; positions without a trace are gaps.

    Attributes
    ----------
    spacing_m
        Metres from one position to the next; negative where the header word decreases along the gather.
    index
        Position of each trace, increasing, int64 ``(n_traces,)``.
    """

    spacing_m: float
    index: np.ndarray

    @property
    def count(self) -> int:
        """Positions from the first to the last trace."""
        return int(self.index[-1]) + 1 if len(self.index) else 0


def line_of(layout: Layout, word: str, spacing_m: float | None) -> Line:
    """The line on which the traces of one gather stand.

    Parameters
    ----------
    word
        Header word with the position along the line, metres.
    spacing_m
        If given, traces are that far apart in the order of the gather and the word is not read.

    Raises
    ------
    ValueError
        Positions do not increase or decrease along the gather, or are no multiples of one spacing.
    """
    if spacing_m is not None:
        return Line(spacing_m, np.arange(layout.n_traces))
    position = np.asarray(layout.headers[word], np.float64)
    steps = np.diff(position)
    if not len(steps):
        return Line(1.0, np.arange(len(position)))
    least = float(np.abs(steps).min())
    if least == 0 or (np.sign(steps) != np.sign(steps[0])).any():
        raise ValueError(f"'{word}' must increase or decrease from trace to trace; sort the gather or give spacing_m")
    spacing = float(steps.sum() / np.rint(np.abs(steps) / least).sum())
    away = (position - position[0]) / spacing
    index = np.rint(away).astype(np.int64)
    if np.abs(away - index).max() > OFF_GRID or (np.diff(index) < 1).any() or index[-1] >= MAX_GAPS * len(position):
        most = float(np.abs(steps).max())
        raise ValueError(f"'{word}' is not regular (spacings of {least:g} to {most:g} m); give spacing_m")
    return Line(spacing, index)


def line_problem(layout: Layout, word: str, spacing_m: float | None) -> str | None:
    """What is wrong with the first gather whose traces stand on no regular line; None where all do."""
    if spacing_m is not None:
        return None
    layout.headers.column(word)
    for number, (start, stop) in enumerate(zip(layout.gather_starts[:-1], layout.gather_starts[1:], strict=True)):
        rows = layout.headers.take(slice(int(start), int(stop)))
        try:
            line_of(Layout(headers=rows, sampling=layout.sampling), word, None)
        except ValueError as error:
            return f"does not suit gather {number}: {error}"
    return None


def live_traces(gather: Gather) -> np.ndarray:
    """Samples with zeros outside the live windows; the gather's own array where nothing is outside."""
    first, end = gather.live_window
    if (first == 0).all() and (end == gather.n_samples).all():
        return gather.traces
    traces = gather.traces.copy()
    mute_outside(traces, first, end)
    return traces


@attrs.frozen(eq=False)
class Window:
    """Points ``[start, stop)`` of an axis and their weights; the weights of all windows of an axis sum to 1."""

    start: int
    stop: int
    weight: np.ndarray

    @property
    def points(self) -> slice:
        return slice(self.start, self.stop)


@lru_cache(maxsize=32)
def windows(count: int, length: int, overlap: int) -> tuple[Window, ...]:
    """Windows of equal length over an axis, evenly spread, with sin^2 ramps where neighbours overlap.

    Parameters
    ----------
    count
        Points of the axis.
    length
        Points of a window; one window where the axis is not longer.
    overlap
        Points that neighbours share at least, less than `length`.
    """
    if length >= count:
        return (Window(0, count, np.ones(count)),)
    number = 1 + -(-(count - length) // (length - overlap))
    starts = np.rint(np.linspace(0, count - length, number)).astype(int)
    ramp = np.sin(np.pi / 2 * (np.arange(overlap) + 0.5) / max(overlap, 1)) ** 2
    weights, total = [], np.zeros(count)
    for k, start in enumerate(starts):
        weight = np.ones(length)
        if k > 0:
            weight[:overlap] = ramp
        if k < number - 1:
            weight[length - overlap :] *= ramp[::-1]
        weights.append(weight)
        total[start : start + length] += weight
    return tuple(
        Window(int(a), int(a) + length, weight / total[a : a + length])
        for a, weight in zip(starts, weights, strict=True)
    )
