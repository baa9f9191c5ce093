"""Whether Numba can be used here - without importing it, since planning asks and compiles nothing."""

from __future__ import annotations

import importlib.metadata
import os

from seisproc_core.errors import PluginError


def backend() -> str:
    """What is in use here, as ``"numba 0.68.1, llvmlite 0.48.0"``.

    Raises
    ------
    PluginError
        When compiled code is switched off, or Numba is not installed.
    """
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        raise PluginError("backend numba: NUMBA_DISABLE_JIT is set; unset it, or choose the reference backend")
    try:
        versions = [f"{name} {importlib.metadata.version(name)}" for name in ("numba", "llvmlite")]
    except importlib.metadata.PackageNotFoundError as error:
        raise PluginError(f"backend numba: {error.name} is not installed") from error
    return ", ".join(versions)
