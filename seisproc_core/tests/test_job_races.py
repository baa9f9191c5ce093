"""What a user does in the very moment in which a job begins, ends or is submitted: each moment made by the store."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

from seisproc_core import Engine, Flow, MemorySurvey, Source, State
from seisproc_core.errors import Cancelled, IllegalTransition
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.resources import Resources
from seisproc_core.jobs.store import MemoryStore
from seisproc_core.testing import make_gather


def flow() -> Flow:
    return Flow(source=Source(storage="memory", survey=MemorySurvey(make_gather(np.ones((1, 4)), cdp=[1]))))


class At(MemoryStore):
    """Does something to a job right before, or after, it moves to a state for the first time."""

    def __init__(self, state: State, then: State, *, before: bool = False) -> None:
        super().__init__()
        self.state, self.then, self.before, self.left = state, then, before, 1

    def move(self, job_id: str, state: State, reason: str = "", **changes: Any) -> Job:
        meant = state is self.state and self.left > 0
        if meant:
            self.left = 0
        if meant and self.before:
            super().move(job_id, self.then)
        job = super().move(job_id, state, reason, **changes)
        return super().move(job_id, self.then) if meant and not self.before else job


def test_a_job_cancelled_between_its_grant_and_its_start_ends() -> None:
    with Engine(store=At(State.RUNNING, State.CANCELLING)) as engine:
        with pytest.raises(Cancelled):
            engine.submit(flow()).result(20)
        assert engine.submit(flow()).result(20).open().n_traces == 1  # nothing is held any more


@pytest.mark.parametrize(("state", "before"), [(State.RUNNING, False), (State.SEALING, True)])
def test_a_job_paused_when_it_starts_or_was_about_to_seal_is_paused_and_goes_on(state: State, before: bool) -> None:
    with Engine(store=At(state, State.PAUSING, before=before)) as engine:
        handle = engine.submit(flow())
        deadline = time.monotonic() + 20
        while handle.job.state is not State.PAUSED and time.monotonic() < deadline:
            time.sleep(0.005)
        assert handle.job.state is State.PAUSED
        handle.resume()
        assert handle.result(20).open().n_traces == 1


class Slow(MemoryStore):
    """Gives the engine time to grant, or to refuse, a job before its submitter has heard that it is stored."""

    def __init__(self) -> None:
        super().__init__()
        self.nudge = lambda: None
        self.wanted: frozenset[State] = frozenset()

    def add(self, *jobs: Job) -> None:
        super().add(*jobs)
        self.nudge()
        deadline = time.monotonic() + (10 if self.wanted else 0)
        while self.get(jobs[0].id).state not in self.wanted and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(0.1 if self.wanted else 0)  # until that was noticed, too


@pytest.mark.parametrize("check", [True, False])
def test_a_job_that_is_granted_before_its_submitter_holds_it_is_run(check: bool) -> None:
    store = Slow()
    with Engine(store=store, capacity=Resources(1, 10**12)) as engine:
        engine.submit(flow()).result(20)  # the engine looks after the store from here on
        store.nudge = engine._supervisor.nudge
        store.wanted = frozenset({State.RUNNING})
        assert engine.submit(flow(), check=check).result(20).open().n_traces == 1


def test_a_job_that_ends_before_its_submitter_holds_it_is_told_to_have_ended() -> None:
    store = Slow()
    with Engine(store=store, capacity=Resources(1, 10**12)) as engine:
        engine.submit(flow()).result(20)
        store.nudge = engine._supervisor.nudge
        store.wanted = frozenset({State.RUNNING})
        told: list[Job] = []

        def cancel_when_stored() -> None:
            deadline = time.monotonic() + 10
            while not (found := [o.id for o in store.unfinished()]) and time.monotonic() < deadline:
                time.sleep(0.001)
            told.append(engine.cancel(found[0]))

        store.wanted = frozenset({State.CANCELLED, State.CANCELLING})
        thread = threading.Thread(target=cancel_when_stored)
        thread.start()
        handle = engine.submit(flow(), check=False)
        thread.join()
        with pytest.raises(Cancelled):
            handle.result(20)


def test_a_transition_of_a_state_that_has_passed_is_refused() -> None:
    store = MemoryStore()
    job = Job(name="a", type="flow", config={})
    store.add(job)
    store.move(job.id, State.RUNNING)
    with pytest.raises(IllegalTransition):
        store.move(job.id, State.PAUSED, "held back", of=State.QUEUED)  # a running job may be paused, this one not
    assert store.get(job.id).state is State.RUNNING
