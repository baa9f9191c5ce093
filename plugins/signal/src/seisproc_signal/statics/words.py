"""The header words of statics: how much was applied to a trace, by whom, and that it was.

Corrections are times to be added, in ms, with their fraction: positive is later, as in SEG-Y's own words of statics.
What all statics together moved a trace is the sum of its source's and its receiver's, less that of its CMP, which leads
from a floating to the final datum and is held back, and what belongs to the trace alone.
"""

from __future__ import annotations

import attrs
import numpy as np

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.data.headers import Headers
from seisproc_core.processing.context import Context
from seisproc_core.processing.processor import Processor
from seisproc_signal.shift import shift_traces

SOURCE, RECEIVER, CMP, TOTAL = "source_static_ms", "receiver_static_ms", "cmp_static_ms", "total_static_ms"


def mark_of(kind: str) -> str:
    """The word that says how much a kind of statics moved a trace, and by being there that it was applied."""
    return f"{kind}_static_ms"


def refuse_twice(step: Processor, layout: Layout, kind: str, parameter: str = "name") -> None:
    """Refuse to apply a kind of statics to a survey that carries its mark."""
    if not kind.isidentifier() or not kind.islower() or mark_of(kind) in (SOURCE, RECEIVER, CMP, TOTAL):
        raise step.bad(
            "name", "must be one word of lower case letters, digits and _; none of source, receiver, cmp, total"
        )
    if mark_of(kind) in layout.headers:
        raise step.bad(parameter, f"'{kind}': such statics were applied already (word '{mark_of(kind)}' is there)")


def planned(layout: Layout, kind: str, *terms: str) -> Layout:
    """The layout with the words that `noted` writes for these terms."""
    zeros = np.zeros(layout.n_traces)
    return attrs.evolve(layout, headers=noted(layout.headers, kind, zeros, **dict.fromkeys(terms, zeros)))


def applied(batch: Gather, kind: str, move_ms: np.ndarray, context: Context, **terms_ms: np.ndarray) -> Gather:
    """Traces moved by so many ms each, and their headers telling of it."""
    moved = shift_traces(batch, move_ms / 1000 / batch.sampling.interval_s, context)
    return moved.with_headers(noted(moved.headers, kind, move_ms, **terms_ms))


def noted(headers: Headers, kind: str, moved_ms: np.ndarray, **terms_ms: np.ndarray) -> Headers:
    """Headers that tell of statics just applied: their own word, their terms, and what all of them moved the trace."""
    words = {mark_of(kind): moved_ms.astype(np.float32)}
    for name, more in (*((mark_of(term), values) for term, values in terms_ms.items()), (TOTAL, moved_ms)):
        before = headers.column(name) if name in headers else np.zeros(headers.count)
        words[name] = (before + more).astype(np.float32)
    return headers.with_columns(**words)
