"""Whatever a plugin does to its worker: the job ends as it should, and nothing of it stays."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from test_deaths import ENGINE, group
from worker_stage import Stage, alive, eventually

from seisproc_core.errors import Cancelled, StepError, WorkerDied
from seisproc_core.jobs.control import CANCEL

HERE = "misbehaving_segments:"


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        (0, "SystemExit: 0"),
        (1, "KeyboardInterrupt: "),
        (2, "GeneratorExit: over"),
        (3, "Rootless: no Exception"),
        (4, r"Speechless: \(it cannot say"),
        (5, "RuntimeError: x{2000} "),
        (6, "UnicodeError: "),
    ],
)
def test_whatever_is_raised_fails_the_segment_at_once(stage: Stage, segment: int, message: str) -> None:
    with stage.executor(HERE + "raises_anything") as executor, pytest.raises(StepError, match=message):
        executor.run(stage.task(), [segment], stage.done)
    assert len(stage.runs(segment)) == 1
    assert "Traceback (most recent call last)" in stage.log()


def test_endless_recursion_is_an_error(stage: Stage) -> None:
    with pytest.raises(StepError, match="RecursionError"):
        stage.run(HERE + "recurses", 1)


@pytest.mark.parametrize("what", ["spins_in_python", "stops_itself", "refuses_to_die"])
def test_what_hears_nothing_is_killed_after_the_grace_period(stage: Stage, what: str) -> None:
    told = []

    def cancel() -> None:
        time.sleep(0.05)
        told.append(time.monotonic())
        stage.control.raise_command(CANCEL)

    thread = stage.once_begun(2, cancel)
    with pytest.raises(Cancelled):
        stage.run(HERE + what, 4, grace_s=0.3)
    assert 0.3 <= time.monotonic() - told[0] < 1.3
    thread.join()


def test_an_import_that_hangs_can_be_cancelled(stage: Stage) -> None:
    (stage.folder / "never_imported.py").write_text("import time\ntime.sleep(60)\n")
    threading.Timer(0.5, stage.control.raise_command, [CANCEL]).start()
    begun = time.monotonic()
    with pytest.raises(Cancelled), pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(stage.folder))
        stage.run("quick", 2, grace_s=0.2, preload=("never_imported",))
    assert time.monotonic() - begun < 2.0


def test_an_import_that_takes_the_signals_away_changes_nothing(stage: Stage) -> None:
    (stage.folder / "takes_signals.py").write_text(
        "import signal\nsignal.set_wakeup_fd(-1)\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(stage.folder))
        stage.run("crash_once", 4, preload=("takes_signals",))
    assert sorted(stage.got) == [0, 1, 2, 3]


def test_every_segment_finds_the_same_surroundings(stage: Stage) -> None:
    stage.workers = 1
    stage.run(HERE + "redecorates", 3)
    found = [(stage.folder / f"found-{k}").read_text() for k in range(3)]
    left = [(stage.folder / f"left-{k}").read_text() for k in range(3)]
    assert found[0] == found[1] == found[2]
    assert found[0] != left[0] == left[1] == left[2]
    assert len(stage.pids()) == 1  # put back, not replaced
    assert all(f"segment {k} is heard" in stage.log() for k in range(3))


@pytest.mark.parametrize("what", ["closes_low_files", "removes_its_directory"])
def test_a_worker_without_its_files_is_replaced(stage: Stage, what: str) -> None:
    stage.workers = 1
    stage.run(HERE + what, 4)
    assert stage.got == [0, 1, 2, 3]
    assert all(len(stage.runs(k)) == 1 for k in range(4))
    assert len(stage.pids()) == (4 if what == "closes_low_files" else 1)


def test_a_worker_that_hangs_up_counts_as_dead(stage: Stage) -> None:
    with pytest.raises(WorkerDied, match="segment 0 of stage 1: 3 workers died"):
        stage.run(HERE + "closes_all_files", 1)
    assert len(stage.runs(0)) == 3


def test_closed_streams_do_not_hide_the_error(stage: Stage) -> None:
    with pytest.raises(StepError, match="ValueError: said to nobody"):
        stage.run(HERE + "closes_python_streams", 1)


def cancel_when_all_started(stage: Stage) -> threading.Thread:
    def act() -> None:
        eventually((stage.folder / "all-started").exists)
        stage.control.raise_command(CANCEL)

    return threading.Thread(target=act)


@pytest.mark.parametrize("ends", ["well", "dying", "cancelled"])
def test_processes_that_a_step_leaves_end_with_the_job(stage: Stage, ends: str) -> None:
    what = {"well": "", "dying": "_and_dies", "cancelled": "_and_sleeps"}[ends]
    if ends == "cancelled":
        cancel_when_all_started(stage).start()
    failure = {"well": (), "dying": WorkerDied, "cancelled": Cancelled}[ends]
    try:
        stage.run(f"{HERE}leaves_processes{what}", 1, grace_s=0.2)
    except failure:  # type: ignore[misc]
        pass
    else:
        assert ends == "well"
    assert len(list(stage.folder.glob("started-*"))) >= 4
    assert not stage.left()  # not even for a moment


def test_processes_that_a_step_leaves_end_with_a_killed_engine(stage: Stage) -> None:
    script = ENGINE.replace("worker_segments:", HERE).replace("range(4)", "range(1)")
    arguments = [sys.executable, "-c", script, str(Path(__file__).parent), str(stage.folder)]
    engine = subprocess.Popen([*arguments, "leaves_processes_and_sleeps"], start_new_session=True)
    eventually((stage.folder / "all-started").exists)
    assert stage.left()
    engine.kill()
    engine.wait()
    eventually(lambda: not stage.left() and not group(engine.pid), within_s=2.0)


def test_a_forked_worker_answers_once(stage: Stage) -> None:
    stage.run(HERE + "forks", 6)
    assert sorted(stage.got) == list(range(6))


def test_a_greedy_segment_is_named_with_peak_and_limit(stage: Stage) -> None:
    with pytest.raises(WorkerDied) as raised:
        stage.run(HERE + "greedy", 4, memory_limit=200_000_000)
    assert re.search(
        r"segment 0 of stage 1: 3 workers died on it, the last of too much memory: "
        r"a peak of [23]\d\d MB where 200 MB is the limit",
        str(raised.value),
    )
    assert len(set(stage.runs(0))) == 4  # the first time in company, which does not count


def test_too_much_memory_in_company_halves_the_workers(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.run(HERE + "greedy_in_company", 6, memory_limit=200_000_000)
    assert sorted(stage.got) == list(range(6))
    assert "out of memory: going on with 1 workers" in caplog.text
    assert re.search(r"too much memory: a peak of [23]\d\d MB where 200 MB is the limit", caplog.text)
    assert len(stage.runs(0)) == 2


def test_memory_that_is_only_reserved_or_mapped_is_not_counted(stage: Stage) -> None:
    stage.run(HERE + "maps_much", 2, memory_limit=200_000_000)
    assert sorted(stage.got) == [0, 1]


def test_slots_of_dead_workers_are_empty(stage: Stage) -> None:
    stage.run("crash_once", 8)
    assert stage.control.workers() == []
    assert stage.control.in_flight() == 0
    assert not [pid for pid in stage.pids() if alive(pid)]
