"""Matching traces with rows of tables by several words, vectorised, and listing what does not match."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NONE = -1
MOST_LISTED = 10


class Keys:
    """Rows of a table by their keys.

    Parameters
    ----------
    columns
        One float64 array per key, each ``(rows,)``.
    """

    def __init__(self, columns: Sequence[np.ndarray]) -> None:
        self._values = [np.unique(column) for column in columns]
        codes = self._codes(columns)
        self._order = np.argsort(codes, kind="stable")
        self._sorted = codes[self._order]

    def _codes(self, columns: Sequence[np.ndarray]) -> np.ndarray:
        """One integer per combination of key values; -1 where a value is in no row."""
        code = np.zeros(len(columns[0]), np.int64)
        if not all(len(values) for values in self._values):
            return code + NONE
        known = np.ones(len(columns[0]), bool)
        for values, column in zip(self._values, columns, strict=True):
            place = np.searchsorted(values, column)
            place[place == len(values)] = 0
            known &= values[place] == column
            code = code * len(values) + place
        return np.where(known, code, NONE)

    def duplicates(self) -> np.ndarray:
        """Rows whose key another row before them has."""
        repeated = np.flatnonzero(self._sorted[1:] == self._sorted[:-1]) + 1
        return np.sort(self._order[repeated])

    def find(self, columns: Sequence[np.ndarray]) -> np.ndarray:
        """The row with those keys, the first of several; `NONE` where there is none. int64, shape of the columns."""
        codes = self._codes(columns)
        if not len(self._sorted):
            return codes
        place = np.searchsorted(self._sorted, codes)
        place[place == len(self._sorted)] = 0
        found: np.ndarray = np.where(self._sorted[place] == codes, self._order[place], NONE)
        return found


def listed(names: Sequence[str], columns: Sequence[np.ndarray], rows: np.ndarray) -> str:
    """The first ten different key combinations of some rows: ``field_record 7 channel 1, ...``."""
    shown: dict[str, None] = {}
    for row in rows:
        text = " ".join(f"{name} {_number(column[row])}" for name, column in zip(names, columns, strict=True))
        shown[text] = None
        if len(shown) > MOST_LISTED:
            break
    texts = list(shown)
    return ", ".join(texts[:MOST_LISTED]) + (", ..." if len(texts) > MOST_LISTED else "")


def _number(value: np.generic) -> str:
    number = float(value)
    return str(int(number)) if number.is_integer() else f"{number:g}"
