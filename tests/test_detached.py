"""Detached jobs: they outlive the shell, are controlled from any process, and survive the death of everything."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from detached_kit import Desk, install_plugin, wait_for
from integration_kit import contents

from seisproc_core.jobs.workfolder import WorkFolder

SLOW = {"use": "slow"}


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_plugin(tmp_path_factory.mktemp("steps") / "site")


@pytest.fixture
def desk(survey: Path, steps: Path, tmp_path: Path) -> Iterator[Desk]:
    state = {"SEISPROC_STATE_DIR": str(tmp_path / "state"), "TEST_GATE": str(tmp_path / "gate")}
    env = {**state, "PYTHONPATH": str(steps), "SEISPROC_CPUS": "2"}
    made = Desk(tmp_path, survey, env)
    yield made
    made.kill("")


@pytest.fixture(scope="module")
def expected(survey: Path, steps: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the slow flow makes when nobody disturbs it."""
    folder = tmp_path_factory.mktemp("expected")
    env = {"SEISPROC_STATE_DIR": str(folder / "state"), "PYTHONPATH": str(steps), "TEST_GATE": str(folder / "gate")}
    desk = Desk(folder, survey, env)
    assert desk("run", desk.flow("out", SLOW)).code == 0
    return contents(desk.output("out"))


def test_a_detached_job_is_run_and_nothing_stays(desk: Desk, expected: dict[str, str]) -> None:
    job = desk.detach(desk.flow("out", SLOW), "--priority", 7)
    assert desk.until(job, "completed")["priority"] == 7
    assert contents(desk.output("out")) == expected
    desk.quiet()
    assert {path.name for path in desk.folder.iterdir()} == {"out.seis", "out.toml", "state"}


def test_what_is_wrong_is_said_before_it_is_queued(desk: Desk) -> None:
    done = desk("run", desk.flow("out", {"use": "agc", "window_ms": -1}), "--detach")
    assert done.code == 2 and "window_ms" in done.err
    assert desk.json("jobs")["jobs"] == []
    assert not desk.processes()


def test_pause_frees_the_workers_and_resume_goes_on(desk: Desk, expected: dict[str, str]) -> None:
    desk.shut()
    job = desk.detach(desk.flow("out", SLOW), "--workers", 1)
    desk.begun(job)
    assert desk("jobs", "pause", job).code == 0
    assert desk.state(job) == "paused"
    desk.quiet()  # with nothing left to run the engine leaves too
    desk.open()
    assert desk("jobs", "resume", job).code == 0
    desk.until(job, "completed")
    assert contents(desk.output("out")) == expected


def test_cancel_and_retry(desk: Desk, expected: dict[str, str]) -> None:
    desk.shut()
    job = desk.detach(desk.flow("out", SLOW), "--workers", 1)
    desk.begun(job)
    assert desk("jobs", "cancel", job).code == 0
    assert desk.state(job) == "cancelled"
    desk.open()
    retried = desk.json("jobs", "retry", job, "--detach")["job"]
    assert desk.until(retried, "completed")["retry_of"] == job
    assert contents(desk.output("out")) == expected
    assert desk("jobs", "retry", retried).code == 2


def test_what_other_code_began_is_thrown_away_by_a_retry_that_says_so(desk: Desk, expected: dict[str, str]) -> None:
    desk.shut()
    job = desk.detach(desk.flow("out", SLOW), "--workers", 1)
    desk.begun(job)
    assert desk("jobs", "cancel", job).code == 0
    (part,) = WorkFolder.find(desk.output("out"))
    part.rename(part.with_name(f"{desk.output('out').name}.{'0' * 8}.part"))  # the fingerprint of other code
    desk.open()
    assert "--discard" in desk("jobs", "retry", job).err
    retried = desk.json("jobs", "retry", job, "--detach", "--discard")["job"]
    desk.until(retried, "completed")
    assert contents(desk.output("out")) == expected
    assert not WorkFolder.find(desk.output("out"))


