"""Rows to shards and back."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator

import attrs
import numpy as np

from seisproc_core.errors import Cancelled, StorageError
from seisproc_zarr import codecs
from seisproc_zarr.folder import Folder, OpenFile
from seisproc_zarr.layout import CRC_BYTES, MISSING, ArrayLayout, crc32c

SPARSE = 8  # a chunk is read whole unless this many times the pieces wanted of it are fewer than its rows


def encode_shard(layout: ArrayLayout, shard: int, rows: np.ndarray) -> memoryview:
    """One shard's bytes: chunks in order, each with its CRC-32C, then the index.

    Parameters
    ----------
    layout
        The array.
    shard
        Which shard.
    rows
        All its rows, ``(layout.grid.rows_in(shard), layout.width)``, of the array's dtype. The last chunk of the
        survey is filled up with zeros, as the Zarr specification asks.
    """
    source = np.ascontiguousarray(rows, layout.dtype).view(np.uint8).reshape(-1)
    if layout.codec is not None:
        return _compressed(layout, source)
    out = np.empty(layout.shard_bytes(shard), np.uint8)
    at = 0
    for start in range(0, len(source), layout.chunk_bytes):
        part = source[start : start + layout.chunk_bytes]
        chunk = out[at : at + layout.chunk_bytes]
        chunk[: len(part)] = part
        chunk[len(part) :] = 0
        at += layout.chunk_bytes
        struct.pack_into("<I", out.data, at, crc32c(chunk))
        at += CRC_BYTES
    out[at:] = np.frombuffer(layout.index(layout.places(shard)), np.uint8)
    return out.data


def _compressed(layout: ArrayLayout, source: np.ndarray) -> memoryview:
    assert layout.codec is not None
    parts, lengths = [], []
    for start in range(0, len(source), layout.chunk_bytes):
        chunk = source[start : start + layout.chunk_bytes]
        if len(chunk) < layout.chunk_bytes:
            chunk = np.concatenate((chunk, np.zeros(layout.chunk_bytes - len(chunk), np.uint8)))
        made = layout.codec.encode(chunk, layout.stride)
        parts += [made, crc32c(made).to_bytes(CRC_BYTES, "little")]
        lengths.append(len(made) + CRC_BYTES)
    places = np.zeros((len(lengths), 2), np.int64)
    places[:, 1] = lengths
    places[1:, 0] = np.cumsum(lengths)[:-1]
    return memoryview(b"".join([*parts, layout.index(places)]))


@attrs.frozen(eq=False)
class OpenShard:
    """A shard whose index was found sound.

    Attributes
    ----------
    places
        Offset and length of every chunk that holds a trace, checksum included: int64 ``(chunks, 2)``.
    sound
        One byte per chunk: 1 once it was held to its checksum.
    """

    places: np.ndarray
    sound: bytearray


class ShardReader:
    """Reads rows of one array of a survey, each chunk checked against its CRC-32C at least once.

    Safe to use from several threads.
    """

    def __init__(self, folder: Folder, layout: ArrayLayout) -> None:
        self.folder = folder
        self.layout = layout
        self._shards: dict[int, OpenShard] = {}

    def has(self, shard: int) -> bool:
        return self.folder.has(self.layout.key(shard))

    def read(self, rows: np.ndarray, flag: np.ndarray | None = None) -> np.ndarray:
        """The rows asked for, in that order, with the array's dtype: ``(len(rows), width)``.

        The file is read in its own order, each chunk once however its rows are spread over `rows`.

        Parameters
        ----------
        rows
            Row numbers, int64, within the array.
        flag
            Stops the read with `Cancelled` when it becomes non-zero.

        Raises
        ------
        ChunkMissing, ChunkCorrupt
            A shard is not there, or differs from its checksums.
        """
        grid = self.layout.grid
        try:
            for shard in np.unique(rows // grid.shard_rows):
                self.check(int(shard))  # the files are as large as the array says, so the result may be allocated
            out = np.empty((len(rows), self.layout.width), self.layout.dtype)
            visit = _Visit(self, out)
            for chunk, positions, within in _chunks(rows, grid.chunk_rows):
                if flag is not None and flag[0]:
                    raise Cancelled
                visit.read(chunk, positions, within)
        except OSError as error:
            raise StorageError.from_os(error, f"reading {self.folder.path}") from error
        return out

    def check(self, shard: int) -> OpenShard:
        """Hold a shard's size and index to the layout, once."""
        found = self._shards.get(shard)
        if found is not None:
            return found
        key = self.layout.key(shard)
        file = self.folder.open(key)
        places = self._fixed(shard, key, file) if self.layout.codec is None else self._listed(shard, key, file)
        return self._shards.setdefault(shard, OpenShard(places, bytearray(len(places))))

    def _fixed(self, shard: int, key: str, file: OpenFile) -> np.ndarray:
        """Where the chunks of an uncompressed shard are: its size and index follow from the layout."""
        layout = self.layout
        if file.size != layout.shard_bytes(shard):
            raise self.folder.corrupt(key, f"has {file.size} bytes instead of {layout.shard_bytes(shard)}")
        places = layout.places(shard)
        if self._index(file) != layout.index(places):
            raise self.folder.corrupt(key, "has a damaged index")
        return places

    def _listed(self, shard: int, key: str, file: OpenFile) -> np.ndarray:
        """Where the chunks of a compressed shard are: as its index says, one behind the other."""
        layout = self.layout
        stored, room = layout.grid.chunks_in(shard), file.size - layout.index_bytes
        index = self._index(file)
        if room < 0 or crc32c(index[:-CRC_BYTES]) != int.from_bytes(index[-CRC_BYTES:], "little"):
            raise self.folder.corrupt(key, "has a damaged index")
        table = np.frombuffer(index[:-CRC_BYTES], "<u8").reshape(-1, 2)
        largest = layout.chunk_bytes + codecs.OVERHEAD + CRC_BYTES
        if (table[:stored, 1] > largest).any() or (table[stored:] != MISSING).any():
            raise self.folder.corrupt(key, "has an index that does not fit the survey")
        places = table[:stored].astype(np.int64)
        ends = np.cumsum(places[:, 1])
        if (places[:, 0] != ends - places[:, 1]).any() or (ends[-1] if stored else 0) != room:
            raise self.folder.corrupt(key, f"has {file.size} bytes, which its index does not account for")
        return places

    def _index(self, file: OpenFile) -> bytes:
        index = bytearray(self.layout.index_bytes)
        at = file.size - len(index)
        return bytes(index) if at >= 0 and file.read_into([memoryview(index)], at) else b""


