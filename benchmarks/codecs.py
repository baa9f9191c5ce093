"""What compression costs and saves: settings of Blosc, on chunks of field records."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.harness import Row, Work, interleave, number
from benchmarks.workspace import Workspace
from seisproc_core.plugins import registry
from seisproc_zarr.codecs import CODECS, Blosc
from seisproc_zarr.codecs import decode as unpack
from seisproc_zarr.layout import ArrayLayout, Grid
from seisproc_zarr.shards import encode_shard

# Field records of different makes, beside the repository: marine, land, deep, near-surface, and two stacks.
CORPUS = Path(__file__).parents[2] / "shared" / "corpus"
RECORDS = (
    "equinor_segyio/viking_small.segy", "JohnWStockwellJr_SeisUnix/data.su", "JohnWStockwellJr_SeisUnix/ozdata.16",
    "DaloroAT_first_breaks_picking/real_gather.sgy", "agilescientific_seisplot/31_81_PR.sgy",
    "seg_tutorials-2014/penobscot_xl1155.sgy",
)  # fmt: skip
SAMPLES = 600
CANDIDATES = {
    "LZ4, as it is": Blosc("lz4", 5, "noshuffle"),
    "LZ4, bytes shuffled": Blosc("lz4", 5, "shuffle"),
    "LZ4, bits shuffled: `fast`": CODECS["fast"],
    "Zstd 1, bits shuffled": Blosc("zstd", 1, "bitshuffle"),
    "Zstd 5, bits shuffled": Blosc("zstd", 5, "bitshuffle"),
    "Zstd 5, bytes shuffled: `archive`": CODECS["archive"],
}


def codecs(space: Workspace) -> Iterator[Row]:
    """Shards written and read back in memory, one thread; chunks are compressed by themselves, as in a survey."""
    records = dict(_records())
    plain = {name: _layout(traces, None) for name, traces in records.items()}
    size = sum(traces.nbytes for traces in records.values())
    for title, codec in CANDIDATES.items():
        packed = {name: _layout(traces, codec) for name, traces in records.items()}
        shards = {name: bytes(encode_shard(packed[name], 0, traces)) for name, traces in records.items()}
        works = {
            "none": Work(partial(_write, plain, records)),
            "write": Work(partial(_write, packed, records)),
            "read": Work(partial(_read, packed, shards)),
        }
        seconds = interleave(works, space.rounds)
        peer = f"uncompressed: {number(size / 1e6 / float(np.median(seconds['none'])))} MB/s"
        each = ", ".join(f"{name} {len(shards[name]) / traces.nbytes:.2f}" for name, traces in records.items())
        share = sum(map(len, shards.values())) / size
        yield Row(what=f"{title}: size", ours=each, peer="", values=(share,), unit="of the samples")
        for name, other in (("write", peer), ("read", "")):
            values = tuple(size / 1e6 / seconds[name])
            yield Row(what=f"{title}: {name}", ours="with checksums", peer=other, values=values, unit="MB/s")


def _records() -> Iterator[tuple[str, np.ndarray]]:
    """Samples of field records as float32, each trace cut to the same length, whole chunks of 64 traces."""
    if not CORPUS.is_dir():
        raise RuntimeError(f"codecs are measured on field records, which are not in {CORPUS}")
    for name in RECORDS:
        path = CORPUS / name
        options = {"kind": "su"} if path.suffix in (".su", ".16") else {}
        survey = registry().load("storage", "segy")().open([os.fspath(path)], options)
        traces = survey.read(slice(0, survey.n_traces)).traces[:, :SAMPLES]
        rows = np.resize(np.arange(len(traces)), max(len(traces) // 64, 1) * 64)
        yield path.stem, np.ascontiguousarray(traces[rows])


def _layout(traces: np.ndarray, codec: Blosc | None) -> ArrayLayout:
    grid = Grid(len(traces), 64, len(traces))
    return ArrayLayout("traces", grid, traces.shape[1], np.dtype("<f4"), ("trace", "sample"), codec)


def _write(layouts: dict[str, ArrayLayout], records: dict[str, np.ndarray]) -> None:
    for name, traces in records.items():
        encode_shard(layouts[name], 0, traces)


def _read(layouts: dict[str, ArrayLayout], shards: dict[str, bytes]) -> None:
    for name, shard in shards.items():
        layout = layouts[name]
        data = np.frombuffer(shard, np.uint8)
        table = data[-layout.index_bytes : -4].view("<u8").reshape(-1, 2).astype(np.int64)
        out = np.empty(layout.chunk_bytes, np.uint8)
        for offset, length in table:
            assert unpack(data[offset : offset + length - 4], out)
