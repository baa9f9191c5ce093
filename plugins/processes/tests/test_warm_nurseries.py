"""One executor serves job after job, and several at once: the next starts warm, and nothing of the last one is left."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from pathlib import Path

import pytest
from worker_stage import Stage, children

from seisproc_core.errors import Cancelled, DataError
from seisproc_core.jobs.control import CANCEL, Control


@pytest.fixture
def other(tmp_path: Path) -> Stage:
    folder = tmp_path / "other"
    folder.mkdir()
    return Stage(folder, Control(folder / "control", create=True))


def nurseries(before: set[int]) -> set[int]:
    return children() - before


def test_the_next_job_gets_the_same_nursery_and_its_own_log(stage: Stage, other: Stage) -> None:
    before = children()
    stage.workers = other.workers = 1  # two could write into each other's lines
    with stage.executor("chatty") as executor:
        executor.run(stage.task(), range(2), stage.done)
        (first,) = nurseries(before)
        executor.run(other.task(), range(5, 7), other.done)
        assert nurseries(before) == {first}
    assert not nurseries(before)
    assert "hello from segment 1\n" in stage.log() and "segment 5" not in stage.log()
    assert "hello from segment 6\n" in other.log() and "segment 1" not in other.log()


def test_what_a_job_will_need_is_imported_before_it_begins(stage: Stage) -> None:
    before, marker = children(), stage.folder / "imported"
    (stage.folder / "slow_to_import.py").write_text(
        f"from pathlib import Path\nPath({str(marker)!r}).open('a').write('once ')\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(stage.folder))
        with stage.executor("quick") as executor:
            executor.warm(1, ["slow_to_import", "not_there_at_all"])
            (warmed,) = nurseries(before)
            executor.warm(1, ["slow_to_import"])
            executor.run(stage.task(preload=("slow_to_import",)), range(4), stage.done)
            assert nurseries(before) == {warmed}
    assert sorted(stage.got) == [0, 1, 2, 3]
    assert marker.read_text() == "once "


def test_the_lock_is_free_as_soon_as_the_job_has_ended(stage: Stage) -> None:
    lock = os.open(stage.folder / "lock", os.O_CREAT | os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with stage.executor("quick") as executor:
        executor.run(stage.task(keep_open=(lock,)), range(4), stage.done)
        os.close(lock)
        other = os.open(stage.folder / "lock", os.O_RDWR)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)  # while the nursery rests
        os.close(other)


def test_jobs_at_once_do_not_meet(stage: Stage, other: Stage) -> None:
    before = children()
    with stage.executor("nap") as executor:
        threads = [
            threading.Thread(target=executor.run, args=(one.task(), range(12), one.done)) for one in (stage, other)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(nurseries(before)) == 2
    assert sorted(stage.got) == sorted(other.got) == list(range(12))
    assert not stage.pids() & other.pids()


def test_a_cancelled_job_leaves_the_nursery_and_a_failed_one_does_not(stage: Stage, other: Stage) -> None:
    before = children()
    with stage.executor("deaf", grace_s=0.1) as executor:
        cancel = stage.once_begun(2, lambda: stage.control.raise_command(CANCEL))
        with pytest.raises(Cancelled):
            executor.run(stage.task(), range(2), stage.done)
        cancel.join()
        assert len(nurseries(before)) == 1
    with other.executor("raises") as executor:
        with pytest.raises(DataError):
            executor.run(other.task(), [0], other.done)
        assert not nurseries(before)


def test_workers_see_the_environment_of_their_job(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    before = children()
    with stage.executor("dies_first") as executor:
        monkeypatch.setenv("DIE_FIRST", "0")
        executor.run(stage.task(), [0], stage.done)
        monkeypatch.setenv("DIE_FIRST", "2")
        executor.run(stage.task(), [0], stage.done)
        assert len(nurseries(before)) == 1  # the one that would not do is gone
    assert len(stage.runs(0)) == 1 + 2


def test_a_nursery_that_died_while_it_rested_is_replaced(stage: Stage) -> None:
    before = children()
    with stage.executor("quick") as executor:
        executor.run(stage.task(), range(2), stage.done)
        (nursery,) = nurseries(before)
        os.kill(nursery, signal.SIGKILL)
        os.waitid(os.P_PID, nursery, os.WEXITED | os.WNOWAIT)
        executor.run(stage.task(), range(2, 4), stage.done)
    assert sorted(stage.got) == [0, 1, 2, 3]
