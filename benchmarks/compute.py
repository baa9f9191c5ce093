"""Kernels on one core, against the library calls that do the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import attrs
import numpy as np
from scipy import fft, ndimage, signal

from benchmarks.harness import Goal, Row, Work, against, at_least, interleave, rate_row
from benchmarks.plain import prepared
from benchmarks.workspace import VELOCITY, Workspace
from seisproc_core.data.gather import Gather
from seisproc_core.processing.flow import Step
from seisproc_core.processing.plan import BATCH_BYTES
from seisproc_core.testing import make_gather

SAMPLES, FOLD = 1500, 50
INTERVAL_S = 0.004
HALF_WINDOW = 62  # samples of AGC before and after the centre: 500 ms
LOW_HZ, HIGH_HZ, ORDER = 8.0, 60.0, 4
PADDED = 2000  # samples of the FFT that a band-pass in one library call works on
SAME = 1e-3  # largest difference to a library call, relative to the largest sample
BATCHES = 8  # 64 MiB of input: more than caches hold


Call = Callable[[Gather], Any]


@attrs.frozen
class Kernel:
    """A processor, the traces per second it shall reach, and the library calls beside it.

    Attributes
    ----------
    same
        The calls give the same samples, and are checked to.
    """

    name: str
    step: Step
    goal: Goal
    peers: Mapping[str, Callable[[Gather], np.ndarray]]
    same: bool = True


def kernels(space: Workspace) -> Iterator[Row]:
    """AGC, band-pass, NMO and stack: traces per second and core, in memory, batches of 8 MiB."""
    batches = _batches()
    per_pass = sum(batch.n_traces for batch in batches)
    passes = max(1, round(space.size(100_000) / per_pass))
    for kernel in KERNELS:
        ours = prepared(kernel.step)
        if kernel.same:
            _check(kernel, ours(batches[0]).traces, batches[0])
        works = {"": Work(partial(_drive, ours, batches, passes))}
        works |= {name: Work(partial(_drive, call, batches, 1)) for name, call in kernel.peers.items()}
        seconds = interleave(works, space.rounds)
        yield rate_row(kernel.name, seconds[""], per_pass * passes, "traces", goal=kernel.goal)
        for name in kernel.peers:
            yield against(kernel.name, seconds[""] / passes, name, seconds[name], amount=(per_pass, "traces"))


def _batches() -> list[Gather]:
    """Shot records with offsets, laid end to end."""
    rng = np.random.default_rng(3)
    count = BATCH_BYTES // (4 * SAMPLES) // FOLD * FOLD
    starts = list(range(0, count + 1, FOLD))
    offset = np.tile(25 * np.arange(1, FOLD + 1), count // FOLD)
    made = (rng.standard_normal((count, SAMPLES), np.float32) for _ in range(BATCHES))
    return [make_gather(t, interval_ms=1000 * INTERVAL_S, gather_starts=starts, offset=offset) for t in made]


def _drive(call: Call, batches: Sequence[Gather], passes: int) -> None:
    for _ in range(passes):
        for batch in batches:
            call(batch)


def _check(kernel: Kernel, ours: np.ndarray, batch: Gather) -> None:
    """Away from the ends, where libraries pad otherwise, all must have done the same work."""
    inside = slice(4 * HALF_WINDOW, -4 * HALF_WINDOW)
    for name, call in kernel.peers.items():
        theirs = call(batch)[:, inside]
        difference = float(np.abs(ours[:, inside] - theirs).max())
        if difference > SAME * np.abs(theirs).max():
            raise AssertionError(f"{kernel.name} differs from {name} by {difference:.3g}")


def _agc_by_library(batch: Gather) -> np.ndarray:
    power = ndimage.uniform_filter1d(batch.traces**2, 2 * HALF_WINDOW + 1, axis=1, mode="constant")
    gained: np.ndarray = batch.traces / np.sqrt(power)
    return gained


def _sections() -> np.ndarray:
    high = signal.butter(ORDER, LOW_HZ, "highpass", fs=1 / INTERVAL_S, output="sos")
    low = signal.butter(ORDER, HIGH_HZ, "lowpass", fs=1 / INTERVAL_S, output="sos")
    return np.vstack((high, low))


def _bandpass_recursive(batch: Gather) -> np.ndarray:
    filtered: np.ndarray = signal.sosfiltfilt(_sections(), batch.traces, axis=1, padtype=None)
    return filtered


def _bandpass_by_fft(batch: Gather) -> np.ndarray:
    frequency = fft.rfftfreq(PADDED, INTERVAL_S)
    response = signal.freqz_sos(_sections(), frequency, fs=1 / INTERVAL_S)[1]
    gain = (np.abs(response) ** 2).astype(np.float32)
    spectrum = fft.rfft(batch.traces, PADDED, axis=1, workers=1) * gain
    filtered: np.ndarray = fft.irfft(spectrum, PADDED, axis=1, workers=1)[:, :SAMPLES]
    return filtered


def _moveout_linear(batch: Gather) -> np.ndarray:
    times = np.arange(SAMPLES) * INTERVAL_S
    velocity = np.interp(1000 * times, VELOCITY["time_ms"], VELOCITY["rms_m_per_s"])
    taken = np.sqrt(times**2 + (batch.headers["offset"][:, None] / velocity) ** 2)
    return np.stack([np.interp(t, times, trace, right=0.0) for t, trace in zip(taken, batch.traces, strict=True)])


def _mean_by_library(batch: Gather) -> np.ndarray:
    mean: np.ndarray = batch.traces.reshape(-1, FOLD, SAMPLES).mean(axis=1)
    return mean


_BANDPASS = Step(use="bandpass", parameters={"low_hz": LOW_HZ, "high_hz": HIGH_HZ, "order": ORDER})
KERNELS = (
    Kernel(
        "AGC, 500 ms", Step(use="agc", parameters={"window_ms": 500.0}), at_least(150_000),
        {"SciPy uniform_filter1d": _agc_by_library},
    ),
    Kernel(
        "band-pass, zero phase", _BANDPASS, at_least(75_000),
        {"SciPy rfft, irfft": _bandpass_by_fft, "SciPy sosfiltfilt": _bandpass_recursive},
    ),
    Kernel(
        "NMO v(t), 8-point sinc", Step(use="nmo", parameters={"velocity": VELOCITY}), at_least(120_000),
        {"NumPy interp (linear)": _moveout_linear}, same=False,
    ),
    Kernel("stack, fold 50", Step(use="stack"), at_least(500_000), {"NumPy mean": _mean_by_library}),
)  # fmt: skip
