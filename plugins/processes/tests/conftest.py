"""The stage that the tests run; its helpers, which workers import too, are made importable."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from seisproc_core.jobs.control import Control

sys.path.insert(0, str(Path(__file__).parent))

from worker_stage import Stage, alive, children, eventually, open_channels


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Also checks that the test leaves no process and no descriptor behind."""
    made = Stage(tmp_path, Control(tmp_path / "control", create=True))
    children_before, channels_before = children(), open_channels()
    yield made
    assert children() == children_before
    assert open_channels() <= channels_before
    # A worker whose nursery was killed has stopped, but may take a moment to disappear.
    eventually(lambda: not [pid for pid in made.pids() if alive(pid)], within_s=1.0)
