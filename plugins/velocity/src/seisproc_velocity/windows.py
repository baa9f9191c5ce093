"""Which samples count."""

from __future__ import annotations

import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.data.words import DEAD


def live_window(batch: Gather) -> tuple[np.ndarray, np.ndarray]:
    """First live sample and one past the last of every trace, within the trace; empty for dead traces."""
    first, end = (np.clip(edge, 0, batch.n_samples) for edge in batch.live_window)
    return first, np.where(batch.headers[DEAD] != 0, first, end) if DEAD in batch.headers else end


def live_samples(first: np.ndarray, end: np.ndarray, n_samples: int) -> np.ndarray:
    """Which samples lie in the live windows: bool ``(n_traces, n_samples)``."""
    sample = np.arange(n_samples)
    return (sample >= first[:, None]) & (sample < end[:, None])
