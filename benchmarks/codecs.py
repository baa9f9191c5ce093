"""What compression costs and saves: settings of Blosc, on chunks of field records."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from benchmarks.harness import Row, Work, interleave, number
from benchmarks.workspace import Workspace
from seisproc_core.data.checksums import crc32c
from seisproc_core.plugins import registry
from seisproc_zarr.codecs import CODECS, Blosc
from seisproc_zarr.codecs import decode as unpack
from seisproc_zarr.layout import CRC_BYTES, ArrayLayout, Grid
from seisproc_zarr.shards import encode_shard

# Field records of different makes, beside the repository: marine, land, deep, near-surface, and two stacks.
CORPUS = Path(__file__).parents[2] / "shared" / "corpus"
RECORDS = (
    "equinor_segyio/viking_small.segy", "JohnWStockwellJr_SeisUnix/data.su", "JohnWStockwellJr_SeisUnix/ozdata.16",
    "DaloroAT_first_breaks_picking/real_gather.sgy", "agilescientific_seisplot/31_81_PR.sgy",
    "seg_tutorials-2014/penobscot_xl1155.sgy",
)  # fmt: skip
SAMPLES, CHUNK, SHARD = 600, 64, 4096
CANDIDATES: dict[str, Blosc | None] = {
    "none": None,
    "LZ4, as it is": Blosc("lz4", 5, "noshuffle"),
    "LZ4, bytes shuffled": Blosc("lz4", 5, "shuffle"),
    "LZ4, bits shuffled: `fast`": CODECS["fast"],
    "Zstd 1, bits shuffled": Blosc("zstd", 1, "bitshuffle"),
    "Zstd 5, bits shuffled": Blosc("zstd", 5, "bitshuffle"),
    "Zstd 5, bytes shuffled: `archive`": CODECS["archive"],
}


@attrs.define
class _Shard:
    """A record as a shard of 10 MB, in memory and as an open file that is in the system's cache."""

    traces: np.ndarray
    layout: ArrayLayout
    file: Any
    length: int = 0

    def write(self) -> None:
        data = encode_shard(self.layout, 0, self.traces)
        self.length = os.pwrite(self.file.fileno(), data, 0)

    def read(self, stored: np.ndarray, out: np.ndarray) -> None:
        """Every chunk by itself into the same memory, held to its checksum, decompressed."""
        layout, file = self.layout, self.file.fileno()
        index = np.frombuffer(os.pread(file, layout.index_bytes, self.length - layout.index_bytes), np.uint8)
        for offset, length in index[:-CRC_BYTES].view("<u8").reshape(-1, 2).tolist():
            chunk = (out if layout.codec is None else stored)[: length - CRC_BYTES]
            checksum = bytearray(CRC_BYTES)
            os.preadv(file, [chunk.data, checksum], offset)
            assert crc32c(chunk) == int.from_bytes(checksum, "little")
            assert layout.codec is None or unpack(chunk, out)


def codecs(space: Workspace) -> Iterator[Row]:
    """Shards written to files and read back by one thread, in its CPU time; files stay in the system's cache."""
    records = dict(_records())
    size = sum(traces.nbytes for traces in records.values())
    shards: dict[str, list[_Shard]] = {}
    for title, codec in CANDIDATES.items():
        shards[title] = [
            _Shard(traces, _layout(traces, codec), (space.folder / f"{len(shards)}-{name}").open("w+b"))
            for name, traces in records.items()
        ]
    works = {f"{title}: write": Work(partial(_write, made)) for title, made in shards.items()}
    works |= {f"{title}: read": Work(partial(_read, made)) for title, made in shards.items()}
    seconds = interleave(works, space.rounds, clock=time.thread_time)
    for title, made in shards.items():
        each = [(name, shard.length / shard.traces.nbytes) for name, shard in zip(records, made, strict=True)]
        yield Row(
            what=f"{title}: size", ours=", ".join(f"{name} {share:.2f}" for name, share in each), peer="",
            values=(sum(shard.length for shard in made) / size,), unit="of the samples",
        )  # fmt: skip
        for way in ("write", "read"):
            plain = size / 1e6 / float(np.median(seconds[f"none: {way}"]))
            yield Row(
                what=f"{title}: {way}", ours="with checksums", unit="MB/s",
                peer="" if title == "none" else f"uncompressed: {number(plain)} MB/s",
                values=tuple(size / 1e6 / seconds[f"{title}: {way}"]),
            )  # fmt: skip
        for shard in made:
            shard.file.close()


def _records() -> Iterator[tuple[str, np.ndarray]]:
    """Samples of field records as float32, each trace cut to the same length, repeated to fill a shard."""
    if not CORPUS.is_dir():
        raise RuntimeError(f"codecs are measured on field records, which are not in {CORPUS}")
    for name in RECORDS:
        path = CORPUS / name
        options = {"kind": "su"} if path.suffix in (".su", ".16") else {}
        survey = registry().load("storage", "segy")().open([os.fspath(path)], options)
        traces = survey.read(slice(0, survey.n_traces)).traces[:, :SAMPLES]
        # Chunks are compressed by themselves: that they repeat makes none of them smaller.
        chunks = max(len(traces) // CHUNK, 1) * CHUNK
        yield (
            path.stem,
            np.ascontiguousarray(traces[np.resize(np.arange(len(traces)), chunks)][np.arange(SHARD) % chunks]),
        )


def _layout(traces: np.ndarray, codec: Blosc | None) -> ArrayLayout:
    grid = Grid(len(traces), CHUNK, len(traces))
    return ArrayLayout("traces", grid, traces.shape[1], np.dtype("<f4"), ("trace", "sample"), codec)


def _write(shards: list[_Shard]) -> None:
    for shard in shards:
        shard.write()


def _read(shards: list[_Shard]) -> None:
    layout = shards[0].layout
    stored, out = (np.empty(layout.chunk_bytes + 64, np.uint8) for _ in range(2))
    for shard in shards:
        shard.read(stored, out[: layout.chunk_bytes])
