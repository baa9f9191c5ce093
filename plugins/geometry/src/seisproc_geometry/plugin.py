"""What this distribution offers to seisproc; imports nothing heavy."""

from __future__ import annotations

from seisproc_core.hookspecs import hookimpl


@hookimpl
def seisproc_processors() -> list[str]:
    return [
        "seisproc_geometry.header_math:HeaderMath",
        "seisproc_geometry.join:Join",
    ]
