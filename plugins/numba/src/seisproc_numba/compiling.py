"""Compile kernels with Numba, cache them by the content of their sources, and let them see a cancel flag."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba import types
from numba.extending import intrinsic
from numba.np import arrayobj

from seisproc_core.specs import KernelSpec, resolve

make_array: Any = arrayobj.make_array

# Names that signatures may use beside Numba's own. Inputs are declared read-only, which accepts writable arrays too.
ARRAYS = {
    "samples_in": types.Array(types.float32, 2, "C", readonly=True),
    "samples_out": types.Array(types.float32, 2, "C"),
    "indices": types.Array(types.int64, 1, "C", readonly=True),
    "indices_out": types.Array(types.int64, 1, "C"),
    "values": types.Array(types.float64, 1, "C", readonly=True),
    "values_out": types.Array(types.float64, 1, "C"),
    "table": types.Array(types.float64, 2, "C", readonly=True),
    "table_out": types.Array(types.float64, 2, "C"),
    "table32": types.Array(types.float32, 2, "C", readonly=True),
    "flag": types.Array(types.uint8, 1, "C", readonly=True),
}


def jit(signature: str | Any = None) -> Callable[[Callable[..., Any]], Any]:
    """Compile a kernel: GIL released, IEEE arithmetic, division by zero as in NumPy, machine code cached on disk.

    Parameters
    ----------
    signature
        Result and arguments by the names of Numba's scalar types and of `ARRAYS`:
        ``"boolean(samples_in, indices, int64, samples_out, flag)"``; or a Numba signature for other types. With it, the
        kernel is compiled (or loaded from the cache) on import, so importing a module warms it up. Helpers that
        only kernels call need none, but must stand above their callers.

    Notes
    -----
    Numba's own cache looks at the file of the function only, so that an edited helper in another file
    leaves its callers stale. Here the cache folder is named by a hash over all sources of the kernel's package
    and of this one: any edit is a new folder. Folders live in the user's cache directory and may be deleted any time.
    """

    def compile_(function: Callable[..., Any]) -> Any:
        types_ = _parse(signature) if isinstance(signature, str) else signature
        folder = _cache_folder(function.__module__.partition(".")[0])
        config: Any = numba.config
        before = config.CACHE_DIR
        config.CACHE_DIR = str(folder or before)
        try:
            njit = numba.njit(types_, nogil=True, error_model="numpy", fastmath=False, cache=folder is not None)
            return njit(function)
        finally:
            config.CACHE_DIR = before

    return compile_


def _parse(signature: str) -> Any:
    """A signature from its text: ``result(argument, ...)``, names looked up, nothing evaluated."""
    result, _, arguments = signature.strip().removesuffix(")").partition("(")
    names = [result.strip(), *(name.strip() for name in arguments.split(","))]
    found: list[Any] = [ARRAYS.get(name, getattr(types, name, None)) for name in names]
    if None in found:
        raise TypeError(f"signature '{signature}': unknown type '{names[found.index(None)]}'")
    return found[0](*found[1:])


@cache
def _cache_folder(package: str) -> Path | None:
    """Where kernels of a package are cached; None when no place can be written."""
    module = sys.modules.get(package)
    files = {Path(module.__file__)} if module is not None and module.__file__ else set()
    for root in [*getattr(module, "__path__", []), Path(__file__).parent]:
        files.update(Path(root).rglob("*.py"))
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__} {sys.version}".encode())
    for file in sorted(files):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    base = os.environ.get("NUMBA_CACHE_DIR") or Path(caches, "seisproc", "numba")
    folder = Path(base, f"{package}-{digest.hexdigest()[:16]}")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def _cancelled(typingctx: Any, flag: Any) -> Any:
    """Whether the flag, uint8 of shape ``(1,)``, was raised; for use inside compiled loops, `prange` too.

    An atomic load costs about a nanosecond and, unlike ``flag[0]``, the compiler may not move it out of the loop.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = make_array(signature.args[0])(context, builder, args[0]).data
        byte = builder.load_atomic(data, "monotonic", 1)
        return builder.icmp_unsigned("!=", byte, byte.type(0))

    return types.boolean(flag), codegen


cancelled: Any = intrinsic(_cancelled)


def warm_up(specs: Iterable[KernelSpec]) -> None:
    """Compile all Numba kernels among the specs, or load them from the cache, before the first trace needs them."""
    for spec in specs:
        if spec.backend == "numba":
            resolve(spec.impl)
