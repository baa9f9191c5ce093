"""Processors of whole gathers: dips, prediction, Radon, slant stacks. Peers go gather by gather too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
from scipy import fft, ndimage

from benchmarks.processors.case import Case
from benchmarks.processors.data import FOLD, GAP, INTERVAL_S, SAMPLES, SPACING_M
from seisproc_core.data.gather import Gather

SLOPE = 1 / 1500  # s/m: edge of the fan that is passed
PADDED = (1920, 75)  # samples and traces of the FFT of a dip filter
GRID = (5, 10)  # inlines and crosslines of a gather
FILTER, WINDOW = 4, 20  # coefficients of a prediction filter, traces of its window
TIME_WINDOW = 250  # samples
NEXT_FAST = 375
CUT_MS, FARTHEST_M = 60.0, SPACING_M * FOLD
CURVES = 176  # parabolas of a Radon transform, as many as the step takes for these data
SLOPES = 101
SLANTS, HALF_TRACES = 21, 4
BLOCK, APERTURE = 50, 9  # samples and traces of a median (200 ms)
MATCHING = 20  # coefficients of a matching filter


def _by_gather(batch: Gather, call: Callable[[np.ndarray], np.ndarray]) -> Any:
    return np.concatenate([call(batch.traces[a : a + FOLD]) for a in range(0, batch.n_traces, FOLD)])


def _dip_filter(batch: Gather) -> Any:
    """The same fan in FFT calls of SciPy, without care of edges."""
    length, width = PADDED
    frequency, wavenumber = fft.rfftfreq(length, INTERVAL_S), fft.fftfreq(width, SPACING_M)[:, None]
    gain = (np.abs(wavenumber) <= SLOPE * frequency).astype(np.float32)

    def one(traces: np.ndarray) -> Any:
        spectrum = fft.fft(fft.rfft(traces, length, workers=1), width, axis=0, workers=1) * gain
        return fft.irfft(fft.ifft(spectrum, axis=0, workers=1)[:FOLD], length, workers=1)[:, :SAMPLES]

    return _by_gather(batch, one)


def _cone_filter(batch: Gather) -> Any:
    shape = (PADDED[0], 2 * GRID[0], 2 * GRID[1])
    gain = np.ones((shape[1], shape[2], shape[0] // 2 + 1), np.float32)

    def one(traces: np.ndarray) -> Any:
        cube = traces.reshape(*GRID, SAMPLES)
        spectrum = fft.rfftn(cube, (shape[1], shape[2], shape[0]), workers=1) * gain
        return fft.irfftn(spectrum, (shape[1], shape[2], shape[0]), workers=1)[: GRID[0], : GRID[1], :SAMPLES].reshape(
            -1, SAMPLES
        )

    return _by_gather(batch, one)


def _windows(traces: int = 15, samples: int = TIME_WINDOW - 50) -> Iterator[tuple[slice, slice]]:
    """Every so many traces and samples one."""
    for first in range(0, FOLD - WINDOW + 1, traces):
        for start in range(0, SAMPLES - TIME_WINDOW + 1, samples):
            yield slice(first, first + WINDOW), slice(start, start + TIME_WINDOW)


def _predicted(batch: Gather) -> Any:
    """The algorithm of Seismic Unix's sufxdecon: normal equations and forward and backward prediction, by frequency."""

    def one(traces: np.ndarray) -> Any:
        out, weight = np.zeros_like(traces), np.full(traces.shape, 1e-9, np.float32)
        for rows, times in _windows():
            spectrum = fft.rfft(traces[rows, times], NEXT_FAST, axis=1, workers=1)
            past = np.stack([spectrum[FILTER - 1 - k : WINDOW - 1 - k] for k in range(FILTER)], axis=-1)
            wanted = spectrum[FILTER:]
            normal = np.einsum("tfi,tfj->fij", past.conj(), past) + 1e-3 * np.eye(FILTER, dtype=np.float32)
            right = np.einsum("tfi,tf->fi", past.conj(), wanted)
            operator = np.linalg.solve(normal, right[..., None])[..., 0]
            both = np.zeros_like(spectrum)
            both[FILTER:] += np.einsum("tfi,fi->tf", past, operator)
            future = np.stack([spectrum[1 + k : WINDOW - FILTER + 1 + k] for k in range(FILTER)], axis=-1)
            both[: WINDOW - FILTER] += np.einsum("tfi,fi->tf", future, operator.conj())
            both[FILTER:-FILTER] *= 0.5
            out[rows, times] += fft.irfft(both, NEXT_FAST, axis=1, workers=1)[:, :TIME_WINDOW]
            weight[rows, times] += 1
        return out / weight

    return _by_gather(batch, one)


