"""Samples: what the counters of the system say, and nothing that was not measured."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from seisproc_alerts import gpus, sampling
from seisproc_alerts.gpus import Gpu, parse_smi
from seisproc_alerts.sampling import Sampler, anonymous_memory
from seisproc_core.jobs.control import Control, WorkerState

Times = namedtuple("Times", "user system idle iowait guest guest_nice")
Disk = namedtuple("Disk", "read_bytes write_bytes")
Net = namedtuple("Net", "bytes_recv bytes_sent")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A machine whose counters the test sets."""
    counters: dict[str, Any] = {
        "now": 100.0,
        "cores": [Times(0, 0, 0, 0, 0, 0)] * 2,
        "disk": Disk(1000, 1000),
        "net": {"lo": Net(0, 0), "eth0": Net(500, 500)},
    }
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu: counters["cores"])
    monkeypatch.setattr(psutil, "disk_io_counters", lambda: counters["disk"])
    monkeypatch.setattr(psutil, "net_io_counters", lambda pernic: counters["net"])
    monkeypatch.setattr(sampling.time, "monotonic", lambda: counters["now"])
    return counters


def test_loads_and_rates_are_those_since_the_sample_before(machine: dict[str, Any]) -> None:
    sampler = Sampler()
    first = sampler.sample()
    assert (first.disk_read, first.disk_write, first.net_in, first.net_out) == (0, 0, 0, 0)
    machine["now"] = 104.0
    # 4 s: the first core worked for 1 s, half of it for a guest, which user time holds; the second waited for a disk.
    machine["cores"] = [Times(0.75, 0.25, 3.0, 0.0, 0.5, 0.0), Times(0.0, 0.0, 1.0, 3.0, 0.0, 0.0)]
    machine["disk"] = Disk(9000, 500)  # a disk with its counter of writes was taken away
    machine["net"] = {"lo": Net(9999, 9999), "eth0": Net(700, 900)}
    second = sampler.sample()
    assert second.cores == pytest.approx((25.0, 0.0))
    assert second.cpu_percent == pytest.approx(12.5)
    assert (second.disk_read, second.disk_write) == (2000.0, 0.0)
    assert (second.net_in, second.net_out) == (50.0, 100.0)


def test_a_machine_without_disks_or_network_has_rates_of_zero(machine: dict[str, Any]) -> None:
    machine["disk"], machine["net"] = None, {}
    sampler = Sampler()
    sampler.sample()
    machine["now"] = 101.0
    assert sampler.sample().disk_read == 0


def test_a_real_sample_makes_sense() -> None:
    sampler = Sampler()
    sampler.sample()
    sample = sampler.sample()
    assert len(sample.cores) == psutil.cpu_count()
    assert all(0 <= core <= 100 for core in sample.cores)
    assert 0 < sample.memory_used < sample.memory_total
    assert 0 < sample.memory_percent < 100


def test_memory_is_that_of_the_control_group_where_it_is_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "memory.current").write_text("900000\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 300000\nactive_file 7\n")
    monkeypatch.setattr(sampling, "_GROUP", tmp_path)
    monkeypatch.setattr(sampling, "memory_bytes", lambda: 1_000_000)
    sample = Sampler().sample()
    assert (sample.memory_used, sample.memory_total) == (600_000, 1_000_000)
    (tmp_path / "memory.stat").unlink()
    assert Sampler().sample().memory_total == psutil.virtual_memory().total


