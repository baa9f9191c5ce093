"""Header columns of a set of traces: stored as the file has them, seen in SI units."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from seisproc_core.data.words import DEAD, LIVE_END, LIVE_FIRST, TRACE_ID, WORDS, canonical, unknown_word, word
from seisproc_core.errors import HeaderError

TIME_SCALARS = [10.0**power for power in range(-4, 5)]


class LazyColumns(Mapping[str, np.ndarray]):
    """Columns that are loaded when first asked for, so that planning touches only what it needs."""

    def __init__(self, dtypes: Mapping[str, np.dtype], load: Callable[[str], np.ndarray]) -> None:
        self.dtypes = dict(dtypes)
        self._load = load
        self._loaded: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.dtypes:
            raise KeyError(name)
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self.dtypes  # `Mapping` would load the column to find out

    def __iter__(self) -> Iterator[str]:
        return iter(self.dtypes)

    def __len__(self) -> int:
        return len(self.dtypes)


class Headers:
    """The header words of `count` traces.

    ``headers["source_x"]`` is the word in SI units (float64 metres or seconds; identifiers and custom words keep their
    stored type). ``headers.column("source_x")`` is what the file holds. Immutable: every change
    returns a new object that shares the untouched columns.

    Parameters
    ----------
    columns
        Stored values by word, each of shape ``(count,)``.
    count
        Number of traces.
    length_factor
        Metres per stored unit of length (1 or 0.3048 ...).
    raw
        The untouched file headers, uint8 of shape ``(count, header bytes)``, or None.
    """

    def __init__(
        self,
        columns: Mapping[str, np.ndarray],
        count: int,
        *,
        length_factor: float = 1.0,
        raw: np.ndarray | None = None,
    ) -> None:
        self.columns = columns
        self.count = count
        self.length_factor = length_factor
        self.raw = raw

    def __len__(self) -> int:
        return self.count

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and canonical(name) in self.columns

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __getitem__(self, name: str) -> np.ndarray:
        name = canonical(name)
        column = self.column(name)
        factor = self._factor(name)
        return column if factor is None else column * factor

    def column(self, name: str) -> np.ndarray:
        """Stored values of a word, shape ``(count,)``; `HeaderError` when the survey has no such word."""
        name = canonical(name)
        try:
            return self.columns[name]
        except KeyError:
            raise unknown_word(name, sorted(self.columns)) from None

    def dtype(self, name: str) -> np.dtype:
        """Stored type of a word, without loading it."""
        if isinstance(self.columns, LazyColumns):
            return self.columns.dtypes[name]
        return self.columns[name].dtype

    @property
    def dtypes(self) -> Mapping[str, np.dtype]:
        """Stored type of every word, without loading any."""
        if isinstance(self.columns, LazyColumns):
            return self.columns.dtypes
        return {name: values.dtype for name, values in self.columns.items()}

    def _factor(self, name: str) -> np.ndarray | float | None:
        """What stored values are multiplied with to be SI; None where the stored value is the value."""
        kind = word(name).kind
        if kind == "plain":
            return None
        if kind == "length":
            return self.length_factor
        if kind == "time":
            # Bytes 215-216 hold other things in revision 0 and SU; only powers of ten are scalars.
            scalar = self._scalar("time_scalar")
            return 1e-3 * np.where(np.isin(scalar, TIME_SCALARS), scalar, 1.0)
        if kind == "elevation":
            return self.length_factor * self._scalar("elevation_scalar")
        return self.length_factor * self._scalar("coordinate_scalar")

    def _scalar(self, name: str) -> np.ndarray | float:
        """SEG-Y scalar rule: positive multiplies, negative divides, zero is one."""
        if name not in self.columns:
            return 1.0
        stored = self.columns[name].astype(np.float64)
        if len(stored) and (stored == stored[0]).all():  # as nearly always: one number to multiply with
            stored = stored[0]
        return np.where(stored > 0, stored, np.where(stored < 0, -1.0 / np.where(stored == 0, 1.0, stored), 1.0))

    def with_columns(self, **columns: np.ndarray) -> Headers:
        """New or replaced stored columns, each of shape ``(count,)``."""
        for name, values in columns.items():
            if values.shape != (self.count,):
                raise HeaderError(f"header word '{name}' needs {self.count} values, got shape {values.shape}")
        merged = {**self.columns, **columns} if not isinstance(self.columns, LazyColumns) else self._lazy_with(columns)
        return Headers(merged, self.count, length_factor=self.length_factor, raw=self.raw)

    def _lazy_with(self, columns: dict[str, np.ndarray]) -> LazyColumns:
        old = self.columns
        dtypes = {**self.dtypes, **{name: values.dtype for name, values in columns.items()}}
        return LazyColumns(dtypes, lambda name: columns[name] if name in columns else old[name])

    def with_values(self, name: str, values: np.ndarray) -> Headers:
        """Write a word from SI values: the inverse of its scalar; fails when the word cannot hold them."""
        name = canonical(name)
        factor = self._factor(name)
        stored = values if factor is None else values / factor
        dtype = self.dtype(name) if name in self.columns else word(name).dtype
        if dtype.kind in "iu":
            stored = np.rint(stored)
            limits = np.iinfo(dtype)
            bad = np.flatnonzero((stored < limits.min) | (stored > limits.max) | ~np.isfinite(stored))
            if bad.size:
                raise HeaderError(f"header word '{name}' cannot hold {values[bad[0]]} (trace {bad[0]}) as {dtype}")
        return self.with_columns(**{name: stored.astype(dtype)})

    def assign(self, name: str, values: np.ndarray) -> Headers:
        """Write a word from exact SI values; unlike `with_values` it never rounds.

        Words keep their type. A word of the dictionary that is an offset or another plain length becomes float64 where
        values are no whole numbers of the survey's unit; a custom word has the type of its values.

        Raises
        ------
        HeaderError
            The word is one that seisproc makes itself, or cannot hold a value exactly: names the first trace.
        """
        name = canonical(name)
        if name in (TRACE_ID, LIVE_FIRST, LIVE_END, DEAD):
            raise HeaderError(f"'{name}' is made by seisproc and cannot be assigned")
        entry, is_there = word(name), name in self.columns
        if name not in WORDS and not (is_there and self.dtype(name).kind != "u"):
            own = values.astype(np.uint8) if values.dtype == bool else values
            return self.with_columns(**{name: own})
        dtype = self.dtype(name) if is_there else entry.dtype
        factor = self._factor(name)
        stored = values.astype(np.float64) / factor if factor is not None else values
        if dtype.kind == "f" and values.dtype.kind == "f":
            return self.with_columns(**{name: stored.astype(dtype)})
        whole = stored if stored.dtype.kind in "iub" else np.rint(stored)
        exact = np.abs(stored - whole) <= 1e-6 if stored.dtype.kind == "f" else np.ones(len(stored), bool)
        if not exact.all() and (entry.kind == "length" or name not in WORDS):
            return self.with_columns(**{name: np.asarray(stored, np.float64)})
        if not exact.all():
            self._refuse_value(
                name, int(np.argmin(exact)), values, "lies between the values that it can hold: round it"
            )
        if dtype.kind == "f":
            return self.with_columns(**{name: whole.astype(dtype)})
        limits = np.iinfo(dtype)
        outside = (whole < limits.min) | (whole > limits.max)
        if outside.any():
            self._refuse_value(name, int(np.argmax(outside)), values, f"does not fit: it is stored as {dtype}")
        return self.with_columns(**{name: whole.astype(dtype)})

    def _refuse_value(self, name: str, row: int, values: np.ndarray, problem: str) -> None:
        hint = ""
        if (kind := word(name).kind) in ("coordinate", "elevation"):
            hint = f" or choose another {kind}_scalar"
        raise HeaderError(f"header word '{name}' of trace {row + 1} would be {values[row]}, which {problem}{hint}")

    def without(self, *names: str) -> Headers:
        """The same headers without some words."""
        gone = set(names)
        kept = {name: dtype for name, dtype in self.dtypes.items() if name not in gone}
        old = self.columns
        return Headers(LazyColumns(kept, lambda n: old[n]), self.count, length_factor=self.length_factor, raw=self.raw)

    def take(self, rows: np.ndarray | slice) -> Headers:
        """The headers of some rows, in that order; lazy columns stay lazy."""
        old = self.columns
        count = len(range(*rows.indices(self.count))) if isinstance(rows, slice) else len(rows)
        raw = None if self.raw is None else self.raw[rows]
        columns: Mapping[str, np.ndarray]
        if isinstance(old, LazyColumns):
            columns = LazyColumns(old.dtypes, lambda name: old[name][rows])
        else:
            columns = {name: values[rows] for name, values in old.items()}
        return Headers(columns, count, length_factor=self.length_factor, raw=raw)

    def combine(self, gather_starts: np.ndarray, rules: Mapping[str, str] | None = None) -> Headers:
        """One row per non-empty gather, each word by its combine rule.

        Parameters
        ----------
        gather_starts
            First row of each gather and the row count, shape ``(gathers + 1,)``.
        rules
            Rules that differ from the dictionary's.
        """
        full = np.diff(gather_starts) > 0
        starts = gather_starts[:-1][full]
        counts = np.diff(gather_starts)[full]
        given = rules or {}
        chosen = {name: given.get(name) or word(name).combine for name in self.columns}
        dtypes = {name: dtype for name, dtype in self.dtypes.items() if chosen[name] != "drop"}
        old = self.columns
        columns = LazyColumns(dtypes, lambda name: _combine(old[name], starts, counts, chosen[name]))
        raw = None if self.raw is None else self.raw[starts]
        return Headers(columns, len(starts), length_factor=self.length_factor, raw=raw)

    def loaded(self) -> Headers:
        """The same with every column in memory."""
        columns = {name: self.columns[name] for name in self.columns}
        return Headers(columns, self.count, length_factor=self.length_factor, raw=self.raw)

    @staticmethod
    def concatenate(parts: list[Headers]) -> Headers:
        """Rows of several headers with the same words, end to end."""
        first = parts[0]
        if len(parts) == 1:
            return first
        columns = {name: np.concatenate([p.columns[name] for p in parts]) for name in first.columns}
        raw = None if first.raw is None else np.concatenate([p.raw for p in parts if p.raw is not None])
        return Headers(columns, sum(p.count for p in parts), length_factor=first.length_factor, raw=raw)

    def live_window(self, n_samples: int) -> tuple[np.ndarray, np.ndarray]:
        """First live sample and one past the last, int64 ``(count,)`` each.

        Whole traces where nothing is noted; inside ``[0, n_samples]`` always; empty for dead traces.
        """
        if LIVE_FIRST not in self.columns:
            first, end = np.zeros(self.count, np.int64), np.full(self.count, n_samples, np.int64)
        else:
            first = np.minimum(np.maximum(self.columns[LIVE_FIRST].astype(np.int64), 0), n_samples)
            end = np.minimum(np.maximum(self.columns[LIVE_END].astype(np.int64), first), n_samples)
        if DEAD in self.columns:
            end = np.where(self.columns[DEAD] == 0, end, first)
        return first, end

    def with_live_window(self, first: np.ndarray, end: np.ndarray) -> Headers:
        """The same headers with new live windows."""
        return self.with_columns(**{LIVE_FIRST: first.astype(np.int32), LIVE_END: end.astype(np.int32)})


def _combine(values: np.ndarray, starts: np.ndarray, counts: np.ndarray, rule: str) -> np.ndarray:
    if rule == "first" or not len(starts):
        first: np.ndarray = values[starts]
        return first
    low: np.ndarray = np.minimum.reduceat(values, starts)
    high: np.ndarray = np.maximum.reduceat(values, starts)
    if rule in ("min", "max"):
        return low if rule == "min" else high
    if rule == "same":
        same: np.ndarray = np.where(low == high, low, np.zeros((), values.dtype))
        return same
    total = np.add.reduceat(values.astype(np.float64), starts)
    if rule == "mean":
        total = total / counts
    if values.dtype.kind in "iu":
        limits = np.iinfo(values.dtype)
        total = np.clip(np.rint(total), limits.min, limits.max)
    combined: np.ndarray = total.astype(values.dtype)
    return combined
