"""Which installed format a path belongs to, and opening it."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seisproc_core.errors import Incomplete, UsageError, check_no_secret
from seisproc_core.plugins import Described, registry

if TYPE_CHECKING:
    from seisproc_core.data.survey import Survey, SurveyInfo


def format_of(path: Path) -> Described:
    """The format of an input: by suffix, else by its first bytes, else the usual one of folders or files.

    Raises
    ------
    UsageError
        There is no such file, or no installed format reads it.
    Incomplete
        There is only an unfinished output of that name.
    """
    check_no_secret(str(path))
    if not os.path.lexists(path):
        if unfinished(path):
            raise Incomplete(f"{path} is not finished; go on with: seisproc resume {path}")
        raise UsageError(f"{path}: there is no such file or folder")
    known = recognised(path)
    if known is not None:
        return known
    for entry in _usual(working=path.is_dir()):
        return entry
    raise UsageError(f"no installed format reads {path} (seisproc plugins list shows what is installed)")


def format_for(path: Path, *, working: bool) -> Described:
    """The format of an output: by its suffix, or the one that a bare name stands for.

    Parameters
    ----------
    working
        Whether a bare name means a format that jobs work in, or a file for other programs.
    """
    check_no_secret(str(path))
    entry = format_named(path)
    if entry is not None:
        return entry
    for other in _usual(working=working):
        return other
    raise UsageError(f"no installed format writes {path} (seisproc plugins list shows what is installed)")


def implied_options(entry: Described, path: Path) -> dict[str, Any]:
    """Options of a format that the suffix of a file stands for."""
    return dict(entry.spec["suffix_options"].get(path.suffix.lower(), {}))


def format_named(path: Path) -> Described | None:
    """The format that a path's suffix names; None when it names none."""
    suffix = path.suffix.lower()
    return next((e for e in registry().of("storage") if suffix in e.spec["suffixes"]), None)


def recognised(path: Path) -> Described | None:
    """The format that the suffix or the first bytes of a file or folder name; None where nothing does."""
    return format_named(path) or _format_marked(path)


def open_survey(path: Path, options: Mapping[str, Any] | None = None) -> Survey:
    """Open a file or folder, whatever its format."""
    entry = format_of(path)
    survey: Survey = registry().load("storage", entry.id)().open([str(path)], options or {})
    return survey


def _usual(*, working: bool) -> list[Described]:
    """Formats that a bare name may stand for: not those that know their files by a mark."""
    every = registry().of("storage")
    return [e for e in every if e.spec["suffixes"] and not e.spec["marks"] and bool(e.spec["working"]) == working]


def _format_marked(path: Path) -> Described | None:
    """The format whose mark a regular file begins with; None where it has none of them, or cannot be read."""
    marked = [(entry, bytes.fromhex(mark)) for entry in registry().of("storage") for mark in entry.spec["marks"]]
    if not marked or not path.is_file():  # a pipe would wait for ever
        return None
    try:
        with path.open("rb") as file:
            head = file.read(max(len(mark) for _, mark in marked))
    except OSError:
        return None
    return next((entry for entry, mark in marked if head.startswith(mark)), None)


def function_of(entry: Described, name: str) -> Callable[..., Any] | None:
    """A public function of the package a format comes from (``describe``, ``verify``), or None where it has none."""
    package = importlib.import_module(entry.spec["impl"].partition(".")[0])
    found = getattr(package, name, None)
    return found if callable(found) else None


def kept_text(info: SurveyInfo) -> list[str]:
    """Lines of text that a survey keeps of the files it came from, by whatever format knows them."""
    for entry in registry().of("storage"):
        read = function_of(entry, "kept_text")
        lines: list[str] = read(info.file) if read is not None else []
        if lines:
            return lines
    return []


def unfinished(target: Path) -> list[Path]:
    """Working folders of unfinished jobs with that output, ``OUT.<fingerprint>.part``."""
    target = Path(os.path.abspath(target))
    pattern = re.compile(re.escape(target.name) + r"\.[0-9a-f]{8}\.part")
    if not target.parent.is_dir():
        return []
    return sorted(p for p in target.parent.iterdir() if pattern.fullmatch(p.name) and p.is_dir())
