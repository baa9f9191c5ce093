"""What executors need whose workers are other processes: errors as JSON, limits, whose child is whose."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Any

from seisproc_core import errors

MAX_DEATHS = 3  # of workers on one segment
MAX_MESSAGE = 2000  # characters of an error from a plugin
MEMORY_POLL_S = 0.2
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
_PR_SET_CHILD_SUBREAPER = 36


def thread_environment(threads: int) -> dict[str, str]:
    """Environment variables that hold numerical libraries to so many threads; to be set before any is imported."""
    return dict.fromkeys(_THREAD_VARIABLES, str(threads))


def in_words(error: BaseException) -> str:
    """``Kind: message`` on one line, of bearable length; an exception of a plugin may fail to say what it is."""
    try:
        message = " ".join(str(error).split())[:MAX_MESSAGE]
    except BaseException:
        message = "(it cannot say what is wrong)"
    return f"{type(error).__name__}: {message}"


def error_to_json(error: BaseException) -> dict[str, Any]:
    """An exception as plain JSON values: the names of its classes, its message on one line, its exit code."""
    name = type(error).__name__
    return {
        "types": [cls.__name__ for cls in type(error).__mro__],
        "message": in_words(error).removeprefix(f"{name}: "),
        "exit_code": int(error.exit_code) if isinstance(error, errors.SeisprocError) else 1,
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


def adopt_orphans() -> None:
    """Become the parent of whatever processes descendants leave behind when they die (Linux)."""
    if sys.platform == "linux":
        libc: Any = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")


def anonymous_memory(pid: int) -> int:
    """Bytes of a process in memory that no file backs; 0 when it is gone, or the system has no ``/proc``.

    Executors sample this against `Task.memory_limit` and kill. Limits of the system were not chosen: RLIMIT_AS counts
    mapped surveys and reserved address space, RLIMIT_DATA memory asked for and never touched; both show as failed
    allocations somewhere inside a step, which may swallow them or crash, and cannot be told from the machine's own
    lack of memory; control groups need rights that users do not have. What a step fills between two samples goes
    beyond the limit; there the kernel's own judgement remains, and workers volunteer for it.
    """
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            _, found, rest = file.read().partition(b"RssAnon:")
    except OSError:
        return 0
    return int(rest.split(maxsplit=1)[0]) * 1024 if found else 0


def over_limit(peak: int, limit: int) -> str:
    """What killed a worker that held `peak` bytes of anonymous memory."""
    return f"too much memory: a peak of {peak / 1e6:.0f} MB where {limit / 1e6:.0f} MB is the limit"
