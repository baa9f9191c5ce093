"""What commands print: results on stdout, remarks on stderr, no control character from data or plugins on either."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

import click

from seisproc_core.errors import without_secrets

_document: TextIO | None = None


def reserve_stdout(stream: TextIO) -> None:
    """From now on the JSON document goes to `stream`; whatever else is printed cannot get into it."""
    global _document  # noqa: PLW0603 - the process has one stdout
    _document = stream


def clean(text: object) -> str:
    r"""Text that is safe on a terminal: control and invisible formatting characters become ``\x1b``-like escapes.

    Passwords in addresses are left out.
    """
    return "".join(_visible(character) for character in without_secrets(str(text)))


def _visible(character: str) -> str:
    # Categories: control, format (text direction overrides), surrogate, line and paragraph separator.
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode("ascii")


def show(text: object = "") -> None:
    """A line of the result."""
    click.echo(clean(text))


def remark(text: object) -> None:
    """A line that is not the result: a warning, progress, what to do next."""
    click.echo(f"seisproc: {clean(text)}", err=True)


def document(content: Mapping[str, Any] | Sequence[Any]) -> None:
    """The machine-readable result: one JSON document."""
    text = json.dumps(plain(content), indent=2, allow_nan=False)
    click.echo(text, file=_document)


def plain(value: Any) -> Any:
    """`value` as JSON knows it: NumPy scalars and arrays as numbers and lists, NaN and infinities as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int)):
        return value
    return str(value)


def table(head: Sequence[str], rows: Iterable[Sequence[object]], indent: str = "") -> None:
    """A table: numbers to the right, text to the left."""
    cells = [[_cell(value) for value in row] for row in rows]
    values = list(zip(*cells, strict=True)) if cells else [()] * len(head)
    right = [bool(column) and all(number for _, number in column) for column in values]
    widths = [max([len(name), *(len(text) for text, _ in column)]) for name, column in zip(head, values, strict=True)]

    def line(texts: Iterable[str]) -> str:
        parts = zip(texts, widths, right, strict=True)
        return indent + "  ".join(t.rjust(w) if r else t.ljust(w) for t, w, r in parts).rstrip()

    click.echo(line(clean(name) for name in head))
    for row in cells:
        click.echo(line(text for text, _ in row))


def _cell(value: object) -> tuple[str, bool]:
    """Text of a table cell, and whether it is a number."""
    if value is None:
        return "", True
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return f"{value:.6g}", True
    return clean(value), isinstance(value, int) and not isinstance(value, bool)


def fields(pairs: Mapping[str, object], indent: str = "") -> None:
    """``name  value`` lines, aligned; empty values are left out."""
    shown = {name: value for name, value in pairs.items() if value not in (None, "", [])}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        click.echo(f"{indent}{clean(name).ljust(width)}  {_cell(value)[0]}")


def size(count: float) -> str:
    """A number of bytes for people."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
