"""A chosen value in the flow file: nothing else changes, and nothing at all where it does not fit."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core import Flow, Target, process
from seisproc_core.data.survey import MemorySurvey
from seisproc_core.errors import UsageError
from seisproc_core.processing.flow import Source
from seisproc_core.testing import make_gather
from seisproc_qc.flowfile import difference, edited, write

TEXT = """# The line of 1974
[source]
survey = "line.seis"   # imported
gather = [ "cdp" ]

[[step]]
use = "decon"     # predictive
gap_ms = 8        # to be tested

# then gain
[[step]]
  use = "agc"   # as always

# moveout last
[[step]]
use = "nmo"
velocity = { time_ms = [0, 500], rms_m_per_s = [1500, 2000] }   # picked

[sink]
survey = "out.seis"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("flowfile")
    gather = make_gather(np.random.default_rng(1).standard_normal((4, 200)), cdp=[1, 1, 2, 2], offset=[0, 50, 0, 50])
    source = Source(storage="memory", survey=MemorySurvey(gather))
    process(Flow(source=source, sink=Target(storage="survey", path=str(made / "line.seis"))), executor="in-process")
    return made


@pytest.fixture
def flow(folder: Path) -> Path:
    path = folder / "flow.toml"
    path.write_text(TEXT)
    return path


@settings(max_examples=20, deadline=None)
@given(gap=st.one_of(st.integers(4, 100), st.floats(4, 100)))
def test_only_the_value_changes(folder: Path, gap: float) -> None:
    path = folder / "property.toml"
    path.write_text(TEXT)
    text = edited(path, {(0, "gap_ms"): gap})
    old, new = TEXT.splitlines(), text.splitlines()
    assert len(old) == len(new)
    changed = [(a, b) for a, b in zip(old, new, strict=True) if a != b]
    assert all(a.startswith("gap_ms") and "# to be tested" in b for a, b in changed) and len(changed) <= 1
    assert tomllib.loads(text)["step"][0]["gap_ms"] == gap


def test_a_new_parameter_stands_with_its_step(flow: Path) -> None:
    text = edited(flow, {(1, "window_ms"): 250.0})
    assert '  use = "agc"   # as always\n  window_ms = 250.0\n\n# moveout last\n' in text
    assert text.replace("  window_ms = 250.0\n", "") == TEXT


def test_tables_choices_and_several_at_once(flow: Path) -> None:
    table = {"time_ms": [0, 100], "rms_m_per_s": [1400, 1500]}
    text = edited(flow, {(2, "velocity"): table, (1, "kind"): "gaussian", (0, "gap_ms"): 16})
    steps = tomllib.loads(text)["step"]
    assert steps[2]["velocity"] == table and steps[1]["kind"] == "gaussian" and steps[0]["gap_ms"] == 16
    assert "}   # picked" in text


@pytest.mark.parametrize(
    ("place", "value", "problem"),
    [((0, "gap"), 16, "not known"), ((0, "gap_ms"), -16, "must be"), ((1, "kind"), "loud", "must be one of"),
     ((2, "velocity"), "missing.csv", "not found")],
)  # fmt: skip
def test_refused_and_untouched(flow: Path, place: Any, value: Any, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        edited(flow, {place: value})
    assert flow.read_text() == TEXT


def test_line_ends_and_the_old_file_are_kept(flow: Path) -> None:
    flow.write_bytes(TEXT.replace("\n", "\r\n").encode())
    flow.chmod(0o640)
    text = edited(flow, {(0, "gap_ms"): 16})
    assert difference(flow, text).count("\n+gap_ms = 16") == 1
    backup = write(flow, text)
    assert backup.read_bytes() == TEXT.replace("\n", "\r\n").encode()
    assert flow.read_bytes() == TEXT.replace("gap_ms = 8 ", "gap_ms = 16 ").replace("\n", "\r\n").encode()
    assert flow.stat().st_mode & 0o777 == 0o640
    assert difference(flow, text) == ""
