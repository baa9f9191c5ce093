"""Adapter for a load generator: submit, look, cancel, from any thread; every job passes one trace on, in memory.

Jobs are kept durably in a file of the working folder, or in memory where ``SEISPROC_LOAD_STORE=memory``.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import numpy as np

from seisproc_core.data.survey import MemorySurvey
from seisproc_core.errors import UsageError
from seisproc_core.jobs.engine import Engine
from seisproc_core.jobs.store import JobStore, MemoryStore
from seisproc_core.processing.flow import Flow, Source
from seisproc_core.testing import make_gather
from seisproc_jobstore.store import SqliteStore


class Adapter:
    """One engine, and the jobs submitted to it."""

    def __init__(self, workdir: str) -> None:
        in_memory = os.environ.get("SEISPROC_LOAD_STORE") == "memory"
        self._store: JobStore = MemoryStore() if in_memory else SqliteStore(Path(workdir, "jobs.sqlite"))
        self._engine = Engine(store=self._store, executor="in-process")
        trace = MemorySurvey(make_gather(np.ones((1, 8), np.float32), cdp=np.array([1])))
        self._flow = Flow(source=Source(storage="memory", survey=trace), name="one trace")

    def submit(self, i: int) -> str:
        """Queue a job; accepted, durably if the store is durable, when this returns."""
        job: str = self._engine.submit(self._flow, check=False).id
        return job

    def state(self, job: str) -> str:
        return str(self._store.get(job).state).upper()

    def cancel(self, job: str) -> None:
        with contextlib.suppress(UsageError):  # it is just finishing
            self._engine.cancel(job)

    def pids(self) -> list[int]:
        """Processes whose memory counts."""
        return [os.getpid()]

    def close(self) -> None:
        self._engine.close(cancel=True)
        self._store.close()
