"""What every job store must do, as tests: subclass `JobStoreSuite`, say how a store is made, and run pytest."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from seisproc_core.errors import IllegalTransition, OutputBusy, UsageError
from seisproc_core.jobs.model import Job, replay
from seisproc_core.jobs.states import State
from seisproc_core.jobs.store import JobStore


def make_job(**changes: object) -> Job:
    """A job as `seisproc run` would submit it."""
    values: dict[str, object] = {"name": "stack.toml", "type": "flow", "config": {"steps": [{"use": "agc"}], "é": None}}
    return Job(**{**values, **changes})  # type: ignore[arg-type]


class JobStoreSuite:
    """Tests of the `JobStore` protocol."""

    def make_store(self, folder: Path) -> JobStore:
        """A new, empty store; a durable one keeps its files in `folder`."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, tmp_path: Path) -> JobStore:
        return self.make_store(tmp_path)

    def test_returns_what_was_added(self, store: JobStore) -> None:
        job = make_job(output="/data/stack.seis", priority=9, workers=4, executor="processes")
        store.add(job)
        assert store.get(job.id) == job

    def test_finds_by_unambiguous_beginning(self, store: JobStore) -> None:
        for name in ("aaa111222333", "aab111222333", "b00000000000"):
            store.add(make_job(id=name))
        assert store.get("b").id == "b00000000000"
        assert store.get("aab").id == "aab111222333"
        for beginning in ("aa", "c", "", "%", "aaa111222333f", "\udcff"):
            with pytest.raises(UsageError):
                store.get(beginning)

    def test_lists_newest_first(self, store: JobStore) -> None:
        added = [make_job() for _ in range(5)]
        for job in added:
            store.add(job)
        assert [job.id for job in store.list()] == [job.id for job in reversed(added)]
        assert [job.id for job in store.list(limit=2)] == [added[4].id, added[3].id]

    def test_a_move_keeps_the_place_in_the_list(self, store: JobStore) -> None:
        first, second = make_job(), make_job()
        store.add(first)
        store.add(second)
        store.move(first.id, State.QUEUED)
        assert [job.id for job in store.list()] == [second.id, first.id]

    def test_moves_along_the_table(self, store: JobStore) -> None:
        job = make_job(output="/data/stack.seis")
        store.add(job)
        store.move(job.id, State.QUEUED)
        store.move(job.id, State.RUNNING)
        store.move(job.id, State.SEALING)
        last = store.move(job.id, State.COMPLETED, "all done", result={"traces": 7})
        found = store.get(job.id)
        assert found == last
        assert found.finished and found.result == {"traces": 7}
        assert found.events[-1].reason == "all done"
        assert [event.sequence for event in found.events] == [0, 1, 2, 3]
        assert replay(found.events) is State.COMPLETED

    def test_refuses_illegal_moves_and_changes_nothing(self, store: JobStore) -> None:
        job = make_job()
        store.add(job)
        store.move(job.id, State.QUEUED)
        before = store.get(job.id)
        with pytest.raises(IllegalTransition):
            store.move(job.id, State.COMPLETED)
        assert store.get(job.id) == before

    def test_refuses_moves_of_unknown_jobs(self, store: JobStore) -> None:
        with pytest.raises(UsageError):
            store.move("0123456789ab", State.QUEUED)
        with pytest.raises(UsageError):
            store.report("0123456789ab", 1, 2)

    def test_reports_progress_without_events(self, store: JobStore) -> None:
        job = make_job()
        store.add(job)
        store.report(job.id, 30, 100)
        found = store.get(job.id)
        assert (found.done, found.total, found.events) == (30, 100, ())
        assert store.list()[0].done == 30

    def test_a_move_keeps_the_progress(self, store: JobStore) -> None:
        job = make_job()
        store.add(job)
        store.report(job.id, 30, 100)
        store.move(job.id, State.QUEUED)
        assert store.get(job.id).done == 30

    def test_reserves_outputs_of_unfinished_jobs(self, store: JobStore) -> None:
        holder = make_job(output="/data/stack.seis", name="first.toml")
        store.add(holder)
        store.move(holder.id, State.QUEUED)
        with pytest.raises(OutputBusy, match=f"{holder.id}.*first.toml.*queued"):
            store.add(make_job(output="/data/stack.seis"))
        assert len(store.list()) == 1
        assert store.holder("/data/stack.seis") == store.get(holder.id)
        assert store.holder("/data/other.seis") is None
        store.move(holder.id, State.CANCELLED)
        assert store.holder("/data/stack.seis") is None
        store.add(make_job(output="/data/stack.seis"))

    def test_output_names_need_not_be_utf8(self, store: JobStore) -> None:
        job = make_job(output="/data/na\udcefve.seis")
        store.add(job)
        with pytest.raises(OutputBusy):
            store.add(make_job(output="/data/na\udcefve.seis"))
        assert store.holder("/data/na\udcefve.seis") == store.get(job.id) == job

    def test_jobs_in_memory_reserve_nothing(self, store: JobStore) -> None:
        store.add(make_job())
        store.add(make_job())
        assert store.holder("") is None

    def test_of_many_threads_one_wins(self, store: JobStore) -> None:
        job = make_job()
        store.add(job)
        store.move(job.id, State.QUEUED)
        won: list[str] = []

        def take(state: State) -> None:
            try:
                store.move(job.id, state)
                won.append(str(state))
            except IllegalTransition:
                pass

        threads = [threading.Thread(target=take, args=[State.RUNNING]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert won == ["running"]
        assert len(store.get(job.id).events) == 2
