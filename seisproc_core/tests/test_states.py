"""The state machine: every pair of states, and histories that replay."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisproc_core.errors import IllegalTransition
from seisproc_core.jobs.model import Event, Job, replay
from seisproc_core.jobs.states import FINAL, TRANSITIONS, State


@pytest.mark.parametrize(("before", "after"), list(itertools.product(State, State)))
def test_every_pair(before: State, after: State) -> None:
    job = Job(name="n", type="flow", config={}, state=before)
    if after in TRANSITIONS[before]:
        assert job.moved(after).state is after
    else:
        with pytest.raises(IllegalTransition, match=f"{before} cannot become {after}"):
            job.moved(after)


def test_final_states_absorb() -> None:
    assert {State.COMPLETED, State.FAILED, State.CANCELLED} == FINAL


@given(st.data())
def test_events_replay_to_the_state(data: st.DataObject) -> None:
    job = Job(name="n", type="flow", config={})
    while TRANSITIONS[job.state] and data.draw(st.booleans() if job.events else st.just(True)):
        job = job.moved(data.draw(st.sampled_from(sorted(TRANSITIONS[job.state]))), reason=data.draw(st.text()))
    assert replay(job.events) is job.state
    assert [event.sequence for event in job.events] == list(range(len(job.events)))


def test_replay_refuses_a_gap() -> None:
    with pytest.raises(ValueError, match="sequence"):
        replay((Event(sequence=1, state=State.QUEUED, at=0.0),))


names = st.text(min_size=1, max_size=20)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@given(names, st.dictionaries(names, plain, max_size=4), st.integers(0, 9), st.text(), st.none() | st.just({"a": 1}))
def test_a_job_survives_json(name: str, config: dict, priority: int, error: str, result: dict | None) -> None:
    import json

    job = Job(name=name, type="flow", config=config, priority=priority, error=error, result=result)
    job = job.moved(State.QUEUED, "because").moved(State.RUNNING)
    assert Job.from_json(json.loads(json.dumps(job.to_json()))) == job


@pytest.mark.parametrize("priority", [-1, 10])
def test_priorities_are_0_to_9(priority: int) -> None:
    with pytest.raises(ValueError):
        Job(name="n", type="flow", config={}, priority=priority)
