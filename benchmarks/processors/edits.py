"""Gains, mutes, tapers, edits: a look at every sample, and hardly any arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

from benchmarks.processors.case import Case
from benchmarks.processors.data import FOLD, INTERVAL_S, SAMPLES
from benchmarks.workspace import VELOCITY
from seisproc_core.data.gather import Gather

HALF_WINDOW = 62  # samples of AGC before and after the centre: 500 ms
TIMES = np.arange(SAMPLES) * INTERVAL_S
TAPERED = 50  # samples
MUTE_M_PER_S, MUTE_S, MUTE_TAPER = 2500.0, 0.1, 10  # velocity, time at offset 0, samples
ZONE_M_PER_S, ZONE_S = 600.0, 0.2  # velocity and width of a surgical mute


def _agc_by_filter(batch: Gather) -> Any:
    power = ndimage.uniform_filter1d(batch.traces**2, 2 * HALF_WINDOW + 1, axis=1, mode="constant")
    return batch.traces / np.sqrt(power)


def _agc_by_sums(batch: Gather) -> Any:
    """Running sums as differences of one long sum; double, as the sum of a whole trace must be."""
    total = np.zeros((batch.n_traces, SAMPLES + 1))
    np.cumsum(np.square(batch.traces, dtype=np.float64), axis=1, out=total[:, 1:])
    sample = np.arange(SAMPLES)
    low, high = np.maximum(sample - HALF_WINDOW, 0), np.minimum(sample + HALF_WINDOW + 1, SAMPLES)
    return batch.traces / np.sqrt((total[:, high] - total[:, low]) / (2 * HALF_WINDOW + 1))


def _time_power(batch: Gather) -> Any:
    return batch.traces * (TIMES**2).astype(np.float32)


def _spread(batch: Gather) -> Any:
    velocity = np.interp(1000 * TIMES, VELOCITY["time_ms"], VELOCITY["rms_m_per_s"])
    return batch.traces * (TIMES * (velocity / velocity[0]) ** 2).astype(np.float32)


def _balanced(batch: Gather) -> Any:
    return batch.traces / np.sqrt(np.mean(batch.traces**2, axis=1, keepdims=True))


def _divided(batch: Gather) -> Any:
    return np.divide(batch.traces, batch.traces, out=np.zeros_like(batch.traces), where=batch.traces != 0)


def _subtracted(batch: Gather) -> Any:
    return batch.traces - np.float32(0.5) * batch.traces


def _top_muted(batch: Gather) -> Any:
    first = (MUTE_S + batch.headers["offset"] / MUTE_M_PER_S) / INTERVAL_S
    weight = np.clip((np.arange(SAMPLES) - first[:, None]) / MUTE_TAPER, 0, 1)
    return batch.traces * weight.astype(np.float32)


def _zone_muted(batch: Gather) -> Any:
    away = np.abs(TIMES - batch.headers["offset"][:, None] / ZONE_M_PER_S)
    return np.where(away < ZONE_S / 2, np.float32(0), batch.traces)


def _tapered(batch: Gather) -> Any:
    weight = np.ones(SAMPLES, np.float32)
    weight[:TAPERED] = np.sin(0.5 * np.pi * np.arange(TAPERED) / TAPERED) ** 2
    weight[-TAPERED:] = weight[:TAPERED][::-1]
    return batch.traces * weight


def _edges_tapered(batch: Gather) -> Any:
    weight = np.ones(FOLD, np.float32)
    weight[:5] = weight[-5:][::-1] = np.arange(1, 6) / 6
    return batch.traces.reshape(-1, FOLD, SAMPLES) * weight[:, None]


def _killed(batch: Gather) -> Any:
    out = batch.traces.copy()
    out[batch.headers["channel"] % 10 == 0] = 0
    return out


def _reversed(batch: Gather) -> Any:
    channel = batch.headers["channel"]
    return batch.traces * np.where((channel >= 3) & (channel <= 5), -1, 1).astype(np.float32)[:, None]


def _selected(batch: Gather) -> Any:
    return batch.traces[batch.headers["offset"] <= 1000]


def _mean(batch: Gather) -> Any:
    return batch.traces.reshape(-1, FOLD, SAMPLES).mean(axis=1)


def _loud(batch: Gather) -> Any:
    level = np.sqrt(np.mean(batch.traces**2, axis=1)).reshape(-1, FOLD)
    return level > 4 * np.median(level, axis=1, keepdims=True)


def _padded(batch: Gather) -> Any:
    out = np.zeros((batch.n_gathers, FOLD, SAMPLES), np.float32)
    record = batch.headers["field_record"]
    out[record - record.min(), batch.headers["channel"] - 1] = batch.traces
    return out


CASES = (
    Case(
        use="agc", label="500 ms", parameters={"window_ms": 500.0}, goal=150_000, times=2, same=1e-3,
        peers={"SciPy uniform_filter1d": _agc_by_filter, "NumPy, running sums": _agc_by_sums},
    ),
    Case(use="gain", label="t^2", parameters={"t_power": 2.0}, peers={"NumPy": _time_power}, same=1e-5),
    Case(use="spreading", parameters={"velocity": VELOCITY}, peers={"NumPy": _spread}, same=1e-3),
    Case(use="trace_balance", label="rms", peers={"NumPy": _balanced}, same=1e-3),
    Case(
        use="difference", inputs=("other",), parameters={"scale": 0.5},
        peers={"NumPy multiply, subtract": _subtracted}, same=1e-4,
    ),
    Case(use="remove_gain", inputs=("gain",), data="spectra", peers={"NumPy divide, where": _divided}, same=1e-4),
    Case(
        use="mute", label="top", peers={"NumPy, weights": _top_muted},
        parameters={"velocity_m_per_s": MUTE_M_PER_S, "time_ms": 1000 * MUTE_S, "taper_ms": 40.0},
    ),
    Case(
        use="surgical_mute", peers={"NumPy where, no taper": _zone_muted},
        parameters={"velocity_m_per_s": ZONE_M_PER_S, "width": {"offset_m": [0.0], "width_ms": [1000 * ZONE_S]}},
    ),
    Case(
        use="taper", parameters={"start_ms": 200.0, "end_ms": 200.0}, peers={"NumPy": _tapered},
    ),
    Case(use="taper_traces", parameters={"first_traces": 5, "last_traces": 5}, peers={"NumPy": _edges_tapered}),
    Case(use="kill", parameters={"where": "channel % 10 == 0"}, peers={"NumPy copy": _killed}, same=0.0),
    Case(use="reverse", parameters={"where": {"channel": [3, 5]}}, peers={"NumPy": _reversed}, same=0.0),
    Case(use="select", parameters={"where": "offset <= 1000"}, peers={"NumPy take": _selected}, same=0.0),
    Case(use="combine", peers={"NumPy mean": _mean}, same=1e-4),
    Case(use="edit_rules", times=None, parameters={"loud_ratio": 4.0}, peers={"NumPy rms, median (one rule)": _loud}),
    Case(use="pad", data="grids", parameters={"line": "inline", "at": "crossline"}, peers={"NumPy": _padded}, same=0.0),
)  # fmt: skip
