"""The 40 lines of a text header from a template: fields that are given, and what the plan knows of the file.

A template is text with ``{field}`` in it. ``{processing}``, ``{bytes}`` and ``{notes}`` stand alone in their line and
become several. What does not fit is refused with its line; only the processing sequence is shortened, to the names of
its steps. Form and last lines as in SEG-Y revision 1, table 1, and revision 2.0, section 4.
"""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from seisproc_core.data.words import STANDARD
from seisproc_core.errors import ParameterError
from seisproc_segy.detect import TEXT, ebcdic_encode
from seisproc_segy.errors import SegyError

WIDTH = 76  # 80 columns less "C01 "
LINES = 40
FIELDS = (
    "client", "company", "line", "area", "survey", "acquired", "processed", "crs", "datum", "polarity",
)  # fmt: skip
_BLOCKS = ("processing", "bytes", "notes")
_TEMPLATE = """\
CLIENT: {client}   COMPANY: {company}
LINE: {line}   AREA: {area}   SURVEY: {survey}
ACQUIRED: {acquired}   PROCESSED: {processed}
CRS: {crs}
DATUM: {datum}
POLARITY: {polarity}
{notes}
TRACES: {traces}   SORTED BY: {sort}
SAMPLES/TRACE: {samples}   INTERVAL: {interval}   FIRST: {start}
SAMPLE FORMAT: {format}   LENGTHS IN {units}
PROCESSING: {steps}
{processing}
TRACE HEADER WORDS (FIRST BYTE, NAME, TYPE):
{bytes}
"""
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_NUMBERED = re.compile(r"C ?\d{1,2}(?: |$)")
# Words of the dictionary that the byte table lists, where the file has them.
_SHOWN = frozenset({
    "trace_sequence_line", "trace_sequence_file", "field_record", "channel", "source_station", "cdp", "trace_type",
    "fold", "offset", "receiver_elevation", "source_elevation", "elevation_scalar", "coordinate_scalar", "source_x",
    "source_y", "receiver_x", "receiver_y", "delay", "sample_count", "sample_interval", "cdp_x", "cdp_y", "inline",
    "crossline", "shotpoint", "time_scalar", "weighting_factor",
})  # fmt: skip


@attrs.frozen(kw_only=True)
class TextOptions:
    """The option ``text`` of a sink.

    Attributes
    ----------
    fields
        Values of `FIELDS`.
    processing
        The processing sequence, one entry a step; None for the one that provenance knows.
    notes
        Further lines.
    template
        Lines of a template of one's own; empty for the usual one.
    """

    fields: Mapping[str, str] = attrs.field(factory=dict)
    processing: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    template: tuple[str, ...] = ()


def text_options(value: Any) -> TextOptions:
    """Check the table of a flow: ``{ client = "...", notes = ["..."] }``; `ValueError` says what is wrong."""
    if isinstance(value, str):
        raise ValueError('must be a table like { client = "..." }; a file of it is for `seisproc export --text`')
    if not isinstance(value, Mapping):
        raise ValueError('must be a table like { client = "...", line = "..." }')
    known = (*FIELDS, "processing", "notes", "template")
    for name, item in value.items():
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            raise ValueError(f"has no field {name!r}{f'; did you mean {near[0]}?' if near else ''}: {', '.join(known)}")
        lines = [item] if name in FIELDS else item
        if not isinstance(lines, (list, tuple)) or not all(isinstance(line, str) for line in lines):
            raise ValueError(
                f"has {name} = {item!r}, which must be {'a text' if name in FIELDS else 'a list of texts'}"
            )
    processing = value.get("processing")
    return TextOptions(
        fields={name: value[name] for name in FIELDS if name in value},
        processing=None if processing is None else tuple(processing),
        notes=tuple(value.get("notes", ())),
        template=tuple(value.get("template", ())),
    )


