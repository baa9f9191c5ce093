"""What this distribution offers to seisproc; imports nothing heavy."""

from __future__ import annotations

from seisproc_core.hookspecs import hookimpl


@hookimpl
def seisproc_processors() -> list[str]:
    return [
        "seisproc_geometry.header_math:HeaderMath",
        "seisproc_geometry.join:Join",
        "seisproc_geometry.geometry_step:Geometry",
        "seisproc_geometry.offsets:Offsets",
        "seisproc_geometry.bins:BinLine",
        "seisproc_geometry.bins:BinGrid",
    ]
