from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seisproc_core.data.gather import Gather
from seisproc_core.testing import make_gather


@pytest.fixture
def golden() -> Callable[[str], tuple[Gather, np.ndarray]]:
    """The input gather of a golden case, and what the program it names made of it."""
    shared = Path(os.environ.get("SEISPROC_SHARED") or Path(__file__).resolve().parents[4] / "shared")
    folder = shared / "golden"
    if not folder.is_dir():
        pytest.skip(f"golden data not found in {folder} (set SEISPROC_SHARED)")

    def load(case: str) -> tuple[Gather, np.ndarray]:
        about: dict[str, Any] = json.loads((folder / f"{case}.json").read_text())
        source = folder / about.get("input", "inputs/cmp3.npy")
        made = json.loads(source.with_suffix(".json").read_text())
        words = {name: made["headers"][name] for name in ("cdp", "offset")}
        gather = make_gather(np.load(source), interval_ms=made["dt_us"] / 1000, start_ms=made["delrt_ms"], **words)
        return gather, np.load(folder / f"{case}.npy")

    return load
