"""Correlations of traces: windows over reflections, sums at shifted lags, peaks between samples."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import scipy

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.errors import ParameterError
from seisproc_signal.windows import nearest_sample

TAPER = 0.1  # of the window, at each end


class Windowed(Protocol):
    @property
    def window_start_ms(self) -> float | None: ...

    @property
    def window_end_ms(self) -> float | None: ...

    def bad(self, name: str, problem: str) -> ParameterError: ...


def window_samples(step: Windowed, layout: Layout) -> tuple[int, int]:
    """First sample of the window and one past its last."""
    sampling, edges = layout.sampling, []
    for time_ms, free in ((step.window_start_ms, 0), (step.window_end_ms, layout.n_samples - 1)):
        at = free if time_ms is None else (time_ms / 1000 - sampling.start_s) / sampling.interval_s
        edges.append(int(nearest_sample(np.array(at))))
    first, last = max(edges[0], 0), min(edges[1], layout.n_samples - 1)
    if last - first < 8:
        name = "window_start_ms" if step.window_start_ms is not None else "window_end_ms"
        raise step.bad(name, "leaves less than 8 samples of the traces in the window")
    return first, last + 1


def windowed(step: Windowed, layout: Layout) -> np.ndarray:
    """The live samples of a gather inside the window, tapered, zero elsewhere: float64.

    For a layout without samples: only the check that there is a window.
    """
    start, stop = window_samples(step, layout)
    if not isinstance(layout, Gather):
        return np.zeros((0, 0))
    first, end = layout.live_window
    sample = np.arange(layout.n_samples)
    weight = np.zeros(layout.n_samples)
    weight[start:stop] = 1
    if step.window_start_ms is not None or step.window_end_ms is not None:
        ramp = max(1, int(TAPER * (stop - start)))
        rise = np.sin(0.5 * np.pi * (np.arange(ramp) + 0.5) / ramp) ** 2
        weight[start : start + ramp] *= rise
        weight[stop - ramp : stop] *= rise[::-1]
    live = (sample >= first[:, None]) & (sample < end[:, None])
    return np.asarray(np.where(live, layout.traces * weight, 0.0))


def shifted_rows(rows: np.ndarray, by: np.ndarray) -> np.ndarray:
    """``out[i, k] = rows[i, k + by[i]]``, linear between samples, zero beyond the ends."""
    whole = np.floor(by).astype(np.int64)
    part = (by - whole)[:, None]
    at = np.arange(rows.shape[1]) + whole[:, None]
    return np.asarray((1 - part) * _at(rows, at) + part * _at(rows, at + 1))


def _at(rows: np.ndarray, at: np.ndarray) -> np.ndarray:
    inside = (at >= 0) & (at < rows.shape[1])
    return np.where(inside, np.take_along_axis(rows, np.where(inside, at, 0), axis=1), 0)


def peak_lags(rows: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lag of the largest value of every row between two limits, from a parabola through three samples, and the value.

    Parameters
    ----------
    rows
        Values at lags ``-n ... n``: shape ``(count, 2 n + 1)``.
    low, high
        Limits, in samples.
    """
    n = rows.shape[1] // 2
    lags = np.arange(-n, n + 1)
    allowed = (lags >= low[:, None] - 1e-9) & (lags <= high[:, None] + 1e-9) & (np.abs(lags) < n)
    best = np.where(allowed, rows, -np.inf).argmax(axis=1)
    best = np.clip(best, 1, 2 * n - 1)
    before, at, after = (np.take_along_axis(rows, (best + k)[:, None], axis=1)[:, 0] for k in (-1, 0, 1))
    bend = before - 2 * at + after
    part = np.divide(0.5 * (before - after), bend, out=np.zeros_like(at), where=bend < 0)
    part = np.clip(part, -0.5, 0.5)
    value = at - 0.25 * (before - after) * part
    return np.clip(lags[best] + part, low, high), value


def with_pilots(spectra: np.ndarray, length: int, lags: int) -> np.ndarray:
    """Normalised cross-correlation of every trace with the sum of the others.

    Parameters
    ----------
    spectra
        Of the traces of one gather, zero-padded to `length` samples: complex ``(n_traces, length // 2 + 1)``.

    Returns
    -------
    numpy.ndarray
        Float64 ``(n_traces, 2 lags + 1)``, lag 0 in the middle; positive lags where the trace is later than its
        pilot. Zeros where either has no energy.
    """
    return normalised(spectra, spectra.sum(axis=0) - spectra, length, lags)


def normalised(spectra: np.ndarray, pilots: np.ndarray, length: int, lags: int) -> np.ndarray:
    """Normalised cross-correlation of every trace with its pilot, as `with_pilots` has it."""
    twice = np.full(spectra.shape[1], 2.0)  # both signs of a frequency, but for 0 and Nyquist
    twice[0] = 1
    if length % 2 == 0:
        twice[-1] = 1
    energy = [(np.abs(part) ** 2 @ twice) / length for part in (spectra, pilots)]
    found = scipy.fft.irfft(spectra * np.conj(pilots), length, axis=1, workers=1)
    found = np.concatenate([found[:, length - lags :], found[:, : lags + 1]], axis=1)
    norm = np.sqrt(energy[0] * energy[1])
    least = 1e-6 * norm.max(initial=0)  # what is left of subtracting a trace from itself is rounding
    return np.asarray(np.divide(found, norm[:, None], out=np.zeros_like(found), where=norm[:, None] > least))
