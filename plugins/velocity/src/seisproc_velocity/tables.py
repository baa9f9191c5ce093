"""Whole velocity tables: other kinds of velocity, time and depth, smoothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from seisproc_core.data.tables import Table
from seisproc_core.errors import UsageError
from seisproc_velocity import dix
from seisproc_velocity.fields import KEYS, KINDS, Field, field_of, functions_at

MOST_ROWS = 20_000_000  # of a table made by smoothing between positions: a gigabyte


def kind_of(table: Table) -> dix.Kind:
    """The one kind of velocity a table holds; rms where there are several.

    Raises
    ------
    UsageError
        The table holds no velocity.
    """
    for kind in KINDS:
        if kind in table:
            return kind  # type: ignore[return-value]
    raise UsageError(f"the table has none of the columns {', '.join(KINDS)}; it has {', '.join(table.columns)}")


def quantity_of(table: Table) -> str:
    """The velocity that a table holds, or its eta."""
    return "eta" if "eta" in table and not any(kind in table for kind in KINDS) else kind_of(table)


def table_of(field: Field, axis: list[np.ndarray], values: list[np.ndarray], *, depth: bool | None = None) -> Table:
    """A table from functions at the positions of a field; axes in seconds or metres."""
    in_depth = field.depth if depth is None else depth
    counts = [len(one) for one in axis]
    columns = {key: np.repeat(field.positions[:, k], counts) for k, key in enumerate(field.keys)}
    along = np.concatenate(axis)
    columns["depth_m" if in_depth else "time_ms"] = along if in_depth else along * 1000
    columns[field.quantity] = np.concatenate(values)
    return Table(columns)


def converted(table: Table, wanted: dix.Kind) -> Table:
    """The same functions as another kind of velocity, at the same knots in time.

    Raises
    ------
    UsageError
        The table is in depth, or an inversion is impossible; names the position.
    """
    given = kind_of(table)
    field = _in_time(table, given)
    functions = [field.function(i) for i in range(len(field.rows))]
    made = _each(field, lambda times, v: dix.converted(times, v, given, wanted))
    columns = {wanted if name == given else name: column for name, column in _columns(field, functions, made).items()}
    return Table(columns, table.source)


def listing(table: Table) -> Table:
    """Keys, time, rms, interval and average velocity, and depth at every knot."""
    given = kind_of(table)
    field = _in_time(table, given)
    functions = [field.function(i) for i in range(len(field.rows))]
    interval = _each(field, lambda times, v: dix.converted(times, v, given, "interval_m_per_s"))
    columns = _columns(field, functions, interval)
    columns.pop(given)
    parts = list(zip((times for times, _ in functions), interval, strict=True))
    columns["rms_m_per_s"] = np.concatenate([dix.rms_from_interval(t, v) for t, v in parts])
    columns["interval_m_per_s"] = np.concatenate(interval)
    columns["average_m_per_s"] = np.concatenate([dix.average_from_interval(t, v) for t, v in parts])
    columns["depth_m"] = np.concatenate([dix.depth_of_time(t, v, t) for t, v in parts])
    return Table(columns, table.source)


def in_depth(table: Table) -> Table:
    """Interval velocities over depth from a table in time: each belongs to the layer that ends at its depth."""
    whole = listing(table)
    return Table({name: whole[name] for name in whole.columns if name in (*KEYS, "depth_m", "interval_m_per_s")})


def in_time(table: Table) -> Table:
    """Interval velocities over two-way time from a table of interval velocities over depth."""
    field = field_of(table, "interval_m_per_s")
    if not field.depth:
        raise UsageError("the velocity table is in time already")
    axes, values = [], []
    for number in range(len(field.rows)):
        depths, interval = field.function(number)
        if depths[0] < 0:
            raise UsageError(f"depths must not be negative{field.named(number)}: see {depths[0]:g} m")
        axes.append(np.cumsum(2 * np.diff(depths, prepend=0.0) / interval))
        values.append(interval)
    return table_of(field, axes, values, depth=False)


def smoothed(table: Table, *, time_ms: float = 0.0, positions: float = 0.0, depth_m: float = 0.0) -> Table:
    """A table smoothed along its functions and from position to position; see `dix.smoothed`.

    Parameters
    ----------
    time_ms, depth_m
        Full width at half height of the weights along each function; knots stay where they are.
    positions
        Width in numbers of CDPs (inlines and crosslines); all functions then get the knots of all. 0: none.

    Raises
    ------
    UsageError
        The result would be too large, or its width is in the other domain than the table.
    """
    field = field_of(table, quantity_of(table))
    if (time_ms if field.depth else depth_m) > 0:
        raise UsageError(f"the table is in {'depth: give depth_m' if field.depth else 'time: give time_ms'}")
    width = depth_m if field.depth else time_ms / 1000
    values = _each(field, lambda axis, v: dix.smoothed(axis, v, width))
    axes = [field.function(i)[0] for i in range(len(field.rows))]
    along = table_of(field, axes, values)
    return _across(field_of(along, field.quantity), positions) if positions > 0 and field.keys else along


def _across(field: Field, width: float) -> Table:
    """Smoothed from position to position, one key after the other."""
    axis = np.unique(field.axis)
    if len(axis) * len(field.rows) > MOST_ROWS:
        raise UsageError(
            f"{len(field.rows)} functions with {len(axis)} different knots are more than {MOST_ROWS} rows: "
            "give the functions common knots, or smooth along time only"
        )
    words = {key: field.positions[:, k] for k, key in enumerate(field.keys)}
    rows, row = functions_at(field, axis, words)
    counts = [len(np.unique(column)) for column in field.positions.T]
    values = rows[row].reshape(*counts, len(axis))
    for k in range(len(counts)):
        front = np.moveaxis(values, k, 0)
        made = dix.smoothed(np.unique(field.positions[:, k]), front.reshape(counts[k], -1), width)
        values = np.moveaxis(made.reshape(front.shape), 0, k)
    flat = values.reshape(len(field.rows), len(axis))
    return table_of(field, [axis] * len(flat), list(flat))


def _in_time(table: Table, kind: str) -> Field:
    if "time_ms" not in table:
        raise UsageError("the velocity table is in depth; convert it to time first")
    return field_of(Table({n: c for n, c in table.columns.items() if n in (*KEYS, "time_ms", kind)}), kind)


def _each(field: Field, change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> list[np.ndarray]:
    """Change every function; an error says where it stands."""
    made = []
    for number in range(len(field.rows)):
        try:
            made.append(change(*field.function(number)))
        except UsageError as error:
            raise UsageError(f"{error}{field.named(number)}") from error
    return made


def _columns(
    field: Field, functions: list[tuple[np.ndarray, np.ndarray]], values: list[np.ndarray]
) -> dict[str, np.ndarray]:
    return dict(table_of(field, [axis for axis, _ in functions], values).columns)
