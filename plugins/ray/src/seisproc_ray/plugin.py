"""What this distribution offers to seisproc."""

from __future__ import annotations

from seisproc_core.hookspecs import hookimpl
from seisproc_core.specs import ExecutorSpec


@hookimpl
def seisproc_executors() -> list[ExecutorSpec]:
    return [
        ExecutorSpec(
            id="ray",
            impl="seisproc_ray.executor:RayActors",
            summary="a Ray cluster by address, or a Ray of its own on this machine",
        )
    ]
