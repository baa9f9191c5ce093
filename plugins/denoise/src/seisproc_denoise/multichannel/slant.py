"""Coherent events, or noise, by local slant stacks: median or mean along the best local slope."""

from __future__ import annotations

from typing import Literal

import numpy as np

from seisproc_core.data.gather import Gather, Layout, mute_outside
from seisproc_core.errors import Cancelled
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_denoise.multichannel import claims
from seisproc_denoise.multichannel.windows import line_of, line_problem

TIE = 1e-9  # semblances nearer than this are equal: rounding must not choose the slope


@processor("slant_median", scope="gather", version=2, kernels=("slant_stack",), claims=claims.SLANT_MEDIAN)
class SlantMedian(Processor):
    """Median (or mean) along the best local slope, kept or removed.

    For every sample, the samples of the traces up to `half_traces` positions away are read along straight lines of
    trial slopes (linear interpolation). The slope of the highest semblance over `window_ms` (within the live window)
    wins, and the median along it estimates the coherent event. ``keep`` gives the estimate: random noise and spikes are
    gone. ``remove`` gives the input without it: coherent noise of those slopes is gone. One slope only (`min_ms_per_m`
    = `max_ms_per_m`) is the plain median filter along a dip, slope 0 that of flattened events. Where the semblance is
    below `least_semblance` nothing coherent counts: ``keep`` gives 0, ``remove`` the input. Only live samples count;
    dead traces and gaps in `position` are left out.

    Not with curved events over the width of the stack, nor where amplitudes change from trace to trace: the median
    flattens both. Linear interpolation dampens the estimate near Nyquist.

    Source: Bednar, Geophysics 48(12), 1983, on median filters; semblance: Neidell and Taner, Geophysics 36(3), 1971.
    """

    kind: Literal["keep", "remove"] = param("keep", help="What becomes of coherent events.")
    min_ms_per_m: float = param(0.0, help="Least trial slope.", unit="ms/m")
    max_ms_per_m: float = param(0.0, help="Largest trial slope.", unit="ms/m")
    slopes: int = param(21, help="Number of trial slopes.", minimum=1, maximum=501)
    half_traces: int = param(4, help="Positions to either side of a trace.", minimum=1, maximum=100)
    window_ms: float = param(40.0, help="Length of the semblance window.", unit="ms", minimum=0)
    least_semblance: float = param(0.0, help="Semblance below which nothing counts as coherent.", minimum=0, maximum=1)
    statistic: Literal["median", "mean"] = param("median", help="What is taken along the slope.")
    position: str = param("offset", help="Header word with the position along the line, m.")
    spacing_m: float | None = param(
        None, help="Distance of neighbouring traces, if not from headers.", unit="m", above=0
    )

    def check(self, layout: Layout) -> None:
        if self.max_ms_per_m < self.min_ms_per_m:
            raise self.bad("max_ms_per_m", f"must not be below min_ms_per_m ({self.min_ms_per_m:g} ms/m)")
        if (problem := line_problem(layout, self.position, self.spacing_m)) is not None:
            raise self.bad("position", problem)

    def apply(self, batch: Gather, context: Context) -> Gather:
        out = context.empty(batch.traces.shape)
        first, end = batch.live_window
        interval_s = batch.sampling.interval_s
        half_window = int(self.window_ms / 1000 / interval_s / 2 + 1e-6)
        count = 1 if self.min_ms_per_m == self.max_ms_per_m else self.slopes
        trial = np.linspace(self.min_ms_per_m, self.max_ms_per_m, count) / 1000 / interval_s
        for gather, start in zip(batch.split(), batch.gather_starts, strict=False):
            rows = slice(int(start), int(start) + gather.n_traces)
            line = line_of(gather, self.position, self.spacing_m)
            context.kernel("slant_stack")(
                gather.traces, first[rows], end[rows], line.index, trial * line.spacing_m,
                self.half_traces, half_window, self.least_semblance, self.statistic == "median",
                out[rows], context.flag,
            )  # fmt: skip
        if self.kind == "remove":
            np.subtract(batch.traces, out, out=out)
        mute_outside(out, first, end)
        return batch.with_traces(out)


