"""What every job store must do, as tests: subclass `JobStoreSuite`, say how a store is made, and run pytest.

Stores that several processes may use take `SharedJobStoreSuite` (testing/shared_job_store.py) instead.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from seisproc_core.errors import IllegalTransition, OutputBusy, UsageError
from seisproc_core.jobs.model import Job, replay
from seisproc_core.jobs.process import identity
from seisproc_core.jobs.resources import Resources
from seisproc_core.jobs.states import TRANSITIONS, State
from seisproc_core.jobs.store import JobStore, Query, outline

EVERYTHING = Query(limit=None)
RUN_THROUGH = (State.RUNNING, State.SEALING, State.COMPLETED)


def make_job(**changes: object) -> Job:
    """A job as `seisproc run` would submit it."""
    values: dict[str, object] = {"name": "stack.toml", "type": "flow", "config": {"steps": [{"use": "agc"}], "é": None}}
    return Job(**{**values, **changes})  # type: ignore[arg-type]


def added(store: JobStore, **changes: object) -> Job:
    """A new job, as the store keeps it."""
    job = make_job(**changes)
    store.add(job)
    return store.get(job.id)


def run_through(store: JobStore, job_id: str) -> Job:
    """Take a queued job to its completion."""
    for state in RUN_THROUGH:
        job = store.move(job_id, state)
    return job


@contextmanager
def living_process() -> Iterator[str]:
    """Identity of another process, which is dead when this is left."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        try:
            yield identity(process.pid)
        finally:
            process.kill()


def in_threads(work: Callable[[int], None], count: int = 8) -> None:
    """Run `work` with each number in a thread of its own, all at once; errors are raised here."""
    errors: list[BaseException] = []
    start = threading.Barrier(count)

    def guarded(number: int) -> None:
        try:
            start.wait()
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


