"""What this distribution offers to seisproc; imports nothing heavy."""

from __future__ import annotations

from seisproc_core.hookspecs import hookimpl
from seisproc_core.specs import CommandSpec


@hookimpl
def seisproc_commands() -> list[CommandSpec]:
    return [
        CommandSpec(
            name="test",
            impl="seisproc_qc.commands.test_command:command",
            help="Compare values of parameters on chosen gathers, and choose one.",
        ),
        CommandSpec(
            name="report",
            impl="seisproc_qc.commands.report_command:command",
            help="Show what every step of a flow does to chosen gathers.",
        ),
    ]
