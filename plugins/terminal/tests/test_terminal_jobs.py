"""Signals, interruption and the job list: a job is stopped in the middle, resumed, and has the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from terminal_kit import FLOW, Run, needs_jobs

pytestmark = needs_jobs

SLOW_STEP = """
import time
from seisproc_core.hookspecs import hookimpl
from seisproc_core.processing.processor import Processor, processor

@processor("slow", scope="trace")
class Slow(Processor):
    '''Wait a little for every batch.'''

    def apply(self, batch, context):
        time.sleep(0.25)
        return batch.with_traces(batch.traces * 2)

@hookimpl
def seisproc_processors():
    return [Slow]
"""


@pytest.fixture
def flow(line: Path, tmp_path: Path, foreign: Callable[[str], None]) -> Path:
    foreign(SLOW_STEP)
    path = tmp_path / "slow.toml"
    path.write_text(FLOW.format(step="slow").replace('"out.seis"', '"out.seis"\nshard_traces = 16'))
    return path


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path, environment: Mapping[str, str]) -> Start:
    """Start the command and return once it has committed a segment more than before."""

    def start_command(*arguments: object) -> subprocess.Popen[str]:
        before = _journalled(tmp_path)
        process = subprocess.Popen(
            [sys.executable, "-m", "seisproc_terminal.main", *map(str, arguments)],
            cwd=tmp_path,
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 60
        while _journalled(tmp_path) <= before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        return process

    return start_command


def _journalled(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("out.seis.*.part/journal"))


def _digest(survey: Path) -> str:
    """Of everything but the provenance, which holds times."""
    digest = hashlib.sha256()
    for path in sorted(p for p in survey.rglob("*") if p.is_file() and p.name != "provenance.json"):
        digest.update(path.relative_to(survey).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_cancels_and_resume_finishes(
    run: Run, start: Start, flow: Path, tmp_path: Path, number: int, code: int
) -> None:
    process = start("run", flow, "--workers", 1)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    assert f"seisproc resume {tmp_path / 'out.seis'}" in err
    assert not out and "Traceback" not in err
    assert not (tmp_path / "out.seis").exists()
    assert run("jobs", "--json").document["jobs"][0]["state"] == "cancelled"
    verified = run("verify", "out.seis", "--json")
    assert (verified.code, verified.document["state"]) == (3, "unfinished")
    assert run("info", "out.seis").code == 3
    resumed = run("resume", "out.seis", "--json")
    assert resumed.code == 0, resumed.err
    assert run("verify", "out.seis").code == 0
    whole = run("run", flow, "--out", "whole.seis")
    assert whole.code == 0
    assert _digest(tmp_path / "out.seis") == _digest(tmp_path / "whole.seis")


def test_second_signal_ends_at_once(start: Start, flow: Path) -> None:
    process = start("run", flow, "--workers", 1)
    process.send_signal(signal.SIGINT)
    time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 130


def test_killed_job_shows_as_interrupted(run: Run, start: Start, flow: Path, tmp_path: Path) -> None:
    process = start("run", flow, "--workers", 1)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=10)
    time.sleep(2.5)  # until the last worker let go of the lock
    job = run("jobs", "--json").document["jobs"][0]
    assert job["state"] == "interrupted"
    assert "seisproc resume" in job["error"]
    assert "interrupted" in run("jobs", "show", job["id"][:6]).out
    cancelled = run("jobs", "cancel", job["id"], "--json")
    assert cancelled.code == 0, cancelled.err
    assert cancelled.document["state"] == "cancelled"
    assert run("resume", "out.seis").code == 0


def test_cancel_from_another_terminal(run: Run, start: Start, flow: Path, tmp_path: Path) -> None:
    process = start("run", flow, "--workers", 1, "--json")
    (record,) = tmp_path.glob("out.seis.*.part/job.json")
    job = json.loads(record.read_text())["job"]
    cancelled = run("jobs", "cancel", job)
    assert cancelled.code == 0, cancelled.err + cancelled.out
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert '"exit_code": 130' in out
    again = run("jobs", "cancel", job)
    assert again.code == 0  # it is cancelled, as asked


def test_failing_step_is_reported(run: Run, line: Path, tmp_path: Path, foreign: Callable[[str], None]) -> None:
    foreign(SLOW_STEP.replace("time.sleep(0.25)", "raise KeyError('gone\\x1b[31m')"))
    (tmp_path / "flow.toml").write_text(FLOW.format(step="slow"))
    done = run("run", "flow.toml", "--json")
    assert done.code == 1
    assert "slow" in done.document["error"] and "KeyError" in done.document["error"]
    assert "\x1b" not in done.err and "Traceback" not in done.err
    assert run("jobs", "--json").document["jobs"][0]["state"] == "failed"
    assert not list(tmp_path.glob("out.seis*"))


def test_job_id_must_be_known(run: Run, line: Path) -> None:
    done = run("jobs", "show", "zzz")
    assert done.code == 2
    assert done.err.count("\n") == 1
