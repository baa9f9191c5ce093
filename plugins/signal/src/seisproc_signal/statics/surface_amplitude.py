"""Surface-consistent amplitudes: what sources and receivers do to the level of their traces, found and taken off."""

from __future__ import annotations

from typing import Any

import numpy as np

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import processor
from seisproc_core.processing.survey_scope import Tables
from seisproc_signal import claims
from seisproc_signal.statics.stations import decompose_robustly
from seisproc_signal.statics.surface_terms import ALL, DAMPING, SurfaceConsistent
from seisproc_signal.windows import energy


@processor("surface_consistent_amplitude", scope="survey", claims=claims.SURFACE_CONSISTENT_AMPLITUDE)
class SurfaceConsistentAmplitude(SurfaceConsistent):
    """Amplitudes of sources and receivers, from the levels of all traces, taken off: y = x 10^(-(s + r) / 20).

    The level of a trace is the rms of its live samples in the design window, in dB. The levels of all traces are
    split into a mean and terms, L = mean + s(source) + r(receiver) + h(offset) + g(gather), by least squares with
    traces that fit badly counting less (Tukey's bisquare). The offset term holds what changes with distance
    (spreading, absorption, directivity), the gather term the geology: they are solved for so that it is not taken for
    the surface, and left in the data unless `correct` names them. Corrections multiply to 1 over all traces, so the
    geometric mean of the levels stays; no station is changed by more than `max_db`.

    A mean and a trend along the line cannot be told from geology and stay. A source or receiver with fewer than
    `min_traces` traces in the window is left alone, and so are traces without energy in it, but for the corrections of
    their stations.

    Words: `source_amplitude_db`, `receiver_amplitude_db`, `offset_amplitude_db` and `gather_amplitude_db` hold the
    terms found, `surface_gain_db` what the trace was multiplied by; its presence refuses a second time.

    Not after AGC or trace balance, which leave nothing to find; kill bad traces and take off spreading before. Noise
    bursts and ground roll in the window count as amplitude.

    Source: Taner and Koehler, Surface consistent corrections, Geophysics 46 (1981), 17-22.
    """

    max_db: float = param(20.0, help="Largest correction of a station.", unit="dB", above=0)

    solves = (*ALL, "mean")

    def check(self, layout: Layout) -> None:
        super().check(layout)
        if "surface_gain_db" in layout.headers:
            raise self.bad("correct", "such amplitudes were corrected already (word 'surface_gain_db' is there)")

    def plan(self, layout: Layout) -> Layout:
        zeros = np.zeros(layout.n_traces, np.float32)
        words = {**{f"{term}_amplitude_db": zeros for term in self.terms}, "surface_gain_db": zeros}
        return Layout(
            headers=layout.headers.with_columns(**words), sampling=layout.sampling, gather_starts=layout.gather_starts
        )

    def measured(self, layout: Layout) -> np.dtype[Any]:
        return np.dtype([*self.key_fields(), ("level_db", "f8")])

    def measure(self, batch: Gather, context: Context) -> np.ndarray:
        records = np.zeros(batch.n_traces, self.measured(batch.layout))
        for term in self.terms:
            records[term] = self.keys(batch.headers, term)
        first, end = self.design_window(batch)
        power = energy(batch.traces, first, end) / np.maximum(end - first, 1)
        records["level_db"] = 10 * np.log10(power, out=np.full(len(power), -np.inf), where=power > 0)
        return records

    def solve(self, records: np.ndarray, context: Context) -> Tables:
        level = records["level_db"]
        usable = np.isfinite(level)
        mean = float(level[usable].mean()) if usable.any() else 0.0
        keys, indexes = self.stations_of(records)
        damping = tuple(DAMPING[term] for term in self.terms)
        found = decompose_robustly(np.where(usable, level - mean, 0.0), usable, list(indexes.values()), damping)
        tables: dict[str, dict[str, np.ndarray]] = {term: {} for term in ALL}
        gain = np.zeros(len(records))
        for term, values in zip(self.terms, found, strict=True):
            traces = np.bincount(indexes[term], usable, minlength=len(values))
            enough = traces >= (self.min_traces if term in ("source", "receiver") else 1)
            centre = float(values[enough] @ traces[enough] / max(traces[enough].sum(), 1))
            db = np.where(enough, values - centre, 0.0)
            own = np.clip(-db, -self.max_db, self.max_db) if term in self.correct else np.zeros(len(db))
            gain += own[indexes[term]]
            tables[term] = {**self.table(term, keys[term]), "amplitude_db": db, "gain_db": own, "traces": traces}
        left = float(gain[usable].mean()) if usable.any() else 0.0  # what the limit took from the mean
        tables["mean"] = {"level_db": np.array([mean]), "gain_db": np.array([-left])}
        return tables

    def apply(self, batch: Gather, context: Context) -> Gather:
        gain = np.full(batch.n_traces, float(context.solution["mean"]["gain_db"][0]))
        words = {}
        for term in self.terms:
            table = dict(context.solution[term])
            row = self.station(batch.headers, term, table)
            gain += table["gain_db"][row]
            words[f"{term}_amplitude_db"] = table["amplitude_db"][row].astype(np.float32)
        out = context.empty(batch.traces.shape)
        np.multiply(batch.traces, (10 ** (gain / 20)).astype(np.float32)[:, None], out=out)
        words["surface_gain_db"] = gain.astype(np.float32)
        moved = batch.with_traces(out)
        return moved.with_headers(moved.headers.with_columns(**words))
