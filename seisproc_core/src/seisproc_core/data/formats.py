"""Which installed format a path belongs to, and opening it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seisproc_core.errors import Incomplete, UsageError
from seisproc_core.plugins import Described, registry

if TYPE_CHECKING:
    from seisproc_core.data.survey import Survey


def format_of(path: Path) -> Described:
    """The format of an input: by suffix, else the folder format for folders and the file format for files.

    Raises
    ------
    UsageError
        There is no such file, or no installed format reads it.
    Incomplete
        There is only an unfinished output of that name.
    """
    if not os.path.lexists(path):
        if unfinished(path):
            raise Incomplete(f"{path} is not finished; go on with: seisproc resume {path}")
        raise UsageError(f"{path}: there is no such file or folder")
    by_suffix = _by_suffix(path)
    if by_suffix is not None:
        return by_suffix
    for entry in registry().of("storage"):
        if entry.spec["suffixes"] and bool(entry.spec["working"]) == path.is_dir():
            return entry
    raise UsageError(f"no installed format reads {path} (seisproc plugins list shows what is installed)")


def format_for(path: Path, otherwise: str) -> str:
    """Id of the format of an output: by its suffix, or the one a bare name stands for."""
    entry = _by_suffix(path)
    return entry.id if entry else otherwise


def _by_suffix(path: Path) -> Described | None:
    suffix = path.suffix.lower()
    return next((e for e in registry().of("storage") if suffix in e.spec["suffixes"]), None)


def open_survey(path: Path, options: Mapping[str, Any] | None = None) -> Survey:
    """Open a file or folder, whatever its format."""
    entry = format_of(path)
    survey: Survey = registry().load("storage", entry.id)().open([str(path)], options or {})
    return survey


def function_of(entry: Described, name: str) -> Callable[..., Any] | None:
    """A public function of the package a format comes from (``describe``, ``verify``), or None where it has none."""
    package = importlib.import_module(entry.spec["impl"].partition(".")[0])
    found = getattr(package, name, None)
    return found if callable(found) else None


def unfinished(path: Path) -> list[Path]:
    """Working folders of unfinished jobs with that output."""
    from seisproc_core.jobs.workfolder import WorkFolder

    return WorkFolder.find(Path(os.path.abspath(path)))
