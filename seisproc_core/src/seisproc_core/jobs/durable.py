"""Writing so that a crash or power loss leaves the old or the new bytes: temporary file, fsync, rename, fsync."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from seisproc_core.data.checksums import crc32c
from seisproc_core.data.survey import Piece
from seisproc_core.errors import OutputExists, StorageError
from seisproc_core.jobs import faults

_BLOCK = 1 << 20
TEMPORARY = ".tmp-"
SYNCED_TOGETHER = 4
_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2
_AT_FDCWD = -100


def sync_folder(path: Path) -> None:
    """Make names in a folder durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Make the bytes of a file that is there durable."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_file(path: Path, data: bytes | memoryview) -> None:
    """Write a whole file durably; replaces what is there. The folder itself is not synced."""
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    try:
        _write_synced(temporary, data)
    except OSError:
        # After a failed fsync the kernel may call the pages clean: only a fresh file can be trusted.
        temporary.unlink(missing_ok=True)
        try:
            _write_synced(temporary, data)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
    faults.point("before-rename")
    os.replace(temporary, path)


def _write_synced(path: Path, data: bytes | memoryview) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        view = memoryview(data).cast("B")
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, renamed to it at the end, so that a failure leaves what was there and no more.

    Raises
    ------
    StorageError
        It cannot be written.
    """
    fresh = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield fresh
        sync_file(fresh)
        os.replace(fresh, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            fresh.unlink()
        if isinstance(error, OSError):
            raise StorageError.from_os(error, f"cannot write {path}") from error
        raise


def put_folder(root: Path, pieces: Iterable[Piece]) -> list[tuple[str, int, int, int]]:
    """Write pieces as files below `root`; durable, names included, when this returns.

    Files, then folders, are synced side by side: flushes that wait together share one commit of the file system.
    Checksums are computed while they wait.

    Returns
    -------
    list of (key, offset, length, CRC-32C)
    """
    files = [(piece.key, root / piece.key, memoryview(piece.data).cast("B")) for piece in pieces]
    folders = {parent for _, path, _ in files for parent in path.parents if parent == root or root in parent.parents}
    with ThreadPoolExecutor(SYNCED_TOGETHER) as pool:
        written = pool.map(lambda file: _put(*file), files)
        receipts = [(key, 0, len(data), crc32c(data)) for key, _, data in files]
        list(written)
        try:
            list(pool.map(sync_folder, folders))
        except OSError as error:
            raise StorageError.from_os(error, f"cannot write in {root}") from error
    return receipts


def _put(key: str, path: Path, data: memoryview) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, data)
    except OSError as error:
        raise StorageError.from_os(error, f"cannot write {key}") from error


def put_file(path: Path, pieces: Iterable[Piece]) -> list[tuple[str, int, int, int]]:
    """Write pieces at their offsets into a file that is already there; durable when this returns.

    Checksums are computed while the disk flushes.
    """
    parts = [(piece.offset, memoryview(piece.data).cast("B")) for piece in pieces]
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            for offset, data in parts:
                written = 0
                while written < len(data):
                    written += os.pwrite(handle, data[written:], offset + written)
            with ThreadPoolExecutor(1) as pool:
                flushed = pool.submit(os.fsync, handle)
                receipts = [("", offset, len(data), crc32c(data)) for offset, data in parts]
                flushed.result()
        finally:
            os.close(handle)
    except OSError as error:
        raise StorageError.from_os(error, f"cannot write {path}") from error
    return receipts


def checksum(path: Path, offset: int = 0, length: int | None = None) -> tuple[int, int]:
    """Length and CRC-32C of a file or a range of it, read in blocks."""
    crc, done = 0, 0
    buffer = memoryview(bytearray(_BLOCK))  # one for all blocks: fresh memory costs more than the sum
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        while length is None or done < length:
            count = file.readinto(buffer if length is None else buffer[: length - done])
            if not count:
                break
            crc = crc32c(buffer[:count], crc)
            done += count
    return done, crc


def rename_new(old: Path, new: Path) -> None:
    """Rename without ever replacing; `OutputExists` when `new` is there."""
    try:
        if _renameat2(old, new, _RENAME_NOREPLACE):
            return
        if os.path.lexists(new):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(new))
        os.rename(old, new)
    except FileExistsError as error:
        raise OutputExists(f"{new} appeared while the job ran; it is left alone (use --replace)") from error


def exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step where the system can; False where it cannot."""
    return _renameat2(one, other, _RENAME_EXCHANGE)


def _renameat2(old: Path, new: Path, flags: int) -> bool:
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    if call(_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), flags) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL):
        return False
    raise OSError(code, os.strerror(code), str(new))
