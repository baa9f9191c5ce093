"""What the machine does: CPU, memory, disks, network, GPUs, and each worker of a job.

Counters of the system are read, nothing is waited for; rates are those since the sample before. Values come from
psutil, of GPUs from NVML or ``nvidia-smi`` where one of them is there.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs
import psutil

from seisproc_alerts.gpus import Gpu, read_gpus
from seisproc_core.jobs.control import WorkerState
from seisproc_core.jobs.resources import memory_bytes

_GROUP = Path("/sys/fs/cgroup")


@attrs.frozen(kw_only=True)
class Sample:
    """The machine at a moment. Memory in bytes, rates in bytes/s; percentages from 0 to 100.

    Attributes
    ----------
    at
        Wall time, seconds since the epoch.
    cpu_percent, cores
        Mean over all cores, and each of them, since the sample before.
    memory_used
        What is not to be had for new work; the file cache does not count. Of the control group where that limits it.
    disk_read, disk_write, net_in, net_out
        All disks and network interfaces together, but for the loopback; 0 in the first sample.
    gpus
        Empty where there is none, or none that can be asked.
    """

    at: float
    cpu_percent: float
    cores: tuple[float, ...]
    memory_used: int
    memory_total: int
    swap_used: int
    swap_total: int
    disk_read: float
    disk_write: float
    net_in: float
    net_out: float
    gpus: tuple[Gpu, ...]

    @property
    def memory_percent(self) -> float:
        return 100 * self.memory_used / max(self.memory_total, 1)

    def to_json(self) -> dict[str, Any]:
        return {**attrs.asdict(self), "memory_percent": self.memory_percent}


@attrs.frozen(kw_only=True)
class WorkerSample:
    """A worker as the system sees it: CPU per cent of one core since the sample before, anonymous memory in bytes.
    Both None where its process is gone or not ours to look at."""

    state: WorkerState
    cpu_percent: float | None
    memory: int | None

    def to_json(self) -> dict[str, Any]:
        return {**attrs.asdict(self.state), "cpu_percent": self.cpu_percent, "memory": self.memory}


class Sampler:
    """Takes samples; keeps the counters of the last one, so use one sampler per rhythm."""

    def __init__(self) -> None:
        self._cores: list[tuple[float, float]] = []
        self._traffic: tuple[float, tuple[int, ...]] = (0.0, ())
        self._workers: dict[int, tuple[float, float, psutil.Process]] = {}

    def sample(self) -> Sample:
        """The machine now."""
        cores = self._core_loads()
        used, total = _memory()
        swap = psutil.swap_memory()
        disk_read, disk_write, net_in, net_out = self._rates()
        return Sample(
            at=time.time(),
            cpu_percent=sum(cores) / max(len(cores), 1),
            cores=cores,
            memory_used=used,
            memory_total=total,
            swap_used=swap.used,
            swap_total=swap.total,
            disk_read=disk_read,
            disk_write=disk_write,
            net_in=net_in,
            net_out=net_out,
            gpus=read_gpus(),
        )

    def workers(self, states: Iterable[WorkerState]) -> list[WorkerSample]:
        """Workers of a job with what their processes take."""
        made = []
        for state in states:
            cpu, memory = self._process(state.pid)
            made.append(WorkerSample(state=state, cpu_percent=cpu, memory=memory))
        return made

    def forget_workers(self, alive: Iterable[int]) -> None:
        """Keep nothing of workers but of those with these process ids."""
        keep = set(alive)
        self._workers = {pid: known for pid, known in self._workers.items() if pid in keep}

    def _core_loads(self) -> tuple[float, ...]:
        before, self._cores = self._cores, [_busy(times) for times in psutil.cpu_times(percpu=True)]
        if len(before) != len(self._cores):
            before = [(0.0, 0.0)] * len(self._cores)  # the first sample: the mean since the system's start
        pairs = zip(self._cores, before, strict=True)
        return tuple(_share(busy - busy0, all_ - all0) for (busy, all_), (busy0, all0) in pairs)

    def _rates(self) -> tuple[float, float, float, float]:
        now = time.monotonic()
        disk = psutil.disk_io_counters()
        nets = [count for name, count in psutil.net_io_counters(pernic=True).items() if name not in ("lo", "lo0")]
        counters = (
            disk.read_bytes if disk else 0,
            disk.write_bytes if disk else 0,
            sum(count.bytes_recv for count in nets),
            sum(count.bytes_sent for count in nets),
        )
        (at, before), self._traffic = self._traffic, (now, counters)
        if not before or now <= at:
            return (0.0, 0.0, 0.0, 0.0)
        # A counter that went back belongs to a device that was taken away.
        read, write, received, sent = (
            max(0, new - old) / (now - at) for new, old in zip(counters, before, strict=True)
        )
        return read, write, received, sent

    def _process(self, pid: int) -> tuple[float | None, int | None]:
        now = time.monotonic()
        try:
            known = self._workers.get(pid)
            process = known[2] if known and known[2].is_running() else psutil.Process(pid)
            times = process.cpu_times()
            used = times.user + times.system
            memory = anonymous_memory(process)
        except (psutil.Error, OSError, ValueError, OverflowError):
            self._workers.pop(pid, None)
            return None, None
        began = now - (time.time() - process.create_time())
        at, before = known[:2] if known and known[2] is process else (began, 0.0)
        self._workers[pid] = (now, used, process)
        return _share(used - before, now - at, limit=float("inf")), memory


def anonymous_memory(process: psutil.Process) -> int:
    """Bytes of a process that no file backs; where the system does not tell, its resident less its shared memory."""
    try:
        for line in Path(f"/proc/{process.pid}/status").read_text("ascii", "replace").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    info = process.memory_info()
    return int(info.rss - getattr(info, "shared", 0))


def _memory() -> tuple[int, int]:
    """Memory in use and in all, of the machine or of the control group that limits this process."""
    machine = psutil.virtual_memory()
    limit = memory_bytes()
    if limit < machine.total:
        try:
            used = int((_GROUP / "memory.current").read_text("ascii"))
            lines = (_GROUP / "memory.stat").read_text("ascii").splitlines()
            cached = next((int(line.split()[1]) for line in lines if line.startswith("inactive_file ")), 0)
            return max(0, used - cached), limit
        except (OSError, ValueError, IndexError):
            pass
    return int(machine.total - machine.available), int(machine.total)


def _busy(times: Any) -> tuple[float, float]:
    """Busy and all seconds of a core; waiting for a disk is not busy, and guests are counted as user already."""
    every = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return every - times.idle - getattr(times, "iowait", 0.0), every


def _share(part: float, whole: float, limit: float = 100.0) -> float:
    return min(limit, max(0.0, 100 * part / whole)) if whole > 0 else 0.0
