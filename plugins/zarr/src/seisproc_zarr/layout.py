"""Where everything lies in a survey folder: a pure function of the number and size of traces.

The arrays follow the Zarr v3 core specification and its `sharding_indexed`, `bytes`, `blosc` and `crc32c` codecs.
Chunks stand in a shard in order. Unless they are compressed, the position of a trace follows from its number.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import attrs
import numpy as np

from seisproc_core.data.checksums import crc32c
from seisproc_core.data.sampling import Sampling
from seisproc_core.data.survey import OutputPlan, SurveyInfo
from seisproc_core.data.words import canonical
from seisproc_zarr.codecs import CODECS, NONE, Blosc

FORMAT, COMPRESSED = 1, 2  # two numbers, so that what reads the one alone refuses the other
MAX_CHUNK_ROWS = 64
MAX_CHUNK_BYTES = 512 << 10
MIN_SHARD_BYTES, MAX_SHARD_BYTES = 1 << 20, 16 << 20
SHARDS_AIMED_AT = 64
CRC_BYTES = 4
MAX_STRIDE = 255  # of Blosc
MISSING = 2**64 - 1  # offset and length, in a shard's index, of a chunk that is not stored


@attrs.frozen
class Grid:
    """How the rows of all arrays are cut.

    Attributes
    ----------
    n_rows
        Traces in the survey.
    chunk_rows
        Rows per chunk, the unit of checksums.
    shard_rows
        Rows per shard, the unit of writing: a multiple of `chunk_rows`.
    """

    n_rows: int
    chunk_rows: int
    shard_rows: int

    @classmethod
    def fit(cls, n_rows: int, row_bytes: int, shard_rows: int | None = None) -> Grid:
        """The grid for `n_rows` traces of `row_bytes` bytes; `shard_rows` overrides the size of a shard."""
        limit = min(MAX_CHUNK_ROWS, max(MAX_CHUNK_BYTES // row_bytes, 1), shard_rows or MAX_CHUNK_ROWS)
        chunk = 1 << (limit.bit_length() - 1)  # the largest power of two within the limit
        while chunk > 1 and chunk // 2 >= n_rows:
            chunk //= 2
        wanted = shard_rows
        if wanted is None:
            target = min(max(n_rows * row_bytes // SHARDS_AIMED_AT, MIN_SHARD_BYTES), MAX_SHARD_BYTES)
            wanted = target // row_bytes // chunk * chunk
        chunks = -(-min(wanted, max(n_rows, 1)) // chunk)
        return cls(n_rows, chunk, max(chunks, 1) * chunk)

    @property
    def n_shards(self) -> int:
        return -(-self.n_rows // self.shard_rows)

    @property
    def chunks_per_shard(self) -> int:
        return self.shard_rows // self.chunk_rows

    def rows_in(self, shard: int) -> int:
        """Traces in a shard; fewer in the last."""
        return min(self.shard_rows, self.n_rows - shard * self.shard_rows)

    def chunks_in(self, shard: int) -> int:
        """Chunks that hold at least one trace."""
        return -(-self.rows_in(shard) // self.chunk_rows)


@attrs.frozen
class ArrayLayout:
    """One sharded array: ``(n_rows, width)`` items of `dtype`, little-endian."""

    name: str
    grid: Grid
    width: int
    dtype: np.dtype
    dimensions: tuple[str, str]
    codec: Blosc | None = None

    @property
    def row_bytes(self) -> int:
        return self.width * self.dtype.itemsize

    @property
    def chunk_bytes(self) -> int:
        return self.grid.chunk_rows * self.row_bytes

    def key(self, shard: int) -> str:
        return f"{self.name}/c.{shard}.0"

    @property
    def stride(self) -> int:
        """Bytes after which like stands beside like, for compression: a sample, or a whole row where Blosc can."""
        return self.width if self.dtype.itemsize == 1 and self.width <= MAX_STRIDE else 4

    @property
    def index_bytes(self) -> int:
        return self.grid.chunks_per_shard * 16 + CRC_BYTES

    def places(self, shard: int) -> np.ndarray:
        """Offset and length of every chunk of an uncompressed shard that holds a trace: int64 ``(chunks, 2)``."""
        length = self.chunk_bytes + CRC_BYTES
        places = np.full((self.grid.chunks_in(shard), 2), length, np.int64)
        places[:, 0] *= np.arange(len(places))
        return places

    def index(self, places: np.ndarray) -> bytes:
        """The index at the end of a shard, with its checksum: offset and length of every chunk."""
        table = np.full((self.grid.chunks_per_shard, 2), MISSING, "<u8")
        table[: len(places)] = places
        plain = table.tobytes()
        return plain + crc32c(plain).to_bytes(CRC_BYTES, "little")

    def shard_bytes(self, shard: int) -> int:
        """Size of an uncompressed shard."""
        return self.grid.chunks_in(shard) * (self.chunk_bytes + CRC_BYTES) + self.index_bytes

    def metadata(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """The array's ``zarr.json``."""
        plain, checked = {"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}
        compressed = [] if self.codec is None else [self.codec.metadata(self.stride)]
        sharding = {
            "chunk_shape": [self.grid.chunk_rows, self.width],
            "codecs": [plain, *compressed, checked],
            "index_codecs": [plain, checked],
            "index_location": "end",
        }
        return array_metadata(
            (self.grid.n_rows, self.width),
            (self.grid.shard_rows, self.width),
            self.dtype,
            codecs=[{"name": "sharding_indexed", "configuration": sharding}],
            dimensions=self.dimensions,
            attributes=attributes,
        )


def array_metadata(
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    dtype: np.dtype,
    *,
    codecs: list[dict[str, Any]],
    dimensions: tuple[str, ...],
    attributes: Mapping[str, Any],
) -> dict[str, Any]:
    """A Zarr v3 array metadata document."""
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunks)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": 0.0 if dtype.kind == "f" else 0,
        "codecs": codecs,
        "dimension_names": list(dimensions),
        "attributes": dict(attributes),
    }


