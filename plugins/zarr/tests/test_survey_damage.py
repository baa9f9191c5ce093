"""Damage is found, and files from strangers are not believed."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seisproc_core.data.gather import Gather
from seisproc_core.errors import ChunkCorrupt, ChunkMissing, Damaged, Incomplete, SeisprocError, UsageError
from seisproc_zarr import open_survey, verify
from seisproc_zarr.storage import SurveyStorage

READ_FILES = (
    "traces/c.3.0", "header_words/c.0.0", "raw_headers/c.5.0", "headers/000002.parquet", "zarr.json",
    "index/field_record/order.npy", "index/field_record/starts.npy",
)  # fmt: skip


@pytest.fixture(autouse=True)
def parquet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Header columns come from the Parquet files, as in surveys too large to read at once."""
    monkeypatch.setattr("seisproc_zarr.survey.SMALL_BYTES", 0)


def read_everything(path: Path) -> None:
    opened = open_survey(str(path))
    opened.read(slice(None))
    for name in opened.headers():
        opened.headers().column(name)
    for words in opened.about.index:
        opened.index(*words)


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << (position % 8)
    path.write_bytes(data)


def places(path: Path, count: int) -> Iterator[int]:
    size = path.stat().st_size
    yield from (0, size - 1)
    yield from np.random.default_rng(size).integers(0, size, count).tolist()


def test_a_flipped_bit_is_found_in_every_file(survey: Path) -> None:
    files = [path for path in survey.rglob("*") if path.is_file() and path.name != "manifest.json"]
    assert len(files) > 30
    for path in files:
        key = path.relative_to(survey).as_posix()
        for position in places(path, 2):
            flip(path, position)
            assert verify(survey)[0].startswith(f"{key}: does not match its checksum")
            flip(path, position)
    assert verify(survey) == []


@pytest.mark.parametrize("key", READ_FILES)
def test_a_flipped_bit_is_found_by_reading(survey: Path, key: str) -> None:
    read_everything(survey)
    for position in places(survey / key, 20):
        flip(survey / key, position)
        with pytest.raises(ChunkCorrupt, match=key):
            read_everything(survey)
        flip(survey / key, position)
    read_everything(survey)


def test_scattered_rows_of_a_damaged_chunk_are_not_returned(survey: Path, gather: Gather) -> None:
    flip(survey / "traces/c.0.0", 10 * 37 * 4)  # row 10
    opened = open_survey(str(survey))
    with pytest.raises(ChunkCorrupt):
        opened.read(np.array([40]))  # another row of that chunk
    assert np.array_equal(opened.read(np.array([64])).traces[0], gather.traces[64])  # the next chunk is sound


@pytest.mark.parametrize("key", READ_FILES)
def test_a_deleted_file_is_found(survey: Path, key: str) -> None:
    (survey / key).unlink()
    assert f"{key}: missing" in verify(survey)
    with pytest.raises(ChunkMissing, match=key):
        read_everything(survey)


