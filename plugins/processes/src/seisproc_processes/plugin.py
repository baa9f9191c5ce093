"""What this distribution offers to seisproc."""

from __future__ import annotations

from seisproc_core.hookspecs import hookimpl
from seisproc_core.specs import ExecutorSpec


@hookimpl
def seisproc_executors() -> list[ExecutorSpec]:
    return [
        ExecutorSpec(
            id="processes",
            impl="seisproc_processes.executor:Processes",
            rank=10,
            summary="supervised worker processes on this machine",
        )
    ]