def _interpolated(batch: Gather) -> Any:
    """Spitz, as published: filters of half the frequency on half the spacing, then least squares for new traces."""
    between = np.arange(WINDOW - 1)

    def one(traces: np.ndarray) -> Any:
        out = np.zeros((2 * FOLD - 1, SAMPLES), np.float32)
        for rows, times in _windows():
            spectrum = fft.rfft(traces[rows, times], 2 * NEXT_FAST, axis=1, workers=1).T[:TIME_WINDOW]
            past = np.stack([spectrum[:, FILTER - 1 - k : WINDOW - 1 - k] for k in range(FILTER)], axis=-1)
            normal = np.einsum("fti,ftj->fij", past.conj(), past) + 1e-3 * np.eye(FILTER, dtype=np.float32)
            right = np.einsum("fti,ft->fi", past.conj(), spectrum[:, FILTER:])
            operator = np.linalg.solve(normal, right[..., None])[..., 0]
            system = np.zeros((TIME_WINDOW, 2 * WINDOW - 1 - FILTER, 2 * WINDOW - 1), np.complex64)
            for row in range(2 * WINDOW - 1 - FILTER):
                system[:, row, row : row + FILTER] = -operator[:, ::-1]
                system[:, row, row + FILTER] = 1
            new, known = system[:, :, 1::2], -np.einsum("frk,fk->fr", system[:, :, ::2], spectrum)
            left = np.einsum("fri,frj->fij", new.conj(), new) + 1e-3 * np.eye(len(between), dtype=np.float32)
            solved = np.linalg.solve(left, np.einsum("fri,fr->fi", new.conj(), known)[..., None])[..., 0]
            made = fft.irfft(solved.T, 2 * NEXT_FAST, axis=1, workers=1)[:, :TIME_WINDOW]
            out[2 * rows.start + 1 : 2 * rows.stop - 1 : 2, times] = made
        out[::2] = traces
        return out

    return _by_gather(batch, one)


def _filled(batch: Gather) -> Any:
    """A prediction filter in each of the two windows that hold the one gap of a gather, least squares for the gap."""
    out = np.zeros((batch.n_gathers, SAMPLES), np.float32)
    count = FOLD - 1
    for number in range(batch.n_gathers):
        traces = batch.traces[number * count : (number + 1) * count]
        for first in (GAP - 14, GAP - 4):
            gap = GAP - first
            rows = np.arange(FILTER, WINDOW)
            whole = np.flatnonzero((rows < gap) | (rows - FILTER > gap))
            for start in range(0, SAMPLES - TIME_WINDOW + 1, TIME_WINDOW - 50):
                times = slice(start, start + TIME_WINDOW)
                near = np.insert(traces[first : first + WINDOW - 1, times], gap, 0, axis=0)
                spectrum = fft.rfft(near, NEXT_FAST, axis=1, workers=1)
                past = np.stack([spectrum[FILTER - 1 - k : WINDOW - 1 - k] for k in range(FILTER)], axis=-1)
                normal = np.einsum("tfi,tfj->fij", past[whole].conj(), past[whole])
                right = np.einsum("tfi,tf->fi", past[whole].conj(), spectrum[FILTER:][whole])
                operator = np.linalg.solve(normal + 1e-3 * np.eye(FILTER), right[..., None])[..., 0]
                error = spectrum[FILTER:] - np.einsum("tfi,fi->tf", past, operator)
                column = np.concatenate([np.ones((1, len(operator))), -operator.T])
                touched = error[max(gap - FILTER, 0) : gap + 1]
                column = column[-len(touched) :]
                found = -(column.conj() * touched).sum(axis=0) / (np.abs(column) ** 2).sum(axis=0)
                out[number, times] += 0.5 * fft.irfft(found, NEXT_FAST, workers=1)[:TIME_WINDOW]
    return out


