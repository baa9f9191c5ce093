"""What this part of the distribution offers; imports nothing heavy."""

from __future__ import annotations

from seisproc_core.specs import KernelSpec

_HERE = "seisproc_denoise.singletrace"

PROCESSORS: list[str] = [
    f"{_HERE}.shrinking:WaveletDenoise",
    f"{_HERE}.shrinking:WaveletDenoiseSpatial",
    f"{_HERE}.tf:TfDenoise",
    f"{_HERE}.tf:TfReject",
    f"{_HERE}.emd:EmdDenoise",
    f"{_HERE}.pursuit:OmpDenoise",
    f"{_HERE}.envelope:MadDenoise",
]
KERNELS: list[KernelSpec] = [
    KernelSpec(name=name, backend=backend, impl=f"{_HERE}.{module}:{name}")
    for name, reference, numba in (
        ("band_noise", "bands", "kernels_numba"),
        ("band_shrink", "bands", "kernels_numba"),
        ("aperture_reject", "aperture", "kernels_numba"),
        ("emd_modes", "emd", "kernels_emd_numba"),
        ("interval_shrink", "emd", "kernels_emd_numba"),
    )
    for backend, module in (("reference", reference), ("numba", numba))
]
