"""Tables: named float columns for velocities, mutes, weights - short ones inline in a flow, long ones in files."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seisproc_core.errors import Damaged, UsageError

MAX_TABLE_BYTES = 64 << 20
STAMP = "# seisproc-table "  # how the first line of a version begins; see `table_versions`


class Table:
    """Columns of equal length, float64.

    Parameters
    ----------
    columns
        Values by column name; names end in their unit (``time_ms``, ``offset_m``, ``rms_m_per_s``), key columns are
        header words (``cdp``).
    source
        Where it was read from; empty for a table written inline.
    """

    def __init__(self, columns: Mapping[str, Any], source: str = "") -> None:
        made = {}
        for name, values in columns.items():
            try:
                array = np.array(values, ndmin=1)
                if array.size and array.dtype.kind not in "iuf":  # no text, no dates, no integers beyond 64 bits
                    raise TypeError
                made[name] = array.astype(np.float64)
            except (TypeError, ValueError) as error:
                raise UsageError(f"table {source or 'inline'}: column '{name}' is not a list of numbers") from error
            if made[name].ndim != 1 or not np.isfinite(made[name]).all():
                raise UsageError(f"table {source or 'inline'}: column '{name}' must be a flat list of finite numbers")
        lengths = {name: len(values) for name, values in made.items()}
        if not lengths or min(lengths.values()) != max(lengths.values()) or min(lengths.values()) == 0:
            raise UsageError(f"table {source or 'inline'}: columns must have the same length, at least 1: {lengths}")
        self.columns: dict[str, np.ndarray] = made
        self.source = source

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.checksum)

    def __repr__(self) -> str:
        return f"Table({', '.join(self.columns)}; {len(self)} rows{f' from {self.source}' if self.source else ''})"

    @property
    def checksum(self) -> str:
        """SHA-256 of the content, whatever it was read from."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def groups(self, key: str) -> Iterator[tuple[float, Table]]:
        """The part of the table at each value of a key column, in ascending order of the key."""
        for value in np.unique(self.columns[key]):
            rows = self.columns[key] == value
            yield float(value), Table({n: c[rows] for n, c in self.columns.items() if n != key}, self.source)

    def to_json(self) -> dict[str, list[float]]:
        return {name: [float(v) for v in values] for name, values in self.columns.items()}


def read_table(path: Path) -> Table:
    """Read a table from ``.csv`` (one header line) or ``.toml``.

    A name without suffix tries both, then the latest of its versions ``NAME_v1.csv``, ``NAME_v2.csv`` ...

    Raises
    ------
    UsageError
        There is none, or it cannot be read.
    Damaged
        A version does not match the checksum in its first line.
    """
    try:
        return _read(path)
    except (OSError, ValueError, IndexError, RecursionError, csv.Error) as error:
        raise UsageError(f"table {path} cannot be read: {error}") from error


def _read(path: Path) -> Table:
    candidates = [path] if path.suffix else [path.with_suffix(".csv"), path.with_suffix(".toml")]
    found = next((p for p in candidates if p.is_file()), None) or _latest(path)
    if found is None:
        raise UsageError(f"table {path} not found (looked for {', '.join(p.name for p in candidates)})")
    if found.stat().st_size > MAX_TABLE_BYTES:
        raise UsageError(f"table {found} is larger than {MAX_TABLE_BYTES >> 20} MiB")
    text = found.read_text("utf-8")
    if found.suffix == ".toml":
        return Table(tomllib.loads(text), str(found))
    rows = [row for row in csv.reader(text.splitlines()) if row and not row[0].lstrip().startswith("#")]
    names = [name.strip() for name in rows[0]]
    table = Table({name: [float(row[i]) for row in rows[1:]] for i, name in enumerate(names)}, str(found))
    stated = _stamp(text.partition("\n")[0]).get("sha256")
    if stated is not None and stated != table.checksum:
        raise Damaged(
            f"table {found} does not match its checksum: a version never changes; import what was edited as a new one"
        )
    return table


def _latest(path: Path) -> Path | None:
    """The version with the highest number of a name without suffix."""
    numbered = re.compile(re.escape(path.name) + r"_v([1-9]\d{0,8})\.csv")
    if path.suffix or not path.parent.is_dir():
        return None
    found = [(int(m[1]), p) for p in path.parent.iterdir() if (m := numbered.fullmatch(p.name)) and p.is_file()]
    return max(found)[1] if found else None


def read_stamp(path: Path) -> dict[str, str]:
    """What the first line of a version says: kind, version, sha256; empty for any other table."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return _stamp(file.readline(10_000))
    except OSError:
        return {}


def _stamp(line: str) -> dict[str, str]:
    if not line.startswith(STAMP):
        return {}
    pairs = (word.partition("=") for word in line.removeprefix(STAMP).split())
    return {key: value for key, _, value in pairs}
