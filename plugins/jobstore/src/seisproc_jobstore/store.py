"""The job store in one SQLite file (write-ahead log, every commit flushed to the disk)."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from seisproc_core.errors import DiskFull, OutputBusy, StorageError, UsageError
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.states import FINAL, State
from seisproc_core.jobs.store import the_one
from seisproc_core.places import state_folder

VERSION = 1
_TIMEOUT_S = 5.0
_UNFINISHED = f"output <> '' AND state NOT IN ({', '.join(repr(str(state)) for state in sorted(FINAL))})"
# The document is the whole job; the columns beside it are what is searched, and the progress, which changes often.
_SCHEMA = (
    """CREATE TABLE jobs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        type TEXT NOT NULL,
        state TEXT NOT NULL,
        output TEXT NOT NULL,
        created REAL NOT NULL,
        done INTEGER NOT NULL,
        total INTEGER NOT NULL,
        document TEXT NOT NULL
    )""",
    "CREATE INDEX jobs_by_state ON jobs (state)",
    "CREATE INDEX jobs_by_type ON jobs (type, created)",
    f"CREATE UNIQUE INDEX one_unfinished_job_per_output ON jobs (output) WHERE {_UNFINISHED}",
    f"PRAGMA user_version = {VERSION}",
)
_JOB = "SELECT document, done, total FROM jobs"


def default_path() -> Path:
    """``jobs.sqlite`` in the user's state folder."""
    return state_folder() / "jobs.sqlite"


