"""Kinds of tables that a project keeps - velocities, mutes, statics, first breaks, horizons, ... - and their texts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np

from seisproc_core.data.tables import MAX_TABLE_BYTES, Table, read_table
from seisproc_core.data.words import WORDS, canonical
from seisproc_core.errors import StorageError, UsageError
from seisproc_velocity.fields import KINDS as VELOCITIES
from seisproc_velocity.fields import field_of
from seisproc_velocity.files import FORMATS, read_velocities
from seisproc_velocity.su_parameters import read_functions
from seisproc_velocity.tables import quantity_of


@attrs.frozen(kw_only=True)
class Kind:
    """What a kind of table holds.

    Attributes
    ----------
    needs, may
        Columns of values that must, and that may be there; every other column is a header word that keys rows.
    unique
        Whether a combination of keys may stand in one row only.
    """

    summary: str
    needs: tuple[str, ...]
    may: tuple[str, ...] = ()
    unique: bool = True
    check: Callable[[Table], object] = lambda table: None


def _increasing(table: Table) -> None:
    """Along each curve offsets must increase."""
    keys = [name for name in table.columns if name not in ("offset_m", "time_ms")]
    place = np.stack([table[name] for name in keys], axis=1) if keys else np.zeros((len(table), 0))
    same = (place[1:] == place[:-1]).all(axis=1)
    wrong = np.flatnonzero(same & (np.diff(table["offset_m"]) <= 0))
    if wrong.size:
        raise UsageError(f"offset_m must increase along a curve: see {table['offset_m'][wrong[0] + 1]:g}")


def _has_time_or_depth(table: Table) -> None:
    if "time_ms" not in table and "depth_m" not in table:
        raise UsageError(f"a horizon needs a column time_ms or depth_m; there are {', '.join(table.columns)}")


KINDS: dict[str, Kind] = {
    "velocity": Kind(
        summary="velocity or eta over time or depth",
        needs=(),
        may=("time_ms", "depth_m", *VELOCITIES, "eta"),
        unique=False,
        check=lambda table: field_of(table, quantity_of(table)),
    ),
    "mute": Kind(summary="mute times over offset", needs=("offset_m", "time_ms"), unique=False, check=_increasing),
    "statics": Kind(
        summary="time shifts, positive later", needs=("static_ms",), may=("datum_m", "replacement_m_per_s")
    ),
    "first_breaks": Kind(summary="arrival times", needs=("time_ms",), may=("quality",)),
    "picks": Kind(summary="times on traces", needs=("time_ms",), may=("amplitude", "quality"), unique=False),
    "horizons": Kind(
        summary="times or depths of a horizon",
        needs=(),
        may=("time_ms", "depth_m", "amplitude", "quality"),
        check=_has_time_or_depth,
    ),
    "edits": Kind(summary="traces to kill, reverse or select", needs=()),
}


def kind_of_table(table: Table, wanted: str | None = None) -> str:
    """The kind of a table: the one wanted, or what its columns tell; checked.

    Raises
    ------
    UsageError
        Columns are missing, no header words, or hold what that kind cannot; or nothing tells the kind.
    """
    name = wanted or _told(table)
    kind = KINDS[name]
    missing = [column for column in kind.needs if column not in table]
    if missing:
        raise UsageError(f"a table of {name} needs the column {missing[0]}; it has {', '.join(table.columns)}")
    keys = [column for column in table.columns if column not in (*kind.needs, *kind.may)]
    for key in keys:
        if canonical(key) not in WORDS:
            values = ", ".join((*kind.needs, *kind.may)) or "none"
            raise UsageError(f"column '{key}' is neither a value of {name} ({values}) nor a header word")
    if kind.unique and not keys:
        raise UsageError(f"a table of {name} needs columns of header words that say which traces rows are for")
    if kind.unique:
        _, count = np.unique(np.stack([table[key] for key in keys], axis=1), axis=0, return_counts=True)
        if count.max() > 1:
            raise UsageError(f"{int((count > 1).sum())} combinations of {', '.join(keys)} stand in more than one row")
    kind.check(table)
    return name


def _told(table: Table) -> str:
    columns = set(table.columns)
    if columns & {*VELOCITIES, "eta"}:
        return "velocity"
    if {"offset_m", "time_ms"} <= columns:
        return "mute"
    if "static_ms" in columns:
        return "statics"
    raise UsageError(f"columns {', '.join(table.columns)} do not tell the kind of the table: name it with --kind")


def read_any(path: Path, format: str | None = None, *, time_unit: str = "ms") -> Table:
    """Read a table of any kind: CSV, TOML, columns with names, Seismic Unix parameters, or a text of velocities."""
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise UsageError(f"table {path} is larger than {MAX_TABLE_BYTES >> 20} MiB")
        text = path.read_text("utf-8")
    except OSError as error:
        raise StorageError.from_os(error, f"cannot read {path}") from error
    except ValueError as error:
        raise UsageError(f"table {path} is no text") from error
    if re.search(r"^\s*(xmute|tmute)\s*=", text, re.MULTILINE):
        return read_su_mute(text, str(path))
    if format is None and path.suffix.lower() in (".csv", ".toml"):
        return read_table(path)
    first = text.lstrip().partition("\n")[0].lstrip("#").split()
    if format in (None, "columns") and first and not (set(first) & {*VELOCITIES, "eta"}) and _are_names(first):
        return _columns(text, first, path)
    return read_velocities(path, format, time_unit=time_unit)  # type: ignore[arg-type]


def _are_names(words: list[str]) -> bool:
    return all(re.fullmatch(r"[a-z][a-z0-9_]*", one) for one in words)


def _columns(text: str, names: list[str], path: Path) -> Table:
    """White-space separated columns with their names in the first line."""
    rows = [line.split() for line in text.strip().splitlines()[1:] if line.strip() and not line.startswith("#")]
    try:
        values = np.array([[float(value) for value in row] for row in rows])
        if values.shape[1:] != (len(names),):
            raise ValueError
    except ValueError:
        raise UsageError(f"table {path}: lines must hold a number for each of {', '.join(names)}") from None
    return Table(dict(zip(names, values.T, strict=True)), str(path))


def read_su_mute(text: str, source: str) -> Table:
    """``cdp=`` (or another header word) once, then ``xmute=`` (m) and ``tmute=`` (s) for each value, as in `sumute`."""
    try:
        return Table(read_functions(text, ("xmute", "tmute"), ("offset_m", "time_ms")).columns, source)
    except UsageError as error:
        raise UsageError(f"table {source}: {error}") from error


def write_su_mute(table: Table) -> str:
    """The inverse of `read_su_mute`."""
    keys = [name for name in table.columns if name not in ("offset_m", "time_ms")]
    named = [WORDS[canonical(key)].su for key in keys if canonical(key) in WORDS]
    if "offset_m" not in table or len(keys) > 1 or len(named) < len(keys) or not all(named):
        raise UsageError(
            "mutes of Seismic Unix hold offset_m and time_ms, keyed by one of its header words or by nothing"
        )
    parts = list(table.groups(keys[0])) if keys else [(0.0, table)]
    lines = [f"{named[0]}={','.join(f'{place:.10g}' for place, _ in parts)}"] if keys else []
    for _, part in parts:
        lines.append("xmute=" + ",".join(f"{x:.10g}" for x in part["offset_m"]))
        lines.append("tmute=" + ",".join(f"{t / 1000:.10g}" for t in part["time_ms"]))
    return "\n".join(lines) + "\n"


def text_of(table: Table, kind: str, format: str) -> str:
    """A table as text in one of the formats: ``su`` for velocities and mutes, ``csv`` and ``columns`` for all."""
    if kind == "mute" and format == "su":
        return write_su_mute(table)
    if kind != "velocity" and format not in ("csv", "columns"):
        raise UsageError(f"{format} holds velocities, not {kind}: take csv or columns")
    return FORMATS[format].write(table)
