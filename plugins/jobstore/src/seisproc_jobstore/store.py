"""The job store in one SQLite file."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any

import attrs

from seisproc_core.errors import IllegalTransition, OutputBusy, SeisprocError, StorageError, UsageError
from seisproc_core.jobs.model import Event, Job
from seisproc_core.jobs.process import lives
from seisproc_core.jobs.states import State
from seisproc_core.jobs.store import Outline, Query, busy, check_parents, check_state, the_one
from seisproc_core.places import state_folder
from seisproc_jobstore import schema
from seisproc_jobstore.database import Database
from seisproc_jobstore.rows import (
    COLUMNS,
    OUTLINE,
    BadRow,
    Row,
    document_after,
    document_of,
    job_of,
    mark,
    outline_of,
    progress_mark,
    row_of,
    text,
)
from seisproc_jobstore.schema import ENDED, OPEN
from seisproc_jobstore.searching import LAST, where

CHECKED_WHEN_OPENED = 4 << 20  # bytes; larger files are checked when an engine begins to lead
_JOB = f"SELECT {', '.join(COLUMNS)}, document FROM jobs LEFT JOIN documents USING (number)"
_OUTLINE = f"SELECT {', '.join(OUTLINE)}, outline_mark FROM jobs"
_CHECKSUMS = ("id", "outline_mark", "progress_mark", "mark")
_marks = itemgetter(*(COLUMNS.index(name) for name in _CHECKSUMS))
_MARKS = f"SELECT {', '.join(_CHECKSUMS)} FROM jobs WHERE number = ?"
_RECENT = 256  # jobs: those under way, a few KB each
# States that an engine notes by itself; losing them with the power costs nothing that it would not find out.
_NOT_DURABLE = (State.RUNNING, State.SEALING)


def default_path() -> Path:
    """``jobs.sqlite`` in the user's state folder."""
    return state_folder() / "jobs.sqlite"


