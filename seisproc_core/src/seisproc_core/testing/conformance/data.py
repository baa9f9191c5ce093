"""Gathers for the conformance suite: band-limited events and noise as functions of time, on any sampling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np
from hypothesis import strategies as st

from seisproc_core.data.gather import Gather
from seisproc_core.data.headers import Headers
from seisproc_core.data.sampling import Sampling
from seisproc_core.data.words import DEAD, LIVE_END, LIVE_FIRST, TRACE_ID, word
from seisproc_core.processing.claims import Claims

HIGHEST_HZ = 40.0  # of the noise; far below the Nyquist frequency of all samplings used
EVENTS = ((0.13, 1.0), (0.28, -0.7), (0.41, 0.8), (0.62, -0.5))  # time at zero offset (s), amplitude
MULTIPLES = ((0.26, 0.7), (0.5, 0.5))
WAVELET_HZ, MOVEOUT_M_PER_S = 22.0, 1900.0
SWEEP_HZ, SWEEP_S, SWEEP_TAPER_S = (8.0, 60.0), 0.3, 0.06
PRIMARY_M_PER_S, MULTIPLE_M_PER_S = 2600.0, 1500.0  # of events that moveout correction flattened, and did not
FIRST_OFFSET_M, SPACING_M = -50, 25


@attrs.frozen(kw_only=True)
class Shape:
    """Sizes of a batch.

    Attributes
    ----------
    gathers
        Traces of each gather; 0 for an empty one.
    samples
        Samples per trace.
    """

    gathers: tuple[int, ...] = (7, 9)
    samples: int = 201
    interval_ms: float = 4.0
    start_ms: float = 0.0
    seed: int = 1
    spoiled: bool = False  # live windows of all kinds, dead traces


BASE = Shape()
SMALL = st.builds(
    Shape,
    gathers=st.lists(st.sampled_from([1, 2, 7, 8, 11, 13]), min_size=1, max_size=2).map(tuple),
    samples=st.sampled_from([151, 200, 233]),
    interval_ms=st.sampled_from([2.0, 4.0]),
    start_ms=st.sampled_from([0.0, -100.0, 48.0]),
    seed=st.integers(0, 2**20),
    spoiled=st.booleans(),
)


def batch(shape: Shape, claims: Claims) -> Gather:
    """A batch of gathers with the usual header words, and with the words and events that are claimed to be needed."""
    sizes = np.array(shape.gathers, np.int64)
    starts = np.concatenate(([0], np.cumsum(sizes)))
    count = int(starts[-1])
    number = np.repeat(np.arange(len(sizes)), sizes)
    inside = np.arange(count) - np.repeat(starts[:-1], sizes)
    sampling = Sampling(shape.start_ms / 1000, shape.interval_ms / 1000, shape.samples)
    traces = np.empty((count, shape.samples), np.float32)
    for row in range(count):
        rng = np.random.default_rng([shape.seed, row])
        traces[row] = signal(sampling.times(), int(inside[row]), rng, claims.events)
    columns = _columns(number, inside, shape.samples)
    for name, (first, step) in claims.words.items():
        columns[name] = (first + step * inside).astype(word(name).dtype)
    if shape.spoiled and count:
        _spoil(columns, traces, np.random.default_rng(shape.seed))
    return Gather(headers=Headers(columns, count), sampling=sampling, gather_starts=starts, traces=traces)


def signal(time_s: np.ndarray, inside: int, rng: np.random.Generator, events: str) -> np.ndarray:
    """Events and noise below `HIGHEST_HZ`, of the trace with this number in its gather; see `Claims.events`."""
    out = np.zeros(len(time_s))
    if events == "spectrum":
        for at, amplitude in EVENTS:  # velocity grows with time
            distance = ((time_s - at) / 0.03) ** 2 + ((inside - 1 - 10 * at) / 1.5) ** 2
            out += abs(amplitude) * np.exp(-distance)
        return out + 0.02 * rng.random()
    wavelet = _sweep if events == "sweep" else _ricker
    for arrival, amplitude in _arrivals(FIRST_OFFSET_M + SPACING_M * inside, events):
        out += amplitude * wavelet(time_s - arrival)
    for frequency, phase in zip(rng.uniform(4, HIGHEST_HZ, 12), rng.uniform(0, 6.28, 12), strict=True):
        out += 0.06 * np.sin(2 * np.pi * frequency * time_s + phase)
    return out


def _ricker(time_s: np.ndarray) -> np.ndarray:
    argument = (np.pi * WAVELET_HZ * time_s) ** 2
    wavelet: np.ndarray = (1 - 2 * argument) * np.exp(-argument)
    return wavelet


def _sweep(time_s: np.ndarray) -> np.ndarray:
    """A linear sweep with sin^2 tapers, from time 0 on."""
    phase = SWEEP_HZ[0] * time_s + (SWEEP_HZ[1] - SWEEP_HZ[0]) * time_s**2 / (2 * SWEEP_S)
    edge = np.clip(np.minimum(time_s, SWEEP_S - time_s) / SWEEP_TAPER_S, 0, 1)
    sweep: np.ndarray = np.sin(2 * np.pi * phase) * np.sin(np.pi / 2 * edge) ** 2
    return sweep


def _arrivals(offset: float, events: str) -> Iterator[tuple[float, float]]:
    """Times (s) and amplitudes of the reflections at this offset (m)."""
    for at, amplitude in EVENTS:
        yield float(np.hypot(at, offset / MOVEOUT_M_PER_S)) if events in ("hyperbolic", "sweep") else at, amplitude
    if events == "multiples":
        slowness = np.sqrt(MULTIPLE_M_PER_S**-2 - PRIMARY_M_PER_S**-2)
        for at, amplitude in MULTIPLES:
            yield float(np.hypot(at, offset * slowness)), amplitude


def _columns(number: np.ndarray, inside: np.ndarray, samples: int) -> dict[str, np.ndarray]:
    """Header words of a line; receivers stand on a grid in each gather, so that 3-D steps find one."""
    count = len(number)
    across = 4
    values: dict[str, Any] = {
        "field_record": 100 + number, "channel": 1 + inside, "cdp": 10 + number, "cdp_trace": 1 + inside,
        "offset": FIRST_OFFSET_M + SPACING_M * inside, "inline": 7 + inside // across, "crossline": 3 + inside % across,
        "source_station": 1 + number, "source_x": 1000 + 10 * number, "source_y": 0, "fold": 1,
        "receiver_station": 201 + inside + (inside + 2) // 5,  # every sixth is missing
        "receiver_x": 1000 + 25 * (inside % across), "receiver_y": 500 + 40 * (inside // across),
        "coordinate_scalar": 1, "elevation_scalar": 1, "receiver_elevation": 80 + inside % 5, "source_elevation": 90,
        "source_static": 4 - number % 7, "receiver_static": inside % 9 - 4, "total_static": 0, "day": 40 + number,
    }  # fmt: skip
    columns = {name: np.broadcast_to(np.asarray(v, word(name).dtype), (count,)).copy() for name, v in values.items()}
    columns[TRACE_ID] = 1000 + np.arange(count, dtype=np.int64)
    columns[LIVE_FIRST] = np.zeros(count, np.int32)
    columns[LIVE_END] = np.full(count, samples, np.int32)
    columns[DEAD] = np.zeros(count, np.uint8)
    return columns


def _spoil(columns: dict[str, np.ndarray], traces: np.ndarray, rng: np.random.Generator) -> None:
    """Mutes at both ends, traces that are dead; nothing recorded outside what is live."""
    count, samples = traces.shape
    first = rng.integers(0, samples // 4, count)
    end = samples - rng.integers(0, samples // 5, count)
    dead = np.less(rng.random(count), 0.15)
    end = np.where(dead, first, end)
    columns[LIVE_FIRST], columns[LIVE_END] = first.astype(np.int32), end.astype(np.int32)
    columns[DEAD] = dead.astype(np.uint8)
    sample = np.arange(samples)
    traces[(sample < first[:, None]) | (sample >= end[:, None])] = 0


def live(gather: Gather) -> np.ndarray:
    """Which samples are live: bool ``(n_traces, n_samples)``."""
    first, end = gather.live_window
    sample = np.arange(gather.n_samples)
    inside: np.ndarray = (sample >= first[:, None]) & (sample < end[:, None])
    return inside


def copied(gather: Gather) -> Gather:
    """The same gathers in memory of their own."""
    columns = {name: gather.headers.column(name).copy() for name in gather.headers}
    headers = Headers(columns, gather.headers.count, length_factor=gather.headers.length_factor)
    return attrs.evolve(gather, traces=gather.traces.copy(), headers=headers)
