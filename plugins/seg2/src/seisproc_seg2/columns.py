"""Header columns of all traces of a survey, from the keywords of its files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from seisproc_core.data.words import word
from seisproc_core.errors import DataError
from seisproc_seg2 import keywords as kw
from seisproc_seg2.fileformat import Seg2File, TraceBlock
from seisproc_seg2.options import RECORD_FROM

_LOCATIONS = (
    ("RECEIVER_LOCATION", ("receiver_x", "receiver_y", "receiver_elevation")),
    ("SOURCE_LOCATION", ("source_x", "source_y", "source_elevation")),
)
_SCALARS = (1, -10, -100, -1000, -10000)
_LARGEST = 2**31 - 1


def make_columns(
    files: Sequence[Seg2File], record_from: str | None, per_unit: float
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Stored columns, and remarks on what could not be taken over.

    Parameters
    ----------
    record_from
        As `ReadOptions.field_record`.
    per_unit
        How many units of length a stored location counts for.
    """
    traces = [(file, trace) for file in files for trace in file.traces]
    count, notes = len(traces), []
    columns: dict[str, np.ndarray] = {
        "trace_sequence_line": np.arange(1, count + 1, dtype=np.int32),
        "trace_sequence_file": np.concatenate([np.arange(1, len(file.traces) + 1, dtype=np.int32) for file in files]),
    }
    records, remarks = field_records(files, record_from)
    notes += remarks
    if records is not None:
        columns["field_record"] = np.repeat(np.array(records, np.int32), [len(file.traces) for file in files])
    columns["channel"], remarks = _channels(files)
    notes += remarks
    columns["trace_type"] = np.array([kw.trace_type_of(trace.keywords) for _, trace in traces], np.int16)
    component = np.array([kw.component_of(trace.keywords) for _, trace in traces], np.int16)
    if component.any():
        columns["component"] = component
    columns |= _plain(traces, notes) | _times(files) | _locations(traces, per_unit, notes)
    return columns, notes


def field_records(files: Sequence[Seg2File], record_from: str | None) -> tuple[list[int] | None, list[str]]:
    """Field record number of every file; None, with a remark, where the files do not say."""
    ways = dict(zip(RECORD_FROM, (_sequence, _raw_record, _file_name), strict=False))
    if record_from == "position":
        return list(range(1, len(files) + 1)), []
    tried = [record_from] if record_from else list(RECORD_FROM[:2])
    for way in tried:
        found = [ways[way](file) for file in files]
        if all(number is not None for number in found):
            records = [int(number) for number in found if number is not None]
            return records, [] if record_from else _contradictions(files, records, way)
        if record_from:
            lacking = next(file.name for file, number in zip(files, found, strict=True) if number is None)
            raise DataError(f'{lacking} has no field record by field_record = "{way}"; choose {_others(way)}')
    return None, ['no field record number in the files: field_record = "file_name" or "position" makes one']


def _others(way: str) -> str:
    return " or ".join(other for other in RECORD_FROM if other != way)


def _sequence(file: Seg2File) -> int | None:
    return _whole(_first(file, "SHOT_SEQUENCE_NUMBER"))


def _raw_record(file: Seg2File) -> int | None:
    return kw.last_number(_first(file, "RAW_RECORD"))


def _file_name(file: Seg2File) -> int | None:
    return kw.last_number(file.name)


def _first(file: Seg2File, keyword: str) -> str:
    """A keyword of the file, or of its first trace."""
    return file.keywords.get(keyword) or file.traces[0].keywords.get(keyword, "")


def _whole(text: str) -> int | None:
    value = kw.number_of(text)
    return int(value) if value is not None and value == int(value) and abs(value) <= _LARGEST else None


def _contradictions(files: Sequence[Seg2File], records: Sequence[int], way: str) -> list[str]:
    """A remark where the number of a raw record or the file's name says another record than was taken."""
    for other, number_of in (("raw_record", _raw_record), ("file_name", _file_name)):
        for file, record in zip(files, records, strict=True):
            number = number_of(file)
            if number is not None and number != record:
                found = f"{file.name}: field record {record} by {way}, {number} by {other}"
                return [f'{found}; field_record = "{other}" takes that one']
    return []


