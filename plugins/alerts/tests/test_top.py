"""``seisproc top``: jobs and workers as their files say, live, and never held up by any of them."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from alerts_kit import make_job, make_sample
from rich.console import Console

from seisproc_alerts import display, top
from seisproc_alerts.display import job_line, live, plain
from seisproc_alerts.gpus import Gpu
from seisproc_alerts.top import Background, Collector, JobView, View
from seisproc_core.jobs.control import Control
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.process import identity
from seisproc_core.jobs.states import State
from seisproc_core.jobs.store import MemoryStore
from seisproc_core.plugins import registry

PROGRAM = [sys.executable, "-m", "seisproc_terminal.main"]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A running job of this process with one worker, which is this process too."""
    folder = tmp_path / "out.seis.01234567.part"
    folder.mkdir()
    control = Control(folder / "control", create=True)
    control.begin(1, 41)
    control.beat(1, 250, bytes_in=3 << 20, bytes_out=1 << 20)
    output = str(tmp_path / "out.seis")
    return make_job(id="0123456789ab", name="a\x1b[31mline", output=output, total=1000, done=500, driver=identity())


def stored(*jobs: Job) -> MemoryStore:
    store = MemoryStore()
    for job in jobs:
        store.add(job)
        store.move(job.id, State.RUNNING)
    return store


def test_a_job_is_seen_with_its_workers_and_what_they_have_in_hand(job: Job) -> None:
    waiting = make_job(id="waits")
    store = stored(job)
    store.add(waiting)
    (view,) = Collector(store).look().jobs
    assert (view.state, view.done, view.job.total) == ("running", 750, 1000)
    (worker,) = view.workers
    assert (worker.state.pid, worker.state.segment, worker.state.traces) == (os.getpid(), 41, 250)
    assert worker.memory is not None


