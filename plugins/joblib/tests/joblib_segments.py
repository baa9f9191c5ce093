"""What the tests have workers do: functions like `run_segment`, chosen by name."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from seisproc_core.errors import DataError, ParameterError
from seisproc_core.execution.executor import Receipt
from seisproc_core.jobs.control import Control


def _begin(folder: str, segment: int) -> int:
    """Note the run; how often this segment was begun before."""
    with Path(folder, f"runs-{segment}").open("a+") as file:
        file.write(f"{os.getpid()}\n")
        file.seek(0)
        return len(file.readlines()) - 1


def _receipt(segment: int) -> Receipt:
    return Receipt(segment=segment, pieces=(("a/b", 0, 10 + segment, 7),), traces_in=3, traces_out=2)


def nap(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Fails when another segment uses the same slot at the same time."""
    taken = Path(folder, f"slot-{slot}")
    taken.touch(exist_ok=False)
    print("hello from", segment, flush=True)
    time.sleep(0.01)
    taken.unlink()
    return _receipt(segment)


def dies_once(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    if _begin(folder, segment) == 0 and segment == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return _receipt(segment)


def poison(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    if segment != 5:
        time.sleep(0.05)  # is under way when the other one kills the pool
    _begin(folder, segment)
    if segment == 5:
        os._exit(3)
    return _receipt(segment)


def raises(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    raise [DataError("NaN in trace 1"), ParameterError("agc", "window_ms", "is negative"), ZeroDivisionError("a\nb")][
        segment
    ]


def cooperative(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    _begin(folder, segment)
    control = Control(Path(folder, "control"))
    for _ in range(6000):
        control.check()
        time.sleep(0.01)
    return _receipt(segment)


def holds(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Notes which files it has open, and leaves a process behind and the working directory."""
    names = [os.path.basename(os.path.realpath(f"/proc/self/fd/{fd}")) for fd in os.listdir("/proc/self/fd")]
    Path(folder, f"files-{segment}").write_text("\n".join([str(Path.cwd()), *names]))
    started = subprocess.Popen(["sleep", "1000"])
    Path(folder, f"runs-{segment}").write_text(f"{os.getpid()} {started.pid}")
    os.chdir("/")
    return _receipt(segment)


def greedy(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Segment 0 takes 300 MB: the first time, or always if the folder says so."""
    if segment == 0 and (_begin(folder, segment) == 0 or Path(folder, "always").exists()):
        held = bytearray(b"x" * 300_000_000)
        time.sleep(30)
        del held
    time.sleep(0.05)
    return _receipt(segment)


def deaf(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    _begin(folder, segment)
    time.sleep(60)
    return _receipt(segment)
