"""Trace edits by rules on samples: spikes, levels, frequencies; flagged first, killed on demand."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import attrs
import numpy as np

from seisproc_core.data.gather import Gather, Layout, mute_outside
from seisproc_core.data.headers import Headers
from seisproc_core.data.words import DEAD
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_signal import claims
from seisproc_signal.edit import KILLED
from seisproc_signal.windows import with_live_words

EDIT = "edit_rule"  # the header word that is written
SPIKE, LOUD, WEAK, LOW, HIGH = 1, 2, 4, 8, 16
ROWS = 32  # traces measured at a time: they stay in cache


@attrs.frozen(eq=False)
class Measures:
    """What the rules look at, of the live samples of every trace: float64 ``(n_traces,)``; 0 for dead traces.

    Attributes
    ----------
    rms
        Root of the mean power.
    crest
        Largest absolute sample over the rms of the trace without it.
    frequency_hz
        Frequency of a sine with the same correlation from sample to sample: arccos(r1 / r0) / (2 pi dt).
    """

    rms: np.ndarray
    crest: np.ndarray
    frequency_hz: np.ndarray


@processor("edit_rules", scope="gather", claims=claims.EDIT_RULES)
class EditRules(Processor):
    """Find bad traces by rules on their live samples; flag them first, kill them on demand.

    The header word ``edit_rule`` gets the sum of what applies: 1 spike (the largest |x| exceeds `spike_ratio` times the
    rms of all other samples), 2 loud and 4 weak (the rms is more than `loud_ratio` times, or less than `weak_ratio`
    times, the median rms of the live traces of the gather), 8 low and 16 high (the mean frequency, arccos(r1 / r0) /
    (2 pi dt) with the autocorrelation r, lies below `low_hz` or above `high_hz`); 0 for good and for dead traces.
    ``action = "flag"`` does only that: look at the word, then drop (`select`) or kill (`kill`) by it in a later flow.
    ``"kill"`` zeroes what it finds, makes live windows empty and sets ``dead`` to 4; rows stay.

    Rules that are not given are not applied.

    Not after AGC or balancing, which hide what it looks for, and not in gathers where amplitudes fall strongly with
    offset: correct spreading first.

    Source: cos(2 pi f dt) = r1 / r0 is the cosine formula of Kedem, Spectral analysis and discrimination by
    zero-crossings, Proceedings of the IEEE 74 (1986), 1477-1493.
    """

    spike_ratio: float | None = param(None, help="Largest sample over the rms of the others.", above=1)
    loud_ratio: float | None = param(None, help="Rms over the gather's median.", above=1)
    weak_ratio: float | None = param(None, help="Rms over the gather's median.", above=0, maximum=1)
    low_hz: float | None = param(None, help="Lowest mean frequency of a good trace.", unit="Hz", above=0)
    high_hz: float | None = param(None, help="Highest mean frequency of a good trace.", unit="Hz", above=0)
    action: Literal["flag", "kill"] = param("flag", help="Write the word only, or kill as well.")

    def check(self, layout: Layout) -> None:
        rules = (self.spike_ratio, self.loud_ratio, self.weak_ratio, self.low_hz, self.high_hz)
        if all(rule is None for rule in rules):
            raise self.bad("spike_ratio", "or another rule must be given")
        for name in ("low_hz", "high_hz"):
            value, nyquist = getattr(self, name), layout.sampling.nyquist_hz
            if value is not None and value >= nyquist:
                raise self.bad(name, f"must be below the Nyquist frequency of {nyquist:g} Hz, not {value:g} Hz")
        if self.low_hz and self.high_hz and self.low_hz >= self.high_hz:
            raise self.bad("low_hz", f"must be below high_hz ({self.high_hz:g} Hz), not {self.low_hz:g} Hz")

    def plan(self, layout: Layout) -> Layout:
        return attrs.evolve(layout, headers=_with_words(layout, np.zeros(layout.n_traces, np.uint8)))

    def apply(self, batch: Gather, context: Context) -> Gather:
        found = self.found(batch, context)
        headers = _with_words(batch, found)
        if self.action == "flag":
            return batch.with_headers(headers)
        bad = found > 0
        first, end = batch.live_window
        dead = headers.column(DEAD)
        headers = headers.with_columns(**{DEAD: np.where(bad & (dead == 0), np.uint8(KILLED), dead)})
        headers = headers.with_live_window(first, np.where(bad, first, end))
        out = context.empty(batch.traces.shape)
        np.copyto(out, batch.traces)
        mute_outside(out, *headers.live_window(batch.n_samples))
        return batch.with_traces(out, headers=headers)

    def found(self, batch: Gather, context: Context) -> np.ndarray:
        """The sum of the rules that apply to each trace, uint8 ``(n_traces,)``."""
        measures = measure(batch, context)
        alive = measures.rms > 0
        typical = _median_by_gather(np.where(alive, measures.rms, np.nan), batch.gather_starts)
        rules = (
            (SPIKE, self.spike_ratio, measures.crest, np.greater),
            (LOUD, self.loud_ratio, measures.rms / typical, np.greater),
            (WEAK, self.weak_ratio, measures.rms / typical, np.less),
            (LOW, self.low_hz, measures.frequency_hz, np.less),
            (HIGH, self.high_hz, measures.frequency_hz, np.greater),
        )
        found = np.zeros(batch.n_traces, np.uint8)
        for code, limit, values, exceeds in rules:
            if limit is not None:
                found |= np.where(alive & exceeds(values, limit), np.uint8(code), np.uint8(0))
        return found


def measure(batch: Gather, context: Context) -> Measures:
    """What the rules look at."""
    first, end = batch.live_window
    rms, crest, frequency = np.zeros((3, batch.n_traces))
    for row in range(0, batch.n_traces, ROWS):
        context.check()
        rows = slice(row, row + ROWS)
        live = batch.traces[rows].astype(np.float64)
        mute_outside(live, first[rows], end[rows])
        count = (end - first)[rows]
        power = np.einsum("ij,ij->i", live, live)
        largest = np.maximum(live.max(axis=1), -live.min(axis=1))
        others = np.sqrt(np.maximum(power - largest**2, 1e-15 * power) / np.maximum(count - 1, 1))
        r1 = np.einsum("ij,ij->i", live[:, 1:], live[:, :-1])
        some = power > 0
        rms[rows] = np.sqrt(power / np.maximum(count, 1))
        crest[rows] = np.divide(largest, others, out=np.zeros(len(live)), where=some)
        cosine = np.divide(r1, power, out=np.ones(len(live)), where=some)
        frequency[rows] = np.arccos(np.clip(cosine, -1, 1)) / (2 * np.pi * batch.sampling.interval_s)
    return Measures(rms, crest, frequency)


def _median_by_gather(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The median of each trace's gather, NaN left out; 1 where a gather has none."""
    typical = np.ones(len(values))
    for start, stop in pairwise(starts):
        known = values[start:stop][~np.isnan(values[start:stop])]
        if len(known):
            typical[start:stop] = np.median(known)
    return typical


def _with_words(layout: Layout, found: np.ndarray) -> Headers:
    headers = with_live_words(layout).headers
    if DEAD not in headers:
        headers = headers.with_columns(**{DEAD: np.zeros(len(headers), np.uint8)})
    return headers.with_columns(**{EDIT: found})