@pytest.mark.parametrize("key", READ_FILES)
def test_a_truncated_or_longer_file_is_found(survey: Path, key: str) -> None:
    data = (survey / key).read_bytes()
    for changed in (data[:-1], data[: len(data) // 2], b"", data + b"\0"):
        (survey / key).write_bytes(changed)
        assert verify(survey)[0].startswith(f"{key}: has {len(changed)} bytes")
        with pytest.raises(ChunkCorrupt, match=key):
            read_everything(survey)


def test_damage_in_an_unsealed_survey(tmp_path: Path, gather: Gather, write_survey: Callable[..., Path]) -> None:
    """Without a manifest chunks and Parquet pages still carry their own checksums."""
    path = write_survey(tmp_path / "stage", gather, sealed=False, options={"shard_traces": 190})
    with pytest.raises(Incomplete, match="seisproc resume"):
        open_survey(str(path))
    with pytest.raises(Incomplete):
        verify(path)
    opened = SurveyStorage().open([str(path)], {"allow_partial": True})
    assert np.array_equal(opened.read(slice(None)).traces, gather.traces)
    assert opened.identity()[0]["root"] is None
    flip(path / "headers/000001.parquet", 100)
    with pytest.raises(ChunkCorrupt, match="000001"):
        open_survey(str(path), allow_partial=True).headers().column("trace_id")
    (path / "traces/c.5.0").unlink()
    with pytest.raises(ChunkMissing, match="traces/c.5.0"):
        open_survey(str(path), allow_partial=True).read(np.array([999]))
    (path / "zarr.json").unlink()
    with pytest.raises(Incomplete):
        open_survey(str(path), allow_partial=True)


def test_an_unexpected_file_is_listed(survey: Path) -> None:
    (survey / "traces/c.6.0").write_bytes(b"x")
    (survey / "elsewhere").symlink_to("/usr")
    assert verify(survey) == [
        "elsewhere: is not part of the survey",
        "traces/c.6.0: is not part of the survey",
    ]


def test_a_manifest_that_forgets_a_shard_is_found(survey: Path, reseal: Callable[[Path], None]) -> None:
    (survey / "traces/c.1.0").unlink()
    reseal(survey)
    assert verify(survey) == ["traces/c.1.0: is not in the manifest"]
    plain = json.loads((survey / "manifest.json").read_text())
    plain["root"] = "0" * 64
    (survey / "manifest.json").write_text(json.dumps(plain))
    assert "root hash" in verify(survey)[0]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"pieces": 3, "root": ""}', '{"pieces": {"../x": [1, 2]}, "root": ""}',
     '{"pieces": {"/etc/passwd": [1, 2]}, "root": ""}', '{"pieces": {"a": [-1, 2]}, "root": ""}',
     '{"pieces": {"a": ["1", 2]}, "root": ""}', '{"pieces": {"a": 1}, "root": ""}', '{"pieces": {}, "root": 5}',
     "[" * 100_000, '{"pieces": {"a//b": [1, 2]}, "root": ""}'],
)  # fmt: skip
def test_a_hostile_manifest(survey: Path, text: str) -> None:
    (survey / "manifest.json").write_text(text)
    with pytest.raises(Damaged, match="manifest"):
        open_survey(str(survey))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", 2), ("n_traces", -1), ("n_traces", 1.5), ("n_traces", 2**80), ("n_traces", True), ("chunk_rows", 0),
        ("shard_rows", 100), ("shard_rows", "192"), ("sampling", {}), ("sampling", 7), ("words", {}),
        ("words", {"a": "O"}), ("words", {"a": "V99999999999"}), ("words", ["a"]), ("words", {"a": None}),
        ("info", {}), ("index", 3), ("index", [[1]]),
        ("sampling", {"start_s": 0, "interval_s": 0, "count": 37}), ("raw_header_bytes", -240), ("notes", [1]),
        ("sampling", {"start_s": 0, "interval_s": 1, "count": 1e9}),
        ("sampling", {"start_s": "0", "interval_s": 1, "count": 9}),
        ("info", {"length_unit": "parsec", "header_map": {}, "file": {}}),
    ],
)  # fmt: skip
def test_hostile_attributes(survey: Path, reseal: Callable[[Path], None], name: str, value: Any) -> None:
    change(survey, name, value)
    reseal(survey)
    with pytest.raises(Damaged) as caught:
        open_survey(str(survey))
    assert "\n" not in str(caught.value)


