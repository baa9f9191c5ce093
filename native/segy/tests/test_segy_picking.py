"""Header scans, whose words the kernel copies out of a memory map: cut files, and systems that refuse it."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seisproc_native_segy import SegyError, SegyFile

Maker = Callable[..., bytes]

SAMPLES, STRIDE = 500, 2240  # between a page and the least that is worth picking from
FIELDS = [(1, "i4"), (37, "i4")]
# Denies one system call to the process from here on (seccomp), as containers do, and then scans headers.
DENIED = """
import ctypes, struct, sys
from seisproc_native_segy import SegyFile

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, FILTER, NUMBER = 38, 22, 2, {number}
LOAD, JUMP_IF_EQUAL, RETURN, ALLOW, ERRNO = 0x20, 0x15, 0x06, 0x7FFF0000, 0x00050000
program = b"".join(struct.pack("HBBI", *step) for step in [
    (LOAD, 0, 0, 0), (JUMP_IF_EQUAL, 0, 1, NUMBER), (RETURN, 0, 0, ERRNO | {errno}), (RETURN, 0, 0, ALLOW)])
held = ctypes.create_string_buffer(program)
libc = ctypes.CDLL(None, use_errno=True)
arguments = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(held)))
assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
if libc.prctl(PR_SET_SECCOMP, FILTER, arguments, 0, 0):
    sys.exit("cannot filter")
assert libc.syscall(NUMBER, 0, 0, 0, 0, 0, 0) == -1 and ctypes.get_errno() == {errno}
file = SegyFile.open(sys.argv[1])
print(*(column.tolist() for column in file.columns([(1, "i4"), (37, "i4")], 0, file.traces, threads=2)), sep=";")
"""
NUMBERS = {"x86_64": 311, "aarch64": 271}  # of process_vm_writev


@pytest.fixture
def path(segy_bytes: Maker, tmp_path: Path) -> Path:
    """3,000 traces whose words 1-4 count them from 1."""
    row = np.ones(SAMPLES, ">f4").tobytes()
    path = tmp_path / "line.sgy"
    path.write_bytes(segy_bytes([row] * 3000, samples=SAMPLES))
    return path


@pytest.mark.parametrize("left", [100, 2000])
def test_cut_inside_the_last_page(path: Path, left: int) -> None:
    """What lies behind the end of a file in its last page reads as zeros through a map: never handed out as headers."""
    file = SegyFile.open(path)
    whole = file.columns(FIELDS, 0, 3000)[0]
    assert whole.tolist() == list(range(1, 3001))
    header = 3600 + 2900 * STRIDE  # of a trace whose words end up in the page that is cut
    cut = header + 20
    assert header // 4096 == cut // 4096
    with path.open("r+b") as handle:
        handle.truncate(cut)
    with pytest.raises(SegyError, match="cut short"):
        file.columns(FIELDS, 0, 3000)
    with pytest.raises(SegyError, match="cut short"):
        file.columns(FIELDS, 2900, 2901)
    assert file.columns(FIELDS, left, 2900)[0].tolist() == list(range(left + 1, 2901))


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in NUMBERS, reason="filters of system calls: Linux"
)
@pytest.mark.parametrize("errno", [1, 38])
def test_where_the_system_refuses(path: Path, errno: int) -> None:
    """EPERM as in containers, ENOSYS as in other kernels: the same columns, by positioned reads."""
    code = DENIED.format(number=NUMBERS[platform.machine()], errno=errno)
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    if "cannot filter" in done.stderr:
        pytest.skip("this system does not let a process filter its system calls")
    assert done.returncode == 0, done.stderr
    numbers, offsets = done.stdout.strip().split(";")
    expected = SegyFile.open(path).columns(FIELDS, 0, 3000)
    assert [numbers, offsets] == [str(column.tolist()) for column in expected]
