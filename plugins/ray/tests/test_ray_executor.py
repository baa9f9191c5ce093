"""The executor ``ray`` on a Ray of its own: everything done once, deaths, errors, cancel, nothing exposed or left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import attrs
import pytest

pytest.importorskip("ray", reason="Ray (distribution seisproc-ray) is not installed")

from ray_stage import Stage, alive, eventually, listening, name_of, the_driver

import seisproc_ray.executor as executor_module
from seisproc_core.errors import (
    Cancelled,
    DataError,
    ParameterError,
    PluginError,
    StepError,
    StorageError,
    UsageError,
    WorkerDied,
)
from seisproc_core.execution.executor import Task
from seisproc_core.jobs.control import CANCEL, PAUSE, Control
from seisproc_ray import session
from seisproc_ray.actor import await_folder
from seisproc_ray.executor import RayActors
from seisproc_ray.settings import Settings

pytestmark = [
    pytest.mark.xdist_group("ray"),
    pytest.mark.skipif(sys.platform != "linux", reason="processes and sockets are counted in /proc"),
    pytest.mark.usefixtures("local_ray"),
    pytest.mark.timeout(60),
]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path, Control(tmp_path / "control", create=True))


def test_every_segment_is_done_once_and_slots_are_not_shared(stage: Stage) -> None:
    stage.run("nap", 30)
    assert sorted(stage.got) == list(range(30))
    assert len(stage.pids()) == 2
    assert "hello from 7 1 1" in stage.log()
    assert not [pid for pid in stage.pids() if alive(pid)]


def test_threads_reach_the_numerical_libraries(stage: Stage) -> None:
    stage.run("nap", 2, threads=3)
    assert "hello from 1 3 3" in stage.log()


def test_workers_are_no_nicer_than_their_engine(stage: Stage) -> None:
    stage.run("nap", 1)
    assert f"hello from 0 1 1 nice {os.nice(0)}\n" in stage.log()


def test_all_sockets_are_on_the_loopback_interface(stage: Stage) -> None:
    found: set[tuple[int, str]] = set()

    def look() -> None:
        processes = session.members(the_driver().pid)
        assert {"raylet", "gcs_server"} <= {name_of(pid) for pid in processes}
        assert stage.pids() <= set(processes)
        found.update(listening(processes))

    looker = stage.once_begun(2, look)
    stage.run("slow", 8)  # the second worker may come up when the first has done two
    looker.join()
    loopback = {(4, "0100007F"), (6, "0" * 16 + "FFFF00000100007F"), (6, "0" * 24 + "01000000")}
    assert found, "a Ray without sockets cannot work: the listing is wrong"
    assert found <= loopback


def test_others_of_this_machine_need_a_token(stage: Stage) -> None:
    stage.run("quick", 1)
    assert the_driver().folder.stat().st_mode & 0o077 == 0  # Ray's sockets are in it
    environments = [
        Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        for pid in session.members(the_driver().pid)
        if name_of(pid) in ("raylet", "gcs_server")
    ]
    assert len(environments) == 2
    for environment in environments:
        assert b"RAY_AUTH_MODE=token" in environment
        assert [len(entry) for entry in environment if entry.startswith(b"RAY_AUTH_TOKEN=")] == [15 + 64]


def test_a_death_costs_a_retry(stage: Stage) -> None:
    stage.run("dies_once", 8)
    assert sorted(stage.got) == list(range(8))
    assert len(set(stage.runs(3))) == 2


def test_the_third_death_is_blamed_on_its_segment(stage: Stage) -> None:
    with pytest.raises(WorkerDied, match=r"segment 5 of stage 1: 3 workers died on it") as raised:
        stage.run("poison", 8)
    assert str(stage.folder / "log.txt") in str(raised.value)
    assert len(set(stage.runs(5))) == 3
    assert "in poison" in stage.log()  # the fault handler tells where
    assert not [pid for pid in stage.pids() if alive(pid)]


@pytest.mark.parametrize(
    ("segment", "kind", "message"),
    [
        (0, DataError, r"^NaN in trace 1$"),
        (1, ParameterError, r"^agc: parameter 'window_ms' is negative$"),
        (2, StepError, r"^segment 2: ZeroDivisionError: a b \(traceback in .*log.txt\)$"),
    ],
)
def test_errors_cross_by_class_and_message(stage: Stage, segment: int, kind: type[Exception], message: str) -> None:
    task = Task(folder=stage.folder, stage=1, compute=lambda *_: None, control=stage.control, workers=1)  # type: ignore[arg-type, return-value]
    with pytest.raises(kind, match=message) as caught, RayActors(target="ray_segments:raises") as executor:
        executor.run(task, [segment], lambda receipt: None)
    assert type(caught.value) is kind
    assert "Traceback" in stage.log()


def test_a_worker_that_cannot_be_put_right_is_replaced(stage: Stage) -> None:
    stage.workers = 1
    stage.run("redirects", 3)
    assert sorted(stage.got) == [0, 1, 2]
    assert len(stage.pids()) == 3


def test_too_much_memory_halves_the_workers_and_then_counts(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(WorkerDied, match="more than the job allows a worker"):
        stage.run("hoards", 2, memory_limit=250_000_000)
    assert [r.getMessage() for r in caplog.records if "out of memory" in r.getMessage()] == [
        "out of memory: going on with 1 workers"
    ]


def cancel_latency(stage: Stage, what: str, grace_s: float, command: int = CANCEL) -> float:
    raised: list[float] = []

    def act() -> None:
        time.sleep(0.05)
        raised.append(time.monotonic())
        stage.control.raise_command(command)

    thread = stage.once_begun(2, act)
    with pytest.raises(Cancelled, match="paused" if command == PAUSE else "cancelled"):
        stage.run(what, 8, grace_s)
    ended = time.monotonic()
    thread.join()
    assert len(stage.pids()) == 2  # no further segment was begun
    assert not [pid for pid in stage.pids() if alive(pid)]
    return ended - raised[0]


@pytest.mark.parametrize("command", [CANCEL, PAUSE])
def test_cooperative_segments_stop_soon(stage: Stage, command: int) -> None:
    assert cancel_latency(stage, "cooperative", grace_s=30.0, command=command) < 5.0


@pytest.mark.parametrize("what", ["deaf", "deaf_holding_gil"])
def test_deaf_segments_are_killed_after_the_grace_period(stage: Stage, what: str) -> None:
    assert 0.3 <= cancel_latency(stage, what, grace_s=0.3) < 6.0


def test_the_command_reaches_actors_that_share_no_memory(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor_module, "identity", lambda path: ["another machine", 0, 0])
    seen: list[int] = []

    def look() -> None:
        eventually(lambda: stage.control.in_flight() == 22)
        seen.append(stage.control.in_flight())
        stage.control.raise_command(CANCEL)

    looker = stage.once_begun(2, look)
    with pytest.raises(Cancelled):
        stage.run("cooperative", 4, grace_s=30.0)
    looker.join()
    assert seen == [22]  # two workers counted 11 traces each, in a control of their own
    assert not (stage.folder / "log.txt").exists()
    assert [path.name for path in stage.folder.glob("log-*.txt")] == [f"log-{os.uname().nodename}.txt"]


def test_a_job_already_cancelled_runs_nothing(stage: Stage) -> None:
    stage.control.raise_command(CANCEL)
    with pytest.raises(Cancelled):
        stage.run("nap", 4)
    assert not stage.pids()


@pytest.mark.parametrize("victim", ["raylet", "gcs_server"])
def test_a_dead_ray_is_replaced(stage: Stage, victim: str) -> None:
    folders = []

    def kill() -> None:
        folders.append(the_driver().folder)
        for pid in session.members(the_driver().pid):
            if name_of(pid) == victim:
                os.kill(pid, signal.SIGKILL)

    killer = stage.once_begun(2, kill)
    stage.run("slow", 6)
    killer.join()
    assert sorted(stage.got) == list(range(6))
    assert len(stage.pids()) == 4
    assert not folders[0].exists()


def test_a_dead_driver_is_replaced(stage: Stage) -> None:
    killer = stage.once_begun(2, lambda: os.kill(the_driver().pid, signal.SIGKILL))
    stage.run("slow", 6)
    killer.join()
    assert sorted(stage.got) == list(range(6))


def test_other_versions_on_a_node_are_refused(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor_module, "versions_of", lambda folder: {"numpy": "0.1"})
    monkeypatch.setattr(executor_module, "RUN_SEGMENT", "ray_segments:nap")
    with pytest.raises(PluginError, match=r"node \S+ has numpy [2-9]\S*, the job was planned with 0.1; install"):
        stage.run("nap", 2)
    assert not stage.pids()


def test_a_folder_that_a_node_does_not_see_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"node \S+ does not see .*every node mounts under the same path"):
        await_folder(tmp_path / "nowhere", patience_s=0.2)


def test_two_jobs_at_once_share_one_ray(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Stage(tmp_path / "other", Control(tmp_path / "other" / "control", create=True))
    thread = threading.Thread(target=lambda: other.run("nap", 20))
    thread.start()
    stage.run("nap", 20)
    thread.join()
    assert sorted(stage.got) == sorted(other.got) == list(range(20))
    assert session.members(the_driver().pid)


def test_what_this_machine_does_not_have_is_refused(stage: Stage) -> None:
    settings = attrs.evolve(Settings.from_environment(), resources=(("bigmem", 1.0),))
    task = Task(folder=stage.folder, stage=0, compute=lambda *_: None, control=stage.control, workers=1)  # type: ignore[arg-type, return-value]
    with pytest.raises(UsageError, match="asks for bigmem 1, this machine has 0"), RayActors(settings=settings) as ray:
        ray.target = "ray_segments:nap"
        ray.run(task, [0], lambda receipt: None)


def test_a_job_in_memory_is_refused(stage: Stage) -> None:
    with pytest.raises(UsageError, match="in-process"):
        stage.run("nap", 1, folder=None)


def test_no_segments_is_no_work(stage: Stage) -> None:
    stage.run("nap", 0)
    assert stage.got == []


ENGINE = """
import sys
from pathlib import Path
from seisproc_core.execution.executor import Task
from seisproc_core.jobs.control import Control
from seisproc_ray.executor import RayActors
sys.path.insert(0, sys.argv[1])
folder = Path(sys.argv[2])
control = Control(folder / "control", create=True)
task = Task(folder=folder, stage=0, compute=None, control=control, workers=2)
with RayActors(target="ray_segments:" + sys.argv[3]) as executor:
    print("starting", flush=True)
    executor.run(task, range(4), lambda receipt: None)