@attrs.frozen(kw_only=True)
class Description:
    """All that the group's attributes say about a survey."""

    grid: Grid
    sampling: Sampling
    info: SurveyInfo
    words: Mapping[str, np.dtype]
    raw_header_bytes: int
    raw_sample_bytes: int
    index: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    codec: str = NONE

    @classmethod
    def of_plan(cls, plan: OutputPlan, shard_traces: int | None, codec: str = NONE) -> Description:
        return cls(
            grid=Grid.fit(plan.n_traces, 4 * plan.sampling.count, shard_traces),
            sampling=plan.sampling,
            info=plan.info,
            words={name: np.dtype(dtype).newbyteorder("=") for name, dtype in plan.words.items()},
            raw_header_bytes=plan.raw_header_bytes,
            raw_sample_bytes=plan.raw_sample_bytes,
            index=tuple(dict.fromkeys(tuple(canonical(word) for word in words) for words in plan.index)),
            codec=codec,
        )

    def _array(self, name: str, width: int, dtype: str, item: str) -> ArrayLayout:
        return ArrayLayout(name, self.grid, width, np.dtype(dtype), ("trace", item), CODECS.get(self.codec))

    @property
    def traces(self) -> ArrayLayout:
        return self._array("traces", self.sampling.count, "<f4", "sample")

    @property
    def raw_headers(self) -> ArrayLayout:
        return self._array("raw_headers", self.raw_header_bytes, "u1", "header_byte")

    @property
    def raw_samples(self) -> ArrayLayout:
        return self._array("raw_samples", self.raw_sample_bytes, "u1", "sample_byte")

    @functools.cached_property
    def record(self) -> np.dtype:
        """All header words of a trace, packed little-endian in the survey's order; fields are numbered."""
        return np.dtype([(str(k), dtype.newbyteorder("<")) for k, dtype in enumerate(self.words.values())])

    @property
    def header_words(self) -> ArrayLayout:
        return self._array("header_words", self.record.itemsize, "u1", "word_byte")

    def headers_key(self, shard: int) -> str:
        return f"headers/{shard:06d}.parquet"

    def index_key(self, words: tuple[str, ...], file: str) -> str:
        """Key of a file of the gather index over `words`; names are quoted so that a key cannot leave the folder."""
        return f"index/{','.join(quote(word, safe='').replace('.', '%2E') for word in words)}/{file}"
