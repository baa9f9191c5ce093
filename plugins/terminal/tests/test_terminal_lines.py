"""One flow for many lines: a job a line, seen and stopped and repeated as one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from terminal_kit import Run, needs_jobs

from seisproc_core.jobs.groups import group_of
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.process import identity, lives
from seisproc_core.jobs.states import State
from seisproc_terminal.watching import entry_facts

pytestmark = needs_jobs

# Waits a little, and raises as long as there is a file of the trouble's name.
STEP = """
import os, time
from seisproc_core.hookspecs import hookimpl
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor

@processor("moody", scope="trace")
class Moody(Processor):
    '''Wait, or raise.'''

    trouble: str = param("", help="a file that must not be there")
    wait_ms: float = param(0.0, minimum=0, help="per batch")

    def apply(self, batch, context):
        time.sleep(self.wait_ms / 1000)
        if self.trouble and os.path.exists(self.trouble):
            raise ValueError("bad mood")
        return batch.with_traces(batch.traces * 2)

@hookimpl
def seisproc_processors():
    return [Moody]
"""
FLOW = """
[variables]
line = "L1"
trouble = ""
wait_ms = 0

[source]
survey = "${line}.seis"

[[step]]
use = "moody"
trouble = "${trouble}"
wait_ms = "${wait_ms}"

