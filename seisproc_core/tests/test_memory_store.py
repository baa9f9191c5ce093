"""The job store in memory does what every job store must."""

from __future__ import annotations

from pathlib import Path

from seisproc_core.jobs.store import JobStore, MemoryStore
from seisproc_core.testing.job_store import JobStoreSuite


class TestMemoryStore(JobStoreSuite):
    def make_store(self, folder: Path) -> JobStore:
        return MemoryStore()
