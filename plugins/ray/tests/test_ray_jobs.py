"""Whole jobs on the executor ``ray``: the bytes of a local run, by a Ray of its own and in a cluster joined."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ray", reason="Ray (distribution seisproc-ray) is not installed")
pytest.importorskip("seisproc_zarr", reason="the survey store (distribution seisproc-zarr) is not installed")
pytest.importorskip("seisproc_signal", reason="the processors (distribution seisproc-signal) are not installed")

from ray_stage import Stage, alive, eventually

from seisproc_core import Engine, Flow
from seisproc_core.errors import UsageError, WorkerDied
from seisproc_core.jobs.control import Control
from seisproc_core.plugins import registry
from seisproc_ray import bridge

pytestmark = [
    pytest.mark.xdist_group("ray"),
    pytest.mark.skipif(sys.platform != "linux", reason="processes are counted in /proc"),
    pytest.mark.timeout(120),
]
SHOTS, CHANNELS, SAMPLES = 12, 10, 64
PLACES = {"field_record": 9, "channel": 13, "cdp": 21, "offset": 37}
STEPS = [
    {"use": "agc", "window_ms": 80.0},
    {"use": "sort", "gather": ["cdp"], "sort": ["offset"]},
    {"use": "stack"},
]


def write_su(path: Path) -> Path:
    """A little noise as SU: trace headers of 240 bytes, native floats."""
    count = SHOTS * CHANNELS
    shot, channel = (values.ravel() for values in np.mgrid[:SHOTS, :CHANNELS])
    words = {"field_record": shot + 1, "channel": channel + 1, "cdp": 2 * shot + channel, "offset": 25 * channel + 25}
    rows = np.zeros(count, [("header", "u1", 240), ("samples", "<f4", SAMPLES)])
    for name, values in words.items():
        place = PLACES[name] - 1
        rows["header"][:, place : place + 4] = values.astype("<i4").view(np.uint8).reshape(count, 4)
    for place, value in ((115, SAMPLES), (117, 4000)):
        rows["header"][:, place - 1 : place + 1] = np.frombuffer(np.array(value, "<i2").tobytes(), np.uint8)
    rows["samples"] = np.random.default_rng(1).standard_normal((count, SAMPLES))
    path.write_bytes(rows.tobytes())
    return path


def process(source: Path, out: Path, executor: str, steps: list[dict[str, Any]]) -> dict[str, str]:
    """Run a flow; a checksum of every file of its output but the record of the run."""
    kind = "survey" if source.is_dir() else "segy"
    plain = {"source": {kind: str(source)}, "step": steps, "sink": {"survey": str(out), "shard_traces": 16}}
    with Engine(executor=executor, workers=2) as engine:
        engine.submit(Flow.parse(plain)).result(100)
    files = [path for path in out.rglob("*") if path.is_file() and path.name != "provenance.json"]
    return {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("seisproc_segy", reason="the SU reader (distribution seisproc-segy) is not installed")
    folder = tmp_path_factory.mktemp("line")
    process(write_su(folder / "line.su"), folder / "line.seis", "in-process", [])
    return folder / "line.seis"


@pytest.mark.usefixtures("local_ray")
def test_two_stages_give_the_bytes_of_a_local_run(line: Path, tmp_path: Path) -> None:
    expected = process(line, tmp_path / "here.seis", "in-process", STEPS)
    assert len([name for name in expected if name.startswith("headers/")]) > 1, "one segment shows nothing"
    assert process(line, tmp_path / "there.seis", "ray", STEPS) == expected
    assert not list(tmp_path.glob("*.part")) + list(tmp_path.glob("*.lock"))


CLUSTER = """
import signal, sys
from ray.cluster_utils import Cluster
health = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 3}
common = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
cluster = Cluster(initialize_head=True, head_node_args={**common, "_system_config": health})
second = cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
(raylet,) = [info.process.pid for kind, infos in second.all_processes.items() if kind == "raylet" for info in infos]
print("cluster", cluster.address, raylet, flush=True)
for line in sys.stdin:
    for info in cluster.head_node.all_processes[line.strip()]:
        info.process.send_signal(signal.SIGKILL)
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Somebody else's Ray of two nodes with a CPU each, to be joined; the process that holds it, and a raylet of it."""
    changed = {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "0123456789abcdef" * 4,
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]),
    }
    before = {name: os.environ.get(name) for name in (*changed, "SEISPROC_RAY_ADDRESS")}
    os.environ.update(changed)
    folder = Path("/tmp", f"c{os.getpid()}")
    folder.mkdir()
    arguments = [sys.executable, "-c", CLUSTER]
    env = {**os.environ, "RAY_TMPDIR": str(folder)}
    holder = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
    try:
        assert holder.stdout is not None
        words = next(line for line in holder.stdout if line.startswith("cluster ")).split()
        os.environ["SEISPROC_RAY_ADDRESS"] = words[1]
        yield holder, int(words[2])
    finally:
        bridge.close()
        holder.communicate(timeout=60)
        subprocess.run(["rm", "-rf", str(folder)], check=False)
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def test_a_cluster_is_joined_and_left_as_it_was(
    cluster: tuple[subprocess.Popen[str], int], line: Path, tmp_path: Path
) -> None:
    expected = process(line, tmp_path / "here.seis", "in-process", STEPS)
    assert process(line, tmp_path / "there.seis", "ray", STEPS) == expected
    (driver,) = [driver for settings, driver in bridge._bridges.items() if not settings.local]
    bridge.close()
    assert not driver.alive
    assert cluster[0].poll() is None
    assert alive(cluster[1])
    assert process(line, tmp_path / "again.seis", "ray", STEPS) == expected  # it still works


def test_a_lost_node_costs_a_retry(cluster: tuple[subprocess.Popen[str], int], tmp_path: Path) -> None:
    stage = Stage(tmp_path, Control(tmp_path / "control", create=True))
    killer = stage.once_begun(2, lambda: os.kill(cluster[1], signal.SIGKILL))
    stage.run("slow", 12)
    killer.join()
    assert sorted(stage.got) == list(range(12))
    eventually(lambda: not [pid for pid in stage.pids() if alive(pid)], within_s=5.0)


def test_a_dead_head_is_told_within_ten_seconds(cluster: tuple[subprocess.Popen[str], int], tmp_path: Path) -> None:
    """The last test with the cluster. The error is one that keeps what is done."""
    stage, killed = Stage(tmp_path, Control(tmp_path / "control", create=True)), list[float]()

    def kill() -> None:
        assert cluster[0].stdin is not None
        killed.append(time.monotonic())
        cluster[0].stdin.write("gcs_server\n")
        cluster[0].stdin.flush()

    killer = stage.once_begun(1, kill)
    with pytest.raises(WorkerDied, match="Ray ended in stage 1, and cannot join the Ray cluster at"):
        stage.run("deaf", 2)
    killer.join()
    assert time.monotonic() - killed[0] < 10


def test_an_address_without_a_cluster_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEISPROC_RAY_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    stage = Stage(tmp_path, Control(tmp_path / "control", create=True))
    with pytest.raises(UsageError, match=r"cannot join the Ray cluster at 127.0.0.1:1: "):
        stage.run("nap", 1)
    assert registry().find("executors", "ray").distribution == "seisproc-ray"
