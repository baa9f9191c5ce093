"""What this distribution offers to seisproc; imports nothing heavy."""

from __future__ import annotations

from seisproc_core.hookspecs import hookimpl
from seisproc_core.specs import CommandSpec


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


@hookimpl
def seisproc_commands() -> list[CommandSpec]:
    return [
        CommandSpec(
            name="map",
            impl="seisproc_geometry.commands.map_command:command",
            help="Draw maps: positions, fold, offsets, azimuths, header words.",
        ),
        CommandSpec(
            name="lmo",
            impl="seisproc_geometry.commands.lmo_command:command",
            help="Draw a record after linear moveout, to check offsets.",
        ),
    ]
