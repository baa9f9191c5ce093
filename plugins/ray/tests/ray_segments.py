"""What the tests have actors do: functions like `run_segment`, chosen by name, that note each run in the folder."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path

import numpy as np

from seisproc_core.errors import DataError, ParameterError
from seisproc_core.execution.executor import Receipt
from seisproc_core.jobs.control import Control
from seisproc_core.testing.segments import begin, receipt_of


def quick(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    return receipt_of(segment)


def nap(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Fails when another segment uses the same slot at the same time."""
    begin(folder, segment)
    taken = Path(folder, f"slot-{slot}")
    taken.touch(exist_ok=False)
    print(
        "hello from",
        segment,
        os.environ["OMP_NUM_THREADS"],
        os.environ["RAYON_NUM_THREADS"],
        "nice",
        os.nice(0),
        flush=True,
    )
    time.sleep(0.02)
    taken.unlink()
    return receipt_of(segment)


def dies_once(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    if begin(folder, segment) == 0 and segment == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return receipt_of(segment)


def poison(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    begin(folder, segment)
    if segment == 5:
        ctypes.string_at(0)
    return receipt_of(segment)


def raises(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    raise [DataError("NaN in trace 1"), ParameterError("agc", "window_ms", "is negative"), ZeroDivisionError("a\nb")][
        segment
    ]


def cooperative(folder: str, stage: int, segment: int, slot: int, control: Control | None = None) -> Receipt:
    begin(folder, segment)
    control = control or Control(Path(folder, "control"))
    control.begin(slot, segment)
    control.beat(slot, 11)
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


def slow(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    begin(folder, segment)
    time.sleep(0.5)
    return receipt_of(segment)


def hoards(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Holds some 400 MB for a second."""
    begin(folder, segment)
    held = np.ones(50_000_000)
    time.sleep(1.0)
    return receipt_of(segment + int(held[0]) - 1)


def redirects(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Leaves its standard output somewhere else, which nobody can put back."""
    begin(folder, segment)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    return receipt_of(segment)
