"""The commands as a user types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seisproc_core import Flow, Target, process
from seisproc_core.data.survey import MemorySurvey
from seisproc_core.processing.flow import Source
from seisproc_core.testing import make_gather

TEXT = """[source]
survey = "line.seis"
gather = ["cdp"]

[[step]]
use = "agc"
window_ms = 200   # to be tested

[[step]]
use = "bandpass"
low_hz = 10

[sink]
survey = "out.seis"
"""
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("commands")
    traces = np.random.default_rng(1).standard_normal((40, 250))
    gather = make_gather(traces, cdp=np.repeat([1, 2, 3, 4], 10), offset=np.tile(np.arange(10) * 50, 4))
    source = Source(storage="memory", survey=MemorySurvey(gather))
    process(Flow(source=source, sink=Target(storage="survey", path=str(made / "line.seis"))), executor="in-process")
    return made


@pytest.fixture
def run(folder: Path) -> Run:
    (folder / "flow.toml").write_text(TEXT)
    for picture in folder.glob("*.png"):
        picture.unlink()

    def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "SEISPROC_STATE_DIR": str(folder / "state")}
        command = [sys.executable, "-m", "seisproc_terminal.main", *arguments]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    return run_command


def test_the_report_of_a_chain(run: Run, folder: Path) -> None:
    done = run("report", "flow.toml", "--at", "cdp=1,3", "--replace", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert [step["step"] for step in said["steps"]] == ["agc", "bandpass", "all steps"]
    assert [step["traces_after"] for step in said["steps"]] == [20, 20, 20]
    assert (folder / said["report"]).read_text().startswith("<!DOCTYPE html>")
    again = run("report", "flow.toml", "--at", "cdp=1")
    assert again.returncode == 2 and "flow_report.html exists" in again.stderr
    wrong = run("report", "flow.toml", "--at", "cdp=1", "--window", "5", "--replace")
    assert wrong.returncode == 2 and "--window 5: write first:last in ms" in wrong.stderr


def test_panels_figures_and_choice(run: Run, folder: Path) -> None:
    varied = ("test", "flow.toml", "--vary", "agc.window_ms=100,200,400")
    done = run(*varied, "--at", "cdp=1,3:4", "--choose", "400", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert [panel["values"]["agc.window_ms"] for panel in said["panels"]] == [100, 200, 400]
    assert [panel["traces"] for panel in said["panels"]] == [30, 30, 30]
    assert said["panels"][0]["leakage"] is None and said["panels"][2]["change_percent"] > 0
    assert (folder / said["picture"]).stat().st_size > 10_000
    assert "window_ms = 400   # to be tested" in (folder / "flow.toml").read_text()
    assert (folder / said["backup"]).read_text() == TEXT

    again = run(*varied, "--choose", "agc.window_ms=100")
    assert again.returncode == 0 and "-window_ms = 400   # to be tested" in again.stdout
    assert "+window_ms = 100   # to be tested" in again.stdout
    shown = run(*varied, "--at", "cdp=1", "--against", "base", "--replace")
    assert shown.returncode == 0 and "flow_test.png: 4 panels of 10 traces" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--vary", "agc.window_ms=100", "--at", "cdp"], "write word=value"),
        (["--vary", "agc.window_ms=100", "--at", "cdp=9"], "no trace has cdp 9"),
        (["--vary", "agc.window_ms", "--at", "cdp=1"], "write step.parameter=value"),
        (["--vary", "agc.window_ms=100"], "say where to look"),
        (["--vary", "agc.window_ms=100", "--choose", "-3"], "parameter 'window_ms' must"),
        (["--vary", "agc.window_ms=1", "--vary", "agc.kind=rms", "--choose", "rms"], "say which of"),
        (["--vary", "agc.window_ms=100", "--vary", "agc.window_ms=1", "--at", "cdp=1"], "varied twice"),
        (["--vary", "agc.window_ms=100", "--at", "cdp=1", "--out", "x.jpg"], "ends in .png"),
        (["--vary", "agc.window_ms=100", "--at", "cdp=1", "--axis", "nonsense", "--out", "y.png"], "nonsense"),
    ],
)
def test_refusals_are_one_line(run: Run, folder: Path, arguments: list[str], problem: str) -> None:
    done = run("test", "flow.toml", *arguments)
    assert done.returncode == 2 and problem in done.stderr
    assert len(done.stderr.splitlines()) == 1 and "Traceback" not in done.stderr
    assert (folder / "flow.toml").read_text() == TEXT
