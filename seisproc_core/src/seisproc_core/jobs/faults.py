"""Named crash points, for tests of windows too short to hit by chance: ``SEISPROC_FAULT=point:n`` kills the process
itself at the n-th pass of that point."""

from __future__ import annotations

import os
import signal

_passes: dict[str, int] = {}


def point(name: str) -> None:
    """Die here if the environment says so."""
    wanted = os.environ.get("SEISPROC_FAULT")
    if wanted is None:
        return
    _passes[name] = _passes.get(name, 0) + 1
    if wanted == f"{name}:{_passes[name]}":
        os.kill(os.getpid(), signal.SIGKILL)
