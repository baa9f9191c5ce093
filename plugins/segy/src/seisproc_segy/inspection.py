"""What front ends show of a file before it is imported: facts, header tables, ranges of header words."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from seisproc_core.data.words import canonical, unknown_word
from seisproc_segy.backend import default_backend
from seisproc_segy.detect import FILE_HEADER, TEXT, guess_text, text_lines
from seisproc_segy.headermap import Places, places_of, words_or_zero
from seisproc_segy.notes import notes_on
from seisproc_segy.options import ReadOptions, read_options
from seisproc_segy.samples import NAMES
from seisproc_segy.storage import check_regular
from seisproc_segy.survey import translated
from seisproc_segy.timing import delay_ms

if TYPE_CHECKING:
    from seisproc_segy.fallback import SegyFile

_CHUNK = 1 << 18


def describe(path: str, **options: Any) -> dict[str, Any]:
    """Facts of one file as plain JSON values.

    Parameters
    ----------
    options
        As in `seisproc_segy.options.ReadOptions`.

    Returns
    -------
    dict
        ``path kind format format_name revision endian size traces samples interval_ms start_ms length_ms header_bytes
        text_encoding header_map text extended_text trailing_bytes reasons findings``; text without control characters,
        start of the first trace; reasons by decision.
    """
    file, places = _open(path, options)
    start_ms, findings = 0.0, list(file.findings)
    if file.traces:
        with translated(default_backend(), f"reading {path}"):
            delay, scalar = words_or_zero(
                places, ("delay", "time_scalar"), lambda fields: file.columns(fields, 0, 1), 1
            )
            findings += notes_on(file, file.prefix(), places, read_options(options))
        start_ms = float(delay_ms(delay, scalar)[0])
    interval_ms = round(file.interval_s * 1e3, 9)
    return {
        "path": file.path,
        "kind": file.kind,
        "format": file.format,
        "format_name": NAMES[file.format],
        "revision": f"{file.revision[0]}.{file.revision[1]}",
        "endian": file.endian,
        "size": file.size,
        "traces": file.traces,
        "samples": file.samples,
        "interval_ms": interval_ms,
        "start_ms": start_ms,
        "length_ms": round(interval_ms * (file.samples - 1), 9),
        "header_bytes": file.header_bytes,
        "text_encoding": file.text_encoding,
        "header_map": read_options(options).header_map.name,
        "text": [_printable(line) for line in file.text()],
        "extended_text": [[_printable(line) for line in record.splitlines()] for record in file.extended()],
        "trailing_bytes": file.trailing_bytes,
        "reasons": dict(file.reasons),
        "findings": findings,
    }


def kept_text(file: Mapping[str, Any]) -> list[str]:
    """Lines of text and extended text that a survey keeps of the file it came from (`SurveyInfo.file`)."""
    prefix = base64.b64decode(file.get("prefix", "")) if file.get("kind") == "segy" else b""
    records = [prefix[:TEXT]] + [prefix[at : at + TEXT] for at in range(FILE_HEADER, len(prefix), TEXT)]
    lines = []
    for number, record in enumerate(records if prefix else []):
        encoding = file["text_encoding"] if number == 0 else guess_text(record)[0]
        lines += [_printable(line) for line in text_lines(record, encoding)]
    return lines


def header_table(
    path: str, names: Sequence[str] = (), start: int = 0, stop: int = 10, **options: Any
) -> dict[str, np.ndarray]:
    """Stored values of header words of traces ``start:stop``, each ``(stop - start,)``.

    Parameters
    ----------
    names
        Names, SU keys, or custom words of the option ``words``; those that are not all zero when empty.
    """
    file, places = _open(path, options)
    chosen = _chosen(names, places)
    stop = min(stop, file.traces)
    with translated(default_backend(), f"reading {path}"):
        columns = file.columns(list(chosen.values()), min(start, stop), stop)
    return {name: column for name, column in zip(chosen, columns, strict=True) if names or column.any()}


def word_statistics(path: str, names: Sequence[str] = (), **options: Any) -> dict[str, dict[str, Any]]:
    """First, last, least and greatest value of header words and how many different ones there are, over all traces.

    Parameters
    ----------
    names
        Names, SU keys, or custom words of the option ``words``; those that are not all zero when empty.
    """
    file, places = _open(path, options)
    chosen = _chosen(names, places)
    found: dict[str, dict[str, Any]] = {}
    different: dict[str, np.ndarray] = {}
    for start in range(0, file.traces, _CHUNK):
        with translated(default_backend(), f"reading {path}"):
            columns = file.columns(list(chosen.values()), start, min(start + _CHUNK, file.traces))
        for name, column in zip(chosen, columns, strict=True):
            different[name] = np.unique(column) if name not in different else np.union1d(different[name], column)
            entry = found.setdefault(name, {"first": column[0].item()})
            entry["last"] = column[-1].item()
    for name, values in different.items():
        byte, type_ = chosen[name]
        found[name] |= {"min": values[0].item(), "max": values[-1].item(), "n_unique": len(values)}
        found[name] |= {"byte": byte, "type": type_}
    return {name: entry for name, entry in found.items() if names or entry["min"] != 0 or entry["max"] != 0}


def _open(path: str, given: Mapping[str, Any]) -> tuple[SegyFile, Places]:
    options: ReadOptions = read_options(given)
    check_regular(path)
    with translated(default_backend(), f"opening {path}"):
        file: SegyFile = default_backend().SegyFile.open(path, **options.of_file)
    return file, places_of(file, options.header_map, options.words)


def _chosen(names: Sequence[str], places: Places) -> dict[str, tuple[int, str]]:
    if not names:
        return dict(places)
    known = [canonical(name) for name in names]
    for name in known:
        if name not in places:
            raise unknown_word(name, sorted(places))
    return {name: places[name] for name in known}


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else " " for c in line).rstrip()
