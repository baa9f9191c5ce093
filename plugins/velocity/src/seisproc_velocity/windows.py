"""Which samples count."""

from __future__ import annotations

import numpy as np


def live_samples(first: np.ndarray, end: np.ndarray, n_samples: int) -> np.ndarray:
    """Which samples lie in the live windows: bool ``(n_traces, n_samples)``."""
    sample = np.arange(n_samples)
    return (sample >= first[:, None]) & (sample < end[:, None])