def read_template(path: Path) -> dict[str, Any]:
    """The option ``text`` from a file: TOML with fields (``.toml``), or a template of at most 40 lines.

    Raises
    ------
    ParameterError
        The file cannot be read, or is too large to be either.
    """
    import tomllib

    try:
        if not path.is_file() or path.stat().st_size > 1 << 16:
            raise ParameterError("segy", "text", f"needs a text file of at most 64 KiB; {path} is none")
        written = path.read_text("utf-8")
        return tomllib.loads(written) if path.suffix.lower() == ".toml" else {"template": written.splitlines()}
    except OSError as error:
        raise ParameterError("segy", "text", f"cannot be read from {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ParameterError("segy", "text", f"cannot be read from {path}: {str(error).splitlines()[0]}") from error


def text_lines(
    options: TextOptions,
    known: Mapping[str, str],
    revision: int,
    *,
    processing: Sequence[str] = (),
    short: Sequence[str] = (),
    table: Sequence[str] = (),
) -> list[str]:
    """The 40 lines, numbered, each of at most 80 characters.

    Parameters
    ----------
    known
        Further fields, made from the plan: ``samples``, ``format``, ...
    processing, short
        The steps with their parameters, and without.
    table
        Lines of the table of bytes.

    Raises
    ------
    ParameterError
        A line is too long, unknown fields, or more lines than there are; names the line.
    """
    ends = _last_lines(revision)
    room = LINES - len(ends)
    steps = [processing, short] if options.processing is None else [options.processing]
    for form in steps:
        wrapped = _wrapped(form)
        lines = _expanded(options, known, {"processing": wrapped, "bytes": table, "notes": options.notes})
        if len(lines) <= room:
            break
    else:
        raise _bad(
            f"needs {len(lines)} lines, {room} fit before {ends[0]!r}: {len(wrapped)} of them are the processing "
            f"sequence, {len(table)} the table of bytes; give a shorter processing = [...], or a template without one"
        )
    lines += [""] * (room - len(lines)) + list(ends)
    return [_checked(number, line) for number, line in enumerate(lines, 1)]


def encode_text(lines: Sequence[str], encoding: str) -> bytes:
    """3200 bytes in EBCDIC or ASCII; `ParameterError` for a character that has none, with its line."""
    made = b""
    for number, line in enumerate(lines, 1):
        try:
            made += ebcdic_encode(f"{line:<80}") if encoding == "ebcdic" else f"{line:<80}".encode("ascii")
        except (SegyError, UnicodeEncodeError):
            odd = next(c for c in line if not c.isascii())
            raise _bad(f"line C{number:02d} holds {odd!r}, which has no {encoding.upper()} byte: {line!r}") from None
    assert len(made) == TEXT
    return made


def byte_table(places: Mapping[str, tuple[int, str]], words: Sequence[str]) -> list[str]:
    """Where header words stand, two a line: those of the dictionary that matter, and all others."""
    shown = [name for name in places if name in words and (name in _SHOWN or name not in STANDARD)]
    listed = sorted((*places[name], name) for name in shown)
    cells = [f"{f'{byte}: {name.upper()} ({type_})':<37.37}" for byte, type_, name in listed]
    return [" ".join(cells[at : at + 2]).rstrip() for at in range(0, len(cells), 2)]


def step_texts(history: Sequence[Mapping[str, Any]], *, short: bool) -> list[str]:
    """One entry per step of a survey's history, with its parameters or without."""
    entries = []
    for number, step in enumerate(history, 1):
        given = "" if short else "".join(f" {name.upper()}={_value(v)}" for name, v in step["parameters"].items())
        entries.append(f"{number} {str(step['use']).upper()}{given}")
    return entries


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "TABLE"
    if isinstance(value, (list, tuple)):
        return ",".join(_value(item) for item in value)
    return re.sub(r"[^\x20-\x7e]", "?", f"{value:g}" if isinstance(value, float) else str(value)).upper()


def _wrapped(entries: Sequence[str]) -> list[str]:
    """Entries one after the other, broken between words."""
    joined = "; ".join(entries)
    return textwrap.wrap(joined, WIDTH, break_on_hyphens=False) if joined else []


def _expanded(options: TextOptions, known: Mapping[str, str], blocks: Mapping[str, Sequence[str]]) -> list[str]:
    values = dict.fromkeys(FIELDS, "") | dict(options.fields) | dict(known)
    own = [line.rstrip() for line in options.template]
    written = [line for line in own if line and line.strip()[1:-1] not in blocks]
    if written and all(map(_NUMBERED.match, written)):
        own = [_NUMBERED.sub("", line, count=1) for line in own]
    lines: list[str] = []
    for number, line in enumerate(own or _TEMPLATE.splitlines(), 1):
        names = _PLACEHOLDER.findall(line)
        for name in names:
            if name not in values and name not in blocks:
                near = difflib.get_close_matches(name, [*values, *blocks], n=1)
                hint = f"; did you mean {{{near[0]}}}?" if near else ""
                raise _bad(f"template line {number} asks for {{{name}}}, which is no field{hint}")
            if name in blocks and line.strip() != f"{{{name}}}":
                raise _bad(f"template line {number}: {{{name}}} becomes several lines and must stand alone")
        if names and names[0] in blocks:
            lines += blocks[names[0]]
        elif own or not names or any(values[name] for name in names):
            lines.append(_PLACEHOLDER.sub(lambda found: values[found[1]], line).rstrip())
    return lines


def _checked(number: int, line: str) -> str:
    if not line.isprintable():
        raise _bad(f"line C{number:02d} holds a control character: {line!r}")
    if len(line) > WIDTH:
        raise _bad(f"line C{number:02d} has {len(line)} characters, {WIDTH} fit: {line!r}")
    return f"C{number:02d} {line}".rstrip()


def _last_lines(revision: int) -> tuple[str, ...]:
    """How the text header ends: line 39 tells the revision from 1 on."""
    if revision == 0:
        return ("END EBCDIC",)
    return ("SEG Y REV1" if revision == 1 else "SEG-Y_REV2.0", "END TEXTUAL HEADER")


def _bad(problem: str) -> ParameterError:
    return ParameterError("segy", "text", problem)
