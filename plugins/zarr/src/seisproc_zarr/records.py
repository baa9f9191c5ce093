"""Header words by trace: packed records, so that reading the headers of some traces costs what those traces cost."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from seisproc_core.data.headers import Headers, LazyColumns
from seisproc_core.errors import HeaderError
from seisproc_zarr.layout import Description

Columns = dict[str, np.ndarray]


def check_words(words: Mapping[str, np.dtype]) -> str | None:
    """What is wrong with the types of header columns; None where nothing is."""
    if not words:
        return "it has no header words"
    for name, dtype in words.items():
        if dtype.kind not in "iuf" or dtype.itemsize not in (1, 2, 4, 8) or dtype == np.float16:
            return f"header word '{name}' has type {dtype}; integers and floats of up to 8 bytes can be stored"
    return None


def planned_columns(headers: Headers, words: Mapping[str, np.dtype], rows: slice) -> Columns:
    """The planned words of some rows, with their planned types; `HeaderError` where a value could be lost."""
    found: Columns = {}
    for name, dtype in words.items():
        values = headers.column(name)[rows]
        if not np.can_cast(values.dtype, dtype, "safe"):
            raise HeaderError(f"header word '{name}' was planned as {dtype} and came as {values.dtype}")
        found[name] = values.astype(dtype, copy=False)
    return found


def pack(columns: Mapping[str, np.ndarray], about: Description) -> np.ndarray:
    """Columns as records: uint8 ``(rows, record bytes)``."""
    count = len(next(iter(columns.values())))
    records = np.empty(count, about.record)
    for field, values in zip(about.record.names or (), columns.values(), strict=True):
        records[field] = values
    return records.view(np.uint8).reshape(count, about.record.itemsize)


def lazily(records: np.ndarray, about: Description) -> LazyColumns:
    """The inverse of `pack`, word by word as they are asked for."""
    fields, names = records.view(about.record).reshape(-1), {name: str(k) for k, name in enumerate(about.words)}
    return LazyColumns(about.words, lambda name: fields[names[name]].astype(about.words[name]))


def unpack(records: np.ndarray, about: Description) -> Columns:
    """The inverse of `pack`: one contiguous array per word."""
    fields = records.view(about.record).reshape(-1)
    return {name: fields[str(k)].astype(dtype) for k, (name, dtype) in enumerate(about.words.items())}
