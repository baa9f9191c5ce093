"""Compressed surveys: the same traces, readable by anything that knows Zarr, no less suspicious of their files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seisproc_core.data.checksums import crc32c
from seisproc_core.data.gather import Gather
from seisproc_core.data.survey import OutputPlan
from seisproc_core.errors import ChunkCorrupt, Damaged, ParameterError
from seisproc_zarr import codecs, open_survey, verify
from seisproc_zarr.storage import SurveyStorage


@pytest.fixture(params=sorted(codecs.CODECS))
def packed(request: pytest.FixtureRequest, tmp_path: Path, gather: Gather, write_survey: Callable[..., Path]) -> Path:
    """The gather as a compressed survey in six shards."""
    options = {"shard_traces": 190, "codec": request.param}
    return write_survey(tmp_path / "packed.seis", gather, options=options, index=(("field_record",),))


def test_what_is_written_is_read(packed: Path, gather: Gather) -> None:
    opened = open_survey(str(packed))
    rng = np.random.default_rng(3)
    for rows in (np.arange(1000), rng.permutation(1000), np.array([999, 3, 3, 700]), np.arange(64, 192)):
        found = opened.read(rows)
        assert np.array_equal(found.traces, gather.traces[rows])
        assert found.headers.raw is not None and np.array_equal(found.headers.raw, gather.headers.raw[rows])
        assert np.array_equal(found.headers.column("source_x"), gather.headers.column("source_x")[rows])
    assert verify(packed) == []


def test_it_is_smaller_and_says_so(packed: Path, survey: Path) -> None:
    def size(folder: Path) -> int:
        return sum(path.stat().st_size for path in folder.rglob("c.*"))

    assert size(packed / "header_words") < size(survey / "header_words") / 2
    attributes = json.loads((packed / "zarr.json").read_bytes())["attributes"]["seisproc"]
    assert attributes["format"] == 2 and attributes["codec"] in codecs.CODECS


def test_other_readers_open_it(packed: Path, gather: Gather) -> None:
    zarr = pytest.importorskip("zarr")
    xarray = pytest.importorskip("xarray")
    assert np.array_equal(zarr.open_array(packed / "traces", mode="r")[:], gather.traces)
    with xarray.open_zarr(packed, consolidated=False) as data:
        assert np.array_equal(data.raw_headers.values, gather.headers.raw)


def test_the_zarrs_pipeline_opens_it(packed: Path, gather: Gather) -> None:
    zarr = pytest.importorskip("zarr")
    pytest.importorskip("zarrs", reason="the zarrs codec pipeline is not installed")
    with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}):
        assert np.array_equal(zarr.open_array(packed / "traces", mode="r")[:], gather.traces)


def test_equal_rows_give_equal_bytes(packed: Path, gather: Gather, plan_of: Callable[..., OutputPlan]) -> None:
    codec = open_survey(str(packed)).about.codec
    sink = SurveyStorage().sink(plan_of(gather, options={"shard_traces": 190, "codec": codec}))
    for piece in sink.encode(0, gather):
        assert (packed / piece.key).read_bytes() == bytes(piece.data)


def test_a_flipped_bit_is_found_by_reading(packed: Path) -> None:
    rng = np.random.default_rng(5)
    path = packed / "traces/c.1.0"
    data = path.read_bytes()
    for bit in rng.integers(0, 8 * len(data), 60).tolist():
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(changed)
        with pytest.raises(ChunkCorrupt, match=r"traces/c\.1\.0"):
            open_survey(str(packed)).read(slice(192, 384))


def test_a_stranger_who_can_compute_checksums_breaks_nothing(packed: Path) -> None:
    """Chunks are altered under a checksum that fits: an error or other samples, never a crash or a wild read."""
    path = packed / "traces/c.0.0"
    layout = open_survey(str(packed)).about.traces
    data = bytearray(path.read_bytes())
    length = int.from_bytes(data[-layout.index_bytes + 8 :][:8], "little") - 4
    rng = np.random.default_rng(6)
    for number in range(300):
        chunk = np.frombuffer(bytes(data[:length]), np.uint8).copy()
        place = rng.integers(0, 40 if number % 2 else length, 3)
        chunk[place] = rng.integers(0, 256, 3)
        path.write_bytes(chunk.tobytes() + crc32c(chunk).to_bytes(4, "little") + bytes(data[length + 4 :]))
        try:
            assert open_survey(str(packed)).read(slice(0, 64)).traces.shape == (64, 37)
        except ChunkCorrupt as error:
            assert "cannot be decompressed" in str(error)


@pytest.mark.parametrize("entry", [(0, 2**63), (2**63, 100), (0, 0), (8, 100), (0, 1 << 30)])
def test_an_index_from_a_stranger(packed: Path, entry: tuple[int, int]) -> None:
    path = packed / "traces/c.0.0"
    layout = open_survey(str(packed)).about.traces
    data = path.read_bytes()
    table = np.frombuffer(data[-layout.index_bytes : -4], "<u8").copy()
    table[:2] = entry
    path.write_bytes(data[: -layout.index_bytes] + table.tobytes() + crc32c(table).to_bytes(4, "little"))
    with pytest.raises(ChunkCorrupt, match=r"traces/c\.0\.0"):
        open_survey(str(packed)).read(slice(0, 64))


@pytest.mark.parametrize("value", ["lz77", 3, ["fast"], None])
def test_a_codec_that_is_none(gather: Gather, plan_of: Callable[..., OutputPlan], value: Any) -> None:
    with pytest.raises(ParameterError, match="codec"):
        SurveyStorage().sink(plan_of(gather, options={"codec": value}))


def test_an_unknown_codec_in_a_survey(packed: Path, reseal: Callable[[Path], None]) -> None:
    plain = json.loads((packed / "zarr.json").read_bytes())
    plain["attributes"]["seisproc"]["codec"] = "lz77"
    (packed / "zarr.json").write_text(json.dumps(plain))
    reseal(packed)
    with pytest.raises(Damaged, match="lz77"):
        open_survey(str(packed))