CHILD = """
import mmap, sys, os
if sys.argv[1] == "anonymous":
    block = bytearray(os.urandom(1)) * (64 << 20)
else:
    with open(sys.argv[2], "rb") as file:
        block = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    sum(block[n] for n in range(0, 64 << 20, 4096))
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Any]:
    started = []

    def start(kind: str) -> subprocess.Popen[bytes]:
        (tmp_path / "file").write_bytes(bytes(64 << 20))
        command = [sys.executable, "-c", CHILD, kind, str(tmp_path / "file")]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
def test_the_memory_of_a_worker_is_what_no_file_backs(child: Any) -> None:
    anonymous, mapped = (anonymous_memory(psutil.Process(child(kind).pid)) for kind in ("anonymous", "mapped"))
    assert anonymous >= 64 << 20
    assert mapped < 48 << 20


def state_of(pid: int) -> WorkerState:
    return WorkerState(slot=1, pid=pid, segment=None, traces=0, idle_s=0.0, bytes_in=0, bytes_out=0)


def test_workers_are_measured_and_those_that_are_gone_said_so(child: Any) -> None:
    process, sampler = child("anonymous"), Sampler()
    (first,) = sampler.workers([state_of(process.pid)])
    assert first.memory is not None and first.memory >= 64 << 20
    assert first.cpu_percent is not None and first.cpu_percent >= 0
    process.kill()
    process.communicate()
    (second,) = sampler.workers([state_of(process.pid)])
    assert (second.cpu_percent, second.memory) == (None, None)
    impossible = [state_of(pid) for pid in (0, 2**40, 2**62)]
    assert all(worker.memory is None for worker in sampler.workers(impossible)[1:])


def test_a_busy_worker_has_one_core_and_an_idle_one_none(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler, now, used = Sampler(), [100.0], [5.0]
    monkeypatch.setattr(sampling.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(psutil.Process, "cpu_times", lambda self: namedtuple("T", "user system")(used[0], 1.0))
    sampler.workers([state_of(os.getpid())])
    now[0], used[0] = 104.0, 9.0
    assert sampler.workers([state_of(os.getpid())])[0].cpu_percent == pytest.approx(100.0)
    now[0] = 108.0
    assert sampler.workers([state_of(os.getpid())])[0].cpu_percent == 0.0
    sampler.forget_workers([])
    assert sampler._workers == {}


def test_workers_of_a_control_file_are_this_process(tmp_path: Path) -> None:
    control = Control(tmp_path / "control", create=True)
    control.begin(3, 17)
    control.beat(3, 40, bytes_in=1000)
    (worker,) = Sampler().workers(Control(tmp_path / "control").workers())
    assert (worker.state.slot, worker.state.pid, worker.state.segment) == (3, os.getpid(), 17)
    assert worker.to_json()["traces"] == 40
    assert worker.memory is not None and worker.memory > 0


def test_the_table_of_nvidia_smi_is_read() -> None:
    text = "NVIDIA A100-SXM4, 80GB, 37, 1024, 81920\nOdd, [N/A], nan, [Not Supported]\nnonsense\n"
    assert parse_smi(text) == (
        Gpu(name="NVIDIA A100-SXM4, 80GB", percent=37.0, memory_used=1 << 30, memory_total=80 << 30),
        Gpu(name="Odd", percent=None, memory_used=None, memory_total=None),
    )


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine with nothing but an nvidia-smi, which the test writes."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setattr(gpus, "_failed", False)
    gpus._reader.cache_clear()
    program = tmp_path / "nvidia-smi"
    program.touch(0o755)
    yield program
    gpus._reader.cache_clear()


def test_gpus_are_those_that_nvidia_smi_tells(smi: Path) -> None:
    smi.write_text("#!/bin/sh\necho 'A100, 37, 1, 2'\n")
    assert [gpu.percent for gpu in gpus.read_gpus()] == [37.0]


@pytest.mark.parametrize("script", ["exit 9", "sleep 60"])
def test_a_driver_that_fails_or_hangs_is_asked_once(
    smi: Path, script: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gpus, "_TIMEOUT_S", 0.2)
    smi.write_text(f"#!/bin/sh\nexec {script}\n" if "sleep" in script else f"#!/bin/sh\n{script}\n")
    assert [gpus.read_gpus() for _ in range(3)] == [(), (), ()]
    assert caplog.text.count("GPUs are no longer watched") == 1
