"""Statics and surface-consistent corrections: peers are plain NumPy and SciPy forms of the published algorithms."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import fft, sparse
from scipy.sparse import linalg

from benchmarks.processors.case import Case
from benchmarks.processors.data import FOLD, INTERVAL_S, REFRACTOR_M_PER_S, SAMPLES
from seisproc_core.data.gather import Gather

PADDED = 2000
FREQUENCY = fft.rfftfreq(PADDED, INTERVAL_S)
MOST = 5  # samples that residual statics look at, either way: 20 ms
ROUNDS = 5
TRIM = 1  # samples of trim statics: 4 ms
WINDOW = 6  # samples of an energy ratio
REPLACEMENT_M_PER_S, WEATHERING_M_PER_S = 2000.0, 800.0
LAGS = 31
ROBUST_ROUNDS = 5


def _moved(traces: np.ndarray, seconds: np.ndarray) -> Any:
    """Every trace by its own time: a phase per frequency."""
    phase = np.exp(-2j * np.pi * FREQUENCY * seconds[:, None]).astype(np.complex64)
    spectrum = fft.rfft(traces, PADDED, axis=1, workers=1) * phase
    return fft.irfft(spectrum, PADDED, axis=1, workers=1)[:, :SAMPLES]


def _by_elevation(batch: Gather) -> Any:
    source, receiver = batch.headers["source_elevation"], batch.headers["receiver_elevation"]
    return _moved(batch.traces, (200 - source - receiver) / REPLACEMENT_M_PER_S)


def _to_datum(batch: Gather) -> Any:
    return _moved(batch.traces, batch.headers["cmp_static_ms"] / 1000)


def _by_table(batch: Gather) -> Any:
    static = np.interp(batch.headers["source_station"], np.arange(1, 1000), np.arange(999) % 7)
    return _moved(batch.traces, static / 1000)


def _picked(batch: Gather) -> Any:
    """Energy ratio of two windows side by side, its largest value."""
    energy = np.cumsum(np.pad(batch.traces**2, ((0, 0), (WINDOW + 1, WINDOW))), axis=1)
    behind, at, before = energy[:, 2 * WINDOW :], energy[:, WINDOW:-WINDOW], energy[:, : -2 * WINDOW]
    return ((behind - at) / (at - before + 1e-9)).argmax(axis=1)


def _correlations(traces: np.ndarray, pilots: np.ndarray, most: int) -> Any:
    """Of every trace with its pilot, lags from -most to most."""
    spectrum = fft.rfft(traces, PADDED, axis=1, workers=1) * np.conj(fft.rfft(pilots, PADDED, axis=1, workers=1))
    lags = fft.irfft(spectrum, PADDED, axis=1, workers=1)
    return np.concatenate([lags[:, -most:], lags[:, : most + 1]], axis=1)


def _trimmed(batch: Gather) -> Any:
    traces = batch.traces
    for _ in range(2):
        cube = traces.reshape(-1, FOLD, SAMPLES)
        pilots = np.broadcast_to(cube.mean(axis=1, keepdims=True), cube.shape).reshape(-1, SAMPLES)
        lag = _correlations(traces, pilots, TRIM).argmax(axis=1) - TRIM
        traces = _moved(traces, -lag * INTERVAL_S)
    return traces


def _sums(values: np.ndarray, index: np.ndarray, count: int) -> Any:
    return sparse.csr_matrix((np.ones(len(index), values.dtype), (index, np.arange(len(index))))).dot(values)[:count]


def _aligned(batch: Gather) -> Any:
    """Ronen and Claerbout: pilots, correlations summed for every station, peaks; sources and receivers in turn."""
    names = ("source_station", "receiver_station")
    indexes = [np.unique(batch.headers[name], return_inverse=True)[1] for name in names]
    cdp, fold = np.unique(batch.headers["cdp"], return_inverse=True, return_counts=True)[1:]
    traces = batch.traces
    for _ in range(ROUNDS):
        for index in indexes:
            pilots = (_sums(traces, cdp, len(fold)) / fold[:, None])[cdp].astype(np.float32)
            found = _sums(_correlations(traces, pilots, MOST), index, index.max() + 1)
            lag = found.argmax(axis=1) - MOST
            traces = _moved(traces, -lag[index] * INTERVAL_S)
    return traces


def _incidence(batch: Gather) -> Any:
    """One row a trace, a column for every source and every receiver."""
    indexes = [np.unique(batch.headers[w], return_inverse=True)[1] for w in ("source_station", "receiver_station")]
    columns = np.stack([indexes[0], indexes[0].max() + 1 + indexes[1]], axis=1)
    rows = np.repeat(np.arange(batch.n_traces), 2)
    return sparse.csr_matrix((np.ones(rows.size), (rows, columns.ravel())))


def _delayed(batch: Gather) -> Any:
    """Delay times by least squares from first breaks, then the time that the weathering costs."""
    incidence = _incidence(batch)
    slowness = sparse.csr_matrix(batch.headers["offset"][:, None])
    solved = linalg.lsqr(sparse.hstack([incidence, slowness]), batch.headers["first_break_ms"] / 1000)[0]
    seconds = incidence @ solved[:-1] * (1 - WEATHERING_M_PER_S / REFRACTOR_M_PER_S)
    return _moved(batch.traces, -seconds)


def _scaled(batch: Gather) -> Any:
    """Logarithms of rms amplitudes by least squares: sources, receivers, offsets, gathers; outliers weigh less."""
    level = np.log(np.sqrt(np.mean(batch.traces**2, axis=1)))
    level -= level.mean()
    classes = batch.headers["offset"] // 100, batch.headers["cdp"]
    incidence = _incidence(batch)
    for values in classes:
        index = np.unique(values, return_inverse=True)[1]
        own = sparse.csr_matrix((np.ones(len(index)), (np.arange(len(index)), index)))
        incidence = sparse.hstack([incidence, own], "csr")
    weight = np.ones(len(level))
    for _ in range(ROBUST_ROUNDS):
        root = np.sqrt(weight)
        solved = linalg.lsqr(sparse.diags(root) @ incidence, root * level, damp=0.05)[0]
        error = np.abs(level - incidence @ solved)
        weight = (1 - np.minimum(error / (4.685 * 1.4826 * np.median(error)), 1) ** 2) ** 2
    surface = _incidence(batch)
    return batch.traces * np.exp(-(surface @ solved[: surface.shape[1]])).astype(np.float32)[:, None]


def _deconvolved(batch: Gather) -> Any:
    """Logarithms of power spectra averaged for sources and receivers, minimum-phase inverses of both."""
    spectrum = fft.rfft(batch.traces, PADDED, axis=1, workers=1)
    logarithm = np.log(np.abs(spectrum) ** 2 + 1e-3)
    rest = logarithm - logarithm.mean(axis=0)
    total = np.zeros_like(rest)
    for word in ("source_station", "receiver_station"):
        index, count = np.unique(batch.headers[word], return_inverse=True, return_counts=True)[1:]
        term = (_sums(rest - total, index, len(count)) / count[:, None])[index]
        total += term.astype(np.float32)
    cepstrum = fft.irfft(-0.5 * (total + logarithm.mean(axis=0)), PADDED, axis=1, workers=1)
    cepstrum[:, 1 : PADDED // 2] *= 2
    cepstrum[:, PADDED // 2 + 1 :] = 0
    inverse = np.exp(fft.rfft(cepstrum, axis=1, workers=1))
    return fft.irfft(spectrum * inverse, PADDED, axis=1, workers=1)[:, :SAMPLES]


_STATIONS = {"source": ["source_station"], "receiver": ["receiver_station"]}
_TABLE = {"source": {"source_station": list(range(1, 1000)), "static_ms": [float(k % 7) for k in range(999)]}}
CASES = (
    Case(
        use="elevation_statics", parameters={"datum_m": 100.0, "replacement_m_per_s": REPLACEMENT_M_PER_S},
        peers={"SciPy rfft, phase, irfft": _by_elevation}, multiplications=8 * SAMPLES,
    ),
    Case(
        use="final_datum", data="floating", peers={"SciPy rfft, phase, irfft": _to_datum},
        multiplications=8 * SAMPLES,
    ),
    Case(
        use="apply_statics", parameters=_TABLE, peers={"SciPy rfft, phase, irfft": _by_table},
        multiplications=8 * SAMPLES,
    ),
    Case(
        use="first_breaks", parameters={"fastest_m_per_s": 4000.0, "slowest_m_per_s": 1500.0},
        peers={"NumPy cumsum, argmax, whole traces": _picked},
    ),
    Case(use="trim_statics", peers={"SciPy rfft, irfft": _trimmed}, transforms=10),
    Case(
        use="residual_statics", label=f"{ROUNDS} rounds", parameters={**_STATIONS, "iterations": ROUNDS},
        peers={"SciPy, Ronen and Claerbout": _aligned},
    ),
    Case(
        use="refraction_statics", peers={"SciPy lsqr; rfft, irfft": _delayed},
        parameters={"source": ["source_x"], "receiver": ["receiver_x"], "weathering_m_per_s": WEATHERING_M_PER_S},
    ),
    Case(use="surface_consistent_amplitude", parameters=_STATIONS, peers={"NumPy rms, SciPy lsqr, bisquare": _scaled}),
    Case(
        use="surface_consistent_decon", parameters={**_STATIONS, "operator_ms": 4.0 * (LAGS - 1)},
        peers={"SciPy, log spectra, cepstrum": _deconvolved}, transforms=3,
    ),
)  # fmt: skip
