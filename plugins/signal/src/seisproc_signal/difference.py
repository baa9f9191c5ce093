"""The difference of two surveys, trace by trace."""

from __future__ import annotations

import numpy as np

from seisproc_core.data.gather import Gather, Layout, mute_outside
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import SurveyRef, param
from seisproc_core.processing.processor import Processor, processor
from seisproc_signal import claims
from seisproc_signal.windows import with_live_words


@processor("difference", scope="trace", claims=claims.DIFFERENCE)
class Difference(Processor):
    """Subtract a second survey, sample by sample: what one kind of processing did and another did not.

    y(t) = x(t) - scale z(t), z the trace of the other survey that has the same trace_id, or the same values of the
    words of `match`. Both need the same sampling. Only samples count that are live in both; the others become 0, and
    the live window of the result is what the two have in common.

    What a step of a flow takes away needs no second run: ``save.removed`` keeps it. To subtract a model of multiples or
    noise that does not fit exactly, `adaptive_subtract`.

    Not between surveys whose amplitudes were balanced differently: then all of it is the balance.

    Source: the definition; Yilmaz, Seismic Data Analysis (SEG, 2001), chapter 6, on difference sections as a test of
    what a filter takes.
    """

    other: SurveyRef = param(help="Survey that is subtracted.")
    scale: float = param(1.0, help="What its samples are multiplied with.")

    def plan(self, layout: Layout) -> Layout:
        return with_live_words(layout)

    def apply(self, batch: Gather, context: Context) -> Gather:
        other = context.input("other")
        first, end = batch.live_window
        begin, stop = other.live_window
        first = np.maximum(first, begin)
        end = np.maximum(np.minimum(end, stop), first)
        out = context.empty(batch.traces.shape)
        np.multiply(other.traces, np.float32(self.scale), out=out)
        np.subtract(batch.traces, out, out=out)
        mute_outside(out, first, end)
        return batch.with_live_window(out, first, end)
