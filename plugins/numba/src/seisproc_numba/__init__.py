"""The Numba backend: what kernels compiled by Numba share.

Numba is imported when one of these names is first used, so that describing the plugin stays cheap::

    from seisproc_numba import cancelled, jit

    @jit("boolean(samples_in, flag)")
    def _sum(traces, flag):
        for row in range(traces.shape[0]):
            if cancelled(flag):
                return False
            ...
        return True

A kernel returns False when it was cancelled; the Python function around it raises `seisproc_core.errors.Cancelled`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seisproc_numba.availability import backend as backend
    from seisproc_numba.compiling import cancelled as cancelled
    from seisproc_numba.compiling import jit as jit
    from seisproc_numba.compiling import warm_up as warm_up

__version__ = "0.1.0"
__all__ = ["backend", "cancelled", "jit", "warm_up"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'seisproc_numba' has no attribute '{name}'")
    if name == "backend":
        from seisproc_numba import availability

        return availability.backend
    from seisproc_numba import compiling

    return getattr(compiling, name)
