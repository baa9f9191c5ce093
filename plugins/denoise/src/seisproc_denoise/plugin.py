"""What this distribution adds to seisproc, gathered from its two parts; imports nothing heavy."""

from __future__ import annotations

from seisproc_core.hookspecs import hookimpl
from seisproc_core.specs import KernelSpec
from seisproc_denoise.multichannel import descriptions as multichannel
from seisproc_denoise.singletrace import descriptions as singletrace

SEISPROC_API = 1


@hookimpl
def seisproc_processors() -> list[str]:
    return [*multichannel.PROCESSORS, *singletrace.PROCESSORS]


@hookimpl
def seisproc_kernels() -> list[KernelSpec]:
    return [*multichannel.KERNELS, *singletrace.KERNELS]
