"""The tables of a job store, and how a store of version 1 becomes one of today."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import attrs

from seisproc_core.errors import OutputExists, StorageError
from seisproc_core.jobs.durable import rename_new, sync_folder
from seisproc_core.jobs.model import Event, Job
from seisproc_core.jobs.states import FINAL, State
from seisproc_jobstore.rows import COLUMNS, BadRow, Row, document_of, mark, row_of

VERSION = 2
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


def migrate(db: sqlite3.Connection, path: Path) -> Path:
    """Turn a store of version 1 into one of today, in a transaction that is open already.

    Returns
    -------
    Path
        The copy of the old file that is kept: ``jobs.sqlite.v1``.
    """
    kept = _keep_copy(path, f"{path}.v1")
    for name in ("jobs_by_state", "jobs_by_type", "one_unfinished_job_per_output"):
        db.execute(f"DROP INDEX IF EXISTS {name}")
    db.execute("ALTER TABLE jobs RENAME TO old_jobs")
    last = db.execute("SELECT coalesce(max(number), 0) FROM old_jobs").fetchone()[0]
    create(db, last, last)
    for row, document in _old_jobs(db):
        db.execute(INSERT, row)
        db.execute(INSERT_DOCUMENT, (row[0], document))
    db.execute("DROP TABLE old_jobs")
    return kept


def _old_jobs(db: sqlite3.Connection) -> Iterator[tuple[Row, str]]:
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
