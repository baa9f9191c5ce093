"""Segments of one stage in any thread of this process."""

from __future__ import annotations

from seisproc_core.data.survey import Piece, Sink, Survey
from seisproc_core.execution.stage import NO_SOURCES, Sources, StageRunner
from seisproc_core.execution.survey_scope import MeasureRunner, SolveRunner
from seisproc_core.jobs.control import Control
from seisproc_core.plugins import Registry
from seisproc_core.processing.plan import StagePlan

_RUNNERS = {"rows": StageRunner, "measure": MeasureRunner, "solve": SolveRunner}


class StageRunners:
    """Runs segments of one stage: every slot has a `StageRunner`, and so buffers, of its own.

    Parameters as there; `source` is shared.
    """

    def __init__(
        self,
        plan: StagePlan,
        source: Survey,
        sink: Sink,
        registry: Registry,
        control: Control,
        threads: int = 1,
        sources: Sources = NO_SOURCES,
    ) -> None:
        self._parts = (plan, source, sink, registry, control, threads, sources)
        self._runners: dict[int, StageRunner] = {}

    def run(self, segment: int, slot: int) -> tuple[list[Piece], int, int]:
        """`StageRunner.run`; one segment at a time in a slot."""
        if slot not in self._runners:
            self._runners[slot] = _RUNNERS[self._parts[0].kind](*self._parts)
        return self._runners[slot].run(segment, slot)
