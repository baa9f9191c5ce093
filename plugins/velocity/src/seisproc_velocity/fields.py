"""Velocity fields: functions of time (or depth) at positions, interpolated between knots and between positions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs
import numpy as np

from seisproc_core.data.headers import Headers
from seisproc_core.data.tables import Table
from seisproc_core.errors import UsageError

Lateral = Literal["velocity", "slowness_squared"]
Outside = Literal["constant", "error"]
KEYS = ("cdp", "inline", "crossline")
KINDS = ("rms_m_per_s", "interval_m_per_s", "average_m_per_s")
LEAST_ETA = -0.5  # at and below it the horizontal velocity v sqrt(1 + 2 eta) is not a number above 0

# Names of positions in words: one header word, or two that span a grid.
Words = Mapping[str, np.ndarray] | Headers


@attrs.frozen(kw_only=True, eq=False)
class Field:
    """The functions of a table in ascending order of position.

    Attributes
    ----------
    quantity
        Column of the values (``rms_m_per_s``, ``interval_m_per_s``, ``average_m_per_s``, ``eta``).
    keys
        Header words of the positions: none (one function for all), ``cdp``, or ``inline`` and ``crossline``.
    positions
        float64 ``(n_functions, len(keys))``, rows ascending.
    rows
        Where each function lies in the next two.
    axis, values
        Knots: seconds (metres for tables in depth), and values in the unit of the quantity.
    depth
        The axis is depth.
    """

    quantity: str
    keys: tuple[str, ...]
    positions: np.ndarray
    rows: tuple[slice, ...]
    axis: np.ndarray
    values: np.ndarray
    depth: bool = False

    def function(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Knots of one function: times in s (depths in m) and values."""
        return self.axis[self.rows[number]], self.values[self.rows[number]]

    def named(self, number: int) -> str:
        """The position of a function for messages: `` (cdp 101)``, or nothing."""
        place = ", ".join(f"{key} {value:g}" for key, value in zip(self.keys, self.positions[number], strict=True))
        return f" ({place})" if place else ""


def field_of(table: Table, quantity: str = "rms_m_per_s") -> Field:
    """The functions of one quantity of a table.

    Parameters
    ----------
    table
        Columns ``time_ms`` or ``depth_m``, the quantity, and optionally ``cdp``, or ``inline`` and ``crossline``.

    Raises
    ------
    UsageError
        A column is missing, knots do not increase, velocities are not positive, eta is not above -0.5, or positions
        in two words do not form a grid.
    """
    depth = "depth_m" in table
    axis_name = "depth_m" if depth else "time_ms"
    for name in (axis_name, quantity):
        if name not in table:
            raise UsageError(f"the velocity table has no column {name}; it has {', '.join(table.columns)}")
    keys = tuple(key for key in KEYS if key in table)
    if keys not in ((), ("cdp",), ("inline", "crossline")):
        raise UsageError(f"a velocity table is keyed by cdp, or by inline and crossline, not by {', '.join(keys)}")
    place = np.stack([table[key] for key in keys], axis=1) if keys else np.zeros((len(table), 0))
    order = np.lexsort(place.T[::-1]) if keys else np.arange(len(table))
    place, axis, values = place[order], table[axis_name][order], table[quantity][order]
    new = np.append(True, (place[1:] != place[:-1]).any(axis=1))
    starts = np.flatnonzero(new)
    field = Field(
        quantity=quantity,
        keys=keys,
        positions=place[starts],
        rows=tuple(slice(a, b) for a, b in zip(starts, np.append(starts[1:], len(table)), strict=True)),
        axis=axis if depth else axis / 1000,
        values=values,
        depth=depth,
    )
    steps = np.where(new[1:], 1.0, np.diff(axis))
    too_small = values <= LEAST_ETA if quantity == "eta" else values <= 0
    least = f"above {LEAST_ETA:g}" if quantity == "eta" else "positive"
    for wrong, problem in (
        (np.flatnonzero(steps <= 0), f"{axis_name} must increase within a function"),
        (np.flatnonzero(too_small), f"{quantity} must be {least}"),
    ):
        if wrong.size:
            number = int(np.searchsorted(starts, wrong[0], side="right")) - 1
            raise UsageError(f"{problem}: see {axis_name} = {axis[wrong[0]]:g}{field.named(number)}")
    _grid_axes(field)
    return field


