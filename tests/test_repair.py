"""Damage to a sealed survey: every flipped bit and lost file is named, and repaired to the same bytes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from integration_kit import STACKING, contents, flow, model_line, run, write_segy

from seisproc_core import Engine
from seisproc_core.errors import ChunkCorrupt, ChunkMissing, Damaged, Incomplete, SeisprocError, UsageError
from seisproc_core.jobs import provenance, repair
from seisproc_core.jobs.runner import FolderRun
from seisproc_zarr import open_survey, verify

FLIPS = 400


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A SEG-Y file and its survey in twelve shards, with an index."""
    folder = tmp_path_factory.mktemp("whole")
    segy = write_segy(folder / "line.sgy", model_line(8, 12, end_ms=100))
    sink = {"survey": str(folder / "line.seis"), "shard_traces": 8, "index": [["cdp"]]}
    return segy, run(flow({"segy": str(segy)}, [], sink))


@pytest.fixture
def survey(made: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made[1], tmp_path / "line.seis"))


def mend(survey: Path) -> bool:
    """Whether there was anything to repair."""
    with Engine(executor="in-process", workers=1) as engine:
        handle = engine.repair(survey)
        return handle is not None and bool(handle.result(60))


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << (bit % 8)
    path.write_bytes(data)


def files(survey: Path) -> list[Path]:
    return sorted(path for path in survey.rglob("*") if path.is_file())


def test_every_flipped_bit_is_named(survey: Path) -> None:
    rng = np.random.default_rng(4)
    everything = files(survey)
    for number in range(FLIPS):
        path = everything[number % len(everything)]  # every file, the manifest and the provenance record among them
        bit = int(rng.integers(8 * path.stat().st_size))
        flip(path, bit)
        try:
            problems = verify(survey)
        except Damaged as error:  # a manifest that is no JSON any more
            problems = [str(error)]
        assert any(path.relative_to(survey).as_posix() in problem for problem in problems), (path, bit)
        flip(path, bit)
    assert verify(survey) == []


def test_every_deleted_file_is_named(survey: Path) -> None:
    for path in files(survey):
        if path.name == "manifest.json":
            continue  # without it there is no sealed survey
        data = path.read_bytes()
        path.unlink()
        assert verify(survey)[0] == f"{path.relative_to(survey).as_posix()}: missing"
        path.write_bytes(data)


def test_an_undamaged_survey_is_left_alone(survey: Path) -> None:
    before = os.stat(survey)
    assert not mend(survey)
    assert os.stat(survey).st_ino == before.st_ino
    assert [path.name for path in survey.parent.iterdir()] == ["line.seis"]


def test_damaged_files_come_back_and_only_they_are_made_again(made: tuple[Path, Path], survey: Path) -> None:
    flip(survey / "traces/c.3.0", 1000)
    (survey / "headers/000007.parquet").unlink()
    flip(survey / "zarr.json", 99)
    flip(survey / "index/cdp/order.npy", 2000)
    kept = os.stat(survey / "traces/c.5.0").st_ino
    assert mend(survey)
    assert contents(survey) == contents(made[1])
    assert os.stat(survey / "traces/c.5.0").st_ino == kept
    assert verify(survey) == []
    record = provenance.read(survey)
    assert record["repair"]["files"] == [
        "headers/000007.parquet", "index/cdp/order.npy", "traces/c.3.0", "zarr.json",
    ]  # fmt: skip
    assert record["repair"]["of"]["job"] == provenance.read(made[1])["job"]
    assert [path.name for path in survey.parent.iterdir()] == ["line.seis"]


def test_a_lost_manifest_costs_everything_but_comes_back(made: tuple[Path, Path], survey: Path) -> None:
    flip(survey / "manifest.json", 5000)
    assert mend(survey)
    assert contents(survey) == contents(made[1])


