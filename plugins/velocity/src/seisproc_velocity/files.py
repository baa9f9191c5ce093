"""Velocity tables in text files: CSV, JSON, Seismic Unix parameters, plain columns, HANDVEL cards, Dix listings.

Every reader gives a `Table` with ``time_ms`` (or ``depth_m``), a velocity in m/s or ``eta``, and keys; every writer
takes one. Nothing is guessed about units: times of formats that do not state them are milliseconds unless said.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import attrs
import numpy as np

from seisproc_core.data.tables import MAX_TABLE_BYTES, Table, read_table
from seisproc_core.errors import Damaged, OutputExists, SeisprocError, StorageError, UsageError
from seisproc_core.jobs.durable import whole_file
from seisproc_velocity.fields import KEYS, KINDS, field_of
from seisproc_velocity.su_parameters import read_functions
from seisproc_velocity.tables import listing, quantity_of

TimeUnit = Literal["ms", "s"]
JSON_FORMAT = "seisproc-velocity"
COLUMNS = (*KEYS, "time_ms", "time_s", "depth_m", *KINDS, "eta")
FEW_MS = 20.0  # functions that end before are in seconds, or wrong
DIX_AGREES = 0.01  # of an interval velocity: what rounding of a listing may cost
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"


@attrs.frozen
class TextFormat:
    """A way to write a table as text; `read` gets the text and the unit of times it does not state."""

    summary: str
    read: Callable[[str, TimeUnit], Table]
    write: Callable[[Table], str]


def read_velocities(path: Path, format: str | None = None, *, time_unit: TimeUnit = "ms") -> Table:
    """Read a velocity table.

    Parameters
    ----------
    format
        One of `FORMATS`; found from suffix and content when left out.
    time_unit
        Of times in formats that do not name their columns.

    Raises
    ------
    UsageError
        The file cannot be read as that format, or holds no velocity function; names the file.
    Damaged
        A JSON table does not match its checksum.
    """
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise UsageError(f"larger than {MAX_TABLE_BYTES >> 20} MiB: not a velocity table")
        text = path.read_text("utf-8")
        name = format or _detected(path, text)
        table = read_table(path) if name == "csv" else FORMATS[name].read(text, time_unit)
        field_of(table, quantity_of(table))
    except OSError as error:
        raise StorageError.from_os(error, f"cannot read {path}") from error
    except (SeisprocError, ValueError, RecursionError) as error:
        made = Damaged if isinstance(error, Damaged) else UsageError
        raise made(f"velocity table {path}: {error}") from error
    return Table(table.columns, str(path))


def write_velocities(table: Table, path: Path, format: str | None = None, *, replace: bool = False) -> None:
    """Write a velocity table, whole or not at all; a missing `format` follows the suffix (text without: columns).

    Raises
    ------
    OutputExists
        The file is there and `replace` is False.
    UsageError
        The format cannot hold this table.
    """
    if os.path.lexists(path) and not replace:
        raise OutputExists(f"{path} exists; choose another name, or replace it")
    name = format or _SUFFIXES.get(path.suffix.lower(), "columns")
    text = FORMATS[name].write(table)
    with whole_file(path) as fresh:
        fresh.write_text(text, "utf-8", newline="\n")


def _detected(path: Path, text: str) -> str:
    if path.suffix.lower() in (".csv", ".json", ".toml"):
        return "csv" if path.suffix.lower() == ".toml" else path.suffix.lower()[1:]
    if re.search(r"^\s*(cdp|tnmo|vnmo)\s*=", text, re.MULTILINE):
        return "su"
    if re.search(r"^\s*(HANDVEL|VELF)\b", text, re.MULTILINE | re.IGNORECASE):
        return "handvel"
    named = _names(text.lstrip().partition("\n")[0])
    return "dix" if {"rms_m_per_s", "interval_m_per_s", "depth_m"} <= set(named) else "columns"


# ------------------------------------------------------------------------------------------------------ CSV and JSON


def _write_csv(table: Table) -> str:
    return _lines(table, ",".join(table.columns), ",")


def _read_json(text: str, _: TimeUnit) -> Table:
    plain = json.loads(text)
    if not isinstance(plain, dict) or plain.get("format") != JSON_FORMAT or not isinstance(plain.get("columns"), dict):
        raise UsageError(f'needs "format": "{JSON_FORMAT}" and "columns"')
    table = Table(plain["columns"])
    if plain.get("version") != 1:
        raise UsageError(f"has version {plain.get('version')}; this program reads version 1")
    if "checksum" in plain and plain["checksum"] != table.checksum:
        raise Damaged("its columns do not match its checksum; take the checksum out if they were edited on purpose")
    return table


def _write_json(table: Table) -> str:
    plain: dict[str, Any] = {"format": JSON_FORMAT, "version": 1, "checksum": table.checksum}
    return json.dumps(plain | {"columns": table.to_json()}, indent=1) + "\n"


# ------------------------------------------------------------------------------------------- Seismic Unix parameters


def _read_su(text: str, _: TimeUnit) -> Table:
    """``tnmo=`` (s) and ``vnmo=`` (m/s), as `sunmo` takes them."""
    return read_functions(text, ("tnmo", "vnmo"), ("time_ms", "rms_m_per_s"))


def _write_su(table: Table) -> str:
    field = _rms(table, "Seismic Unix parameters")
    lines = [f"cdp={','.join(f'{place[0]:.10g}' for place in field.positions)}"] if field.keys else []
    for number in range(len(field.rows)):
        times, velocities = field.function(number)
        lines.append("tnmo=" + ",".join(f"{t:.10g}" for t in times))
        lines.append("vnmo=" + ",".join(f"{v:.10g}" for v in velocities))
    return "\n".join(lines) + "\n"


# ----------------------------------------------------------------------------------------------------- ASCII columns


def _names(line: str) -> list[str]:
    """Column names from a first line, with or without #; none where it holds numbers."""
    words = line.lstrip("#").split()
    return [] if not words or re.fullmatch(_NUMBER, words[0]) else words


