"""How a survey is ordered on disk: by which words it is sorted, and which gathers stand together."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from seisproc_core.data.headers import Headers

GATHER_WORDS = ("field_record", "source_station", "shotpoint", "channel", "offset", "cdp", "inline", "crossline")


@attrs.frozen
class StoredOrder:
    """What `stored_order` found.

    Attributes
    ----------
    sorted_by
        Words by which the rows ascend, the first one first; empty where there is none.
    contiguous
        Words whose gathers each stand in one stretch of rows: reading one of them is one read.
    """

    sorted_by: tuple[str, ...]
    contiguous: tuple[str, ...]


def stored_order(headers: Headers, words: Sequence[str] = GATHER_WORDS) -> StoredOrder:
    """Look at the order of rows in the words that make gathers; those that are absent or constant say nothing.

    Costs a pass over each of these columns.
    """
    columns = {name: headers.column(name) for name in words if name in headers}
    telling = {name: column for name, column in columns.items() if len(column) and (column != column[0]).any()}
    contiguous = [name for name, column in telling.items() if _runs(column) == len(np.unique(column)) < len(column)]
    found: list[str] = []
    same = np.ones(max(headers.count - 1, 0), bool)  # neighbours that are equal in all words found so far
    while same.any() or not found:
        step = {name: np.diff(column.astype(np.float64)) for name, column in telling.items() if name not in found}
        # The word that ascends within the gathers found so far, and there changes the least: the outermost.
        rising = [name for name, d in step.items() if (d[same] >= 0).all() and (d[same] > 0).any()]
        if not rising:
            break
        name = min(rising, key=lambda word: int((step[word][same] > 0).sum()))
        found.append(name)
        same &= step[name] == 0
    return StoredOrder(tuple(found), tuple(contiguous))


def _runs(column: np.ndarray) -> int:
    return 1 + int((column[1:] != column[:-1]).sum())
