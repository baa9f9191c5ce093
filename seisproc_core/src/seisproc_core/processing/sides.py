"""Side outputs of a step: what is saved of it beside its result, and whether it can be."""

from __future__ import annotations

import numpy as np

from seisproc_core.data.gather import Layout
from seisproc_core.errors import FlowError
from seisproc_core.processing.flow import Flow, Step
from seisproc_core.processing.processor import Processor

REMOVED = "removed"  # what every step may save: its input less its output


def check_saves(step: Step, cls: type[Processor], before: Layout, after: Layout) -> None:
    """Refuse a side output that the step does not have."""
    for name in step.save:
        if name not in (*cls.saves, REMOVED):
            has = ", ".join((*cls.saves, REMOVED))
            raise FlowError(f"step '{step.use}' has nothing named '{name}' to save; it has {has}")
        if name == REMOVED and not same_rows(before, after):
            raise FlowError(f"step '{step.use}' makes other rows or samples than it gets: there is no '{REMOVED}'")


def check_all_saves(flow: Flow) -> None:
    """Refuse side outputs of a flow that writes nothing to disk, or of a sort, or two of one path."""
    paths = [path for step in flow.steps for path in step.save.values()]
    if paths and flow.sink.storage == "memory":
        raise FlowError("side outputs (save) are files: give the flow a sink on disk, or leave them out")
    if any(step.use == "sort" and step.save for step in flow.steps):
        raise FlowError("step 'sort' has nothing to save")
    for path in paths:
        if paths.count(path) > 1 or path == flow.sink.path:
            raise FlowError(f"{path} would be written twice: give every output (save, sink) a path of its own")


def same_rows(one: Layout, other: Layout) -> bool:
    """Whether the traces of two layouts belong to each other row by row, sample by sample."""
    return one.sampling == other.sampling and np.array_equal(one.gather_starts, other.gather_starts)
