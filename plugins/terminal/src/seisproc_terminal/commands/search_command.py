"""``seisproc search``: words in text headers, notes and provenance of files and surveys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click

from seisproc_core.data.formats import format_of, function_of, kept_text, open_survey, recognised
from seisproc_core.errors import SeisprocError, UsageError
from seisproc_terminal import output
from seisproc_terminal.options import json_option

Line = tuple[str, str]  # what the text is of, and the text
_LONGEST = 2000  # characters of the parameters of a step


@click.command(short_help="Search text headers, notes and histories.")
@click.argument("text")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
def command(text: str, paths: tuple[Path, ...], as_json: bool) -> None:
    """Print the lines that hold all words of TEXT, in whatever order and case.

    PATHS are files, surveys, or folders, which are searched with all that is below them. Searched are text headers and
    extended text (of a survey those of the file it came from), what is noted about a file, and the history of a survey:
    names of flows and inputs, steps and their parameters. Traces are not read.

    \b
    Examples:
      seisproc search "mobil avo" line.sgy
      seisproc search migration /data/project
      seisproc search "decon gap_ms" *.seis --json
    """
    words = text.lower().split()
    if not words:
        raise UsageError("there is no word to search for")
    found, unread = [], 0
    for path in paths:
        for item in _items(path):
            try:
                lines = [*_text_of(item)]
            except (SeisprocError, OSError):
                if item == path:
                    raise
                unread += 1
                continue
            found += [(item, what, line) for what, line in lines if all(word in line.lower() for word in words)]
    if as_json:
        output.document({"found": [{"path": str(p), "where": what, "line": line} for p, what, line in found]})
    for item, what, line in [] if as_json else found:
        output.show(f"{item}: {what}: {line.strip()}")
    if not found:
        output.remark("nothing found")
    if unread:
        output.remark(f"{unread} files could not be read; seisproc info says why")


def _items(path: Path) -> Iterator[Path]:
    """Files and surveys at or below a path; what is named is taken for one, below a folder only what is known to be."""
    if not path.is_dir() or recognised(path) is not None:
        yield path
        return
    for folder, below, files in os.walk(path):
        here = Path(folder)
        surveys = sorted(name for name in below if recognised(here / name) is not None)
        below[:] = sorted(name for name in below if name not in surveys and not name.endswith((".part", ".gone")))
        yield from (here / name for name in sorted([*surveys, *files]) if recognised(here / name) is not None)


def _text_of(path: Path) -> Iterator[Line]:
    describe = function_of(format_of(path), "describe")
    if describe is not None:
        facts = describe(str(path))
        yield from (("text", line) for line in facts.get("text", ()))
        yield from (("extended text", line) for record in facts.get("extended_text", ()) for line in record)
        yield from (("note", line) for line in facts.get("findings", ()))
        return
    from seisproc_core.jobs.provenance import PROVENANCE, read

    survey = open_survey(path)
    yield from (("text", line) for line in kept_text(survey.info))
    yield from (("note", note) for note in survey.notes)
    for step in survey.info.history:
        parameters = " ".join(f"{name} = {value}" for name, value in step.get("parameters", {}).items())
        yield "step", f"{step.get('use', '')} {parameters}"[:_LONGEST]
    if (path / PROVENANCE).is_file():
        record = read(path)
        yield "flow", str(record.get("flow", {}).get("name", ""))
        yield from (("input", str(entry.get("path", ""))) for entry in record.get("inputs", ()))
