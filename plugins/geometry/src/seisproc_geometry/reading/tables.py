"""Points and relations from CSV or Parquet tables: sources, receivers, stations of a 2-D line, observer's logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from seisproc_core.data.tables import Table
from seisproc_core.errors import UsageError
from seisproc_geometry.points import NO_NUMBER, RECEIVER_WORDS, SOURCE_WORDS, LineNames, Points, Relations
from seisproc_geometry.textfiles import TextTable, read_text_table

# Column names as field crews write them; compared without case, spaces and underscores.
ALIASES = {
    "field_record": ("fieldrecord", "ffid", "fldr", "record", "recordnumber", "fileno"),
    "point": ("point", "station", "stake", "shotpoint", "sp", "pointnumber", "stationnumber"),
    "line": ("line", "linename", "linenumber"),
    "index": ("index", "pointindex"),
    "x": ("x", "easting", "east", "xm"),
    "y": ("y", "northing", "north", "ym"),
    "elevation": ("elevation", "elev", "z", "height"),
    "depth": ("depth", "shotdepth", "holedepth", "sourcedepth"),
    "water_depth": ("waterdepth",),
    "uphole_ms": ("uphole", "upholems", "upholetime"),
    "static_ms": ("static", "staticms"),
    "datum": ("datum",),
    "channel": ("channel", "chan", "tracf", "trace"),
    "channel_first": ("channelfirst", "firstchannel", "fromchannel"),
    "channel_last": ("channellast", "lastchannel", "tochannel"),
    "channel_step": ("channelstep", "channelincrement"),
    "source": ("source", "sourcepoint", "sourcestation", "shotstation"),
    "source_line": ("sourceline", "shotline"),
    "source_index": ("sourceindex",),
    "receiver": ("receiver", "receiverpoint", "receiverstation", "group"),
    "receiver_first": ("receiverfirst", "firstreceiver", "firststation", "fromreceiver"),
    "receiver_last": ("receiverlast", "lastreceiver", "laststation", "toreceiver"),
    "receiver_line": ("receiverline",),
    "receiver_index": ("receiverindex",),
    "file": ("file", "filename"),
    "day": ("day", "dayofyear", "julianday"),
    "time": ("time", "hhmmss"),
}  # fmt: skip
NOT_THERE = 1e6  # the number of a file that the survey does not have: no trace matches it, and that is listed
_BY_ALIAS = {alias: name for name, aliases in ALIASES.items() for alias in aliases}


class Columns:
    """A table under our own names for its columns.

    Parameters
    ----------
    table
        A file, or an inline table.
    renamed
        Our name for a column, and what the table calls it, where that is not among the `ALIASES`.
    """

    def __init__(self, table: Table | Path, what: str, renamed: Mapping[str, str]) -> None:
        self.table = _inline(table, what) if isinstance(table, Table) else read_text_table(table)
        self._names: dict[str, str] = {}
        for column in self.table.columns:
            plain = column.lower().replace(" ", "").replace("_", "")
            name = next((ours for ours, theirs in renamed.items() if theirs == column), _BY_ALIAS.get(plain))
            if name is None:
                continue
            if name in self._names:
                raise UsageError(f"{self.table.name}: columns '{self._names[name]}' and '{column}' both hold {name}")
            self._names[name] = column

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def __len__(self) -> int:
        return len(self.table)

    def number(self, name: str, *, gaps: bool = False) -> np.ndarray:
        return self.table.number(self._column(name), gaps=gaps)

    def text(self, name: str) -> Sequence[str]:
        return self.table.text(self._column(name))

    def lines(self, name: str, names: LineNames) -> np.ndarray:
        """Line numbers; 0 without such a column."""
        if name not in self:
            return np.zeros(len(self))
        return np.array([names.number(text) for text in self.text(name)], np.float64)

    def wrong(self, row: int, name: str, problem: str) -> UsageError:
        return self.table.wrong(row, self._column(name), problem)

    def _column(self, name: str) -> str:
        if name not in self._names:
            called = " or ".join(ALIASES[name][:3])
            raise UsageError(
                f"{self.table.name} has no column for {name} ({called}); it has {', '.join(self.table.columns)}; "
                f'columns = {{ {name} = "..." }} says which it is'
            )
        return self._names[name]


def _inline(table: Table, what: str) -> TextTable:
    columns = {name: [repr(float(value)) for value in values] for name, values in table.columns.items()}
    return TextTable(f"the {what} table", columns, list(range(1, len(table) + 1)))


def read_points(columns: Columns, what: str, names: LineNames, key: str = "point") -> Points:
    """Sources or receivers, one a row, named by `key` (and line and index where there are such columns)."""
    words = SOURCE_WORDS if what == "source" else RECEIVER_WORDS
    made = {"line": columns.lines("line", names), "point": columns.number(key)}
    made["index"] = columns.number("index") if "index" in columns else np.ones(len(columns))
    made["x"] = columns.number("x")
    made["y"] = columns.number("y") if "y" in columns else np.zeros(len(columns))
    made |= {name: columns.number(name, gaps=True) for name in words if name in columns}
    return Points(what, made)


def read_relations(
    columns: Columns,
    names: LineNames,
    files: Sequence[str],
    spread: Mapping[str, float],
    source: np.ndarray | None = None,
    sources: Points | None = None,
) -> Relations:
    """Relations, or an observer's log: one range of channels, or one channel, a row.

    Parameters
    ----------
    files
        Names of the input files of the survey, to which a column of file names refers.
    spread
        What is the same in all rows and has no column: ``channel_first``, ``receiver_first``, ..., or receivers counted
        from the source's station: ``first_from_source``, ``last_from_source``.
    source
        Points of the sources, where the table names none.
    """
    count = len(columns)

    def value(name: str, otherwise: float | np.ndarray | None = None) -> np.ndarray:
        if name in columns:
            return columns.number(name)
        if name in spread:
            return np.full(count, float(spread[name]))
        if otherwise is None:
            return columns.number(name)  # says what is missing
        return np.broadcast_to(np.asarray(otherwise, np.float64), (count,)).copy()

    made = {"field_record": value("field_record"), "file": _files(columns, files)}
    made["day"] = columns.number("day") if "day" in columns else np.full(count, NO_NUMBER)
    made["second"] = _seconds(columns)
    # A log's column "SP" or "station" is where its record was shot.
    shot_at = "point" if "source" not in columns and "point" in columns else "source"
    points = value(shot_at) if source is None else source
    made |= {"source_line": columns.lines("source_line", names), "source_point": points}
    if sources is not None and "source_line" not in columns and len(np.unique(sources.columns["line"])) == 1:
        made["source_line"] = np.full(count, sources.columns["line"][0])
    made["source_index"] = value("source_index", 1)
    single = value("channel") if "channel" in columns else None
    made["channel_first"] = value("channel_first", single)
    made["channel_last"] = value("channel_last", single)
    made["channel_step"] = value("channel_step", 1)
    made["receiver_line"] = columns.lines("receiver_line", names)
    for end in ("first", "last"):
        relative = spread.get(f"{end}_from_source")
        other = value("receiver") if "receiver" in columns else None if relative is None else points + relative
        made[f"receiver_{end}"] = value(f"receiver_{end}", other)
    made["receiver_index"] = value("receiver_index", 1)
    return Relations(made)


def _files(columns: Columns, files: Sequence[str]) -> np.ndarray:
    """Numbers of input files, from 0: a column holds their names, with or without suffix, or their place, from 1."""
    if "file" not in columns:
        return np.full(len(columns), NO_NUMBER)
    places: dict[str, list[int]] = {}
    for number, name in enumerate(files):
        for text in {name, Path(name).stem}:
            places.setdefault(text, []).append(number)
    found = []
    for row, text in enumerate(columns.text("file")):
        known = places.get(text, [])
        if len(known) > 1:
            raise columns.wrong(row, "file", f"is the name of {len(known)} files of the survey")
        place = _whole(text)
        if known:
            found.append(float(known[0]))
        elif place is not None and 1 <= place <= (len(files) or place):
            found.append(place - 1.0)
        else:
            found.append(NOT_THERE)
    return np.array(found)


def _whole(text: str) -> int | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if value.is_integer() else None


def _seconds(columns: Columns) -> np.ndarray:
    """Seconds of the day from ``hh:mm:ss``, ``hhmmss`` or plain seconds."""
    if "time" not in columns:
        return np.full(len(columns), NO_NUMBER)
    found = []
    for row, text in enumerate(columns.text("time")):
        parts = text.split(":") if ":" in text else [text[:-4], text[-4:-2], text[-2:]] if len(text) >= 5 else []
        try:
            hour, minute, second = (float(part) for part in parts)
        except ValueError:
            raise columns.wrong(row, "time", "is no time of day; write hh:mm:ss") from None
        found.append(hour * 3600 + minute * 60 + second)
    return np.array(found)
