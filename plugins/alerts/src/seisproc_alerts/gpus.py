"""NVIDIA GPUs, through NVML's Python package where it is installed, else through ``nvidia-smi``."""

from __future__ import annotations

import functools
import importlib
import logging
import math
import shutil
import subprocess
import time
from collections.abc import Callable

import attrs

logger = logging.getLogger(__name__)

_TIMEOUT_S = 3.0
_SMI_EVERY_S = 5.0  # it takes a process each time


@attrs.frozen(kw_only=True)
class Gpu:
    """One GPU: per cent of the time it works, memory in bytes. None: it does not say."""

    name: str
    percent: float | None
    memory_used: int | None
    memory_total: int | None


def read_gpus() -> tuple[Gpu, ...]:
    """All GPUs that can be asked. One that fails, or hangs, is not asked again by this process."""
    global _failed  # noqa: PLW0603 - a broken driver is a fact of the machine
    reader = _reader()
    if reader is None or _failed:
        return ()
    try:
        return reader()
    except Exception as error:
        _failed = True
        logger.warning("GPUs are no longer watched: %s: %s", type(error).__name__, error)
        return ()


_failed = False


@functools.cache
def _reader() -> Callable[[], tuple[Gpu, ...]] | None:
    try:
        nvml = importlib.import_module("pynvml")
        nvml.nvmlInit()
    except Exception:  # not installed, or no driver; what it raises is its own
        program = shutil.which("nvidia-smi")
        return None if program is None else _Smi(program)

    def read() -> tuple[Gpu, ...]:
        return tuple(_through_nvml(nvml, number) for number in range(nvml.nvmlDeviceGetCount()))

    return read


def _through_nvml(nvml: object, number: int) -> Gpu:
    def ask(function: str, *arguments: object) -> object:
        try:
            return getattr(nvml, function)(*arguments)
        except Exception:  # not every device tells everything
            return None

    device = ask("nvmlDeviceGetHandleByIndex", number)
    name, memory = ask("nvmlDeviceGetName", device), ask("nvmlDeviceGetMemoryInfo", device)
    return Gpu(
        name=name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name),
        percent=getattr(ask("nvmlDeviceGetUtilizationRates", device), "gpu", None),
        memory_used=getattr(memory, "used", None),
        memory_total=getattr(memory, "total", None),
    )


class _Smi:
    def __init__(self, program: str) -> None:
        self._command = [
            program,
            "--query-gpu=name,utilization.gpu,memory.used,memory.total",
            "--format=csv,noheader,nounits",
        ]
        self._at = float("-inf")
        self._last: tuple[Gpu, ...] = ()

    def __call__(self) -> tuple[Gpu, ...]:
        if time.monotonic() - self._at >= _SMI_EVERY_S:
            done = subprocess.run(
                self._command, capture_output=True, timeout=_TIMEOUT_S, check=True, stdin=subprocess.DEVNULL
            )
            self._last = parse_smi(done.stdout.decode("utf-8", "replace"))
            self._at = time.monotonic()
        return self._last


def parse_smi(text: str) -> tuple[Gpu, ...]:
    """GPUs from the table that ``nvidia-smi`` prints: name, per cent, MiB used, MiB in all; ``[N/A]`` is None."""
    rows = [[cell.strip() for cell in line.rsplit(",", 3)] for line in text.splitlines()]
    return tuple(
        Gpu(name=row[0], percent=_number(row[1]), memory_used=_whole(row[2]), memory_total=_whole(row[3]))
        for row in rows
        if len(row) == 4
    )


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _whole(mebibytes: str) -> int | None:
    number = _number(mebibytes)
    return None if number is None else int(number * (1 << 20))
