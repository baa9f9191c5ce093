"""The SQLite store: the contract of all stores, then what only a durable one that processes share must do."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core.errors import OutputBusy, StorageError
from seisproc_core.jobs.states import State
from seisproc_core.jobs.store import JobStore, MemoryStore
from seisproc_core.testing.job_store import JobStoreSuite, make_job
from seisproc_jobstore.store import VERSION, SqliteStore, default_path


class TestMemoryStore(JobStoreSuite):
    def make_store(self, folder: Path) -> JobStore:
        return MemoryStore()


class TestSqliteStore(JobStoreSuite):
    def make_store(self, folder: Path) -> JobStore:
        return SqliteStore(folder / "jobs.sqlite")


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)


ADD_FOREVER = """
import sys
from seisproc_core.jobs.states import State
from seisproc_core.testing.job_store import make_job
from seisproc_jobstore.store import SqliteStore
store = SqliteStore(sys.argv[1])
while True:
    job = make_job(output=f"/out/{len(store.list(limit=10**6))}.seis")
    store.add(job)
    print("added", job.id, flush=True)
    store.move(job.id, State.QUEUED)
    print("queued", job.id, flush=True)
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
    acknowledged = [line.split() for line in said if line.endswith("\n")]
    assert len(acknowledged) > 2
    with SqliteStore(path) as store:
        for word, job_id in acknowledged:
            assert word == "added" or store.get(job_id).state is State.QUEUED
        assert len(store.list(limit=10**6)) - len({job_id for _, job_id in acknowledged}) in (0, 1)


RACE = """
import sys
from seisproc_core.errors import OutputBusy
from seisproc_core.testing.job_store import make_job
from seisproc_jobstore.store import SqliteStore
store = SqliteStore(sys.argv[1])
for number in range(20):
    store.add(make_job(name=f"{sys.argv[2]}-{number}"))
    try:
        store.add(make_job(output=f"/out/{number}.seis"))
        print(number)
    except OutputBusy:
        pass
"""


def test_processes_share_a_store_from_its_creation_on(tmp_path: Path) -> None:
    path = tmp_path / "new" / "jobs.sqlite"
    children = [start(RACE, str(path), str(number)) for number in range(4)]
    won: list[str] = []
    for child in children:
        out, _ = child.communicate(timeout=60)
        assert child.returncode == 0
        won += out.split()
    assert sorted(map(int, won)) == list(range(20))  # every output has one owner
    with SqliteStore(path) as store:
        jobs = store.list(limit=1000)
    assert len(jobs) == 4 * 20 + 20
    for number in range(4):  # nobody's jobs changed places
        mine = [job.name for job in reversed(jobs) if job.name.startswith(f"{number}-")]
        assert mine == [f"{number}-{k}" for k in range(20)]


def test_the_second_store_sees_what_the_first_one_did(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    with SqliteStore(path) as one, SqliteStore(path) as two:
        job = make_job(output="/out.seis")
        one.add(job)
        two.move(job.id, State.QUEUED)
        one.report(job.id, 1, 2)
        assert two.get(job.id).done == 1
        with pytest.raises(OutputBusy):
            two.add(make_job(output="/out.seis"))


def test_a_reader_is_not_kept_waiting_by_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    with SqliteStore(path) as store:
        job = make_job()
        store.add(job)
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        assert store.get(job.id) == job
        assert time.monotonic() - begun < 1
        writer.execute("ROLLBACK")
        writer.close()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=50, deadline=None)
@given(name=st.text(st.characters(codec="utf-8")), config=st.dictionaries(st.text(), JSON, max_size=4), error=st.text())
def test_any_job_comes_back_equal(
    tmp_path_factory: pytest.TempPathFactory, name: str, config: dict[str, object], error: str
) -> None:
    path = tmp_path_factory.mktemp("store") / "jobs.sqlite"
    job = make_job(name=name, config=config)
    with SqliteStore(path) as store:
        store.add(job)
        store.move(job.id, State.FAILED, error, error=error, result=config)
    with SqliteStore(path) as store:
        found = store.get(job.id)
    assert (found.name, found.config, found.result, found.error) == (name, config, config, error)
    assert found.events[0].reason == error


# -- files that are no store, and places where none can be


def one_line(raised: pytest.ExceptionInfo[StorageError], path: Path) -> str:
    message = str(raised.value)
    assert "\n" not in message and str(path) in message
    return message


@pytest.mark.parametrize("content", [b"this is no database at all, but a text of some length\n" * 40, b"\0" * 5000])
def test_a_foreign_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "jobs.sqlite"
    path.write_bytes(content)
    with pytest.raises(StorageError) as raised:
        SqliteStore(path)
    assert "damaged" in one_line(raised, path)
    assert path.read_bytes() == content


def test_damage_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    with SqliteStore(path) as store:
        for _ in range(200):
            store.add(make_job())
    content = bytearray(path.read_bytes())
    for page in range(4096, len(content), 4096):
        content[page : page + 200] = os.urandom(200)
    path.write_bytes(content)
    with pytest.raises(StorageError) as raised, SqliteStore(path) as store:
        store.list(limit=1000)
    assert "damaged" in one_line(raised, path)


def test_a_job_that_is_no_job_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    job = make_job()
    with SqliteStore(path) as store:
        store.add(job)
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("UPDATE jobs SET document = ?", (json.dumps({"state": "asleep"}),))
    database.close()
    with pytest.raises(StorageError) as raised, SqliteStore(path) as store:
        store.get(job.id)
    one_line(raised, path)


def test_a_newer_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    SqliteStore(path).close()
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(f"PRAGMA user_version = {VERSION + 1}")
    database.close()
    before = path.read_bytes()
    with pytest.raises(StorageError) as raised:
        SqliteStore(path)
    assert "newer" in one_line(raised, path)
    assert path.read_bytes() == before


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("CREATE TABLE recipes (name)")
    database.close()
    with pytest.raises(StorageError) as raised:
        SqliteStore(path)
    assert "no job store" in one_line(raised, path)


def test_a_place_that_is_no_folder_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as raised:
        SqliteStore(tmp_path / "file" / "jobs.sqlite")
    one_line(raised, tmp_path / "file")


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
