"""Reading SEG-Y: all samples, and header words of every trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import segyio

from benchmarks.harness import Row, Work, absent, against, at_least, at_most, interleave, number
from benchmarks.segy_peers.environment import Peers
from benchmarks.workspace import FILE_HEADER, WORDS, Workspace, copy, trace_record
from seisproc_core.data.words import STANDARD
from seisproc_segy.backend import default_backend
from seisproc_zarr.columns import encode_table

CHUNK = 2000  # traces decoded at once: 8 MB
EIGHT = ("field_record", "channel", "cdp", "offset", "source_x", "source_y", "receiver_x", "receiver_y")


def decode(space: Workspace) -> Iterator[Row]:
    """All samples of file A as float32, chunk by chunk; of a tenth of it, by the library that takes longest."""
    path, peers, traces = space.file_a, space.peers, space.size(500_000)
    target = space.folder / "copy.sgy"
    works = {
        "one": Work(lambda: _decode(path, 1)),
        "two": Work(lambda: _decode(path, 2)),
        "segyio": Work(lambda: _decode_segyio(path, mapped=False)),
        "mapped": Work(lambda: _decode_segyio(path, mapped=True)),
        "cp": Work(lambda: copy(path, target), lambda: space.fresh(target.name)),
    }
    if isinstance(peers, Peers):
        _check_last(peers("decode_segfast", path, traces), path)
        works["segfast"] = Work(lambda: peers("decode_segfast", path, traces))
    seconds = interleave(works, space.rounds)
    space.fresh(target.name)
    one, amount = seconds["one"], (path.stat().st_size / 1e6, "MB")
    yield against("decode, 1 thread", one, "segyio in chunks", seconds["segyio"], goal=at_most(0.45), amount=amount)
    yield against("decode, 1 thread", one, "segyio, mmap", seconds["mapped"], amount=amount)
    if isinstance(peers, Peers):
        name = f"segfast {peers.versions['segfast']}"
        yield against("decode, 1 thread", one, name, seconds["segfast"], amount=amount)
        yield _against_segy(space, peers)
    else:
        yield absent("decode, 1 thread", "segfast", peers)
        yield absent("decode, 1 thread", "TGS segy", peers)
    yield against("decode, 1 thread", one, "cp", seconds["cp"], goal=at_most(1.0), amount=amount)
    speedup = tuple(one / seconds["two"])
    two = against("", seconds["two"], "1 thread", one, amount=amount)
    yield Row(what="decode, 2 threads: speed-up", ours=two.ours, peer=two.peer, values=speedup, goal=at_least(1.7))


def _against_segy(space: Workspace, peers: Peers) -> Row:
    traces = space.size(50_000)
    path = space.segy(traces, 1000)
    _check_last(peers("decode_segy", path, traces), path)
    works = {
        "one": Work(lambda: _decode(path, 1)),
        "segy": Work(lambda: peers("decode_segy", path, traces)),
    }
    seconds = interleave(works, space.rounds)
    name, amount = f"TGS segy {peers.versions['segy']}", (path.stat().st_size / 1e6, "MB")
    what = f"decode, 1 thread, {number(traces)} traces"
    return against(what, seconds["one"], name, seconds["segy"], amount=amount)


def _check_last(found: float, path: Path) -> None:
    """What a peer says of its last chunk, held to ours: it did the same work."""
    file = default_backend().SegyFile.open(path)
    last = np.asarray(file.read((file.traces - 1) // CHUNK * CHUNK, file.traces)[0], np.float64)
    if not abs(found - last.sum()) <= 1e-6 * np.abs(last).sum():
        raise AssertionError(f"the last samples of {path} add up to {found}, here to {last.sum()}")


def _decode(path: Path, threads: int) -> None:
    file = default_backend().SegyFile.open(path)
    buffer = np.empty((CHUNK, file.samples), np.float32)
    for start in range(0, file.traces, CHUNK):
        stop = min(start + CHUNK, file.traces)
        file.read(start, stop, traces=buffer[: stop - start], threads=threads)


def _decode_segyio(path: Path, *, mapped: bool) -> None:
    with segyio.open(path, ignore_geometry=True) as file:
        if mapped:
            file.mmap()
        for start in range(0, file.tracecount, CHUNK):
            file.trace.raw[start : start + CHUNK]


def headers(space: Workspace) -> Iterator[Row]:
    """Eight header words of every trace of file A as native integers; twenty, to a Parquet file."""
    path, peers = space.file_a, space.peers
    ours, mapped = _columns(path), _columns_memmap(path)
    if not all(np.array_equal(a, b) for a, b in zip(ours, mapped, strict=True)):
        raise AssertionError("header words differ from those of the memory map")
    works = {
        "one": Work(lambda: _columns(path)),
        "two": Work(lambda: _columns(path, threads=2)),
        "memmap": Work(lambda: _columns_memmap(path)),
        "table": Work(lambda: _to_parquet(path, space.folder / "words.parquet")),
    }
    if isinstance(peers, Peers):
        if peers("headers_segfast", path) != [float(column.sum()) for column in ours]:
            raise AssertionError("header words differ from those of segfast")
        works["segfast"] = Work(lambda: peers("headers_segfast", path))
    seconds = interleave(works, max(space.rounds, 5))
    amount = (len(ours[0]), "traces")
    yield against(
        "8 header words, 2 threads", seconds["two"], "numpy memmap", seconds["memmap"], goal=at_most(1.2), amount=amount
    )
    yield against("8 header words, 1 thread", seconds["one"], "numpy memmap", seconds["memmap"], amount=amount)
    if isinstance(peers, Peers):
        name = f"segfast {peers.versions['segfast']}"
        yield against("8 header words, 1 thread", seconds["one"], name, seconds["segfast"], amount=amount)
    else:
        yield absent("8 header words, 1 thread", "segfast", peers)
    yield Row(
        what="20 header words to Parquet, 2 threads", ours="", peer="", values=tuple(seconds["table"]), unit="s",
        goal=at_most(1.5),
    )  # fmt: skip
    if not space.quick:
        slow = interleave({"segyio": Work(lambda: _columns_segyio(path))}, space.rounds, warm_up=False)["segyio"]
        yield against("8 header words, 1 thread", seconds["one"][: len(slow)], "segyio attributes", slow, amount=amount)


def _columns(path: Path, names: Sequence[str] = EIGHT, threads: int = 1) -> list[np.ndarray]:
    file = default_backend().SegyFile.open(path)
    fields = [(STANDARD[name].byte, STANDARD[name].type) for name in names]
    columns: list[np.ndarray] = file.columns(fields, 0, file.traces, threads=threads)
    return columns


def _to_parquet(path: Path, out: Path) -> None:
    """As many words as the file has, but one, LZ4-compressed as in a survey."""
    names = WORDS[:20]
    out.write_bytes(encode_table(dict(zip(names, _columns(path, names, threads=2), strict=True))))


def _columns_memmap(path: Path) -> list[np.ndarray]:
    with path.open("rb") as file:
        samples = int.from_bytes(file.read(FILE_HEADER)[3220:3222], "big")
    traces = np.memmap(path, trace_record(samples), "r", FILE_HEADER)
    return [traces[name].astype(traces.dtype[name].newbyteorder("=")) for name in EIGHT]


def _columns_segyio(path: Path) -> list[np.ndarray]:
    with segyio.open(path, ignore_geometry=True) as file:
        return [file.attributes(STANDARD[name].byte)[:] for name in EIGHT]
