"""Durable writing, the lock, and what may be replaced."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from seisproc_core.data.checksums import crc32c
from seisproc_core.data.survey import Piece
from seisproc_core.errors import OutputBusy, OutputExists, StorageError, UsageError
from seisproc_core.jobs import durable
from seisproc_core.jobs.lock import OutputLock
from seisproc_core.jobs.workfolder import check_target


def test_pieces_become_files_with_receipts(tmp_path: Path) -> None:
    receipts = durable.put_folder(tmp_path, [Piece("a/b/c", b"hello"), Piece("d", bytearray(b""))])
    assert receipts == [("a/b/c", 0, 5, crc32c(b"hello")), ("d", 0, 0, 0)]
    assert (tmp_path / "a/b/c").read_bytes() == b"hello"
    assert not [p for p in tmp_path.rglob("*") if durable.TEMPORARY in p.name]


def test_a_range_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(10))
    assert durable.put_file(path, [Piece("", b"abc", 4)]) == [("", 4, 3, crc32c(b"abc"))]
    assert path.read_bytes() == b"\0\0\0\0abc\0\0\0"
    assert durable.checksum(path, 4, 3) == (3, crc32c(b"abc"))


def test_a_failed_fsync_means_a_fresh_file(tmp_path: Path) -> None:
    real, calls = os.fsync, []

    def failing(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 1:
            raise OSError(5, "Input/output error")
        real(handle)

    with patch.object(os, "fsync", failing):
        durable.put_folder(tmp_path, [Piece("x", b"data")])
    assert (tmp_path / "x").read_bytes() == b"data"


def test_a_full_disk_says_what_to_do(tmp_path: Path) -> None:
    def full(handle: int, data: object) -> int:
        raise OSError(28, "No space left on device")

    with patch.object(os, "write", full), pytest.raises(StorageError, match="No space left.*seisproc resume") as caught:
        durable.put_folder(tmp_path, [Piece("x", b"data")])
    assert caught.value.exit_code == 73
    assert list(tmp_path.iterdir()) == []


def test_renaming_never_replaces(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    with pytest.raises(OutputExists):
        durable.rename_new(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "b"


def test_the_lock_is_exclusive_and_names_its_holder(tmp_path: Path) -> None:
    target = tmp_path / "out.seis"
    lock = OutputLock(target, "job-1")
    with pytest.raises(OutputBusy, match=f"job job-1, pid {os.getpid()}"):
        OutputLock(target, "job-2", patience_s=0)
    lock.release(remove=True)
    assert not list(tmp_path.iterdir())
    OutputLock(target, "job-2").release(remove=True)


def test_the_lock_outlives_its_holder_while_an_heir_lives(tmp_path: Path) -> None:
    target = tmp_path / "out.seis"
    code = (
        "import subprocess, sys\nfrom pathlib import Path\nfrom seisproc_core.jobs.lock import OutputLock\n"
        f"lock = OutputLock(Path({str(target)!r}), 'dead')\n"
        "subprocess.Popen(['sleep', '0.7'], pass_fds=[lock.handle])"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(OutputBusy):
        OutputLock(target, "new", patience_s=0)
    OutputLock(target, "new", patience_s=5).release(remove=True)


def test_what_may_become_an_output(tmp_path: Path) -> None:
    source = tmp_path / "in.seis"
    source.mkdir()
    for target in (source, source / "inside.seis", tmp_path):
        with pytest.raises(OutputExists, match="overlaps"):
            check_target(target, [str(source)], replace=True)
    (tmp_path / "link").symlink_to(source)
    with pytest.raises(OutputExists, match="overlaps"):
        check_target(tmp_path / "link", [str(source)], replace=True)
    photos = tmp_path / "photos"
    photos.mkdir()
    with pytest.raises(OutputExists, match="--replace"):
        check_target(photos, [], replace=False)
    with pytest.raises(OutputExists, match="not a seisproc output"):
        check_target(photos, [], replace=True)
    with pytest.raises(UsageError, match="does not exist"):
        check_target(tmp_path / "no" / "where", [], replace=False)
    check_target(tmp_path / "new.seis", [str(source)], replace=False)


def test_a_file_written_beside_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    with durable.whole_file(path) as fresh:
        fresh.write_text("first")
        assert not path.exists()
    with pytest.raises(ZeroDivisionError), durable.whole_file(path) as fresh:
        fresh.write_text("half")
        raise ZeroDivisionError
    with pytest.raises(StorageError, match="cannot write .*report.html"), durable.whole_file(path) as fresh:
        raise OSError(28, "No space left on device")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]
