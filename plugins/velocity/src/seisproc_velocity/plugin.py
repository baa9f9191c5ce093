"""What this distribution offers to seisproc; imports nothing heavy."""

from __future__ import annotations

from seisproc_core.hookspecs import hookimpl
from seisproc_core.specs import CommandSpec, KernelSpec

KERNELS = [
    KernelSpec(name="nmo", backend="reference", impl="seisproc_velocity.moveout:nmo"),
    KernelSpec(name="nmo", backend="numba", impl="seisproc_velocity.nmo_numba:nmo"),
    KernelSpec(name="stack", backend="reference", impl="seisproc_velocity.stack:stack"),
    KernelSpec(name="stack", backend="numba", impl="seisproc_velocity.stack_numba:stack"),
    KernelSpec(name="semblance", backend="reference", impl="seisproc_velocity.semblance:spectra"),
    KernelSpec(name="semblance", backend="numba", impl="seisproc_velocity.semblance_numba:spectra"),
]


@hookimpl
def seisproc_processors() -> list[str]:
    return [
        "seisproc_velocity.nmo:Nmo",
        "seisproc_velocity.stack:Stack",
        "seisproc_velocity.partial:PartialStack",
        "seisproc_velocity.velan:Semblance",
        "seisproc_velocity.velan:VelocityStacks",
        "seisproc_velocity.picking:VelocityPick",
    ]


@hookimpl
def seisproc_kernels() -> list[KernelSpec]:
    return KERNELS


@hookimpl
def seisproc_commands() -> list[CommandSpec]:
    return [
        CommandSpec(
            name="velocity",
            impl="seisproc_velocity.commands.velocity_command:command",
            help="Convert, smooth and invert velocity tables; draw semblance.",
        ),
        CommandSpec(
            name="tables",
            impl="seisproc_velocity.commands.tables_command:command",
            help="Keep velocities, mutes, statics, picks and edits in versions.",
        ),
    ]
