"""Resampling: another sample interval, start or length, at the same absolute times."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import attrs
import numpy as np

from seisproc_core.data.gather import Gather, Layout, mute_outside
from seisproc_core.data.sampling import Sampling
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_signal import claims
from seisproc_signal.banded import Banded

LOBES = 32  # zero crossings of the sinc on each side
STOP_DB = 80.0  # rejection of what would alias
SU_TAPS, SU_PHASES, SU_BAND = 8, 512, 0.617
MAX_SAMPLES = 1 << 20


@processor("resample", scope="trace", claims=claims.RESAMPLE)
class Resample(Processor):
    """Resample traces to another interval, start time or number of samples; events keep their absolute times.

    y(t) = sum_n x[n] h(t / dt - n), h(u) = c sinc(c u) times a Kaiser window over 32 zero crossings on each side,
    evaluated in double precision at every output time (no rounding to phases). Where the interval grows,
    c < 1 puts the stop band (-80 dB) at the new Nyquist frequency; up to 0.85 of it amplitudes are kept. Where
    it shrinks or stays, c = 1 keeps all up to 0.92 of Nyquist. Samples outside the input are 0, and outside the
    output's live window too.

    `start_ms` and `count` cut or extend traces; by default they start where they did and end at or before the last
    input sample. ``mode = "su"`` is the 8-point sinc of Seismic Unix `suresamp`, good to 1 % below 0.6 of the input's
    Nyquist frequency, without any anti-alias filter.

    Not to undo a coarser sampling: what was filtered out is gone.

    Source: Crochiere and Rabiner, Multirate Digital Signal Processing (Prentice-Hall, 1983), chapter 2; Kaiser's
    window design as in Oppenheim and Schafer, Discrete-Time Signal Processing (1989), section 7.4.
    """

    interval_ms: float | None = param(None, help="New sample interval; the old when left out.", unit="ms", above=0)
    start_ms: float | None = param(None, help="Time of the first sample; the old when left out.", unit="ms")
    count: int | None = param(
        None, help="Number of samples; those up to the old end when left out.", minimum=1, maximum=MAX_SAMPLES
    )
    mode: Literal["anti_alias", "su"] = param("anti_alias", help="Long filtered operator, or that of Seismic Unix.")

    def check(self, layout: Layout) -> None:
        if layout.sampling.domain != "time":
            raise self.bad("interval_ms", f"is for time traces; the samples of these count {layout.sampling.domain}")
        interval, start = self._axis(layout.sampling)
        if self.count is None and (layout.sampling.end_s - start) / interval >= MAX_SAMPLES:
            raise self.bad("interval_ms", f"would make traces longer than {MAX_SAMPLES} samples")
        if start > layout.sampling.end_s or self._output(layout.sampling).end_s < layout.sampling.start_s:
            span = f"{1000 * layout.sampling.start_s:g} to {1000 * layout.sampling.end_s:g} ms"
            raise self.bad("start_ms", f"leaves nothing of the traces, which run from {span}")

    def plan(self, layout: Layout) -> Layout:
        first, end = moved_window(layout.live_window, layout.sampling, self._output(layout.sampling))
        headers = layout.headers.with_live_window(first, end)
        return attrs.evolve(layout, headers=headers, sampling=self._output(layout.sampling))

    def apply(self, batch: Gather, context: Context) -> Gather:
        sampling = self._output(batch.sampling)
        first, end = moved_window(batch.live_window, batch.sampling, sampling)
        out = context.empty((batch.n_traces, sampling.count))
        resampling(batch.sampling, sampling, self.mode).apply(batch.traces, batch.live_window, out, context)
        mute_outside(out, first, end)
        headers = batch.headers.with_live_window(first, end)
        return Gather(headers=headers, sampling=sampling, gather_starts=batch.gather_starts, traces=out)

    def _axis(self, sampling: Sampling) -> tuple[float, float]:
        interval = sampling.interval_s if self.interval_ms is None else self.interval_ms / 1000
        return interval, sampling.start_s if self.start_ms is None else self.start_ms / 1000

    def _output(self, sampling: Sampling) -> Sampling:
        interval, start = self._axis(sampling)
        count = self.count or max(int((sampling.end_s - start) / interval + 1e-6) + 1, 1)
        return Sampling(start, interval, count)


def moved_window(live: tuple[np.ndarray, np.ndarray], old: Sampling, new: Sampling) -> tuple[np.ndarray, np.ndarray]:
    """Live windows on another sample axis: the new samples between the first and last live old ones."""
    ratio, shift = old.interval_s / new.interval_s, (old.start_s - new.start_s) / new.interval_s
    first = np.ceil(live[0] * ratio + shift - 1e-6).astype(np.int64)
    end = np.floor((live[1] - 1) * ratio + shift + 1e-6).astype(np.int64) + 1
    first = np.clip(first, 0, new.count)
    return first, np.where(live[1] > live[0], np.clip(end, first, new.count), first)


@lru_cache(maxsize=16)
def resampling(old: Sampling, new: Sampling, mode: Literal["anti_alias", "su"] = "anti_alias") -> Banded:
    """The operator from one sample axis to another."""
    position = (new.start_s - old.start_s) / old.interval_s + np.arange(new.count) * (new.interval_s / old.interval_s)
    whole = np.rint(position)
    position = np.where(np.abs(position - whole) < 1e-6, whole, position)
    if mode == "su":
        sample = np.floor(position).astype(np.int64)
        phase = np.floor((position - sample) * SU_PHASES + 0.5) / SU_PHASES
        return Banded.of_rows(sample - (SU_TAPS // 2 - 1), least_squares_sinc(phase), old.count)
    first, weights = windowed_sinc(position, max(new.interval_s / old.interval_s, 1.0))
    return Banded.of_rows(first, weights, old.count)


def windowed_sinc(position: np.ndarray, decimation: float) -> tuple[np.ndarray, np.ndarray]:
    """Interpolation weights at positions in samples, low-passed for a decimation of 1 or more.

    Returns
    -------
    first, weights
        First sample of each row, int64 ``(n,)``; float64 ``(n, taps)``, each row with a sum of 1.
    """
    # Kaiser's (A - 8) / (2.285 M) is the transition's width in radians; here half of it as a part of the cutoff.
    half_width = (STOP_DB - 8) / (2.285 * 4 * LOBES * np.pi)
    cutoff = 1.0 if decimation == 1 else 1 / (decimation * (1 + half_width))
    reach = int(np.ceil(LOBES / cutoff))
    first = np.floor(position).astype(np.int64) - reach + 1
    distance = position[:, None] - (first[:, None] + np.arange(2 * reach))
    inside = np.clip(1 - (distance * cutoff / LOBES) ** 2, 0, None)
    weights = np.sinc(cutoff * distance) * np.i0(0.1102 * (STOP_DB - 8.7) * np.sqrt(inside)) * (inside > 0)
    weights /= weights.sum(axis=1, keepdims=True)
    return first, weights


def least_squares_sinc(delay: np.ndarray) -> np.ndarray:
    """Weights of samples j - 3 .. j + 4 for the value at j + delay: float64 ``(n, 8)``.

    They minimise the error of a flat spectrum up to 0.617 of Nyquist, whose normal equations are
    sum_k sinc(0.617 (j - k)) h_k = sinc(0.617 (j - delay)); it stays below 1 % up to 0.6 of Nyquist.
    """
    tap = np.arange(SU_TAPS) - (SU_TAPS // 2 - 1)
    normal = np.sinc(SU_BAND * (tap[:, None] - tap))
    weights: np.ndarray = np.linalg.solve(normal, np.sinc(SU_BAND * (tap[:, None] - delay))).T
    return weights
