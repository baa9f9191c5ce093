"""What the tests have workers do: functions like `run_segment`, chosen by name."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from seisproc_core.execution.executor import Receipt
from seisproc_core.testing.segments import begin, cooperative, deaf, dies_once, poison, raises, receipt_of

__all__ = ["cooperative", "deaf", "dies_once", "greedy", "holds", "nap", "poison", "raises"]


def nap(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Fails when another segment uses the same slot at the same time."""
    taken = Path(folder, f"slot-{slot}")
    taken.touch(exist_ok=False)
    print("hello from", segment, flush=True)
    time.sleep(0.01)
    taken.unlink()
    return receipt_of(segment)


def holds(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Notes which files it has open, and leaves a process behind and the working directory."""
    names = [os.path.basename(os.path.realpath(f"/proc/self/fd/{fd}")) for fd in os.listdir("/proc/self/fd")]
    Path(folder, f"files-{segment}").write_text("\n".join([str(Path.cwd()), *names]))
    started = subprocess.Popen(["sleep", "1000"])
    Path(folder, f"runs-{segment}").write_text(f"{os.getpid()} {started.pid}")
    os.chdir("/")
    return receipt_of(segment)


def greedy(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Segment 0 takes 300 MB: the first time, or always if the folder says so."""
    if segment == 0 and (begin(folder, segment) == 0 or Path(folder, "always").exists()):
        held = bytearray(b"x" * 300_000_000)
        time.sleep(30)
        del held
    time.sleep(0.05)
    return receipt_of(segment)
