"""The `partial_stack` processor: one trace per class of offsets (or of another header word)."""

from __future__ import annotations

from typing import Literal

import attrs
import numpy as np

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_velocity import claims
from seisproc_velocity.stack import Stack

CLASS = "partial_class"  # header word: number of the class, from 1


@processor("partial_stack", scope="gather", kernels=("stack",), claims=claims.PARTIAL_STACK)
class PartialStack(Processor):
    """Stack the traces of each gather class by class: near, mid and far offsets, or classes of any header word.

    Class k (from 1, in the header word ``partial_class``) holds the traces with
    ``edges[k-1] <= abs(word) < edges[k]``, the last class its upper edge too; traces outside all classes are left out.
    Each class is stacked as `stack` does it, so that fold, live windows and header words follow the same rules, but
    ``offset`` becomes the mean of the class. A class without traces in a gather gives no trace.

    ``edges = [0, 500, 1000, 1500]`` makes three sections by offset in metres. For angle stacks write angles into a
    header word first.

    Not with classes that are filled very differently: a class of few traces is mostly noise. Not before moveout
    correction and stretch mute, nor for amplitudes over offset before spreading was corrected.

    Source: Mayne, Geophysics 27 (1962), 927-938, on stacking; classes of angle: Connolly, Elastic impedance, The
    Leading Edge 18 (1999), 438-452.
    """

    edges: tuple[float, ...] = param(help="limits of the classes, ascending, in the word's SI unit (m for offset)")
    word: str = param("offset", help="header word that decides")
    signed: bool = param(False, help="take the word as it is instead of its magnitude")
    method: Literal["mean", "median"] = param("mean", help="as in stack")
    normalise_power: float = param(1.0, help="as in stack", minimum=0, maximum=1)
    weight: str | None = param(None, help="header word that holds the weight of each trace (mean only)")

    def check(self, layout: Layout) -> None:
        if len(self.edges) < 2 or (np.diff(self.edges) <= 0).any():
            raise self.bad("edges", f"must be two or more ascending numbers, not {list(self.edges)}")
        if not self.signed and self.edges[0] < 0:
            raise self.bad("edges", "are magnitudes and not negative; for signed values set signed = true")
        order, _ = self._classed(layout)
        if not order.size:
            raise self.bad("edges", f"hold no trace: '{self.word}' is nowhere within {list(self.edges)}")
        self._stack.check(layout)

    @property
    def _stack(self) -> Stack:
        return Stack(method=self.method, normalise_power=self.normalise_power, weight=self.weight)

    def plan(self, layout: Layout) -> Layout:
        order, classes = self._classed(layout)
        return self._labelled(layout, order, classes, self._stack.plan(self._taken(layout, order, classes)))

    def apply(self, batch: Gather, context: Context) -> Gather:
        order, classes = self._classed(batch)
        taken = self._taken(batch.layout, order, classes)
        traces = batch.traces
        if not np.array_equal(order, np.arange(batch.n_traces)):
            traces = context.empty((len(order), batch.n_samples))
            np.take(batch.traces, order, axis=0, out=traces, mode="clip")  # other modes go through a copy
        by_class = Gather(
            headers=taken.headers, sampling=batch.sampling, gather_starts=taken.gather_starts, traces=traces
        )
        stacked = self._stack.apply(by_class, context)
        labelled = self._labelled(batch.layout, order, classes, stacked)
        return attrs.evolve(stacked, headers=labelled.headers, gather_starts=labelled.gather_starts)

    def _classed(self, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
        """Rows that lie in a class, by gather and class, and ``(gather, class)`` of each, shape ``(2, n)``."""
        values = layout.headers[self.word].astype(np.float64)
        values = values if self.signed else np.abs(values)
        number = np.searchsorted(self.edges, values, side="right")
        number[values == self.edges[-1]] = len(self.edges) - 1
        inside = np.flatnonzero((number > 0) & (number < len(self.edges)))
        both = np.stack([layout.gather_of[inside], number[inside]])
        order = np.lexsort(both[::-1])
        return inside[order], both[:, order]

    def _taken(self, layout: Layout, order: np.ndarray, classes: np.ndarray) -> Layout:
        """Each class of each gather as a gather of its own."""
        starts = np.append(_firsts(classes), len(order))
        return Layout(headers=layout.headers.take(order), sampling=layout.sampling, gather_starts=starts)

    def _labelled(self, layout: Layout, order: np.ndarray, classes: np.ndarray, stacked: Layout) -> Layout:
        """The stacks back in the gathers they came from, with number and mean offset of their class."""
        made = classes[:, _firsts(classes)]
        headers = stacked.headers.with_columns(**{CLASS: made[1].astype(np.int32)})
        if "offset" in layout.headers:
            starts = self._taken(layout, order, classes).gather_starts
            headers = headers.with_columns(offset=layout.headers.take(order).combine(starts).column("offset"))
        counts = np.bincount(made[0], minlength=layout.n_gathers)
        return Layout(headers=headers, sampling=layout.sampling, gather_starts=np.append(0, np.cumsum(counts)))


def _firsts(classes: np.ndarray) -> np.ndarray:
    """Where a new gather or class begins among the rows of `_classed`."""
    new = np.append(True, (np.diff(classes, axis=1) != 0).any(axis=0))[: classes.shape[1]]
    return np.flatnonzero(new)
