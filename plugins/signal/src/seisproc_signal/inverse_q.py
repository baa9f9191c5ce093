"""Inverse Q filtering: absorption and dispersion taken back, with limited gain."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import scipy

from seisproc_core.data.gather import Gather, Layout, mute_outside
from seisproc_core.data.sampling import Sampling
from seisproc_core.data.tables import Table
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_signal import claims
from seisproc_signal.banded import OUTPUTS, Banded, Block, dense_block
from seisproc_signal.windows import key_problem, source_times

TAIL = 1e-4  # part of an operator row's rms that may lie beyond the band kept
FADE = 0.8  # of Nyquist; from there on the correction fades to none
MAX_BYTES = 1 << 29


@processor("inverse_q", scope="trace", claims=claims.INVERSE_Q)
class InverseQ(Processor):
    """Inverse Q filter: compensate dispersion, absorption, or both along travel time.

    In a medium of quality Q velocity grows with frequency as (f / f_ref)^g, g = 1 / (pi Q), and amplitudes decay as
    exp(-pi f t (f / f_ref)^-g / Q). The filter evaluates y(t) = sum over f of X(f) A(f, t) exp(2 pi i f T(f, t)) with
    T = int (f / f_ref)^-g dt: ``kind = "phase"`` has A = 1 and is stable; ``"amplitude"`` has T = t and
    A = (b + s) / (b^2 + s), b the decay; ``"both"`` has both. s is chosen so that A never exceeds `max_gain_db`.
    Events stay where `reference_hz` has them. Q is constant, or a table of interval Q over two-way time that holds up
    to each time_ms, the last one beyond. Above 0.8 of Nyquist the correction fades out. Samples before
    time 0 stay.

    Not with a gain beyond the signal's band: noise grows with signal (watch spectra; 20-40 dB). Not with Q that varies
    laterally. Not together with whitening or short-window AGC before it. The operator is dense in time: cost grows
    with the square of the trace length.

    Source: Hargreaves and Calvert, Inverse Q filtering by Fourier transform, Geophysics 56 (1991), 519-527 (phase);
    Wang, A stable and efficient approach of inverse Q filtering, Geophysics 67 (2002), 657-663, and Inverse
    Q-filter for seismic resolution enhancement, Geophysics 71 (2006), V51-V60 (stabilised amplitude).
    """

    q: float | None = param(None, help="Constant quality factor.", above=0)
    table: Table | None = param(None, help="Interval Q up to each two-way time.", columns=("time_ms", "q"))
    kind: Literal["phase", "amplitude", "both"] = param("phase", help="What is compensated.")
    reference_hz: float | None = param(
        None, help="Frequency whose travel times stay; a quarter of Nyquist when left out.", unit="Hz", above=0
    )
    max_gain_db: float = param(30.0, help="Limit of the amplitude gain.", unit="dB", above=0, maximum=120)

    def check(self, layout: Layout) -> None:
        if (self.q is None) == (self.table is None):
            raise self.bad("q", "or 'table' must be given, and only one of them")
        if self.table is not None:
            problem = key_problem(self.table, (), "time_ms")
            if problem is None and np.any(self.table["q"] <= 0):
                problem = "needs Q above 0"
            if problem:
                raise self.bad("table", problem)
        if self.reference_hz is not None and self.reference_hz >= layout.sampling.nyquist_hz:
            raise self.bad("reference_hz", f"must be below the Nyquist frequency of {layout.sampling.nyquist_hz:g} Hz")
        if 4 * layout.n_samples**2 > MAX_BYTES:
            most = int((MAX_BYTES / 4) ** 0.5)
            raise self.bad("q", f"can be undone on traces of at most {most} samples, not {layout.n_samples}")

    def apply(self, batch: Gather, context: Context) -> Gather:
        out = context.empty(batch.traces.shape)
        operator(self, batch.sampling).apply(batch.traces, batch.live_window, out, context)
        mute_outside(out, *batch.live_window)
        return batch.with_traces(out)

    def response(self, times_s: np.ndarray, frequency_hz: np.ndarray, nyquist_hz: float) -> np.ndarray:
        """Gain and phase for an event at each time, complex ``(times, frequencies)``; phase relative to that time."""
        reference = self.reference_hz or nyquist_hz / 4
        ratio = np.log(np.maximum(frequency_hz, 1e-3 * reference) / reference)
        delay, decay = np.zeros((len(times_s), len(ratio))), np.zeros((len(times_s), len(ratio)))
        for q, spent in self._layers(times_s):
            slow = np.exp(-ratio / (np.pi * q))
            delay += spent[:, None] * (slow - 1)
            decay += spent[:, None] * slow * np.pi * frequency_hz / q
        response = np.ones(delay.shape, np.complex128)
        if self.kind != "amplitude":
            response *= np.exp(2j * np.pi * frequency_hz * delay)
        if self.kind != "phase":
            response *= stabilised_gain(np.exp(-decay), self.max_gain_db)
        return response

    def _layers(self, times_s: np.ndarray) -> list[tuple[float, np.ndarray]]:
        """Q of each layer and the time spent in it on the way to each time."""
        at = np.maximum(times_s, 0.0)
        if self.table is None:
            assert self.q is not None
            return [(self.q, at)]
        ends = np.append(self.table["time_ms"][:-1] / 1000, np.inf)
        begins = np.append(0.0, ends[:-1])
        spent = [np.clip(at, low, high) - low for low, high in zip(begins, ends, strict=True)]
        return list(zip(map(float, self.table["q"]), spent, strict=True))


def stabilised_gain(decay: np.ndarray, max_gain_db: float) -> np.ndarray:
    """Inverse of a decay between 0 and 1 that never exceeds a limit: (b + s) / (b^2 + s).

    Its largest value, 1 / 2 / (sqrt(s^2 + s) - s), equals the limit G for s = 1 / (4 G (G - 1)).
    """
    limit = 10 ** (max_gain_db / 20)
    s = 1 / (4 * limit * (limit - 1))
    gain: np.ndarray = (decay + s) / (decay**2 + s)
    return gain


@lru_cache(maxsize=4)
def operator(design: InverseQ, sampling: Sampling) -> Banded:
    """The filter as an operator on the sample axis."""
    n = sampling.count
    length = 2 * int(scipy.fft.next_fast_len(n, real=True))
    frequency = scipy.fft.rfftfreq(length, sampling.interval_s)
    fade = np.clip((1 - frequency / sampling.nyquist_hz) / (1 - FADE), 0, 1)
    fade = np.sin(np.pi / 2 * fade) ** 2
    times = source_times(sampling)
    lag = (np.arange(length) + length // 2) % length - length // 2
    backwards = np.argsort(-lag)  # row i reads sample i - lag: the largest lag is the first sample
    blocks: list[Block] = []
    for start in range(0, n, OUTPUTS):
        response = design.response(times[start : start + OUTPUTS], frequency, sampling.nyquist_hz)
        kernel = scipy.fft.irfft(1 + fade * (response - 1), length, axis=1)
        reach = _reach(kernel, lag)
        kept = backwards[np.abs(lag[backwards]) <= reach]
        row = start + np.arange(len(kernel))
        blocks.append(dense_block(start, row - reach, kernel[:, kept], n))
    return Banded(n, n, tuple(block for block in blocks if block.weights.size))


def _reach(kernel: np.ndarray, lag: np.ndarray) -> int:
    """Largest lag that counts in any row: beyond it lies less than `TAIL` of the row's rms."""
    order = np.argsort(np.abs(lag), kind="stable")
    power = np.square(kernel[:, order])
    beyond = np.cumsum(power[:, ::-1], axis=1)[:, ::-1]
    counts = np.count_nonzero(beyond > TAIL**2 * beyond[:, :1], axis=1).max()
    return min(int(np.abs(lag[order[counts - 1]])), len(lag) // 2 - 1)
