"""Job stores that are old, new, foreign, hostile or damaged."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from seisproc_core.errors import StorageError
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.states import State
from seisproc_core.jobs.store import Outline, Query
from seisproc_core.testing.job_store import EVERYTHING, added, run_through
from seisproc_jobstore import store as module
from seisproc_jobstore.rows import COLUMNS, mark
from seisproc_jobstore.schema import SCHEMA, VERSION
from seisproc_jobstore.store import SqliteStore


def one_line(raised: pytest.ExceptionInfo[StorageError], path: Path) -> str:
    message = str(raised.value)
    assert "\n" not in message and str(path) in message and len(message) < 700
    return message


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# -- version 1

OLD_SCHEMA = """
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, state TEXT NOT NULL,
    output TEXT NOT NULL, created REAL NOT NULL, done INTEGER NOT NULL, total INTEGER NOT NULL, document TEXT NOT NULL
);
CREATE INDEX jobs_by_state ON jobs (state);
CREATE INDEX jobs_by_type ON jobs (type, created);
CREATE UNIQUE INDEX one_unfinished_job_per_output ON jobs (output)
    WHERE output <> '' AND state NOT IN ('cancelled', 'completed', 'failed');
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
"""


def old_job(number: int, *states: str) -> dict[str, object]:
    events = [{"sequence": k, "state": state, "at": 100.0 * number + k, "reason": ""} for k, state in enumerate(states)]
    return {
        "id": f"{number:012x}", "name": f"{number}.toml", "type": "flow", "config": {"steps": [{"use": "agc"}]},
        "output": f"/out/{number}.seis", "priority": 5, "workers": 4, "threads": 1, "executor": "processes",
        "state": states[-1] if states else "created", "events": events, "done": 0, "total": 0,
        "result": {"traces": 5} if states else None, "error": "", "log": "",
    }  # fmt: skip


def old_store(path: Path) -> list[dict[str, object]]:
    """A store as version 1 left it: a completed job, a running one, one that was kept before it was queued."""
    jobs = [old_job(1, "queued", "running", "sealing", "completed"), old_job(2, "queued", "running"), old_job(3)]
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript(OLD_SCHEMA)
    for job in jobs:
        values = (job["id"], job["type"], job["state"], job["output"], 77.0, 3, 9, json.dumps(job))
        database.execute(
            "INSERT INTO jobs (id, type, state, output, created, done, total, document) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        )
    database.close()
    return jobs


def check_migrated(store: SqliteStore) -> None:
    three, two, one = store.find(EVERYTHING)
    assert [job.state for job in (one, two, three)] == [State.COMPLETED, State.RUNNING, State.QUEUED]
    assert (one.name, one.workers, one.executor, one.result) == ("1.toml", 4, "processes", {"traces": 5})
    assert [event.at for event in one.events] == [100.0, 101.0, 102.0, 103.0]
    assert (two.done, two.total, three.created_at) == (3, 9, 77.0)
    assert [o.id for o in store.unfinished()] == [two.id, three.id]
    assert store.holder("/out/2.seis") == two and store.holder("/out/1.seis") is None
    assert store.find(Query(text="1.TOML")) == [one]


def test_an_old_store_is_updated_and_a_copy_kept(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    jobs = old_store(path)
    with SqliteStore(path) as store:
        check_migrated(store)
        newest = added(store)
        assert store.find(Query(limit=1)) == [newest]
        assert [o.number for o in store.changes(0)] == [1, 2, 3, 4]
    with SqliteStore(path) as store:
        assert len(store.find(EVERYTHING)) == 4
    assert files(tmp_path) == ["jobs.sqlite", "jobs.sqlite.v1"]
    kept = tmp_path / "jobs.sqlite.v1"
    assert kept.stat().st_mode & 0o077 == 0
    database = sqlite3.connect(kept)
    assert [json.loads(row[0]) for row in database.execute("SELECT document FROM jobs ORDER BY number")] == jobs
    assert database.execute("PRAGMA user_version").fetchone() == (1,)
    database.close()


def test_a_store_without_groups_is_updated(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    with SqliteStore(path) as store:
        parent = added(store, name="naïve", output="/out/1.seis")
        child = added(store, after=(parent.id,), output="/out/2.seis", config={"steps": [{"use": "agc"}]})
        run_through(store, added(store, error="so").id)
        before, outlines = store.find(EVERYTHING), store.unfinished()
    as_version_2(path)
    with SqliteStore(path) as store:
        assert store.find(EVERYTHING) == before and store.unfinished() == outlines
        assert store.children(parent.id) == [child.id] and store.holder("/out/2.seis") == child
        assert store.find(Query(part_of="a")) == []
    assert files(tmp_path) == ["jobs.sqlite", "jobs.sqlite.v2"]


def test_a_damaged_store_without_groups_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    with SqliteStore(path) as store:
        added(store)
    as_version_2(path)
    changed(path, "UPDATE jobs SET name = 'other'")
    with pytest.raises(StorageError, match="format 2 does not match its checksum") as raised:
        SqliteStore(path)
    one_line(raised, path)
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA user_version").fetchone() == (2,)
    database.close()


def as_version_2(path: Path) -> None:
    """Take a store of today back to what it was before there were groups."""
    database = sqlite3.connect(path, isolation_level=None)
    first = COLUMNS.index("name")
    split = COLUMNS.index("part_of")
    rows = database.execute(f"SELECT {', '.join(COLUMNS)}, document FROM jobs JOIN documents USING (number)").fetchall()
    database.execute("DROP TABLE jobs")
    for sql in SCHEMA:
        if ("TABLE jobs " in sql or " ON jobs " in sql) and "jobs_by_group" not in sql:
            database.execute(sql.replace("        part_of TEXT NOT NULL,\n", ""))
    for *row, document in rows:
        rest = (*row[first:split], *row[split + 1 : -1])
        old = (*row[:first], *rest, zlib.crc32(document.encode(), mark(rest)))
        database.execute(f"INSERT INTO jobs VALUES ({', '.join('?' * len(old))})", old)
    database.execute("PRAGMA user_version = 2")
    database.close()


def test_a_copy_that_is_there_stays(tmp_path: Path) -> None:
    old_store(tmp_path / "jobs.sqlite")
    (tmp_path / "jobs.sqlite.v1").write_bytes(b"mine")
    SqliteStore(tmp_path / "jobs.sqlite").close()
    assert (tmp_path / "jobs.sqlite.v1").read_bytes() == b"mine"
    assert files(tmp_path) == ["jobs.sqlite", "jobs.sqlite.v1", "jobs.sqlite.v1.2"]


OPEN = "import sys; from seisproc_jobstore.store import SqliteStore; SqliteStore(sys.argv[1]).close()"


def test_processes_that_meet_an_old_store_update_it_once(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    old_store(path)
    children = [subprocess.Popen([sys.executable, "-c", OPEN, str(path)]) for _ in range(4)]
    assert [child.wait(60) for child in children] == [0, 0, 0, 0]
    with SqliteStore(path) as store:
        check_migrated(store)
    assert files(tmp_path) == ["jobs.sqlite", "jobs.sqlite.v1"]


def test_a_second_connection_leaves_the_first_its_locks(tmp_path: Path) -> None:
    """Without them, another process that closes the store takes its log down beneath the first."""
    path = tmp_path / "jobs.sqlite"
    with SqliteStore(path) as store:
        jobs = [added(store, name="first")]
        SqliteStore(path).close()
        subprocess.run([sys.executable, "-c", OPEN, str(path)], check=True, timeout=60)
        assert (tmp_path / "jobs.sqlite-wal").exists()
        jobs.append(added(store, name="second"))
    with SqliteStore(path) as store:
        assert [store.get(job.id) for job in jobs] == jobs


def test_an_old_store_that_cannot_be_updated_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    old_store(path)
    database = sqlite3.connect(path, isolation_level=None)
    database.execute('UPDATE jobs SET document = \'{"state": "asleep"}\' WHERE number = 2')
    before = list(database.iterdump())
    with pytest.raises(StorageError) as raised:
        SqliteStore(path)
    assert "number 2" in one_line(raised, path)
    assert list(database.iterdump()) == before
    database.close()


# -- no stores


@pytest.mark.parametrize("content", [b"this is no database at all, but a text of some length\n" * 40, b"\0" * 5000])
def test_a_foreign_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "jobs.sqlite"
    path.write_bytes(content)
    with pytest.raises(StorageError) as raised:
        SqliteStore(path)
    assert "damaged" in one_line(raised, path)
    assert path.read_bytes() == content


def changed(path: Path, sql: str, *values: object) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(sql, values)
    database.close()


def test_a_newer_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    SqliteStore(path).close()
    changed(path, f"PRAGMA user_version = {VERSION + 1}")
    before = path.read_bytes()
    with pytest.raises(StorageError) as raised:
        SqliteStore(path)
    assert "newer" in one_line(raised, path)
    assert path.read_bytes() == before


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    changed(path, "CREATE TABLE recipes (name)")
    with pytest.raises(StorageError) as raised:
        SqliteStore(path)
    assert "no job store" in one_line(raised, path)


def test_a_place_that_is_no_folder_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as raised:
        SqliteStore(tmp_path / "file" / "jobs.sqlite")
    one_line(raised, tmp_path / "file")


@pytest.mark.parametrize(
    "rule",
    [
        "CREATE TRIGGER t AFTER UPDATE ON jobs BEGIN UPDATE jobs SET output = '/etc/passwd'; END",
        "CREATE VIEW v AS SELECT 1",
        "DROP INDEX one_open_job_per_output",
    ],
)
def test_a_store_with_rules_of_its_own_is_refused(tmp_path: Path, rule: str) -> None:
    path = tmp_path / "jobs.sqlite"
    SqliteStore(path).close()
    changed(path, rule)
    with pytest.raises(StorageError) as raised:
        SqliteStore(path)
    assert "not those of a job store" in one_line(raised, path)


# -- hostile documents


def planted(path: Path, document: str) -> str:
    """A store with a job whose document is this, its checksum right."""
    with SqliteStore(path) as store:
        job_id = added(store).id
    database = sqlite3.connect(path, isolation_level=None)
    names = [row[1] for row in database.execute("PRAGMA table_info(jobs)")]
    row = database.execute("SELECT * FROM jobs").fetchone()
    rest = mark(row[names.index("name") : -1])
    database.execute("UPDATE jobs SET mark = ?", (zlib.crc32(document.encode(), rest),))
    database.execute("UPDATE documents SET document = ?", (document,))
    database.close()
    return job_id


@pytest.mark.parametrize(
    "document",
    [
        "", "[]", "null", '{"events": []}', '{"config": {}}', '{"config": {}, "events": [[0, "asleep", 1.0, ""]]}',
        '{"config": {}, "events": [[0, "queued", 1.0, "", 5]]}', '{"config": {}, "events": 7}',
        '{"events": {}, "x": 1}',
        '{"config": {}, "events": [], "workers": "four"}', '{"config": {}, "events": [], "id": 5}',
        '{"config": {}, "events": [], "unknown": 5}', '{"config": {}, "events": [], "__class__": "os.system"}',
        "[" * 100_000, '{"config": ' + '{"a":' * 50_000 + "1" + "}" * 50_000 + ', "events": []}',
    ],
    ids=range(15),
)  # fmt: skip
def test_a_document_that_is_no_job_is_told_in_one_line(tmp_path: Path, document: str) -> None:
    path = tmp_path / "jobs.sqlite"
    job_id = planted(path, document)
    with SqliteStore(path) as store:
        for read in (
            lambda: store.get(job_id),
            lambda: store.find(EVERYTHING),
            lambda: store.move(job_id, State.RUNNING),
        ):
            with pytest.raises(StorageError) as raised:
                read()
            one_line(raised, path)


def test_a_planted_document_that_is_one_is_read(tmp_path: Path) -> None:
    """So the refusals above are about the documents."""
    path = tmp_path / "jobs.sqlite"
    job_id = planted(path, '{"config": {"a": 1}, "events": [[0, "queued", 1.0, ""]], "workers": 3}')
    with SqliteStore(path) as store:
        assert (store.get(job_id).config, store.get(job_id).workers) == ({"a": 1}, 3)


@pytest.mark.parametrize("column", ["priority", "state", "driver", "done", "name", "seconds", "words", "steps"])
def test_a_value_that_was_not_written_is_found(tmp_path: Path, column: str) -> None:
    path = tmp_path / "jobs.sqlite"
    with SqliteStore(path) as store:
        job = added(store)
    changed(path, f"UPDATE jobs SET {column} = coalesce({column}, '') || '1'")
    with SqliteStore(path) as store, pytest.raises(StorageError) as raised:
        store.get(job.id)
    assert "checksum" in one_line(raised, path)


# -- damage


def filled(path: Path, count: int = 40) -> None:
    with SqliteStore(path) as store:
        parent = added(store)
        for number in range(count):
            job = added(store, name=f"flow {number}", output=f"/out/{number}.seis", after=(parent.id,), attached=False)
            if number % 3 == 0:
                run_through(store, job.id)
            elif number % 3 == 1:
                store.report(job.id, number, 2 * number)
        store.lead("host:boot:1:2")


Told = tuple[list[Job], list[Outline], list[Outline], list[Job], list[list[str]], list[Job | None]]


def told(path: Path) -> Told:
    """All that a store tells."""
    with SqliteStore(path) as store:
        store.lead("host:boot:1:2")
        jobs = store.find(EVERYTHING)
        return (
            jobs,
            store.unfinished(),
            store.changes(0),
            store.find(Query(states=frozenset({State.COMPLETED}), text="FLOW", types=frozenset({"flow"}), since=1.0)),
            [store.children(job.id) for job in jobs],
            [store.holder(job.output) for job in jobs] + [store.get(job.id) for job in jobs],
        )


def mutated(content: bytes, chance: random.Random) -> bytes:
    """The content with a flipped bit, bytes overwritten, zeroed, swapped or cut off."""
    data = bytearray(content)
    at = chance.randrange(len(data))
    length = chance.choice([1, 2, 16, 512, 4096])
    kind = chance.choice(["flip", "flip", "flip", "noise", "zero", "cut", "copy", "insert"])
    if kind == "flip":
        data[at] ^= 1 << chance.randrange(8)
    elif kind == "noise":
        data[at : at + length] = chance.randbytes(len(data[at : at + length]))
    elif kind == "zero":
        data[at : at + length] = bytes(len(data[at : at + length]))
    elif kind == "cut":
        del data[at:]
    elif kind == "copy":
        source = chance.randrange(0, len(data), 4096)
        target = chance.randrange(0, len(data), 4096)
        data[target : target + 4096] = data[source : source + 4096]
    else:
        data[at:at] = chance.randbytes(length)
    return bytes(data)


def survives(path: Path, content: bytes, right: Told) -> bool:
    """Whether a store with this content tells what is right; False when it is refused in one line."""
    for left in path.parent.iterdir():
        left.unlink()
    path.write_bytes(content)
    try:
        found = told(path)
    except StorageError as error:
        assert "\n" not in str(error) and str(path) in str(error) and len(str(error)) < 700
        return False
    assert found == right
    return True


MUTATIONS = int(os.environ.get("SEISPROC_MUTATIONS", "60"))


def test_a_damaged_store_tells_what_is_right_or_refuses(tmp_path: Path) -> None:
    """``SEISPROC_MUTATIONS=1000`` makes a longer search of it."""
    (tmp_path / "x").mkdir()
    path = tmp_path / "x" / "jobs.sqlite"
    filled(path)
    content, right, chance = path.read_bytes(), told(path), random.Random(2)
    outcomes = [survives(path, mutated(content, chance), right) for _ in range(MUTATIONS)]
    assert True in outcomes and False in outcomes
    assert survives(path, content, right)


def test_large_stores_are_checked_by_whoever_begins_to_lead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "jobs.sqlite"
    filled(path)
    content = path.read_bytes()
    leaf_of_an_index, size = 10, 4096
    pages = (content[k : k + size] for k in range(0, len(content), size))
    page = next(page for page in pages if page[0] == leaf_of_an_index and b"/out/7.seis" in page)
    path.write_bytes(content.replace(page, page.replace(b"/out/7.seis", b"/out/7.SEIS")))
    monkeypatch.setattr(module, "CHECKED_WHEN_OPENED", 0)
    with SqliteStore(path) as store:
        assert store.holder("/out/7.seis") is None  # what the damage would lead to
        with pytest.raises(StorageError, match="damaged"):
            store.lead("host:boot:1:2")
    path.write_bytes(content)
    with SqliteStore(path) as store:
        assert store.holder("/out/7.seis") is not None and store.lead("host:boot:1:2")
