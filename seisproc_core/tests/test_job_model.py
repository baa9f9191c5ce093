"""Jobs as values: to JSON and back, and what is no job."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisproc_core.jobs.model import Event, Job, replay
from seisproc_core.jobs.resources import Resources
from seisproc_core.jobs.states import TRANSITIONS, State

counts = st.integers(0, 2**63)
keys = st.text(max_size=12)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(keys, plain, max_size=4)
ids = st.text("0123456789abcdef", min_size=12, max_size=12)


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    """Any job, after any legal history."""
    job = Job(
        id=draw(ids),
        name=draw(st.text()),
        type=draw(st.text(max_size=10)),
        config=draw(objects),
        output=draw(st.text()),
        priority=draw(st.integers(0, 9)),
        workers=draw(counts),
        threads=draw(counts),
        executor=draw(st.text(max_size=10)),
        resources=Resources(draw(counts), draw(counts), draw(counts)),
        after=tuple(draw(st.lists(ids, max_size=3))),
        options=draw(objects),
        driver=draw(st.text(max_size=10)),
        attached=draw(st.booleans()),
        attempt=draw(counts),
        retry_of=draw(st.just("") | ids),
        done=draw(counts),
        total=draw(counts),
        result=draw(st.none() | objects),
        usage=draw(st.none() | objects),
        error=draw(st.text()),
        log=draw(st.text()),
    )
    for _ in range(draw(st.integers(0, 6))):
        after = sorted(TRANSITIONS[job.state])
        if after:
            job = job.moved(draw(st.sampled_from(after)), draw(st.text()))
    return job


@given(jobs())
def test_a_job_survives_json(job: Job) -> None:
    plain = job.to_json()
    assert set(plain) == {field.name for field in attrs.fields(Job)}
    assert Job.from_json(json.loads(json.dumps(plain))) == job


@given(jobs())
def test_events_replay_and_the_first_is_the_beginning(job: Job) -> None:
    assert replay(job.events) is job.state
    assert job.created_at == (job.events[0].at if job.events else 0.0)
    assert job.finished == (not TRANSITIONS[job.state])


@given(jobs(), st.data())
def test_a_history_with_a_gap_or_a_leap_is_refused(job: Job, data: st.DataObject) -> None:
    if len(job.events) > 1:
        lost = data.draw(st.integers(0, len(job.events) - 2))
        with pytest.raises(ValueError, match="sequence"):
            replay(job.events[:lost] + job.events[lost + 1 :])
    with pytest.raises(Exception, match="cannot become"):
        replay((*job.events, Event(len(job.events), State.CREATED, 0.0)))


@pytest.mark.parametrize("change", [{"priority": -1}, {"priority": 10}])
def test_refuses_what_is_no_job(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Job(name="n", type="flow", config={}, **change)


def test_a_job_is_a_value() -> None:
    job = Job(name="n", type="flow", config={})
    moved = job.moved(State.QUEUED, "because")
    assert (job.state, job.events) == (State.CREATED, ())
    assert (moved.state, moved.events[0].reason, moved.id) == (State.QUEUED, "because", job.id)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        job.state = State.RUNNING  # type: ignore[misc]
    assert job.id != Job(name="n", type="flow", config={}).id
