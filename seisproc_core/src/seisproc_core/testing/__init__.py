"""The kit that plugin authors test their plugins with: made-up gathers, and processors run without a job."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.data.headers import Headers
from seisproc_core.data.sampling import Sampling
from seisproc_core.data.survey import MemorySurvey
from seisproc_core.data.words import LIVE_END, LIVE_FIRST, TRACE_ID, word
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import build
from seisproc_core.processing.processor import Processor
from seisproc_core.specs import KernelSpec, resolve


def make_gather(
    traces: np.ndarray,
    *,
    interval_ms: float = 4.0,
    start_ms: float = 0.0,
    gather_starts: list[int] | None = None,
    live: tuple[np.ndarray, np.ndarray] | None = None,
    **words: Any,
) -> Gather:
    """A gather (or batch) for a test.

    Parameters
    ----------
    traces
        Samples, shape ``(n_traces, n_samples)``; copied to float32.
    gather_starts
        First row of each gather and the row count; one gather when left out.
    live
        First live sample and one past the last, per trace; all samples when left out.
    words
        Header words: stored values, a number or one per trace (``offset=[0, 50, 100]``).
    """
    samples = np.ascontiguousarray(traces, np.float32)
    count, n_samples = samples.shape
    first, end = live if live is not None else (np.zeros(count), np.full(count, n_samples))
    columns: dict[str, np.ndarray] = {
        TRACE_ID: np.arange(count, dtype=np.int64),
        LIVE_FIRST: np.asarray(first, np.int32),
        LIVE_END: np.asarray(end, np.int32),
    }
    for name, values in words.items():
        columns[name] = np.broadcast_to(np.asarray(values, word(name).dtype), (count,)).copy()
    starts = np.array(gather_starts if gather_starts is not None else [0, count], np.int64)
    return Gather(
        headers=Headers(columns, count),
        sampling=Sampling(start_ms / 1000, interval_ms / 1000, n_samples),
        gather_starts=starts,
        traces=samples,
    )


def run_processor(
    cls: type[Processor],
    gather: Gather,
    parameters: Mapping[str, Any] | None = None,
    *,
    kernels: list[KernelSpec] | None = None,
    backend: str = "reference",
    base: Path | None = None,
    inputs: Mapping[str, Gather] | None = None,
    saved: dict[str, np.ndarray] | None = None,
) -> Gather:
    """Check, plan and apply one processor, and hold its output to its plan.

    Parameters
    ----------
    kernels
        The plugin's own kernel list, for processors that call kernels.
    backend
        Which implementation of those kernels to use; the reference where that backend has none.
    inputs
        What `Context.input` gives, by parameter: the same rows and gathers as `gather`. The parameter itself is filled
        in.
    saved
        Takes the samples of all side outputs that the processor has, by name; none are asked for without it.
    """
    named = {name: MemorySurvey(held) for name, held in (inputs or {}).items()}
    instance = build(cls, cls.id, {**(parameters or {}), **named}, base).resolve(gather.layout)
    instance.check(gather.layout)
    planned = instance.plan(gather.layout)
    found: dict[str, Any] = {}
    for name in cls.kernels:
        mine = {spec.backend: spec for spec in kernels or [] if spec.name == name}
        found[name] = resolve((mine.get(backend) or mine["reference"]).impl)
    context = Context(found, inputs=inputs, saving=frozenset(() if saved is None else cls.saves))
    out: Gather = instance.apply(gather, context)
    if saved is not None:
        saved.update(context.saved())
    assert out.sampling == planned.sampling, "apply and plan disagree about the sampling"
    assert out.n_traces == planned.n_traces, "apply and plan disagree about the number of traces"
    assert np.array_equal(out.gather_starts, planned.gather_starts), "apply and plan disagree about the gathers"
    return out
