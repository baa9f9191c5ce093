"""What a worker does: open the job from its working folder, run one segment, make its bytes durable, report.

A worker needs nothing but the folder's path and numbers, so that any executor - process, thread, cluster - can run it.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from seisproc_core.data.survey import Survey
from seisproc_core.execution.executor import Receipt
from seisproc_core.execution.runners import StageRunners
from seisproc_core.execution.stage import Sources
from seisproc_core.execution.survey_scope import arrays_in
from seisproc_core.jobs import faults
from seisproc_core.jobs.control import Control
from seisproc_core.jobs.workfolder import WorkFolder
from seisproc_core.plugins import Registry, registry
from seisproc_core.processing.plan import StagePlan


class OpenJob:
    """A job on disk, opened in this process.

    Parameters
    ----------
    held
        Surveys that live in this process, by the path that stands for them.
    control
        Where commands come from and counters go, in place of the job's control file: for a machine that shares no
        memory with the engine's.
    known
        The installed plugins; looked up when first needed by default.
    """

    def __init__(
        self,
        folder: Path,
        held: Mapping[str, Survey] | None = None,
        control: Control | None = None,
        known: Registry | None = None,
    ) -> None:
        self._held = held or {}
        self.work = WorkFolder(folder)
        self.control = control or Control(folder / "control")
        self._known = known
        self._lock = threading.Lock()
        self._runners: dict[int, StageRunners] = {}

    def runners(self, stage: int) -> StageRunners:
        """The stage's runners, made when first needed; safe from several threads."""
        with self._lock:
            if stage not in self._runners:
                known = self._known = self._known or registry()
                plan = self.work.stages[stage]
                sink = known.load("storage", plan.storage)().sink(plan.output)
                threads = int(self.work.record["threads"])
                opened = functools.partial(open_address, known=known, held=self._held)
                sources = Sources(opened, lambda number: arrays_in(self.work.folder_of(number)))
                source = self._source(plan, opened, known)
                self._runners[stage] = StageRunners(plan, source, sink, known, self.control, threads, sources)
            return self._runners[stage]

    def _source(self, plan: StagePlan, opened: Callable[[Mapping[str, Any]], Survey], known: Registry) -> Survey:
        """What a stage reads: a survey, or the rows that an earlier stage wrote; the survey that was measured."""
        if "stage" not in plan.source:
            return opened(plan.source)
        earlier = int(plan.source["stage"])
        if plan.kind == "solve":
            return self._source(self.work.stages[earlier], opened, known)
        storage = known.load("storage", self.work.stages[earlier].storage)()
        survey: Survey = storage.open([str(self.work.folder_of(earlier))], {"allow_partial": True})
        return survey

    def compute_segment(self, stage: int, segment: int, slot: int) -> Callable[[], Receipt]:
        """Compute one segment; when what this returns has been called, too, from any thread, its bytes survive a crash.

        The slot is the segment's until then.
        """
        pieces, traces_in, traces_out = self.runners(stage).run(segment, slot)

        def write() -> Receipt:
            faults.point("before-write")
            written = self.work.put(stage, pieces)
            faults.point("after-write")
            self.control.beat(slot, bytes_out=sum(length for _, _, length, _ in written))
            self.control.begin(slot, -1)
            return Receipt(segment=segment, pieces=tuple(written), traces_in=traces_in, traces_out=traces_out)

        return write


def open_address(address: Mapping[str, Any], known: Registry, held: Mapping[str, Survey]) -> Survey:
    """A survey that a plan names; one in memory from `held`."""
    if address["storage"] == "memory" and address["paths"][0] in held:
        return held[address["paths"][0]]
    opened: Survey = known.load("storage", address["storage"])().open(address["paths"], address["options"])
    return opened


@functools.lru_cache(maxsize=1)
def _open(folder: str, control: Control | None) -> OpenJob:
    return OpenJob(Path(folder), control=control)


def run_segment(folder: str, stage: int, segment: int, slot: int, control: Control | None = None) -> Receipt:
    """Run one segment of the job in a working folder; the entry point for executors. `control`: see `OpenJob`."""
    return _open(folder, control).compute_segment(stage, segment, slot)()
