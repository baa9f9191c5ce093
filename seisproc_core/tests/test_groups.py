"""Groups of jobs: their state follows from the jobs, whatever becomes of these."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisproc_core.errors import UsageError
from seisproc_core.jobs import client, groups
from seisproc_core.jobs.groups import Group, group_of
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.process import identity
from seisproc_core.jobs.states import ACTIVE, FINAL, State
from seisproc_core.jobs.store import MemoryStore

STATES = [state for state in State if state is not State.CREATED]


def member(row: int, state: State = State.CREATED, **more: object) -> Job:
    options = {"group": "gain, lines.csv", "row": row}
    job = Job(name=f"gain L{row}", type="flow", config={}, options=options, part_of="9" * 12, driver=identity())
    return attrs.evolve(job, state=state, **more)


@pytest.mark.parametrize(
    ("states", "together"),
    [
        ("queued queued", "queued"),
        ("running queued", "running"),
        ("completed queued", "running"),
        ("completed sealing failed", "sealing"),
        ("completed paused failed", "paused"),
        ("cancelling cancelled", "cancelling"),
        ("completed completed", "completed"),
        ("completed failed cancelled", "failed"),
        ("completed cancelled", "cancelled"),
    ],
)
def test_the_state_of_a_group(states: str, together: str) -> None:
    made = group_of(member(row, State(state)) for row, state in enumerate(states.split()))
    assert made.state == together


@given(st.lists(st.sampled_from(STATES), min_size=1))
def test_a_group_has_ended_when_all_its_jobs_have(states: list[State]) -> None:
    group = group_of(member(row, state) for row, state in enumerate(states))
    assert (group.state in FINAL) == all(state in FINAL for state in states)
    assert (group.state is State.COMPLETED) == all(state is State.COMPLETED for state in states)
    if any(state in ACTIVE for state in states):
        assert group.state in ACTIVE
    assert f"of {len(states)} completed" in group.summary


def test_of_a_line_that_was_retried_the_latest_job_counts() -> None:
    first, second = member(1, State.FAILED), member(2, State.COMPLETED)
    again = member(1, State.COMPLETED, retry_of=first.id)
    group = group_of([again, second, first])
    assert group.jobs == (again, second) and group.state is State.COMPLETED


def test_a_list_shows_a_group_once() -> None:
    store = MemoryStore()
    old, new = Job(name="old", type="flow", config={}), Job(name="new", type="flow", config={})
    members = [member(row) for row in range(5)]
    store.add(old, *members, new)
    listed = groups.newest(store, 10)
    assert [entry.id for entry in listed] == [new.id, "9" * 12, old.id]
    assert [entry.id for entry in groups.newest(store, 2)] == [new.id, "9" * 12]
    store.move(members[3].id, State.CANCELLED)
    (found,) = groups.newest(store, 10, frozenset({State.CANCELLED}))
    assert isinstance(found, Group) and found.name == "gain, lines.csv" and len(found.jobs) == 5


def test_what_is_asked_of_a_group_is_asked_of_its_jobs() -> None:
    store = MemoryStore()
    members = [member(row) for row in range(4)]
    store.add(*members)
    for state in (State.RUNNING, State.SEALING, State.COMPLETED):
        store.move(members[0].id, state)
    store.move(members[1].id, State.RUNNING)
    asked = groups.every(store, "999", client.pause)
    assert [job.state for job in asked] == [State.PAUSED, State.PAUSED, State.PAUSING]
    store.move(members[1].id, State.PAUSED)
    assert {job.state for job in groups.every(store, "999", client.resume)} == {State.QUEUED}
    groups.every(store, "999", client.cancel)
    group = groups.find(store, "999")
    assert isinstance(group, Group) and group.summary == "1 of 4 completed, 3 cancelled"
    with pytest.raises(UsageError, match="finished: 1 of 4 completed"):
        groups.every(store, "999", client.pause)


def test_beginnings_of_ids_must_be_clear() -> None:
    store = MemoryStore()
    other = attrs.evolve(member(1), id="99aaaaaaaaaa", part_of="")
    store.add(member(1), other)
    assert groups.find(store, "99a") == store.get(other.id)
    with pytest.raises(UsageError, match="begins both job 99aaaaaaaaaa and group 9999"):
        groups.find(store, "99")
    for nothing in ("", "zzz"):
        with pytest.raises(UsageError, match="no job"):
            groups.find(store, nothing)


def test_a_group_stands_for_the_latest_job_of_each_part() -> None:
    store = MemoryStore()
    members = [member(row) for row in range(3)]
    store.add(*members, alone := Job(name="alone", type="flow", config={}))
    store.move(members[1].id, State.CANCELLED)
    store.add(again := member(1, retry_of=members[1].id))
    assert groups.members(store, "9" * 5) == (members[0].id, again.id, members[2].id)
    assert groups.members(store, alone.id) == (alone.id,)
