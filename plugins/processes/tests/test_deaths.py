"""Workers, nursery and engine die: nothing is lost, nothing hangs, nothing is left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from worker_stage import Stage, alive, eventually

import seisproc_processes.executor as executor_module
from seisproc_core.errors import WorkerDied


def test_every_way_to_die_costs_a_retry(stage: Stage) -> None:
    stage.run("crash_once", 12)
    assert sorted(stage.got) == list(range(12))
    for segment in range(12):
        assert len(set(stage.runs(segment))) == 2  # once in vain, once again in another process
    assert "Segmentation fault" in stage.log()


def test_random_kills_lose_and_repeat_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy machine chance may hit the same segment three times.
    monkeypatch.setattr("seisproc_processes.executor.MAX_DEATHS", 1000)
    stop = threading.Event()
    killed: set[int] = set()

    def kill() -> None:
        dice = random.Random(1)
        while not stop.wait(0.12):
            pids = [pid for pid in sorted(stage.pids()) if pid not in killed and alive(pid)]
            if pids:
                victim = dice.choice(pids)
                killed.add(victim)
                os.kill(victim, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        stage.run("nap", 60)
    finally:
        stop.set()
        killer.join()
    assert len(killed) >= 3
    assert sorted(stage.got) == list(range(60))


def test_a_poison_segment_is_named_after_exactly_three_deaths(stage: Stage) -> None:
    with pytest.raises(WorkerDied) as raised:
        stage.run("poison", 8)
    assert "segment 5 of stage 1: 3 workers died on it, the last of signal 11 (SIGSEGV)" in str(raised.value)
    assert str(stage.folder / "log.txt") in str(raised.value)
    assert len(set(stage.runs(5))) == 3
    assert "in poison" in stage.log()  # the fault handler tells where


def test_many_deaths_at_once_keep_no_one_waiting(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.workers = 6
    begun = time.monotonic()
    with pytest.raises(WorkerDied):
        stage.run("exit_three", 6)
    assert time.monotonic() - begun < 4.0  # less than what a lost message would cost


def test_no_further_process_is_a_clear_error(stage: Stage) -> None:
    begun = time.monotonic()
    with pytest.raises(WorkerDied, match="no further worker process.*unavailable.*fewer workers"):
        stage.run("quick", 2, preload=("no_fork",))
    assert time.monotonic() - begun < 4.0


def test_an_exit_code_is_named(stage: Stage) -> None:
    with pytest.raises(WorkerDied, match="exit code 3"):
        stage.run("exit_three", 1)


def test_a_dead_nursery_is_replaced(stage: Stage) -> None:
    stage.run("kills_nursery_once", 8)
    assert sorted(stage.got) == list(range(8))


def test_a_nursery_that_dies_again_and_again_ends_the_run(stage: Stage) -> None:
    with pytest.raises(WorkerDied, match="starts the workers died 3 times"):
        stage.run("kills_nursery", 2)


def test_lack_of_memory_halves_the_workers_and_blames_nobody(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told = iter(range(100))
    monkeypatch.setattr(executor_module, "oom_kills", lambda: next(told))  # each death looks like the kernel's doing
    stage.workers = 8
    monkeypatch.setenv("DIE_FIRST", "3")
    stage.run("dies_first", 8)
    assert sorted(stage.got) == list(range(8))
    assert len(set(stage.runs(0))) == 4
    assert [r.getMessage() for r in caplog.records if "out of memory" in r.getMessage()] == [
        f"out of memory: going on with {limit} workers" for limit in (4, 2, 1)
    ]


def test_many_deaths_for_lack_of_memory_at_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    told = iter(range(100))
    monkeypatch.setattr(executor_module, "oom_kills", lambda: next(told))
    stage.workers = 8
    begun = time.monotonic()
    stage.run("all_die_first", 8)
    assert time.monotonic() - begun < 4.0
    assert sorted(stage.got) == list(range(8))


ENGINE = """
import sys
from pathlib import Path
from seisproc_core.execution.executor import Task
from seisproc_core.jobs.control import Control
from seisproc_processes.executor import Processes
sys.path.insert(0, sys.argv[1])
folder = Path(sys.argv[2])
control = Control(folder / "control", create=True)
task = Task(folder=folder, stage=0, compute=None, control=control, workers=2)
Processes(target="worker_segments:" + sys.argv[3]).run(task, range(4), lambda receipt: None)
"""


def group(leader: int) -> set[int]:
    """Live processes of a process group."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getpgid(int(entry.name)) == leader and alive(int(entry.name)):
                    found.add(int(entry.name))
            except ProcessLookupError:
                continue
    return found


@pytest.mark.parametrize("what", ["deaf", "spin_in_c", "deaf_holding_gil"])
def test_nothing_outlives_a_killed_engine(stage: Stage, what: str) -> None:
    arguments = [sys.executable, "-c", ENGINE, str(Path(__file__).parent), str(stage.folder), what]
    engine = subprocess.Popen(arguments, start_new_session=True)
    eventually(lambda: len(stage.pids()) == 2)
    assert len(group(engine.pid)) == 4  # engine, nursery, two workers
    engine.kill()
    killed = time.monotonic()
    engine.wait()
    eventually(lambda: not group(engine.pid), within_s=2.0)
    assert time.monotonic() - killed < 2.0


def test_an_engine_killed_while_the_nursery_imports_leaves_nothing(stage: Stage) -> None:
    (stage.folder / "slow_to_import.py").write_text(
        "import os, pathlib, time\n"
        "pathlib.Path(__file__).with_name('runs-import').write_text(str(os.getpid()))\n"
        "end = time.monotonic() + 60\n"
        "while time.monotonic() < end: sum(range(1000))\n"
    )
    arguments = [sys.executable, "-c", ENGINE.replace("worker_segments:", ""), str(stage.folder), str(stage.folder)]
    engine = subprocess.Popen([*arguments, "slow_to_import:run"], start_new_session=True)
    eventually(lambda: len(stage.pids()) == 1)
    engine.kill()
    engine.wait()
    eventually(lambda: not group(engine.pid), within_s=2.0)


def test_ctrl_c_is_left_to_the_engine(stage: Stage) -> None:
    arguments = [sys.executable, "-c", ENGINE, str(Path(__file__).parent), str(stage.folder), "deaf"]
    engine = subprocess.Popen(arguments, start_new_session=True, stderr=subprocess.PIPE, text=True)
    eventually(lambda: len(stage.pids()) == 2)
    os.killpg(engine.pid, signal.SIGINT)
    _, told = engine.communicate(timeout=10)
    assert engine.returncode != 0
    assert told.strip().endswith("KeyboardInterrupt")
    assert "KeyboardInterrupt" not in stage.log()
    assert not group(engine.pid)
