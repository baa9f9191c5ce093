"""Refraction statics by delay times: the weathering under sources and receivers, from first breaks."""

from __future__ import annotations

from typing import Any

import numpy as np

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import processor
from seisproc_core.processing.survey_scope import SurveyProcessor, Tables
from seisproc_signal import claims
from seisproc_signal.statics import words
from seisproc_signal.statics.stations import (
    RECEIVER,
    SOURCE,
    bisquare,
    check_words,
    conjugate_gradients,
    keys_of,
    station_of,
    stations,
)
from seisproc_signal.windows import with_live_words

_TERMS = ("source", "receiver")
DAMPING = 1e-6  # of a station's picks: what they leave open stays small
ROUNDS = 6


@processor("refraction_statics", scope="survey", kernels=("convolve",), claims=claims.REFRACTION_STATICS)
class RefractionStatics(SurveyProcessor):
    """Refraction statics by delay times: weathering of unknown thickness replaced, from first breaks of one refractor.

    First breaks between `min_offset_m` and `max_offset_m` (the branch of the refractor) are t = d(source) + d(receiver)
    + |x| / v: a delay of every station, the same for sources and receivers that stand there, and one velocity v of the
    refractor, by least squares in which picks that fit badly count less (Tukey's bisquare). A station is a cell of
    `station_m`. With the weathering's velocity w a delay d is a thickness z = d w / cos a, sin a = w / v, and the
    static is z / V - z / w, with V the replacement velocity (that of the refractor when left out).

    This replaces the weathering; `elevation_statics` brings the rest to a datum. First breaks are in the word
    `first_break_ms`, 0 for none, as `first_breaks` leaves them. Stations with fewer than `min_traces` picks get none.

    Words: `source_static_ms`, `receiver_static_ms`, `total_static_ms`, `source_thickness_m`, `receiver_thickness_m`,
    and `refraction_static_ms`, whose presence refuses a second time.

    Not where first breaks are of several refractors, or the refractor's velocity changes along the line. Where sources
    share no station with receivers and all stand on one side of them, delays and velocity cannot be told apart. Delays
    of buried sources are what is below them: give them `source` words of their own stations.

    Source: Gardner, Areal plan mapping of subsurface structure by refraction shooting, Geophysics 4 (1939), 247-259;
    Cox, Static Corrections for Seismic Reflection Surveys (SEG, 1999), chapter 6; least squares: Farrell and Euwema,
    Refraction statics, Proceedings of the IEEE 72 (1984), 1316-1329.
    """

    source: tuple[str, ...] = param(SOURCE, help="Header words that say where sources stand.")
    receiver: tuple[str, ...] = param(RECEIVER, help="Header words that say where receivers stand.")
    station_m: float = param(1.0, help="Size of a station, in units of these words.", unit="m", above=0)
    weathering_m_per_s: float = param(help="Velocity of the weathering.", unit="m/s", above=0)
    replacement_m_per_s: float | None = param(
        None, help="Velocity that replaces it; that of the refractor when left out.", unit="m/s", above=0
    )
    min_offset_m: float = param(0.0, help="Least offset of the refractor's first breaks.", unit="m", minimum=0)
    max_offset_m: float = param(1e6, help="Largest offset of the refractor's first breaks.", unit="m", above=0)
    min_traces: int = param(3, help="First breaks that a station's static needs.", minimum=1)

    solves = ("station", "refractor")

    def check(self, layout: Layout) -> None:
        check_words(self, layout, "source", "receiver")
        if len(self.source) != len(self.receiver):
            raise self.bad("receiver", "must be as many words as 'source': together they say who shares a station")
        words.refuse_twice(self, layout, "refraction", "weathering_m_per_s")
        for word in ("first_break_ms", "offset"):
            layout.headers.column(word)
        if self.min_offset_m >= self.max_offset_m:
            raise self.bad("min_offset_m", f"must be less than max_offset_m ({self.max_offset_m:g} m)")

    def plan(self, layout: Layout) -> Layout:
        after = words.planned(with_live_words(layout), "refraction", *_TERMS)
        zeros = np.zeros(layout.n_traces, np.float32)
        headers = after.headers.with_columns(**{f"{term}_thickness_m": zeros for term in _TERMS})
        return Layout(headers=headers, sampling=layout.sampling, gather_starts=layout.gather_starts)

    def measuring_order(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self.source, ()

    def measured(self, layout: Layout) -> np.dtype[Any]:
        return np.dtype(
            [*((term, "f8", (len(self.source),)) for term in _TERMS), ("offset_m", "f8"), ("time_ms", "f8")]
        )

    def _cells(self, layout: Layout, term: str) -> np.ndarray:
        return np.round(keys_of(layout.headers, getattr(self, term)) / self.station_m)

    def measure(self, batch: Gather, context: Context) -> np.ndarray:
        records = np.zeros(batch.n_traces, self.measured(batch.layout))
        for term in _TERMS:
            records[term] = self._cells(batch, term)
        records["offset_m"] = np.abs(batch.headers["offset"])
        records["time_ms"] = batch.headers["first_break_ms"]
        return records

    def solve(self, records: np.ndarray, context: Context) -> Tables:
        offset, time_ms = records["offset_m"], records["time_ms"]
        picked = (time_ms > 0) & (offset >= self.min_offset_m) & (offset <= self.max_offset_m)
        cells, index = stations(np.concatenate([records[term] for term in _TERMS]))
        ends = (index[: len(records)], index[len(records) :])
        delay_ms, slowness = delay_times(time_ms, offset, picked, ends, len(cells))
        refractor = 1000 / slowness if slowness > 0 else np.inf
        if not refractor > self.weathering_m_per_s:
            found = f"the first breaks give {refractor:.0f} m/s"
            raise self.bad("weathering_m_per_s", f"must be less than the refractor's velocity; {found}")
        cosine = np.sqrt(1 - (self.weathering_m_per_s / refractor) ** 2)
        picks = _collected(picked, ends, len(cells))
        thickness = np.where(picks >= self.min_traces, delay_ms / 1000 * self.weathering_m_per_s / cosine, 0.0)
        below = self.replacement_m_per_s or refractor
        station = {f"cell_{number}": column for number, column in enumerate(cells.T)}
        station |= {"delay_ms": delay_ms, "thickness_m": thickness, "picks": picks}
        station["static_ms"] = 1000 * thickness * (1 / below - 1 / self.weathering_m_per_s)
        return {"station": station, "refractor": {"velocity_m_per_s": np.array([refractor])}}

    def apply(self, batch: Gather, context: Context) -> Gather:
        table = context.solution["station"]
        held = np.stack([table[f"cell_{number}"] for number in range(len(self.source))], axis=1)
        rows = {term: station_of(self._cells(batch, term), held) for term in _TERMS}
        static_ms = {term: np.asarray(table["static_ms"][row]) for term, row in rows.items()}
        thickness = {f"{term}_thickness_m": table["thickness_m"][row].astype(np.float32) for term, row in rows.items()}
        move_ms = static_ms["source"] + static_ms["receiver"]
        moved = words.applied(batch, "refraction", move_ms, context, **static_ms)
        return moved.with_headers(moved.headers.with_columns(**thickness))


def delay_times(
    time_ms: np.ndarray, offset: np.ndarray, picked: np.ndarray, ends: tuple[np.ndarray, np.ndarray], count: int
) -> tuple[np.ndarray, float]:
    """Delay of every station and the slowness of the refractor, ms/m, from first breaks; robust least squares.

    The slowness is what times and offsets have in common once both are freed of delays.

    Parameters
    ----------
    ends
        Station of the source and of the receiver of every trace.
    count
        Of stations.
    """
    weight = picked.astype(np.float64)
    for turn in range(ROUNDS):
        terms = [_delays(values, weight, ends, count) for values in (time_ms, offset)]
        time_left, far_left = (
            values - term[ends[0]] - term[ends[1]] for values, term in zip((time_ms, offset), terms, strict=True)
        )
        spread = float((weight * far_left**2).sum())
        slowness = float((weight * time_left * far_left).sum()) / spread if spread > 0 else 0.0
        again = None if turn == ROUNDS - 1 else bisquare(np.abs(time_left - slowness * far_left), picked)
        if again is None:
            break
        weight = again
    return terms[0] - slowness * terms[1], slowness


def _collected(values: np.ndarray, ends: tuple[np.ndarray, np.ndarray], count: int) -> np.ndarray:
    """Sum over the traces at each station, at whichever end."""
    return np.asarray(sum(np.bincount(end, values, minlength=count) for end in ends))


def _delays(values: np.ndarray, weight: np.ndarray, ends: tuple[np.ndarray, np.ndarray], count: int) -> np.ndarray:
    """One number per station, the sum of which at both ends is nearest to `values`."""
    diagonal = _collected(weight, ends, count)

    def normal(x: np.ndarray) -> np.ndarray:
        return np.asarray(_collected(weight * (x[ends[0]] + x[ends[1]]), ends, count) + DAMPING * diagonal * x)

    return conjugate_gradients(normal, _collected(weight * values, ends, count), diagonal)
