"""Which reader does the work: the native library where it is installed, else the fallback, with one warning."""

from __future__ import annotations

import functools
import importlib
import warnings
from typing import Any


@functools.cache
def default_backend() -> Any:
    """The module that reads and encodes: `seisproc_native_segy`, or `seisproc_segy.fallback` with the same names."""
    try:
        return importlib.import_module("seisproc_native_segy")
    except ImportError:
        warnings.warn(
            "seisproc-native-segy is not installed: SEG-Y is read with the slower NumPy reader, which refuses rare "
            "kinds of files (pip install seisproc-native-segy)",
            RuntimeWarning,
            stacklevel=2,
        )
        return importlib.import_module("seisproc_segy.fallback")
