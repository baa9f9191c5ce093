"""What all tests share: the real packages, and where reference data lie."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# The folder seisproc_core/ holds the distribution; imported first, the package of that name can't be shadowed by it.
import seisproc_core  # noqa: F401

# Examples that wait for a disk have no business with a deadline.
settings.register_profile("seisproc", deadline=None)
settings.load_profile("seisproc")

SHARED = Path(os.environ.get("SEISPROC_SHARED", Path(__file__).parent.parent / "shared"))


@pytest.fixture(autouse=True, scope="session")
def own_state(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test touches the user's jobs or plugin index."""
    os.environ["SEISPROC_STATE_DIR"] = str(tmp_path_factory.mktemp("state"))
    os.environ["SEISPROC_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))
    # Without the native reader every command that reads SEG-Y says so, in a line that no test of other lines expects.
    os.environ["PYTHONWARNINGS"] = "ignore:seisproc-native-segy is not installed:RuntimeWarning"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real SEG-Y files and reference results; tests that need them are skipped where they are not at hand."""
    if not SHARED.is_dir():
        pytest.skip(f"reference data not found at {SHARED} (set SEISPROC_SHARED)")
    return SHARED


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same for a test whatever ran before it."""
    return np.random.default_rng(20)
