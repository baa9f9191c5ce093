"""What all processors here share about time axes, live windows and tables keyed by header words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np

from seisproc_core.data.gather import Layout, mute_outside
from seisproc_core.data.sampling import Sampling
from seisproc_core.data.tables import Table
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor

ROWS = 32  # traces measured at a time: copies of them stay in cache
PIECE = 128  # samples whose squares are summed in single precision


def source_times(sampling: Sampling) -> np.ndarray:
    """Time of every sample since the source, float64 ``(count,)``, s; exactly 0 where rounding left next to nothing."""
    times = sampling.times()
    times[np.abs(times) < 1e-6 * sampling.interval_s] = 0.0
    return times


def nearest_sample(samples: np.ndarray) -> np.ndarray:
    """Round to whole samples, int64; halves go up, also where rounding left them a hair below."""
    return np.floor(samples + (0.5 + 1e-6)).astype(np.int64)


def whole_samples(time_ms: float, sampling: Sampling) -> int:
    """A length of time in samples, rounded to the nearest."""
    return int(nearest_sample(np.array(time_ms / 1000 / sampling.interval_s)))


def window_start() -> Any:
    """The parameter that says where a guided window begins."""
    return param(None, help="First time of the window at offset 0; the first live sample when left out.", unit="ms")


def window_end() -> Any:
    """The parameter that says where a guided window ends."""
    return param(None, help="Last time of the window at offset 0; the last live sample when left out.", unit="ms")


def window_velocity() -> Any:
    """The parameter for the velocity that a guided window follows."""
    return param(None, help="Velocity that the times of the window follow.", unit="m/s", above=0)


def check_window(step: Processor, layout: Layout, start: str, end: str) -> None:
    """Refuse a guided window that is empty by its parameters, or follows offsets that the data lack.

    Parameters
    ----------
    start, end
        Names of the parameters that hold its times.
    """
    start_ms, end_ms, velocity = getattr(step, start), getattr(step, end), getattr(step, "velocity_m_per_s")  # noqa: B009
    if start_ms is not None and end_ms is not None and start_ms >= end_ms:
        raise step.bad(start, f"must lie before {end} ({end_ms:g} ms)")
    guided_window(layout, start_ms, end_ms, velocity)


def guided_window(
    layout: Layout, start_ms: float | None, end_ms: float | None, velocity_m_per_s: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Live samples between two times, both included, that move down by |offset| / velocity: int64 each.

    A time that is None leaves that end open. Where nothing is left the window is empty and lies inside the trace.
    """
    first, end = layout.live_window
    delay = np.zeros(layout.n_traces)
    if velocity_m_per_s is not None:
        delay = np.abs(layout.headers["offset"].astype(np.float64)) / velocity_m_per_s
    sampling = layout.sampling
    if start_ms is not None:
        at = (start_ms / 1000 + delay - sampling.start_s) / sampling.interval_s
        first = np.clip(nearest_sample(at), first, end)
    if end_ms is not None:
        at = (end_ms / 1000 + delay - sampling.start_s) / sampling.interval_s
        end = np.clip(nearest_sample(at) + 1, first, end)
    return first, end


def energy(traces: np.ndarray, first: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Sum of the squares of the samples ``[first, end)`` of every trace, float64 ``(n_traces,)``, good to 1e-6.

    Pieces are summed in single precision, which is ten times faster, where squares neither overflow nor vanish in it.
    """
    if first.any() or (end < traces.shape[1]).any():
        found = np.empty(len(traces))
        for row in range(0, len(traces), ROWS):
            rows = slice(row, row + ROWS)
            block = traces[rows].copy()
            mute_outside(block, first[rows], end[rows])
            found[rows] = _energy(block)
        return found
    return _energy(traces)


def _energy(traces: np.ndarray) -> np.ndarray:
    whole = traces.shape[1] // PIECE * PIECE
    pieces, rest = traces[:, :whole].reshape(len(traces), whole // PIECE, PIECE), traces[:, whole:]
    with np.errstate(over="ignore"):
        found: np.ndarray = np.einsum("ijk,ijk->ij", pieces, pieces).sum(axis=1, dtype=np.float64)
        found += np.einsum("ij,ij->i", rest, rest)
    for row in np.flatnonzero(~((found > 1e-25) & (found < 1e35))):
        exact = traces[row].astype(np.float64)
        found[row] = exact @ exact
    return found


def scale_samples(traces: np.ndarray, start: np.ndarray, weights: np.ndarray) -> None:
    """Multiply samples ``start, start + 1, ...`` of every trace by the weights, in place, where they lie inside."""
    if not len(weights) or not len(traces):
        return
    if np.all(start == start[0]) and 0 <= start[0] <= traces.shape[1] - len(weights):
        traces[:, start[0] : start[0] + len(weights)] *= weights
        return
    column = start[:, None] + np.arange(len(weights))
    row, k = np.nonzero((column >= 0) & (column < traces.shape[1]))
    traces[row, column[row, k]] *= weights[k]


def with_live_words(layout: Layout) -> Layout:
    """The layout with the words of live windows, for steps that write them."""
    return attrs.evolve(layout, headers=layout.headers.with_live_window(*layout.live_window))


@attrs.frozen(eq=False)
class Curves:
    """Curves of a table at the values of its key: linear in the key between them, the nearest one beyond.

    Attributes
    ----------
    values
        One row per key value, float64 ``(keys, points)``.
    keys
        The key values, ascending; a single 0 for a table without key.
    """

    values: np.ndarray
    keys: np.ndarray

    @classmethod
    def of(cls, table: Table, key: str | None, curve: Callable[[Table], np.ndarray]) -> Curves:
        """Evaluate `curve` on the part of the table at each key value."""
        if key is None:
            return cls(curve(table)[None], np.zeros(1))
        parts = list(table.groups(key))
        return cls(np.array([curve(part) for _, part in parts]), np.array([value for value, _ in parts]))

    def bracket(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows before and after each key value, and the weight of the latter."""
        position = np.interp(at, self.keys, np.arange(len(self.keys)))
        low = np.minimum(position.astype(np.int64), max(len(self.keys) - 2, 0))
        return low, np.minimum(low + 1, len(self.keys) - 1), position - low

    def whole(self, at: np.ndarray) -> np.ndarray:
        """The curve at each key value, shape ``(len(at), points)``."""
        low, high, weight = self.bracket(at)
        curves: np.ndarray = self.values[low] * (1 - weight[:, None]) + self.values[high] * weight[:, None]
        return curves

    def own_point(self, at: np.ndarray) -> np.ndarray:
        """Point i of the curve at key value i, shape ``(points,)``."""
        low, high, weight = self.bracket(at)
        points = np.arange(self.values.shape[1])
        own: np.ndarray = self.values[low, points] * (1 - weight) + self.values[high, points] * weight
        return own


def key_of(table: Table, allowed: tuple[str, ...]) -> str | None:
    """The header word that keys a table; None when it has one curve for all."""
    return next((name for name in allowed if name in table), None)


def key_problem(table: Table, allowed: tuple[str, ...], column: str) -> str | None:
    """What is wrong with a table of curves: two keys, or a column that does not increase along each curve."""
    keys = [name for name in allowed if name in table]
    if len(keys) > 1:
        return f"has two key columns, {keys[0]} and {keys[1]}; keep one"
    parts = table.groups(keys[0]) if keys else [(0.0, table)]
    for value, part in parts:
        if np.any(np.diff(part[column]) <= 0):
            where = f" at {keys[0]} {value:g}" if keys else ""
            return f"needs increasing {column}{where}"
    return None