@cache
def _radon(kind: str) -> Any:
    """A transform of PyLops, in its compiled form."""
    from pylops.signalprocessing import FourierRadon2D

    axis = np.linspace(-1.0, 6.0, CURVES) * 1e-7 if kind == "parabolic" else np.linspace(-1e-3, 1e-3, SLOPES)
    offset = SPACING_M * np.arange(1, FOLD + 1)
    return FourierRadon2D(
        np.arange(SAMPLES) * INTERVAL_S, offset, axis, 2 * SAMPLES, kind=kind, engine="numba", dtype="float64"
    )


def _there_and_back(batch: Gather, kind: str) -> Any:
    """The adjoint, which is a slant stack, and the transform back: of an inversion, one iteration."""
    operator = _radon(kind)
    return _by_gather(batch, lambda g: (operator @ (operator.H @ g.ravel().astype(float))).reshape(g.shape))


def _parabolas(batch: Gather) -> Any:
    return _there_and_back(batch, "parabolic")


def _planes(batch: Gather) -> Any:
    return _there_and_back(batch, "linear")


def _slanted(batch: Gather) -> Any:
    """Semblance of linear interpolation along every slope, then the median along the best."""
    times = np.arange(SAMPLES) * INTERVAL_S
    steps = np.arange(-HALF_TRACES, HALF_TRACES + 1)

    def one(traces: np.ndarray) -> Any:
        padded = np.pad(traces, ((HALF_TRACES, HALF_TRACES), (0, 0)), "edge")
        out = np.empty_like(traces)
        for row in range(FOLD):
            near = padded[row : row + len(steps)]
            along = np.array(
                [
                    [np.interp(times + slope * SPACING_M * step, times, near[k]) for k, step in enumerate(steps)]
                    for slope in np.linspace(-6e-4, 6e-4, SLANTS)
                ]
            )
            power = ndimage.uniform_filter1d(along.sum(axis=1) ** 2, 11, axis=1)
            energy = ndimage.uniform_filter1d((along**2).sum(axis=1), 11, axis=1)
            best = (power / (energy + 1e-9)).argmax(axis=0)
            out[row] = np.median(along[best, :, np.arange(SAMPLES)], axis=1)
        return out

    return _by_gather(batch, one)


def _medians(batch: Gather) -> Any:
    """rms of overlapping windows, median and median absolute deviation among neighbours, factors linear in between."""
    half = BLOCK // 2
    power = np.einsum("ijk,ijk->ij", *[batch.traces.reshape(batch.n_traces, -1, half)] * 2)
    level = np.sqrt((power[:, :-1] + power[:, 1:]) / BLOCK).reshape(batch.n_gathers, FOLD, -1)
    usual = ndimage.median_filter(level, (1, APERTURE, 1))
    spread = ndimage.median_filter(np.abs(level - usual), (1, APERTURE, 1))
    gain = np.where(level > usual + 3 * 1.4826 * spread, usual / level, 1).reshape(batch.n_traces, -1)
    edges = np.pad(gain.astype(np.float32), ((0, 0), (1, 1)), "edge")[:, :, None]
    weight = ((np.arange(half) + 0.5) / half).astype(np.float32)
    return batch.traces * (edges[:, :-1] * (1 - weight) + edges[:, 1:] * weight).reshape(batch.traces.shape)


