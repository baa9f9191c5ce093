"""The processes of a session: a local Ray and all it started, and nobody else's.

Ray puts each worker into a process group of its own, but none into another session, so that a session started for
the driver holds exactly what came of it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Collection
from pathlib import Path


def members(session: int) -> list[int]:
    """Live processes of a session, zombies left out (Linux; elsewhere none are seen)."""
    found = []
    for entry in Path("/proc").iterdir() if sys.platform == "linux" else ():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                state, _, _, sid = (entry / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[:4]
                if int(sid) == session and state not in "ZX":
                    found.append(int(entry.name))
    return found


def kill_member(session: int, pid: int) -> None:
    """Kill a process if it still belongs to the session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.getsid(pid) == session:
            os.kill(pid, signal.SIGKILL)


def end(session: int, *, only: Collection[int] = (), spare: int = 0, patience_s: float = 5.0) -> None:
    """Kill all processes of a session but `spare`, or `only` some, until none is left or the patience is over."""
    if sys.platform != "linux" and not only:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(session, signal.SIGTERM if spare else signal.SIGKILL)
    deadline = time.monotonic() + patience_s
    while left := [pid for pid in members(session) if pid != spare and (not only or pid in only)]:
        if time.monotonic() > deadline:
            return
        for pid in left:
            kill_member(session, pid)
        time.sleep(0.01)


def reap() -> None:
    """Take note of the ends of all children that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
