"""SEG-Y and Seismic Unix files for seisproc."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["SegyStorage", "describe", "header_table", "word_statistics"]
_HOMES = dict.fromkeys(__all__, "inspection") | {"SegyStorage": "storage"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'seisproc_segy' has no attribute '{name}'")
    return getattr(importlib.import_module(f"seisproc_segy.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
