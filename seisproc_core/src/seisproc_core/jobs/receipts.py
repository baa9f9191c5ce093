"""Receipts of a stage by segment, of which only the places in the journal are held: a job may have millions."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, MutableMapping, Sequence

import numpy as np

from seisproc_core.execution.executor import Receipt

Read = Callable[[int, int], Sequence[Receipt]]


class Receipts(MutableMapping[int, Receipt]):
    """Receipts by segment number; each is read from the journal when it is asked for.

    About 40 bytes a segment that was loaded, 200 one that was added later.

    Parameters
    ----------
    read
        Gives the receipts of the record at an offset, with its length in bytes.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self._loaded = array("q")  # segment, offset, length, traces_in of each, while the journal is read
        self._table = np.empty((0, 4), np.int64)  # the same, the latest of each segment, sorted by segment
        self._later: dict[int, tuple[int, int, int]] = {}  # offset, length, traces_in
        self._gone = set[int]()  # in the table, but removed or replaced
        self._decoded: tuple[int, dict[int, Receipt]] = (-1, {})  # the record that was read last: it may hold many

    def load(self, rows: Sequence[int]) -> None:
        """Note receipts of the journal, while it is read: segment, offset, length, traces_in of each, end to end."""
        self._loaded.extend(rows)

    def loaded(self) -> None:
        """The journal was read to its end."""
        table = np.frombuffer(self._loaded, np.int64).reshape(-1, 4)
        _, latest = np.unique(table[::-1, 0], return_index=True)
        self._table = table[len(table) - 1 - latest]
        self._loaded = array("q")

    def add(self, segment: int, offset: int, length: int, traces_in: int) -> None:
        """Note a receipt that was appended to the journal."""
        if self._row(segment) is not None:
            self._gone.add(segment)
        self._later[segment] = (offset, length, traces_in)

    @property
    def traces_in(self) -> int:
        """Input traces of all receipts."""
        table = self._table
        if self._gone:
            table = table[~np.isin(table[:, 0], list(self._gone))]
        return int(table[:, 3].sum()) + sum(traces for _, _, traces in self._later.values())

    def missing(self, count: int) -> list[int]:
        """Those of segments ``0 ... count - 1`` that have no receipt, ascending."""
        left = np.ones(count, bool)
        there = self._table[:, 0]
        left[there[(there >= 0) & (there < count)]] = False
        left[[segment for segment in self._gone if 0 <= segment < count]] = True
        left[[segment for segment in self._later if 0 <= segment < count]] = False
        found: list[int] = np.flatnonzero(left).tolist()
        return found

    def __getitem__(self, segment: int) -> Receipt:
        offset, length = self._place(segment)
        if self._decoded[0] != offset:
            self._decoded = (offset, {receipt.segment: receipt for receipt in self._read(offset, length)})
        return self._decoded[1][segment]

    def __setitem__(self, segment: int, receipt: Receipt) -> None:
        raise TypeError("receipts come from the journal")

    def __delitem__(self, segment: int) -> None:
        self._place(segment)
        if self._later.pop(segment, None) is None:
            self._gone.add(segment)

    def __contains__(self, segment: object) -> bool:
        return isinstance(segment, int) and (
            segment in self._later or (segment not in self._gone and self._row(segment) is not None)
        )

    def __iter__(self) -> Iterator[int]:
        for segment in self._table[:, 0].tolist():
            if segment not in self._gone:
                yield segment
        yield from list(self._later)

    def __len__(self) -> int:
        return len(self._table) - len(self._gone) + len(self._later)

    def _place(self, segment: int) -> tuple[int, int]:
        """Offset and length of the record with a segment's receipt."""
        if segment in self._later:
            return self._later[segment][:2]
        row = None if segment in self._gone else self._row(segment)
        if row is None:
            raise KeyError(segment)
        return int(self._table[row, 1]), int(self._table[row, 2])

    def _row(self, segment: int) -> int | None:
        row = int(np.searchsorted(self._table[:, 0], segment))
        return row if row < len(self._table) and self._table[row, 0] == segment else None
