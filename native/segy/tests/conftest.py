"""Shared data and a small SEG-Y writer which uses nothing of the package under test."""

from __future__ import annotations

import importlib.util
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# Where no Rust toolchain built it, nothing here can run; test_installed.py says so.
collect_ignore = (
    []
    if importlib.util.find_spec("seisproc_native_segy")
    else [p.name for p in Path(__file__).parent.glob("test_segy_*.py")]
)

Builder = Callable[..., Path]
Maker = Callable[..., bytes]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with the corpus and the reference results; tests that need it are skipped without it."""
    given = os.environ.get("SEISPROC_SHARED")
    folder = Path(given) if given else Path(__file__).resolve().parents[4] / "shared"
    if not (folder / "corpus" / "facts.json").is_file():
        pytest.skip(f"no corpus at {folder}: set SEISPROC_SHARED to the folder that holds corpus/ and golden/")
    return folder


def make_segy(
    raw: list[bytes],
    *,
    samples: int,
    format: int = 5,
    endian: str = "big",
    interval: int = 2000,
    text: bytes | None = None,
    words: dict[tuple[int, str], float] | None = None,
    extended: list[bytes] | None = None,
    trace_samples: int | None = None,
    trace_interval: int = 2000,
    extensions: int = 0,
    suffix: bytes = b"",
) -> bytes:
    """A SEG-Y file; `raw` holds each trace's sample bytes, `words` maps (1-based byte, struct code) to header words."""
    order = ">" if endian == "big" else "<"
    head = bytearray((text or "C 1 BUILT FOR A TEST".ljust(3200).encode("cp037")) + bytes(400))
    fields: dict[tuple[int, str], float] = {(3217, "H"): interval, (3221, "H"): samples, (3225, "H"): format}
    fields |= words or {}
    for (byte, code), value in fields.items():
        struct.pack_into(order + code, head, byte - 1, value)
    parts = [bytes(head), *(extended or [])]
    for number, body in enumerate(raw):
        header = bytearray(240 * (1 + extensions))
        struct.pack_into(order + "i", header, 0, number + 1)
        struct.pack_into(order + "i", header, 20, 100 + number)
        count = samples if trace_samples is None else trace_samples
        struct.pack_into(order + "HH", header, 114, count & 0xFFFF, trace_interval)
        parts += [bytes(header), body]
    return b"".join(parts) + suffix


@pytest.fixture(scope="session")
def segy_bytes() -> Maker:
    """The writer itself, for tests that go on to damage what it made."""
    return make_segy


@pytest.fixture
def build(tmp_path: Path) -> Builder:
    """Write a SEG-Y file made by `make_segy` and return its path."""

    def write(raw: list[bytes], *, name: str = "built.sgy", **options: Any) -> Path:
        path = tmp_path / name
        path.write_bytes(make_segy(raw, **options))
        return path

    return write


@pytest.fixture
def simple(build: Builder) -> Path:
    """Seven big-endian float32 traces of 11 samples; sample k of trace t is 100 t + k."""
    values = (100 * np.arange(7)[:, None] + np.arange(11)).astype(">f4")
    return build([row.tobytes() for row in values], samples=11)
