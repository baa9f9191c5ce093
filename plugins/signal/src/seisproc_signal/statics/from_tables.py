"""Statics that were computed elsewhere, from tables of sources and receivers."""

from __future__ import annotations

import attrs
import numpy as np

from seisproc_core.data.datum import Datum
from seisproc_core.data.gather import Gather, Layout
from seisproc_core.data.tables import Table
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_signal import claims
from seisproc_signal.statics import words
from seisproc_signal.statics.stations import rows_of, stations
from seisproc_signal.windows import with_live_words

DATUM = ("datum_m", "replacement_m_per_s")


@processor("apply_statics", scope="trace", kernels=("convolve",), claims=claims.APPLY_STATICS)
class ApplyStatics(Processor):
    """Statics from tables: y(t) = x(t - s - r), s from the table of sources, r from that of receivers.

    A table has the column `static_ms`, positive later, and one or more columns of header words that say which traces a
    row is for (`source_station`, or `source_x` and `source_y`). A station without a row is an error, or with
    ``missing_ms`` gets that. The columns `datum_m` and `replacement_m_per_s`, one value throughout, say what datum the
    statics lead to. A survey without a datum takes it; at another datum, or at a floating one, the table is refused.

    Words: `source_static_ms`, `receiver_static_ms`, `total_static_ms`, and `<name>_static_ms`, whose presence refuses a
    second time. For statics that stand in header words use `shift`.

    Not for statics that residual statics or elevation statics of the same survey have applied already.

    Source: Cox, Static Corrections for Seismic Reflection Surveys (SEG, 1999), chapter 2, for signs and datums.
    """

    source: Table | None = param(None, help="Statics of sources by header words.", columns=("static_ms",), keys=("*",))
    receiver: Table | None = param(
        None, help="Statics of receivers by header words.", columns=("static_ms",), keys=("*",)
    )
    missing_ms: float | None = param(None, help="Static of stations without a row; an error without.", unit="ms")
    name: str = param("table", help="What these statics are called in header words.")

    def check(self, layout: Layout) -> None:
        words.refuse_twice(self, layout, self.name)
        if self.source is None and self.receiver is None:
            raise self.bad("source", "or 'receiver' must be given")
        stated = self._datum()
        if stated is not None and layout.datum is not None and stated != layout.datum:
            raise self.bad(
                "source" if self.source is not None else "receiver", f"is for {stated}; the survey is at {layout.datum}"
            )
        self._terms_ms(layout)

    def plan(self, layout: Layout) -> Layout:
        terms_ms = self._terms_ms(layout)
        move_ms = terms_ms["source"] + terms_ms["receiver"]
        headers = words.noted(with_live_words(layout).headers, self.name, move_ms, **terms_ms)
        return attrs.evolve(layout, headers=headers, datum=layout.datum or self._datum())

    def apply(self, batch: Gather, context: Context) -> Gather:
        terms_ms = self._terms_ms(batch)
        return words.applied(batch, self.name, terms_ms["source"] + terms_ms["receiver"], context, **terms_ms)

    def _terms_ms(self, layout: Layout) -> dict[str, np.ndarray]:
        """Static of source and receiver of every trace, ms."""
        return {side: self._static_ms(layout, side) for side in ("source", "receiver")}

    def _datum(self) -> Datum | None:
        """The datum that the tables name."""
        found = None
        for side, table in (("source", self.source), ("receiver", self.receiver)):
            if table is None or not any(name in table for name in DATUM):
                continue
            values = [np.unique(table[name]) if name in table else np.zeros(0) for name in DATUM]
            if any(len(value) != 1 for value in values):
                raise self.bad(side, f"needs the columns {' and '.join(DATUM)} together, each with one value")
            datum = Datum(float(values[0][0]), float(values[1][0]))
            if found not in (None, datum):
                raise self.bad(side, f"is for {datum}, the sources' for {found}")
            found = datum
        return found

    def _static_ms(self, layout: Layout, side: str) -> np.ndarray:
        table = self.source if side == "source" else self.receiver
        if table is None:
            return np.zeros(layout.n_traces)
        names = tuple(name for name in table.columns if name not in ("static_ms", *DATUM))
        if not names:
            raise self.bad(side, "needs columns of header words that say which traces its rows are for")
        held, _ = stations(np.stack([table[name] for name in names], axis=1))
        if len(held) < len(table):
            raise self.bad(side, f"has several rows for the same {', '.join(names)}")
        row, lacking = rows_of(table, names, layout.headers)
        if lacking and self.missing_ms is None:
            raise self.bad(side, f"has no row for {lacking}; missing_ms says what such stations get")
        return np.where(row < 0, self.missing_ms or 0.0, table["static_ms"][row])
