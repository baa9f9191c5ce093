"""Orders of rows: gathers by header words, and the rows of one survey that belong to those of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seisproc_core.data.headers import Headers
from seisproc_core.data.words import TRACE_ID, word


def gather_order(
    headers: Headers, gather: tuple[str, ...], sort: tuple[str, ...]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The total order of rows, and where gathers start in it.

    Returns
    -------
    order
        Rows in gather order, int64; None where that is the stored order.
    starts
        First position of each gather and the row count, int64; None without gather words.
    """
    if not gather and not sort:
        return None, None
    columns = [_sort_column(headers, name) for name in (*gather, *sort)]
    order = np.lexsort((headers.column(TRACE_ID), *reversed(columns)))
    starts = None
    if gather:
        change = np.zeros(len(order), bool)
        change[0] = True
        for column in columns[: len(gather)]:
            ordered = column[order]
            change[1:] |= ordered[1:] != ordered[:-1]
        starts = np.append(np.flatnonzero(change), len(order))
    identity = np.array_equal(order, np.arange(len(order)))
    return (None if identity else order), starts


def _sort_column(headers: Headers, name: str) -> np.ndarray:
    column = headers.column(name.removeprefix("-"))
    if not name.startswith("-"):
        return column
    return -column.astype(np.float64 if column.dtype.kind == "f" else np.int64)


NONE, SEVERAL = -1, -2


def match_rows(wanted: Headers, held: Headers, words: Sequence[str]) -> np.ndarray:
    """For every row of one survey the row of another that has the same header words.

    Parameters
    ----------
    wanted, held
        Headers of the traces to find a partner for, and of those to find it among.
    words
        Header words that must agree: identifiers exactly, lengths and times to a millionth of a metre or second.

    Returns
    -------
    numpy.ndarray
        Rows of `held`, int64 ``(wanted.count,)``: `NONE` where there is none, `SEVERAL` where there are several.
    """
    ours, theirs = np.zeros(wanted.count, np.int64), np.zeros(held.count, np.int64)
    for name in words:
        values = np.concatenate([_key(wanted, name), _key(held, name)])
        _, code = np.unique(values, return_inverse=True)
        both = np.concatenate([ours, theirs]) * (int(code.max(initial=0)) + 1) + code
        _, both = np.unique(both, return_inverse=True)  # numbers that stay small, however many words
        ours, theirs = both[: wanted.count], both[wanted.count :]
    order = np.argsort(theirs, kind="stable")
    ordered = theirs[order]
    first, end = np.searchsorted(ordered, ours, "left"), np.searchsorted(ordered, ours, "right")
    found = np.full(wanted.count, NONE, np.int64)
    found[end > first] = order[first[end > first]]
    found[end - first > 1] = SEVERAL
    return found


def _key(headers: Headers, name: str) -> np.ndarray:
    stored = headers.column(name)
    return stored if word(name).kind == "plain" else np.round(headers[name].astype(np.float64), 6)