[sink]
survey = "${line}_out.seis"
shard_traces = 16
"""


@pytest.fixture
def lines(imported: Path, tmp_path: Path, foreign: Callable[[str], None]) -> Path:
    """Three lines, a flow, a table in which the second one has trouble."""
    foreign(STEP)
    for name in ("L1", "L2", "L3"):
        shutil.copytree(imported, tmp_path / f"{name}.seis")
    (tmp_path / "flow.toml").write_text(FLOW)
    (tmp_path / "bad").touch()
    table = tmp_path / "lines.csv"
    table.write_text(f"line,trouble\nL1,\nL2,{tmp_path / 'bad'}\nL3,\n")
    return table


HERE = ("--executor", "in-process")


def test_one_line_fails_the_others_go_on_and_it_alone_is_repeated(run: Run, lines: Path, tmp_path: Path) -> None:
    planned = run("run", "flow.toml", "--lines", lines, "--dry-run", "--json")
    assert [row["traces_out"] for row in planned.document["lines"]] == [240] * 3
    assert not list(tmp_path.glob("*_out.seis*"))

    done = run("run", "flow.toml", "--lines", lines, *HERE, "--json")
    assert done.code == 1 and "Traceback" not in done.err
    assert [row["state"] for row in done.document["lines"]] == ["completed", "failed", "completed"]
    assert "bad mood" in done.document["lines"][1]["why"]
    group = done.document["group"]
    assert sorted(path.name for path in tmp_path.glob("*_out.seis")) == ["L1_out.seis", "L3_out.seis"]
    (listed,) = run("jobs", "--json").document["jobs"]
    assert (listed["id"], listed["state"], listed["type"]) == (group, "failed", "lines")
    assert listed["name"] == "flow, lines.csv" and listed["why"] == "2 of 3 completed, 1 failed"

    (tmp_path / "bad").unlink()
    again = run("jobs", "retry", group[:8], *HERE, "--json")
    assert again.code == 0, again.err
    assert [row["line"] for row in again.document["lines"]] == ["flow L2"]
    shown = run("jobs", "show", group, "--json").document
    assert (shown["state"], shown["done"], shown["total"]) == ("completed", 720, 720)
    assert [job["name"] for job in shown["jobs"]] == ["flow L1", "flow L2", "flow L3"]
    assert "nothing to repeat" in run("jobs", "retry", group).err

    shutil.rmtree(tmp_path / "L3_out.seis")
    resumed = run("run", "flow.toml", "--lines", lines, "--resume", *HERE, "--json").document
    assert [row["why"] for row in resumed["lines"]] == ["was done", "was done", ""]
    assert resumed["group"] != group
    record = run("provenance", "L2_out.seis", "--json").document["chain"][0]["record"]
    assert record["flow"]["variables"]["line"] == "L2"
    assert "with variables line = L2" in run("provenance", "L2_out.seis").out


@pytest.mark.parametrize("states", ["completed running queued", "queued queued"])
def test_a_group_whose_process_is_gone_is_shown_as_interrupted(states: str) -> None:
    gone = identity().rpartition(":")[0] + ":1"  # this process's number, but not its beginning
    assert not lives(gone)
    jobs = [
        Job(name="g", type="flow", config={}, part_of="9" * 12, state=State(state), driver=gone)
        for state in states.split()
    ]
    shown = entry_facts(group_of(jobs), lambda _: "")
    assert (shown["state"], shown["type"]) == ("interrupted", "lines")
    assert shown["why"].endswith("go on with: seisproc jobs retry 999999999999")
    alive = group_of([*jobs, attrs.evolve(jobs[-1], id="a" * 12, driver=identity())])
    assert entry_facts(alive, lambda _: "")["state"] in ("queued", "running")


def test_lines_that_cannot_run_stop_all_before_any_begins(run: Run, lines: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "L3.seis")
    refused = run("run", "flow.toml", "--lines", lines)
    assert refused.code == 2 and "row 4, column 'line' (L3): " in refused.err
    assert not list(tmp_path.glob("*_out.seis*")) and run("jobs", "--json").document["jobs"] == []
    lines.write_text("line,wait_ms\nL1,5\nL2,-5\n")
    refused = run("run", "flow.toml", "--lines", lines, "--dry-run", "--json")
    assert "row 3, column 'wait_ms' (L2): moody: parameter 'wait_ms' must be at least 0" in refused.document["error"]
    assert "with --lines" in run("run", "flow.toml", "--lines", lines, "--out", "one.seis").err
    assert "did you mean 'line'" in run("run", "flow.toml", "--var", "lin=L2").err


def test_a_group_is_paused_resumed_and_cancelled_as_one(run: Run, lines: Path) -> None:
    lines.write_text("line\nL1\nL2\nL3\n")
    slow = ("run", "flow.toml", "--lines", lines, "--var", "wait_ms=500", "--workers", 1, "--detach", "--json")
    group = run(*slow).document["group"]
    paused = run("jobs", "pause", group, "--json")
    assert paused.code == 0, paused.err
    assert {job["state"] for job in paused.document["jobs"]} == {"paused"}
    assert run("jobs", "--json").document["jobs"][0]["state"] == "paused"
    assert run("jobs", "resume", group, "--json").code == 0
    cancelled = run("jobs", "cancel", group)
    assert cancelled.code == 0, cancelled.err
    assert run("jobs", "list", "--state", "cancelled", "--json").document["jobs"][0]["id"] == group
    repeated = run("jobs", "retry", group, "--detach", "--json").document
    assert len(repeated["lines"]) == 3
    followed = run("jobs", "follow", group, "--json")
    assert followed.code == 0, followed.err
    assert [row["state"] for row in followed.document["lines"]] == ["completed"] * 3


def test_a_job_and_a_group_come_after_a_group(run: Run, lines: Path, tmp_path: Path) -> None:
    queued = ("run", "flow.toml", "--workers", 1, "--detach", "--json")
    lines.write_text("line,wait_ms\nL1,500\nL2,0\n")
    group = run(*queued, "--lines", lines).document["group"]
    first = {job["id"] for job in run("jobs", "show", group, "--json").document["jobs"]}
    after = ("--after", group[:9])
    one = run(*queued, *after, "--set", "source.survey=L2_out.seis", "--out", "twice.seis").document["job"]
    more = tmp_path / "more.csv"
    more.write_text("line\nL1_out\nL2_out\n")
    second = run(*queued, *after, "--lines", more).document["group"]
    assert run("jobs", "follow", second).code == 0
    for job in run("jobs", "show", second, "--json").document["jobs"]:
        shown = run("jobs", "show", job["id"], "--json").document
        assert (set(shown["after"]), shown["state"]) == (first, "completed")
    assert run("jobs", "follow", one).code == 0
    assert (tmp_path / "twice.seis").is_dir() and (tmp_path / "L1_out_out.seis").is_dir()

    lines.write_text(f"line,trouble\nL2_out,\nL1_out,{tmp_path / 'bad'}\n")
    group = run(*queued, "--lines", lines, "--replace").document["group"]
    last = run(*queued, "--after", group, "--set", "source.survey=L3.seis", "--out", "never.seis").document["job"]
    failed = run("jobs", "follow", last)
    assert failed.code == 1 and " failed" in failed.out.partition(": ")[2]
    assert not (tmp_path / "never.seis").exists()
    unknown = run(*queued, "--after", "ffffff", "--out", "never.seis")
    assert unknown.code == 2 and "no job with an id that begins with 'ffffff'" in unknown.document["error"]
