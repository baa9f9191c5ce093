"""Flows on some of their traces, in memory."""

from __future__ import annotations

import attrs
import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.data.survey import Survey
from seisproc_core.jobs.engine import Engine
from seisproc_core.plugins import registry
from seisproc_core.processing.flow import Flow, Source, Target
from seisproc_qc.choosing import ChosenRows, Wanted, chosen_rows, matching

MOST_BYTES = 1 << 30  # of all results together: they are held in memory


def chosen(flow: Flow, at: Wanted) -> Survey:
    """The traces of the source that the gathers need."""
    known = registry()
    source = flow.source
    survey = source.survey or known.load("storage", source.storage)().open(source.paths, source.options)
    return ChosenRows(survey, chosen_rows(flow, survey, known, at))


def in_memory(flow: Flow, survey: Survey) -> Flow:
    """The flow from a survey in memory into memory."""
    source = Source(storage="memory", gather=flow.source.gather, sort=flow.source.sort, survey=survey)
    return attrs.evolve(flow.without_saves(), source=source, sink=Target(storage="memory"))


def run(engine: Engine, flow: Flow) -> Gather:
    """All that a flow in memory gives."""
    survey = engine.submit(flow).result().open()
    return survey.read(slice(0, survey.n_traces))


def wanted(gather: Gather, at: Wanted) -> Gather:
    """Without the traces that only earlier steps needed; gathers are told apart by the words asked for."""
    there = {name: values for name, values in at.items() if name in gather.headers}
    kept = gather.keep(matching(gather.headers, there))
    change = np.zeros(max(kept.n_traces, 1), bool)
    change[0] = True
    for name, values in there.items():
        if not any(isinstance(value, tuple) for value in values):
            column = kept.headers[name]
            change[1 : kept.n_traces] |= column[1:] != column[:-1]
    return attrs.evolve(kept, gather_starts=np.append(np.flatnonzero(change[: kept.n_traces]), kept.n_traces))
