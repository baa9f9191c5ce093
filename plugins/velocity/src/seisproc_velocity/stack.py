"""The `stack` processor: one trace from the live samples of every gather."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.data.headers import Headers
from seisproc_core.data.words import DEAD, word
from seisproc_core.errors import Cancelled
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_velocity import claims
from seisproc_velocity.windows import live_samples

BLOCK = 256  # traces summed at once
MEDIAN_BLOCK = 1 << 19  # samples ranked at once: tens of milliseconds between looks at the flag


@processor("stack", scope="gather", kernels=("stack",), claims=claims.STACK)
class Stack(Processor):
    """Stack every gather into one trace.

    At each time only live samples count, a live zero included. With weights w (1 without ``weight``) and
    p = ``normalise_power``, ``mean`` gives ``sum(w a) / sum(abs(w))^p``: p = 1 is the
    weighted mean, which keeps amplitudes where fold changes; p = 0.5 keeps the level of random noise; p = 0 is the
    plain sum. ``median`` (mean of the two middle values for even fold) withstands single noisy traces.

    Header words combine by their rules; ``offset`` becomes 0, ``fold`` the largest number of live traces over time, and
    the live window reaches from the first to the last sample with fold. Dead traces and traces of weight 0 are left
    out; a gather without a live sample gives a dead trace of zeros, an empty gather gives none.

    Not before reflections were flattened (`nmo`) and stretch muted. Not the median on few traces or where amplitudes
    matter.

    Sources: Mayne, Common reflection point horizontal data stacking techniques, Geophysics 27 (1962), 927-938;
    Claerbout and Muir, Robust modeling with erratic data, Geophysics 38 (1973), 826-844.
    """

    method: Literal["mean", "median"] = param(
        "mean", help="mean (weighted, if weight is given) or median of live samples"
    )
    normalise_power: float = param(1.0, help="divide the sum by (sum of abs(weights))^power", minimum=0, maximum=1)
    weight: str | None = param(None, help="header word that holds the weight of each trace (mean only)")

    def check(self, layout: Layout) -> None:
        if self.weight is not None:
            layout.headers.column(self.weight)
        if self.method == "median" and self.weight is not None:
            raise self.bad("weight", "has no meaning with method = 'median': leave it out")
        if self.method == "median" and self.normalise_power != 1:
            raise self.bad("normalise_power", "has no meaning with method = 'median': leave it out")

    def plan(self, layout: Layout) -> Layout:
        count = int(np.count_nonzero(np.diff(layout.gather_starts)))
        none = np.zeros(count, np.int64)
        return layout.one_trace_per_gather(_combined(layout, none, none, none))

    def apply(self, batch: Gather, context: Context) -> Gather:
        out = context.empty((int(np.count_nonzero(np.diff(batch.gather_starts))), batch.n_samples))
        if self.method == "median":
            measured = _of_fold(_medians(batch, *batch.live_window, out, context))
        else:
            weight = np.ones(batch.n_traces) if self.weight is None else batch.headers[self.weight].astype(np.float64)
            measured = context.kernel("stack")(
                batch.traces, *batch.live_window, weight, batch.gather_starts, self.normalise_power, out, context.flag
            )
        planned = batch.layout.one_trace_per_gather(_combined(batch.layout, *measured))
        return Gather(headers=planned.headers, sampling=batch.sampling, gather_starts=planned.gather_starts, traces=out)


def _of_fold(fold: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Largest fold, first sample with fold and one past the last, of each row."""
    top = fold.max(axis=1, initial=0)
    first = np.where(top > 0, np.argmax(fold > 0, axis=1), 0)
    end = np.where(top > 0, fold.shape[1] - np.argmax(fold[:, ::-1] > 0, axis=1), 0)
    return top, first, end


def _combined(layout: Layout, fold: np.ndarray, live_first: np.ndarray, live_end: np.ndarray) -> Headers:
    """One row of headers per gather; fold is clipped to what its word holds."""
    headers = layout.headers.combine(layout.gather_starts)
    made = {"fold": np.minimum(fold, np.iinfo(word("fold").dtype).max).astype(word("fold").dtype)}
    if "offset" in headers:
        made["offset"] = np.zeros(headers.count, headers.dtype("offset"))
    if DEAD in headers:
        dead = headers.column(DEAD)
        made[DEAD] = np.where((fold == 0) & (dead == 0), 1, dead).astype(dead.dtype)
    return headers.with_columns(**made).with_live_window(live_first, live_end)


def stack(
    traces: np.ndarray,
    first: np.ndarray,
    end: np.ndarray,
    weight: np.ndarray,
    gather_starts: np.ndarray,
    normalise_power: float,
    out: np.ndarray,
    flag: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stack the live samples of every non-empty gather into a row of `out`.

    Parameters
    ----------
    traces
        float32 ``(n_traces, n_samples)``.
    first, end
        Live window of each trace, samples.
    weight
        float64 ``(n_traces,)``; traces of weight 0 are not live.
    gather_starts
        int64 ``(n_gathers + 1,)``.
    normalise_power
        Sums are divided by ``sum(abs(w))`` to this power.
    out
        float32 ``(n_non_empty_gathers, n_samples)``; 0 where nothing is live.
    flag
        Not 0 means stop.

    Returns
    -------
    fold, first, end
        Largest fold over time and live window of each row of `out`, int64.

    Raises
    ------
    Cancelled
        `flag` was raised.
    """
    pairs = [(a, b) for a, b in pairwise(gather_starts) if b > a]
    total, weights, fold = np.zeros(out.shape), np.zeros(out.shape), np.zeros(out.shape, np.int64)
    for row, (start, stop) in enumerate(pairs):
        for begin in range(start, stop, BLOCK):
            if flag[0]:
                raise Cancelled
            part = slice(begin, min(begin + BLOCK, stop))
            live = live_samples(first[part], end[part], traces.shape[1]) & (weight[part, None] != 0)
            w = np.where(live, weight[part, None], 0.0)
            total[row] += np.sum(np.where(live, traces[part], 0.0) * w, axis=0)
            weights[row] += np.abs(w).sum(axis=0)
            fold[row] += live.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        np.divide(total, weights**normalise_power, out=out, casting="same_kind")
    out[fold == 0] = 0
    return _of_fold(fold)


def _medians(batch: Gather, first: np.ndarray, end: np.ndarray, out: np.ndarray, context: Context) -> np.ndarray:
    """Median of the live samples of each non-empty gather, into `out`; returns the fold."""
    fold = np.zeros(out.shape, np.int64)
    pairs = [(a, b) for a, b in pairwise(batch.gather_starts) if b > a]
    for row, (start, stop) in enumerate(pairs):
        live = live_samples(first[start:stop], end[start:stop], batch.n_samples)
        fold[row] = live.sum(axis=0)
        columns = max(1, MEDIAN_BLOCK // (stop - start))
        for left in range(0, batch.n_samples, columns):
            context.check()
            part = slice(left, left + columns)
            ranked = np.where(live[:, part], batch.traces[start:stop, part], np.float32(np.inf)).T.copy()
            ranked.sort(axis=1)
            lower, upper = np.maximum(fold[row, part] - 1, 0) // 2, np.minimum(fold[row, part] // 2, stop - start - 1)
            middle = np.take_along_axis(ranked, np.stack([lower, upper], axis=1), axis=1)
            out[row, part] = middle.mean(axis=1, dtype=np.float64)
        out[row, fold[row] == 0] = 0
    return fold
