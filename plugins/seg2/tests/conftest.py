"""Shared data, and a SEG-2 writer that uses nothing of the package under test."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

Strings = dict[str, str]


def strings_block(strings: Strings, order: str, end: bytes) -> bytes:
    """Keyword strings, each behind the distance to the next one, and the 0 that ends them."""
    made = b""
    for keyword, value in strings.items():
        text = f"{keyword} {value}".encode("latin-1") + end
        made += struct.pack(order + "H", 2 + len(text)) + text
    return made + struct.pack(order + "H", 0)


def build_seg2(
    path: Path,
    traces: Sequence[tuple[Strings, int, int, bytes]],
    *,
    strings: Strings | None = None,
    order: str = "<",
    end: bytes = b"\0",
) -> Path:
    """Write a file; a trace is its strings, data format code, number of samples, and samples as bytes."""
    texts = strings_block(strings or {}, order, end)
    pointer_bytes = 4 * len(traces) + 8
    at = 32 + pointer_bytes + len(texts)
    pointers, body = [], b""
    for words, format_, samples, data in traces:
        block = strings_block(words, order, end)
        block += bytes(-len(block) % 4)
        pointers.append(at + len(body))
        head = struct.pack(order + "HHIIB", 0x4422, 32 + len(block), len(data), samples, format_)
        body += head.ljust(32, b"\0") + block + data
    head = struct.pack(order + "HHHH", 0x3A55, 1, pointer_bytes, len(traces))
    head += bytes([len(end)]) + end.ljust(2, b"\0") + b"\x01\n\0"
    table = struct.pack(f"{order}{len(pointers)}I", *pointers).ljust(pointer_bytes, b"\0")
    path.write_bytes(head.ljust(32, b"\0") + table + texts + body)
    return path


@pytest.fixture(scope="session")
def seg2_file() -> Callable[..., Path]:
    return build_seg2


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with the corpus; tests that need it are skipped without it."""
    given = os.environ.get("SEISPROC_SHARED")
    folder = Path(given) if given else Path(__file__).resolve().parents[4] / "shared"
    if not (folder / "corpus" / "facts.json").is_file():
        pytest.skip(f"no corpus at {folder}: set SEISPROC_SHARED to the folder that holds corpus/ and golden/")
    return folder


@pytest.fixture(scope="session")
def facts(shared: Path) -> dict[str, dict[str, Any]]:
    """What an independent reader found in each SEG-2 file of the corpus, by relative path."""
    every = json.loads((shared / "corpus" / "facts.json").read_text())
    return {name: fact for name, fact in every.items() if fact["kind"] == "seg2"}
