"""One SQLite file: opened, read and written by several threads and processes, its errors told in one line."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from seisproc_core.errors import DiskFull, OutputExists, StorageError, UsageError
from seisproc_core.jobs.durable import rename_new
from seisproc_jobstore.mounts import file_system, is_network
from seisproc_jobstore.rows import MAX_DOCUMENT, BadRow

T = TypeVar("T")
Change = Callable[[sqlite3.Connection], T]


class _Wish:
    """A change that a thread waits for."""

    def __init__(self, change: Change[Any]) -> None:
        self.change = change
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None


ADVICE = "; move the file away to begin a new one (unfinished outputs can still be resumed by their path)"
_TIMEOUT_S = 5.0
_WAL_KEPT = 16 << 20  # bytes
_CACHE_KIB = 2_048  # full after some thousand jobs; until then it is what a program that runs many grows by


def _make(path: Path) -> None:
    """An empty file, its owner's alone, if there is none."""
    if path.exists():
        if not os.access(path, os.R_OK | os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return
    # Never opened under its own name: to close it would take from other connections in this process the locks that
    # SQLite holds for them (POSIX, fcntl), and another process would take down the log beneath them.
    temporary = Path(f"{path}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        os.close(os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with contextlib.suppress(OutputExists):  # another was faster
            rename_new(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


class Database:
    """A connection that threads share.

    Parameters
    ----------
    path
        The file, made when it is not there.

    Raises
    ------
    StorageError
        It cannot be made, opened or read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._full = True
        self._wishes: deque[_Wish] = deque()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make(path)
        except OSError as error:
            raise StorageError.from_os(error, "cannot open the job store") from error
        with self.explained():
            self._db = sqlite3.connect(path, timeout=_TIMEOUT_S, isolation_level=None, check_same_thread=False)
            try:
                self._db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 2 * MAX_DOCUMENT)
                self._db.execute("PRAGMA cell_size_check = ON")
                self._db.execute("PRAGMA trusted_schema = OFF")
                self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            except BaseException:
                self._db.close()
                raise

    def use_journal(self) -> None:
        """The write-ahead log; on a network file system, where its users could not share memory, a rollback journal."""
        mode = "DELETE" if is_network(file_system(self.path)) else "WAL"
        # Changing the mode does not wait for other processes that do the same, whatever the timeout.
        deadline = time.monotonic() + _TIMEOUT_S
        while True:
            try:
                self._db.execute(f"PRAGMA journal_mode = {mode}")
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT}")
        self._db.execute(f"PRAGMA wal_autocheckpoint = {_WAL_KEPT // 4096}")

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for this thread alone."""
        with self._lock, self.explained():
            yield self._db

    def write(self, change: Change[T], *, durable: bool) -> T:
        """Run `change` in a transaction: all of it happens, or nothing.

        Durable changes that threads ask for at the same moment share one flush of the disk: whoever gets the
        connection makes those of all who wait.

        Parameters
        ----------
        durable
            On the disk when this returns. Otherwise it survives the process at once, a power cut only after the next
            durable change.
        """
        wish = _Wish(change)
        if durable:
            self._wishes.append(wish)
        with self._lock, self.explained():
            if not wish.done:
                wishes = [self._wishes.popleft() for _ in range(len(self._wishes))] if durable else [wish]
                self._make(wishes, durable)
            if wish.error is not None:
                raise wish.error
        result: T = wish.result
        return result

    def _make(self, wishes: Sequence[_Wish], durable: bool) -> None:
        """Make changes in one transaction; one that fails leaves the others."""
        try:
            if durable is not self._full:
                self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self._full = durable
            # "Immediate": take the write lock before reading, so that what was read still holds when it is written.
            self._db.execute("BEGIN IMMEDIATE")
            if len(wishes) == 1:
                wishes[0].result = wishes[0].change(self._db)
            else:
                for wish in wishes:
                    self._try(wish)
            self._db.execute("COMMIT")
        except BaseException as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            # An interrupt is meant for this thread, whatever it was doing for others.
            told = error if isinstance(error, Exception) else StorageError(f"the job store {self.path}: interrupted")
            for wish in wishes:
                wish.error = wish.error or told
            if told is not error:
                raise
        finally:
            for wish in wishes:
                wish.done = True

    def _try(self, wish: _Wish) -> None:
        self._db.execute("SAVEPOINT change")
        try:
            wish.result = wish.change(self._db)
        except Exception as error:
            wish.error = error
            self._db.execute("ROLLBACK TO change")
        self._db.execute("RELEASE change")

    def close(self) -> None:
        with self._lock, self.explained():
            self._db.close()

    def damaged(self, how: object) -> StorageError:
        return StorageError(f"the job store {self.path} is damaged ({how}){ADVICE}")

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Errors of the database for people."""
        try:
            yield
        except (BadRow, UnicodeDecodeError) as error:  # the latter in messages that quote the file
            raise self.damaged(error) from error
        except sqlite3.Error as error:
            raise self._for_people(error) from error
        except OverflowError as error:
            raise UsageError(f"a job cannot be stored: one of its numbers is too large ({error})") from error

    def _for_people(self, error: sqlite3.Error) -> StorageError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the extension bits
        if code == sqlite3.SQLITE_FULL:
            return DiskFull(
                f"the job store {self.path} cannot be written: the disk is full; free some space and try again"
            )
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StorageError(
                f"the job store {self.path} was in use by another process for {_TIMEOUT_S:g} s; try again"
            )
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT) or "decode" in str(error):
            return self.damaged(" ".join(str(error).split())[:200])
        made = StorageError(f"the job store {self.path}: {' '.join(str(error).split())[:200]}")
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
            made.exit_code = 77
        return made