def _channels(files: Sequence[Seg2File]) -> tuple[np.ndarray, list[str]]:
    channels, by_position = [], 0
    for file in files:
        for position, trace in enumerate(file.traces, 1):
            number, _ = kw.channel_of(trace.keywords)
            by_position += number is None
            channels.append(position if number is None else number)
    notes = [f"{by_position} traces without CHANNEL_NUMBER: their position in the file taken"] if by_position else []
    return np.array(channels, np.int32), notes


def _values(
    traces: Sequence[tuple[Seg2File, TraceBlock]], keyword: str, read: Callable[[str], Any]
) -> list[Any] | None:
    """Values of a keyword by trace, None for traces without; None where no trace has it."""
    found = []
    for file, trace in traces:
        text = trace.keywords.get(keyword, file.keywords.get(keyword))
        found.append(None if text is None else read(text))
    return found if any(value is not None for value in found) else None


def _plain(traces: Sequence[tuple[Seg2File, TraceBlock]], notes: list[str]) -> dict[str, np.ndarray]:
    """Words that are one number each."""
    columns = {}
    for keyword, name in (kw.WHOLE | kw.REAL).items():
        real = keyword in kw.REAL
        found = _values(traces, keyword, kw.number_of if real else _whole)
        if found is None:
            continue
        dtype = np.dtype("f8") if real else word(name).dtype
        limit = np.inf if dtype.kind == "f" else np.iinfo(dtype).max
        usable = [value is not None and abs(value) <= limit for value in found]
        if not all(usable):
            notes.append(f"{keyword} is missing, or no number for its word, in {usable.count(False)} traces: 0 there")
        columns[name] = np.array([value if ok else 0 for value, ok in zip(found, usable, strict=True)], dtype)
    return columns


def _times(files: Sequence[Seg2File]) -> dict[str, np.ndarray]:
    """Time of acquisition; words that some file lacks are left out."""
    found = [kw.time_of(file.keywords) for file in files]
    counts = [len(file.traces) for file in files]
    names = [name for name in ("year", "day", "hour", "minute", "second") if all(name in time for time in found)]
    return {name: np.repeat(np.array([time[name] for time in found], np.int16), counts) for name in names}


def _locations(
    traces: Sequence[tuple[Seg2File, TraceBlock]], per_unit: float, notes: list[str]
) -> dict[str, np.ndarray]:
    """Coordinates and elevations with the scalar that keeps their decimals."""
    values: dict[str, np.ndarray] = {}
    for keyword, names in _LOCATIONS:
        found = _values(traces, keyword, kw.numbers_of)
        if found is None or not any(found):
            continue
        lacking = sum(not place for place in found)
        if lacking:
            notes.append(f"{keyword} is missing or unreadable in {lacking} traces: 0 there")
        for axis in range(min(3, max(len(place or ()) for place in found))):
            values[names[axis]] = per_unit * np.array([(*(p or ()), 0.0, 0.0, 0.0)[axis] for p in found])
    columns: dict[str, np.ndarray] = {}
    for scalar, last_letters in (("coordinate_scalar", "xy"), ("elevation_scalar", "n")):
        group = {name: column for name, column in values.items() if name[-1] in last_letters}
        if group:
            stored, factor = _scaled(group, notes)
            columns |= stored | {scalar: np.full(len(traces), factor, np.int16)}
    return columns


def _scaled(group: dict[str, np.ndarray], notes: list[str]) -> tuple[dict[str, np.ndarray], int]:
    """Whole numbers and their scalar: the smallest one that keeps all decimals and fits."""
    largest = max(float(np.abs(column).max()) for column in group.values())
    fitting = [scalar for scalar in _SCALARS if largest * abs(scalar) <= _LARGEST]
    if not fitting:
        raise DataError(f"a location of {largest:g} does not fit a header word of 32 bits")
    for scalar in fitting:
        scaled = {name: column * abs(scalar) for name, column in group.items()}
        if all(np.abs(column - np.rint(column)).max() < 1e-6 * max(1.0, abs(scalar)) for column in scaled.values()):
            break
    else:
        notes.append(f"locations are rounded to 1/{abs(fitting[-1])} of their unit")
    return {name: np.rint(column).astype(np.int32) for name, column in scaled.items()}, scalar
