"""What the processor pages show that has to be computed: pictures, cost per trace, how far backends differ."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.plugins import Described, Registry
from seisproc_core.testing.conformance.data import BASE, Shape, batch
from seisproc_core.testing.conformance.subject import REFERENCE, Refused, Subject, relative_rms, subject

SHOWN = Shape(gathers=(36,), samples=226, seed=3)
TIMED = Shape(gathers=(24,) * 8, samples=501)
COMPARED = (
    BASE,
    Shape(gathers=(11, 1), samples=233, interval_ms=2.0, spoiled=True, seed=8),
    Shape(gathers=(13,), seed=4),
)


def measure(entry: Described, known: Registry, folder: Path) -> dict[str, Any]:
    """Draw the first example of a processor into ``folder/ID.png`` and measure it.

    Returns
    -------
    ``example``: the parameters shown; ``no_picture``: why there is none, empty where there is one; ``us_per_trace``:
    CPU time by backend; ``backends``: worst relative rms of each against the reference, over all examples and several
    shapes.
    """
    made = subject(known.load("processors", entry.id), known)
    example = made.examples[0]
    before = batch(SHOWN, made.cls.claims.words)
    if made.cls.scope == "trace" and not made.cls.headers_only:
        _make_uneven(before)
    facts: dict[str, Any] = {"example": example, "us_per_trace": {}, "backends": {}}
    facts["no_picture"] = _more_than_a_gather(entry)
    if facts["no_picture"]:
        return facts
    try:
        after = made.run(example, before, made.default)
        if np.array_equal(before.traces, after.traces) and not made.cls.headers_only:
            _make_uneven(before)
            after = made.run(example, before, made.default)
        facts["us_per_trace"] = {form: _cost(made, example, form) for form in (REFERENCE, *made.backends)}
    except Refused:
        return {**facts, "no_picture": "what it does does not show on a single modelled gather"}
    facts["backends"] = {form: _difference(made, form) for form in made.backends}
    if np.array_equal(before.traces, after.traces):
        return {**facts, "no_picture": "it changes header words, no samples"}
    _draw(folder / f"{entry.id}.png", before, after, "" if made.cls.headers_only else "difference")
    return facts


def _make_uneven(gather: Gather) -> None:
    """A weak and a loud trace, so that gains and edits have something to do."""
    gather.traces[5] *= 0.2
    gather.traces[11] *= 3


def _more_than_a_gather(entry: Described) -> str:
    """What a processor needs beside a gather, empty where nothing."""
    if entry.spec["scope"] == "survey":
        return "it needs a whole survey, and does little to a single gather"
    properties = entry.spec["schema"]["properties"]
    surveys = [name for name in entry.spec["schema"]["required"] if properties[name].get("format") == "survey"]
    return f"it reads a second survey, `{surveys[0]}`" if surveys else ""


def _cost(made: Subject, example: dict[str, Any], backend: str) -> float:
    """CPU microseconds per trace of 501 samples, of the best of up to three calls."""
    slow = backend == REFERENCE and made.cls.claims.slow_reference
    given = batch(attrs.evolve(TIMED, gathers=(24,)) if slow else TIMED, made.cls.claims.words)
    step, context = made.make(example, given), made.context(backend)
    best = np.inf
    for _ in range(3):
        began = time.process_time()
        step.apply(given, context)
        best = min(best, time.process_time() - began)
        if best > 0.5:
            break
    return 1e6 * best / max(given.n_traces, 1)


def _difference(made: Subject, backend: str) -> float:
    worst = 0.0
    for example in made.examples:
        for shape in COMPARED:
            given = batch(shape, made.cls.claims.words)
            try:
                found, expected = made.run(example, given, backend), made.run(example, given, REFERENCE)
            except Refused:
                continue
            worst = max(worst, relative_rms(found.traces, expected.traces))
    return worst


def _draw(path: Path, before: Gather, after: Gather, difference: str) -> None:
    """Input and output side by side, and their difference where that makes sense."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    same = before.traces.shape == after.traces.shape and before.sampling == after.sampling
    panels = [("before", before.traces, before), ("after", after.traces, after)]
    if same and difference:
        panels.append(("difference", after.traces - before.traces, before))
    figure = Figure(figsize=(3.2 * len(panels), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, traces, gather) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
        clip = max(float(np.quantile(np.abs(traces), 0.98)) if traces.size else 1.0, 1e-12)
        times = 1000 * gather.sampling.times()
        extent = (-0.5, max(len(traces), 1) - 0.5, times[-1], times[0])
        shown = traces.T if traces.size else np.zeros((1, 1))
        axes.imshow(shown, aspect="auto", cmap="RdGy", vmin=-clip, vmax=clip, extent=extent, interpolation="nearest")
        axes.set(title=title, xlabel="trace", ylabel="time (ms)")
    figure.savefig(path, dpi=80)
