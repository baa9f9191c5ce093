"""The graph of jobs that come after others."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisproc_core.errors import UsageError
from seisproc_core.jobs.dependencies import Dependencies
from seisproc_core.jobs.states import State


def test_a_diamond_is_done_from_top_to_bottom() -> None:
    graph = Dependencies()
    graph.add("a")
    graph.add("b", ["a"])
    graph.add("c", ["a"])
    graph.add("d", ["b", "c", "b"])
    assert list(graph.ready()) == ["a"]
    assert graph.completed("a") == ["b", "c"]
    assert graph.waits_for("d") == ["b", "c"]
    assert graph.completed("b") == []
    assert graph.waits_for("d") == ["c"]
    assert graph.completed("c") == ["d"]
    assert graph.is_ready("d") and list(graph.ready()) == ["d"]
    assert graph.completed("c") == [] and graph.completed("d") == []
    assert list(graph.ready()) == [] and "d" not in graph


def test_children_may_come_before_their_parents() -> None:
    graph = Dependencies()
    graph.add("child", ["parent"])
    assert graph.unknown() == ["parent"] and not graph.is_ready("child")
    graph.add("parent")
    assert graph.unknown() == []
    assert graph.completed("parent") == ["child"]


def test_a_parent_that_nobody_knows_can_be_declared_complete() -> None:
    graph = Dependencies()
    graph.add("child", ["gone", "there"])
    graph.add("there")
    assert graph.completed("gone") == [] and graph.unknown() == []
    assert graph.completed("there") == ["child"]


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_all_descendants_are_lost_whenever_they_come(end: str) -> None:
    graph = Dependencies()
    graph.add("early", ["a"])  # before its parent
    graph.add("a")
    graph.add("b", ["a"])
    graph.add("c", ["b", "early"])
    graph.add("other")
    lost = getattr(graph, end)("a", "the disk broke")
    said = "failed" if end == "failed" else "was cancelled"
    assert [(each.id, each.state) for each in lost] == [(job, State(end)) for job in ("early", "b", "c")]
    assert lost[0].reason == lost[1].reason == f"job a {said}: the disk broke"
    assert lost[2].reason == f"it comes after job early, and job a {said}: the disk broke"
    late = graph.add("late", ["c"])
    assert [(each.id, each.reason) for each in late] == [
        ("late", f"it comes after job c, and job a {said}: the disk broke")
    ]
    assert graph.lost("late") == late[0] and graph.lost("other") is None
    assert list(graph.ready()) == ["other"]
    assert getattr(graph, end)("a") == [] and getattr(graph, end)("b") == []


def test_the_first_bad_end_counts() -> None:
    graph = Dependencies()
    graph.add("a")
    graph.add("b")
    graph.add("c", ["a", "b"])
    assert [each.state for each in graph.cancelled("a")] == [State.CANCELLED]
    assert graph.failed("b") == []
    assert graph.lost("c").state is State.CANCELLED
    assert graph.add("d", ["b", "a"])[0].state is State.FAILED


def test_the_reason_stays_short_down_a_long_chain() -> None:
    graph = Dependencies()
    graph.add("0")
    for number in range(1, 5000):
        graph.add(str(number), [str(number - 1)])
    lost = graph.failed("0", "no space left")
    assert len(lost) == 4999
    assert lost[-1].reason == "it comes after job 4998, and job 0 failed: no space left"


def test_a_cycle_is_named_and_not_added() -> None:
    graph = Dependencies()
    graph.add("a", ["b"])
    graph.add("b", ["x", "c"])
    with pytest.raises(UsageError, match="c after a after b after c"):
        graph.add("c", ["a"])
    assert "c" not in graph
    with pytest.raises(UsageError, match="job d should come after itself"):
        graph.add("d", ["d"])
    graph.add("c")
    assert graph.completed("x") == [] and graph.completed("c") == ["b"]


def edges_and_order(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]], list[int]]:
    count = draw(st.integers(1, 8))
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    return count, draw(st.lists(pairs, max_size=14)), draw(st.permutations(range(count)))


@given(st.composite(edges_and_order)())
def test_cycles_are_refused_exactly_when_there_is_one(case: tuple[int, list[tuple[int, int]], list[int]]) -> None:
    _, edges, order = case
    graph = Dependencies()
    added: dict[int, list[int]] = {}
    for job in order:
        parents = [parent for child, parent in edges if child == job]
        if reaches({**added, job: parents}, job):
            with pytest.raises(UsageError):
                graph.add(str(job), map(str, parents))
        else:
            graph.add(str(job), map(str, parents))
            added[job] = parents
    for unknown in graph.unknown():
        graph.completed(unknown)
    done: list[str] = []
    while ready := list(graph.ready()):
        for job in ready:
            assert all(str(parent) in done or parent not in added for parent in added[int(job)])
            graph.completed(job)
            done.append(job)
    assert sorted(done) == sorted(map(str, added))


def reaches(parents: dict[int, list[int]], start: int) -> bool:
    """Whether a job waits for itself, found by brute force."""
    seen: set[int] = set()
    stack = list(parents[start])
    while stack:
        job = stack.pop()
        if job == start:
            return True
        if job not in seen:
            seen.add(job)
            stack += parents.get(job, [])
    return False


@given(st.integers(0, 10_000))
def test_ready_means_all_parents_completed(seed: int) -> None:
    """Random graphs in random order of arrival and end, against sets."""
    rnd = random.Random(seed)
    parents = {str(n): {str(rnd.randrange(n)) for _ in range(rnd.randrange(3))} if n else set() for n in range(12)}
    graph = Dependencies()
    ended: dict[str, str] = {}
    waiting = list(parents)
    rnd.shuffle(waiting)
    there: set[str] = set()
    while waiting or there - ended.keys():
        ready = sorted(graph.ready())
        if waiting and (not ready or rnd.random() < 0.5):
            job = waiting.pop()
            there.add(job)
            ended |= {each.id: "lost" for each in graph.add(job, sorted(parents[job]))}
            for parent in graph.unknown():
                if ended.get(parent) == "completed":  # before this child came: the graph has forgotten it
                    graph.completed(parent)
        else:
            job = rnd.choice(ready)
            ended[job] = rnd.choice(["completed", "completed", "failed", "cancelled"])
            news = getattr(graph, ended[job])(job)
            if ended[job] != "completed":
                ended |= {each.id: "lost" for each in news}
        for job in there:
            completed = all(ended.get(parent) == "completed" for parent in parents[job])
            assert graph.is_ready(job) == (job not in ended and completed)
            if any(ended.get(parent, "completed") != "completed" for parent in parents[job]):
                assert graph.lost(job) is not None
