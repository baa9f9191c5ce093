"""kill -9 at any moment of import, run and export: one command resumes, to equal bytes, and nothing lies before that.

The short form; long loops of random kills are run by hand.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from integration_kit import flow, model_line, run, write_segy
from killing_kit import KINDS, Job, Victim, check_resumes, kill_at_random, undisturbed

from seisproc_core.jobs.workfolder import WorkFolder

POINTS = (
    "created:1", "before-write:1", "before-write:5", "after-write:1", "after-write:6", "before-rename:4",
    "before-journal:1", "before-journal:7", "after-journal:1", "after-journal:8", "before-commit:1", "after-commit:1",
)  # fmt: skip


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Job]:
    """Each job, with its undisturbed result: over a line of 384 traces, or for the export (1 MiB a segment) 9 MB."""
    folder = tmp_path_factory.mktemp("kills")
    segy = write_segy(folder / "line.sgy", model_line(16, 24))
    long = write_segy(folder / "long.sgy", model_line(64, 48, end_ms=2800.0))
    survey = run(flow({"segy": str(segy)}, [], {"survey": str(folder / "line.seis"), "shard_traces": 16}))
    large = run(flow({"segy": str(long)}, [], {"survey": str(folder / "long.seis")}))
    made = {}
    for kind, source in zip(KINDS, (segy, survey, large), strict=True):
        (folder / kind).mkdir()
        made[kind] = undisturbed(kind, source, folder / kind)
    return made


# An export renames one file only: its job description.
@pytest.mark.parametrize(
    ("kind", "point"),
    [(kind, point) for kind in KINDS for point in POINTS if (kind, point) != ("export", "before-rename:4")],
)
def test_killed_at_a_named_point(kind: str, point: str, jobs: dict[str, Job], tmp_path: Path) -> None:
    code, err = Victim(jobs[kind], tmp_path, "--executor", "in-process", fault=point).wait()
    assert code == -9, f"the point was not passed: {err}"
    check_resumes(jobs[kind], tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_every_worker_dies_after_its_third_segment(kind: str, jobs: dict[str, Job], tmp_path: Path) -> None:
    code, err = Victim(jobs[kind], tmp_path, "--workers", "2", fault="before-write:3").wait()
    assert code == 0, err
    check_resumes(jobs[kind], tmp_path)


def test_a_segment_that_kills_every_worker_is_named(jobs: dict[str, Job], tmp_path: Path) -> None:
    code, err = Victim(jobs["run"], tmp_path, "--workers", "2", fault="before-write:1").wait()
    assert code == 1
    assert "segment" in err.splitlines()[-1] and "seisproc resume" in err.splitlines()[-1]
    check_resumes(jobs["run"], tmp_path)


@pytest.mark.parametrize("whom", ["tree", "leader", "worker"])
@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_random(kind: str, whom: str, jobs: dict[str, Job], tmp_path: Path) -> None:
    for seed in range(int(os.environ.get("SEISPROC_TEST_KILLS", "2"))):
        folder = tmp_path / str(seed)
        folder.mkdir()
        kill_at_random(jobs[kind], folder, whom, seed)


def test_killed_while_the_working_folder_is_removed(jobs: dict[str, Job], tmp_path: Path) -> None:
    """Its name goes before its content: what is left is swept up."""
    code, _ = Victim(jobs["import"], tmp_path, "--executor", "in-process", fault="after-commit:1").wait()
    assert code == -9
    (part,) = WorkFolder.find(jobs["import"].target(tmp_path))
    part.rename(part.with_suffix(".gone"))
    check_resumes(jobs["import"], tmp_path)
