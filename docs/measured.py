"""What the processor pages show that has to be computed: pictures, cost per trace, how far backends differ."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.plugins import Described, Registry
from seisproc_core.processing.claims import Claims
from seisproc_core.testing.conformance.data import BASE, Shape, batch
from seisproc_core.testing.conformance.subject import REFERENCE, Refused, Subject, relative_rms, subject

SHOWN = Shape(gathers=(36,), samples=226, seed=3)
TIMED = Shape(gathers=(24,) * 8, samples=501)
COMPARED = (
    BASE,
    Shape(gathers=(11, 1), samples=233, interval_ms=2.0, spoiled=True, seed=8),
    Shape(gathers=(13,), seed=4),
)
FEW = 3  # traces that are drawn as lines
# Scalar product of output and difference, over the energy of the input: 0 where a part was taken away.
APART = (-0.05, 0.25)
UNITS = {"time": (1000.0, "time (ms)"), "depth": (1.0, "depth (m)"), "frequency": (1.0, "frequency (Hz)")}
ACROSS = {"velocity_m_per_s": "velocity (m/s)", "partial_class": "class", "offset": "offset (m)"}


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
    before = batch(SHOWN, made.cls.claims)
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
    _draw(folder / f"{entry.id}.png", before, after, made.cls.claims)
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
    given = batch(attrs.evolve(TIMED, gathers=(24,)) if slow else TIMED, made.cls.claims)
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
            given = batch(shape, made.cls.claims)
            try:
                found, expected = made.run(example, given, backend), made.run(example, given, REFERENCE)
            except Refused:
                continue
            worst = max(worst, relative_rms(found.traces, expected.traces))
    return worst


def _draw(path: Path, before: Gather, after: Gather, claims: Claims) -> None:
    """Input and output side by side, and what the output lacks, where the step takes something away."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    removed = _removed(before, after)
    panels = [("before", before, before, ""), ("after", after, after, claims.axis)]
    if removed is not None:
        panels.append(("removed", removed, before, ""))
    figure = Figure(figsize=(3.2 * len(panels), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, gather, scaled, label) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        unit, name = UNITS[gather.sampling.domain]
        times = unit * gather.sampling.times()
        across, word = _across(gather, claims.values)
        if gather.n_traces <= FEW:
            _lines(axes, gather.traces, times)
        else:
            _image(axes, gather.traces, scaled.traces, (across[0], across[-1], times[-1], times[0]))
        axes.set(title=title, xlabel=word, ylabel=label or name)
        if gather.sampling.domain == "frequency":
            axes.invert_yaxis()
    figure.savefig(path, dpi=80)


def _image(axes: Any, traces: np.ndarray, scaled: np.ndarray, extent: tuple[float, float, float, float]) -> None:
    """Traces as an image on the scale of `scaled`: red and grey for either sign, dark to bright where there is one."""
    one_sign = bool((scaled >= 0).all())
    clip = max(float(np.quantile(np.abs(scaled), 0.99 if one_sign else 0.98)), 1e-12)
    half = (extent[1] - extent[0]) / (2 * max(len(traces) - 1, 1))
    axes.imshow(
        traces.T, aspect="auto", interpolation="nearest", extent=(extent[0] - half, extent[1] + half, *extent[2:]),
        cmap="viridis" if one_sign else "RdGy", vmin=0 if one_sign else -clip, vmax=clip,
    )  # fmt: skip


def _lines(axes: Any, traces: np.ndarray, times: np.ndarray) -> None:
    """A single trace with its values; a few traces side by side."""
    peak = max(float(np.abs(traces).max(initial=0)), 1e-12)
    for number, trace in enumerate(traces):
        axes.plot(trace if len(traces) == 1 else number + 1 + 0.45 * trace / peak, times, color="black", linewidth=0.8)
    axes.set_ylim(times[-1], times[0])
    if len(traces) > 1:
        axes.set_xticks(range(1, len(traces) + 1))


def _across(gather: Gather, values: str) -> tuple[np.ndarray, str]:
    """Position of each trace in a picture, and what it is; of a single trace, what its samples are."""
    if gather.n_traces == 1:
        return np.zeros(1), values or "amplitude"
    for word, label in ACROSS.items():
        if word in gather.headers and (np.diff(gather.headers[word]) > 0).all():
            return np.asarray(gather.headers[word], np.float64), label
    return np.arange(gather.n_traces), "trace"


def _removed(before: Gather, after: Gather) -> Gather | None:
    """What a step took away; None where it moved or scaled what there was, so that no difference says anything."""
    if before.traces.shape != after.traces.shape or before.sampling != after.sampling:
        return None
    taken = before.traces - after.traces
    together = float(np.vdot(after.traces, taken)) / max(float(np.vdot(before.traces, before.traces)), 1e-30)
    return before.with_traces(taken) if taken.any() and APART[0] < together < APART[1] else None
