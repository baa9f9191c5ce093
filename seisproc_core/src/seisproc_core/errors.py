"""Everything seisproc refuses or fails with. One line each: what is wrong, where, what to do."""

from __future__ import annotations

import os
import re

# User and password of an address; of its slashes one may have got lost on the way.
_CREDENTIALS = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*:/{1,2})[^/\s@]*:[^/\s@]*@")


class SeisprocError(Exception):
    """Root of all errors meant for people. `exit_code` is what a command ends with."""

    exit_code = 1


class UsageError(SeisprocError):
    """The request itself is wrong: unknown name, bad value, missing file."""

    exit_code = 2


class ParameterError(UsageError):
    """A parameter is unknown, missing, of the wrong type or out of range."""

    def __init__(self, owner: str, name: str, problem: str) -> None:
        super().__init__(f"{owner}: parameter '{name}' {problem}")
        self.owner = owner
        self.name = name
        self.problem = problem


class HeaderError(UsageError):
    """A header word is absent, or a value does not fit the word that should hold it."""


class ExpressionError(UsageError):
    """An expression over header words is not allowed, or cannot be computed."""


class FlowError(UsageError):
    """A flow file cannot be read or does not make sense."""


class PluginError(SeisprocError):
    """A plugin is missing, broken or clashes with another one."""


class StepError(SeisprocError):
    """A processor raised while it worked; names step, plugin, segment and gather."""


class DataError(SeisprocError):
    """The data themselves cannot be accepted (NaN, mixed sample intervals, ...)."""


class OutputExists(UsageError):
    """The output is already there, or is the input."""


class OutputBusy(SeisprocError):
    """Another job holds the output path."""

    exit_code = 75


class Incomplete(SeisprocError):
    """An unfinished output that can be resumed."""

    exit_code = 3


class Damaged(SeisprocError):
    """A sealed output or a journal does not match its checksums."""

    exit_code = 4


class ChunkMissing(Damaged):
    """A file or chunk that the manifest lists is not there."""


class ChunkCorrupt(Damaged):
    """A file or chunk does not match its checksum."""


class StorageError(SeisprocError):
    """The operating system refused a read or a write (disk full, permission, vanished target)."""

    exit_code = 74

    @classmethod
    def from_os(cls, error: OSError, doing: str) -> StorageError:
        """Wrap an `OSError`; a full disk says how to go on."""
        import errno

        name = error.filename or ""
        reason = os.strerror(error.errno) if error.errno else str(error)
        hint = ""
        made = cls(f"{doing}: {reason}{f' ({name})' if name else ''}{hint}")
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            made = DiskFull(f"{doing}: {reason}; free some space, then run: seisproc resume")
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            made.exit_code = 77
        return made


class DiskFull(StorageError):
    """No space left; what is journalled stays, the job can be resumed."""

    exit_code = 73


class Cancelled(SeisprocError):
    """The job was cancelled."""

    exit_code = 130

    def __init__(self, message: str = "cancelled") -> None:
        super().__init__(message)


class IllegalTransition(SeisprocError):
    """The state machine of jobs has no such edge."""


class JobFailed(SeisprocError):
    """A job that another process ran has failed."""


class WorkerDied(SeisprocError):
    """Workers died three times on the same segment."""


def without_secrets(text: str) -> str:
    """Text for logs and screens: user and password of addresses (``s3://user:password@host``) left out."""
    return _CREDENTIALS.sub(r"\1***@", text)


def check_no_secret(path: str) -> None:
    """Refuse a path that holds a password: it would be stored with job and provenance."""
    if _CREDENTIALS.search(path):
        raise UsageError(
            f"'{without_secrets(path)}' holds a password, which is stored nowhere; give the path of a local file"
        )