def _read_columns(text: str, time_unit: TimeUnit) -> Table:
    """White-space separated; columns named in the first line, or time and rms velocity after up to two keys."""
    lines = text.strip().splitlines()
    names = _names(lines[0]) if lines else []
    known = bool(names) and set(names) <= set(COLUMNS)
    if names and not known and not lines[0].lstrip().startswith("#"):
        raise UsageError(f"unknown columns in its first line; columns are {', '.join(COLUMNS)}")
    body = [line.split() for line in lines[1 if names else 0 :] if line.strip() and not line.lstrip().startswith("#")]
    widths = {len(row) for row in body}
    if len(widths) != 1:
        raise UsageError("lines must all hold the same number of values" if widths else "holds no numbers")
    if not known:
        time = "time_s" if time_unit == "s" else "time_ms"
        keys = {2: (), 3: ("cdp",), 4: ("inline", "crossline")}.get(widths.pop())
        if keys is None:
            raise UsageError("name the columns in a first line: '# cdp time_ms rms_m_per_s'")
        names = [*keys, time, "rms_m_per_s"]
    values = np.array([[float(value) for value in row] for row in body])
    if values.shape[1] != len(names):
        raise UsageError(f"{len(names)} columns are named, lines hold {values.shape[1]}")
    columns = dict(zip(names, values.T, strict=True))
    if "time_s" in columns:
        columns = {"time_ms" if n == "time_s" else n: c * 1000 if n == "time_s" else c for n, c in columns.items()}
    elif not known:
        _refuse_seconds(columns["time_ms"])
    return Table(columns)


def _refuse_seconds(times_ms: np.ndarray) -> None:
    if times_ms.max() < FEW_MS:
        raise UsageError(f"times up to {times_ms.max():g} look like seconds: if they are, say so with --time-unit s")


def _write_columns(table: Table) -> str:
    return _lines(table, "# " + " ".join(table.columns), " ")


def _lines(table: Table, head: str, separator: str) -> str:
    rows = zip(*table.columns.values(), strict=True)
    return "\n".join([head, *(separator.join(f"{value:.10g}" for value in row) for row in rows)]) + "\n"


# ----------------------------------------------------------------------------------------------------- HANDVEL cards


