"""Segments that `ExecutorSuite` has executors run: functions like `run_segment`, which note each run in the folder."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from seisproc_core.errors import DataError, ParameterError
from seisproc_core.execution.executor import Receipt
from seisproc_core.jobs.control import Control

POISONED = 5
RAISED: tuple[Exception, ...] = (
    DataError("NaN in trace 1"),
    ParameterError("agc", "window_ms", "is negative"),
    ZeroDivisionError("a\nb"),
)


def receipt_of(segment: int) -> Receipt:
    """What every segment here reports."""
    return Receipt(segment=segment, pieces=(("a/b", 0, 10 + segment, 7),), traces_in=3, traces_out=2)


def begun(folder: Path) -> dict[int, list[int]]:
    """The processes that began each segment, oldest first."""
    notes = {int(path.name.removeprefix("runs-")): path for path in folder.glob("runs-*")}
    return {segment: [int(pid) for pid in path.read_text().split()] for segment, path in notes.items()}


def begin(folder: str, segment: int) -> int:
    """Note the run; how often this segment was begun before."""
    with Path(folder, f"runs-{segment}").open("a+") as file:
        file.write(f"{os.getpid()}\n")
        file.seek(0)
        return len(file.readlines()) - 1


def nap(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Fails where another segment uses the same slot at the same time."""
    begin(folder, segment)
    taken = Path(folder, f"slot.{slot}")
    taken.touch(exist_ok=False)
    time.sleep(0.01)
    taken.unlink()
    return receipt_of(segment)


def raises(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    begin(folder, segment)
    raise RAISED[segment]


def cooperative(folder: str, stage: int, segment: int, slot: int, control: Control | None = None) -> Receipt:
    """Runs for a minute, and stops when it is told to."""
    begin(folder, segment)
    control = control or Control(Path(folder, "control"))
    for _ in range(6000):
        control.check()
        time.sleep(0.01)
    return receipt_of(segment)


def deaf(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Hears nothing; in a thread, which nobody can kill, until the folder says so."""
    begin(folder, segment)
    deadline = time.monotonic() + 60
    while not Path(folder, "enough").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return receipt_of(segment)


def dies_once(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Segment 3 kills its process the first time."""
    if begin(folder, segment) == 0 and segment == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return receipt_of(segment)


def poison(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """One segment kills every process that runs it."""
    if segment != POISONED:
        time.sleep(0.05)  # is under way when the other one dies
    begin(folder, segment)
    if segment == POISONED:
        os._exit(3)
    return receipt_of(segment)


def greedy(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Segment 0 takes 300 MB, and keeps them."""
    begin(folder, segment)
    if segment == 0:
        held = bytearray(b"x" * 300_000_000)
        threading.Event().wait(30)
        del held
    return receipt_of(segment)
