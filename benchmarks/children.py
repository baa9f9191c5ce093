"""Measurements in a process of their own: what they take of memory is theirs, and how they end disturbs nobody.

Run as a program: ``python -m benchmarks.children MODULE:FUNCTION ARGUMENT ...`` prints what the function returns.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def measured(name: str, *arguments: str) -> dict[str, float]:
    """What ``benchmarks.<name>(*arguments)`` returns in a process of its own: names and numbers."""
    command = [sys.executable, "-m", "benchmarks.children", name, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{name} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def resident_mb() -> float:
    """Memory of this process that is resident, MB."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main(name: str, *arguments: str) -> None:
    module, _, function = name.partition(":")
    print(json.dumps(getattr(importlib.import_module(f"benchmarks.{module}"), function)(*arguments)), flush=True)
    os._exit(0)  # whatever still waits in the engine that was measured


if __name__ == "__main__":
    main(*sys.argv[1:])