def change(survey: Path, name: str, value: Any) -> None:
    plain = json.loads((survey / "zarr.json").read_text())
    plain["attributes"]["seisproc"][name] = value
    (survey / "zarr.json").write_text(json.dumps(plain))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_traces", 2**59), ("n_traces", 1025), ("chunk_rows", 32), ("raw_header_bytes", 2**50),
        ("shard_rows", 64 * 2**50),
        ("sampling", {"start_s": 0, "interval_s": 1, "count": 2**55}), ("words", {"trace_id": "f8"}),
    ],
)  # fmt: skip
def test_sizes_that_the_files_do_not_bear_out(
    survey: Path, reseal: Callable[[Path], None], name: str, value: Any
) -> None:
    """Refused before memory for them is asked for."""
    change(survey, name, value)
    reseal(survey)
    with pytest.raises(Damaged):
        open_survey(str(survey)).read(slice(None))


def test_verify_ends_on_a_description_without_bounds(survey: Path, reseal: Callable[[Path], None]) -> None:
    change(survey, "n_traces", 2**59)
    reseal(survey)
    assert "traces/c.6.0: is not in the manifest" in verify(survey)


def test_header_columns_of_another_type_are_refused(survey: Path, reseal: Callable[[Path], None]) -> None:
    change(survey, "words", {"trace_id": "float64"})
    reseal(survey)
    with pytest.raises(ChunkCorrupt, match="columns"):
        open_survey(str(survey)).headers().column("trace_id")


def test_a_header_file_from_elsewhere_is_refused(survey: Path, reseal: Callable[[Path], None]) -> None:
    shutil.copy(survey / "headers/000005.parquet", survey / "headers/000001.parquet")
    reseal(survey)
    with pytest.raises(ChunkCorrupt, match="has 40 rows instead of 192"):
        open_survey(str(survey)).headers().column("trace_id")


@pytest.mark.parametrize("key", ["zarr.json", "traces/c.3.0", "headers/000000.parquet"])
def test_links_that_leave_the_folder_are_not_followed(survey: Path, tmp_path: Path, key: str) -> None:
    outside = tmp_path / "outside"
    shutil.move(survey / key, outside)
    (survey / key).symlink_to(outside)
    with pytest.raises(Damaged, match="leaves the survey"):
        read_everything(survey)
    assert any(line.startswith(f"{key}: cannot be opened") for line in verify(survey))


def test_a_pipe_instead_of_a_file_does_not_block(survey: Path) -> None:
    (survey / "traces/c.0.0").unlink()
    os.mkfifo(survey / "traces/c.0.0")
    with pytest.raises(Damaged, match="not a regular file"):
        open_survey(str(survey)).read(slice(0, 1))


def test_metadata_of_absurd_size_is_refused(survey: Path) -> None:
    os.truncate(survey / "zarr.json", (16 << 20) + 1)
    with pytest.raises(Damaged, match="more than"):
        open_survey(str(survey))


def test_what_open_refuses(tmp_path: Path, survey: Path) -> None:
    storage = SurveyStorage()
    with pytest.raises(UsageError, match="no survey folder"):
        storage.open([str(tmp_path / "nothing")], {})
    with pytest.raises(UsageError, match="is not a survey"):
        storage.open([str(tmp_path)], {})
    with pytest.raises(UsageError, match="one folder"):
        storage.open([str(survey), str(survey)], {})
    with pytest.raises(UsageError, match="allow_partail"):
        storage.open([str(survey)], {"allow_partail": True})
    with pytest.raises(UsageError, match="true or false"):
        storage.open([str(survey)], {"allow_partial": 1})


def test_threads_share_one_survey(
    tmp_path: Path, gather: Gather, write_survey: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when files are closed and opened all the time."""
    path = write_survey(tmp_path / "many.seis", gather, options={"shard_traces": 16})
    monkeypatch.setattr("seisproc_zarr.folder.MAX_OPEN_FILES", 3)
    opened = open_survey(str(path))
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        try:
            for _ in range(20):
                rows = rng.integers(0, 1000, 60)
                got = opened.read(rows)
                assert np.array_equal(got.traces, gather.traces[rows])
                assert np.array_equal(got.headers.column("trace_id"), rows)
        except (AssertionError, SeisprocError, OSError) as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    if before:
        assert len(os.listdir("/proc/self/fd")) <= before + 3
