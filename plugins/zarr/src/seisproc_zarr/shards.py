"""Rows to shards and back."""

from __future__ import annotations

import itertools
import struct
import threading
from collections.abc import Iterator

import attrs
import numpy as np

from seisproc_core.data.checksums import crc32c
from seisproc_core.errors import Cancelled, StorageError
from seisproc_core.processing.context import BufferPool
from seisproc_zarr import codecs
from seisproc_zarr.folder import Folder, OpenFile
from seisproc_zarr.layout import CRC_BYTES, MISSING, ArrayLayout

SPARSE = 8  # a chunk is read whole unless this many times the pieces wanted of it are fewer than its rows
TOGETHER_BYTES, TOGETHER = 2 << 20, 256  # most of neighbouring whole chunks read at once: bytes, and chunks
POOLED = range(64 << 10, (32 << 20) + 1)  # bytes of results whose memory is used again


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
        self._own = threading.local()

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
        shard_rows = self.layout.grid.shard_rows
        straight = len(rows) > 0 and bool((rows[1:] - rows[:-1] == 1).all())
        shards = range(rows[0] // shard_rows, rows[-1] // shard_rows + 1) if straight else np.unique(rows // shard_rows)
        try:
            for shard in shards:
                self.check(int(shard))  # the files are as large as the array says, so the result may be allocated
            out = self._room(len(rows))
            visit = _Visit(self, out, flag)
            if straight:
                visit.neighbours(int(rows[0]))
            else:
                visit.scattered(rows)
        except OSError as error:
            raise StorageError.from_os(error, f"reading {self.folder.path}") from error
        return out

    def _room(self, count: int) -> np.ndarray:
        """Uninitialised rows, where an earlier result of this thread was if nobody holds it any more."""
        shape = (count, self.layout.width)
        if count * self.layout.row_bytes not in POOLED:
            return np.empty(shape, self.layout.dtype)
        if not hasattr(self._own, "pool"):
            self._own.pool = BufferPool()
        room: np.ndarray = self._own.pool.empty(shape, self.layout.dtype)
        return room

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

    def __init__(self, reader: ShardReader, out: np.ndarray, flag: np.ndarray | None) -> None:
        self.reader = reader
        self.layout = reader.layout
        self.out = out
        self.flag = flag
        self.file: OpenFile | None = None
        self.shard = -1
        self.held = np.empty((0, 0), reader.layout.dtype)
        self.packed = np.empty(0, np.uint8)
        self.checksums = np.empty(TOGETHER, "<u4")

    def neighbours(self, first: int) -> None:
        """All rows from `first` on, as many as the result has: whole chunks as many at once as it pays."""
        grid, at = self.layout.grid, 0
        most = min(max(TOGETHER_BYTES // self.layout.chunk_bytes, 1), TOGETHER)
        while at < len(self.out):
            chunk, within = divmod(first + at, grid.chunk_rows)
            number, left = self._enter(chunk), len(self.out) - at
            count = min(grid.chunk_rows - within, left)
            if count == grid.chunk_rows:
                chunks = min(left // count, grid.chunks_per_shard - number, most)
                count *= chunks
                self._whole(self.out[at : at + count], number, chunks)
            elif self._few(number, 1):
                self._parts(number, [(at, within, count)])
            else:
                self.out[at : at + count] = self._held(number)[within : within + count]
            at += count

    def scattered(self, rows: np.ndarray) -> None:
        """Rows in any order, each chunk visited once."""
        for chunk, positions, within, runs in _chunks(rows, self.layout.grid.chunk_rows):
            number = self._enter(chunk)
            if runs == 1 and len(within) == self.layout.grid.chunk_rows:
                self._whole(self.out[positions[0] : positions[0] + len(within)], number)
            elif self._few(number, runs):
                self._parts(number, _runs(positions, within))
            else:
                self.out[positions] = self._held(number)[within]

    def _enter(self, chunk: int) -> int:
        """Have the file of a chunk at hand; its number in the shard."""
        if self.flag is not None and self.flag[0]:
            raise Cancelled
        shard, number = divmod(chunk, self.layout.grid.chunks_per_shard)
        if shard != self.shard or self.file is None:
            self.file, self.shard = self.reader.folder.open(self.layout.key(shard)), shard
            self.known = self.reader.check(shard)
        return number

    def _few(self, number: int, runs: int) -> bool:
        """Whether a chunk is known to be sound and so little wanted of it that it need not be read whole."""
        layout = self.layout
        return bool(self.known.sound[number]) and layout.codec is None and runs * SPARSE <= layout.grid.chunk_rows

    def _held(self, number: int) -> np.ndarray:
        """All rows of a chunk."""
        if not len(self.held):
            self.held = np.empty((self.layout.grid.chunk_rows, self.layout.width), self.layout.dtype)
        self._whole(self.held, number)
        return self.held

    def _parts(self, number: int, runs: list[tuple[int, int, int]]) -> None:
        """Stretches of a chunk, straight to where they are wanted: (position in the result, first row, count)."""
        assert self.file is not None
        start, row = int(self.known.places[number, 0]), self.layout.row_bytes
        for position, first, count in runs:
            part = self.out[position : position + count].reshape(-1).view(np.uint8).data
            if not self.file.read_into([part], start + first * row):
                raise self.reader.folder.corrupt(self.layout.key(self.shard), "ends early")

    def _whole(self, rows: np.ndarray, number: int, chunks: int = 1) -> None:
        """Whole chunks, straight to where they are wanted, then held to their checksums while they are in the cache."""
        parts = list(rows.reshape(chunks, -1).view(np.uint8))
        if self.layout.codec is None:
            self._checked(parts, number)
        else:
            for k, part in enumerate(parts, number):
                self._unpacked(part, k)
        self.known.sound[number : number + chunks] = b"\1" * chunks

    def _unpacked(self, target: np.ndarray, number: int) -> None:
        """One compressed chunk."""
        if not len(self.packed):
            self.packed = np.empty(self.layout.chunk_bytes + codecs.OVERHEAD, np.uint8)
        stored = self.packed[: self.known.places[number, 1] - CRC_BYTES]
        self._checked([stored], number)
        if not codecs.decode(stored, target):
            raise self._damaged(number, "cannot be decompressed")

    def _checked(self, parts: list[np.ndarray], number: int) -> None:
        """Stored chunks from `number` on, which stand one behind the other, each followed by its checksum."""
        assert self.file is not None
        wanted = self.checksums[: len(parts)]
        checksums = wanted.view(np.uint8).reshape(-1, CRC_BYTES)
        buffers = [stored.data for pair in zip(parts, checksums, strict=True) for stored in pair]
        if not self.file.read_into(buffers, int(self.known.places[number, 0])):
            raise self._damaged(number, "does not match its checksum")
        for k, (part, checksum) in enumerate(zip(parts, wanted.tolist(), strict=True), number):
            if crc32c(part) != checksum:
                raise self._damaged(k, "does not match its checksum")

    def _damaged(self, number: int, problem: str) -> Exception:
        key = self.layout.key(self.shard)
        return self.reader.folder.corrupt(key, f"{problem} (chunk {number} of the shard)")


def _chunks(rows: np.ndarray, chunk_rows: int) -> Iterator[tuple[int, np.ndarray, np.ndarray, int]]:
    """What is wanted of each chunk, in the order of the file: its number, positions in `rows`, rows within it, and in
    how many runs they are consecutive both in the chunk and in the result."""
    if not len(rows):
        return
    order = np.arange(len(rows)) if (rows[1:] >= rows[:-1]).all() else np.argsort(rows, kind="stable")
    rows = rows[order]
    chunk, within = np.divmod(rows, chunk_rows)
    ends = np.zeros(len(rows), np.int64)  # how many runs end before a row
    np.cumsum((order[1:] - order[:-1] != 1) | (rows[1:] - rows[:-1] != 1), out=ends[1:])
    bounds = [0, *(np.flatnonzero(chunk[1:] != chunk[:-1]) + 1).tolist(), len(rows)]
    for low, high in itertools.pairwise(bounds):
        yield int(chunk[low]), order[low:high], within[low:high], int(ends[high - 1] - ends[low]) + 1


def _runs(positions: np.ndarray, within: np.ndarray) -> list[tuple[int, int, int]]:
    """Stretches that are consecutive both in the chunk and in the result: (position, first row, count)."""
    if len(within) == 1:  # the usual case across the stored order
        return [(int(positions[0]), int(within[0]), 1)]
    breaks = np.flatnonzero((positions[1:] - positions[:-1] != 1) | (within[1:] - within[:-1] != 1)) + 1
    starts = np.concatenate(([0], breaks))
    counts = np.diff(starts, append=len(within)).tolist()
    return list(zip(positions[starts].tolist(), within[starts].tolist(), counts, strict=True))
