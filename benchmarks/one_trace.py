"""The smallest jobs: one trace in memory, passed on - at once, or when they are told to."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.data.survey import MemorySurvey
from seisproc_core.processing.flow import Flow, Source, Target
from seisproc_core.testing import make_gather


class Trace(MemorySurvey):
    """One trace; notes when it is read, which is when the segment begins to work."""

    def __init__(self) -> None:
        super().__init__(make_gather(np.ones((1, 8), np.float32), cdp=np.array([1])))
        self.read_ns = 0

    def read(self, rows: np.ndarray | slice, *, flag: np.ndarray | None = None) -> Gather:
        self.read_ns = time.monotonic_ns()
        return super().read(rows, flag=flag)


class Gate(Trace):
    """One trace that is read when the gate is opened, or the job told to stop; looked at every so many seconds."""

    def __init__(self, every_s: float = 0.005) -> None:
        super().__init__()
        self.opened = threading.Event()
        self._every_s = every_s

    def read(self, rows: np.ndarray | slice, *, flag: np.ndarray | None = None) -> Gather:
        while not self.opened.wait(self._every_s) and (flag is None or not flag[0]):
            pass
        return super().read(rows, flag=flag)


def flow_of(survey: MemorySurvey) -> Flow:
    """From memory to memory."""
    return Flow(source=Source(storage="memory", survey=survey), name="one trace")


def disk_flow(survey: Path, out: Path) -> Flow:
    """From a survey on disk to another, unchanged."""
    source = Source(storage="survey", paths=(str(survey),))
    return Flow(source=source, sink=Target(storage="survey", path=str(out)), name="copy")


def gone(path: Path) -> Path:
    """A path with nothing there, nor beside it what a database or a job leaves."""
    for found in path.parent.glob(f"{path.name}*"):
        shutil.rmtree(found) if found.is_dir() else found.unlink()
    return path
