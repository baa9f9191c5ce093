"""A short form of the loops in ``tests/loops``: that they run, disturb what they say they disturb, and find nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LOOPS = Path(__file__).with_name("loops")


def counted(folder: Path, program: str, *words: str) -> dict[str, Any]:
    """What a loop over imports counted."""
    counts = folder / "counts.json"
    command = [sys.executable, str(LOOPS / program), *words, "-n", "1", "--kinds", "import", "--json", str(counts)]
    done = subprocess.run(
        command, env={**os.environ, "TMPDIR": str(folder)}, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    found: dict[str, Any] = json.loads(counts.read_text())
    assert found["bad"] == []
    return found


def test_kills(tmp_path: Path) -> None:
    found = counted(tmp_path, "kills.py")
    assert min(found["kills"][target] for target in ("worker", "tree", "engine")) >= 1


@pytest.mark.skipif(not sys.platform.startswith("linux") or shutil.which("cc") is None, reason="preloads a C library")
def test_failing_calls(tmp_path: Path) -> None:
    found = counted(tmp_path, "faults.py", "eio")
    assert len(found["outcomes"]) == 10, found  # kinds of calls, each of which failed once
    assert any(outcome.endswith(": clean") for outcome in found["outcomes"])
