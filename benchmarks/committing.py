"""What it costs that finished work survives a crash: journal records and synced shards."""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.harness import Row, Work, against, at_most, duration, interleave
from benchmarks.plain import Put, put_unsynced
from benchmarks.workspace import Workspace
from seisproc_core.data.checksums import crc32c
from seisproc_core.data.survey import Piece
from seisproc_core.execution.executor import Receipt
from seisproc_core.jobs.durable import put_folder
from seisproc_core.jobs.journal import Journal

SHARD, CHUNK = 4 << 20, 1 << 18
P99_MS = 5.0


def commit(space: Workspace) -> Iterator[Row]:
    """Journal appends one by one, against as many bytes written and synced; shards of 4 MiB with and without fsync."""
    count = 200 if space.quick else 2000
    ours, bare = [], []
    for _ in range(space.rounds):
        ours.append(_appends(space, count))
        bare.append(_bare_appends(space, count))
    for share, goal in ((50, None), (99, at_most(P99_MS))):
        mine = tuple(float(np.percentile(times, share)) * 1e3 for times in ours)
        peer = float(np.median([np.percentile(times, share) for times in bare]))
        yield Row(
            what=f"journal append, p{share}", ours=duration(float(np.median(mine)) / 1e3),
            peer=f"write + fdatasync: {duration(peer)}", values=mine, unit="ms", goal=goal,
        )  # fmt: skip
    yield from _shards(space)


def _shards(space: Workspace) -> Iterator[Row]:
    pieces = 16 if space.quick else 128
    data = np.random.default_rng(4).integers(0, 256, SHARD, np.uint8)
    puts: dict[str, Put] = {"synced": put_folder, "unsynced": put_unsynced}
    works = {
        name: Work(
            partial(_put_all, put, space.folder / name, [Piece(f"{k}", data) for k in range(pieces)]),
            partial(_empty, space, name),
        )
        for name, put in puts.items()
    }
    seconds = interleave(works, space.rounds)
    for name in puts:
        space.fresh(name)
    amount = (pieces * SHARD / 1e6, "MB")
    # Without a goal: the peer only fills memory. What durability costs a whole flow is a row of `flows`.
    title = "shards of 4 MiB, durable one by one"
    yield against(title, seconds["synced"], "no fsync, page cache", seconds["unsynced"], amount=amount)
    yield _checksums(data, seconds["synced"] / pieces, space.rounds)


def _checksums(data: np.ndarray, written: np.ndarray, rounds: int) -> Row:
    """What is computed per shard so that damage is found, as a share of writing it."""
    seconds = []
    for _ in range(max(rounds, 5)):
        began = time.perf_counter()
        crc32c(data)
        for first in range(0, SHARD, CHUNK):
            crc32c(data[first : first + CHUNK])
        seconds.append(time.perf_counter() - began)
    share = tuple(100 * s / float(np.median(written)) for s in seconds)
    return Row(
        what="checksums of a shard of 4 MiB: CRC-32C of the file and of its chunks",
        ours=duration(float(np.median(seconds))), peer=f"writing it, durable: {duration(float(np.median(written)))}",
        values=share, unit="%", goal=at_most(3),
    )  # fmt: skip


def _put_all(put: Put, folder: Path, pieces: Sequence[Piece]) -> None:
    for piece in pieces:
        put(folder, [piece])


def _empty(space: Workspace, name: str) -> None:
    space.fresh(name).mkdir()


def _receipt(segment: int) -> Receipt:
    """As a segment of a survey leaves it: four files."""
    folders = ("traces/c", "header_words/c", "raw_headers/c", "headers")
    pieces = tuple((f"{folder}/{segment}/0", 0, SHARD, 0x12345678) for folder in folders)
    return Receipt(segment=segment, pieces=pieces, traces_in=1000, traces_out=1000)


def appended(segment: int) -> bytes:
    """The line of a journal for a segment, without waiting for the disk."""
    body = json.dumps({"stage": 0, "receipts": [_receipt(segment).to_json()]}, separators=(",", ":"))
    return f"{zlib.crc32(body.encode()):08x} {body}\n".encode()


def _appends(space: Workspace, count: int) -> list[float]:
    taken = []
    with Journal(space.fresh("journal")) as journal:
        for segment in range(count):
            receipt = _receipt(segment)
            began = time.perf_counter()
            journal.append(0, [receipt])
            taken.append(time.perf_counter() - began)
    return taken


def _bare_appends(space: Workspace, count: int) -> list[float]:
    line = space.folder.joinpath("journal").read_bytes().splitlines(keepends=True)[0]
    taken = []
    with space.fresh("bare-journal").open("ab", buffering=0) as file:
        for _ in range(count):
            began = time.perf_counter()
            file.write(line)
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - began)
    return taken
