"""Shared pieces of the tests of this plugin."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seisproc_core.data.gather import Gather
from seisproc_core.testing import make_gather, run_processor
from seisproc_velocity.plugin import KERNELS


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of reference results made with Seismic Unix."""
    root = Path(__file__).resolve().parents[3].parent / "shared"
    folder = Path(os.environ.get("SEISPROC_SHARED") or root) / "golden"
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder}: set SEISPROC_SHARED to the folder that holds golden/")
    return folder


@pytest.fixture(scope="session")
def load(golden: Path) -> Callable[..., Gather]:
    """Reads an input of the reference data."""

    def read(name: str, gather_starts: list[int] | None = None, live: Any = None) -> Gather:
        about = json.loads((golden / f"inputs/{name}.json").read_text())
        return make_gather(
            np.load(golden / f"inputs/{name}.npy", allow_pickle=False),
            interval_ms=about["dt_us"] / 1000,
            start_ms=about["delrt_ms"],
            gather_starts=gather_starts,
            live=live,
            offset=about["headers"]["offset"],
            cdp=about["headers"]["cdp"],
        )

    return read


@pytest.fixture(params=["reference", "numba"])
def run(request: pytest.FixtureRequest) -> Callable[..., Gather]:
    """Runs a processor with either backend."""
    if request.param == "numba":
        pytest.importorskip("seisproc_numba", reason="the numba backend is not installed")

    def go(cls: Any, gather: Gather, **parameters: Any) -> Gather:
        return run_processor(cls, gather, parameters, kernels=KERNELS, backend=request.param)

    return go


def _ricker(t: np.ndarray, hz: float) -> np.ndarray:
    a = (np.pi * hz * t) ** 2
    return (1 - 2 * a) * np.exp(-a)


@pytest.fixture(scope="session")
def ricker() -> Callable[..., np.ndarray]:
    """Zero-phase wavelet of a peak frequency, its peak 1 at t = 0."""
    return _ricker


@pytest.fixture(scope="session")
def hyperbola() -> Callable[..., np.ndarray]:
    """Traces with one reflection, its wavelet of 25 Hz centred exactly on the hyperbola."""

    def make(
        offset: np.ndarray, t0: float, v: float, *, n: int = 500, interval_ms: float = 4.0, start_ms: float = 0.0
    ) -> np.ndarray:
        t = start_ms / 1000 + np.arange(n) * interval_ms / 1000
        return _ricker(t - np.sqrt(t0**2 + (offset / v) ** 2)[:, None], 25.0)

    return make
