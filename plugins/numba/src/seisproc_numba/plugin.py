"""What this distribution adds to seisproc: the backend ``numba``."""

from __future__ import annotations

from seisproc_core.hookspecs import hookimpl
from seisproc_core.specs import BackendSpec

SEISPROC_API = 1


@hookimpl
def seisproc_backends() -> list[BackendSpec]:
    return [BackendSpec(id="numba", impl="seisproc_numba:backend", rank=10)]
