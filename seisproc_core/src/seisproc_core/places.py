"""Where seisproc keeps what belongs to the user and not to an output."""

from __future__ import annotations

import os
from pathlib import Path


def state_folder() -> Path:
    """Jobs and their logs: ``$SEISPROC_STATE_DIR``, or ``seisproc`` in ``$XDG_STATE_HOME`` or ``~/.local/state``."""
    return _folder("SEISPROC_STATE_DIR", "XDG_STATE_HOME", Path(".local") / "state")


def cache_folder() -> Path:
    """What can be made again: ``$SEISPROC_CACHE_DIR``, or ``seisproc`` in ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    return _folder("SEISPROC_CACHE_DIR", "XDG_CACHE_HOME", Path(".cache"))


def _folder(own: str, base: str, home: Path) -> Path:
    chosen = os.environ.get(own)
    return Path(chosen) if chosen else Path(os.environ.get(base) or Path.home() / home) / "seisproc"
