"""The files that the step `geometry` names, as points and relations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import attrs
import numpy as np

from seisproc_core.data.tables import Table
from seisproc_core.errors import UsageError
from seisproc_geometry.keys import NONE, Keys
from seisproc_geometry.points import POSITION, LineNames, Points, Relations, SurveyFiles
from seisproc_geometry.reading.p190 import read_p190
from seisproc_geometry.reading.sps import read_sps
from seisproc_geometry.reading.tables import Columns, read_points, read_relations

LengthUnit = Literal["m", "ft", "us_ft"]
_UNITS: dict[LengthUnit, float] = {"m": 1.0, "ft": 0.3048, "us_ft": 1200 / 3937}


@attrs.frozen(kw_only=True)
class Named:
    """Where the files are: parameters of the step."""

    sps: tuple[Path, ...] | None
    p190: Path | None
    stations: Table | Path | None
    sources: Table | Path | None
    receivers: Table | Path | None
    relations: Table | Path | None
    columns: Mapping[str, str]
    spread: Mapping[str, float]
    interpolate: bool
    sps_revision: Literal[1, 2] | None


def read_survey_files(named: Named, files: Sequence[str]) -> tuple[SurveyFiles, LengthUnit | None]:
    """Read what is named.

    Returns
    -------
    files, unit
        What they say, and the unit of length that they state.
    """
    kinds = [named.sps is not None, named.p190 is not None]
    tables = any(t is not None for t in (named.stations, named.sources, named.receivers, named.relations))
    if sum(kinds) + tables > 1:
        raise UsageError("name SPS files, a P1/90 file or tables, not several kinds")
    if named.sps is not None:
        found, factor = read_sps(named.sps, named.sps_revision)
        return found, None if factor is None else _unit(factor)
    if named.p190 is not None:
        return read_p190(named.p190), None
    return _tables(named, files), None


def _unit(factor: float) -> LengthUnit:
    return min(_UNITS, key=lambda unit: abs(_UNITS[unit] - factor))


def _tables(named: Named, files: Sequence[str]) -> SurveyFiles:
    renamed, spread, names = named.columns, named.spread, LineNames()
    held = {
        name: None if getattr(named, name) is None else Columns(getattr(named, name), name, renamed)
        for name in ("stations", "sources", "receivers", "relations")
    }
    _check_renamed(renamed, [columns for columns in held.values() if columns is not None])
    stations, relations = held["stations"], held["relations"]
    if relations is None and stations is None:
        return _without_relations(held["sources"], held["receivers"], names, files, spread)
    if relations is None:
        raise UsageError("stations need relations (an observer's log): which record shot where, into which stations")
    on_line = None if stations is None else read_points(stations, "receiver", names)
    receivers = on_line if held["receivers"] is None else read_points(held["receivers"], "receiver", names)
    if receivers is None:
        raise UsageError("relations need receivers, or stations that sources and receivers stand at")
    with_positions = held["sources"] is None and "x" in relations
    named_points = "source" in relations or "point" in relations
    own = np.arange(1.0, len(relations) + 1) if with_positions and not named_points else None
    sources = None if with_positions else _sources(held["sources"], stations, names)
    made = read_relations(relations, names, files, spread, own, sources)
    if sources is None:
        sources, made = _sources_of_log(relations, made, names)
    made = _on_only_line(made, receivers, relations)
    if on_line is not None and held["sources"] is None and not with_positions:
        sources = _at_stations(on_line, sources, made, named.interpolate)
    return SurveyFiles(sources=sources, receivers=receivers, relations=made, names=names)


def _check_renamed(renamed: Mapping[str, str], tables: Sequence[Columns]) -> None:
    for ours, theirs in renamed.items():
        if not any(theirs in columns.table.columns for columns in tables):
            raise UsageError(f"columns names '{theirs}' for {ours}, but no table has it")


def _sources(own: Columns | None, stations: Columns | None, names: LineNames) -> Points:
    table = own or stations
    if table is None:
        raise UsageError("relations need sources, stations, or columns x and y of their own")
    return read_points(table, "source", names)


def _sources_of_log(relations: Columns, made: Relations, names: LineNames) -> tuple[Points, Relations]:
    """A log that brings positions: every record is a source of its own, however close to another it lies."""
    identity = np.stack([made.columns[name] for name in ("field_record", "file", "day", "second")])
    _, first, number = np.unique(identity, axis=1, return_index=True, return_inverse=True)
    key = next(name for name in ("source", "point", "field_record") if name in relations)
    points = read_points(relations, "source", names, key)
    columns = {name: values[first] for name, values in points.columns.items()}
    columns |= {"line": np.zeros(len(first)), "index": np.arange(1.0, len(first) + 1)}
    columns["point"] = made.columns["source_point"][first]
    linked = {"source_line": np.zeros(len(made)), "source_index": number.reshape(-1) + 1.0}
    linked["source_point"] = columns["point"][number.reshape(-1)]
    return Points("source", columns), Relations({**made.columns, **linked})


def _on_only_line(made: Relations, receivers: Points, relations: Columns) -> Relations:
    """Relations that name no receiver line mean the only one there is."""
    lines = np.unique(receivers.columns["line"])
    if "receiver_line" in relations or len(lines) != 1:
        return made
    return Relations({**made.columns, "receiver_line": np.full(len(made), lines[0])})


def _at_stations(stations: Points, sources: Points, made: Relations, interpolate: bool) -> Points:
    """The stations that were shot from; points between two of them lie on the straight line, where that is wanted."""
    wanted = np.unique(np.stack([made.columns[f"source_{name}"] for name in POSITION]), axis=1)
    row = Keys(sources.keys).find(list(wanted))
    between = np.flatnonzero(row == NONE) if interpolate else np.array([], np.int64)
    columns = {name: values[row[row != NONE]] for name, values in sources.columns.items()}
    if between.size:
        line, point, _ = wanted[:, between]
        order = np.argsort(stations.columns["point"], kind="stable")
        at = stations.columns["point"][order]
        if len(np.unique(line)) > 1 or point.min() < at[0] or point.max() > at[-1]:
            raise UsageError(f"sources outside the stations {at[0]:g} to {at[-1]:g} cannot be interpolated")
        added = {"line": line, "point": point, "index": np.ones(between.size)}
        for name, values in columns.items():
            more = added.get(name)
            columns[name] = np.append(
                values, np.interp(point, at, sources.columns[name][order]) if more is None else more
            )
    return Points("source", columns)


def _without_relations(
    sources: Columns | None,
    receivers: Columns | None,
    names: LineNames,
    files: Sequence[str],
    spread: Mapping[str, float],
) -> SurveyFiles:
    """A fixed spread: every source was recorded by all receivers; sources have records, receivers channels."""
    if sources is None or receivers is None:
        raise UsageError("tables of sources and of receivers are needed, or stations and relations")
    heard = read_points(receivers, "receiver", names, "channel")
    heard = Points("receiver", {**heard.columns, "line": np.zeros(len(heard)), "index": np.ones(len(heard))})
    count = np.arange(1.0, len(sources) + 1)
    shot = read_points(sources, "source", names, "point" if "point" in sources else "field_record")
    # A source a row: a repeated record or station is another shot.
    shot = Points("source", {**shot.columns, "line": np.zeros(len(shot)), "index": count})
    channels = heard.columns["point"]
    ends = {"channel_first": channels.min(), "channel_last": channels.max()}
    ends |= {"receiver_first": channels.min(), "receiver_last": channels.max()}
    made = read_relations(sources, names, files, {**ends, **spread}, shot.columns["point"])
    columns = {**made.columns, "source_index": count, "source_line": np.zeros(len(shot))}
    columns["receiver_line"] = np.zeros(len(shot))
    return SurveyFiles(sources=shot, receivers=heard, relations=Relations(columns), names=names)
