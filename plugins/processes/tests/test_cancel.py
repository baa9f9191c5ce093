"""Cancel and pause: asked for first, enforced after the grace period."""

from __future__ import annotations

import time

import pytest
from worker_stage import Stage

from seisproc_core.errors import Cancelled
from seisproc_core.jobs.control import CANCEL, PAUSE


def cancel_latency(stage: Stage, what: str, grace_s: float, command: int = CANCEL) -> float:
    raised = []

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
    return ended - raised[0]


@pytest.mark.parametrize("command", [CANCEL, PAUSE])
def test_cooperative_segments_stop_soon(stage: Stage, command: int) -> None:
    assert cancel_latency(stage, "cooperative", grace_s=30.0, command=command) < 1.0


@pytest.mark.parametrize("what", ["deaf", "deaf_holding_gil", "spin_in_c"])
def test_deaf_segments_are_killed_after_the_grace_period(stage: Stage, what: str) -> None:
    assert 0.3 <= cancel_latency(stage, what, grace_s=0.3) < 1.3


def test_segments_that_end_within_the_grace_period_count(stage: Stage) -> None:
    thread = stage.once_begun(2, lambda: stage.control.raise_command(PAUSE))
    with pytest.raises(Cancelled):
        stage.run("nap", 50, grace_s=5.0)
    thread.join()
    assert sorted(stage.got) == sorted(k for k in range(50) if stage.runs(k))
    assert len(stage.got) < 50


def test_a_job_already_cancelled_runs_nothing(stage: Stage) -> None:
    stage.control.raise_command(CANCEL)
    with pytest.raises(Cancelled):
        stage.run("quick", 4)
    assert not stage.pids()


def test_a_command_after_the_last_segment_changes_nothing(stage: Stage) -> None:
    with stage.executor("quick") as executor:

        def done(receipt: object) -> None:
            stage.got.append(0)
            if len(stage.got) == 3:
                stage.control.raise_command(CANCEL)

        executor.run(stage.task(), range(3), done)
    assert len(stage.got) == 3
