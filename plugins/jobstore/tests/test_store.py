"""The SQLite store: the contract of all stores, then what only a durable one that processes share must do."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core.errors import IllegalTransition, OutputBusy, StorageError, UsageError
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.resources import Resources
from seisproc_core.jobs.states import State
from seisproc_core.jobs.store import JobStore, MemoryStore
from seisproc_core.testing.job_store import EVERYTHING, JobStoreSuite, added, make_job, run_through
from seisproc_core.testing.shared_job_store import SharedJobStoreSuite
from seisproc_jobstore.mounts import file_system, is_network
from seisproc_jobstore.store import SqliteStore, default_path


class TestMemoryStore(JobStoreSuite):
    def make_store(self, folder: Path) -> JobStore:
        return MemoryStore()


class TestSqliteStore(SharedJobStoreSuite):
    impl = "seisproc_jobstore.store:SqliteStore"

    def make_store(self, folder: Path) -> JobStore:
        return SqliteStore(folder / "jobs.sqlite")


class TestSqliteStoreOnANetwork(SharedJobStoreSuite):
    """As on NFS: with a rollback journal. (The children find the journal's mode in the file.)"""

    impl = "seisproc_jobstore.store:SqliteStore"

    def make_store(self, folder: Path) -> JobStore:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("seisproc_jobstore.database.is_network", lambda kind: True)
            return SqliteStore(folder / "jobs.sqlite")


def journal_of(path: Path) -> str:
    database = sqlite3.connect(path)
    mode = str(database.execute("PRAGMA journal_mode").fetchone()[0])
    database.close()
    return mode


def test_network_file_systems_get_no_write_ahead_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "jobs.sqlite"
    with SqliteStore(path) as store:
        job = added(store)
        assert journal_of(path) == "wal"
    monkeypatch.setattr("seisproc_jobstore.database.file_system", lambda path: "nfs4")
    with SqliteStore(path) as store:
        assert journal_of(path) == "delete"
        assert store.get(job.id) == job
        added(store)
        assert sorted(file.name for file in tmp_path.iterdir()) == ["jobs.sqlite"]  # nothing in shared memory


MOUNTS = r"""/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb1 /home/me/local\040disk xfs rw 0 0
//server/x /mnt/x cifs rw 0 0
broken
gpfs0 /mnt/x gpfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind", "network"),
    [
        ("/var/lib", "ext4", False),
        ("/homes/x", "ext4", False),
        ("/home/me/.local", "nfs4", True),
        ("/home/me/local disk/jobs.sqlite", "xfs", False),
        ("/mnt/x/y", "gpfs", True),
    ],
)
def test_the_file_system_of_a_path(path: str, kind: str, network: bool) -> None:
    assert file_system(Path(path), MOUNTS) == kind
    assert is_network(kind) is network


def test_this_file_system_is_known(tmp_path: Path) -> None:
    assert file_system(tmp_path) or not Path("/proc/self/mounts").exists()


# -- durability


def syncing(store: SqliteStore) -> int:
    with store._db.reading() as db:
        return int(db.execute("PRAGMA synchronous").fetchone()[0])


def test_what_users_ask_for_and_ends_waits_for_the_disk_the_rest_does_not(tmp_path: Path) -> None:
    full, normal = 2, 1
    with SqliteStore(tmp_path / "jobs.sqlite") as store:
        job = added(store)
        assert syncing(store) == full
        for state, wanted in (
            (State.RUNNING, normal), (State.PAUSING, full), (State.PAUSED, full), (State.QUEUED, full),
            (State.RUNNING, normal), (State.SEALING, normal), (State.COMPLETED, full),
        ):  # fmt: skip
            store.move(job.id, state)
            assert syncing(store) == wanted, state
        store.report(job.id, 1, 1)
        assert syncing(store) == normal
        store.edit(job.id, log="/log")
        assert syncing(store) == full


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)


ADD_FOREVER = """
import sys
from seisproc_core.testing.job_store import RUN_THROUGH, make_job
from seisproc_jobstore.store import SqliteStore
store = SqliteStore(sys.argv[1])
number = 0
while True:
    jobs = [make_job(output=f"/out/{number}-{k}.seis") for k in range(3)]
    store.add(*jobs)
    print(*(f"{job.id}:queued" for job in jobs), flush=True)
    for state in RUN_THROUGH:
        store.move(jobs[0].id, state)
        print(f"{jobs[0].id}:{state}", flush=True)
    number += 1
"""


@pytest.mark.parametrize("delay_s", [0.03, 0.1, 0.2])
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, delay_s: float) -> None:
    path = tmp_path / "jobs.sqlite"
    with start(ADD_FOREVER, str(path)) as child:
        assert child.stdout is not None
        said = [child.stdout.readline()]
        time.sleep(delay_s)
        child.send_signal(signal.SIGKILL)
        said += child.stdout.readlines()
    acknowledged = dict(word.split(":") for line in said if line.endswith("\n") for word in line.split())
    assert len(acknowledged) >= 3
    later = dict(
        zip(("queued", "running", "sealing", "completed"), ("running", "sealing", "completed", ""), strict=True)
    )
    with SqliteStore(path) as store:
        for job_id, state in acknowledged.items():
            assert store.get(job_id).state in (state, later[state])
        assert len(store.find(EVERYTHING)) - len(acknowledged) in (0, 3)


def test_a_reader_is_not_kept_waiting_by_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    with SqliteStore(path) as store:
        job = added(store)
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        assert store.get(job.id) == job and store.unfinished() and store.changes(0)
        assert time.monotonic() - begun < 1
        writer.execute("ROLLBACK")
        writer.close()


def test_watching_without_changes_reads_no_table(tmp_path: Path) -> None:
    """What makes a poll cheap, whatever the machine: the statements that it runs."""
    with SqliteStore(tmp_path / "jobs.sqlite") as store, SqliteStore(tmp_path / "jobs.sqlite") as other:
        job = added(other)
        version = store.changes(0)[-1].version
        said: list[str] = []
        with store._db.reading() as db:
            db.set_trace_callback(said.append)
        assert store.changes(version) == store.changes(version) == []
        assert set(said) == {"PRAGMA data_version"}
        other.move(job.id, State.RUNNING)
        assert [o.state for o in store.changes(version)] == [State.RUNNING]


@pytest.mark.parametrize(
    "query",
    [
        "state IN ('failed') ORDER BY number DESC", "type IN ('flow') ORDER BY number DESC", "created >= 1",
        "version > 1 ORDER BY version", "id = 'a'",
        "output = 'a' AND output <> '' AND state NOT IN ('cancelled', 'completed', 'failed')",
    ],
)  # fmt: skip
def test_searches_use_an_index(tmp_path: Path, query: str) -> None:
    with SqliteStore(tmp_path / "jobs.sqlite") as store:
        plan = " ".join(
            str(row[3]) for row in store.select(f"EXPLAIN QUERY PLAN SELECT number FROM jobs WHERE {query}")
        )
    assert "USING" in plan and "INDEX" in plan and "TEMP B-TREE" not in plan, plan


# -- values

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
TABLE = st.dictionaries(st.text(), JSON, max_size=4)
NAMES = st.text(st.characters(codec=None, categories=None))
JOBS = st.builds(
    make_job,
    name=NAMES,
    type=NAMES,
    config=TABLE | TABLE.map(lambda table: {"steps": table}),
    output=NAMES,
    priority=st.integers(0, 9),
    workers=st.integers(1, 2**40),
    executor=NAMES,
    resources=st.builds(Resources, *[st.integers(0, 2**62)] * 3),
    options=TABLE,
    driver=NAMES,
    attached=st.booleans(),
    log=NAMES,
)


@settings(max_examples=60, deadline=None)
@given(job=JOBS, error=NAMES, result=TABLE | st.none(), usage=TABLE)
def test_any_job_comes_back_equal(
    tmp_path_factory: pytest.TempPathFactory,
    job: Job,
    error: str,
    result: dict[str, object] | None,
    usage: dict[str, object],
) -> None:
    path = tmp_path_factory.mktemp("store") / "jobs.sqlite"
    with SqliteStore(path) as store:
        store.add(job)
        last = store.move(job.id, State.FAILED, error, error=error, result=result, usage=usage)
    with SqliteStore(path) as store:
        assert store.get(job.id) == last == attrs.evolve(
            job, state=State.FAILED, events=last.events, error=error, result=result, usage=usage
        )  # fmt: skip
        assert store.find(EVERYTHING) == [last]


def cycle() -> dict[str, object]:
    loop: dict[str, object] = {}
    loop["again"] = loop
    return {"loop": loop}


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"object": object()}}, {"config": cycle()}, {"options": {"bytes": b"x"}},
        {"config": {"big": "x" * (65 << 20)}}, {"resources": Resources(1, 2**63, 0)},
    ],
    ids=["object", "cycle", "bytes", "big", "number"],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    with SqliteStore(tmp_path / "jobs.sqlite") as store:
        job = added(store)
        with pytest.raises(UsageError) as raised:
            store.add(make_job(**changes))
        assert "\n" not in str(raised.value) and len(str(raised.value)) < 400
        with pytest.raises(UsageError):
            store.edit(job.id, **changes)
        assert store.find(EVERYTHING) == [job]


def test_an_edited_output_is_reserved_too(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "jobs.sqlite") as store:
        job = added(store)
        added(store, output="/a.seis", name="holder")
        with pytest.raises(OutputBusy, match="holder"):
            store.edit(job.id, output="/a.seis")
        assert store.get(job.id) == job


def test_edited_dependencies_are_followed(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "jobs.sqlite") as store:
        one, two = added(store), added(store)
        job = added(store, after=(one.id,))
        store.edit(job.id, after=(two.id,))
        assert (store.children(one.id), store.children(two.id)) == ([], [job.id])


def test_nothing_is_deleted_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    with SqliteStore(path) as store:
        job = added(store, state=State.QUEUED, events=(attrs.evolve(make_job().moved(State.QUEUED).events[0], at=1.0),))
        run_through(store, job.id)
    with SqliteStore(path) as store:
        assert store.get(job.id).created_at == 1.0


def test_default_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEISPROC_STATE_DIR", str(tmp_path / "mine"))
    assert default_path() == tmp_path / "mine" / "jobs.sqlite"
    with SqliteStore() as store:
        assert store.path.stat().st_mode & 0o077 == 0  # configurations are nobody else's business
    monkeypatch.delenv("SEISPROC_STATE_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert default_path() == tmp_path / "state" / "seisproc" / "jobs.sqlite"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_path() == tmp_path / ".local" / "state" / "seisproc" / "jobs.sqlite"


def test_a_relative_path_is_an_address_elsewhere_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with SqliteStore("jobs.sqlite") as store:
        monkeypatch.chdir("/")
        assert os.path.samefile(store.address, tmp_path / "jobs.sqlite")


def test_a_closed_store_says_so_in_one_line(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "jobs.sqlite")
    store.close()
    with pytest.raises(StorageError, match="closed"):
        store.unfinished()


def test_threads_that_wait_together_share_a_flush_and_no_error(tmp_path: Path) -> None:
    """While one thread has the connection others queue; then all that wait are made in one transaction."""
    with SqliteStore(tmp_path / "jobs.sqlite") as store:
        jobs = [added(store, name=str(number)) for number in range(8)]
        said, errors = list[str](), list[type]()

        def cancel(number: int) -> None:
            try:
                store.move(jobs[number].id, State.COMPLETED if number % 4 == 0 else State.CANCELLED)
            except IllegalTransition:
                errors.append(IllegalTransition)

        with store._db.reading() as db:
            db.set_trace_callback(said.append)
            threads = [threading.Thread(target=cancel, args=[number]) for number in range(8)]
            for thread in threads:
                thread.start()
            while len(store._db._wishes) < 8:
                time.sleep(0.001)
        for thread in threads:
            thread.join()
        assert said.count("COMMIT") == 1
        assert len(errors) == 2
        states = {int(job.name): job.state for job in store.find(EVERYTHING)}
        assert states == {n: State.QUEUED if n % 4 == 0 else State.CANCELLED for n in range(8)}
