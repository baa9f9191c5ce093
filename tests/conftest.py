"""Fixtures of the tests that cross plugins."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for integration_kit, which the test modules share

from integration_kit import Line, flow, model_line, run, write_segy


@pytest.fixture(scope="session")
def line() -> Line:
    """A small modelled line of 96 traces."""
    return model_line()


@pytest.fixture(scope="session")
def segy(line: Line, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It as a SEG-Y file."""
    return write_segy(tmp_path_factory.mktemp("segy") / "line.sgy", line)


@pytest.fixture(scope="session")
def survey(segy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It as a survey of six shards."""
    out = tmp_path_factory.mktemp("survey") / "line.seis"
    return run(flow({"segy": str(segy)}, [], {"survey": str(out), "shard_traces": 16}))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return Path(__file__).parent.parent
