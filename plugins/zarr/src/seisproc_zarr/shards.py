"""Rows to shards and back."""

from __future__ import annotations

import struct

import numpy as np

from seisproc_core.errors import Cancelled, StorageError
from seisproc_zarr.folder import Folder, OpenFile
from seisproc_zarr.layout import CRC_BYTES, ArrayLayout, crc32c


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
    index = layout.index(shard)
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
    out[at:] = np.frombuffer(index, np.uint8)
    return out.data


class ShardReader:
    """Reads rows of one array of a survey, each chunk checked against its CRC-32C at least once.

    Safe to use from several threads.
    """

    def __init__(self, folder: Folder, layout: ArrayLayout) -> None:
        self.folder = folder
        self.layout = layout
        self._sound: dict[int, bytearray] = {}  # by shard with a sound index: one byte per chunk, 1 once checked

    def has(self, shard: int) -> bool:
        return self.folder.has(self.layout.key(shard))

    def read(self, rows: np.ndarray, flag: np.ndarray | None = None) -> np.ndarray:
        """The rows asked for, in that order, with the array's dtype: ``(len(rows), width)``.

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
            visit = _Visit(self, out.reshape(-1).view(np.uint8).data)
            for position, first, count in _runs(rows, grid.chunk_rows):
                if flag is not None and flag[0]:
                    raise Cancelled
                visit.read(position, first, count)
        except OSError as error:
            raise StorageError.from_os(error, f"reading {self.folder.path}") from error
        return out

    def check(self, shard: int) -> bytearray:
        """Hold a shard's size and index to the layout, once."""
        sound = self._sound.get(shard)
        if sound is not None:
            return sound
        key = self.layout.key(shard)
        file = self.folder.open(key)
        if file.size != self.layout.shard_bytes(shard):
            raise self.folder.corrupt(key, f"has {file.size} bytes instead of {self.layout.shard_bytes(shard)}")
        expected = self.layout.index(shard)
        index = bytearray(len(expected))
        if not file.read_into([memoryview(index)], file.size - len(index)) or index != expected:
            raise self.folder.corrupt(key, "has a damaged index")
        return self._sound.setdefault(shard, bytearray(self.layout.grid.chunks_in(shard)))


class _Visit:
    """One call of `ShardReader.read`: knows the file and the chunk it read last."""

    def __init__(self, reader: ShardReader, target: memoryview) -> None:
        self.reader = reader
        self.layout = reader.layout
        self.target = target
        self.file: OpenFile | None = None
        self.shard = -1
        self.held_chunk = -1
        self.held = np.empty(0, np.uint8)
        self.checksum = memoryview(bytearray(CRC_BYTES))

    def read(self, position: int, first: int, count: int) -> None:
        """Rows ``first : first + count``, all of one chunk, to row `position` of the target."""
        layout, grid = self.layout, self.layout.grid
        chunk, skip = divmod(first, grid.chunk_rows)
        shard, number = divmod(chunk, grid.chunks_per_shard)
        if shard != self.shard or self.file is None:
            self.file, self.shard = self.reader.folder.open(layout.key(shard)), shard
            self.sound = self.reader.check(shard)
        row = layout.row_bytes
        offset = number * (layout.chunk_bytes + CRC_BYTES)
        part = self.target[position * row : (position + count) * row]
        if count == grid.chunk_rows:
            self._whole(part, offset, number)
        elif chunk == self.held_chunk or not self.sound[number]:
            if chunk != self.held_chunk:
                self._hold(chunk, number, offset)
            part[:] = self.held.data[skip * row : (skip + count) * row]
        elif not self.file.read_into([part], offset + skip * row):
            raise self.reader.folder.corrupt(layout.key(shard), "ends early")

    def _hold(self, chunk: int, number: int, offset: int) -> None:
        if not len(self.held):
            self.held = np.empty(self.layout.chunk_bytes, np.uint8)
        self.held_chunk = -1
        self._whole(self.held.data, offset, number)
        self.held_chunk = chunk

    def _whole(self, part: memoryview, offset: int, number: int) -> None:
        """A whole chunk, straight to where it is wanted, then held to its checksum while it is in the cache."""
        assert self.file is not None
        whole = self.file.read_into([part, self.checksum], offset)
        if not whole or crc32c(np.frombuffer(part, np.uint8)) != int.from_bytes(self.checksum, "little"):
            key = self.layout.key(self.shard)
            raise self.reader.folder.corrupt(key, f"does not match its checksum (chunk {number} of the shard)")
        self.sound[number] = 1


def _runs(rows: np.ndarray, chunk_rows: int) -> list[tuple[int, int, int]]:
    """Stretches of consecutive rows within a chunk, by file position: (position in `rows`, first row, count)."""
    if not len(rows):
        return []
    breaks = np.flatnonzero((np.diff(rows) != 1) | (rows[1:] % chunk_rows == 0)) + 1
    starts = np.concatenate(([0], breaks))
    counts = np.diff(np.concatenate((starts, [len(rows)])))
    first = rows[starts]
    order = np.argsort(first, kind="stable")
    return list(zip(starts[order].tolist(), first[order].tolist(), counts[order].tolist(), strict=True))
