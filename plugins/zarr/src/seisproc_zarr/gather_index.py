"""Gather indexes: which rows make up each gather of a survey, by the values of some header words."""

from __future__ import annotations

import io
from collections.abc import Sequence

import attrs
import numpy as np

from seisproc_core.data.survey import Piece
from seisproc_core.data.words import TRACE_ID, canonical
from seisproc_core.errors import UsageError
from seisproc_zarr.columns import HeaderReader, encode_table
from seisproc_zarr.folder import Folder
from seisproc_zarr.layout import Description


@attrs.frozen(eq=False)
class GatherIndex:
    """The gathers of a survey over some header words, in ascending order of their values.

    Attributes
    ----------
    words
        The header words.
    order
        Row numbers, gather after gather, ``trace_id`` ascending within one: int64 ``(n_traces,)``.
    starts
        First position in `order` of each gather and the row count: int64 ``(gathers + 1,)``.
    """

    words: tuple[str, ...]
    order: np.ndarray
    starts: np.ndarray

    def rows(self, gather: int) -> np.ndarray:
        """Row numbers of one gather, int64."""
        return self.order[self.starts[gather] : self.starts[gather + 1]]


def index_pieces(headers: HeaderReader, about: Description, words: tuple[str, ...]) -> list[Piece]:
    """The files of one index: ``order.npy``, ``starts.npy`` and ``keys.parquet`` with one row per gather."""
    keys = {word: headers.column(word) for word in words}
    order = _order(headers, about, list(keys.values()))
    new = np.zeros(max(len(order) - 1, 0), bool)
    for word in words:  # one after the other: a survey may have a hundred million traces
        keys[word] = keys[word][order]
        new |= keys[word][1:] != keys[word][:-1]
    first = np.concatenate(([0], np.flatnonzero(new) + 1)).astype(np.int64)[: len(order)]
    table = encode_table({word: values[first] for word, values in keys.items()})
    starts = np.append(first, np.int64(len(order)))
    return [
        Piece(about.index_key(words, "order.npy"), _npy(order)),
        Piece(about.index_key(words, "starts.npy"), _npy(starts)),
        Piece(about.index_key(words, "keys.parquet"), table),
    ]


def _order(headers: HeaderReader, about: Description, keys: list[np.ndarray]) -> np.ndarray:
    last = [headers.column(TRACE_ID)] if TRACE_ID in about.words else []
    return np.lexsort((*last, *reversed(keys))).astype(np.int64, copy=False)


def read_index(folder: Folder, about: Description, words: Sequence[str]) -> GatherIndex:
    """One of the survey's indexes; `UsageError` where it has none over these words."""
    wanted = tuple(canonical(word) for word in words)
    if wanted not in about.index:
        there = "; ".join(", ".join(words) for words in about.index) or "none"
        raise UsageError(f"{folder.path} has no gather index over {', '.join(wanted)} (it has: {there})")
    count = about.grid.n_rows
    order = _load(folder, about.index_key(wanted, "order.npy"), count)
    starts = _load(folder, about.index_key(wanted, "starts.npy"), count + 1)
    rising = len(starts) > 0 and starts[0] == 0 and starts[-1] == count and (np.diff(starts) > 0).all()
    if len(order) != count or not rising or (count and (order.min() < 0 or order.max() >= count)):
        raise folder.corrupt(about.index_key(wanted, "order.npy"), "does not fit the survey")
    return GatherIndex(wanted, order, starts)


def _npy(values: np.ndarray) -> np.ndarray:
    """The bytes of a ``.npy`` file of int64."""
    values = values.astype("<i8", copy=False)
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(values))
    return np.concatenate((np.frombuffer(head.getvalue(), np.uint8), values.view(np.uint8)))


def _load(folder: Folder, key: str, most: int) -> np.ndarray:
    data = folder.bytes(key, 4096 + 8 * most)
    source = io.BytesIO(data)
    try:
        if np.lib.format.read_magic(source) != (1, 0):
            raise ValueError("unknown version")
        shape, _, dtype = np.lib.format.read_array_header_1_0(source)
        rest = data[source.tell() :]
        if dtype != np.dtype("<i8") or len(shape) != 1 or len(rest) != 8 * shape[0]:
            raise ValueError("not a list of row numbers")
    except ValueError as error:
        raise folder.corrupt(key, f"cannot be read ({error})") from None
    return np.frombuffer(rest, "<i8")
