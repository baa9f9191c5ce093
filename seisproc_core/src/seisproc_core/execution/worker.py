"""What a worker does: open the job from its working folder, run one segment, make its bytes durable, report.

A worker needs nothing but the folder's path and numbers, so that any executor - process, thread, cluster - can run it.
"""

from __future__ import annotations

import functools
import threading
from pathlib import Path

from seisproc_core.data.survey import Survey
from seisproc_core.execution.executor import Receipt
from seisproc_core.execution.stage import StageRunners
from seisproc_core.jobs import faults
from seisproc_core.jobs.control import Control
from seisproc_core.jobs.workfolder import WorkFolder
from seisproc_core.plugins import Registry, registry


class OpenJob:
    """A job on disk, opened in this process.

    Parameters
    ----------
    source
        The source survey, where it lives in this process and has no address.
    control
        Where commands come from and counters go, in place of the job's control file: for a machine that shares no
        memory with the engine's.
    known
        The installed plugins; looked up when first needed by default.
    """

    def __init__(
        self,
        folder: Path,
        source: Survey | None = None,
        control: Control | None = None,
        known: Registry | None = None,
    ) -> None:
        self._source = source
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
                source = self._source if stage == 0 and self._source else open_source(self.work, stage, known)
                self._runners[stage] = StageRunners(plan, source, sink, known, self.control, threads)
            return self._runners[stage]

    def run_segment(self, stage: int, segment: int, slot: int) -> Receipt:
        """Run one segment; when this returns its bytes survive a crash."""
        pieces, traces_in, traces_out = self.runners(stage).run(segment, slot)
        faults.point("before-write")
        written = self.work.put(stage, pieces)
        faults.point("after-write")
        self.control.beat(slot, bytes_out=sum(length for _, _, length, _ in written))
        self.control.begin(slot, -1)
        return Receipt(segment=segment, pieces=tuple(written), traces_in=traces_in, traces_out=traces_out)


def open_source(work: WorkFolder, stage: int, known: Registry) -> Survey:
    """The input of a stage: the source survey, or what an earlier stage wrote."""
    source = work.stages[stage].source
    if "stage" in source:
        earlier = int(source["stage"])
        storage = known.load("storage", work.stages[earlier].storage)()
        survey: Survey = storage.open([str(work.folder_of(earlier))], {"allow_partial": True})
        return survey
    opened: Survey = known.load("storage", source["storage"])().open(source["paths"], source["options"])
    return opened


@functools.lru_cache(maxsize=1)
def _open(folder: str, control: Control | None) -> OpenJob:
    return OpenJob(Path(folder), control=control)


def run_segment(folder: str, stage: int, segment: int, slot: int, control: Control | None = None) -> Receipt:
    """Run one segment of the job in a working folder; the entry point for executors. `control`: see `OpenJob`."""
    return _open(folder, control).run_segment(stage, segment, slot)