class SqliteStore:
    """Keeps jobs in one file; see `seisproc_core.jobs.store.JobStore`.

    Any number of threads and processes of one machine may use the same file. `add` and `move` are on the disk when they
    return; `report` survives the process, but perhaps not a power cut. The file must lie on a local disk, because the
    write-ahead log needs memory that its users share.

    Parameters
    ----------
    path
        The file, made when it is not there; `default_path` when left out.

    Raises
    ------
    StorageError
        The file cannot be made or read, is damaged, is no job store, or was written by a newer version.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = Path(path) if path is not None else default_path()
        self._lock = threading.Lock()
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise StorageError.from_os(error, "cannot open the job store") from error
        with self._explained():
            self._db = sqlite3.connect(self.path, timeout=_TIMEOUT_S, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def _prepare(self) -> None:
        version = self._version()
        if version > VERSION:
            raise StorageError(
                f"the job store {self.path} was written by a newer seisproc (format {version}, this one knows "
                f"{VERSION}): update seisproc, or set SEISPROC_STATE_DIR to another folder"
            )
        self._use_write_ahead_log()
        self._db.execute("PRAGMA synchronous = FULL")
        if version == 0:
            with self._transaction() as db:
                if self._version() == 0:  # else another process was faster
                    if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                        raise StorageError(f"{self.path} is a database, but no job store: name another file")
                    for statement in _SCHEMA:
                        db.execute(statement)

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    def _use_write_ahead_log(self) -> None:
        # Changing the mode does not wait for other processes that do the same, whatever the timeout.
        deadline = time.monotonic() + _TIMEOUT_S
        while True:
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    # -- the protocol

    def add(self, job: Job) -> None:
        """Keep a new job, durably. `OutputBusy` when an unfinished job has the same output."""
        created = job.events[0].at if job.events else time.time()
        with self._writing() as db:
            other = self._holder(job.output)
            if other is not None and not job.finished:
                raise OutputBusy(f"{job.output} belongs to job {other.id} ({other.name}), which is {other.state}")
            if db.execute("SELECT 1 FROM jobs WHERE id = ?", (job.id,)).fetchone():
                raise UsageError(f"there is a job {job.id} already")
            db.execute(
                "INSERT INTO jobs (id, type, state, output, created, done, total, document) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    job.id,
                    _text(job.type),
                    str(job.state),
                    _text(job.output),
                    created,
                    job.done,
                    job.total,
                    json.dumps(job.to_json()),
                ),
            )

    def get(self, job_id: str) -> Job:
        """The job; an unambiguous beginning of its id will do. `UsageError` when there is none."""
        with self._locked() as db:
            return self._job(db.execute(f"{_JOB} WHERE id = ?", (self._id(job_id),)).fetchone())

    def list(self, *, limit: int = 50) -> list[Job]:
        """The newest jobs first, in the order in which they were added."""
        with self._locked() as db:
            rows = db.execute(f"{_JOB} ORDER BY number DESC LIMIT ?", (limit,)).fetchall()
            return [self._job(row) for row in rows]

    def move(self, job_id: str, state: State, reason: str = "", **changes: Any) -> Job:
        """Make a transition, durably. `IllegalTransition` if the state that it has by now has no such edge."""
        with self._writing() as db:
            job_id = self._id(job_id)
            job = self._job(db.execute(f"{_JOB} WHERE id = ?", (job_id,)).fetchone()).moved(state, reason, **changes)
            db.execute(
                "UPDATE jobs SET state = ?, output = ?, done = ?, total = ?, document = ? WHERE id = ?",
                (str(job.state), _text(job.output), job.done, job.total, json.dumps(job.to_json()), job_id),
            )
        return job

    def report(self, job_id: str, done: int, total: int) -> None:
        """Note progress. Does not wait for the disk."""
        with self._locked() as db:
            job_id = self._id(job_id)
            db.execute("PRAGMA synchronous = NORMAL")
            try:
                db.execute("UPDATE jobs SET done = ?, total = ? WHERE id = ?", (done, total, job_id))
            finally:
                db.execute("PRAGMA synchronous = FULL")

    def holder(self, output: str) -> Job | None:
        """The job that is not finished and has this output, if there is one."""
        with self._locked():
            return self._holder(output)

    def close(self) -> None:
        """Close the file; the store is of no use afterwards."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> SqliteStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- inside, with the lock held

    def _id(self, beginning: str) -> str:
        # Ids are hexadecimal, so every id that begins so sorts before the beginning followed by "g".
        found = self._db.execute(
            "SELECT id FROM jobs WHERE id >= ? AND id < ?", (_text(beginning), _text(beginning) + "g")
        )
        return the_one(beginning, [row[0] for row in found])

    def _holder(self, output: str) -> Job | None:
        row = self._db.execute(f"{_JOB} WHERE output = ? AND {_UNFINISHED}", (_text(output),)).fetchone()
        return None if row is None else self._job(row)

    def _job(self, row: tuple[str, int, int]) -> Job:
        document, done, total = row
        try:
            return Job.from_json(json.loads(document) | {"done": done, "total": total})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise StorageError(
                f"the job store {self.path} holds a job that cannot be read ({error!r}){_ADVICE}"
            ) from error

    @contextlib.contextmanager
    def _locked(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._explained():
            yield self._db

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._explained(), self._transaction() as db:
            yield db

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        # "Immediate": take the write lock before reading, so that what was read still holds when it is written.
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _for_people(error, self.path) from error


_ADVICE = "; move the file away to begin a new one (unfinished outputs can still be resumed by their path)"


def _text(name: str) -> str:
    """A name as SQLite can hold it: file names that are not UTF-8 reach Python as lone surrogates."""
    return name.encode("utf-8", "backslashreplace").decode()


def _for_people(error: sqlite3.Error, path: Path) -> StorageError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the extension bits
    if code == sqlite3.SQLITE_FULL:
        return DiskFull(f"the job store {path} cannot be written: the disk is full; free some space and try again")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageError(f"the job store {path} was in use by another process for {_TIMEOUT_S:g} s; try again")
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return StorageError(f"the job store {path} is damaged ({error}){_ADVICE}")
    made = StorageError(f"the job store {path}: {error}")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        made.exit_code = 77
    return made