def test_jobs_after_a_job(desk: Desk) -> None:
    first = desk.detach(desk.flow("a", SLOW))
    second = desk.detach(desk.flow("b", {"use": "agc", "window_ms": 100}, source=desk.output("a")), "--after", first)
    desk.until(second, "completed")
    assert desk("verify", desk.output("b")).code == 0
    bad = desk.detach(desk.flow("c", SLOW, {"use": "broken"}))
    child = desk.detach(desk.flow("d", SLOW, source=desk.output("c")), "--after", bad)
    grandchild = desk.detach(desk.flow("e", SLOW, source=desk.output("d")), "--after", child)
    for job in (bad, child, grandchild):
        desk.until(job, "failed")
    assert bad in desk.json("jobs", "show", child)["error"]
    assert child in desk.json("jobs", "show", grandchild)["error"]
    desk.shut()
    held = desk.detach(desk.flow("f", SLOW))
    below = desk.detach(desk.flow("g", SLOW, source=desk.output("f")), "--after", held)
    assert desk("jobs", "cancel", held).code == 0
    assert desk.state(below) == "cancelled"


def test_the_machine_is_not_oversold(desk: Desk) -> None:
    desk.shut()
    first = desk.detach(desk.flow("a", SLOW), "--workers", 2)
    second = desk.detach(desk.flow("b", SLOW), "--workers", 1)
    desk.until(first, "running")
    assert desk.state(second) == "queued"
    assert desk("run", desk.flow("a", SLOW)).code == 75  # its output is taken, and by whom is said
    urgent = desk.detach(desk.flow("c", SLOW), "--workers", 1)
    assert desk("jobs", "priority", urgent, 9).code == 0
    assert desk("jobs", "cancel", first).code == 0
    desk.open()
    begun = [
        next(event["at"] for event in desk.until(job, "completed")["events"] if event["state"] == "running")
        for job in (urgent, second)
    ]
    assert begun[0] <= begun[1]


def test_the_engine_dies_and_the_job_does_not(desk: Desk, expected: dict[str, str]) -> None:
    desk.shut()
    job = desk.detach(desk.flow("out", SLOW), "--workers", 1)
    queued = desk.detach(desk.flow("next", SLOW), "--workers", 2)
    desk.begun(job)
    assert desk.kill("jobs.service lead") == 1
    desk.open()
    desk.until(job, "completed")
    assert contents(desk.output("out")) == expected
    assert desk.until(queued, "completed")  # the job's own process took over
    assert [event["state"] for event in desk.json("jobs", "show", job)["events"]].count("running") == 1


def test_the_process_of_a_job_dies_and_another_goes_on(desk: Desk, expected: dict[str, str]) -> None:
    desk.shut()
    job = desk.detach(desk.flow("out", SLOW), "--workers", 1)
    desk.begun(job)
    assert desk.kill("jobs.service run") == 1
    desk.open()
    record = desk.until(job, "completed")
    assert record["attempt"] == 1
    assert contents(desk.output("out")) == expected


def test_everything_dies_and_the_next_command_goes_on(desk: Desk, expected: dict[str, str]) -> None:
    desk.shut()
    job = desk.detach(desk.flow("out", SLOW), "--workers", 1)
    waiting = desk.detach(desk.flow("next", SLOW), "--workers", 2)
    desk.begun(job)
    assert desk.kill("") > 0
    assert desk.state(job) == "interrupted"
    desk.open()
    third = desk.detach(desk.flow("third", SLOW))
    for one in (job, waiting, third):
        desk.until(one, "completed")
    assert contents(desk.output("out")) == contents(desk.output("next")) == expected


def test_a_job_whose_process_dies_three_times_fails(desk: Desk) -> None:
    trigger = desk.folder / "trigger"
    flow = desk.flow("out", {"use": "fatal_plan", "path": str(trigger)}, source=desk.output("first"))
    first = desk.detach(desk.flow("first", SLOW))
    trigger.touch()
    job = desk.detach(flow, "--after", first)
    beside = desk.detach(desk.flow("beside", SLOW))
    record = desk.until(job, "failed")
    assert "3 times" in record["error"]
    desk.until(beside, "completed")


