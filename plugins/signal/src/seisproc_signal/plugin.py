"""What this distribution adds to seisproc: processors of single traces and their kernels."""

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
        "seisproc_signal.pad:Pad",
        "seisproc_signal.combine:Combine",
        "seisproc_signal.decon:Decon",
        "seisproc_signal.decon:DeconEnsemble",
        "seisproc_signal.resample:Resample",
        "seisproc_signal.shift:Shift",
        "seisproc_signal.phase:PhaseRotate",
        "seisproc_signal.phase:PhaseConvert",
        "seisproc_signal.matching:Shape",
        "seisproc_signal.matching:Match",
        "seisproc_signal.matching:Designature",
        "seisproc_signal.whiten:Whiten",
        "seisproc_signal.inverse_q:InverseQ",
        "seisproc_signal.vibroseis:VibroseisCorrelate",
        "seisproc_signal.taper:Taper",
        "seisproc_signal.taper:TaperTraces",
        "seisproc_signal.analysis:Spectrum",
        "seisproc_signal.analysis:Autocorrelation",
        "seisproc_signal.rules:EditRules",
        "seisproc_signal.statics.elevation:ElevationStatics",
        "seisproc_signal.statics.elevation:FinalDatum",
        "seisproc_signal.statics.from_tables:ApplyStatics",
        "seisproc_signal.statics.first_breaks:FirstBreaks",
        "seisproc_signal.statics.refraction:RefractionStatics",
        "seisproc_signal.statics.residual:ResidualStatics",
        "seisproc_signal.statics.trim:TrimStatics",
        "seisproc_signal.statics.surface_amplitude:SurfaceConsistentAmplitude",
        "seisproc_signal.statics.surface_decon:SurfaceConsistentDecon",
        "seisproc_signal.ungain:RemoveGain",
        "seisproc_signal.attributes:Attributes",
        "seisproc_signal.difference:Difference",
    ]


@hookimpl
def seisproc_kernels() -> list[KernelSpec]:
    return [
        KernelSpec(name="agc", backend="reference", impl="seisproc_signal.agc:agc"),
        KernelSpec(name="agc", backend="numba", impl="seisproc_signal.kernels_numba:agc"),
        KernelSpec(name="agc_gaussian", backend="reference", impl="seisproc_signal.agc:agc_gaussian"),
        KernelSpec(name="agc_gaussian", backend="numba", impl="seisproc_signal.kernels_numba:agc_gaussian"),
        KernelSpec(name="autocorrelate", backend="reference", impl="seisproc_signal.wiener:autocorrelate"),
        KernelSpec(name="autocorrelate", backend="numba", impl="seisproc_signal.wiener_numba:autocorrelate"),
        KernelSpec(name="levinson", backend="reference", impl="seisproc_signal.wiener:levinson"),
        KernelSpec(name="levinson", backend="numba", impl="seisproc_signal.wiener_numba:levinson"),
        KernelSpec(name="convolve", backend="reference", impl="seisproc_signal.wiener:convolve"),
        KernelSpec(name="convolve", backend="numba", impl="seisproc_signal.wiener_numba:convolve"),
    ]
