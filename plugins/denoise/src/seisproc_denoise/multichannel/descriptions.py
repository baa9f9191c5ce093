"""What this part of the distribution offers; imports nothing heavy."""

from __future__ import annotations

from seisproc_core.specs import KernelSpec

_HERE = "seisproc_denoise.multichannel"

PROCESSORS: list[str] = [
    f"{_HERE}.fk:FkFilter",
    f"{_HERE}.fkk:FkkFilter",
    f"{_HERE}.fx_decon:FxDecon",
    f"{_HERE}.fx_interpolate:FxInterpolate",
    f"{_HERE}.fx_interpolate:FxFill",
    f"{_HERE}.radon_filters:RadonDemultiple",
    f"{_HERE}.radon_filters:TauPFilter",
    f"{_HERE}.moveout:LinearMoveout",
    f"{_HERE}.slant:SlantMedian",
    f"{_HERE}.subtract:AdaptiveSubtract",
    f"{_HERE}.srme:Srme",
]
KERNELS: list[KernelSpec] = [
    KernelSpec(name="fx_predict", backend="reference", impl=f"{_HERE}.fx_decon:fx_predict"),
    KernelSpec(name="fx_predict", backend="numba", impl=f"{_HERE}.fx_numba:fx_predict"),
    KernelSpec(name="slant_stack", backend="reference", impl=f"{_HERE}.slant:slant_stack"),
    KernelSpec(name="slant_stack", backend="numba", impl=f"{_HERE}.slant_numba:slant_stack"),
    KernelSpec(name="sum_of_products", backend="reference", impl=f"{_HERE}.srme_sum:sum_of_products"),
    KernelSpec(name="sum_of_products", backend="numba", impl=f"{_HERE}.srme_numba:sum_of_products"),
]
