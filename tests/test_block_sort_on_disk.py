"""A sort that is planned in two passes: the same bytes as in one, also when it was killed in either and resumed."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from integration_kit import Line, contents, flow, names, open_output, run, seisproc_here, write_segy

from seisproc_core import Flow
from seisproc_core.jobs.workfolder import WorkFolder
from seisproc_core.plugins import registry
from seisproc_core.processing import planning, scattered

TRACES, SAMPLES = 4200, 1000  # 16 MB: four and a bit blocks of four shards
FLOW = """
[source]
survey = "{survey}"
gather = ["cdp"]
sort = ["offset"]

[sink]
survey = "{out}"
shard_traces = 256
"""
# The command, on a machine for which nothing is small.
COMMAND = """
import sys
from seisproc_core.processing import scattered
from seisproc_terminal import main
scattered.WORTHWHILE_BYTES = 0
sys.exit(main.run(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Traces of every midpoint all over the file."""
    folder = tmp_path_factory.mktemp("scattered")
    rng = np.random.default_rng(5)
    words = {"cdp": rng.integers(1, 300, TRACES), "offset": 25 * rng.integers(0, 40, TRACES)}
    traces = rng.standard_normal((TRACES, SAMPLES)).astype(np.float32)
    file = write_segy(folder / "line.sgy", Line(traces, words))
    return run(flow({"segy": str(file)}, [], {"survey": str(folder / "line.seis")}))


def sorting(survey: Path, out: Path) -> Flow:
    return Flow.parse(tomllib.loads(FLOW.format(survey=survey, out=out)))


@pytest.fixture(scope="module")
def twice(survey: Path) -> dict[str, str]:
    """What two passes make of it when nobody disturbs them."""
    wanted = sorting(survey, survey.with_name("twice.seis"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scattered, "WORTHWHILE_BYTES", 0)
        first, second = planning.plan_flow(wanted, registry(), open_output(survey)).stages
        assert first.n_segments == 5 and second.n_segments == 9
        return contents(run(wanted, executor="threads", workers=2))


def test_two_passes_make_the_same_bytes(survey: Path, twice: dict[str, str]) -> None:
    direct = run(sorting(survey, survey.with_name("direct.seis")))
    once = contents(direct)
    assert once.pop("manifest.json") != twice["manifest.json"]  # it names the plan's fingerprint
    assert once == {name: checksum for name, checksum in twice.items() if name != "manifest.json"}
    cdp = open_output(direct).headers()["cdp"]
    assert (np.diff(cdp) >= 0).all() and (np.diff(open_output(survey).headers()["cdp"]) < 0).any()


@pytest.mark.parametrize(
    "fault",
    ["after-journal:3", "before-journal:5", "after-journal:9", "before-commit:1"],
)
def test_killed_in_either_pass(survey: Path, twice: dict[str, str], tmp_path: Path, fault: str) -> None:
    """Five segments of the first pass, then nine of the second."""
    target = tmp_path / "out.seis"
    written = tmp_path / "sort.toml"
    written.write_text(FLOW.format(survey=survey, out=target), "utf-8")
    arguments = ["run", str(written), "--executor", "in-process", "--workers", "1"]
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments],
        env=os.environ | {"SEISPROC_FAULT": fault},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == -9, f"the point was not passed: {done.stderr}"
    assert WorkFolder.find(target) and not target.exists()
    resumed = seisproc_here("resume", target)
    assert resumed.code == 0, resumed.err
    assert contents(target) == twice
    assert names(tmp_path) == {"sort.toml", "out.seis"}
    assert seisproc_here("verify", target).code == 0