def _grid_axes(field: Field) -> list[np.ndarray]:
    """Distinct positions along each key; functions of two keys must stand at every crossing."""
    axes = [np.unique(column) for column in field.positions.T]
    wanted = int(np.prod([len(axis) for axis in axes]))
    if wanted != len(field.rows):
        there = set(map(tuple, field.positions.tolist()))
        missing = next((a, b) for a in axes[0] for b in axes[1] if (float(a), float(b)) not in there)
        raise UsageError(
            f"velocity functions must stand at every crossing of their inlines and crosslines: "
            f"inline {missing[0]:g}, crossline {missing[1]:g} has none"
        )
    return axes


def functions_at(
    field: Field,
    axis: np.ndarray,
    words: Words | None = None,
    *,
    power: float = 1.0,
    outside: Outside = "constant",
) -> tuple[np.ndarray, np.ndarray]:
    """Values of a field on an axis at the positions of traces.

    Values are linear in time (depth) between knots and constant outside them; between positions their `power` is
    linear (bilinear between the four functions round a position, for two keys).

    Parameters
    ----------
    axis
        Seconds, or metres for a field in depth, ``(n,)``.
    words
        The field's header words, each ``(n_traces,)``; not needed for a field without keys.
    power
        1: the value itself is linear between positions; -2: its inverse square is.
    outside
        What holds beyond the first and last position: the nearest function, or an error.

    Returns
    -------
    rows
        float64 ``(n_distinct, n)``, in the unit of the quantity.
    row_of_trace
        int64 ``(n_traces,)``; a single zero for a field without keys.

    Raises
    ------
    UsageError
        A trace lies outside and ``outside = "error"``.
    """
    if not field.keys or words is None:
        return np.interp(axis, *field.function(0))[None], np.zeros(1, np.int64)
    places = np.stack([np.asarray(words[key], np.float64) for key in field.keys], axis=1)
    distinct, row_of_trace = np.unique(places, axis=0, return_inverse=True)
    function, weight = _neighbours(field, distinct, outside)
    needed = np.unique(function)
    made = np.stack([np.interp(axis, *field.function(int(i))) for i in needed]) if needed.size else np.ones((1, 1))
    if power != 1:
        made **= power
    mixed = np.zeros((len(distinct), len(axis)))
    for corner in range(function.shape[1]):
        mixed += weight[:, corner, None] * made[np.searchsorted(needed, function[:, corner])]
    if power != 1:
        mixed **= 1 / power
    return mixed, row_of_trace.reshape(-1).astype(np.int64)


def _neighbours(field: Field, distinct: np.ndarray, outside: Outside) -> tuple[np.ndarray, np.ndarray]:
    """Functions round each position and their weights, both ``(n_distinct, 2^keys)``."""
    function, weight = np.zeros((len(distinct), 1), np.int64), np.ones((len(distinct), 1))
    for key, axis, at in zip(field.keys, _grid_axes(field), distinct.T, strict=True):
        beyond = np.flatnonzero((at < axis[0]) | (at > axis[-1]))
        if outside == "error" and beyond.size:
            raise UsageError(
                f"{key} {at[beyond[0]]:g} lies outside the velocity table ({axis[0]:g} to {axis[-1]:g}): "
                f"extend the table, or set outside = 'constant'"
            )
        place = np.interp(at, axis, np.arange(len(axis)))
        below = np.minimum(np.floor(place).astype(np.int64), len(axis) - 1)
        above = np.minimum(below + 1, len(axis) - 1)
        part = (place - below)[:, None]
        function = np.concatenate(
            [function * len(axis) + below[:, None], function * len(axis) + above[:, None]], axis=1
        )
        weight = np.concatenate([weight * (1 - part), weight * part], axis=1)
    return function, weight


def slowness_squared(
    table: Table | Field,
    times: np.ndarray,
    words: Words | None = None,
    lateral: Lateral = "velocity",
    outside: Outside = "constant",
) -> tuple[np.ndarray, np.ndarray]:
    """``1/v^2`` of rms velocities on a time grid for every trace, s^2/m^2; see `functions_at`.

    Parameters
    ----------
    lateral
        What is linear between positions: v, or 1/v^2.
    """
    power = 1.0 if lateral == "velocity" else -2.0
    field = table if isinstance(table, Field) else field_of(table)
    rows, row_of_trace = functions_at(field, times, words, power=power, outside=outside)
    return rows**-2.0, row_of_trace
