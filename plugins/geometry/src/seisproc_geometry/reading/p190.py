"""UKOOA P1/90 files: positions of the source and of every receiver group, shot by shot.

Columns are those of U.K.O.O.A. P1/90 Post Plot Data Exchange Format (28 June 1990), record types 1 (group 1: positions)
and 2 (receiver groups, three a record). Grid coordinates are used; latitudes and longitudes are not.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seisproc_core.errors import UsageError
from seisproc_geometry.points import NO_NUMBER, RELATION_COLUMNS, LineNames, Points, Relations, SurveyFiles
from seisproc_geometry.textfiles import read_text

_MOST_GROUPS = 2_000_000


def read_p190(path: Path) -> SurveyFiles:
    """Read source (S) and receiver group (R) records; a shot is an S record with the R records behind it.

    The record number of a shot is its point number, the channel of a group its number. Where several streamers number
    their groups alike, the channels run through the streamers in the order of the file.

    Raises
    ------
    UsageError
        No S or R records, or one that cannot be read (names the line).
    """
    names = LineNames()
    sources: list[dict[str, float]] = []
    groups: list[tuple[int, float, float, float, float]] = []  # shot, channel, x, y, depth
    of_shot: list[tuple[str, float, float, float, float]] = []

    def close() -> None:
        numbers = [(streamer, group) for streamer, group, *_ in of_shot]
        if len(set(numbers)) < len(numbers):
            repeated = next(number for number in numbers if numbers.count(number) > 1)
            raise UsageError(f"{path.name}: group {repeated[1]:g} stands twice behind point {sources[-1]['point']:g}")
        alike = len({group for _, group in numbers}) < len(numbers)
        for place, (_, group, x, y, depth) in enumerate(of_shot, 1):
            groups.append((len(sources), float(place) if alike else group, x, y, depth))
        of_shot.clear()

    for number, line in enumerate(read_text(path).splitlines(), 1):
        try:
            if line[:1] == "S":
                close()
                sources.append(_source(line, names))
            elif line[:1] == "R":
                if not sources:
                    raise UsageError(f"{path.name}, line {number}: receiver groups before the first source")
                of_shot += _groups(line)
        except ValueError:
            raise UsageError(f"{path.name}, line {number}: cannot be read as P1/90: {line[:80].rstrip()!r}") from None
        if len(groups) > _MOST_GROUPS:
            raise UsageError(f"{path.name}: more than {_MOST_GROUPS:,} receiver positions; take fewer shots at a time")
    close()
    if not sources or not groups:
        raise UsageError(f"{path.name} has no {'source (S)' if not sources else 'receiver group (R)'} records")
    return _files(sources, np.array(groups), names)


def _source(line: str, names: LineNames) -> dict[str, float]:
    made = {
        "line": names.number(line[1:13]), "point": float(line[19:25]), "x": float(line[46:55]), "y": float(line[55:64]),
    }  # fmt: skip
    depth, day, clock = line[64:70].strip(), line[70:73].strip(), line[73:79].strip()
    made["water_depth"] = float(depth) if depth else float("nan")
    made["day"] = float(day) if day else NO_NUMBER
    made["second"] = NO_NUMBER
    if clock:
        digits = clock.replace(" ", "0").rjust(6, "0")
        made["second"] = float(digits[:2]) * 3600 + float(digits[2:4]) * 60 + float(digits[4:6])
    return made


def _groups(line: str) -> list[tuple[str, float, float, float, float]]:
    """Streamer, group, x, y and depth of up to three groups."""
    streamer = line[79:80].strip()
    found = []
    for start in (1, 27, 53):
        field = line[start : start + 26]
        if not field[:22].strip():
            continue
        depth = field[22:26].strip()
        found.append(
            (streamer, float(field[:4]), float(field[4:13]), float(field[13:22]), float(depth) if depth else 0.0)
        )
    return found


def _files(sources: list[dict[str, float]], groups: np.ndarray, names: LineNames) -> SurveyFiles:
    shots = np.arange(1.0, len(sources) + 1)
    held = {name: np.array([source[name] for source in sources]) for name in sources[0]}
    # Streamers move: a source point and a receiver belong to one shot, which is their "line".
    source_points = {
        "line": shots,
        "point": held["point"],
        "index": np.ones(len(shots)),
        "x": held["x"],
        "y": held["y"],
    }
    if not np.isnan(held["water_depth"]).all():
        source_points["water_depth"] = held["water_depth"]
    groups = groups[np.lexsort((groups[:, 1], groups[:, 0]))]
    shot, channel, x, y, depth = groups.T
    receivers = {"line": shot, "point": channel, "index": np.ones(len(shot)), "x": x, "y": y}
    if depth.any():
        receivers["elevation"] = -depth
    runs = _runs(shot, channel)
    first, last = channel[runs[:, 0]], channel[runs[:, 1]]
    row = shot[runs[:, 0]].astype(np.int64) - 1
    ones = np.ones(len(runs))
    relations = {
        "field_record": held["point"][row], "file": -ones, "day": held["day"][row], "second": held["second"][row],
        "source_line": shots[row], "source_point": held["point"][row], "source_index": ones, "channel_first": first,
        "channel_last": last, "channel_step": ones, "receiver_line": shots[row], "receiver_first": first,
        "receiver_last": last, "receiver_index": ones,
    }  # fmt: skip
    assert set(relations) == set(RELATION_COLUMNS)
    return SurveyFiles(
        sources=Points("source", source_points),
        receivers=Points("receiver", receivers),
        relations=Relations(relations),
        names=names,
    )


def _runs(shot: np.ndarray, channel: np.ndarray) -> np.ndarray:
    """First and last row of every run of consecutive channels of one shot; rows are sorted by shot and channel."""
    breaks = np.flatnonzero((np.diff(shot) != 0) | (np.diff(channel) != 1))
    starts, ends = np.append(0, breaks + 1), np.append(breaks, len(shot) - 1)
    return np.stack([starts, ends], axis=1)
