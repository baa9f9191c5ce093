"""What each step of a flow does to chosen gathers: before, after, difference, and stacks of both.

>>> from seisproc_qc.chain import follow_chain
>>> chain = follow_chain("line.toml", {"cdp": [400, 900]})                                  # doctest: +SKIP
>>> [(link.title, link.figures["leakage"]) for link in chain.links]                         # doctest: +SKIP
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.data.survey import MemorySurvey, Survey
from seisproc_core.errors import UsageError
from seisproc_core.jobs.engine import Engine
from seisproc_core.plugins import registry
from seisproc_core.processing.flow import Flow
from seisproc_core.processing.planning import plan_flow
from seisproc_qc import measures
from seisproc_qc.choosing import Wanted
from seisproc_qc.running import MOST_BYTES, chosen, in_memory, run, wanted
from seisproc_qc.trials import find_step, shown

Window = tuple[float, float]


@attrs.frozen(kw_only=True, eq=False)
class Link:
    """The same traces before and after a step, or before and after all of them.

    Attributes
    ----------
    title, parameters
        Name of the step, and the parameters that the flow gives it.
    before, after
        The gathers, laid end to end.
    difference
        `after` minus `before`; None where rows or samples do not correspond.
    figures
        ``traces_before``, ``traces_after``, ``rms_before``, ``rms_after``, ``dominant_hz_before``,
        ``dominant_hz_after``, and ``change_percent``, ``leakage`` (see `seisproc_qc.measures.leakage`) or None.
    """

    title: str
    parameters: str
    before: Gather
    after: Gather
    difference: Gather | None
    figures: Mapping[str, Any]


@attrs.frozen(kw_only=True, eq=False)
class Chain:
    """A flow on chosen gathers.

    Attributes
    ----------
    flow
        Its name.
    links
        One for every step that was asked for.
    whole
        Before the first of them, and after the last.
    stacks
        Both, stacked; None where no stack was asked for.
    """

    flow: str
    links: Sequence[Link]
    whole: Link
    stacks: Link | None


def follow_chain(
    flow: Flow | str | os.PathLike[str],
    at: Wanted,
    *,
    steps: Sequence[str] = (),
    stack: Flow | None = None,
    window_ms: Window | None = None,
) -> Chain:
    """Run a flow on chosen gathers and keep what lies between its steps.

    Parameters
    ----------
    flow
        A flow or the path of one; its sink is not written.
    at
        Gathers to look at: values of header words, or ``(lowest, highest)``; several words must all match.
    steps
        Those to look at, by name (``agc#2`` for the second); all but sorts by default.
    stack
        A flow whose steps stack gathers, NMO first: it is run on the chosen traces before the first and after the last
        of `steps`, gathered as its source says.
    window_ms
        First and last time that figures and pictures take into account.

    Raises
    ------
    UsageError
        Anything that is wrong with flow, steps or gathers; before a sample is read.
    """
    loaded = flow if isinstance(flow, Flow) else Flow.load(flow)
    places = sorted({find_step(loaded, name) for name in steps}) if steps else [
        position for position, step in enumerate(loaded.steps) if step.use != "sort"
    ]  # fmt: skip
    if not places:
        raise UsageError(f"flow {loaded.name} has no step to look at")
    source = chosen(loaded, at)
    needed = sorted({position + after for position in places for after in (0, 1)})
    _check(loaded, source, needed)
    everything = source.read(np.arange(source.n_traces))
    start = MemorySurvey(attrs.evolve(everything, raw_samples=None), source.info)
    with Engine(executor="in-process") as engine:
        full = {count: run(engine, in_memory(_head(loaded, count), start)) for count in needed}
        stacks = None
        if stack is not None:
            pair = [_stacked(engine, stack, full[count]) for count in (needed[0], needed[-1])]
            stacks = _link("stack", "", *(_inside(gather, window_ms) for gather in pair))
    seen = {count: _inside(wanted(gather, at), window_ms) for count, gather in full.items()}
    links = [
        _link(loaded.steps[k].use, _in_words(loaded.steps[k].parameters), seen[k], seen[k + 1]) for k in places
    ]  # fmt: skip
    whole = _link("all steps", "", seen[needed[0]], seen[needed[-1]])
    return Chain(flow=loaded.name, links=links, whole=whole, stacks=stacks)


def _head(flow: Flow, count: int) -> Flow:
    return attrs.evolve(flow, steps=flow.steps[:count])


def _check(flow: Flow, source: Survey, counts: Sequence[int]) -> None:
    """Plan all that is to be run, and refuse what does not fit into memory."""
    known = registry()
    plan_flow(in_memory(flow, source), known, source)
    last = [plan_flow(in_memory(_head(flow, count), source), known, source).stages[-1].output for count in counts]
    size = sum(4 * output.n_traces * output.sampling.count for output in last)
    if size > MOST_BYTES:
        raise UsageError(f"the results would take {size >> 20} MiB, more than {MOST_BYTES >> 20}: choose fewer gathers")


def _stacked(engine: Engine, stack: Flow, gather: Gather) -> Gather:
    return run(engine, in_memory(stack, MemorySurvey(attrs.evolve(gather, raw_samples=None))))


def _inside(gather: Gather, window_ms: Window | None) -> Gather:
    """The samples between two times; live windows are cut with them."""
    if window_ms is None:
        return gather
    sampling = gather.sampling
    low, high = ((time / 1000 - sampling.start_s) / sampling.interval_s for time in window_ms)
    start, stop = max(0, int(np.ceil(low - 1e-6))), min(gather.n_samples, int(np.floor(high + 1e-6)) + 1)
    if stop <= start:
        raise UsageError(f"no sample lies between {window_ms[0]:g} and {window_ms[1]:g} ms")
    cut = attrs.evolve(sampling, start_s=sampling.start_s + start * sampling.interval_s, count=stop - start)
    first, end = (np.clip(edge - start, 0, stop - start) for edge in gather.live_window)
    traces = np.ascontiguousarray(gather.traces[:, start:stop])
    return Gather(
        headers=gather.headers.with_live_window(first, np.maximum(end, first)),
        sampling=cut,
        gather_starts=gather.gather_starts,
        traces=traces,
    )


def _link(title: str, parameters: str, before: Gather, after: Gather) -> Link:
    before, same = _aligned(before, after)
    # What was live before counts: a mute takes it away.
    difference = before.with_traces(after.traces - before.traces) if same else None
    figures: dict[str, Any] = {}
    for name, gather in (("before", before), ("after", after)):
        figures |= {
            f"traces_{name}": gather.n_traces,
            f"rms_{name}": measures.rms(gather),
            f"dominant_hz_{name}": measures.dominant_frequency(gather),
        }
    figures |= {"change_percent": None, "leakage": None}
    if difference is not None and figures["rms_before"] > 0:
        figures["change_percent"] = 100 * measures.rms(difference) / figures["rms_before"]
        figures["leakage"] = measures.leakage(after, difference)
    return Link(
        title=title, parameters=parameters, before=before, after=after, difference=difference, figures=figures
    )  # fmt: skip


def _aligned(before: Gather, after: Gather) -> tuple[Gather, bool]:
    """The traces before in the order of those after, and whether rows and samples correspond then."""
    ids, wanted_ids = before.headers["trace_id"], after.headers["trace_id"]
    if before.sampling != after.sampling or len(ids) != len(wanted_ids) or np.array_equal(ids, wanted_ids):
        return before, before.sampling == after.sampling and np.array_equal(ids, wanted_ids)
    by_id = np.argsort(ids, kind="stable")
    rows = by_id[np.searchsorted(ids, wanted_ids, sorter=by_id).clip(max=len(ids) - 1)]
    if not np.array_equal(ids[rows], wanted_ids) or len(np.unique(rows)) < len(rows):
        return before, False
    ordered = Gather(
        headers=before.headers.take(rows),
        sampling=before.sampling,
        gather_starts=after.gather_starts,
        traces=before.traces[rows],
    )
    return ordered, True


def _in_words(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {shown(value)}" for name, value in parameters.items())
