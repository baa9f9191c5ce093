"""Flow files: what is read, what is refused and how it is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from seisproc_core import Flow
from seisproc_core.errors import SeisprocError

GOOD = """
[source]
memory = "in.seis"
gather = ["fldr"]
sort = ["-offset"]

[[step]]
use = "agc"
window_ms = 500

[[step]]
use = "sort"
gather = ["cdp"]

[sink]
memory = "out.seis"
index = [["cdp"]]
"""


def load(tmp_path: Path, text: str, *overrides: str) -> Flow:
    path = tmp_path / "flow.toml"
    path.write_text(text)
    return Flow.load(path, overrides)


def test_a_flow(tmp_path: Path) -> None:
    flow = load(tmp_path, GOOD)
    assert flow.source.paths == (str(tmp_path / "in.seis"),)
    assert (flow.source.gather, flow.source.sort) == (("field_record",), ("-offset",))
    assert [step.use for step in flow.steps] == ["agc", "sort"]
    assert flow.sink.index == (("cdp",),)


def test_overrides(tmp_path: Path) -> None:
    flow = load(tmp_path, GOOD, "agc.window_ms=300", "agc.kind=rms", "sink.shard_traces=7")
    assert flow.steps[0].parameters == {"window_ms": 300, "kind": "rms"}
    assert flow.sink.options == {"shard_traces": 7}


@pytest.mark.parametrize("override", ["agc", "agc=3", "agc.=3", "nmo.velocity=3", "="])
def test_bad_overrides(tmp_path: Path, override: str) -> None:
    with pytest.raises(SeisprocError):
        load(tmp_path, GOOD, override)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs a .source. table"),
        ("[source", "is not a TOML file"),
        (GOOD + "[extra]\n", "unknown table 'extra'"),
        (GOOD.replace('memory = "in.seis"', 'zip = "in.zip"'), "name one of memory"),
        (GOOD.replace('memory = "in.seis"', "memory = 3"), "must be a path"),
        (GOOD.replace('use = "agc"', "use = 3"), "step 1 needs use"),
        (GOOD.replace('["fldr"]', "[3]"), "gather must be a list of header words"),
        ("x = " + "[" * 5000, "is not a TOML file"),
    ],
)
def test_refusals(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SeisprocError, match=message):
        load(tmp_path, text)


def test_a_missing_or_huge_file(tmp_path: Path) -> None:
    with pytest.raises(SeisprocError, match="cannot read flow"):
        Flow.load(tmp_path / "nothing.toml")
    huge = tmp_path / "huge.toml"
    with huge.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(SeisprocError, match="larger than 4 MiB"):
        Flow.load(huge)
