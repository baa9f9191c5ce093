"""Thousands of damaged headers: every one is read or refused, quickly, and never crashes the process."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seisproc_native_segy import SegyError, SegyFile

Maker = Callable[..., bytes]

# Words that decide the layout: byte, struct code. Mutating these finds faults that random bytes do not.
WORDS = [(3217, "H"), (3221, "H"), (3225, "H"), (3269, "I"), (3273, "d"), (3297, "I"), (3501, "H"), (3503, "H"),
         (3505, "h"), (3507, "i"), (3513, "Q"), (3521, "Q"), (3529, "i"), (3715, "H"), (3717, "H"), (115, "H"),
         (117, "H")]  # fmt: skip
EDGES = [0, 1, 2, 3, 4, 5, 9, 12, 13, 16, 17, 255, 256, 1000, 3200, 3600, 3601, 6800, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF,
         0x10000, 0x01020304, 0x02010403, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**40, 2**63, 2**64 - 1]  # fmt: skip
OPTIONS: list[dict[str, Any]] = [
    {}, {"lenient": True}, {"samples": 7, "lenient": True}, {"samples": 2**32 - 1, "lenient": True}, {"kind": "su"},
    {"kind": "su", "lenient": True}, {"format": 5},
]  # fmt: skip
FORMATS = {1: 4, 3: 2, 6: 8, 7: 3, 8: 1}


def base(rng: random.Random, segy_bytes: Maker) -> bytes:
    code = rng.choice(list(FORMATS))
    samples = rng.choice([1, 7, 50])
    words: dict[tuple[int, str], float] = {(3501, "B"): rng.choice([0, 1, 2])}
    raw = [rng.randbytes(samples * FORMATS[code]) for _ in range(rng.choice([1, 5, 30]))]
    return segy_bytes(raw, samples=samples, format=code, endian=rng.choice(["big", "little"]), words=words)


def mutate(content: bytes, rng: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        byte, code = rng.choice(WORDS)
        bits = 8 * struct.calcsize(code)
        value = rng.choice([rng.choice(EDGES), rng.getrandbits(bits)]) % (1 << bits)
        packed = value.to_bytes(bits // 8, rng.choice(["big", "little"]))
        if byte - 1 + len(packed) <= len(data):
            data[byte - 1 : byte - 1 + len(packed)] = packed
    if rng.random() < 0.3:
        del data[rng.randrange(len(data) + 1) :]
    if rng.random() < 0.1:
        data += rng.randbytes(rng.randrange(5000))
    return bytes(data)


def use(path: Path, **options: Any) -> bool:
    """Open and touch everything; True if it could be read."""
    try:
        file = SegyFile.open(path, **options)
        stop = min(file.traces, 40)
        traces, headers, _ = file.read(0, stop, threads=2)
        assert traces.shape == (stop, file.samples) and headers.shape == (stop, file.header_bytes)
        assert file.raw_samples(0, stop).nbytes <= file.size
        file.columns([(file.header_bytes - 3, "i4"), (1, "ibm")], 0, file.traces)
        assert len(file.prefix()) + file.traces * file.trace_stride + len(file.suffix()) == file.size
        assert all("\n" not in line for line in file.text() + file.findings)
        assert len(file.extended()) == file.extended_text
    except SegyError as error:
        assert str(path) in str(error) and "\n" not in str(error)
        return False
    return True


@pytest.mark.parametrize("seed", range(4))
def test_damaged_headers(tmp_path: Path, segy_bytes: Maker, seed: int) -> None:
    rng = random.Random(seed)
    read = 0
    slowest = 0.0
    for number in range(800):
        path = tmp_path / f"{number % 3}{rng.choice(['.sgy', '.su', ''])}"
        path.write_bytes(mutate(base(rng, segy_bytes), rng))
        options = rng.choice(OPTIONS)
        began = time.monotonic()
        read += use(path, **options)
        slowest = max(slowest, time.monotonic() - began)
        path.unlink()
    assert 100 < read < 780, "the mutations reach both outcomes"
    assert slowest < 1.0
