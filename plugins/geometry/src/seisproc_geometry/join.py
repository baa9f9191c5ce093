"""The step `join`: header words from a table, matched on other header words."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import attrs
import numpy as np

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.data.headers import Headers
from seisproc_core.data.scalars import with_scalar
from seisproc_core.data.tables import Table
from seisproc_core.data.words import WORDS, canonical
from seisproc_core.errors import HeaderError
from seisproc_core.processing.claims import Claims
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_geometry.header_math import Scalar
from seisproc_geometry.keys import NONE, Keys, listed
from seisproc_geometry.remembering import once
from seisproc_geometry.textfiles import read_text_table
from seisproc_geometry.units import LengthUnit, in_si, metres

_TYPES = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "f4", "f8")


@processor(
    "join",
    scope="trace",
    headers_only=True,
    claims=Claims(
        examples=(
            {
                "table": {"FFID": [100, 101], "CHAN": [2, 4], "X": [1010.5, 1020.5], "ELEV": [91.5, 92.5]},
                "on": {"field_record": "FFID"},
                "words": {"source_x": "X", "source_elevation": "ELEV"},
                "coordinate_scalar": -10,
                "elevation_scalar": -10,
                "unmatched": "keep",
            },
            {
                "table": {"CHAN": [1, 2, 4], "DEPTH": [3, 5, 4]},
                "on": {"channel": "CHAN"},
                "words": {"hole_depth": "DEPTH:f4"},
                "unmatched": "keep",
                "fill": {"hole_depth": 0},
                "length_unit": "ft",
            },
        ),
        inert={"file": "the table in a file; it is read while planning"},
        linear=True,
    ),
)
class Join(Processor):
    """Take header words from a table (CSV or Parquet), matched on other header words; nothing is guessed.

    ``on = { field_record = "FFID", channel = "CHAN" }`` says which columns are which words, ``words = {
    receiver_elevation = "elev", hole_depth = "depth:f4" }`` which words to take from which columns, custom ones with
    their type. Lengths are in the survey's unit (or `length_unit`), times in milliseconds.

    Rows with the same key are an error. Traces without a row are an error too, or, with ``unmatched = "keep"``, keep
    what they have; a word they do not have needs a `fill`. Both are listed: how many, and the first ten. So are rows
    without a trace, which do no harm. A trace with key k gets word = column[row], row the only one whose key = k.

    Not for values between rows (statics or velocities between stations), which nothing interpolates here; nor for what
    other words determine: `header_math`.

    Source: the equi-join of Codd, A relational model of data for large shared data banks, Communications of the ACM 13
    (1970), 377-387.
    """

    file: Path | None = param(None, help="The table: .csv (names in the first line) or .parquet.")
    table: Table | None = param(None, help="The table inline, instead of a file.", keys=("*",))
    on: dict[str, str] = param(help="Column to match, by header word.")
    words: dict[str, str] = param(
        help='Column to take, by header word; "column:type" for custom words (f8 if left out).'
    )
    unmatched: Literal["error", "keep"] = param("error", help="What to do with traces that have no row.")
    fill: dict[str, float] | None = param(None, help="Values for traces without a row, by word, in the table's units.")
    length_unit: LengthUnit | None = param(None, help="Unit of lengths in the table; the survey's if left out.")
    coordinate_scalar: Scalar | None = param(None, help="Store coordinates with this SEG-Y scalar.")
    elevation_scalar: Scalar | None = param(None, help="Store elevations and depths with this SEG-Y scalar.")

    def resolve(self, layout: Layout) -> Join:
        """Read the file: the plan holds the columns that are needed, under the names of their words."""
        if (self.file is None) == (self.table is None):
            raise self.bad("file", "or an inline table must be given, and not both")
        if not self.on or not self.words:
            raise self.bad("on" if not self.on else "words", "must name at least one header word and its column")
        wanted = {word: column.partition(":")[0] for word, column in (self.on | self.words).items()}
        if set(self.on) & set(self.words):
            raise self.bad("words", f"may not take '{min(set(self.on) & set(self.words))}', which is matched on")
        if self.file is not None:
            held = read_text_table(self.file)
            columns = {canonical(word): held.number(column) for word, column in wanted.items()}
        else:
            assert self.table is not None
            missing = [column for column in wanted.values() if column not in self.table]
            if missing:
                raise self.bad("table", f"has no column '{missing[0]}'; it has {', '.join(self.table.columns)}")
            columns = {canonical(word): self.table[column] for word, column in wanted.items()}
        types = {canonical(word): column.partition(":")[2] for word, column in self.words.items()}
        return self.replaced(
            file=None,
            table=Table(columns),
            on={canonical(word): canonical(word) for word in self.on},
            words={word: f"{word}:{type_}" if type_ else word for word, type_ in types.items()},
            fill={canonical(word): value for word, value in (self.fill or {}).items()},
        )

    def check(self, layout: Layout) -> None:
        headers, table = layout.headers, self._table
        for word, column in self.words.items():
            type_ = column.partition(":")[2]
            if type_ and (type_ not in _TYPES or word in WORDS):
                problem = "has a type of its own" if word in WORDS else f"may be {' '.join(_TYPES)}"
                raise self.bad("words", f"gives '{word}' the type {type_}; it {problem}")
        repeated = self._keys.duplicates()
        if repeated.size:
            keys = [table[word] for word in self.on]
            raise self.bad(
                "file", f"has {repeated.size} rows with the key of another: {listed(list(self.on), keys, repeated)}"
            )
        without = np.flatnonzero(self._rows(headers) == NONE)
        if without.size and self.unmatched == "error":
            raise self.bad(
                "unmatched", f'is error, and {self._without(headers, without)}; unmatched = "keep" lets them be'
            )
        for word in self.words if without.size else ():
            if word not in headers and word not in (self.fill or {}):
                raise self.bad(
                    "fill", f"must give '{word}' for traces without a row: {self._without(headers, without)}"
                )

    def notes(self, layout: Layout) -> list[str]:
        rows = self._rows(layout.headers)
        without = np.flatnonzero(rows == NONE)
        notes = [self._without(layout.headers, without)] if without.size else []
        unused = np.ones(len(self._table), bool)
        unused[rows[rows != NONE]] = False
        if unused.any():
            found = listed(list(self.on), [self._table[word] for word in self.on], np.flatnonzero(unused))
            notes.append(f"{np.count_nonzero(unused)} of {len(self._table)} rows match no trace: {found}")
        return notes

    def plan(self, layout: Layout) -> Layout:
        return attrs.evolve(layout, headers=self._joined(layout.headers))

    def apply(self, batch: Gather, context: Context) -> Gather:
        return batch.with_headers(self._joined(batch.headers))

    @property
    def _table(self) -> Table:
        assert self.table is not None
        return self.table

    @property
    def _keys(self) -> Keys:
        # Sorting the table once per step and process, not once per batch.
        held: Keys | None = getattr(self, "_cached", None)
        if held is None:
            held = Keys([self._table[word] for word in self.on])
            object.__setattr__(self, "_cached", held)
        return held

    def _rows(self, headers: Headers) -> np.ndarray:
        def find() -> np.ndarray:
            return self._keys.find([headers.column(word).astype(np.float64) for word in self.on])

        return once(self, "rows", headers, find)

    def _without(self, headers: Headers, rows: np.ndarray) -> str:
        found = listed(list(self.on), [headers.column(word) for word in self.on], rows)
        return f"{rows.size} of {len(headers)} traces have no row: {found}"

    def _joined(self, headers: Headers) -> Headers:
        rows, unit_m = self._rows(headers), metres(self.length_unit, headers)
        if self.coordinate_scalar is not None:
            headers = with_scalar(headers, "coordinate_scalar", self.coordinate_scalar)
        if self.elevation_scalar is not None:
            headers = with_scalar(headers, "elevation_scalar", self.elevation_scalar)
        for word, column in self.words.items():
            values = in_si(word, self._table[word][rows], unit_m)
            if (rows == NONE).any():
                values = np.where(rows == NONE, self._others(headers, word, unit_m), values)
            headers = self._assigned(headers, word, values, column.partition(":")[2])
        return headers

    def _others(self, headers: Headers, word: str, unit_m: float) -> np.ndarray:
        """What traces without a row get."""
        if self.fill is not None and word in self.fill:
            return np.broadcast_to(in_si(word, np.array([self.fill[word]]), unit_m), len(headers))
        return headers[word]

    def _assigned(self, headers: Headers, word: str, values: np.ndarray, type_: str) -> Headers:
        try:
            if word in WORDS:
                return headers.assign(word, values)
            cast = values.astype(type_ or "f8")
            wrong = np.flatnonzero(cast != values) if cast.dtype.kind in "iu" else np.array([], np.int64)
            if wrong.size:
                raise HeaderError(
                    f"trace {wrong[0] + 1} would have {word} {values[wrong[0]]:g}, which {type_} does not hold"
                )
            return headers.with_columns(**{word: cast})
        except HeaderError as error:
            raise self.bad("words", f"cannot be stored: {error}") from None