class JobStoreSuite:
    """Tests of the `JobStore` protocol."""

    def make_store(self, folder: Path) -> JobStore:
        """A new, empty store; a durable one keeps its files in `folder`."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[JobStore]:
        store = self.make_store(tmp_path)
        yield store
        store.close()

    # -- add, get

    def test_returns_what_was_added_as_queued(self, store: JobStore) -> None:
        parent = added(store)
        job = make_job(
            output="/data/stack.seis", priority=9, workers=4, executor="processes", threads=2, attached=False,
            resources=Resources(8, 3 << 30, 1), after=(parent.id,), options={"replace": True}, driver="host:boot:1:2",
            retry_of=parent.id, log="/logs/1",
        )  # fmt: skip
        before = time.time()
        store.add(job)
        found = store.get(job.id)
        assert attrs.evolve(found, state=job.state, events=()) == job
        assert found.state is State.QUEUED and replay(found.events) is State.QUEUED
        assert before <= found.created_at <= time.time()

    def test_a_job_in_another_state_is_kept_as_it_is(self, store: JobStore) -> None:
        job = make_job().moved(State.QUEUED).moved(State.RUNNING)
        store.add(job)
        assert store.get(job.id) == job

    def test_adds_all_or_none(self, store: JobStore) -> None:
        held = added(store, output="/held.seis")
        for bad in (make_job(id=held.id), make_job(output="/held.seis"), make_job(after=("0123456789ab",))):
            with pytest.raises((UsageError, OutputBusy)):
                store.add(make_job(), bad, make_job())
        same = make_job()
        with pytest.raises(UsageError, match="already"):
            store.add(same, same)
        with pytest.raises(OutputBusy):
            store.add(make_job(output="/new.seis"), make_job(output="/new.seis"))
        assert [job.id for job in store.find(EVERYTHING)] == [held.id]
        assert [outline.id for outline in store.unfinished()] == [held.id]
        assert store.children("0123456789ab") == []
        store.add()
        store.add(make_job(), make_job(output="/new.seis"))
        assert len(store.find(EVERYTHING)) == 3

    def test_finds_by_unambiguous_beginning(self, store: JobStore) -> None:
        store.add(*(make_job(id=name) for name in ("aaa111222333", "aab111222333", "b00000000000")))
        assert store.get("b").id == "b00000000000"
        assert store.move("aab", State.RUNNING).id == "aab111222333"
        store.report("aab", 1, 2)
        assert store.edit("aab1", name="new").done == 1
        for beginning in ("aa", "c", "", "%", "_", "aaa111222333f", "\udcff", "\0"):
            with pytest.raises(UsageError):
                store.get(beginning)

    def test_a_whole_id_wins_over_longer_ones(self, store: JobStore) -> None:
        store.add(make_job(id="aaa"), make_job(id="aaab"))
        assert store.get("aaa").id == "aaa"

    # -- outputs

    def test_reserves_outputs_of_unfinished_jobs(self, store: JobStore) -> None:
        holder = added(store, output="/data/stack.seis", name="first.toml")
        with pytest.raises(OutputBusy, match=rf"{holder.id}.*first\.toml.*queued"):
            store.add(make_job(output="/data/stack.seis"))
        assert store.holder("/data/stack.seis") == holder
        assert store.holder("/data/other.seis") is None
        store.move(holder.id, State.CANCELLED)
        assert store.holder("/data/stack.seis") is None
        store.add(make_job(output="/data/stack.seis"))

    def test_paused_jobs_are_unfinished(self, store: JobStore) -> None:
        job = added(store, output="/data/stack.seis", attached=False)
        for state in (State.RUNNING, State.PAUSING, State.PAUSED):
            store.move(job.id, state)
        assert [outline.state for outline in store.unfinished()] == [State.PAUSED]
        assert store.holder("/data/stack.seis") is not None
        assert store.leave(identity())  # but they keep no engine

    def test_output_names_need_not_be_utf8(self, store: JobStore) -> None:
        job = added(store, output="/data/na\udcefve.seis", name="Größe", error="\0\n")
        with pytest.raises(OutputBusy):
            store.add(make_job(output="/data/na\udcefve.seis"))
        assert store.holder("/data/na\udcefve.seis") == job == store.find(Query(text="GRÖSSE"))[0]
        assert (job.output, job.error) == ("/data/na\udcefve.seis", "\0\n")

    def test_jobs_in_memory_reserve_nothing(self, store: JobStore) -> None:
        store.add(make_job(), make_job())
        assert store.holder("") is None

    # -- move, edit, report

    def test_moves_along_the_table(self, store: JobStore) -> None:
        job = added(store, output="/data/stack.seis")
        store.move(job.id, State.RUNNING, attempt=1, driver="me")
        store.move(job.id, State.SEALING)
        last = store.move(job.id, State.COMPLETED, "all done", result={"traces_in": 7}, usage={"seconds": 1.5})
        found = store.get(job.id)
        assert found == last and found.finished
        assert (found.result, found.usage, found.attempt, found.driver) == (
            {"traces_in": 7}, {"seconds": 1.5}, 1, "me",
        )  # fmt: skip
        assert found.events[-1].reason == "all done"
        assert replay(found.events) is State.COMPLETED

    def test_moves_many_at_once(self, store: JobStore) -> None:
        jobs = [added(store, name=f"n{k}", config={"steps": [{"use": "agc"}], "events": [k]}) for k in range(5)]
        store.move(jobs[1].id, State.CANCELLED)
        version = store.changes(0)[-1].version
        moved = store.move_all([*(job.id for job in jobs), "f" * 12], State.RUNNING)
        assert [job.id for job in moved] == [jobs[k].id for k in (0, 2, 3, 4)]
        assert [(o.id, o.state) for o in store.changes(version)] == [(job.id, State.RUNNING) for job in moved]
        assert [store.get(job.id) for job in moved] == moved
        assert store.get(jobs[1].id).state is State.CANCELLED
        store.move_all([job.id for job in moved], State.SEALING)
        for job in store.move_all([job.id for job in moved[:2]], State.COMPLETED):
            assert store.get(job.id) == job and replay(job.events) is State.COMPLETED
            assert job.config == {"steps": [{"use": "agc"}], "events": [int(job.name[1])]}
        assert store.move_all([], State.RUNNING) == []
        odd = store.move(moved[2].id, State.FAILED, 'so "events":[0]', error='"events":[')
        assert store.get(odd.id) == odd and store.get(odd.id).events[-1].reason == 'so "events":[0]'
        assert store.find(Query(text="n2"))[0].id == jobs[2].id

    @pytest.mark.parametrize("before", list(State))
    def test_refuses_illegal_moves_and_changes_nothing(self, store: JobStore, before: State) -> None:
        job = attrs.evolve(make_job().moved(State.QUEUED), state=before)
        if before is not State.CREATED:
            store.add(job)
            version = store.changes(0)[-1].version
            for after in set(State) - TRANSITIONS[before]:
                with pytest.raises(IllegalTransition):
                    store.move(job.id, after, name="never")
            assert store.get(job.id) == job
            assert store.changes(version) == []

    def test_refuses_changes_of_unknown_jobs(self, store: JobStore) -> None:
        for change in (
            lambda: store.move("0123456789ab", State.RUNNING),
            lambda: store.edit("0123456789ab", priority=1),
            lambda: store.report("0123456789ab", 1, 2),
        ):
            with pytest.raises(UsageError):
                change()

    def test_edits_without_a_transition(self, store: JobStore) -> None:
        job = added(store)
        edited = store.edit(job.id, priority=9, resources=Resources(2, 5, 0), driver="me", options={"replace": True})
        assert edited == store.get(job.id)
        assert (edited.priority, edited.events) == (9, job.events)
        (seen,) = store.unfinished()
        assert (seen.priority, seen.resources, seen.driver) == (9, Resources(2, 5, 0), "me")
        with pytest.raises(ValueError):
            store.edit(job.id, priority=10)
        with pytest.raises(IllegalTransition, match="queued"):
            store.edit(job.id, of=State.RUNNING, priority=1)
        assert store.edit(job.id, of=State.QUEUED, priority=1).priority == 1

    def test_reports_progress_without_events_or_changes(self, store: JobStore) -> None:
        job = added(store)
        version = store.changes(0)[-1].version
        store.report(job.id, 30, 100)
        assert store.get(job.id) == attrs.evolve(job, done=30, total=100) == store.find(Query())[0]
        assert store.changes(version) == []
        assert store.move(job.id, State.RUNNING).done == 30

    # -- find

    def test_finds_newest_first_whatever_moved(self, store: JobStore) -> None:
        jobs = [added(store) for _ in range(5)]
        store.move(jobs[0].id, State.RUNNING)
        newest = [job.id for job in reversed(jobs)]
        assert [job.id for job in store.find(Query())] == newest
        assert [job.id for job in store.find(Query(limit=2))] == newest[:2]
        assert [job.id for job in store.find(Query(limit=2, offset=1))] == newest[1:3]
        assert [job.id for job in store.find(Query(limit=None, offset=4))] == newest[4:]
        assert store.find(Query(limit=0)) == []

    def test_finds_what_matches(self, store: JobStore) -> None:
        words = ("Plain.toml", "100%_sure", "it's", 'a "quote"', "Straße", "ΣΊΣΥΦΟΣ", "[x]*?", "back\\slash")
        for number, name in enumerate(words):
            output = f"/out/{name}" if number % 2 else ""
            events = make_job().moved(State.QUEUED).events
            events = (attrs.evolve(events[0], at=1000.0 + number),)
            job = make_job(
                name=name, type=("flow", "import")[number % 2], output=output, state=State.QUEUED, events=events
            )
            store.add(job)
            if number % 3 == 0:
                store.move(job.id, State.FAILED, error=f"No such file {number}")
        ids = [job.id[:5] for job in store.find(EVERYTHING)][:2]
        queries = [
            Query(),
            Query(states=frozenset({State.FAILED})),
            Query(states=frozenset({State.FAILED, State.QUEUED}), types=frozenset({"import"})),
            Query(types=frozenset({"import", "x'; DROP TABLE jobs"})),
            Query(since=1002.0, until=1005.0),
            Query(since=1002.0, text="NO SUCH"),
            Query(until=1000.0),
            *(Query(text=text) for text in (*words, *ids, "%", "_", "PLAIN", "strasse", "σίσυφος", "/OUT/", "absent")),
        ]
        jobs = store.find(EVERYTHING)
        for query in queries:
            assert store.find(query) == [job for job in jobs if query.matches(job)], query
        assert len(store.find(Query(text="%"))) == 1 and len(store.find(queries[4])) == 3

    def test_finds_the_jobs_of_a_group(self, store: JobStore) -> None:
        members = [added(store, part_of="aab000000000", name=str(k)) for k in range(3)]
        added(store)
        other = added(store, part_of="aac000000000")
        for beginning in ("aab000000000", "aab"):
            found = store.find(Query(part_of=beginning, limit=None))
            assert [job.id for job in found] == [job.id for job in reversed(members)]
        assert store.find(Query(part_of="aac")) == [other]
        assert len(store.find(Query(part_of="aa", limit=None))) == 4
        assert store.find(Query(part_of="b")) == store.find(Query(part_of="%")) == []

    # -- outlines

    def test_outlines_tell_what_the_jobs_do(self, store: JobStore) -> None:
        jobs = [added(store, priority=number, resources=Resources(number, 7, 1)) for number in range(4)]
        child = added(store, after=tuple(job.id for job in jobs[:2]), attached=False, driver="host:boot:1:2")
        store.move(jobs[1].id, State.CANCELLED)
        store.move(jobs[2].id, State.RUNNING)
        seen = store.unfinished()
        assert [o.id for o in seen] == [jobs[0].id, jobs[2].id, jobs[3].id, child.id]
        for o in seen:
            assert o == outline(store.get(o.id), o.number, o.version)
        assert [o.number for o in seen] == sorted({o.number for o in seen})
        assert seen[1].version > seen[3].version

    def test_changes_are_told_once_in_order(self, store: JobStore) -> None:
        assert store.changes(0) == []
        one, two, three = (added(store) for _ in range(3))
        seen = store.changes(0)
        assert [o.id for o in seen] == [one.id, two.id, three.id]
        version = seen[-1].version
        assert store.changes(version) == [] == store.changes(version)
        store.move(two.id, State.RUNNING)
        store.edit(one.id, priority=0)
        store.move(two.id, State.FAILED)
        seen = store.changes(version)
        assert [(o.id, o.state) for o in seen] == [(one.id, State.QUEUED), (two.id, State.FAILED)]
        assert version < seen[0].version < seen[1].version
        assert store.changes(seen[0].version) == seen[1:]
        assert seen == store.changes(version)

    def test_children_are_the_unfinished_ones(self, store: JobStore) -> None:
        parent = make_job()
        children = [make_job(after=(parent.id,)) for _ in range(3)]
        grandchild = make_job(after=(children[0].id,))
        store.add(*children, parent, grandchild)  # in whatever order
        assert store.children(parent.id) == [child.id for child in children]
        store.move(children[1].id, State.CANCELLED)
        assert store.children(parent.id) == [children[0].id, children[2].id]
        assert store.children(children[0].id) == [grandchild.id]
        assert store.children(grandchild.id) == store.children("0123456789ab") == []

    # -- lead

    def test_one_living_process_leads(self, store: JobStore) -> None:
        me = identity()
        assert store.leader() == ""
        with living_process() as other:
            assert store.lead(other) and store.lead(other)
            assert not store.lead(me) and store.leader() == other
            assert store.leave(me)  # it did not lead
            assert store.leader() == other
        assert store.leader() == ""  # it died
        assert store.lead(me) and store.leader() == me
        assert store.leave(me) and store.leader() == ""

    def test_a_leader_stays_while_detached_jobs_wait(self, store: JobStore) -> None:
        me = identity()
        assert store.lead(me)
        added(store)  # attached: its own process sees to it
        job = added(store, attached=False)
        for state in RUN_THROUGH:
            assert not store.leave(me) and store.leader() == me
            store.move(job.id, state)
        assert store.leave(me) and store.leader() == ""
        added(store, attached=False)
        assert store.lead(me) and store.leave(me, force=True) and store.leader() == ""

    # -- purge

    def test_purges_what_ended_before(self, store: JobStore) -> None:
        old, parent, failed = added(store), added(store), added(store)
        child = added(store, after=(parent.id,))
        run_through(store, old.id)
        run_through(store, parent.id)
        moment = store.move(failed.id, State.FAILED).events[-1].at
        time.sleep(0.01)
        new = run_through(store, added(store).id)
        version = store.changes(0)[-1].version
        assert store.purge(0.0) == 0
        assert store.purge(moment) == 1  # exclusive; and the parent is waited for
        assert store.purge(time.time() - 0.005) in (1, 2)
        assert {parent.id, child.id} <= {job.id for job in store.find(EVERYTHING)}
        with pytest.raises(UsageError):
            store.get(old.id)
        store.move(child.id, State.CANCELLED)
        assert store.purge(time.time() + 1) >= 2
        assert not store.find(EVERYTHING) and not store.unfinished() and not store.changes(0)
        again = added(store)
        assert store.unfinished()[0].version > version  # numbers are never given twice
        assert again.id not in (new.id, old.id)

    # -- several threads

    def test_of_many_threads_one_wins(self, store: JobStore) -> None:
        job, won = added(store), list[int]()

        def take(number: int) -> None:
            try:
                store.move(job.id, State.RUNNING)
                won.append(number)
            except IllegalTransition:
                pass

        in_threads(take)
        assert len(won) == 1
        assert len(store.get(job.id).events) == 2

    def test_threads_lose_nothing(self, store: JobStore) -> None:
        def work(number: int) -> None:
            for turn in range(5):
                job = added(store, name=f"{number}-{turn}", output=f"/{number}.seis")
                store.report(job.id, turn, 5)
                run_through(store, job.id)
                assert store.changes(0) and store.find(Query())

        in_threads(work)
        jobs = store.find(EVERYTHING)
        assert {job.name for job in jobs} == {f"{number}-{turn}" for number in range(8) for turn in range(5)}
        assert all(job.state is State.COMPLETED and len(job.events) == 4 for job in jobs)
        assert store.unfinished() == []
        assert len({o.version for o in store.changes(0)}) == len(jobs)