def _read_handvel(text: str, time_unit: TimeUnit) -> Table:
    """``HANDVEL cdp`` (or ``VELF cdp``), then pairs of time and rms velocity on any number of lines."""
    head = re.compile(rf"(?:HANDVEL|VELF)\s+({_NUMBER})\s*", re.IGNORECASE)
    cdps: list[float] = []
    pairs: list[list[float]] = []
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if not bare or bare[0] in "*#":
            continue
        if found := head.fullmatch(bare):
            cdps.append(float(found[1]))
            pairs.append([])
        elif not pairs or re.fullmatch(rf"{_NUMBER}(\s+{_NUMBER})*", bare) is None:
            raise UsageError(f"line {number} is neither 'HANDVEL cdp' nor times and velocities: '{bare[:40]}'")
        else:
            pairs[-1] += [float(value) for value in bare.split()]
    for place, values in zip(cdps, pairs, strict=True):
        if not values or len(values) % 2:
            raise UsageError(f"cdp {place:g} has {len(values)} numbers: not pairs of time and velocity")
    if not pairs:
        raise UsageError("holds no HANDVEL card")
    flat = np.concatenate(pairs)
    times = flat[::2] * (1000 if time_unit == "s" else 1)
    if time_unit == "ms":
        _refuse_seconds(times)
    cdp = np.repeat(cdps, [len(values) // 2 for values in pairs])
    return Table({"cdp": cdp, "time_ms": times, "rms_m_per_s": flat[1::2]})


def _write_handvel(table: Table) -> str:
    field = _rms(table, "HANDVEL cards")
    if not field.keys:
        raise UsageError("HANDVEL cards need functions keyed by cdp")
    lines = []
    for number, place in enumerate(field.positions):
        lines.append(f"HANDVEL {place[0]:g}")
        pairs = [f"{1000 * t:<12.8g}{v:<12.8g}" for t, v in zip(*field.function(number), strict=True)]
        lines += ["".join(pairs[i : i + 4]).rstrip() for i in range(0, len(pairs), 4)]
    return "\n".join(lines) + "\n"


def _rms(table: Table, format: str) -> Any:
    """Rms velocities in time with at most the key cdp."""
    field = field_of(table)
    if field.depth or field.keys not in ((), ("cdp",)):
        raise UsageError(f"{format} hold rms velocities in time, keyed by cdp or by nothing")
    return field


# ------------------------------------------------------------------------------------------------------ Dix listings


def _read_dix(text: str, time_unit: TimeUnit) -> Table:
    """The rms velocities of a listing, its interval velocities checked against them."""
    whole = _read_columns(text, time_unit)
    rms = Table({name: whole[name] for name in whole.columns if name in (*KEYS, "time_ms", "rms_m_per_s")})
    if "interval_m_per_s" in whole:
        # `listing` sorts by position; a listing that was written by it is in that order.
        order = np.lexsort([whole[n] for n in ("time_ms", *(k for k in reversed(KEYS) if k in whole))])
        stated = whole["interval_m_per_s"][order]
        error = np.abs(listing(rms)["interval_m_per_s"] - stated)
        wrong = np.flatnonzero(error > DIX_AGREES * stated)
        if wrong.size:
            raise UsageError(
                f"rms and interval velocities contradict each other at {whole['time_ms'][order][wrong[0]]:g} ms; "
                "take one of the columns out"
            )
    return rms


def _write_dix(table: Table) -> str:
    whole = listing(table)
    head = "# " + " ".join(f"{name:>16}" for name in whole.columns)
    keys = [name in KEYS for name in whole.columns]
    rows = zip(*whole.columns.values(), strict=True)
    lines = [
        "  " + " ".join(f"{v:16.10g}" if k else f"{v:16.4f}" for v, k in zip(row, keys, strict=True)) for row in rows
    ]
    return "\n".join([head, *lines]) + "\n"


FORMATS: dict[str, TextFormat] = {
    "csv": TextFormat("comma separated, columns named in the first line", _read_columns, _write_csv),
    "json": TextFormat("columns by name, with version and checksum", _read_json, _write_json),
    "su": TextFormat("Seismic Unix parameters: cdp=, tnmo= (s), vnmo=", _read_su, _write_su),
    "columns": TextFormat("white-space separated columns", _read_columns, _write_columns),
    "handvel": TextFormat("HANDVEL cdp, then pairs of time and velocity", _read_handvel, _write_handvel),
    "dix": TextFormat("rms, interval and average velocity and depth at every knot", _read_dix, _write_dix),
}
_SUFFIXES = {".csv": "csv", ".json": "json", ".par": "su", ".dix": "dix", ".hvel": "handvel"}
