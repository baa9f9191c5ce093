"""Versions of a table: ``NAME_v1.csv``, ``NAME_v2.csv`` ... in one folder, each written once and never changed.

A first line ``# seisproc-table kind=velocity version=2 sha256=...`` tells what it is; `read_table` holds the content to
the checksum. A flow names a version (``"tables/vel_v2"``) or the latest (``"tables/vel"``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import attrs

from seisproc_core.data.tables import Table, read_stamp, read_table
from seisproc_core.errors import StorageError, UsageError

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_NUMBERED = re.compile(r"(.+)_v([1-9]\d{0,8})")


@attrs.frozen(kw_only=True)
class Version:
    """One version of a table; `about` are its kind, checksum, where it came from."""

    name: str
    number: int
    path: Path
    about: Mapping[str, str]

    def read(self) -> Table:
        return read_table(self.path)


def versions_of(folder: Path, name: str) -> list[Version]:
    """All versions of a table, oldest first."""
    return [version for version in all_versions(folder) if version.name == name]


def all_versions(folder: Path) -> list[Version]:
    """All versions of all tables of a folder, by name and number."""
    found = []
    for path in folder.glob("*_v*.csv") if folder.is_dir() else ():
        numbered = _NUMBERED.fullmatch(path.stem)
        if numbered and path.is_file():
            found.append(Version(name=numbered[1], number=int(numbered[2]), path=path, about=read_stamp(path)))
    return sorted(found, key=lambda version: (version.name, version.number))


def find_version(folder: Path, name: str) -> Version:
    """``NAME_v2``, or the latest of ``NAME``.

    Raises
    ------
    UsageError
        There is none; names those that there are.
    """
    known = all_versions(folder)
    exact = [version for version in known if version.path.stem == name]
    latest = [version for version in known if version.name == name]
    if not exact and not latest:
        names = ", ".join(dict.fromkeys(version.name for version in known)) or "none"
        raise UsageError(f"there is no table '{name}' in {folder}; there are: {names}")
    return (exact or latest)[-1]


def add_version(table: Table, folder: Path, name: str, about: Mapping[str, str]) -> Version:
    """Write a table as the next version of a name; the latest one, where that holds the same.

    Parameters
    ----------
    about
        More to say in the first line, as ``{"kind": "velocity", "from": "picks.par"}``; words without blanks.

    Raises
    ------
    UsageError
        The name cannot be that of a table.
    """
    if NAME.fullmatch(name) is None or _NUMBERED.fullmatch(name):
        raise UsageError(f"'{name}' cannot be the name of a table: letters, digits, - and _, without _v and a number")
    old = versions_of(folder, name)
    if old and old[-1].read() == table:
        return old[-1]
    said = {key: re.sub(r"\s", "_", value) for key, value in about.items()}
    number = old[-1].number + 1 if old else 1
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            path = folder / f"{name}_v{number}.csv"
            stamp = {"version": str(number), "sha256": table.checksum, **said}
            if _created(path, _text(table, stamp)):
                return Version(name=name, number=number, path=path, about=stamp)
            number += 1  # another program was quicker
    except OSError as error:
        raise StorageError.from_os(error, f"cannot write table {name} into {folder}") from error


def _text(table: Table, stamp: Mapping[str, str]) -> str:
    head = "# seisproc-table " + " ".join(f"{key}={value}" for key, value in stamp.items())
    rows = zip(*table.columns.values(), strict=True)
    lines = [",".join(repr(float(value)).removesuffix(".0") for value in row) for row in rows]
    return "\n".join([head, ",".join(table.columns), *lines]) + "\n"


def _created(path: Path, text: str) -> bool:
    """Make a file that is whole when it appears; False where the name is taken, which stays as it is."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with fresh.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(fresh, path)  # unlike a rename it never replaces
    except FileExistsError:
        return False
    finally:
        with suppress(OSError):
            fresh.unlink()
    return True
