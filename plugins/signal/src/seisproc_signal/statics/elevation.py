"""Elevation statics: from the surface to a floating datum, and from there to the final one."""

from __future__ import annotations

from typing import Literal

import attrs
import numpy as np

from seisproc_core.data.datum import Datum
from seisproc_core.data.gather import Gather, Layout
from seisproc_core.data.tables import Table
from seisproc_core.errors import FlowError
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_signal import claims
from seisproc_signal.statics import words
from seisproc_signal.statics.stations import check_words, keys_of, rows_of, stations
from seisproc_signal.windows import with_live_words


@processor("elevation_statics", scope="trace", kernels=("convolve",), claims=claims.ELEVATION_STATICS)
class ElevationStatics(Processor):
    """Elevation statics: times as if sources and receivers stood on a datum, with one velocity below it.

    For elevation E, source depth z, datum D and replacement velocity V the corrections, added to times, are
    t_s = (D - E_s + z_s) / V and t_r = (D - E_r) / V. With `weathering_m_per_s` (v), uphole times t_u (words
    `source_uphole`, `receiver_uphole`) give the thickness of the weathering, v t_u, which is replaced:
    t = (D - E + v t_u) / V - t_u; for sources only where they stand at the surface, as buried ones are below it.

    The sum t_s + t_r moves reflections away from the surface that NMO must start from. So by default (``to =
    "floating"``) the mean of t_s + t_r over the traces of each CMP, smoothed over `smoothing_gathers`, is held back in
    `cmp_static_ms`: traces move by t_s + t_r - t_cmp only, to the floating datum. `final_datum` adds it after NMO or
    stack. ``to = "final"`` moves everything at once.

    Words, in ms with their fraction: `source_static_ms`, `receiver_static_ms`, `cmp_static_ms`, `total_static_ms` =
    source + receiver - cmp is what moved the trace. The datum and V belong to the survey from here on: a second
    application is refused, and so are tables of statics for another datum.

    Not where velocities near the surface change along the line (refraction statics), or where rays are far from
    vertical near the surface.

    Source: Cox, Static Corrections for Seismic Reflection Surveys (SEG, 1999), chapters 2 and 5; Yilmaz, Seismic Data
    Analysis (SEG, 2001), section 3.3.
    """

    datum_m: float = param(help="Elevation of the final datum.", unit="m")
    replacement_m_per_s: float = param(help="Velocity between surface and datum.", unit="m/s", above=0)
    weathering_m_per_s: float | None = param(
        None,
        help="Velocity of the weathering that uphole times cross; without it they are not used.",
        unit="m/s",
        above=0,
    )
    to: Literal["floating", "final"] = param("floating", help="Where traces go now.")
    gather: tuple[str, ...] = param(("cdp",), help="Header words of CMPs.")
    smoothing_gathers: int = param(21, help="CMPs in the running mean that is the floating datum; odd.", minimum=1)
    cmp_statics: Table | None = param(
        None, help="CMP term by the words of `gather`; else the mean.", columns=("static_ms",), keys=("*",)
    )

    def resolve(self, layout: Layout) -> Processor:
        if self.to == "final" or self.cmp_statics is not None:
            return self
        check_words(self, layout, "gather")
        keys, index = stations(keys_of(layout.headers, self.gather))
        total = np.add(*self._terms_ms(layout))
        mean = np.bincount(index, total) / np.bincount(index)
        columns = dict(zip(self.gather, keys.T, strict=True))
        return self.replaced(cmp_statics=Table({**columns, "static_ms": _running_mean(mean, self.smoothing_gathers)}))

    def check(self, layout: Layout) -> None:
        if layout.datum is not None:
            raise self.bad("datum_m", f"cannot be applied: the survey is at {layout.datum}; this is done once")
        words.refuse_twice(self, layout, "elevation", "datum_m")
        if self.smoothing_gathers % 2 == 0:
            raise self.bad("smoothing_gathers", f"must be odd, not {self.smoothing_gathers}")
        most = float(np.abs(self._move_ms(layout)[0]).max(initial=0))
        if most > 1000 * layout.sampling.interval_s * layout.n_samples:
            raise self.bad("datum_m", f"moves traces by up to {most:.0f} ms, more than they are long")

    def notes(self, layout: Layout) -> list[str]:
        if not layout.n_traces:
            return []
        source_ms, receiver_ms = self._terms_ms(layout)
        ranges = (
            f"{side} {ms.min():.1f} to {ms.max():.1f} ms"
            for side, ms in (("source", source_ms), ("receiver", receiver_ms))
        )
        flat = not any(layout.headers[word].any() for word in ("source_elevation", "receiver_elevation"))
        return [f"statics: {', '.join(ranges)}", *(["all elevations are 0"] if flat else [])]

    def plan(self, layout: Layout) -> Layout:
        datum = Datum(self.datum_m, self.replacement_m_per_s, floating=self.to == "floating")
        move_ms, terms_ms = self._move_ms(layout)
        headers = words.noted(with_live_words(layout).headers, "elevation", move_ms, **terms_ms)
        return attrs.evolve(layout, headers=headers, datum=datum)

    def apply(self, batch: Gather, context: Context) -> Gather:
        move_ms, terms_ms = self._move_ms(batch)
        return words.applied(batch, "elevation", move_ms, context, **terms_ms)

    def _move_ms(self, layout: Layout) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """What moves every trace, ms, and its terms."""
        source_ms, receiver_ms = self._terms_ms(layout)
        cmp_ms = self._cmp_ms(layout) if self.to == "floating" else np.zeros(layout.n_traces)
        return source_ms + receiver_ms - cmp_ms, {"source": source_ms, "receiver": receiver_ms, "cmp": cmp_ms}

    def _terms_ms(self, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
        """Static of the source and of the receiver of every trace, ms."""
        headers = layout.headers
        depth = headers["source_depth"] if "source_depth" in headers else np.zeros(headers.count)
        found = []
        for side, below in (("source", depth), ("receiver", np.zeros(headers.count))):
            rise = self.datum_m - headers[f"{side}_elevation"] + below
            weathered = np.zeros(headers.count)
            if self.weathering_m_per_s is not None:
                weathered = np.where(below > 0, 0.0, headers[f"{side}_uphole"])
                rise = rise + self.weathering_m_per_s * weathered
            found.append(1000 * (rise / self.replacement_m_per_s - weathered))
        return found[0], found[1]

    def _cmp_ms(self, layout: Layout) -> np.ndarray:
        """CMP term of every trace, ms."""
        table = self.cmp_statics
        assert table is not None  # `resolve` saw to it
        missing = [name for name in self.gather if name not in table]
        if missing:
            raise self.bad("cmp_statics", f"needs the column {missing[0]}")
        row, lacking = rows_of(table, self.gather, layout.headers)
        if lacking:
            raise self.bad("cmp_statics", f"has no row for {lacking}")
        return np.asarray(table["static_ms"][row])


def _running_mean(values: np.ndarray, count: int) -> np.ndarray:
    """Mean over `count` neighbours, fewer at the ends but always as many on either side."""
    reach = np.minimum(count // 2, np.minimum(np.arange(len(values)), np.arange(len(values))[::-1]))
    total = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    return np.asarray((total[at + reach + 1] - total[at - reach]) / (2 * reach + 1))


@processor("final_datum", scope="trace", kernels=("convolve",), claims=claims.FINAL_DATUM)
class FinalDatum(Processor):
    """Move traces from the floating to the final datum: by what `elevation_statics` held back for their CMP.

    y(t) = x(t - s), s the trace's word `cmp_static_ms`, which is 0 afterwards; `final_datum_static_ms` holds it. On
    gathers after NMO, or on a stack, whose traces keep the word as all traces of a CMP share it.

    Not before NMO or velocity analysis: they count from the surface. Refused on a survey that is not at a floating
    datum, so also a second time.

    Source: Cox, Static Corrections for Seismic Reflection Surveys (SEG, 1999), chapter 2.
    """

    def check(self, layout: Layout) -> None:
        if layout.datum is None or not layout.datum.floating:
            at = "no datum" if layout.datum is None else str(layout.datum)
            wanted = "this step wants what elevation_statics moved to a floating datum"
            raise FlowError(f"step 'final_datum': the survey is at {at}; {wanted}")
        layout.headers.column(words.CMP)

    def plan(self, layout: Layout) -> Layout:
        move_ms = layout.headers[words.CMP].astype(np.float64)
        headers = words.noted(with_live_words(layout).headers, "final_datum", move_ms, cmp=-move_ms)
        datum = attrs.evolve(layout.datum, floating=False) if layout.datum else None
        return attrs.evolve(layout, headers=headers, datum=datum)

    def apply(self, batch: Gather, context: Context) -> Gather:
        move_ms = batch.headers[words.CMP].astype(np.float64)
        return words.applied(batch, "final_datum", move_ms, context, cmp=-move_ms)
