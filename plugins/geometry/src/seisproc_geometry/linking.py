"""Points and relations linked into shots and spreads with integer keys; what does not fit together is listed."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from seisproc_core.data.tables import Table
from seisproc_core.errors import UsageError
from seisproc_geometry.keys import MOST_LISTED, NONE, Keys, listed
from seisproc_geometry.points import POSITION, LineNames, Points, SurveyFiles

_SHOT = ("field_record", "file", "day", "second")
_CHANNELS = 1 << 24  # more than any recorder has


@attrs.frozen(eq=False)
class Linked:
    """Geometry of a survey as tables of numbers: what the plan of a job holds.

    Attributes
    ----------
    sources, receivers
        Positions and what belongs to them; row n is key n + 1.
    shots
        ``field_record``, ``source`` (key), ``file``, ``day``, ``second``; row n is shot n + 1.
    spreads
        Ranges of channels: ``shot``, ``channel_first``, ``channel_last``, ``channel_step``; the receivers they heard.
    """

    sources: Table
    receivers: Table
    shots: Table
    spreads: Table
    notes: tuple[str, ...] = ()


def link(files: SurveyFiles) -> Linked:
    """Give every shot, source and receiver its integer key.

    Raises
    ------
    UsageError
        Points given twice, relations to sources that are not there, channels that heard two receivers.
    """
    (all_sources, source_notes), (all_receivers, receiver_notes) = _once(files.sources), _once(files.receivers)
    _refuse_twice(all_sources, files.names)
    _refuse_twice(all_receivers, files.names)
    relations = files.relations.columns
    source = Keys(all_sources.keys).find([relations[f"source_{name}"] for name in POSITION])
    lost = np.flatnonzero(source == NONE)
    if lost.size:
        keys = [relations[f"source_{name}"] for name in POSITION]
        raise UsageError(f"{lost.size} relations name sources that are not there: {_points(keys, lost, files.names)}")
    identity = np.stack([source.astype(np.float64), *(relations[name] for name in _SHOT)], axis=1)
    _, first, inverse = np.unique(identity, axis=0, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))  # shots are numbered as the relations list them
    shot = rank[inverse.reshape(-1)]
    rows = np.sort(first)
    shots = {name: relations[name][rows] for name in _SHOT} | {"source": source[rows] + 1.0}
    spreads = {"shot": shot + 1.0} | {
        name: relations[name]
        for name in ("channel_first", "channel_last", "channel_step", "receiver_line", "receiver_first",
                     "receiver_last", "receiver_index")
    }  # fmt: skip
    order = np.lexsort((spreads["channel_first"], spreads["shot"]))
    spreads = {name: values[order] for name, values in spreads.items()}
    _check_channels(spreads, shots)
    sources, source_gaps = _filled(all_sources)
    receivers, receiver_gaps = _filled(all_receivers)
    return Linked(
        sources=Table(sources),
        receivers=Table(receivers),
        shots=Table(shots),
        spreads=Table(spreads),
        notes=(*files.notes, *source_notes, *receiver_notes, *source_gaps, *receiver_gaps),
    )


def _once(points: Points) -> tuple[Points, list[str]]:
    """The points without rows that repeat another one entry for entry, and a note of how many there were."""
    values = np.stack(list(points.columns.values()))
    _, first = np.unique(np.where(np.isnan(values), np.inf, values), axis=1, return_index=True)
    repeated = len(points) - len(first)
    if not repeated:
        return points, []
    rows = np.sort(first)
    kept = Points(points.what, {name: column[rows] for name, column in points.columns.items()})
    return kept, [f"{repeated} of {len(points)} {points.what}s repeat another in every entry: counted once"]


def _refuse_twice(points: Points, names: LineNames) -> None:
    repeated = Keys(points.keys).duplicates()
    if repeated.size:
        found = _points(points.keys, repeated, names)
        raise UsageError(f"{repeated.size} {points.what}s are given twice: {found}; tell them apart by their index")


def _points(keys: list[np.ndarray], rows: np.ndarray, names: LineNames) -> str:
    """Ten points by name."""
    line, point, index = keys
    shown = dict.fromkeys(f"line {names.label(line[r])} point {point[r]:g} index {index[r]:g}" for r in rows[:1000])
    texts = list(shown)
    return ", ".join(texts[:MOST_LISTED]) + (", ..." if len(texts) > MOST_LISTED else "")


def _check_channels(spreads: Mapping[str, np.ndarray], shots: Mapping[str, np.ndarray]) -> None:
    """Channels must be whole numbers in ascending ranges, and none may stand in two ranges of a shot."""
    first, last, step = (spreads[f"channel_{name}"] for name in ("first", "last", "step"))
    record = [shots["field_record"][spreads["shot"].astype(np.int64) - 1], first]
    wrong = (first % 1 != 0) | (last % 1 != 0) | (first < 0) | (last >= _CHANNELS) | (last < first) | (step < 1)
    wrong |= (step % 1 != 0) | ((last - first) % np.where(step < 1, 1, step) != 0)
    if wrong.any():
        rows = np.flatnonzero(wrong)
        found = listed(["field_record", "channel"], record, rows)
        raise UsageError(f"{rows.size} relations have no ascending range of channels: {found}")
    overlap = np.flatnonzero((spreads["shot"][1:] == spreads["shot"][:-1]) & (first[1:] <= last[:-1])) + 1
    if overlap.size:
        found = listed(["field_record", "channel"], record, overlap)
        raise UsageError(f"{overlap.size} ranges of channels begin inside another of the same shot: {found}")


def _filled(points: Points) -> tuple[dict[str, np.ndarray], list[str]]:
    """Columns without gaps; one that some points lack is left out, and said so: nothing is guessed."""
    kept, notes = {}, []
    for name, values in points.columns.items():
        gaps = int(np.isnan(values).sum())
        if not gaps:
            kept[name] = values
        elif name in ("x", "y", *POSITION):
            raise UsageError(f"{gaps} of {len(points)} {points.what}s have no {name}")
        elif gaps < len(points):
            notes.append(f"{gaps} of {len(points)} {points.what}s have no {name}: it is left alone for all")
    return kept, notes
