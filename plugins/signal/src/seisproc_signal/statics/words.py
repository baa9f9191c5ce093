"""The header words of statics: how much was applied to a trace, by whom, and that it was.

Corrections are times to be added, in ms, with their fraction: positive is later, as in SEG-Y's own words of statics.
"""

from __future__ import annotations

import numpy as np

from seisproc_core.data.gather import Layout
from seisproc_core.data.headers import Headers
from seisproc_core.processing.processor import Processor

SOURCE, RECEIVER, TOTAL = "source_static_ms", "receiver_static_ms", "total_static_ms"


def mark_of(kind: str) -> str:
    """The word that says how much a kind of statics moved a trace, and by being there that it was applied."""
    return f"{kind}_static_ms"


def refuse_twice(step: Processor, layout: Layout, kind: str) -> None:
    """Refuse to apply a kind of statics to a survey that carries its mark."""
    if mark_of(kind) in layout.headers:
        raise step.bad("name", f"'{kind}': such statics were applied already (word '{mark_of(kind)}' is there)")


def planned(layout: Layout, kind: str) -> Layout:
    """The layout with the words that `noted` writes."""
    zeros = np.zeros(layout.n_traces)
    headers = noted(layout.headers, kind, zeros, zeros)
    return Layout(headers=headers, sampling=layout.sampling, gather_starts=layout.gather_starts)


def noted(headers: Headers, kind: str, source_ms: np.ndarray, receiver_ms: np.ndarray) -> Headers:
    """Headers that tell of statics just applied: their own word, and what all statics together moved the trace."""
    moved = source_ms + receiver_ms
    words = {mark_of(kind): moved.astype(np.float32)}
    for name, more in ((SOURCE, source_ms), (RECEIVER, receiver_ms), (TOTAL, moved)):
        before = headers.column(name) if name in headers else np.zeros(headers.count)
        words[name] = (before + more).astype(np.float32)
    return headers.with_columns(**words)
