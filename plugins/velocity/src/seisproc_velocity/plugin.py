"""What this distribution offers to seisproc; imports nothing heavy."""

from __future__ import annotations

from seisproc_core.hookspecs import hookimpl
from seisproc_core.specs import KernelSpec

KERNELS = [
    KernelSpec(name="nmo", backend="reference", impl="seisproc_velocity.moveout:nmo"),
    KernelSpec(name="nmo", backend="numba", impl="seisproc_velocity.kernels_numba:nmo"),
    KernelSpec(name="stack", backend="reference", impl="seisproc_velocity.stack:stack_sums"),
    KernelSpec(name="stack", backend="numba", impl="seisproc_velocity.kernels_numba:stack_sums"),
]


@hookimpl
def seisproc_processors() -> list[str]:
    return ["seisproc_velocity.nmo:Nmo", "seisproc_velocity.stack:Stack"]


@hookimpl
def seisproc_kernels() -> list[KernelSpec]:
    return KERNELS
