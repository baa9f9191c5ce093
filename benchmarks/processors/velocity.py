"""Moveout, stacks and velocity spectra: peers are NumPy's interpolation and sums."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.processors.case import Case
from benchmarks.processors.data import FOLD, INTERVAL_S, SAMPLES
from benchmarks.workspace import VELOCITY
from seisproc_core.data.gather import Gather

FIRST, LAST, STEP = 1500.0, 3500.0, 50.0  # trial velocities, m/s
VELOCITIES = np.arange(FIRST, LAST + 1, STEP)
HALF_WINDOW = 5  # samples of a semblance
EDGES = (0.0, 400.0, 800.0, 1275.0)  # offset classes, m
TIMES = np.arange(SAMPLES) * INTERVAL_S
TAPS = np.arange(-3, 5)  # samples about the place to interpolate at


def _times(offset: np.ndarray) -> Any:
    velocity = np.interp(1000 * TIMES, VELOCITY["time_ms"], VELOCITY["rms_m_per_s"])
    return np.sqrt(TIMES**2 + (offset[:, None] / velocity) ** 2)


def _moved_linearly(batch: Gather) -> Any:
    taken = _times(batch.headers["offset"])
    return np.stack([np.interp(t, TIMES, trace, right=0.0) for t, trace in zip(taken, batch.traces, strict=True)])


def _moved_by_sinc(batch: Gather) -> Any:
    """The algorithm of Seismic Unix's ints8r: a table of 512 tapered sinc operators, the nearest one for each time."""
    shift = np.arange(513)[:, None] / 512 - TAPS
    table = (np.sinc(shift) * np.cos(np.pi * shift / 9) ** 2).astype(np.float32)
    padded = np.pad(batch.traces, ((0, 0), (4, 8)))
    out = np.empty_like(batch.traces)
    for row, taken in enumerate(_times(batch.headers["offset"]) / INTERVAL_S):
        place = np.minimum(taken, SAMPLES + 2)
        first = place.astype(np.int64)
        phase = np.rint(512 * (place - first)).astype(np.int64)
        out[row] = np.einsum("ij,ij->i", padded[row][first[:, None] + (TAPS + 4)], table[phase])
    return out


def _mean(batch: Gather) -> Any:
    return batch.traces.reshape(-1, FOLD, SAMPLES).mean(axis=1)


def _median(batch: Gather) -> Any:
    return np.median(batch.traces.reshape(-1, FOLD, SAMPLES), axis=1)


def _means_by_class(batch: Gather) -> Any:
    offset = batch.headers["offset"][:FOLD]
    cube = batch.traces.reshape(-1, FOLD, SAMPLES)
    chosen = [(offset >= low) & (offset < high) for low, high in pairwise(EDGES)]
    return np.stack([cube[:, rows].mean(axis=1) for rows in chosen], axis=1).reshape(-1, SAMPLES)


def _flattened(batch: Gather, velocity: float) -> Any:
    """All gathers after linear interpolation along one hyperbola, and which samples are live, on the first gather."""
    offset = batch.headers["offset"][:FOLD]
    taken = np.sqrt(TIMES**2 + (offset[:, None] / velocity) ** 2)
    flat = [np.interp(taken[row % FOLD], TIMES, trace, right=0.0) for row, trace in enumerate(batch.traces)]
    return np.reshape(flat, (-1, FOLD, SAMPLES)), taken <= TIMES[-1] * (1 + 1e-12)


def _spectrum(batch: Gather) -> Any:
    """Semblance, trace by trace; without a stretch mute, like the step it is compared with."""
    box = np.ones(2 * HALF_WINDOW + 1)
    out = np.zeros((batch.n_gathers, len(VELOCITIES), SAMPLES))
    for k, velocity in enumerate(VELOCITIES):
        flat, live = _flattened(batch, velocity)
        for g, gather in enumerate(flat):
            coherent = np.convolve(gather.sum(axis=0) ** 2, box, "same")
            power = np.convolve(live.sum(axis=0) * (gather**2).sum(axis=0), box, "same")
            np.divide(coherent, power, out=out[g, k], where=power > 0)
    return out.reshape(-1, SAMPLES)


def _stacks(batch: Gather) -> Any:
    out = np.zeros((batch.n_gathers, len(VELOCITIES), SAMPLES))
    for k, velocity in enumerate(VELOCITIES):
        flat, live = _flattened(batch, velocity)
        out[:, k] = flat.sum(axis=1) / np.maximum(live.sum(axis=0), 1)
    return out.reshape(-1, SAMPLES)


def _ridges(batch: Gather) -> Any:
    velocity = batch.headers["velocity_m_per_s"][:FOLD]
    return velocity[batch.traces.reshape(-1, FOLD, SAMPLES).argmax(axis=1)]


_TRIALS = {"first_m_per_s": FIRST, "last_m_per_s": LAST, "step_m_per_s": STEP}
_PLAIN = _TRIALS | {"window_ms": 2000 * HALF_WINDOW * INTERVAL_S, "max_stretch_percent": 1e12, "least_traces": 1}
_MOVEOUT = {"NumPy interp (linear)": _moved_linearly, "NumPy, algorithm of Seismic Unix": _moved_by_sinc}
_EACH = len(VELOCITIES)
CASES = (
    Case(
        use="nmo", label="shared offsets", parameters={"velocity": VELOCITY}, goal=120_000, times=2,
        peers=_MOVEOUT, multiplications=8 * SAMPLES,
    ),
    Case(
        use="nmo", label="all offsets differ", parameters={"velocity": VELOCITY}, data="scattered", goal=120_000,
        times=2, peers=_MOVEOUT, multiplications=8 * SAMPLES,
    ),
    Case(
        use="nmo", label="with eta", data="scattered", times=2, multiplications=8 * SAMPLES,
        parameters={"velocity": VELOCITY, "eta": {"time_ms": [0, 3000], "eta": [0.0, 0.1]}},
        peers={"NumPy interp (linear), without eta": _moved_linearly},
    ),
    Case(use="stack", label="fold 50", goal=500_000, times=2, peers={"NumPy mean": _mean}, same=1e-4),
    Case(use="stack", label="median", parameters={"method": "median"}, peers={"NumPy median": _median}, same=1e-5),
    Case(
        use="partial_stack", label="3 classes", parameters={"edges": list(EDGES)}, same=1e-4,
        peers={"NumPy mean": _means_by_class},
    ),
    Case(
        use="semblance", label=f"{_EACH} velocities", parameters=_PLAIN, each=_EACH, times=2, same=1e-3,
        peers={"NumPy interp, convolve": _spectrum}, multiplications=2 * SAMPLES,
    ),
    Case(
        use="semblance", label="AB", parameters=_PLAIN | {"measure": "ab"}, each=_EACH, times=2,
        peers={"NumPy interp, convolve, without AB": _spectrum}, multiplications=4 * SAMPLES,
    ),
    Case(
        use="velocity_stacks", label=f"{_EACH} velocities", parameters=_TRIALS, each=_EACH,
        peers={"NumPy interp, mean": _stacks}, multiplications=8 * SAMPLES,
    ),
    Case(use="velocity_pick", data="spectra", times=None, peers={"NumPy argmax at every time": _ridges}),
)  # fmt: skip
