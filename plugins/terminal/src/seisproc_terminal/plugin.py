"""What this distribution offers to seisproc."""

from __future__ import annotations

from seisproc_core.hookspecs import hookimpl
from seisproc_core.specs import CommandSpec

_COMMANDS = {
    "export": "Write a survey to a SEG-Y or SU file.",
    "headers": "List trace headers, or their ranges.",
    "import": "Read SEG-Y or SU files into a survey.",
    "info": "Show what is in a file or survey.",
    "jobs": "List, show and cancel jobs.",
    "plot": "Draw traces into a picture.",
    "plugins": "List installed plugins, or find broken ones.",
    "processors": "List processors, or explain one.",
    "provenance": "Show how a survey was made.",
    "query": "Ask about trace headers, in SQL.",
    "repair": "Make the damaged files of a survey again.",
    "replay": "Make a survey again from its record, and compare.",
    "resume": "Go on with an unfinished output.",
    "run": "Run a flow.",
    "search": "Search text headers, notes and histories.",
    "verify": "Check that an output is whole and undamaged.",
}


@hookimpl
def seisproc_commands() -> list[CommandSpec]:
    return [
        CommandSpec(name=name, impl=f"seisproc_terminal.commands.{name}_command:command", help=text)
        for name, text in _COMMANDS.items()
    ]
