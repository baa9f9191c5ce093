"""What this distribution offers to seisproc."""

from __future__ import annotations

from seisproc_core.hookspecs import hookimpl
from seisproc_core.specs import ExecutorSpec


@hookimpl
def seisproc_executors() -> list[ExecutorSpec]:
    return [
        ExecutorSpec(id="joblib", impl="seisproc_joblib.executor:Loky", summary="Joblib's process pool on this machine")
    ]
