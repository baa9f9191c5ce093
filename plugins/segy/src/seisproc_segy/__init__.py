"""SEG-Y and Seismic Unix files for seisproc."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "SegyStorage": "storage",
    "check_export": "report",
    "describe": "inspection",
    "export_options": "delivery",
    "header_table": "inspection",
    "kept_text": "inspection",
    "word_statistics": "inspection",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'seisproc_segy' has no attribute '{name}'")
    return getattr(importlib.import_module(f"seisproc_segy.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
