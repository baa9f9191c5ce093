"""Header columns: one Parquet file per shard."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from seisproc_zarr.folder import Folder
from seisproc_zarr.layout import Description

MAX_FILE_BYTES = 1 << 31
LZ4_RATIO = 256  # LZ4 cannot shrink anything further than this


def encode_table(columns: Mapping[str, np.ndarray]) -> memoryview:
    """A Parquet file of these columns, none nullable; equal columns give equal bytes."""
    arrays = [_array(np.ascontiguousarray(values)) for values in columns.values()]
    fields = [pa.field(name, array.type, nullable=False) for name, array in zip(columns, arrays, strict=True)]
    out = pa.BufferOutputStream()
    # Plain LZ4 pages: dictionary pages take twice the time to write and do not get smaller.
    pq.write_table(
        pa.Table.from_arrays(arrays, schema=pa.schema(fields)),
        out,
        compression="lz4",
        use_dictionary=False,
        row_group_size=1 << 26,
        store_schema=False,
        write_page_checksum=True,
    )
    return memoryview(out.getvalue()).cast("B")


def _array(values: np.ndarray) -> Any:
    """The values as an Arrow array, without `pa.array`, which imports pandas wherever that is installed."""
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def _values(column: Any, dtype: np.dtype) -> np.ndarray:
    """A column without nulls, without `to_numpy`, which does the same."""
    chunks = [np.frombuffer(c.buffers()[1], dtype, len(c), c.offset * dtype.itemsize) for c in column.chunks if len(c)]
    return np.concatenate(chunks) if chunks else np.empty(0, dtype)


class HeaderReader:
    """Reads header columns of a whole survey. Safe to use from several threads."""

    def __init__(self, folder: Folder, about: Description) -> None:
        self.folder = folder
        self.about = about
        self._checked: set[int] = set()
        self._types = {name: pa.from_numpy_dtype(dtype) for name, dtype in about.words.items()}

    def column(self, name: str) -> np.ndarray:
        """One word of all traces, shape ``(n_traces,)``.

        Raises
        ------
        ChunkMissing, ChunkCorrupt
            A header file is not there, or is not what was written.
        """
        parts = [self._read(shard, name) for shard in range(self.about.grid.n_shards)]
        return np.concatenate(parts) if parts else np.empty(0, self.about.words[name])

    def _read(self, shard: int, name: str) -> np.ndarray:
        key = self.about.headers_key(shard)
        try:
            with pq.ParquetFile(self._source(key, shard), page_checksum_verification=True) as file:
                if shard not in self._checked:
                    self._hold_to_plan(file, key, shard)
                    self._checked.add(shard)
                values = _values(file.read(columns=[name], use_threads=False)[name], self.about.words[name])
        except (pa.ArrowException, OSError, KeyError) as error:
            raise self.folder.corrupt(key, f"cannot be read ({error})".replace("\n", " ")) from error
        if values.shape != (self.about.grid.rows_in(shard),):
            raise self.folder.corrupt(key, f"holds {len(values)} values of '{name}'")
        return values

    def _source(self, key: str, shard: int) -> Any:
        """What Parquet reads from: the whole file in memory while its checksum is still to be compared."""
        if shard in self._checked:
            return pa.OSFile(os.path.join(self.folder.root, key))
        return pa.BufferReader(self.folder.bytes(key, MAX_FILE_BYTES))

    def _hold_to_plan(self, file: Any, key: str, shard: int) -> None:
        """Refuse a file with other columns or rows than the survey has, before any of it is decoded."""
        count = self.about.grid.rows_in(shard)
        if file.metadata.num_rows != count:
            raise self.folder.corrupt(key, f"has {file.metadata.num_rows} rows instead of {count}")
        schema = file.schema_arrow
        types = {field.name: field.type for field in schema if not field.nullable}
        if types != self._types or len(schema) != len(self._types):
            raise self.folder.corrupt(key, "does not have the columns that the survey lists")
        if count > LZ4_RATIO * self.folder.open(key).size:
            raise self.folder.corrupt(key, f"is too small to hold {count} rows")