def test_planning_that_hangs_is_killed_by_a_cancel(desk: Desk) -> None:
    trigger = desk.folder / "trigger"
    first = desk.detach(desk.flow("first", SLOW))
    trigger.touch()
    flow = desk.flow("out", {"use": "deaf_plan", "path": str(trigger)}, source=desk.output("first"))
    job = desk.detach(flow, "--after", first)
    desk.until(job, "running")
    wait_for(lambda: bool(desk.processes(f" {job}")))
    assert desk("jobs", "cancel", job).code == 0
    assert desk.state(job) == "cancelled"
    desk.quiet()


def test_a_foreground_run_hands_over_what_others_queued(desk: Desk, expected: dict[str, str]) -> None:
    desk.shut()
    foreground = desk.foreground(desk.flow("a", SLOW), "--workers", "2")
    desk.the_running_one()
    job = desk.detach(desk.flow("out", SLOW))
    assert not desk.processes("jobs.service")  # the foreground command is the engine
    desk.open()
    foreground.communicate(timeout=60)
    assert foreground.returncode == 0
    desk.until(job, "completed")
    assert contents(desk.output("out")) == expected


def test_a_foreground_run_is_paused_and_resumed_from_elsewhere(desk: Desk, expected: dict[str, str]) -> None:
    desk.shut()
    foreground = desk.foreground(desk.flow("out", SLOW), "--workers", "1")
    job = desk.the_running_one()
    assert desk("jobs", "pause", job).code == 0
    assert foreground.poll() is None
    desk.open()
    assert desk("jobs", "resume", job).code == 0
    foreground.communicate(timeout=60)
    assert foreground.returncode == 0
    assert contents(desk.output("out")) == expected


def test_a_killed_foreground_run_ends_with_its_process(desk: Desk, expected: dict[str, str]) -> None:
    desk.shut()
    foreground = desk.foreground(desk.flow("out", SLOW), "--workers", "1")
    job = desk.the_running_one()
    foreground.send_signal(signal.SIGKILL)
    foreground.communicate()
    assert desk.state(job) == "interrupted"
    desk.open()
    other = desk.detach(desk.flow("other", SLOW))
    desk.until(other, "completed")
    assert desk.state(job) == "failed"
    done = desk("resume", desk.output("out"))
    assert done.code == 0, done.err
    assert contents(desk.output("out")) == expected


def test_resuming_an_output_by_its_path_resumes_the_paused_job(desk: Desk, expected: dict[str, str]) -> None:
    desk.shut()
    job = desk.detach(desk.flow("out", SLOW), "--workers", 1)
    desk.begun(job)
    assert desk("jobs", "pause", job).code == 0
    desk.open()
    done = desk("resume", desk.output("out"))
    assert done.code == 0, done.err
    assert desk.state(job) == "completed"
    assert contents(desk.output("out")) == expected


def test_a_full_disk_pauses_a_detached_job(desk: Desk, expected: dict[str, str]) -> None:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a small file system can only be mounted as root")
    small = desk.folder / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        flow = desk.flow("out", SLOW)
        flow.write_text(flow.read_text().replace(str(desk.output("out")), str(small / "out.seis")))
        desk.shut()
        job = desk.detach(flow, "--workers", 1)
        desk.begun(job)
        filler = small / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(4096))
        desk.open()
        record = desk.until(job, "paused", timeout_s=30)
        assert "free some space" in record["events"][-1]["reason"]
        filler.unlink()
        assert desk("jobs", "resume", job).code == 0
        desk.until(job, "completed")
        assert contents(small / "out.seis") == expected
        desk.quiet()
    finally:
        desk.kill("")
        subprocess.run(["umount", "-l", small], check=True)