def test_the_rate_is_that_of_the_last_seconds(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    now, store = [0.0], stored(attrs.evolve(job, output="", done=0))
    monkeypatch.setattr(top.time, "monotonic", lambda: now[0])
    collector = Collector(store)
    assert collector.look().jobs[0].rate is None
    for second in range(1, 31):
        now[0] = float(second)
        store.report(job.id, 10 * second if second < 15 else 150 + 20 * (second - 15), 1000)
        view = collector.look().jobs[0]
    assert view.rate == pytest.approx(20.0)
    assert view.eta_s == pytest.approx((1000 - 450) / 20)


def test_a_job_whose_process_is_gone_is_interrupted(job: Job) -> None:
    host, boot, _, started = identity().rsplit(":", 3)
    dead = f"{host}:{boot}:{2**22 + 5}:{started}"
    (view,) = Collector(stored(attrs.evolve(job, driver=dead))).look().jobs
    assert (view.state, view.workers, view.rate) == ("interrupted", (), None)


@pytest.mark.parametrize("damage", ["cut", "fifo", "folder", "noise", "gone"])
def test_control_files_of_any_kind_are_survived(job: Job, damage: str) -> None:
    control = Path(job.output + ".01234567.part") / "control"
    if damage == "noise":
        control.write_bytes(os.urandom(control.stat().st_size))
    elif damage == "cut":
        control.write_bytes(b"x" * 100)
    else:
        control.unlink()
        {"fifo": os.mkfifo, "folder": os.mkdir, "gone": lambda path: None}[damage](control)
    view = Collector(stored(job)).look()
    assert plain(view).startswith("CPU")
    assert json.dumps(view.to_json())


class Stuck(Collector):
    """Looks once, then at a file system that does not answer."""

    looks = 0

    def look(self) -> View:
        self.looks += 1
        if self.looks > 1:
            threading.Event().wait()
        return super().look()


def test_a_file_system_that_does_not_answer_holds_up_only_the_look() -> None:
    watching = Background(Stuck(None), 0.01)
    assert watching.latest(timeout_s=30) is not None
    assert watching.latest(looks=2, timeout_s=0.2) is None
    view = watching.latest()
    assert view is not None
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(live(view, 42.0))
    assert "no answer for 42 s" in console.export_text()
    watching.close()


def test_an_error_of_a_look_reaches_who_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    collector = Collector(None)
    monkeypatch.setattr(collector, "look", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Background(collector, 0.01).latest(timeout_s=30)


def test_text_has_everything_and_no_control_character(job: Job) -> None:
    store = stored(job)
    collector = Collector(store)
    collector.look()
    view = collector.look()
    gpu = Gpu(name="A\x07100", percent=None, memory_used=1 << 30, memory_total=None)
    view = attrs.evolve(view, sample=attrs.evolve(make_sample(), gpus=(gpu,)))
    text = plain(view)
    assert "GPU     ? %   1.0 GiB of ?   A\\x07100" in text
    assert "0123456789ab  a\\x1b[31mline  running  75 %  750 of 1,000 traces" in text
    row = next(line.split() for line in text.splitlines() if line.startswith(" ") and str(os.getpid()) in line)
    assert row[:2] == ["1", str(os.getpid())]
    assert row[-4:] == ["3.0", "MiB", "1.0", "MiB"]
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(live(view))
    shown = console.export_text()
    assert all(text in shown for text in ("750 of 1,000 traces", "segment", "41", "3.0 MiB", "a\\x1b[31mline"))
    assert "\x1b" not in text + shown


def test_a_line_tells_the_time_that_is_left() -> None:
    job = make_job(total=4000)
    view = JobView(job=job, interrupted=False, done=400, rate=1.0, workers=())
    assert job_line(view).endswith("10 %  400 of 4,000 traces  1 traces/s  1:00:00 left")
    assert "left" not in job_line(attrs.evolve(view, rate=0.0))
    assert display._time(61) == "1:01"


needs_store = pytest.mark.skipif(registry().best("job_stores") is None, reason="no durable job store is installed")


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    return {**os.environ, "SEISPROC_STATE_DIR": str(tmp_path / "state"), "TERM": "xterm", "COLUMNS": "100"}


@needs_store
def test_once_as_json_is_one_document(environment: Mapping[str, str]) -> None:
    done = subprocess.run([*PROGRAM, "top", "--json"], env=environment, capture_output=True, check=True, timeout=60)
    document = json.loads(done.stdout)
    assert document["jobs"] == [] and document["problem"] == ""
    assert 0 < document["machine"]["memory_percent"] < 100


def test_without_a_job_store_the_machine_is_shown(environment: Mapping[str, str]) -> None:
    env = {**environment, "SEISPROC_PLUGINS": "seisproc-alerts,seisproc-terminal"}
    done = subprocess.run([*PROGRAM, "top", "--once"], env=env, capture_output=True, check=True, text=True, timeout=60)
    assert done.stdout.startswith("CPU")
    assert "jobs are not shown" in done.stdout


def test_away_from_a_terminal_it_prints_until_ctrl_c(environment: Mapping[str, str]) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "top", "--interval", "0.1"], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    seen = 0
    while seen < 3:
        line = process.stdout.readline()
        assert line
        seen += line.startswith("CPU")
    process.send_signal(signal.SIGINT)
    process.stdout.read()
    assert process.wait(30) == 0


@pytest.mark.parametrize("end", [b"q", b"\x03"], ids=["q", "Ctrl-C"])
def test_on_a_terminal_a_key_ends_it(environment: Mapping[str, str], end: bytes) -> None:
    screen, shown = on_terminal([*PROGRAM, "top", "--interval", "30"], environment, "q ends", end)
    assert screen == 0
    assert "memory" in shown and "q ends" in shown


# Ctrl-C becomes a signal only where the terminal is the process's own.
OWN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def on_terminal(command: list[str], env: Mapping[str, str], wait_for: str, keys: bytes) -> tuple[int, str]:
    """Run a command on a terminal, press keys once it has shown a text; its exit code and all it showed."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", OWN_TERMINAL, *command],
        env=env,
        stdin=child,
        stdout=child,
        stderr=child,
        start_new_session=True,
    )
    os.close(child)
    shown, pressed, deadline = "", False, time.monotonic() + 60
    try:
        while process.poll() is None and time.monotonic() < deadline:
            if select.select([parent], [], [], 0.1)[0]:
                try:
                    shown += os.read(parent, 65536).decode("utf-8", "replace")
                except OSError:
                    break
            if wait_for in shown and not pressed:
                os.write(parent, keys)
                pressed = True
        return process.wait(30), shown
    finally:
        process.kill()
        process.wait()
        os.close(parent)


@pytest.fixture
def run(environment: Mapping[str, str]) -> Callable[..., Any]:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*PROGRAM, "alerts", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    return run


def test_alerts_are_listed_and_channels_tested(run: Callable[..., Any], tmp_path: Path) -> None:
    assert json.loads(run("--json").stdout) == {"alerts": []}
    assert "info: this is a test" in run("test", "terminal").stderr
    assert run("test", "log").returncode == 0
    (listed,) = json.loads(run("list", "--json").stdout)["alerts"]
    assert (listed["rule"], listed["severity"], listed["key"]) == ("test", "info", "machine")
    assert "this is a test" in run().stdout
    unknown = run("test", "termnal")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "no channel named 'termnal'; did you mean terminal" in unknown.stderr


def test_rules_are_listed_as_they_are_in_force(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "alerts.toml").write_text(
        "[rules.job-stuck]\nenabled = false\n[rules.memory-high]\npercent = 70"
    )
    document = json.loads(run("rules", "--json").stdout)
    rules = {rule["id"]: rule["settings"] for rule in document["rules"]}
    assert rules["memory-high"]["percent"] == 70
    assert rules["job-stuck"]["enabled"] is False
    assert {channel["id"] for channel in document["channels"] if channel["used"]} >= {"log", "terminal"}
    lines = {line.split()[0]: line for line in run("rules").stdout.splitlines() if line.strip()}
    assert "percent = 70, cooldown_s = 60" in lines["memory-high"]
    assert " off " in lines["job-stuck"]
    (tmp_path / "state" / "alerts.toml").write_text("[rule]")
    refused = run("rules")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
