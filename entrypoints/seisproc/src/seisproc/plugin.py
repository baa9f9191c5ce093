"""What the program itself adds to its plugins: the demo, and the template of a plugin."""

from __future__ import annotations

from seisproc_core.hookspecs import hookimpl
from seisproc_core.specs import CommandSpec


@hookimpl
def seisproc_commands() -> list[CommandSpec]:
    return [
        CommandSpec(
            name="demo",
            impl="seisproc.demo_command:demo",
            help="Model a 2-D line (or take your files), import, process, stack, export and draw it.",
        ),
        CommandSpec(name="plugin", impl="seisproc.plugin_command:plugin", help="Write a plugin of your own."),
    ]
