"""What the tests have workers do: functions like `run_segment`, chosen by name, that note each run in the folder."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from seisproc_core.errors import DataError, ParameterError
from seisproc_core.execution.executor import Receipt
from seisproc_core.jobs.control import Control
from seisproc_core.testing.segments import begin, receipt_of

MODULE = __name__


def quick(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    begin(folder, segment)
    return receipt_of(segment)


def nap(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    begin(folder, segment)
    time.sleep(0.05)
    return receipt_of(segment)


def long_receipt(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    pieces = tuple((f"c/{number}", 0, number, 1) for number in range(50_000))
    return Receipt(segment=segment, pieces=pieces, traces_in=0, traces_out=0)


def cooperative(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    begin(folder, segment)
    control = Control(Path(folder, "control"))
    for _ in range(6000):
        control.check()
        time.sleep(0.01)
    return receipt_of(segment)


def deaf(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    begin(folder, segment)
    time.sleep(60)
    return receipt_of(segment)


def deaf_holding_gil(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    begin(folder, segment)
    ctypes.PyDLL(None).usleep(60_000_000)
    return receipt_of(segment)


def spin_in_c(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    begin(folder, segment)
    sum(range(10**12))
    return receipt_of(segment)


def crash_once(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Every way to die, by segment number; the second run of a segment is well."""
    if begin(folder, segment) == 0:
        [_by_sigkill, _by_sigsegv, _by_exit, _by_sigterm][segment % 4]()
    return receipt_of(segment)


def _by_sigkill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _by_sigsegv() -> None:
    ctypes.string_at(0)


def _by_exit() -> None:
    os._exit(0)


def _by_sigterm() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def poison(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    begin(folder, segment)
    if segment == 5:
        _by_sigsegv()
    return receipt_of(segment)


def exit_three(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    os._exit(3)


def raises(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    kinds = [
        DataError(f"NaN in trace {segment}"),
        ParameterError("agc", "window_ms", "is negative"),
        ZeroDivisionError("one\nby none"),
        SystemExit(4),
        UnknownHere("more special"),
    ]
    raise kinds[segment]


class UnknownHere(DataError):
    exit_code = 65


def not_json(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    return Receipt(segment=segment, pieces=((b"key", 0, 1, 2),), traces_in=0, traces_out=0)  # type: ignore[arg-type]


def kills_nursery_once(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    if begin(folder, segment) == 0 and segment == 2:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    time.sleep(0.02)
    return receipt_of(segment)


def kills_nursery(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    begin(folder, segment)
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
    return receipt_of(segment)


def chatty(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    print(f"hello from segment {segment}")
    print("careful", file=sys.stderr)
    os.system(f"echo a program of segment {segment}")
    return receipt_of(segment)


def flood(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    for _ in range(64):
        os.write(1, b"x" * (1 << 20))
    return receipt_of(segment)


def surroundings(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """What a worker finds around it, written down for the test."""
    import json

    found = {
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "numba": os.environ.get("NUMBA_NUM_THREADS"),
        "fds": sorted(int(fd) for fd in os.listdir("/proc/self/fd")),
        "files": [os.path.basename(os.path.realpath(f"/proc/self/fd/{fd}")) for fd in range(1000)],
        "preloaded": "colorsys" in sys.modules,
        "sigint_ignored": signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
        "faulthandler": faulthandler.is_enabled(),
        "child": subprocess.run(["true"], check=False).returncode,
        "slot": slot,
        "stage": stage,
    }
    Path(folder, f"surroundings-{segment}").write_text(json.dumps(found))
    time.sleep(0.05)
    return receipt_of(segment)


def dies_first(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Segment 0 dies by SIGKILL as often as the environment says, the others take their time."""
    if begin(folder, segment) < int(os.environ["DIE_FIRST"]) and segment == 0:
        _by_sigkill()
    time.sleep(0.05)
    return receipt_of(segment)


def all_die_first(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    if begin(folder, segment) == 0:
        _by_sigkill()
    return receipt_of(segment)