def slant_stack(
    traces: np.ndarray,
    first: np.ndarray,
    end: np.ndarray,
    index: np.ndarray,
    slopes: np.ndarray,
    half_traces: int,
    half_window: int,
    least_semblance: float,
    median: bool,
    out: np.ndarray,
    flag: np.ndarray,
) -> None:
    """Median or mean along the slope of highest semblance: reference form.

    Parameters
    ----------
    traces, out
        Float32 ``(n_traces, n_samples)`` of one gather; `out` is 0 where nothing is coherent.
    first, end
        Live windows, int64 ``(n_traces,)``.
    index
        Position of each trace, increasing, int64.
    slopes
        Trial slopes in samples per position, float64; the first of equal semblance wins.
    half_traces, half_window
        Positions to either side, and samples to either side in the semblance.
    least_semblance
        What a slope must exceed, or reach if that is 0.
    median
        Median, or mean.
    flag
        uint8 ``(1,)``, raised to cancel.

    Raises
    ------
    Cancelled
        When the flag was raised.
    """
    n_samples = traces.shape[1]
    out[...] = 0
    for row in np.flatnonzero(end > first):
        if flag[0]:
            raise Cancelled
        near = np.flatnonzero((np.abs(index - index[row]) <= half_traces) & (end > first))
        best, choice = np.full(n_samples, -1.0), np.full(n_samples, -1)
        for k, slope in enumerate(slopes):
            values, live = _along(traces, first, end, near, slope * (index[near] - index[row]))
            semblance = _semblance(values, live, half_window, first[row], end[row])
            better = (semblance > best + TIE) & (semblance >= least_semblance)
            best[better], choice[better] = semblance[better], k
        for k in np.unique(choice[choice >= 0]):
            at = choice == k
            values, live = _along(traces, first, end, near, slopes[k] * (index[near] - index[row]))
            out[row, at] = _middle(values[:, at], live[:, at]) if median else _mean(values[:, at], live[:, at])


def _along(
    traces: np.ndarray, first: np.ndarray, end: np.ndarray, near: np.ndarray, shift: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Traces read at ``i + shift`` and where that lies between live samples: ``(len(near), n_samples)`` each."""
    sample = np.arange(traces.shape[1])
    whole = np.floor(shift).astype(np.int64)[:, None]
    part = shift[:, None] - whole
    low = sample + whole
    high = low + (part > 0)
    live = (low >= first[near, None]) & (high < end[near, None])
    last = traces.shape[1] - 1
    a, b = traces[near[:, None], np.clip(low, 0, last)], traces[near[:, None], np.clip(high, 0, last)]
    return np.where(live, a * (1 - part) + b * part, 0.0), live


def _semblance(values: np.ndarray, live: np.ndarray, half: int, first: int, end: int) -> np.ndarray:
    """Semblance of traces ``(n_traces, n_samples)`` over windows of ``2 half + 1`` samples, within ``[first, end)``."""
    coherent = np.square(values.sum(axis=0))
    power = live.sum(axis=0) * np.square(values).sum(axis=0)
    sample = np.arange(values.shape[1])
    low, high = (np.clip(edge, first, end) for edge in (sample - half, sample + half + 1))
    sums = [np.concatenate(([0.0], np.cumsum(terms))) for terms in (coherent, power)]
    above, below = (total[high] - total[low] for total in sums)
    ratio = np.zeros(len(sample))
    np.divide(above, below, out=ratio, where=below > 0)
    return ratio


def _mean(values: np.ndarray, live: np.ndarray) -> np.ndarray:
    mean: np.ndarray = values.sum(axis=0) / np.maximum(live.sum(axis=0), 1)
    return mean


def _middle(values: np.ndarray, live: np.ndarray) -> np.ndarray:
    """Median of the live values of each column, 0 where there is none."""
    ordered = np.sort(np.where(live, values, np.inf), axis=0)
    count, column = live.sum(axis=0), np.arange(values.shape[1])
    low, high = ordered[np.maximum(count - 1, 0) // 2, column], ordered[np.minimum(count // 2, len(values) - 1), column]
    return np.where(count > 0, 0.5 * (np.where(count > 0, low, 0.0) + np.where(count > 0, high, 0.0)), 0.0)