"""


def of_engine(engine: int) -> list[int]:
    """The session of the driver that a process started."""
    children = Path(f"/proc/{engine}/task/{engine}/children").read_text().split()
    return session.members(int(children[0])) if children else []


@pytest.mark.parametrize("what", ["deaf_holding_gil", "starting"])
def test_nothing_outlives_a_killed_engine(stage: Stage, what: str) -> None:
    short = Path("/tmp", f"t{os.getpid()}")  # where that engine puts its temporary folder
    short.mkdir()
    arguments = [sys.executable, "-c", ENGINE, str(Path(__file__).parent), str(stage.folder), "deaf_holding_gil"]
    engine = subprocess.Popen(arguments, env={**os.environ, "TMPDIR": str(short)})
    try:
        eventually(lambda: len(stage.pids()) == 2 if what != "starting" else len(of_engine(engine.pid)) > 3)
        processes = of_engine(engine.pid)
        engine.kill()
        killed = time.monotonic()
        engine.wait()
        eventually(lambda: not [pid for pid in processes if alive(pid)], within_s=4.0)
        eventually(lambda: not list(short.iterdir()), within_s=4.0)
        assert time.monotonic() - killed < 4.0
    finally:
        engine.kill()
        short.rmdir()


def test_the_end_of_the_engine_ends_ray_before_the_command_returns(stage: Stage) -> None:
    short = Path("/tmp", f"u{os.getpid()}")
    short.mkdir()
    arguments = [sys.executable, "-c", ENGINE, str(Path(__file__).parent), str(stage.folder), "nap"]
    done = subprocess.run(arguments, env={**os.environ, "TMPDIR": str(short)}, check=False, timeout=120)
    assert done.returncode == 0
    assert list(short.iterdir()) == []
    short.rmdir()