def test_a_stack_of_two_stages_comes_back(made: tuple[Path, Path], tmp_path: Path) -> None:
    sink = {"survey": str(tmp_path / "stack.seis"), "shard_traces": 8}
    stack = run(flow({"survey": str(made[1])}, STACKING, sink))
    before = contents(stack)
    flip(stack / "traces/c.1.0", 77)
    assert mend(stack)
    assert contents(stack) == before
    flip(stack / "time/c.0", 8)
    assert mend(stack)  # adopts every segment
    assert contents(stack) == before


def changed_input(segy: Path, survey: Path) -> str:
    flip(segy, 8 * 5000)
    return "is not what it was made from"


def lost_input(segy: Path, survey: Path) -> str:
    segy.unlink()
    return "there is no"


def damaged_provenance(segy: Path, survey: Path) -> str:
    flip(survey / "provenance.json", 333)
    return "what made it is not known"


def other_version(segy: Path, survey: Path) -> str:
    record = provenance.read(survey)
    record["versions"]["seisproc-zarr"] = "0.0.1"
    (survey / "provenance.json").write_bytes(provenance.encode(record))
    return "made with seisproc-zarr 0.0.1, installed is 0.1"


@pytest.mark.parametrize("spoil", [changed_input, lost_input, damaged_provenance, other_version])
def test_what_cannot_be_repaired_is_left_as_it_was(tmp_path: Path, spoil: Callable[[Path, Path], str]) -> None:
    segy = write_segy(tmp_path / "line.sgy", model_line(4, 12, end_ms=100))
    survey = run(flow({"segy": str(segy)}, [], {"survey": str(tmp_path / "line.seis"), "shard_traces": 8}))
    (survey / "traces/c.2.0").unlink()
    message = spoil(segy, survey)
    before = contents(survey)
    with pytest.raises(Damaged, match="cannot be repaired") as caught:
        mend(survey)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert contents(survey) == before
    assert {path.name for path in tmp_path.iterdir()} <= {"line.sgy", "line.seis"}


def test_files_of_others_are_not_swept_away(survey: Path) -> None:
    (survey / "notes.txt").write_text("mine")
    (survey / "traces/c.2.0").unlink()
    with pytest.raises(UsageError, match="notes.txt is no part of it"):
        mend(survey)
    assert (survey / "notes.txt").read_text() == "mine"


def test_bytes_that_come_out_otherwise_do_not_replace_anything(survey: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (survey / "traces/c.2.0").unlink()
    before = contents(survey)
    whole = repair.Damage.of

    def other_checksums(target: Path) -> repair.Damage:
        damage = whole(target)
        length, crc, segment = damage.pieces["traces/c.2.0"]
        pieces = {**damage.pieces, "traces/c.2.0": (length, crc ^ 1, segment)}
        return repair.Damage(pieces, damage.keys, damage.foreign)

    monkeypatch.setattr(repair.Damage, "of", other_checksums)
    with pytest.raises(Damaged, match=r"traces/c\.2\.0 comes out with other bytes"):
        mend(survey)
    assert contents(survey) == before
    assert {path.name for path in survey.parent.iterdir()} <= {"line.seis", "line.seis.lock"}


def test_an_interrupted_repair_goes_on(made: tuple[Path, Path], survey: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (survey / "traces/c.2.0").unlink()

    def fails(*_: object) -> None:
        raise OSError("a power cut")

    with monkeypatch.context() as cut:
        cut.setattr(FolderRun, "seal", fails)
        with pytest.raises(OSError):
            mend(survey)
    with pytest.raises((ChunkMissing, ChunkCorrupt)):
        open_survey(str(survey)).read(slice(None))
    with pytest.raises(Incomplete, match="seisproc resume"):
        mend(survey)
    with Engine(executor="in-process", workers=1) as engine:
        handle = engine.resume(survey)
        assert handle is not None and handle.result(60)
    assert contents(survey) == contents(made[1])
    assert provenance.read(survey)["repair"]["files"] == ["traces/c.2.0"]


def test_what_is_no_survey(tmp_path: Path) -> None:
    (tmp_path / "line.sgy").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    for name in ("line.sgy", "nothing.seis", "empty"):
        with pytest.raises(SeisprocError):
            mend(tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} <= {"line.sgy", "empty", "empty.lock"}
