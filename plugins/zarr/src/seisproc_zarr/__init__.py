"""The survey store: one folder with Zarr v3 traces, Parquet headers and a manifest of checksums.

``open_survey(path)`` opens one for reading, ``verify(path)`` lists what is wrong with one; both are loaded when first
used.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"
__all__ = ["open_survey", "verify"]

_PUBLIC = {"open_survey": "storage", "verify": "check"}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'seisproc_zarr' has no attribute '{name}'")
    return getattr(importlib.import_module(f"seisproc_zarr.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return __all__
