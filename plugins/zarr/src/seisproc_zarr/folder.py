"""A survey folder as untrusted files: nothing outside is opened, nothing is allocated on the word of a file."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seisproc_core.data.checksums import crc32c
from seisproc_core.errors import ChunkCorrupt, ChunkMissing, Damaged, Incomplete, StorageError, UsageError
from seisproc_core.jobs.workfolder import MANIFEST, MANIFEST_FORMAT

GROUP = "zarr.json"
MAX_METADATA_BYTES = 16 << 20
MAX_MANIFEST_BYTES = 256 << 20
MAX_OPEN_FILES = 64


class OpenFile:
    """A read-only descriptor, closed when the last user lets go of it, so that no thread loses a file it reads."""

    __slots__ = ("fd", "size")

    def __init__(self, path: str) -> None:
        # O_NONBLOCK: a FIFO planted in the folder must not block the open.
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        status = os.fstat(self.fd)
        if not stat.S_ISREG(status.st_mode):
            raise Damaged(f"{path} is not a regular file")
        self.size = status.st_size

    def __del__(self) -> None:
        fd, self.fd = getattr(self, "fd", -1), -1
        if fd >= 0:
            os.close(fd)

    def read_into(self, buffers: Sequence[memoryview], offset: int) -> bool:
        """Fill the byte buffers, one after the other, from `offset` on; False where the file ends too early."""
        wanted = sum(map(len, buffers))
        got = os.preadv(self.fd, buffers, offset)
        while got < wanted:  # a signal, or more than the system reads at once
            rest, skip = [], got
            for buffer in buffers:
                rest.append(buffer[skip:])
                skip = max(skip - len(buffer), 0)
            more = os.preadv(self.fd, [part for part in rest if len(part)], offset + got)
            if not more:
                return False
            got += more
        return True


def safe_key(key: str) -> bool:
    """Whether a key names something inside the folder it is looked up in."""
    parts = key.split("/")
    return "\0" not in key and "\\" not in key and all(part not in ("", ".", "..") for part in parts)


class Folder:
    """The files of one survey.

    Parameters
    ----------
    path
        The folder.
    allow_partial
        Whether to open it without a manifest; nothing but chunks is checked then.

    Attributes
    ----------
    pieces
        Length and CRC-32C of every file, by key; None without a manifest.
    seal
        The manifest's root hash; None without a manifest.

    Raises
    ------
    UsageError
        There is no survey folder at `path`.
    Incomplete
        It was never sealed.
    Damaged
        The manifest cannot be read.
    """

    def __init__(self, path: str, *, allow_partial: bool = False) -> None:
        self.path = path
        self.root = os.path.realpath(path)
        self.pieces: dict[str, tuple[int, int]] | None = None
        self.seal: str | None = None
        self._open: OrderedDict[str, OpenFile] = OrderedDict()
        self._inside: set[str] = set()  # keys that were seen not to lead out of the folder
        self._lock = threading.Lock()
        if not Path(self.root).is_dir():
            raise UsageError(f"there is no survey folder at {path}")
        if os.path.lexists(os.path.join(self.root, MANIFEST)):
            self.pieces, self.seal = self._read_manifest()
        elif not allow_partial:
            if not os.path.lexists(os.path.join(self.root, GROUP)):
                raise UsageError(f"{path} is not a survey: it has neither {MANIFEST} nor {GROUP}")
            raise Incomplete(f"{path} is not sealed; finish it with: seisproc resume {path}")

    def _read_manifest(self) -> tuple[dict[str, tuple[int, int]], str]:
        plain = self.json(MANIFEST, MAX_MANIFEST_BYTES)
        if plain.get("format") != MANIFEST_FORMAT:
            raise Damaged(
                f"{self.path}: {MANIFEST} is of another version of seisproc (format {plain.get('format')!r}); read it "
                "with that version, or make the survey again"
            )
        try:
            pieces = {key: (length, crc) for key, (length, crc, *_) in plain["pieces"].items()}
            seal = plain["root"]
            sound = isinstance(seal, str) and all(safe_key(key) and _natural(*entry) for key, entry in pieces.items())
        except (KeyError, TypeError, ValueError, AttributeError):
            sound = False
        if not sound:
            raise Damaged(f"{self.path}: {MANIFEST} is not a manifest of a survey; run: seisproc verify {self.path}")
        return pieces, seal

    def root_hash(self) -> str:
        """The root hash that the manifest should have: over everything else in it."""
        plain = json.loads(Path(self.root, MANIFEST).read_bytes())  # its size was looked at when it was first read
        rest = {key: value for key, value in plain.items() if key != "root"}
        return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()

    def has(self, key: str) -> bool:
        """Whether the survey has a file: by the manifest, or on disk where there is none."""
        if self.pieces is not None:
            return key in self.pieces
        return os.path.lexists(os.path.join(self.root, key))

    def open(self, key: str) -> OpenFile:
        """One of the survey's files; kept open while it is among the most recently used."""
        with self._lock:
            file = self._open.get(key)
            if file is not None:
                self._open.move_to_end(key)
                return file
        full = os.path.join(self.root, key)
        if key not in self._inside:
            if not os.path.realpath(full).startswith(self.root + os.sep):
                raise Damaged(f"{self.path}: {key} is a link that leaves the survey; it is not followed")
            self._inside.add(key)
        try:
            file = OpenFile(full)
        except (FileNotFoundError, NotADirectoryError):
            raise self.missing(key) from None
        except OSError as error:
            raise StorageError.from_os(error, f"reading {self.path}") from error
        with self._lock:
            self._open[key] = file
            while len(self._open) > MAX_OPEN_FILES:
                self._open.popitem(last=False)
        return file

    def bytes(self, key: str, limit: int) -> bytes:
        """A whole small file, checked against the manifest."""
        file = self.open(key)
        if file.size > limit:
            raise Damaged(f"{self.path}: {key} has {file.size} bytes, more than the {limit} it may have")
        data = bytearray(file.size)
        try:
            whole = file.read_into([memoryview(data)], 0) if data else True
        except OSError as error:
            raise StorageError.from_os(error, f"reading {self.path}") from error
        if not whole:
            raise self.corrupt(key, "ends early")
        if self.pieces is not None:
            if key not in self.pieces:
                raise self.corrupt(key, "is not in the manifest")
            if self.pieces[key] != (len(data), crc32c(data)):
                raise self.corrupt(key, "does not match its checksum")
        return bytes(data)

    def json(self, key: str, limit: int = MAX_METADATA_BYTES) -> dict[str, Any]:
        """A small file that holds a JSON object."""
        try:
            plain = json.loads(self.bytes(key, limit))
        except (ValueError, RecursionError) as error:
            raise Damaged(f"{self.path}: {key} cannot be read as JSON: {error}") from None
        if not isinstance(plain, dict):
            raise Damaged(f"{self.path}: {key} does not hold a JSON object")
        return plain

    def missing(self, key: str) -> ChunkMissing:
        return ChunkMissing(f"{self.path}: {key} is missing; list all damage with: seisproc verify {self.path}")

    def corrupt(self, key: str, problem: str) -> ChunkCorrupt:
        return ChunkCorrupt(f"{self.path}: {key} {problem}; list all damage with: seisproc verify {self.path}")


def _natural(*values: object) -> bool:
    return all(isinstance(value, int) and not isinstance(value, bool) and value >= 0 for value in values)