class _Visit:
    """One call of `ShardReader.read`: knows the file it read last, and has room for a chunk."""

    def __init__(self, reader: ShardReader, out: np.ndarray) -> None:
        self.reader = reader
        self.layout = reader.layout
        self.out = out
        self.file: OpenFile | None = None
        self.shard = -1
        self.held = np.empty((0, 0), reader.layout.dtype)
        self.packed = np.empty(0, np.uint8)
        self.checksum = memoryview(bytearray(CRC_BYTES))

    def read(self, chunk: int, positions: np.ndarray, within: np.ndarray) -> None:
        """Rows `within` a chunk to rows `positions` of the result."""
        layout, grid = self.layout, self.layout.grid
        shard, number = divmod(chunk, grid.chunks_per_shard)
        if shard != self.shard or self.file is None:
            self.file, self.shard = self.reader.folder.open(layout.key(shard)), shard
            self.known = self.reader.check(shard)
        runs = _runs(positions, within)
        if len(runs) == 1 and len(within) == grid.chunk_rows:
            self._whole(self.out[positions[0] : positions[0] + len(within)], number)
        elif self.known.sound[number] and layout.codec is None and len(runs) * SPARSE <= grid.chunk_rows:
            self._parts(number, runs)
        else:
            if not len(self.held):
                self.held = np.empty((grid.chunk_rows, layout.width), layout.dtype)
            self._whole(self.held, number)
            self.out[positions] = self.held[within]

    def _parts(self, number: int, runs: list[tuple[int, int, int]]) -> None:
        """A few rows of a chunk that is known to be sound, straight to where they are wanted."""
        assert self.file is not None
        start, row = int(self.known.places[number, 0]), self.layout.row_bytes
        for position, first, count in runs:
            part = self.out[position : position + count].reshape(-1).view(np.uint8).data
            if not self.file.read_into([part], start + first * row):
                raise self.reader.folder.corrupt(self.layout.key(self.shard), "ends early")

    def _whole(self, rows: np.ndarray, number: int) -> None:
        """A whole chunk, straight to where it is wanted, then held to its checksum while it is in the cache."""
        assert self.file is not None
        offset, length = (int(value) for value in self.known.places[number])
        target = rows.reshape(-1).view(np.uint8)
        stored = target
        if self.layout.codec is not None:
            if not len(self.packed):
                self.packed = np.empty(self.layout.chunk_bytes + codecs.OVERHEAD, np.uint8)
            stored = self.packed[: length - CRC_BYTES]
        sound = self.file.read_into([stored.data, self.checksum], offset)
        if not sound or crc32c(stored) != int.from_bytes(self.checksum, "little"):
            raise self._damaged(number, "does not match its checksum")
        if self.layout.codec is not None and not codecs.decode(stored, target):
            raise self._damaged(number, "cannot be decompressed")
        self.known.sound[number] = 1

    def _damaged(self, number: int, problem: str) -> Exception:
        key = self.layout.key(self.shard)
        return self.reader.folder.corrupt(key, f"{problem} (chunk {number} of the shard)")


def _chunks(rows: np.ndarray, chunk_rows: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """What is wanted of each chunk, in the order of the file: its number, positions in `rows`, rows within it."""
    if not len(rows):
        return
    order = np.arange(len(rows)) if (rows[1:] >= rows[:-1]).all() else np.argsort(rows, kind="stable")
    chunk, within = np.divmod(rows[order], chunk_rows)
    bounds = [0, *(np.flatnonzero(chunk[1:] != chunk[:-1]) + 1).tolist(), len(rows)]
    for low, high in itertools.pairwise(bounds):
        yield int(chunk[low]), order[low:high], within[low:high]


def _runs(positions: np.ndarray, within: np.ndarray) -> list[tuple[int, int, int]]:
    """Stretches that are consecutive both in the chunk and in the result: (position, first row, count)."""
    if len(within) == 1:  # the usual case across the stored order
        return [(int(positions[0]), int(within[0]), 1)]
    breaks = np.flatnonzero((positions[1:] - positions[:-1] != 1) | (within[1:] - within[:-1] != 1)) + 1
    starts = [0, *breaks.tolist()]
    counts = np.diff([*starts, len(within)]).tolist()
    return [(int(positions[k]), int(within[k]), count) for k, count in zip(starts, counts, strict=True)]
