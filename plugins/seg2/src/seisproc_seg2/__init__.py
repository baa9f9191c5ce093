"""SEG-2 files for seisproc."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {"Seg2Storage": "storage", "describe": "inspection", "kept_text": "inspection"}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'seisproc_seg2' has no attribute '{name}'")
    return getattr(importlib.import_module(f"seisproc_seg2.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
