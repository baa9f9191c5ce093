"""What surface-consistent amplitudes and deconvolution share: the terms of a trace, the window it is measured in."""

from __future__ import annotations

import attrs
import numpy as np

from seisproc_core.data.gather import Layout
from seisproc_core.data.headers import Headers
from seisproc_core.processing.params import param
from seisproc_core.processing.survey_scope import SurveyProcessor
from seisproc_signal.statics.stations import RECEIVER, SOURCE, check_words, keys_of, station_of, stations
from seisproc_signal.windows import check_window, guided_window, window_end, window_start, window_velocity

ALL = ("source", "receiver", "offset", "gather")
DAMPING = {"source": 0.005, "receiver": 0.005, "offset": 0.001, "gather": 0.0}  # trends nobody can place are geology


@attrs.frozen(kw_only=True)
class SurfaceConsistent(SurveyProcessor):
    """Parameters of steps that split a measurement of traces into terms of sources, receivers, offsets and gathers."""

    source: tuple[str, ...] = param(SOURCE, help="Header words that tell sources apart.")
    receiver: tuple[str, ...] = param(RECEIVER, help="Header words that tell receivers apart.")
    gather: tuple[str, ...] = param(("cdp",), help="Header words of the gathers with a term of their own.")
    offset_bin_m: float = param(
        100.0, help="Width of the offset classes; offsets count by magnitude.", unit="m", above=0
    )
    terms: tuple[str, ...] = param(ALL, help="Terms to solve for: source, receiver, offset, gather.")
    correct: tuple[str, ...] = param(("source", "receiver"), help="Those of them that traces are corrected for.")
    design_start_ms: float | None = window_start()
    design_end_ms: float | None = window_end()
    velocity_m_per_s: float | None = window_velocity()
    min_traces: int = param(3, help="Traces that a source or a receiver needs to be corrected.", minimum=1)

    def check(self, layout: Layout) -> None:
        for name in ("terms", "correct"):
            chosen = getattr(self, name)
            allowed = ALL if name == "terms" else self.terms
            wrong = [term for term in chosen if term not in allowed]
            if wrong or not chosen or len(set(chosen)) < len(chosen):
                raise self.bad(
                    name, f"must be some of {', '.join(allowed)}, each once, not {', '.join(chosen) or 'none'}"
                )
        check_words(self, layout, "source", *(name for name in self.terms if name != "offset"))
        if "offset" in self.terms:
            layout.headers.column("offset")
        check_window(self, layout, "design_start_ms", "design_end_ms")

    def notes(self, layout: Layout) -> list[str]:
        live = np.subtract(*layout.live_window[::-1]) > 0
        first, end = self.design_window(layout)
        none = int(np.count_nonzero(live & (end <= first)))
        return [f"{none} live traces have no sample in the design window"] if none else []

    def measuring_order(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self.source, ()

    def design_window(self, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
        return guided_window(layout, self.design_start_ms, self.design_end_ms, self.velocity_m_per_s)

    def key_fields(self) -> list[tuple[str, str, tuple[int]]]:
        """Fields of a record that say which stations a trace belongs to."""
        return [(name, "f8", (1 if name == "offset" else len(getattr(self, name)),)) for name in self.terms]

    def keys(self, headers: Headers, term: str) -> np.ndarray:
        """What tells the stations of a term apart, float64 ``(n_traces, words)``."""
        if term == "offset":
            distance = np.abs(headers["offset"].astype(np.float64))
            return np.floor(distance / self.offset_bin_m)[:, None] * self.offset_bin_m
        return keys_of(headers, getattr(self, term))

    def words_of(self, term: str) -> tuple[str, ...]:
        """Names of the columns of `keys`."""
        return ("offset_m",) if term == "offset" else getattr(self, term)

    def stations_of(self, records: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """For each term its stations, and the station of every trace."""
        found = {term: stations(records[term]) for term in self.terms}
        return {term: keys for term, (keys, _) in found.items()}, {term: index for term, (_, index) in found.items()}

    def station(self, headers: Headers, term: str, table: dict[str, np.ndarray]) -> np.ndarray:
        """The row of a term's table for every trace."""
        held = np.stack([table[f"key_{number}"] for number in range(len(self.words_of(term)))], axis=1)
        return station_of(self.keys(headers, term), held)

    def table(self, term: str, keys: np.ndarray) -> dict[str, np.ndarray]:
        """The columns of a term's table that tell its stations apart; none for a term that was not solved for."""
        return {f"key_{number}": column for number, column in enumerate(keys.T)}
