"""What the tests share: a small SEG-Y file, results of the command as a child process, and reasons to skip."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

from seisproc_core.plugins import registry

TRACES, SAMPLES = 240, 125

FLOW = """
[source]
survey = "line.seis"

[[step]]
use = "{step}"

[sink]
survey = "out.seis"
"""


@attrs.frozen
class Ran:
    """What a run of the command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ran]


def write_segy(path: Path, *, text: bytes = b"C 1 LINE") -> Path:
    """A SEG-Y file of IEEE floats, 10 records of 24 channels."""
    header = np.zeros(3600, np.uint8)
    card = text.decode("latin-1").ljust(3200).encode("cp500", "replace")
    header[:3200] = np.frombuffer(card, np.uint8)
    binary = header[3200:]
    for byte, value in ((3217, 4000), (3221, SAMPLES), (3225, 5), (3255, 1)):
        binary[byte - 3201 : byte - 3199] = np.frombuffer(np.array(value, ">i2").tobytes(), np.uint8)
    kind = np.dtype([("header", "u1", 240), ("samples", ">f4", SAMPLES)])
    traces = np.zeros(TRACES, kind)
    number = np.arange(TRACES)
    record, channel = number // 24 + 1, number % 24 + 1
    words = {9: record, 13: channel, 21: record + channel, 37: channel * 25}
    for byte, values in words.items():
        traces["header"][:, byte - 1 : byte + 3] = values.astype(">i4").view(np.uint8).reshape(-1, 4)
    for byte, value in ((29, 1), (115, SAMPLES), (117, 4000), (233, -7)):
        traces["header"][:, byte - 1 : byte + 1] = np.frombuffer(np.array(value, ">i2").tobytes(), np.uint8)
    traces["samples"] = np.random.default_rng(1).normal(size=(TRACES, SAMPLES))
    path.write_bytes(header.tobytes() + traces.tobytes())
    return path


def have(*wanted: tuple[str, str]) -> pytest.MarkDecorator:
    """Skip unless these descriptions, as (kind, id), are installed."""
    known = registry()
    missing = [f"{kind} {name}" for kind, name in wanted if not any(e.id == name for e in known.of(kind))]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


needs_formats = have(("storage", "segy"), ("storage", "survey"))
needs_jobs = have(("storage", "segy"), ("storage", "survey"), ("job_stores", "sqlite"), ("executors", "processes"))
