"""What executors need whose workers are other processes: errors as JSON, thread limits, death with the parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Any

from seisproc_core import errors

MAX_DEATHS = 3  # of workers on one segment
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "BLOSC_NTHREADS",
)
_PR_SET_PDEATHSIG = 1


def thread_environment(threads: int) -> dict[str, str]:
    """Environment variables that hold numerical libraries to so many threads; to be set before any is imported."""
    return dict.fromkeys(_THREAD_VARIABLES, str(threads))


def error_to_json(error: BaseException) -> dict[str, Any]:
    """An exception as plain JSON values: the names of its classes, its message on one line, its exit code."""
    return {
        "types": [cls.__name__ for cls in type(error).__mro__],
        "message": " ".join(str(error).split()),
        "exit_code": getattr(error, "exit_code", 1),
    }


def error_from_json(plain: dict[str, Any], segment: int, log: Path) -> errors.SeisprocError:
    """The exception that a worker described: of the same seisproc class or the nearest above, else a `StepError`.

    What the machine refused, memory or a read, is no `StepError`: another time it may go through.
    """
    for name in plain["types"]:
        cls = getattr(errors, name, None)
        if isinstance(cls, type) and issubclass(cls, errors.SeisprocError):
            error = cls.__new__(cls)  # not through __init__: subclasses take other arguments than a message
            Exception.__init__(error, plain["message"])
            error.exit_code = plain["exit_code"]
            return error
    kind = errors.StorageError if {"OSError", "MemoryError"} & set(plain["types"]) else errors.StepError
    return kind(f"segment {segment}: {plain['types'][0]}: {plain['message']} (traceback in {log})")


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent, `parent`, ends, also while it spins in native code.

    Linux only; elsewhere it merely looks whether the parent is still there. On Linux "the parent" is the thread
    that started this process: it has to live as long as the work.
    """
    if sys.platform == "linux":
        libc: Any = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:  # it ended before the request
        os._exit(1)
