"""The executor ``joblib``: everything done once, deaths survived or blamed on the right segment, cancel, errors."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from seisproc_core.errors import Cancelled, DataError, ParameterError, StepError, UsageError, WorkerDied
from seisproc_core.execution.executor import Receipt, Task
from seisproc_core.jobs.control import CANCEL, Control
from seisproc_joblib.executor import LOG, Loky


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))

    def never(segment: int, slot: int) -> Callable[[], Receipt]:
        raise AssertionError("this runs in the engine")

    control = Control(tmp_path / "control", create=True)
    return Task(folder=tmp_path, stage=1, compute=never, control=control, workers=2)


def run(task: Task, what: str, segments: range, grace_s: float = 2.0) -> list[int]:
    got: list[int] = []
    here = threading.get_ident()

    def done(receipt: Receipt) -> None:
        assert threading.get_ident() == here
        assert receipt.pieces == (("a/b", 0, 10 + receipt.segment, 7),)
        got.append(receipt.segment)

    Loky(grace_s=grace_s, target=f"joblib_segments:{what}").run(task, segments, done)
    return got


def pids(folder: Path) -> set[int]:
    return {int(pid) for file in folder.glob("runs-*") for pid in file.read_text().split()}


def alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def assert_gone(folder: Path) -> None:
    """What was killed takes a moment to go on a busy machine; two seconds are promised."""
    deadline = time.monotonic() + 2.0
    while left := [pid for pid in pids(folder) if alive(pid)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


def test_every_segment_is_done_once_and_slots_are_not_shared(task: Task) -> None:
    assert sorted(run(task, "nap", range(30))) == list(range(30))
    assert task.folder is not None
    assert "hello from 7" in (task.folder / LOG).read_text()


def test_a_death_costs_a_retry(task: Task) -> None:
    assert sorted(run(task, "dies_once", range(8))) == list(range(8))


def test_the_third_death_is_blamed_on_the_right_segment(task: Task) -> None:
    with pytest.raises(WorkerDied, match=r"segment 5 of stage 1: 3 workers died .*EXIT\(3\)"):
        run(task, "poison", range(12))
    assert task.folder is not None
    assert len((task.folder / "runs-5").read_text().split()) == 3


@pytest.mark.parametrize(
    ("segment", "kind", "message"),
    [
        (0, DataError, r"^NaN in trace 1$"),
        (1, ParameterError, r"^agc: parameter 'window_ms' is negative$"),
        (2, StepError, r"^segment 2: ZeroDivisionError: a b \(traceback in .*log.txt\)$"),
    ],
)
def test_errors_cross_by_class_and_message(task: Task, segment: int, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as raised:
        run(task, "raises", range(segment, segment + 1))
    assert type(raised.value) is kind
    assert task.folder is not None
    assert "Traceback" in (task.folder / LOG).read_text()


@pytest.mark.parametrize(("what", "grace_s", "limit_s"), [("cooperative", 30.0, 5.0), ("deaf", 0.3, 5.0)])
def test_cancel_stops_and_leaves_no_worker(task: Task, what: str, grace_s: float, limit_s: float) -> None:
    raised_at: list[float] = []
    folder = task.folder
    assert folder is not None

    def cancel() -> None:
        while len(pids(folder)) < 2:
            time.sleep(0.01)
        raised_at.append(time.monotonic())
        task.control.raise_command(CANCEL)

    canceller = threading.Thread(target=cancel)
    canceller.start()
    with pytest.raises(Cancelled):
        run(task, what, range(8), grace_s)
    canceller.join()
    assert time.monotonic() - raised_at[0] < limit_s
    assert_gone(folder)


def test_workers_hold_the_lock_and_find_the_same_directory(task: Task) -> None:
    assert task.folder is not None
    lock = os.open(task.folder / "lock", os.O_CREAT | os.O_RDWR)
    assert sorted(run(attrs.evolve(task, keep_open=(lock,), workers=1), "holds", range(3))) == [0, 1, 2]
    assert not os.get_inheritable(lock)
    os.close(lock)
    for segment in range(3):
        directory, *names = (task.folder / f"files-{segment}").read_text().splitlines()
        assert "lock" in names
        assert directory == str(Path.cwd())
    assert_gone(task.folder)  # what steps had started included


def test_too_much_memory_in_company_halves_the_workers(task: Task, caplog: pytest.LogCaptureFixture) -> None:
    assert sorted(run(attrs.evolve(task, memory_limit=200_000_000), "greedy", range(4))) == [0, 1, 2, 3]
    assert re.search(r"too much memory: a peak of \d+ MB where 200 MB is the limit: going on with half", caplog.text)


def test_too_much_memory_alone_is_named(task: Task) -> None:
    assert task.folder is not None
    (task.folder / "always").touch()
    with pytest.raises(WorkerDied, match=r"segment 0 of .* too much memory: a peak of \d+ MB where 200 MB is the"):
        run(attrs.evolve(task, memory_limit=200_000_000), "greedy", range(2))


ENGINE = """
import sys
from pathlib import Path
from seisproc_core.execution.executor import Task
from seisproc_core.jobs.control import Control
from seisproc_joblib.executor import Loky
sys.path.insert(0, sys.argv[1])
folder = Path(sys.argv[2])
control = Control(folder / "control", create=True)
task = Task(folder=folder, stage=0, compute=None, control=control, workers=2)
Loky(target="joblib_segments:deaf").run(task, range(4), lambda receipt: None)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="workers die with the engine by a request that only Linux has")
def test_no_worker_outlives_a_killed_engine(task: Task) -> None:
    folder = task.folder
    assert folder is not None
    engine = subprocess.Popen([sys.executable, "-c", ENGINE, str(Path(__file__).parent), str(folder)])
    while len(pids(folder)) < 2:
        assert engine.poll() is None
        time.sleep(0.01)
    engine.kill()
    engine.wait()
    assert_gone(folder)


def test_a_job_in_memory_is_refused(task: Task) -> None:
    in_memory = Task(folder=None, stage=0, compute=task.compute, control=task.control, workers=1)
    with pytest.raises(UsageError, match="in-process"):
        Loky().run(in_memory, [0], lambda receipt: None)


def test_no_segments_is_no_work(task: Task) -> None:
    assert run(task, "nap", range(0)) == []
