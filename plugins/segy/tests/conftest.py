"""Shared data, both readers, and a small SEG-Y writer that uses nothing of the package under test."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seisproc_core.data.gather import Gather
from seisproc_core.data.survey import OutputPlan
from seisproc_segy.storage import SegyStorage

BACKENDS = {"native": "seisproc_native_segy", "fallback": "seisproc_segy.fallback"}
SAMPLE_DTYPES = {2: "i4", 3: "i2", 5: "f4", 6: "f8", 8: "i1", 10: "u4", 11: "u2", 16: "u1"}


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with the corpus and the reference results; tests that need it are skipped without it."""
    given = os.environ.get("SEISPROC_SHARED")
    folder = Path(given) if given else Path(__file__).resolve().parents[4] / "shared"
    if not (folder / "corpus" / "facts.json").is_file():
        pytest.skip(f"no corpus at {folder}: set SEISPROC_SHARED to the folder that holds corpus/ and golden/")
    return folder


@pytest.fixture(scope="session")
def facts(shared: Path) -> dict[str, dict[str, Any]]:
    """What independent readers found in each SEG-Y and SU file of the corpus, by relative path."""
    every = json.loads((shared / "corpus" / "facts.json").read_text())
    return {name: fact for name, fact in every.items() if fact["kind"] in ("segy", "su")}


@pytest.fixture(scope="session", params=list(BACKENDS))
def backend(request: pytest.FixtureRequest) -> Any:
    if importlib.util.find_spec(BACKENDS[request.param]) is None:
        pytest.skip(f"{BACKENDS[request.param]} is not installed")
    return importlib.import_module(BACKENDS[request.param])


@pytest.fixture(scope="session")
def storage(backend: Any) -> SegyStorage:
    return SegyStorage(backend)


@pytest.fixture(scope="session")
def refuses() -> Callable[[Any, str, dict[str, Any]], bool]:
    """Whether a reader may refuse a file of the corpus: only the fallback, and only what it says it cannot read."""

    def may(backend: Any, name: str, fact: dict[str, Any]) -> bool:
        return backend.__name__ == BACKENDS["fallback"] and fact["format"] == 7

    return may


@pytest.fixture(scope="session")
def plan_of() -> Callable[..., OutputPlan]:
    """The plan of a job without steps over a survey; keywords replace its fields. Goes through JSON as in a job."""

    def make(survey: Any, **changes: Any) -> OutputPlan:
        headers = survey.headers()
        known: dict[str, Any] = {
            "n_traces": survey.n_traces,
            "sampling": survey.sampling,
            "words": {name: headers.dtype(name).str for name in headers},
            "info": survey.info,
            "raw_header_bytes": survey.raw_header_bytes,
            "raw_sample_bytes": survey.raw_sample_bytes,
        }
        return OutputPlan.from_json(json.loads(json.dumps(OutputPlan(**(known | changes)).to_json())))

    return make


@pytest.fixture(scope="session")
def written() -> Callable[[Any, Callable[[int, int], Gather], int], bytes]:
    """The file a sink makes of rows, its pieces put where they say."""

    def assemble(sink: Any, rows: Callable[[int, int], Gather], count: int) -> bytes:
        file, filled = bytearray(sink.file_bytes), np.zeros(sink.file_bytes, bool)
        pieces = sink.finish(Path("nowhere"))
        for start in range(0, count, sink.shard_rows):
            pieces += sink.encode(start, rows(start, min(start + sink.shard_rows, count)))
        for piece in pieces:
            data = bytes(piece.data)
            assert piece.key == "" and not filled[piece.offset : piece.offset + len(data)].any()
            file[piece.offset : piece.offset + len(data)] = data
            filled[piece.offset : piece.offset + len(data)] = True
        assert filled.all()
        return bytes(file)

    return assemble


def build_segy(
    path: Path,
    traces: Any,
    *,
    format: int = 5,
    endian: str = "big",
    interval: int = 2000,
    words: dict[tuple[int, str], Any] | None = None,
    binary: dict[tuple[int, str], float] | None = None,
    revision: tuple[int, int] = (1, 0),
    extended: Sequence[bytes] = (),
    su: bool = False,
    tail: bytes = b"",
) -> Path:
    """Write a file with `struct` and NumPy's byte orders; `words` and `binary` are placed by (byte, type)."""
    order = ">" if endian == "big" else "<"
    samples = np.atleast_2d(np.asarray(traces))
    count, length = samples.shape
    places = {(115, "u2"): length, (117, "u2"): interval, (29, "i2"): 1} | (words or {})
    headers = np.zeros((count, 240), np.uint8)
    for (byte, type_), value in places.items():
        column = np.broadcast_to(np.asarray(value), (count,)).astype(order + type_)
        headers[:, byte - 1 : byte - 1 + column.itemsize] = column.view(np.uint8).reshape(count, -1)
    body = np.concatenate((headers, samples.astype(order + SAMPLE_DTYPES[format]).view(np.uint8).reshape(count, -1)), 1)
    head = bytearray("".join(f"C{line:2d} A TEST FILE".ljust(80) for line in range(1, 41)).encode("cp037") + bytes(400))
    known = {(3217, "u2"): interval, (3221, "u2"): length, (3225, "u2"): format, (3505, "i2"): len(extended)}
    for (byte, type_), value in (known | (binary or {})).items():
        data = np.array(value, order + type_).tobytes()
        head[byte - 1 : byte - 1 + len(data)] = data
    head[3500:3502] = struct.pack("BB", *revision)
    path.write_bytes(b"" if su else bytes(head) + b"".join(record.ljust(3200, b"\x40") for record in extended))
    with path.open("ab") as file:
        file.write(body.tobytes() + tail)
    return path


@pytest.fixture(scope="session")
def segy_file() -> Callable[..., Path]:
    return build_segy
