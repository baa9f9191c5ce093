"""What jobs need of a machine, and the ledger of who holds how much: never more than there is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import attrs

from seisproc_core.errors import UsageError

HEAD_ROOM = 0.1  # of the memory, left to the system and its file cache


@attrs.frozen
class Resources:
    """CPUs, memory in bytes, GPUs."""

    cpus: int = 1
    memory: int = 0
    gpus: int = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(self.cpus + other.cpus, self.memory + other.memory, self.gpus + other.gpus)

    def __sub__(self, other: Resources) -> Resources:
        return Resources(self.cpus - other.cpus, self.memory - other.memory, self.gpus - other.gpus)

    def within(self, limit: Resources) -> bool:
        """Whether this fits into `limit`, each kind for itself."""
        return self.cpus <= limit.cpus and self.memory <= limit.memory and self.gpus <= limit.gpus

    def lacking(self, limit: Resources) -> str:
        """What of this exceeds `limit`, for people; "" when nothing does."""
        if self.cpus > limit.cpus:
            return f"{self.cpus} CPUs, of which there are {limit.cpus}"
        if self.memory > limit.memory:
            return f"{self.memory / 1e9:.1f} GB of memory, of which {limit.memory / 1e9:.1f} GB are for jobs"
        if self.gpus > limit.gpus:
            return f"{self.gpus} GPUs, of which there are {limit.gpus}"
        return ""

    def to_json(self) -> dict[str, int]:
        return {"cpus": self.cpus, "memory": self.memory, "gpus": self.gpus}


class Ledger:
    """Who holds what of a capacity."""

    def __init__(self, capacity: Resources) -> None:
        self.capacity = capacity
        self.free = capacity
        self._held: dict[str, Resources] = {}

    def take(self, job: str, wanted: Resources) -> None:
        """Note that a job holds resources; `UsageError` when they are not there."""
        if job in self._held:
            raise UsageError(f"job {job} holds resources already")
        if not wanted.within(self.free):
            raise UsageError(f"job {job} needs {self.short(wanted)}")
        self._note(job, wanted)

    def admit(self, job: str, wanted: Resources) -> None:
        """Note what a job holds that runs anyhow, if need be more than there is: then nothing is free until it ends."""
        if self._held.get(job) != wanted:
            self.give(job)
            self._note(job, wanted)

    def give(self, job: str) -> None:
        """A job that holds something, or nothing, holds nothing any more."""
        if job in self._held:
            self.free += self._held.pop(job)

    def holds(self, job: str) -> bool:
        return job in self._held

    def short(self, wanted: Resources) -> str:
        """What of this is not free, for people: ``4 CPUs, 1 free``; "" when it fits."""
        free = self.free
        if wanted.cpus > free.cpus:
            return f"{wanted.cpus} CPUs, {max(0, free.cpus)} free"
        if wanted.memory > free.memory:
            return f"{wanted.memory / 1e9:.1f} GB of memory, {max(0, free.memory) / 1e9:.1f} GB free"
        if wanted.gpus > free.gpus:
            return f"{wanted.gpus} GPUs, {max(0, free.gpus)} free"
        return ""

    @property
    def held(self) -> Mapping[str, Resources]:
        return self._held

    def _note(self, job: str, wanted: Resources) -> None:
        self._held[job] = wanted
        self.free -= wanted


def this_machine() -> Resources:
    """What jobs may use here: the CPUs of this process, memory less head-room, GPUs.

    ``SEISPROC_CPUS``, ``SEISPROC_MEMORY_GB`` and ``SEISPROC_GPUS`` overrule what is found; GPUs are only those told.
    """
    cpus = _told("SEISPROC_CPUS") or cpu_count()
    memory = _told("SEISPROC_MEMORY_GB")
    return Resources(
        max(1, int(cpus)),
        int(memory * 1e9) if memory else int(memory_bytes() * (1 - HEAD_ROOM)),
        int(_told("SEISPROC_GPUS")),
    )


def cpu_count() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int:
    """Memory of this machine, or of the control groups that this process is held to."""
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *group_limits()])


def group_limits(root: Path = Path("/")) -> list[int]:
    """Limits of the control groups this process is in, in bytes, innermost first; a batch system's are nested deeply.

    Both versions of control groups are understood (Linux, admin-guide/cgroup-v1/memory and admin-guide/cgroup-v2).
    """
    found = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if not controllers:
            top, file = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            top, file = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        inmost = top / group.lstrip("/")
        for folder in (inmost, *inmost.parents):
            found.append(_text(folder / file).strip())
            if folder == top:
                break
    return [int(limit) for limit in found if limit.isdigit()]


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _told(name: str) -> float:
    text = os.environ.get(name, "")
    try:
        value = float(text) if text else 0.0
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise UsageError(f"{name}={text}: write a number, e.g. {name}=4")
    return value