class SqliteStore:
    """Keeps jobs in one file; see `seisproc_core.jobs.store.JobStore`.

    Any number of threads and processes of one machine may use the same file. `add`, `edit` and `purge`, and moves that
    users ask for or that end a job, are on the disk when they return; that a job runs or seals, and its progress,
    survive the process, but perhaps not a power cut. A file of an older version is updated when it is opened; a copy
    is kept (``jobs.sqlite.v2``). Nothing is ever deleted unless `purge` is called.

    On a local disk the file has a write-ahead log. That needs memory which all its users share, so on a network file
    system (NFS, SMB, GPFS, Lustre, ...) a rollback journal takes its place: slower, and as safe as the locks of that
    file system are.

    Values are kept with checksums. Files of up to 4 MiB are checked whole when they are opened, larger ones when an
    engine begins to lead; whatever is read is held to its checksum.

    Parameters
    ----------
    path
        The file, made when it is not there; `default_path` when left out.

    Raises
    ------
    StorageError
        The file cannot be made or read, is damaged, is no job store, or was written by a newer version.
    """

    shared = True

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = Path(os.path.abspath(path if path is not None else default_path()))
        self.address = str(self.path)
        self._db = Database(self.path)
        self._seen: tuple[int, int] | None = (
            None  # the database's count of foreign commits, and the latest version then
        )
        self._recent: dict[str, tuple[Row, str, Job]] = {}  # as last read or written, the latest last
        try:
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    def _prepare(self) -> None:
        with self._db.reading() as db:
            version = schema.version_of(db)
            if version > schema.VERSION:
                raise StorageError(
                    f"the job store {self.path} was written by a newer seisproc (format {version}, this one knows "
                    f"{schema.VERSION}): update seisproc, or set SEISPROC_STATE_DIR to another folder"
                )
            self._db.use_journal()
        if version < schema.VERSION:
            self._db.write(self._make_or_update, durable=True)
        with self._db.reading() as db:
            schema.check_schema(db)
            if self.path.stat().st_size <= CHECKED_WHEN_OPENED:
                schema.check_whole(db)

    def _make_or_update(self, db: sqlite3.Connection) -> None:
        version = schema.version_of(db)  # another process may have been faster
        if version in schema.OLD:
            schema.migrate(db, self.path, version)
        elif version != schema.VERSION:
            if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise StorageError(f"{self.path} is a database, but no job store: name another file")
            schema.create(db)

    # -- jobs

    def add(self, *jobs: Job) -> None:
        """Keep new jobs, all or none, as queued; they are on the disk when this returns."""
        # Not `Job.moved`: a new object each would double the cost of adding very many.
        queued = State.QUEUED, (Event(0, State.QUEUED, time.time()),)
        histories = [queued if job.state is State.CREATED else (job.state, job.events) for job in jobs]
        documents = [document_of(job, events) for job, (_, events) in zip(jobs, histories, strict=True)]
        outer = {parent for job in jobs for parent in job.after} - {job.id for job in jobs}
        links = [(text(parent), text(job.id)) for job in jobs for parent in job.after]

        def insert(db: sqlite3.Connection) -> None:
            known = {parent for parent in outer if _exists(db, parent)} | {job.id for job in jobs if outer or links}
            for job in jobs:
                if job.after:
                    check_parents(job, known)
            number, version = self._last(db)
            rows = (
                row_of(job, state, events, document, number + k, version + k)
                for k, (job, (state, events), document) in enumerate(zip(jobs, histories, documents, strict=True), 1)
            )
            db.execute("SAVEPOINT adding")
            try:
                db.executemany(schema.INSERT, rows)
            except sqlite3.IntegrityError:
                db.execute("ROLLBACK TO adding")
                raise self._refusal(db, jobs) from None
            db.executemany(schema.INSERT_DOCUMENT, enumerate(documents, number + 1))
            db.executemany(schema.INSERT_DEPENDENCY, links)
            self._seen = None

        if jobs:
            self._db.write(insert, durable=True)

    def get(self, job_id: str) -> Job:
        """The job; an unambiguous beginning of its id will do. `UsageError` when there is none."""
        with self._db.reading() as db:
            return self._job(db, job_id)[2]

    def find(self, query: Query) -> list[Job]:
        """The jobs that match, newest submission first."""
        condition, values = where(query)
        limit = -1 if query.limit is None else query.limit
        # The inner query reads narrow rows only, however many are passed over.
        numbers = f"SELECT number FROM jobs WHERE {condition} ORDER BY number DESC LIMIT ? OFFSET ?"
        with self._db.reading() as db:
            rows = db.execute(
                f"{_JOB} WHERE number IN ({numbers}) ORDER BY number DESC", (*values, limit, query.offset)
            )
            return [job_of(*_split(row)) for row in rows]

    def move(self, job_id: str, state: State, reason: str = "", *, of: State | None = None, **changes: Any) -> Job:
        """Make a transition; on the disk when this returns, unless the engine only notes that it runs or seals."""

        def change(job: Job) -> Job:
            check_state(job, of)
            return job.moved(state, reason, **changes)

        return self._change(job_id, change, durable=state not in _NOT_DURABLE)

    def move_all(self, job_ids: Sequence[str], state: State) -> list[Job]:
        """Make the same transition of many jobs in one transaction; those that made it."""

        def change(db: sqlite3.Connection) -> list[Job]:
            version, moved = self._last(db)[1], list[Job]()
            for job_id in job_ids:
                with contextlib.suppress(IllegalTransition, UsageError):
                    moved.append(self._update(db, job_id, lambda job: job.moved(state), version + len(moved) + 1))
            return moved

        return self._db.write(change, durable=state not in _NOT_DURABLE)

    def edit(self, job_id: str, *, of: State | None = None, **changes: Any) -> Job:
        """Change attributes without a transition; on the disk when this returns."""

        def change(job: Job) -> Job:
            check_state(job, of)
            return attrs.evolve(job, **changes)

        return self._change(job_id, change, durable=True)

    def report(self, job_id: str, done: int, total: int) -> None:
        """Note progress. Does not wait for the disk."""
        done, total = int(done), int(total)

        def note(db: sqlite3.Connection) -> None:
            found = self._id(db, job_id)
            db.execute(
                "UPDATE jobs SET done = ?, total = ?, progress_mark = ? WHERE id = ?",
                (done, total, progress_mark(found, done, total), found),
            )

        self._db.write(note, durable=False)

    def holder(self, output: str) -> Job | None:
        """The job that is not finished and has this output, if there is one."""
        with self._db.reading() as db:
            return _holder(db, output)

    def purge(self, before: float) -> int:
        """Forget jobs that ended before a wall time. The file keeps its size; the room in it is used again."""

        def forget(db: sqlite3.Connection) -> int:
            self._keep(db, *self._last(db), self._kept(db)[2])
            needed = f"SELECT parent FROM dependencies JOIN jobs ON id = child WHERE state IN {OPEN}"
            old = f"SELECT number FROM jobs WHERE state IN {ENDED} AND ended < ? AND id NOT IN ({needed})"
            db.execute("CREATE TEMP TABLE old AS " + old, (before,))
            db.execute("DELETE FROM dependencies WHERE child IN (SELECT id FROM jobs WHERE number IN old)")
            db.execute("DELETE FROM documents WHERE number IN old")
            count = db.execute("DELETE FROM jobs WHERE number IN old").rowcount
            db.execute("DROP TABLE old")
            return count

        return self._db.write(forget, durable=True)

    # -- what schedulers read

    def unfinished(self) -> list[Outline]:
        """All jobs that are not finished, in the order of submission."""
        with self._db.reading() as db:
            return [outline_of(row) for row in db.execute(f"{_OUTLINE} WHERE state IN {OPEN} ORDER BY number")]

    def changes(self, since: int) -> list[Outline]:
        """Jobs added, moved or edited after version `since`; without any, this reads next to nothing."""
        with self._db.reading() as db:
            # Counts commits of other connections; what this one commits makes `_seen` void instead.
            foreign = db.execute("PRAGMA data_version").fetchone()[0]
            if self._seen is None or self._seen[0] != foreign:
                self._seen = (foreign, self._last(db)[1])
            if since >= self._seen[1]:
                return []
            return [outline_of(row) for row in db.execute(f"{_OUTLINE} WHERE version > ? ORDER BY version", (since,))]

    def children(self, job_id: str) -> list[str]:
        """Ids of the unfinished jobs that come directly after this one."""
        sql = (
            f"SELECT id FROM dependencies JOIN jobs ON id = child WHERE parent = ? AND state IN {OPEN} ORDER BY number"
        )
        with self._db.reading() as db:
            return [child for (child,) in db.execute(sql, (text(job_id),))]

    # -- who runs them

    def lead(self, who: str) -> bool:
        """Become the engine of this store; False when another living process is."""

        def take(db: sqlite3.Connection) -> bool:
            number, version, leader = self._kept(db)
            if leader != who:
                if leader and lives(leader):
                    return False
                self._keep(db, number, version, who)
            return True

        if self.path.stat().st_size > CHECKED_WHEN_OPENED:
            with self._db.reading() as db:
                schema.check_whole(db)
        return self._db.write(take, durable=False)

    def leader(self) -> str:
        """The process that leads, "" when none does or it is dead."""
        with self._db.reading() as db:
            leader = self._kept(db)[2]
        return leader if leader and lives(leader) else ""

    def leave(self, who: str, *, force: bool = False) -> bool:
        """Stop to lead. Unless `force`, False when detached jobs, but for paused ones, are still to be run."""

        def give(db: sqlite3.Connection) -> bool:
            detached = f"SELECT 1 FROM jobs WHERE state IN {OPEN} AND state <> 'paused' AND NOT attached LIMIT 1"
            if not force and db.execute(detached).fetchone():
                return False
            number, version, leader = self._kept(db)
            if leader == who:
                self._keep(db, number, version, "")
            return True

        return self._db.write(give, durable=False)

    def close(self) -> None:
        """Close the file; the store is of no use afterwards."""
        self._db.close()

    def __enter__(self) -> SqliteStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def select(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """Rows of a query of one's own, for statistics; tables and columns may change with the version."""
        with self._db.reading() as db:
            return db.execute(sql, values).fetchall()

    # -- inside, with the connection in hand

    def _id(self, db: sqlite3.Connection, beginning: str) -> str:
        known = text(beginning)
        if _exists(db, beginning):
            return known
        found = db.execute("SELECT id FROM jobs WHERE id >= ? AND id < ?", (known, known + LAST))
        return the_one(beginning, [row[0] for row in found])

    def _row(self, db: sqlite3.Connection, job_id: str) -> Row:
        sql = f"{_JOB} WHERE id = ?"
        row: Row | None = db.execute(sql, (text(job_id),)).fetchone()
        return row or db.execute(sql, (self._id(db, job_id),)).fetchone()

    def _job(self, db: sqlite3.Connection, job_id: str) -> tuple[Row, str, Job]:
        """A job with its row and document: those of the last time where the checksums are still the same."""
        seen = self._recent.get(job_id)
        if seen is not None and db.execute(_MARKS, (seen[0][0],)).fetchone() == _marks(seen[0]):
            return seen
        row, document = _split(self._row(db, job_id))
        return self._remember(row, document, job_of(row, document))

    def _remember(self, row: Row, document: str, job: Job) -> tuple[Row, str, Job]:
        self._recent.pop(job.id, None)
        self._recent[job.id] = (row, document, job)
        if len(self._recent) > _RECENT:
            del self._recent[next(iter(self._recent))]
        return row, document, job

    def _change(self, job_id: str, change: Callable[[Job], Job], *, durable: bool) -> Job:
        def update(db: sqlite3.Connection) -> Job:
            return self._update(db, job_id, change, self._last(db)[1] + 1)

        return self._db.write(update, durable=durable)

    def _update(self, db: sqlite3.Connection, job_id: str, change: Callable[[Job], Job], version: int) -> Job:
        """Change one job. What `change` refuses, and a job that is not there, leaves the database as it is."""
        row, old_document, old = self._job(db, job_id)
        job = change(old)
        document = document_after(job, old, old_document)
        new = row_of(job, job.state, job.events, document, row[0], version, (old, row))
        # Only what differs: an index is touched for every column that is named.
        differ = [(name, value) for name, value, before in zip(COLUMNS, new, row, strict=True) if value != before]
        names = ", ".join(f"{name} = ?" for name, _ in differ)
        try:
            db.execute(f"UPDATE jobs SET {names} WHERE number = ?", (*(value for _, value in differ), row[0]))
        except sqlite3.IntegrityError:
            other = _holder(db, job.output)
            raise OutputBusy("no such job") if other is None else busy(job.output, other) from None
        if document != old_document:
            db.execute("UPDATE documents SET document = ? WHERE number = ?", (document, row[0]))
        if job.after != old.after:
            db.execute("DELETE FROM dependencies WHERE child = ?", (text(job.id),))
            links = [(text(parent), text(job.id)) for parent in job.after]
            db.executemany(schema.INSERT_DEPENDENCY, links)
        self._seen = None
        self._remember(new, document, job)
        return job

    def _last(self, db: sqlite3.Connection) -> tuple[int, int]:
        """The last number and version that were given, to jobs that are forgotten too."""
        # Each maximum is one step down an index.
        newest = "(SELECT max(number) FROM jobs), (SELECT max(version) FROM jobs)"
        *kept, number, version = db.execute(f"SELECT number, version, leader, mark, {newest} FROM store").fetchone()
        kept_number, kept_version, _ = _checked(kept)
        return max(kept_number, number or 0), max(kept_version, version or 0)

    def _kept(self, db: sqlite3.Connection) -> tuple[int, int, str]:
        """Number and version at the last purge, and who leads."""
        return _checked(db.execute("SELECT number, version, leader, mark FROM store").fetchone())

    def _keep(self, db: sqlite3.Connection, number: int, version: int, leader: str) -> None:
        values = (number, version, leader)
        db.execute("UPDATE store SET number = ?, version = ?, leader = ?, mark = ?", (*values, mark(values)))

    def _refusal(self, db: sqlite3.Connection, jobs: Iterable[Job]) -> SeisprocError:
        """Why jobs cannot be added, after the database said so."""
        ids, outputs = set[str](), set[str]()
        for job in jobs:
            if job.id in ids or _exists(db, job.id):
                return UsageError(f"there is a job {job.id} already")
            other = _holder(db, job.output)
            if other is not None:
                return busy(job.output, other)
            if job.output in outputs:
                return OutputBusy(f"two of these jobs have the same output {job.output}")
            ids.add(job.id)
            outputs |= {job.output} if job.output else set()
        return self._db.damaged("its rows and its indexes disagree")


def _checked(counters: Sequence[Any]) -> tuple[int, int, str]:
    """Number, version and leader of the table ``store``, held to their checksum."""
    number, version, leader, checksum = counters
    if mark((number, version, leader)) != checksum:
        raise BadRow("its counters do not match their checksum")
    return number, version, leader


def _split(row: Row) -> tuple[Row, str]:
    """Values of `COLUMNS`, and the document."""
    if row is None or row[-1] is None:
        raise BadRow("a job has lost its document")
    return row[:-1], row[-1]


def _exists(db: sqlite3.Connection, job_id: str) -> bool:
    return db.execute("SELECT 1 FROM jobs WHERE id = ?", (text(job_id),)).fetchone() is not None


def _holder(db: sqlite3.Connection, output: str) -> Job | None:
    row = db.execute(f"{_JOB} WHERE output = ? AND output <> '' AND state NOT IN {ENDED}", (text(output),)).fetchone()
    return None if row is None else job_of(*_split(row))
