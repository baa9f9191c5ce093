"""Time shifts of single traces: constants, statics in header words."""

from __future__ import annotations

import numpy as np

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.data.words import canonical, word
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_signal import claims
from seisproc_signal.resample import SU_TAPS, least_squares_sinc
from seisproc_signal.windows import with_live_words

BEFORE = SU_TAPS // 2 - 1  # taps before the sample an operator belongs to


@processor("shift", scope="trace", kernels=("convolve",), claims=claims.SHIFT)
class Shift(Processor):
    """Shift traces in time by a constant, by header words, or both: y(t) = x(t - s), positive s is later.

    s = shift_ms + factor * sum of the words. Words are times as SEG-Y has them (`source_static`, `receiver_static`,
    `total_static`, `source_uphole`, ...), read with their scalar, or custom words in ms. ``factor = -1`` takes a static
    off that was applied as positive downwards. Whole samples are moved exactly; between them an 8-point least-squares
    sinc is used, good to 1 % below 0.6 of Nyquist. The live window moves along; what leaves the trace is lost.

    The words stay as they are: nothing notes that a static was applied, so applying it twice shifts twice.

    Not for shifts that vary along the trace.

    Source: operator as in `resample` with ``mode = "su"``, its delay not rounded.
    """

    shift_ms: float = param(0.0, help="Shift of all traces; positive is later.", unit="ms")
    words: tuple[str, ...] = param((), help="Header words that hold times; their sum is added.")
    factor: float = param(1.0, help="Factor of that sum.")

    def check(self, layout: Layout) -> None:
        for name in self.words:
            known = word(canonical(name))
            if known.byte and known.kind != "time":
                raise self.bad("words", f"must be words of time; '{name}' is not one")
        self._samples(layout)

    def plan(self, layout: Layout) -> Layout:
        return with_live_words(layout)

    def apply(self, batch: Gather, context: Context) -> Gather:
        return shift_traces(batch, self._samples(batch), context)

    def _samples(self, layout: Layout) -> np.ndarray:
        """Shift of every trace in samples, float64 ``(n_traces,)``, at most a trace length and some."""
        seconds = np.full(layout.n_traces, self.shift_ms / 1000)
        for name in self.words:
            unit = 1.0 if word(canonical(name)).kind == "time" else 1e-3
            seconds += self.factor * unit * layout.headers[name].astype(np.float64)
        reach = layout.n_samples + SU_TAPS
        samples: np.ndarray = np.clip(seconds / layout.sampling.interval_s, -reach, reach)
        return samples


def shift_traces(batch: Gather, shift: np.ndarray, context: Context) -> Gather:
    """Traces moved by `shift` samples each, float64 ``(n_traces,)``, positive is later; live windows move along.

    The step must declare the kernel ``convolve``.
    """
    whole = np.ceil(shift - 1e-6).astype(np.int64)
    # y at sample i is x at i - shift = (i - whole) + delay; taps run backwards through the samples around that.
    weights = np.ascontiguousarray(least_squares_sinc(np.clip(whole - shift, 0, 1))[:, ::-1])
    first, end = batch.live_window
    n = batch.n_samples
    moved_first = np.clip(first + whole, 0, n)
    moved_end = np.clip(np.floor(end - 1 + shift + 1e-6).astype(np.int64) + 1, moved_first, n)
    moved_end = np.where(end > first, moved_end, moved_first)
    out = context.empty(batch.traces.shape)
    context.kernel("convolve")(
        batch.traces, first, end, weights, whole - (SU_TAPS - 1 - BEFORE), 0.0, moved_first, moved_end, out,
        context.flag,
    )  # fmt: skip
    return batch.with_live_window(out, moved_first, moved_end)
