"""Transform denoising on one core, against the library calls that do the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import attrs
import numpy as np
import pywt
from scipy import fft, signal

from benchmarks.harness import Goal, Row, Work, against, at_least, interleave, rate_row
from benchmarks.plain import prepared
from benchmarks.workspace import Workspace
from seisproc_core.data.gather import Gather
from seisproc_core.processing.flow import Step
from seisproc_core.processing.plan import BATCH_BYTES
from seisproc_core.testing import make_gather

SAMPLES, FOLD = 1500, 50
INTERVAL_S = 0.004
WAVELET, LEVELS = "db4", 5
HOP, OVERLAP = 12, 4  # samples of an STFT
LOW_HZ, HIGH_HZ = 5.0, 100.0
LARGEST = BATCH_BYTES // (4 * SAMPLES)  # traces of a batch
NOISE = 0.6744897501960817  # median magnitude of white noise of variance 1


@attrs.frozen
class Case:
    """A processor, how many traces it gets, and the library calls beside it.

    Attributes
    ----------
    traces
        In a full run; a quick one takes a tenth. Peers get one batch.
    """

    name: str
    step: Step
    traces: int
    goal: Goal | None = None
    peers: Mapping[str, Callable[[Gather], object]] = attrs.field(factory=dict)


def transform_rows(space: Workspace) -> Iterator[Row]:
    """Wavelet, time-frequency, mode and pursuit denoising: traces per second and core, in memory, gathers of 50."""
    for case in CASES:
        batch = _batch(max(FOLD, min(space.size(case.traces), LARGEST) // FOLD * FOLD))
        passes = max(1, space.size(case.traces) // batch.n_traces)
        works = {"": Work(partial(_drive, prepared(case.step), batch, passes))}
        works |= {name: Work(partial(call, batch)) for name, call in case.peers.items()}
        seconds = interleave(works, space.rounds)
        yield rate_row(case.name, seconds[""], passes * batch.n_traces, "traces", goal=case.goal)
        for name in case.peers:
            yield against(case.name, seconds[""] / passes, name, seconds[name], amount=(batch.n_traces, "traces"))


def _batch(count: int) -> Gather:
    """Noise with an event on it, in gathers."""
    rng = np.random.default_rng(5)
    traces = rng.standard_normal((count, SAMPLES), np.float32)
    traces[:, 400:500] += 20 * np.hanning(100)
    return make_gather(traces, interval_ms=1000 * INTERVAL_S, gather_starts=list(range(0, count + 1, FOLD)))


def _drive(call: Callable[[Gather], Gather], batch: Gather, passes: int) -> None:
    for _ in range(passes):
        call(batch)


def _wavelets_by_library(batch: Gather) -> np.ndarray:
    """PyWavelets on all traces at once: transform, median, soft threshold, inverse."""
    approximation, *details = pywt.wavedec(batch.traces, WAVELET, level=LEVELS, axis=-1)
    for number, detail in enumerate(details):
        sigma = np.median(np.abs(detail), axis=1, keepdims=True) / NOISE
        limit = sigma * np.sqrt(2 * np.log(detail.shape[1]))
        details[number] = pywt.threshold(detail, limit.astype(np.float32), "soft")
    restored: np.ndarray = pywt.waverec([approximation, *details], WAVELET, axis=-1)[:, :SAMPLES]
    return restored


def _wavelets_there_and_back(batch: Gather) -> Any:
    return pywt.waverec(pywt.wavedec(batch.traces, WAVELET, level=LEVELS, axis=-1), WAVELET, axis=-1)


def _stationary_there_and_back(batch: Gather) -> Any:
    padded = np.pad(batch.traces, ((0, 0), (0, -SAMPLES % 2**LEVELS)))
    return pywt.iswt(pywt.swt(padded, WAVELET, LEVELS, trim_approx=True, norm=True), WAVELET, norm=True)


def _packets_there_and_back(batch: Gather) -> Any:
    tree = pywt.WaveletPacket(batch.traces, WAVELET, maxlevel=LEVELS, axis=-1)
    leaves = tree.get_level(LEVELS)
    rebuilt = pywt.WaveletPacket(None, WAVELET, maxlevel=LEVELS, axis=-1)
    for leaf in leaves:
        rebuilt[leaf.path] = leaf.data
    return rebuilt.reconstruct(update=False)


def _stft_there_and_back(batch: Gather) -> Any:
    window = np.sin(np.pi * (np.arange(HOP * OVERLAP) + 0.5) / (HOP * OVERLAP)) ** 2
    plan = signal.ShortTimeFFT(window.astype(np.float32), HOP, 1 / INTERVAL_S)
    return plan.istft(plan.stft(batch.traces, axis=-1), k1=SAMPLES)


def _voices(batch: Gather) -> Any:
    """The inverse FFTs alone of an S-transform as it is written down: one per frequency, whole traces."""
    spectrum = fft.fft(batch.traces, axis=1, workers=1)
    step = 1 / (SAMPLES * INTERVAL_S)
    for _ in range(int(LOW_HZ / step), int(HIGH_HZ / step) + 1):
        voice = fft.ifft(spectrum, axis=1, workers=1)
    return voice


def _shrink(use: str, **parameters: Any) -> Step:
    return Step(use=use, parameters=parameters)


CASES = (
    Case(
        "DWT denoise, 5 levels", _shrink("wavelet_denoise", wavelet=WAVELET, levels=LEVELS), 20_000, at_least(20_000),
        {"PyWavelets, there and back": _wavelets_there_and_back, "PyWavelets and NumPy median": _wavelets_by_library},
    ),
    Case(
        "SWT denoise, 5 levels", _shrink("wavelet_denoise", kind="swt", levels=LEVELS), 5_000,
        peers={"PyWavelets swt, iswt": _stationary_there_and_back},
    ),
    Case(
        "WPT denoise, 5 levels", _shrink("wavelet_denoise", kind="wpt", levels=LEVELS), 5_000,
        peers={"PyWavelets packets": _packets_there_and_back},
    ),
    Case("DWT denoise, noise from 11 traces", _shrink("wavelet_denoise_spatial", levels=LEVELS), 5_000),
    Case(
        "STFT denoise, 192 ms", _shrink("tf_denoise", window_ms=192.0, low_hz=5.0), 5_000,
        peers={"SciPy ShortTimeFFT, there and back": _stft_there_and_back},
    ),
    Case(
        "S-transform denoise, 5-100 Hz", _shrink("tf_denoise", kind="stockwell", low_hz=LOW_HZ, high_hz=HIGH_HZ),
        1_000, at_least(150), {"SciPy, its inverse FFTs alone": _voices},
    ),
    Case(
        "synchrosqueezing denoise, 5-100 Hz",
        _shrink("tf_denoise", kind="synchrosqueezing", low_hz=LOW_HZ, high_hz=HIGH_HZ), 500,
    ),
    Case("time-frequency rejection, 11 traces", _shrink("tf_reject"), 2_000),
    Case("EMD denoise, 6 modes", _shrink("emd_denoise"), 1_000),
    Case("CEEMDAN denoise, 10 pairs", _shrink("emd_denoise", method="ceemdan"), 500),
    Case("OMP denoise, up to 40 wavelets", _shrink("omp_denoise"), 500),
)  # fmt: skip
