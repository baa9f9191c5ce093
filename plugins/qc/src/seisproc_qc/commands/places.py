"""Gathers as a command line names them: ``--at cdp=400,900``, ``--at cdp=380:420``."""

from __future__ import annotations

from typing import Any

from seisproc_core.data.words import canonical
from seisproc_core.errors import UsageError


def gathers(places: tuple[str, ...]) -> dict[str, list[Any]]:
    """Values and (lowest, highest) by header word."""
    made: dict[str, list[Any]] = {}
    for text in places:
        word, equals, right = text.partition("=")
        try:
            values = [_range(part) for part in right.split(",")]
        except ValueError:
            equals = ""
        if not equals:
            raise UsageError(f"--at {text}: write word=value,value or word=first:last, e.g. cdp=400,900")
        made.setdefault(canonical(word.strip()), []).extend(values)
    return made


def _range(text: str) -> float | tuple[float, float]:
    first, colon, last = text.partition(":")
    return (float(first), float(last)) if colon else float(first)
