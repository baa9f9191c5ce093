"""What this distribution adds to seisproc: gains, filters, mutes, trace edits and combination."""

from __future__ import annotations

from seisproc_core.hookspecs import hookimpl
from seisproc_core.specs import KernelSpec

SEISPROC_API = 1


@hookimpl
def seisproc_processors() -> list[str]:
    return [
        "seisproc_signal.agc:Agc",
        "seisproc_signal.gain:Gain",
        "seisproc_signal.gain:TraceBalance",
        "seisproc_signal.gain:Spreading",
        "seisproc_signal.bandpass:Bandpass",
        "seisproc_signal.bandpass:Trapezoid",
        "seisproc_signal.bandpass:Notch",
        "seisproc_signal.mute:Mute",
        "seisproc_signal.mute:SurgicalMute",
        "seisproc_signal.edit:Kill",
        "seisproc_signal.edit:Reverse",
        "seisproc_signal.edit:Select",
        "seisproc_signal.combine:Combine",
    ]


@hookimpl
def seisproc_kernels() -> list[KernelSpec]:
    return [
        KernelSpec(name="agc", backend="reference", impl="seisproc_signal.agc:agc"),
        KernelSpec(name="agc", backend="numba", impl="seisproc_signal.kernels_numba:agc"),
        KernelSpec(name="agc_gaussian", backend="reference", impl="seisproc_signal.agc:agc_gaussian"),
        KernelSpec(name="agc_gaussian", backend="numba", impl="seisproc_signal.kernels_numba:agc_gaussian"),
    ]
