"""What this distribution offers to seisproc."""

from __future__ import annotations

from seisproc_core.hookspecs import hookimpl
from seisproc_core.specs import CommandSpec, JobStoreSpec


@hookimpl
def seisproc_job_stores() -> list[JobStoreSpec]:
    return [JobStoreSpec(id="sqlite", impl="seisproc_jobstore.store:SqliteStore", rank=10)]


@hookimpl
def seisproc_commands() -> list[CommandSpec]:
    help_text = "What ran: list, statistics, reports."
    return [CommandSpec(name="history", impl="seisproc_jobstore.history_command:command", help=help_text)]
