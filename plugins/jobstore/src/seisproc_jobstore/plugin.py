"""What this distribution offers to seisproc."""

from __future__ import annotations

from seisproc_core.hookspecs import hookimpl
from seisproc_core.specs import JobStoreSpec


@hookimpl
def seisproc_job_stores() -> list[JobStoreSpec]:
    return [JobStoreSpec(id="sqlite", impl="seisproc_jobstore.store:SqliteStore", rank=10)]
