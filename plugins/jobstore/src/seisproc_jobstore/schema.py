"""The tables of a job store, and how one of an older version becomes one of today."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

import attrs

from seisproc_core.errors import OutputExists, StorageError
from seisproc_core.jobs.durable import rename_new, sync_folder
from seisproc_core.jobs.model import Event, Job
from seisproc_core.jobs.states import FINAL, State
from seisproc_jobstore.rows import COLUMNS, BadRow, Row, document_of, mark, row_of

VERSION = 3
OLD = (1, 2)  # versions that are updated
ENDED = f"({', '.join(repr(state.value) for state in sorted(FINAL))})"
OPEN = f"({', '.join(repr(state.value) for state in State if state not in FINAL)})"
# Narrow rows and documents apart: searching, counting and outlining read no document.
SCHEMA = (
    """CREATE TABLE jobs (
        number INTEGER PRIMARY KEY,
        version INTEGER NOT NULL UNIQUE,
        id TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL,
        priority INTEGER NOT NULL,
        cpus INTEGER NOT NULL,
        memory INTEGER NOT NULL,
        gpus INTEGER NOT NULL,
        parents TEXT NOT NULL,
        driver TEXT NOT NULL,
        attached INTEGER NOT NULL,
        outline_mark INTEGER NOT NULL,
        done INTEGER NOT NULL,
        total INTEGER NOT NULL,
        progress_mark INTEGER NOT NULL,
        name TEXT NOT NULL,
        type TEXT NOT NULL,
        output TEXT NOT NULL,
        error TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        part_of TEXT NOT NULL,
        created REAL NOT NULL,
        started REAL,
        ended REAL,
        seconds REAL,
        cpu_s REAL,
        peak_memory REAL,
        traces REAL,
        steps TEXT NOT NULL,
        words TEXT NOT NULL,
        mark INTEGER NOT NULL
    )""",
    "CREATE TABLE documents (number INTEGER PRIMARY KEY, document TEXT NOT NULL)",
    "CREATE TABLE dependencies (parent TEXT, child TEXT, PRIMARY KEY (parent, child)) WITHOUT ROWID",
    "CREATE TABLE store (number INTEGER NOT NULL, version INTEGER NOT NULL, leader TEXT NOT NULL, mark INTEGER)",
    "CREATE INDEX jobs_by_state ON jobs (state)",
    "CREATE INDEX jobs_by_type ON jobs (type)",
    "CREATE INDEX jobs_by_time ON jobs (created)",
    "CREATE INDEX jobs_by_group ON jobs (part_of) WHERE part_of <> ''",
    f"CREATE UNIQUE INDEX one_open_job_per_output ON jobs (output) WHERE output <> '' AND state NOT IN {ENDED}",
)
INSERT = f"INSERT INTO jobs VALUES ({', '.join('?' * len(COLUMNS))})"
INSERT_DOCUMENT = "INSERT INTO documents VALUES (?, ?)"
INSERT_DEPENDENCY = "INSERT OR IGNORE INTO dependencies VALUES (?, ?)"


def version_of(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def create(db: sqlite3.Connection, number: int = 0, version: int = 0) -> None:
    """Make the tables; no job gets a number up to `number`, or a version up to `version`."""
    for statement in SCHEMA:
        db.execute(statement)
    values = (number, version, "")
    db.execute("INSERT INTO store VALUES (?, ?, ?, ?)", (*values, mark(values)))
    db.execute(f"PRAGMA user_version = {VERSION}")


def check_schema(db: sqlite3.Connection) -> None:
    """`BadRow` unless the tables are those of this version: rules that hold in them are not what a file may choose."""
    made = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'sqlite_sequence'"  # of version 1
    found = {sql for (sql,) in db.execute(made)}
    if found != set(SCHEMA):
        raise BadRow("its tables are not those of a job store")


def check_whole(db: sqlite3.Connection) -> None:
    """Read the whole file; `BadRow` when its structure is damaged, or an index or a dependency is missing."""
    (found,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise BadRow(" ".join(str(found).split()))
    wanted = "SELECT json_each.value, jobs.id FROM jobs, json_each(parents) WHERE parents <> ''"
    if db.execute(f"{wanted} EXCEPT SELECT parent, child FROM dependencies").fetchone():
        raise BadRow("a dependency is missing")


def migrate(db: sqlite3.Connection, path: Path, version: int) -> Path:
    """Turn a store of an older version into one of today, in a transaction that is open already.

    Returns
    -------
    Path
        The copy of the old file that is kept: ``jobs.sqlite.v1`` or ``jobs.sqlite.v2``.
    """
    kept = _keep_copy(path, f"{path}.v{version}")
    indexes = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'jobs' AND sql IS NOT NULL"
    for (name,) in db.execute(indexes).fetchall():
        quoted = name.replace('"', '""')
        db.execute(f'DROP INDEX "{quoted}"')
    db.execute("ALTER TABLE jobs RENAME TO old_jobs")
    (_from_1 if version == 1 else _from_2)(db)
    db.execute("DROP TABLE old_jobs")
    db.execute(f"PRAGMA user_version = {VERSION}")
    return kept


def _from_1(db: sqlite3.Connection) -> None:
    last = db.execute("SELECT coalesce(max(number), 0) FROM old_jobs").fetchone()[0]
    create(db, last, last)
    for row, document in _jobs_of_1(db):
        db.execute(INSERT, row)
        db.execute(INSERT_DOCUMENT, (row[0], document))


def _jobs_of_1(db: sqlite3.Connection) -> Iterator[tuple[Row, str]]:
    rows = db.execute("SELECT number, document, done, total, created FROM old_jobs ORDER BY number")
    for number, old, done, total, created in rows:
        try:
            plain = json.loads(old)
            events = tuple(Event(**{**event, "state": State(event["state"])}) for event in plain.pop("events"))
            plain |= {"state": State(plain["state"]), "done": done, "total": total}
            job = Job(**plain, events=events)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise BadRow(f"job number {number} of format 1 cannot be read: {error!r:.200}") from error
        if job.state is State.CREATED:  # what version 1 kept before it was queued
            job = attrs.evolve(job, state=State.QUEUED, events=(Event(0, State.QUEUED, created),))
        document = document_of(job, job.events)
        yield row_of(job, job.state, job.events, document, number, number), document


def _from_2(db: sqlite3.Connection) -> None:
    """Version 2 knew no groups; its other tables are those of today."""
    for statement in SCHEMA:
        if " ON jobs " in statement or "TABLE jobs " in statement:
            db.execute(statement)
    before = [name for name in COLUMNS if name != "part_of"]
    rows = db.execute(f"SELECT {', '.join(before)}, document FROM old_jobs LEFT JOIN documents USING (number)")
    db.executemany(INSERT, (_row_of_2(row[:-1], row[-1]) for row in rows))


def _row_of_2(row: Row, document: str | None) -> Row:
    """A row of version 2 as one of today, its checksum compared and made again."""
    first, split = COLUMNS.index("name"), COLUMNS.index("part_of")
    if document is None or zlib.crc32(document.encode(), mark(row[first:-1])) != row[-1]:
        raise BadRow(f"job {row[COLUMNS.index('id')]} of format 2 does not match its checksum")
    rest = (*row[first:split], "", *row[split:-1])
    return (*row[:first], *rest, zlib.crc32(document.encode(), mark(rest)))


def _keep_copy(path: Path, name: str) -> Path:
    """A copy of the database under a name that is free, whole and on the disk."""
    temporary = Path(f"{name}.{os.getpid()}.tmp")
    try:
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            old, new = contextlib.closing(sqlite3.connect(path)), contextlib.closing(sqlite3.connect(temporary))
            with old as source, new as target:
                source.backup(target)
            os.fsync(handle)
        finally:
            os.close(handle)
        for number in itertools.count(1):
            kept = Path(name if number == 1 else f"{name}.{number}")
            with contextlib.suppress(OutputExists):
                rename_new(temporary, kept)
                sync_folder(path.parent)
                return kept
        raise AssertionError("numbers do not end")
    except OSError as error:
        raise StorageError.from_os(error, "cannot keep a copy of the job store before updating it") from error
    finally:
        temporary.unlink(missing_ok=True)
