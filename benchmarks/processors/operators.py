"""Wiener filters: designed from traces or wavelets, and convolved with traces."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import fft, linalg, signal

from benchmarks.processors.case import Case
from benchmarks.processors.data import FOLD, INTERVAL_S, SAMPLES
from seisproc_core.data.gather import Gather

LAGS = 41  # of the autocorrelation: a spiking operator of 40 coefficients
PREWHITENING = 0.001
SWEEP_S, SWEEP_HZ = 1.0, (8.0, 60.0)
DESIGN = slice(350, 550)  # samples of a design window
MS = 1000 * INTERVAL_S
RINGING = {
    "time_ms": [MS * i for i in range(12)],
    "amplitude": [1.0, -0.8, 0.5, -0.3, 0.2, -0.1, 0.05, -0.03, 0.02, -0.01, 0.005, 0.0],
}
SPIKE = {"time_ms": [-MS, 0.0, MS], "amplitude": [0.0, 1.0, 0.0]}
SPIKING = {"operator_ms": MS * (LAGS - 1), "prewhitening_percent": 100 * PREWHITENING}
PADDED = 1600


def _autocorrelation(traces: np.ndarray) -> Any:
    length = fft.next_fast_len(SAMPLES + LAGS, real=True)
    spectrum = fft.rfft(traces.astype(np.float64), length, axis=1, workers=1)
    return fft.irfft(np.abs(spectrum) ** 2, length, axis=1, workers=1)[:, :LAGS]


def _error_filter(r: np.ndarray) -> np.ndarray:
    column = r[:-1].copy()
    column[0] *= 1 + PREWHITENING
    return np.append(1, -linalg.solve_toeplitz(column, r[1:]))


def _spiked(batch: Gather) -> Any:
    out = np.empty_like(batch.traces)
    for row, (trace, r) in enumerate(zip(batch.traces, _autocorrelation(batch.traces), strict=True)):
        out[row] = signal.lfilter(_error_filter(r), 1, trace)
    return out


def _spiked_together(batch: Gather) -> Any:
    out = np.empty_like(batch.traces)
    lags = _autocorrelation(batch.traces).reshape(-1, FOLD, LAGS).sum(axis=1)
    for number, r in enumerate(lags):
        rows = slice(number * FOLD, (number + 1) * FOLD)
        out[rows] = signal.lfilter(_error_filter(r).astype(np.float32), 1, batch.traces[rows], axis=1)
    return out


def _designated(batch: Gather) -> Any:
    wavelet = fft.rfft(np.array(RINGING["amplitude"]), PADDED)
    inverse = (np.conj(wavelet) / (np.abs(wavelet) ** 2 + 1e-4 * np.abs(wavelet).max() ** 2)).astype(np.complex64)
    return fft.irfft(fft.rfft(batch.traces, PADDED, axis=1, workers=1) * inverse, PADDED, axis=1, workers=1)


def _shaped(batch: Gather) -> Any:
    wavelet = np.array(RINGING["amplitude"])
    column = np.zeros(LAGS)
    column[: len(wavelet)] = np.correlate(wavelet, wavelet, "full")[len(wavelet) - 1 :]
    column[0] *= 1 + PREWHITENING
    operator = linalg.solve_toeplitz(column, np.eye(1, LAGS)[0] * wavelet[0]).astype(np.float32)
    return signal.fftconvolve(batch.traces, operator[None], axes=1)[:, :SAMPLES]


def _matched(batch: Gather) -> Any:
    out = np.empty_like(batch.traces)
    desired = np.zeros(DESIGN.stop - DESIGN.start)
    desired[len(desired) // 2] = 1
    for row, trace in enumerate(batch.traces):
        window = trace[DESIGN].astype(np.float64)
        column = np.correlate(window, window, "full")[len(window) - 1 :][:LAGS]
        column[0] *= 1.05
        right = np.correlate(desired, window, "full")[len(window) - 1 - LAGS // 2 :][:LAGS]
        out[row] = signal.fftconvolve(trace, linalg.solve_toeplitz(column, right), "same")
    return out


def _correlated(batch: Gather) -> Any:
    times = np.arange(round(SWEEP_S / INTERVAL_S)) * INTERVAL_S
    sweep = signal.chirp(times, SWEEP_HZ[0], SWEEP_S, SWEEP_HZ[1]).astype(np.float32)
    return signal.fftconvolve(batch.traces, sweep[None, ::-1], axes=1)[:, len(sweep) - 1 : SAMPLES]


CASES = (
    Case(
        use="decon", label=f"spiking, {LAGS} lags", parameters=SPIKING, goal=40_000, times=2, same=1e-3,
        peers={"SciPy rfft, solve_toeplitz, lfilter": _spiked}, multiplications=2 * LAGS * SAMPLES,
    ),
    Case(
        use="decon_ensemble", label=f"spiking, {LAGS} lags", parameters=SPIKING, times=2, same=1e-3,
        peers={"SciPy rfft, solve_toeplitz, lfilter": _spiked_together}, multiplications=2 * LAGS * SAMPLES,
    ),
    Case(
        use="designature", parameters={"signature": RINGING}, peers={"SciPy rfft, irfft": _designated}, goal=30_000,
        transforms=2,
    ),
    Case(
        use="shape", parameters={"wavelet": RINGING, "desired": SPIKE, "operator_ms": MS * (LAGS - 1)},
        peers={"SciPy solve_toeplitz, fftconvolve": _shaped}, multiplications=LAGS * SAMPLES,
    ),
    Case(
        use="match", peers={"SciPy solve_toeplitz, fftconvolve": _matched},
        parameters={
            "desired": SPIKE, "time_ms": MS * 450,
            "design_start_ms": MS * DESIGN.start, "design_end_ms": MS * DESIGN.stop, "prewhitening_percent": 5.0,
            "operator_ms": MS * (LAGS - 1), "operator_start_ms": -MS * (LAGS // 2),
        },
        multiplications=LAGS * (SAMPLES + 2 * (DESIGN.stop - DESIGN.start)),
    ),
    Case(
        use="vibroseis_correlate", peers={"SciPy fftconvolve": _correlated}, transforms=2,
        parameters={"start_hz": SWEEP_HZ[0], "end_hz": SWEEP_HZ[1], "sweep_ms": 1000 * SWEEP_S, "taper_ms": 100.0},
    ),
)  # fmt: skip
