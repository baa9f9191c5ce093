"""Altered bytes: an unfinished output resumes to equal bytes or is refused in one line; a sealed one is found out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from integration_kit import (
    STACKING,
    Line,
    contents,
    flow,
    model_line,
    open_output,
    run,
    seisproc,
    seisproc_here,
    shards,
    values,
    write_flow,
    write_segy,
)  # fmt: skip

from seisproc_core import Engine, SeisprocError
from seisproc_core.jobs.workfolder import MANIFEST, WorkFolder

Mutate = Callable[[bytes, np.random.Generator], bytes]
STEPS = [step for step in STACKING if step["use"] in ("mute", "sort", "stack")]


def flip(data: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(data)
    changed[random.integers(len(data))] ^= 1 << random.integers(8)
    return bytes(changed)


def cut(data: bytes, random: np.random.Generator) -> bytes:
    return data[: random.integers(len(data))]


def blank(data: bytes, random: np.random.Generator) -> bytes:
    first, end = sorted(random.integers(len(data), size=2))
    return data[:first] + bytes(end - first) + data[end:]


def insert(data: bytes, random: np.random.Generator) -> bytes:
    at = random.integers(len(data))
    return data[:at] + random.bytes(random.integers(1, 50)) + data[at:]


def swap_lines(data: bytes, random: np.random.Generator) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join(lines[i] for i in random.permutation(len(lines)))


def drop_or_repeat_line(data: bytes, random: np.random.Generator) -> bytes:
    lines = data.splitlines(keepends=True)
    at = int(random.integers(len(lines)))
    return b"".join(lines[:at] + lines[at : at + 1] * int(2 * random.integers(2)) + lines[at + 1 :])


MUTATIONS: tuple[Mutate, ...] = (flip, cut, blank, insert, swap_lines, drop_or_repeat_line)
LONGER = int(os.environ.get("SEISPROC_MUTATIONS", "0"))  # makes a longer search of journals, descriptions and manifests


class Unfinished:
    """A small job with two stages, killed within the second."""

    def __init__(self, folder: Path) -> None:
        words = model_line(2, 12)
        line = Line(words.traces[:, ::5].copy(), words.words, interval_ms=20.0)
        segy = write_segy(folder / "line.sgy", line)
        source = run(flow({"segy": str(segy)}, [], {"survey": str(folder / "line.seis"), "shard_traces": 8}))
        whole = write_flow(folder / "flow.toml", source, folder / "whole.seis", STEPS, shard_traces=4)
        assert seisproc("run", whole, cwd=folder).code == 0
        self.expected = contents(folder / "whole.seis")
        self.folder = folder / "killed"
        self.folder.mkdir()
        same = write_flow(folder / "flow.toml", source, self.folder / "out.seis", STEPS, shard_traces=4)
        killed = seisproc(
            "run", same, "--executor", "in-process", cwd=folder, env={"SEISPROC_FAULT": "after-journal:3"}
        )
        assert killed.code == -9, killed.err
        (self.part,) = WorkFolder.find(self.folder / "out.seis")

    def resumed(self, folder: Path, name: str, data: bytes) -> str:
        """Resume a copy in which one file has other bytes: "equal", or the refusal."""
        shutil.copytree(self.folder, folder)
        (folder / self.part.name / name).write_bytes(data)
        target = folder / "out.seis"
        try:
            with Engine(executor="in-process", workers=1) as engine:
                handle = engine.resume(target)
                assert handle is not None
                handle.result(60)
        except SeisprocError as refusal:
            assert not target.exists(), "refused, but an output appeared"
            assert str(refusal) and "\n" not in str(refusal)
            return str(refusal)
        assert contents(target) == self.expected, "an output that differs"
        return "equal"


@pytest.fixture(autouse=True, scope="module")
def quick() -> Iterator[None]:
    """Hundreds of jobs, and no power cut among them: nothing need be durable."""
    with patch.object(os, "fsync", lambda handle: None), patch.object(os, "fdatasync", lambda handle: None):
        yield


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Unfinished:
    return Unfinished(tmp_path_factory.mktemp("damage"))


def outcomes(unfinished: Unfinished, name: str, folder: Path, cases: int, mutations: tuple[Mutate, ...]) -> list[str]:
    data = (unfinished.part / name).read_bytes()
    found = []
    for seed in range(cases):
        mutation = mutations[seed % len(mutations)]
        try:
            found.append(unfinished.resumed(folder / str(seed), name, mutation(data, np.random.default_rng(seed))))
        except BaseException as error:
            error.add_note(f"after {mutation.__name__} of {name} with seed {seed}")
            raise
        shutil.rmtree(folder / str(seed))
    return found


def test_unharmed_it_resumes(unfinished: Unfinished, tmp_path: Path) -> None:
    data = (unfinished.part / "journal").read_bytes()
    assert unfinished.resumed(tmp_path / "copy", "journal", data) == "equal"


def test_damaged_journal(unfinished: Unfinished, tmp_path: Path) -> None:
    """What the journal no longer says is done again."""
    found = outcomes(unfinished, "journal", tmp_path, LONGER or 200, MUTATIONS)
    assert set(found) == {"equal"}


def test_damaged_job_description(unfinished: Unfinished, tmp_path: Path) -> None:
    """A changed digit would change the result: a change is refused, with a way on that works."""
    found = outcomes(unfinished, "job.json", tmp_path, LONGER or 100, (flip, cut, blank, insert))
    refusals = [outcome for outcome in found if outcome != "equal"]  # an escape may be written in more than one way
    assert len(refusals) > 0.95 * len(found) and all("--discard" in refusal for refusal in refusals), refusals


def test_damaged_job_can_be_discarded(unfinished: Unfinished, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    unfinished.resumed(folder, "job.json", b"{")
    source = unfinished.folder.parent / "line.seis"
    again = write_flow(tmp_path / "flow.toml", source, folder / "out.seis", STEPS, shard_traces=4)
    refused = seisproc_here("run", again, "--executor", "in-process")
    assert (refused.code, refused.err.count("\n")) == (4, 1) and "--discard" in refused.err
    done = seisproc_here("run", again, "--executor", "in-process", "--discard")
    assert done.code == 0, done.err
    assert contents(folder / "out.seis") == unfinished.expected


def test_damaged_plan(unfinished: Unfinished, tmp_path: Path) -> None:
    for name in sorted(path.name for path in unfinished.part.glob("stage*.npy")):
        found = outcomes(unfinished, name, tmp_path, 20, (flip, cut))
        assert "equal" not in found, name


def test_damaged_data(unfinished: Unfinished, tmp_path: Path) -> None:
    """Bytes that were committed and then altered are computed again."""
    stages = [unfinished.part / "stage-0", unfinished.part / "data"]
    written = [path for stage in stages for path in stage.rglob("*") if path.is_file()]
    files = [path.relative_to(unfinished.part).as_posix() for path in written]
    assert len(files) > 5
    for number, name in enumerate(sorted(files)):
        assert outcomes(unfinished, name, tmp_path, 2, (flip, cut)) == ["equal"] * 2, (number, name)


@pytest.fixture(scope="module")
def sealed(unfinished: Unfinished) -> Path:
    return unfinished.part.parent.parent / "whole.seis"


def test_every_flipped_bit_of_a_sealed_survey_is_found(sealed: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    files = sorted(contents(sealed))
    assert len(files) > 20
    for name in files:
        copy = tmp_path / "copy.seis"
        shutil.copytree(sealed, copy)
        (copy / name).write_bytes(flip((copy / name).read_bytes(), random))
        said = seisproc_here("verify", copy)
        assert said.code == 4, (name, said.out)
        assert name in said.out + said.err
        shutil.rmtree(copy)


def test_a_damaged_manifest_is_found(sealed: Path, tmp_path: Path) -> None:
    """By `verify`; and what can still be read is what was written."""
    copy = tmp_path / "copy.seis"
    shutil.copytree(sealed, copy)
    data, right = (copy / MANIFEST).read_bytes(), values(copy)
    for seed in range(LONGER or 100):
        mutation = MUTATIONS[seed % len(MUTATIONS)]
        damaged = mutation(data, np.random.default_rng(seed))
        (copy / MANIFEST).write_bytes(damaged)
        said = seisproc_here("verify", copy)
        told = (mutation.__name__, seed, said.code, said.out, said.err)
        assert said.code == (0 if damaged == data else 4), told
        assert "Traceback" not in said.err and said.err.count("\n") <= 1, told
        try:
            read = values(copy)
        except SeisprocError as refusal:
            assert "\n" not in str(refusal), told
        else:
            np.testing.assert_array_equal(read, right, err_msg=str(told))


def test_every_missing_file_of_a_sealed_survey_is_found(sealed: Path, tmp_path: Path) -> None:
    for name in sorted(contents(sealed)):
        copy = tmp_path / "copy.seis"
        shutil.copytree(sealed, copy)
        (copy / name).unlink()
        said = seisproc_here("verify", copy)
        assert said.code == 4, (name, said.out)
        shutil.rmtree(copy)


def test_reading_damaged_traces_raises(sealed: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.seis"
    shutil.copytree(sealed, copy)
    shard = shards(copy)[1]
    data = bytearray(shard.read_bytes())
    data[10] ^= 1
    shard.write_bytes(data)
    survey = open_output(copy)
    with pytest.raises(SeisprocError, match="traces/c.1.0"):
        survey.read(slice(0, survey.n_traces))
