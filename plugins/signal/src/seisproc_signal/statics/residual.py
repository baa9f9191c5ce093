"""Residual surface-consistent statics by maximising the power of the stack."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import fft

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import processor
from seisproc_core.processing.survey_scope import SurveyProcessor, Tables
from seisproc_signal import claims
from seisproc_signal.shift import shift_traces
from seisproc_signal.statics import words
from seisproc_signal.statics.correlating import peak_lags, shifted_rows, windowed
from seisproc_signal.statics.stations import (
    RECEIVER,
    SOURCE,
    check_words,
    decompose,
    keys_of,
    station_of,
    stations,
    summed,
)
from seisproc_signal.windows import with_live_words

_TERMS = ("source", "receiver")
SWEEPS = 20
DAMPING = 0.005  # of a station's traces: what cannot be told from structure fades
SETTLED = 0.01  # samples: when sweeps between sources and receivers may stop


@processor("residual_statics", scope="survey", kernels=("convolve",), claims=claims.RESIDUAL_STATICS)
class ResidualStatics(SurveyProcessor):
    """Residual surface-consistent statics: one time for every source, one for every receiver, that align CMP gathers.

    In every round each trace, moved by the statics so far, is cross-correlated with the stack of the other traces of
    its gather (its pilot). The correlations of all traces of a source, each at the lag of its receiver's static, are
    summed; the peak of the sum is the source's static. The same for receivers, in turn until nothing moves: this
    increases the power of the stack from step to step, and a sum over many traces has a clear peak where single
    correlations do not. The next round begins with better pilots. Structure stays in the pilots, and with it what
    no surface-consistent method can tell from structure: a mean, a trend, and changes longer than a spread.

    The data should be after moveout correction, with a window over strong reflections. Statics are limited to
    `max_ms`; beyond half a period of the data a peak may be the wrong one. A station with fewer than `min_traces`
    traces, or whose traces correlate with their pilots by less than `min_correlation` on average, gets none.

    Words: `source_static_ms`, `receiver_static_ms` and `total_static_ms` hold what was added to times so far,
    fractions included; `<name>_static_ms` what this step added, and its presence refuses a second time. There is no
    table of stations beside them. On data before moveout `shift` applies them as they are,
    ``words = ["residual_static_ms"]``, once these hold the word: after an inverse `nmo` they still do, but have the
    statics already; other copies of the traces get it with `join`, on trace_id, from the survey's `headers/` files.

    Not on gathers with residual moveout of the size of the statics, and not on shot gathers.

    Source: Ronen and Claerbout, Surface-consistent residual statics estimation by stack-power maximization, Geophysics
    50 (1985), 2759-2767; the model of times is that of Taner, Koehler and Alhilali, Geophysics 39 (1974), 441-463.
    """

    source: tuple[str, ...] = param(SOURCE, help="Header words that tell sources apart.")
    receiver: tuple[str, ...] = param(RECEIVER, help="Header words that tell receivers apart.")
    gather: tuple[str, ...] = param(("cdp",), help="Header words of the gathers to align.")
    window_start_ms: float | None = param(None, help="First time of the reflections to align; else all.", unit="ms")
    window_end_ms: float | None = param(None, help="Last time of the reflections to align; else all.", unit="ms")
    max_ms: float = param(20.0, help="Largest static of a source or a receiver.", unit="ms", above=0)
    iterations: int = param(5, help="Rounds of pilots, correlations and solutions.", minimum=1, maximum=50)
    min_correlation: float = param(
        0.3, help="Least mean correlation with the pilots that a station's static needs.", minimum=0, maximum=1
    )
    min_traces: int = param(3, help="Traces that a station's static needs.", minimum=1)
    name: str = param("residual", help="What these statics are called in header words.")

    solves = ("source", "receiver", "rounds")

    def check(self, layout: Layout) -> None:
        check_words(self, layout, "source", "receiver", "gather")
        words.refuse_twice(self, layout, self.name)
        if not self.name.isidentifier() or not self.name.islower():
            raise self.bad("name", "must be one word of lower case letters, digits and _")
        if self._lags(layout) >= layout.n_samples // 2:
            raise self.bad("max_ms", "must be less than a quarter of the trace")
        windowed(self, layout)

    def plan(self, layout: Layout) -> Layout:
        return words.planned(with_live_words(layout), self.name)

    def measuring_order(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self.gather, ()

    def rounds(self) -> int:
        return self.iterations

    def _lags(self, layout: Layout) -> int:
        """Lags on each side of the correlations: a station's move, at the lag of the other's."""
        return 2 * math.ceil(self.max_ms / 1000 / layout.sampling.interval_s)

    def measured(self, layout: Layout) -> np.dtype[Any]:
        keys = [("source", "f8", (len(self.source),)), ("receiver", "f8", (len(self.receiver),))]
        keys.append(("gather", "f8", (len(self.gather),)))
        return np.dtype([*keys, ("interval_s", "f8"), ("correlation", "f4", (2 * self._lags(layout) + 1,))])

    def measure(self, batch: Gather, context: Context) -> np.ndarray:
        records = np.zeros(batch.n_traces, self.measured(batch.layout))
        records["source"] = keys_of(batch.headers, self.source)
        records["receiver"] = keys_of(batch.headers, self.receiver)
        records["gather"] = keys_of(batch.headers, self.gather)
        records["interval_s"] = batch.sampling.interval_s
        source_ms, receiver_ms = self._statics(batch, context)
        samples = (source_ms + receiver_ms) / 1000 / batch.sampling.interval_s
        lags = self._lags(batch)
        length = fft.next_fast_len(batch.n_samples + lags, real=True)
        turn = 2j * np.pi * np.arange(length // 2 + 1) / length
        for number in range(batch.n_gathers):
            context.check()
            rows = slice(*batch.gather_starts[number : number + 2])
            if rows.stop - rows.start > 1:
                spectra = fft.rfft(windowed(self, batch.gather(number)), length, axis=1, workers=1)
                spectra *= np.exp(-turn * samples[rows, None])
                records["correlation"][rows] = with_pilots(spectra, length, lags)
        return records

    def solve(self, records: np.ndarray, context: Context) -> Tables:
        interval_ms = 1000 * float(records["interval_s"][0])
        terms, indexes, before = {}, {}, {}
        for name in _TERMS:
            terms[name], indexes[name] = stations(records[name])
            held = context.solution.get(name, {}).get("static_ms", np.zeros(len(terms[name])))
            before[name] = np.asarray(held) / interval_ms
        correlation, limit = records["correlation"], self.max_ms / interval_ms
        usable = np.asarray(correlation.any(axis=1))
        traces = {name: summed(usable, indexes[name], len(terms[name])) for name in _TERMS}
        late, peak = align(correlation, indexes, {name: (at - limit, at + limit) for name, at in before.items()})
        # What moves a whole gather is structure: it goes to a term of the gathers, and is dropped.
        _, gather = stations(records["gather"])
        total = sum((before[name] - late[name])[indexes[name]] for name in _TERMS)
        split = decompose(np.asarray(total), usable, [*indexes.values(), gather], (DAMPING, DAMPING, 0.0))
        wanted = dict(zip(_TERMS, split, strict=False))
        earlier = context.solution.get("rounds", {})
        last = len(earlier.get("round", ())) + 1 == self.iterations
        tables: dict[str, dict[str, np.ndarray]] = {}
        for name in _TERMS:
            strength = peak[name] / np.maximum(traces[name], 1)
            counts = (strength >= self.min_correlation) & (traces[name] >= self.min_traces)
            counts |= not last  # pilots are poor at first
            static = wanted[name]
            static = np.where(counts, static - (static[counts].mean() if counts.any() else 0), 0)
            tables[name] = {
                **dict(zip(getattr(self, name), terms[name].T, strict=True)),
                "static_ms": np.clip(static, -limit, limit) * interval_ms,
                "correlation": strength,
                "traces": traces[name],
            }
        change = max(float(np.abs(late[name]).max()) for name in _TERMS) * interval_ms
        mean = float(peak["source"].sum() / max(traces["source"].sum(), 1))
        now = {"round": len(earlier.get("round", ())) + 1.0, "correlation": mean, "largest_change_ms": change}
        tables["rounds"] = {name: np.append(earlier.get(name, []), value) for name, value in now.items()}
        return tables

    def _statics(self, batch: Gather, context: Context) -> tuple[np.ndarray, np.ndarray]:
        """Static of source and receiver of every trace in ms; zeros before the first solution."""
        found = []
        for name in _TERMS:
            table = context.solution.get(name)
            if table is None:
                found.append(np.zeros(batch.n_traces))
                continue
            held = np.stack([table[word] for word in getattr(self, name)], axis=1)
            found.append(np.asarray(table["static_ms"])[station_of(keys_of(batch.headers, getattr(self, name)), held)])
        return found[0], found[1]

    def apply(self, batch: Gather, context: Context) -> Gather:
        source_ms, receiver_ms = self._statics(batch, context)
        moved = shift_traces(batch, (source_ms + receiver_ms) / 1000 / batch.sampling.interval_s, context)
        return moved.with_headers(words.noted(moved.headers, self.name, source_ms, receiver_ms))


def align(
    correlation: np.ndarray, indexes: dict[str, np.ndarray], limits: dict[str, tuple[np.ndarray, np.ndarray]]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """How late every source and receiver is: the lags at which the sum of all correlations is largest.

    Sources and receivers take turns, each at the lags the others have, until none moves.

    Parameters
    ----------
    correlation
        Of every trace, shape ``(n_traces, 2 n + 1)``, lag 0 in the middle.
    indexes
        Source and receiver of every trace.
    limits
        Lowest and highest lag of every station, samples.

    Returns
    -------
    late, peak
        Lag of every station, samples, and the sum of its correlations there.
    """
    late = {name: np.zeros(len(low)) for name, (low, _) in limits.items()}
    peak = dict(late)
    for _ in range(SWEEPS):
        moved = 0.0
        for name, other in (("source", "receiver"), ("receiver", "source")):
            total = summed(shifted_rows(correlation, late[other][indexes[other]]), indexes[name], len(late[name]))
            lag, peak[name] = peak_lags(total, *limits[name])
            moved = max(moved, float(np.abs(lag - late[name]).max()))
            late[name] = lag
        if moved < SETTLED:
            break
    return late, peak


def with_pilots(spectra: np.ndarray, length: int, lags: int) -> np.ndarray:
    """Normalised cross-correlation of every trace with the sum of the others.

    Parameters
    ----------
    spectra
        Of the traces of one gather, zero-padded to `length` samples: complex ``(n_traces, length // 2 + 1)``.

    Returns
    -------
    numpy.ndarray
        Float64 ``(n_traces, 2 lags + 1)``, lag 0 in the middle; positive lags where the trace is later than its
        pilot. Zeros where either has no energy.
    """
    pilots = spectra.sum(axis=0) - spectra
    twice = np.full(spectra.shape[1], 2.0)  # both signs of a frequency, but for 0 and Nyquist
    twice[0] = 1
    if length % 2 == 0:
        twice[-1] = 1
    energy = [(np.abs(part) ** 2 @ twice) / length for part in (spectra, pilots)]
    found = fft.irfft(spectra * np.conj(pilots), length, axis=1, workers=1)
    found = np.concatenate([found[:, length - lags :], found[:, : lags + 1]], axis=1)
    norm = np.sqrt(energy[0] * energy[1])
    least = 1e-6 * norm.max(initial=0)  # what is left of subtracting a trace from itself is rounding
    return np.asarray(np.divide(found, norm[:, None], out=np.zeros_like(found), where=norm[:, None] > least))
