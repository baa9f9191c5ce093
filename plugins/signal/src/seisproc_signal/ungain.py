"""Taking off a gain that was saved when it was applied."""

from __future__ import annotations

import numpy as np

from seisproc_core.data.gather import Gather, mute_outside
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import SurveyRef, param
from seisproc_core.processing.processor import Processor, processor
from seisproc_signal import claims

ROWS = 64  # traces at a time: they stay in cache


@processor("remove_gain", scope="trace", claims=claims.REMOVE_GAIN)
class RemoveGain(Processor):
    """Divide by gains that were saved as a survey: the inverse of AGC, sample by sample.

    The gains are what `agc` keeps with ``save.gain = "gain.seis"``. They find their traces by trace_id, so the data may
    have been sorted, killed or selected meanwhile; `match` names other header words. Where a gain is 0 - AGC found no
    energy there - the sample stays as it is. y(t) = x(t) / g(t) where g > 0, else x(t).

    Not after steps that mix samples at other times, such as moveout or filters: what they moved had another gain.

    Source: Yilmaz, Seismic Data Analysis (SEG, 2001), section 1.4, on AGC as a gain function g(t), here divided out.
    """

    gain: SurveyRef = param(help="Survey with the gain of every sample.")

    def apply(self, batch: Gather, context: Context) -> Gather:
        gain = context.input("gain").traces
        out = context.empty(batch.traces.shape)
        for row in range(0, batch.n_traces, ROWS):
            context.check()
            traces, divisor, quotient = (array[row : row + ROWS] for array in (batch.traces, gain, out))
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                np.divide(traces, divisor, out=quotient)
            kept = ~(divisor > 0)
            if kept.any():
                quotient[kept] = traces[kept]
        mute_outside(out, *batch.live_window)
        return batch.with_traces(out)
