"""Combine the traces of each gather into one."""

from __future__ import annotations

from typing import Literal

import numpy as np

from seisproc_core.data.gather import Gather, Layout, mute_outside
from seisproc_core.data.headers import Headers
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_signal import claims
from seisproc_signal.windows import with_live_words


@processor("combine", scope="gather", claims=claims.COMBINE)
class Combine(Processor):
    """Make one trace of each gather: vertical stack of repeated shots, opposite-polarity pairs, sub-arrays.

    ``mean``: y(t) = sum_j w_j x_j(t) / sum_j |w_j|; ``sum``: y(t) = sum_j w_j x_j(t); over the traces j live at
    time t. w is the header word `weight`, 1 when left out: a polarity word of +1 and -1 subtracts one blow of an SH
    pair from the other. The result is live where any of its traces was; its header words follow their combine
    rules, and `vertical_fold` tells how many live traces it was made of.

    Gathers with another number of traces than `expect` are combined all the same, not scaled up, and reported
    before the job runs.

    Not a CMP stack: moveout must be the same in all traces of a gather. Not across changes of the source, of triggering
    or of statics from blow to blow: look at single records first.

    Source: pairs of opposite polarity in shear-wave work: Helbig and Mesdag, The potential of shear-wave observations,
    Geophysical Prospecting 30 (1982), 413-431; n equal records improve signal to random noise by sqrt(n).
    """

    method: Literal["mean", "sum"] = param("mean", help="Weighted mean or weighted sum.")
    weight: str | None = param(None, help="Header word whose value multiplies each trace, as 'polarity'.")
    expect: int | None = param(None, help="Number of traces of a complete gather.", minimum=1)

    def check(self, layout: Layout) -> None:
        if self.weight is not None:
            layout.headers[self.weight]

    def notes(self, layout: Layout) -> list[str]:
        counts = np.diff(layout.gather_starts)
        wrong = np.flatnonzero((counts > 0) & (counts != (self.expect or counts)))
        if not wrong.size:
            return []
        return [
            f"{wrong.size} of {np.count_nonzero(counts)} gathers do not have the {self.expect} traces expected; "
            f"the first is gather {wrong[0]} with {counts[wrong[0]]}"
        ]

    def plan(self, layout: Layout) -> Layout:
        return layout.one_trace_per_gather(_combined(with_live_words(layout)))

    def apply(self, batch: Gather, context: Context) -> Gather:
        headers = _combined(with_live_words(batch))
        layout = batch.layout.one_trace_per_gather(headers)
        weight = np.ones(batch.n_traces) if self.weight is None else batch.headers[self.weight].astype(np.float64)
        first, end = batch.live_window
        weighted = batch.traces
        if self.weight is not None or np.any(first > 0) or np.any(end < batch.n_samples):
            weighted = context.empty(batch.traces.shape)
            np.multiply(batch.traces, weight.astype(np.float32)[:, None], out=weighted)
            mute_outside(weighted, first, end)
        context.check()
        out = context.empty((layout.n_traces, layout.n_samples))
        if layout.n_traces:
            starts = _starts(batch)
            ends = np.append(starts[1:], batch.n_traces)
            for row, (start, stop) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
                np.add.reduce(weighted[start:stop], axis=0, out=out[row])
            if self.method == "mean":
                _divide_by_weights(out, starts, np.abs(weight), first, end)
        return Gather(headers=headers, sampling=layout.sampling, gather_starts=layout.gather_starts, traces=out)


def _starts(layout: Layout) -> np.ndarray:
    """First row of each gather that has any."""
    starts: np.ndarray = layout.gather_starts[:-1][np.diff(layout.gather_starts) > 0]
    return starts


def _combined(layout: Layout) -> Headers:
    """One row per gather; the live window is the union of those of live traces, which alone make the fold."""
    combined = layout.headers.combine(layout.gather_starts)
    starts = _starts(layout)
    if not len(starts):
        return combined
    first, end = layout.live_window
    live = end > first
    low = np.minimum.reduceat(np.where(live, first, layout.n_samples), starts)
    high = np.maximum.reduceat(np.where(live, end, 0), starts)
    fold = np.add.reduceat(live.astype(np.int64), starts)
    low[fold == 0] = 0
    return combined.with_live_window(low, high).with_values("vertical_fold", fold)


def _divide_by_weights(
    out: np.ndarray, starts: np.ndarray, weight: np.ndarray, first: np.ndarray, end: np.ndarray
) -> None:
    """Divide each gather's sum by the weights of the traces that are live at each time, in place."""
    total = np.add.reduceat(weight, starts)
    if (first == 0).all() and (end == out.shape[1]).all() and (total > 0).all():
        np.divide(out, total[:, None], out=out, casting="same_kind")
        return
    # A weight enters at a trace's first live sample and leaves at its last.
    gather = np.searchsorted(starts, np.arange(len(weight)), side="right") - 1
    steps = np.zeros((len(out), out.shape[1] + 1))
    np.add.at(steps, (gather, first), weight)
    np.add.at(steps, (gather, end), -weight)
    divisor = np.cumsum(steps, axis=1)[:, :-1]
    rounding = 1e-9 * total[:, None]
    np.divide(out, divisor, out=out, where=divisor > rounding, casting="same_kind")
