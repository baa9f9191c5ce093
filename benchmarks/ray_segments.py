"""What actors do in the benchmark of the executor ``ray``: apart, because a worker imports the module they are in."""

from __future__ import annotations

import time
from pathlib import Path

from seisproc_core.execution.executor import Receipt
from seisproc_core.jobs.control import Control


def no_op(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """A segment without work."""
    return Receipt(segment=segment, pieces=(), traces_in=0, traces_out=0)


def polls(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """A segment that looks at the command byte every millisecond."""
    control = Control(Path(folder, "control"))
    control.beat(slot, 1)
    while True:
        control.check()
        time.sleep(0.001)


def deaf(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """A segment that looks at nothing."""
    Control(Path(folder, "control")).beat(slot, 1)
    time.sleep(60)
    return no_op(folder, stage, segment, slot)
