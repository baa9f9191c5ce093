"""What front ends ask of a file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import seisproc_segy
from seisproc_core.errors import HeaderError, ParameterError, UsageError

Write = Callable[..., Path]


@pytest.fixture
def path(tmp_path: Path, segy_file: Write) -> str:
    words = {(21, "i4"): [5, 9, 5], (109, "i2"): 30, (233, "i2"): [1, -1, 1]}
    return str(segy_file(tmp_path / "a.sgy", np.ones((3, 11)), words=words))


def test_describe(path: str) -> None:
    facts = seisproc_segy.describe(path)
    assert json.loads(json.dumps(facts)) == facts
    wanted = {
        "kind": "segy", "format": 5, "format_name": "IEEE float32", "revision": "1.0", "endian": "big", "traces": 3,
        "samples": 11, "interval_ms": 2.0, "start_ms": 30.0, "length_ms": 20.0, "header_bytes": 240,
        "text_encoding": "ebcdic",
    }  # fmt: skip
    assert {name: facts[name] for name in wanted} == wanted
    assert facts["size"] == Path(path).stat().st_size
    assert facts["text"][0] == "C 1 A TEST FILE" and len(facts["text"]) == 40


def test_text_cannot_steer_a_terminal(path: str) -> None:
    data = bytearray(Path(path).read_bytes())
    data[0:3200] = "\x1b[31mred\x07\x9b2J\x00 text header".ljust(3200).encode("latin-1")
    Path(path).write_bytes(data)
    for encoding in ("ascii", "ebcdic"):
        text = "".join(seisproc_segy.describe(path, text_encoding=encoding)["text"])
        assert all(character.isprintable() for character in text)


def test_header_table(path: str) -> None:
    table = seisproc_segy.header_table(path, ["cdp", "delrt", "polarity"], 1, 9, words={"polarity": [233, "i2"]})
    assert {name: column.tolist() for name, column in table.items()} == {
        "cdp": [9, 5], "delay": [30, 30], "polarity": [-1, 1],
    }  # fmt: skip
    assert set(seisproc_segy.header_table(path)) == {"cdp", "delay", "trace_type", "sample_count", "sample_interval"}
    with pytest.raises(HeaderError, match="did you mean cdp"):
        seisproc_segy.header_table(path, ["cdpp"])


def test_word_statistics(path: str) -> None:
    found = seisproc_segy.word_statistics(path)
    assert found["cdp"] == {"first": 5, "last": 5, "min": 5, "max": 9, "n_unique": 2, "byte": 21, "type": "i4"}
    assert "offset" not in found
    assert seisproc_segy.word_statistics(path, ["offset"])["offset"]["n_unique"] == 1


def test_refusals(path: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        seisproc_segy.describe(str(tmp_path / "none.sgy"))
    with pytest.raises(ParameterError, match="'sampels' is unknown"):
        seisproc_segy.describe(path, sampels=4)


def test_describing_the_plugin_imports_nothing_heavy() -> None:
    code = "import sys, seisproc_segy, seisproc_segy.plugin as p; p.seisproc_storage(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "segyio", "seisproc_native_segy", "seisproc_segy.storage"} & set(loaded)
