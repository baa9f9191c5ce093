from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest


@pytest.fixture
def ricker() -> Callable[[np.ndarray, float], np.ndarray]:
    """A zero-phase wavelet: its value at times in s, for a peak frequency in Hz."""

    def wavelet(time_s: np.ndarray, peak_hz: float) -> np.ndarray:
        squared = (np.pi * peak_hz * time_s) ** 2
        return (1 - 2 * squared) * np.exp(-squared)

    return wavelet


@pytest.fixture
def plane(ricker) -> Callable[..., np.ndarray]:
    """A plane wave: slope in s/m through a time at the middle of the line, float64 ``(n_traces, n_samples)``."""

    def wave(
        position_m: np.ndarray, slope: float, time_s: float, *, count: int = 500, dt: float = 0.004, hz: float = 20.0
    ) -> np.ndarray:
        x = np.asarray(position_m, np.float64)
        return ricker(np.arange(count) * dt - time_s - slope * (x - x.mean())[:, None], hz)

    return wave
