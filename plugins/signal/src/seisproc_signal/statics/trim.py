"""Trim statics: every trace by itself against a model, within small limits."""

from __future__ import annotations

import math

import numpy as np
import scipy

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import SurveyRef, param
from seisproc_core.processing.processor import Processor, processor
from seisproc_signal import claims
from seisproc_signal.shift import shift_traces
from seisproc_signal.statics import words
from seisproc_signal.statics.correlating import normalised, peak_lags, windowed, with_pilots
from seisproc_signal.windows import with_live_words


@processor("trim_statics", scope="gather", kernels=("convolve",), claims=claims.TRIM_STATICS)
class TrimStatics(Processor):
    """Trim statics: move every trace of a gather by the lag at which it correlates best with a model.

    The model is the trace of the survey `model` that belongs to the trace (a stack, its neighbours mixed, say, matched
    by ``match = ["cdp"]``), or without one the stack of the other traces of the gather, in `iterations` rounds in which
    the traces are moved before the stack is made again; the mean of the moves is then taken off. Lags are the
    peak, between samples, of the cross-correlation over the live samples in the window, normalised by the energies of
    both. A trace whose correlation there is below `min_correlation`, or that has no peak within `max_ms`, stays where
    it is.

    Words: `<name>_static_ms` holds the move, `<name>_correlation` the correlation with the model, `total_static_ms`
    what all statics moved the trace; presence of the first refuses a second time.

    Not before residual statics, and not with more than a few ms: traces are bent towards the model, whatever that is,
    so noise becomes reflections and residual moveout disappears where it should be seen. Not to be followed by
    velocity analysis or amplitude work.

    Source: the last step of Ronen and Claerbout, Geophysics 50 (1985), 2759-2767, without surface consistency; Cox,
    Static Corrections for Seismic Reflection Surveys (SEG, 1999), chapter 7.
    """

    model: SurveyRef | None = param(None, help="Survey with the model of every trace; else the gather's stack.")
    window_start_ms: float | None = param(None, help="First time of the reflections to align; else all.", unit="ms")
    window_end_ms: float | None = param(None, help="Last time of the reflections to align; else all.", unit="ms")
    max_ms: float = param(4.0, help="Largest move.", unit="ms", above=0)
    min_correlation: float = param(0.3, help="Least correlation that moves a trace.", minimum=0, maximum=1)
    iterations: int = param(2, help="Rounds of stack and moves; one with a model.", minimum=1, maximum=20)
    name: str = param("trim", help="What these statics are called in header words.")

    def check(self, layout: Layout) -> None:
        words.refuse_twice(self, layout, self.name)
        if self._lags(layout) >= layout.n_samples // 2:
            raise self.bad("max_ms", "must be less than half the trace")
        windowed(self, layout)

    def plan(self, layout: Layout) -> Layout:
        after = words.planned(with_live_words(layout), self.name)
        zeros = np.zeros(layout.n_traces, np.float32)
        headers = after.headers.with_columns(**{f"{self.name}_correlation": zeros})
        return Layout(headers=headers, sampling=layout.sampling, gather_starts=layout.gather_starts)

    def _lags(self, layout: Layout) -> int:
        return 2 * math.ceil(self.max_ms / 1000 / layout.sampling.interval_s) + 1

    def apply_gather(self, gather: Gather, context: Context) -> Gather:
        interval_ms, lags = 1000 * gather.sampling.interval_s, self._lags(gather)
        length = scipy.fft.next_fast_len(gather.n_samples + lags, real=True)
        turn = 2j * np.pi * np.arange(length // 2 + 1) / length
        still = scipy.fft.rfft(windowed(self, gather), length, axis=1, workers=1)
        model = None
        if self.model is not None:
            model = scipy.fft.rfft(windowed(self, context.input("model")), length, axis=1, workers=1)
        move, likeness = np.zeros(gather.n_traces), np.zeros(gather.n_traces)
        limit = np.full(gather.n_traces, self.max_ms / interval_ms)
        for _ in range(1 if self.model is not None else self.iterations):
            context.check()
            moved = still * np.exp(-turn * move[:, None])
            rows = with_pilots(moved, length, lags) if model is None else normalised(still, model, length, lags)
            lag, likeness = peak_lags(rows, move - limit, move + limit)
            counts = (likeness >= self.min_correlation) & (likeness > 0)
            counts &= np.abs(move - lag) < limit - 1e-6  # a maximum at the limit is no peak
            move = np.where(counts, move - lag, 0.0)
            if model is None and counts.any():
                move = np.where(counts, np.clip(move - move[counts].mean(), -limit, limit), 0.0)
        out = shift_traces(gather, move, context)
        headers = words.noted(out.headers, self.name, move * interval_ms)
        return out.with_headers(headers.with_columns(**{f"{self.name}_correlation": likeness.astype(np.float32)}))
