"""Residual surface-consistent statics by maximising the power of the stack."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import processor
from seisproc_core.processing.survey_scope import SurveyProcessor, Tables
from seisproc_signal import claims
from seisproc_signal.statics import words
from seisproc_signal.statics.correlating import peak_lags, shifted_rows, windowed, with_pilots
from seisproc_signal.statics.stations import (
    RECEIVER,
    SOURCE,
    Terms,
    check_words,
    conjugate_gradients,
    keys_of,
    station_of,
    stations,
    summed,
)
from seisproc_signal.windows import with_live_words

_TERMS = ("source", "receiver")
SWEEPS = 20
DAMPING = 0.01  # of a station's traces, where all correlate with 1: what cannot be told from structure fades
HEARD = 0.5  # of the median correlation: below it a station's peak is one of noise
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
        if self._lags(layout) >= layout.n_samples // 2:
            raise self.bad("max_ms", "must be less than a quarter of the trace")
        windowed(self, layout)

    def plan(self, layout: Layout) -> Layout:
        return words.planned(with_live_words(layout), self.name, *_TERMS)

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
        length = scipy.fft.next_fast_len(batch.n_samples + lags, real=True)
        turn = 2j * np.pi * np.arange(length // 2 + 1) / length
        for number in range(batch.n_gathers):
            context.check()
            rows = slice(*batch.gather_starts[number : number + 2])
            if rows.stop - rows.start > 1:
                spectra = scipy.fft.rfft(windowed(self, batch.gather(number)), length, axis=1, workers=1)
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
        alike = {name: peak[name] / np.maximum(traces[name], 1) for name in _TERMS}
        heard = {name: alike[name] >= HEARD * np.median(alike[name][traces[name] > 0]) for name in _TERMS}
        wanted = {name: before[name] - np.where(heard[name], late[name], 0) for name in _TERMS}
        left = np.asarray(sum(late[name][indexes[name]] for name in _TERMS))
        clear = usable & np.logical_and(*(heard[name][indexes[name]] for name in _TERMS))
        aligned = shifted_rows(correlation, left)
        if clear.any() and np.sqrt(np.mean(left[clear] ** 2)) < 0.5 * first_zero(aligned):
            _, gather = stations(records["gather"])
            each = np.where(usable, aligned[:, aligned.shape[1] // 2], 0.0)
            likeness = np.bincount(gather, each) / np.maximum(np.bincount(gather, usable), 1)
            wanted = with_moving_pilots(
                wanted, before, indexes, gather, np.where(usable, np.maximum(likeness, 0)[gather], 0)
            )
        earlier = context.solution.get("rounds", {})
        last = len(earlier.get("round", ())) + 1 == self.iterations
        tables: dict[str, dict[str, np.ndarray]] = {}
        for name in _TERMS:
            counts = (alike[name] >= self.min_correlation) & (traces[name] >= self.min_traces)
            counts |= not last  # pilots are poor at first
            static = wanted[name]
            static = np.where(counts, static - (static[counts].mean() if counts.any() else 0), 0)
            tables[name] = {
                **dict(zip(getattr(self, name), terms[name].T, strict=True)),
                "static_ms": np.clip(static, -limit, limit) * interval_ms,
                "correlation": alike[name],
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
        move_ms = source_ms + receiver_ms
        return words.applied(batch, self.name, move_ms, context, source=source_ms, receiver=receiver_ms)


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


def first_zero(correlation: np.ndarray) -> float:
    """Lag at which the mean of aligned correlations falls to zero, samples: a quarter of the data's period."""
    mean = correlation.mean(axis=0)
    late = mean[len(mean) // 2 :]
    return float(np.argmax(late <= 0) if (late <= 0).any() else len(late))


def with_moving_pilots(
    wanted: dict[str, np.ndarray],
    before: dict[str, np.ndarray],
    indexes: dict[str, np.ndarray],
    gather: np.ndarray,
    weight: np.ndarray,
) -> dict[str, np.ndarray]:
    """The statics of which `wanted` is what correlations with the pilots show.

    A pilot is late by the mean of the other traces of its gather, so that a trace shows less than its own static, and
    hardly anything of what changes slowly along the line. With H from stations to traces and C what leaves a trace
    its own value less the mean of the others, the lags found are those of least squares, H'H (wanted - before) =
    H'd, of times d = C H (statics - before); hence (H'C H + damping) statics = H'H (wanted - before) + H'C H before.

    Traces weigh as sums of correlations weigh them: by the mean correlation of their gather, which is small where few
    traces make a noisy pilot. Lags of noise vary by the inverse of the correlation, so damping grows with its square.
    Only right where traces are so near their pilots that the pilot moves by the mean: about an eighth of the period.
    """
    system = Terms([indexes[name] for name in _TERMS], weight)
    fold = np.bincount(gather, weight > 0)
    others = np.divide(fold, fold - 1, out=np.zeros(len(fold)), where=fold > 1)

    def normal(x: np.ndarray) -> np.ndarray:
        times = np.where(weight > 0, system.spread(x), 0.0)
        mean = np.bincount(gather, times, minlength=len(fold)) / np.maximum(fold, 1)
        return system.collect(weight * others[gather] * (times - mean[gather]))

    held, seen = (np.concatenate([terms[name] for name in _TERMS]) for terms in (before, wanted))
    right = system.collect(weight * system.spread(seen - held)) + normal(held)
    damping = DAMPING / max(float(weight[weight > 0].mean()), 0.05) ** 2 if weight.any() else 0.0
    found = conjugate_gradients(lambda x: normal(x) + damping * system.count * x, right, system.count)
    return dict(zip(_TERMS, system.split(found), strict=True))
