"""SPS files: points of sources (S) and receivers (R) and relations (X), revisions 0 to 2.1.

Columns are those of the Shell Processing Support format (SEG Technical Standards: SPS rev 0 and 1, 1993-1995, section
4.6; rev 2.1, 2006, section 6). All three kinds of record may stand in one file or in several, in any order. Header
records (H) say the revision in H00 and the unit of the grid in H20 and H21.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from seisproc_core.errors import UsageError
from seisproc_geometry.points import (
    NO_NUMBER,
    RECEIVER_WORDS,
    RELATION_COLUMNS,
    SOURCE_WORDS,
    LineNames,
    Points,
    Relations,
    SurveyFiles,
)
from seisproc_geometry.textfiles import read_text

# First and last column of each field, counted from 1.
_Places = Mapping[str, tuple[int, int]]
_COMMON = {"x": (47, 55), "y": (56, 65), "elevation": (66, 71), "day": (72, 74), "time": (75, 80)}
_POINT_1: _Places = {
    "line": (2, 17), "point": (18, 25), "index": (26, 26), "static_ms": (29, 32), "depth": (33, 36), "datum": (37, 40),
    "uphole_ms": (41, 42), "water_depth": (43, 46), **_COMMON,
}  # fmt: skip
_POINT_2: _Places = {
    "line": (2, 11), "point": (12, 21), "index": (24, 24), "static_ms": (27, 30), "depth": (31, 34), "datum": (35, 38),
    "uphole_ms": (39, 40), "water_depth": (41, 46), **_COMMON,
}  # fmt: skip
_RELATION_1: _Places = {
    "field_record": (8, 11), "record_step": (12, 12), "source_line": (14, 29), "source_point": (30, 37),
    "source_index": (38, 38), "channel_first": (39, 42), "channel_last": (43, 46), "channel_step": (47, 47),
    "receiver_line": (48, 63), "receiver_first": (64, 71), "receiver_last": (72, 79), "receiver_index": (80, 80),
}  # fmt: skip
_RELATION_2: _Places = {
    "field_record": (8, 15), "record_step": (16, 16), "source_line": (18, 27), "source_point": (28, 37),
    "source_index": (38, 38), "channel_first": (39, 43), "channel_last": (44, 48), "channel_step": (49, 49),
    "receiver_line": (50, 59), "receiver_first": (60, 69), "receiver_last": (70, 79), "receiver_index": (80, 80),
}  # fmt: skip
_OPTIONAL = {"index": 1.0, "source_index": 1.0, "receiver_index": 1.0, "channel_step": 1.0}
_LINES = ("line", "source_line", "receiver_line")
_FEET = 0.9  # a factor to metres below this means feet


def read_sps(paths: Sequence[Path], revision: int | None = None) -> tuple[SurveyFiles, float | None]:
    """Read SPS files.

    Parameters
    ----------
    revision
        1 (or 0) or 2, whatever H00 says.

    Returns
    -------
    files
        What they say.
    metres
        Metres per unit of the grid, where a header states it.

    Raises
    ------
    UsageError
        A record that cannot be read (names file, line and field), or one of the three kinds is missing.
    """
    names = LineNames()
    records: dict[str, list[tuple[str, int, str, int]]] = {"S": [], "R": [], "X": []}
    factor: float | None = None
    for path in paths:
        lines = read_text(path).splitlines()
        major = revision if revision is not None else _revision(lines)
        factor = _factor(path, lines) or factor
        for number, line in enumerate(lines, 1):
            if line[:1] in records:
                records[line[0]].append((path.name, number, line, major))
    for kind, what in (("S", "source points"), ("R", "receiver points"), ("X", "relations")):
        if not records[kind]:
            raise UsageError(f"no {what} ({kind} records) in {', '.join(path.name for path in paths)}")
    sources, clock = _points("source", records["S"], names)
    receivers, _ = _points("receiver", records["R"], names)
    relations = _relations(records["X"], names, sources, clock)
    return SurveyFiles(sources=sources, receivers=receivers, relations=relations, names=names), factor


def _revision(lines: Sequence[str]) -> int:
    """Major revision by H00: ``SPS001`` and the like are 1, ``SPS 2.1`` is 2; 1 where nothing is said."""
    for line in lines:
        if line.startswith("H00"):
            stated = re.search(r"SPS\s*0*(\d+)|(\d+)\.\d", line[3:])
            return 2 if stated and int(stated[1] or stated[2]) >= 2 else 1
    return 1


def _factor(path: Path, lines: Sequence[str]) -> float | None:
    """Metres per unit of the grid, from H21."""
    for line in lines:
        if line.startswith("H21") and (found := re.search(r"\d*\.\d+|\d+", line[32:])):
            value = float(found[0])
            if not 0.3 < value < 1.001:
                raise UsageError(f"{path.name}: H21 says {value:g} metres in a unit of the grid; give length_unit")
            return value
    return None


def _points(
    what: str, records: Sequence[tuple[str, int, str, int]], names: LineNames
) -> tuple[Points, dict[str, np.ndarray]]:
    """Points, and day and second of each."""
    words = SOURCE_WORDS if what == "source" else RECEIVER_WORDS
    wanted = ("line", "point", "index", "x", "y", *words, "day", "time")
    rows = [_row(record, _POINT_2 if record[3] >= 2 else _POINT_1, wanted, names) for record in records]
    columns = {name: np.array([row[name] for row in rows]) for name in wanted}
    clock = {name: columns.pop(name) for name in ("day", "time")}
    # An empty field and a 0 of these mean the same to those who write such files: nothing was measured.
    for name in ("water_depth", "uphole_ms", "static_ms", "datum", "depth"):
        if name in columns and not np.nan_to_num(columns[name]).any():
            del columns[name]
    return Points(what, columns), clock


def _relations(
    records: Sequence[tuple[str, int, str, int]], names: LineNames, sources: Points, clock: Mapping[str, np.ndarray]
) -> Relations:
    from seisproc_geometry.keys import NONE, Keys

    wanted = [name for name in RELATION_COLUMNS if name not in ("file", "day", "second")]
    rows = [_row(record, _RELATION_2 if record[3] >= 2 else _RELATION_1, wanted, names) for record in records]
    columns = {name: np.array([row[name] for row in rows]) for name in wanted}
    source = Keys(sources.keys).find([columns[f"source_{name}"] for name in ("line", "point", "index")])
    known = source != NONE
    for name, values in (("day", clock["day"]), ("second", clock["time"])):
        held = np.nan_to_num(values, nan=NO_NUMBER)[source]
        columns[name] = np.where(known, held, NO_NUMBER)
    columns["file"] = np.full(len(rows), NO_NUMBER)
    return Relations(columns)


def _row(
    record: tuple[str, int, str, int], places: _Places, wanted: Sequence[str], names: LineNames
) -> dict[str, float]:
    """Numbers of one record; NaN where a field that may be empty is."""
    file, number, line, _ = record
    made = {}
    for name in wanted:
        first, last = places[name]
        text = line[first - 1 : last].strip()
        if name in _LINES:
            made[name] = names.number(text)
            continue
        if not text:
            made[name] = _OPTIONAL.get(name, float("nan"))
            if name not in _OPTIONAL and (
                name.endswith(("point", "first", "last")) or name in ("field_record", "x", "y")
            ):
                raise UsageError(f"{file}, line {number}: {name} (columns {first}-{last}) is empty")
            continue
        try:
            made[name] = _clock(text) if name == "time" else float(text)
        except ValueError:
            raise UsageError(
                f"{file}, line {number}: {name} (columns {first}-{last}) is {text!r}, not a number; "
                "sps_revision says which columns hold what"
            ) from None
        if not np.isfinite(made[name]):
            raise UsageError(f"{file}, line {number}: {name} (columns {first}-{last}) is {text!r}")
        if name in _OPTIONAL and made[name] == 0:
            made[name] = 1.0
    return made


def _clock(text: str) -> float:
    """Seconds of the day from hhmmss."""
    digits = text.replace(" ", "0").rjust(6, "0")
    return float(digits[:2]) * 3600 + float(digits[2:4]) * 60 + float(digits[4:6])
