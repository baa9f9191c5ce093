"""The state machine: every pair of states, and histories that replay."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisproc_core.errors import IllegalTransition
from seisproc_core.jobs.model import Event, Job, replay
from seisproc_core.jobs.states import ACTIVE, FINAL, TRANSITIONS, State


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


def test_every_state_can_be_reached_and_left_for_an_end() -> None:
    for state in set(State) - {State.CREATED}:
        assert any(state in after for after in TRANSITIONS.values())
    ends = set(FINAL)
    while grown := {state for state in State if TRANSITIONS[state] & ends} - ends:
        ends |= grown
    assert ends == set(State)


def test_a_job_that_is_active_has_come_from_running() -> None:
    """What holds resources is entered through running, the one state that the scheduler grants."""
    for state in ACTIVE - {State.RUNNING}:
        assert all(before in ACTIVE for before, after in TRANSITIONS.items() if state in after)
    assert not ACTIVE & FINAL


@pytest.mark.parametrize("state", sorted({State.CANCELLING, State.CANCELLED}))
def test_what_is_being_cancelled_never_completes(state: State) -> None:
    reachable = {state}
    while grown := {after for before in reachable for after in TRANSITIONS[before]} - reachable:
        reachable |= grown
    assert State.COMPLETED not in reachable and State.RUNNING not in reachable


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
