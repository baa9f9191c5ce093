"""What job stores that several processes use must do beyond `JobStoreSuite`."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from seisproc_core.errors import IllegalTransition, OutputBusy
from seisproc_core.jobs.process import identity
from seisproc_core.jobs.states import FINAL, State
from seisproc_core.jobs.store import JobStore
from seisproc_core.specs import resolve
from seisproc_core.testing.job_store import EVERYTHING, RUN_THROUGH, JobStoreSuite, added, make_job, run_through

CHILD = """
import sys
from seisproc_core.specs import resolve
action, impl, address, *rest = sys.argv[1:]
resolve("seisproc_core.testing.shared_job_store:" + action)(resolve(impl)(address), *rest)
"""


def start(action: str, impl: str, address: str, *arguments: str) -> subprocess.Popen[str]:
    """Run a function of this module on a store in another process."""
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, action, impl, address, *arguments], stdout=subprocess.PIPE, text=True
    )


def add_with_outputs(store: JobStore, name: str) -> None:
    """Compete for outputs; print those that were got."""
    for number in range(20):
        store.add(make_job(name=f"{name}-{number}"))
        try:
            store.add(make_job(output=f"/out/{number}.seis"))
            print(number)  # noqa: T201 - what the parent process reads
        except OutputBusy:
            pass


def lead_in_turn(store: JobStore, turns: str) -> None:
    """Lead, run what is there alone, leave; as an engine does."""
    me = identity()
    for _ in range(int(turns)):
        store.add(make_job(attached=False))
        while store.unfinished() or store.leader() == me:
            if not store.lead(me):
                time.sleep(0.001)
                continue
            for o in store.unfinished():
                store.move(o.id, State.RUNNING, driver=me)  # IllegalTransition if two lead
                for state in RUN_THROUGH[1:]:
                    store.move(o.id, state)
            store.leave(me)


class SharedJobStoreSuite(JobStoreSuite):
    """Further tests of stores that several processes use.

    Attributes
    ----------
    impl
        ``"module:Class"`` which opens the same store from its `address`.
    """

    impl: str

    def test_says_where_it_is(self, store: JobStore) -> None:
        assert store.shared and store.address

    def test_others_see_what_one_did(self, store: JobStore) -> None:
        other: JobStore = resolve(self.impl)(store.address)
        assert other.changes(0) == []
        job = added(store, output="/out.seis")
        assert [o.id for o in other.changes(0)] == [job.id]
        other.move(job.id, State.RUNNING)
        store.report(job.id, 1, 2)
        assert other.get(job.id).done == 1
        assert [o.state for o in store.changes(store.unfinished()[0].version - 1)] == [State.RUNNING]
        with pytest.raises(OutputBusy):
            other.add(make_job(output="/out.seis"))
        other.close()
        with pytest.raises(IllegalTransition):
            store.move(job.id, State.COMPLETED)

    def test_everything_is_there_when_it_is_opened_again(self, store: JobStore) -> None:
        parent = added(store)
        child = added(store, after=(parent.id,))
        run_through(store, added(store).id)
        kept = store.find(EVERYTHING), store.unfinished(), store.changes(0)
        store.close()
        again: JobStore = resolve(self.impl)(store.address)
        assert (again.find(EVERYTHING), again.unfinished(), again.changes(0)) == kept
        assert again.children(parent.id) == [child.id]
        again.close()

    def test_processes_share_a_store_from_its_creation_on(self, store: JobStore) -> None:
        children = [start("add_with_outputs", self.impl, store.address, str(number)) for number in range(4)]
        won: list[str] = []
        for child in children:
            out, _ = child.communicate(timeout=120)
            assert child.returncode == 0
            won += out.split()
        assert sorted(map(int, won)) == list(range(20))  # every output has one owner
        jobs = store.find(EVERYTHING)
        assert len(jobs) == 4 * 20 + 20
        for number in range(4):  # nobody's jobs changed places
            mine = [job.name for job in reversed(jobs) if job.name.startswith(f"{number}-")]
            assert mine == [f"{number}-{k}" for k in range(20)]

    def test_of_several_processes_one_leads_and_no_job_is_left(self, store: JobStore) -> None:
        children = [start("lead_in_turn", self.impl, store.address, "8") for _ in range(3)]
        for child in children:
            child.communicate(timeout=120)
        assert [child.returncode for child in children] == [0, 0, 0]
        jobs = store.find(EVERYTHING)
        assert len(jobs) == 24 and {job.state for job in jobs} <= FINAL
        assert store.leader() == ""