def _subtracted(batch: Gather) -> Any:
    """Least squares of NumPy for the filter that takes most of the model off, window by window."""

    def one(traces: np.ndarray) -> Any:
        out, weight = np.zeros_like(traces), np.full(traces.shape, 1e-9, np.float32)
        for rows, times in _windows(WINDOW // 2, TIME_WINDOW // 2):
            part = np.pad(traces[rows, times], ((0, 0), (MATCHING // 2, MATCHING // 2)))
            lagged = np.stack([part[:, k : k + TIME_WINDOW].ravel() for k in range(MATCHING)], axis=1)
            normal = lagged.T @ lagged + 1e-3 * np.eye(MATCHING, dtype=np.float32)
            wanted = traces[rows, times]
            out[rows, times] += wanted - (lagged @ np.linalg.solve(normal, lagged.T @ wanted.ravel())).reshape(
                wanted.shape
            )
            weight[rows, times] += 1
        return out / weight

    return _by_gather(batch, one)


def _multiples(batch: Gather) -> Any:
    """The sum over surface points by frequency, as a product of matrices, shots at every receiver's place."""
    length = fft.next_fast_len(2 * SAMPLES, real=True)
    frequency = fft.rfftfreq(length, INTERVAL_S)
    spectrum = fft.rfft(batch.traces, length, axis=1, workers=1)[:, frequency <= 60]
    count = batch.n_gathers
    field = np.zeros((spectrum.shape[1], count, count + FOLD), np.complex64)
    for number in range(count):
        rows = slice(number * FOLD, (number + 1) * FOLD)
        field[:, number, number + 1 : number + 1 + FOLD] = spectrum[rows].T
    places = np.concatenate([field, np.zeros((len(field), FOLD, count + FOLD), np.complex64)], axis=1)
    predicted = -np.matmul(field, places)
    full = np.zeros((count, count + FOLD, len(frequency)), np.complex64)
    full[:, :, frequency <= 60] = predicted.transpose(1, 2, 0)
    return fft.irfft(full, length, axis=2, workers=1)[:, :, :SAMPLES]


CASES = (
    Case(
        use="fk_filter", parameters={"kind": "pass", "min_m_per_s": 1 / SLOPE}, goal=30_000,
        peers={"SciPy fft along both axes": _dip_filter}, transforms=4,
    ),
    Case(
        use="fkk_filter", peers={"SciPy rfftn, irfftn": _cone_filter}, transforms=4,
        parameters={
            "kind": "pass", "min_m_per_s": 1500.0, "x_position": "inline", "y_position": "crossline",
            "x_spacing_m": SPACING_M, "y_spacing_m": SPACING_M,
        },
    ),
    Case(
        use="fx_decon", goal=15_000, peers={"NumPy, algorithm of Seismic Unix": _predicted}, transforms=2,
    ),
    Case(
        use="fx_interpolate", label="spacing halved", peers={"NumPy, algorithm of Spitz": _interpolated}, transforms=3,
    ),
    Case(
use="fx_fill", label="one trace of 50", data="grids", peers={"NumPy, prediction filters at the gap": _filled},
        parameters={"position": "receiver_station"},
    ),
    Case(
        use="radon_demultiple", label="parabolas, one geometry", transforms=2,
        parameters={"cut_ms": CUT_MS, "reference_offset_m": FARTHEST_M},
        peers={"PyLops FourierRadon2D, once there and back": _parabolas},
    ),
    Case(
        use="tau_p_filter", transforms=2, peers={"PyLops FourierRadon2D, once there and back": _planes},
        parameters={
            "low_ms_per_m": 0.3, "high_ms_per_m": 1.0, "min_ms_per_m": -1.0, "max_ms_per_m": 1.0, "slopes": SLOPES,
        },
    ),
    Case(
        use="slant_median", label=f"{SLANTS} slopes, {2 * HALF_TRACES + 1} traces",
        parameters={"min_ms_per_m": -0.6, "max_ms_per_m": 0.6}, peers={"NumPy interp, median": _slanted},
        multiplications=3 * SLANTS * (2 * HALF_TRACES + 1) * SAMPLES,
    ),
    Case(
        use="mad_denoise", parameters={"aperture_traces": APERTURE},
        peers={"SciPy median_filter of rms, twice": _medians},
    ),
    Case(
        use="adaptive_subtract", inputs=("model",), multiplications=MATCHING * (MATCHING + 2) * SAMPLES,
        peers={"NumPy normal equations": _subtracted},
    ),
    Case(
        use="srme", parameters={"spacing_m": SPACING_M, "max_hz": 60.0}, transforms=2,
        peers={"NumPy matmul by frequency, exact places": _multiples},
    ),
)  # fmt: skip
