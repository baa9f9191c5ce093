"""One-trace processes on one core, against the library calls that do the same."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from scipy import fft, linalg, ndimage, signal

from benchmarks.compute import INTERVAL_S, SAMPLES, Kernel, _batches, _check, _drive
from benchmarks.harness import Row, Work, against, at_least, interleave, rate_row
from benchmarks.plain import prepared
from benchmarks.workspace import Workspace
from seisproc_core.data.gather import Gather
from seisproc_core.processing.flow import Step

LAGS = 41  # of the autocorrelation: a spiking operator of 40 coefficients
PREWHITENING = 0.001
PEER_TRACES = 400  # for calls that loop over traces in Python
SHIFT_SAMPLES = 2.3
ANGLE_DEG = 90.0
Q = 80.0


def signal_rows(space: Workspace) -> Iterator[Row]:
    """Deconvolution, resampling, phase, shifts and more: traces per second and core, in memory, batches of 8 MiB."""
    batches = _batches()
    per_pass = sum(batch.n_traces for batch in batches)
    passes = max(1, round(space.size(40_000) / per_pass))
    few = [batches[0].rows(0, PEER_TRACES)]
    for kernel in KERNELS:
        ours = prepared(kernel.step)
        if kernel.same:
            _check(kernel, ours(few[0]).traces, few[0])
        works = {"": Work(partial(_drive, ours, batches, passes))}
        works |= {name: Work(partial(_drive, call, few, 1)) for name, call in kernel.peers.items()}
        seconds = interleave(works, space.rounds)
        yield rate_row(kernel.name, seconds[""], per_pass * passes, "traces", goal=kernel.goal)
        for name in kernel.peers:
            mine = seconds[""] * PEER_TRACES / (per_pass * passes)
            yield against(kernel.name, mine, name, seconds[name], amount=(PEER_TRACES, "traces"))


def _decon_by_library(batch: Gather) -> np.ndarray:
    length = fft.next_fast_len(SAMPLES + LAGS, real=True)
    spectrum = fft.rfft(batch.traces.astype(np.float64), length, axis=1)
    lags = fft.irfft(np.abs(spectrum) ** 2, length, axis=1)[:, :LAGS]
    out = np.empty_like(batch.traces)
    for row, (trace, r) in enumerate(zip(batch.traces, lags, strict=True)):
        column = r[:-1].copy()
        column[0] *= 1 + PREWHITENING
        out[row] = signal.lfilter(np.append(1, -linalg.solve_toeplitz(column, r[1:])), 1, trace)
    return out


def _half_by_library(batch: Gather) -> np.ndarray:
    resampled: np.ndarray = signal.resample_poly(batch.traces, 1, 2, axis=1, window=("kaiser", 7.86))
    return resampled


def _rotated_by_library(batch: Gather) -> np.ndarray:
    analytic = signal.hilbert(batch.traces, 2 * SAMPLES, axis=1)[:, :SAMPLES]
    rotated: np.ndarray = np.real(analytic * np.exp(1j * np.deg2rad(ANGLE_DEG)))
    return rotated


def _shifted_by_library(batch: Gather) -> np.ndarray:
    shifted: np.ndarray = ndimage.shift(batch.traces, (0, SHIFT_SAMPLES), order=3)
    return shifted


_RINGING = {
    "time_ms": [1000 * INTERVAL_S * i for i in range(12)],
    "amplitude": [1.0, -0.8, 0.5, -0.3, 0.2, -0.1, 0.05, -0.03, 0.02, -0.01, 0.005, 0.0],
}
_DECON = {"operator_ms": 1000 * INTERVAL_S * (LAGS - 1), "prewhitening_percent": 100 * PREWHITENING}
KERNELS = (
    Kernel(
        "spiking decon, 41 lags", Step(use="decon", parameters=_DECON), at_least(40_000),
        {"SciPy rfft, solve_toeplitz, lfilter": _decon_by_library},
    ),
    Kernel(
        "resample to twice the interval", Step(use="resample", parameters={"interval_ms": 2000 * INTERVAL_S}),
        at_least(50_000), {"SciPy resample_poly (10 lobes)": _half_by_library}, same=False,
    ),
    Kernel(
        "phase rotation", Step(use="phase_rotate", parameters={"angle_deg": ANGLE_DEG}), at_least(40_000),
        {"SciPy hilbert": _rotated_by_library}, same=False,
    ),
    Kernel(
        "time shift, 8-point sinc",
        Step(use="shift", parameters={"shift_ms": 1000 * INTERVAL_S * SHIFT_SAMPLES}), at_least(150_000),
        {"SciPy ndimage.shift (cubic)": _shifted_by_library}, same=False,
    ),
    Kernel(
        "designature", Step(use="designature", parameters={"signature": _RINGING}), at_least(30_000), {}, same=False
    ),
    Kernel("inverse Q, phase and amplitude", Step(use="inverse_q", parameters={"q": Q, "kind": "both"}),
           at_least(10_000), {}, same=False),
)  # fmt: skip
