"""The job store in memory does what every job store must."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seisproc_core.data.survey import MemorySurvey
from seisproc_core.errors import UsageError
from seisproc_core.jobs.engine import Engine
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.states import State
from seisproc_core.jobs.store import JobStore, MemoryStore, Query
from seisproc_core.processing.flow import Flow, Source
from seisproc_core.testing import make_gather
from seisproc_core.testing.job_store import JobStoreSuite


class TestMemoryStore(JobStoreSuite):
    def make_store(self, folder: Path) -> JobStore:
        return MemoryStore()


def end(store: MemoryStore, job: Job) -> None:
    for state in (State.RUNNING, State.SEALING, State.COMPLETED):
        store.move(job.id, state)


def test_old_jobs_are_forgotten_once_their_end_is_known() -> None:
    store = MemoryStore(keep=5)
    jobs = [Job(name=f"job {k}", type="flow", config={}) for k in range(40)]
    store.add(*jobs)
    for job in jobs[:20]:
        end(store, job)
    news = store.changes(0)  # nobody had asked: all is still to be told
    assert len(news) == 40 and sum(outline.state is State.COMPLETED for outline in news) == 20
    store.changes(news[-1].version)
    for job in jobs[20:]:
        end(store, job)
        store.changes(store.changes(news[-1].version)[-1].version)
    assert [job.name for job in store.find(Query(limit=None))] == [f"job {k}" for k in range(39, 34, -1)]
    with pytest.raises(UsageError, match="no job"):
        store.get(jobs[0].id)


def test_a_job_that_another_waits_for_is_not_forgotten() -> None:
    store = MemoryStore(keep=2)
    parent = Job(name="parent", type="flow", config={})
    child = Job(name="child", type="flow", config={}, after=(parent.id,))
    others = [Job(name="other", type="flow", config={}) for _ in range(20)]
    store.add(parent, child, *others)
    for job in (parent, *others):
        end(store, job)
        store.changes(10**9)
    assert store.get(parent.id).state is State.COMPLETED


def test_a_handle_knows_its_job_when_the_store_does_not_any_more() -> None:
    gather = make_gather(np.ones((1, 8), np.float32), cdp=np.array([1]))
    with Engine(store=MemoryStore(keep=1)) as engine:
        handles = [engine.submit(Flow(source=Source(storage="memory", survey=MemorySurvey(gather)))) for _ in range(6)]
        assert all(handle.wait(30) for handle in handles)
        assert [handle.job.state for handle in handles] == [State.COMPLETED] * 6
