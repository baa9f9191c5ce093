"""What is written is what is read: by seisproc, by zarr and by xarray."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core.data.gather import Gather
from seisproc_core.data.headers import Headers
from seisproc_core.data.survey import OutputPlan, SurveyInfo
from seisproc_core.errors import Cancelled, DataError, HeaderError, UsageError
from seisproc_core.testing import make_gather
from seisproc_zarr import open_survey, verify
from seisproc_zarr.check import BESIDE
from seisproc_zarr.storage import SurveyStorage

UNICODE_WORD = "глубина/.."


def assert_equal(got: Gather, wanted: Gather) -> None:
    assert got.traces.tobytes() == wanted.traces.tobytes()
    assert list(got.headers) == list(wanted.headers)
    for name in wanted.headers:
        assert got.headers.dtype(name) == wanted.headers.dtype(name)
        assert np.array_equal(got.headers.column(name), wanted.headers.column(name)), name
    if wanted.headers.raw is not None:
        assert got.headers.raw is not None and np.array_equal(got.headers.raw, wanted.headers.raw)


def test_slices_rows_and_columns(survey: Path, gather: Gather) -> None:
    opened = open_survey(str(survey))
    assert (opened.n_traces, opened.sampling, opened.raw_header_bytes) == (1000, gather.sampling, 240)
    assert_equal(opened.read(slice(0, 1000)), gather)
    assert_equal(opened.read(slice(187, 201)), gather.rows(187, 201))
    assert opened.read(slice(500, 500)).n_traces == 0
    rows = np.random.default_rng(1).integers(0, 1000, 300)
    expected = Gather(headers=gather.headers.take(rows), sampling=gather.sampling, traces=gather.traces[rows])
    assert_equal(open_survey(str(survey)).read(rows), expected)  # nothing checked before
    assert_equal(opened.read(rows), expected)  # every chunk checked before
    headers = opened.headers()
    assert np.array_equal(headers[UNICODE_WORD], np.arange(1000))
    assert np.array_equal(headers["source_x"], gather.headers["source_x"])
    assert verify(survey) == []


def test_results_that_are_held_are_not_written_over(survey: Path, gather: Gather) -> None:
    """The memory of large results is used again, but only when nobody holds any part of them."""
    opened = open_survey(str(survey))
    parts = [opened.read(slice(first, first + 600)).traces[5:9] for first in range(0, 401, 100)]
    last = opened.read(slice(400, 1000))
    for first, part in zip(range(0, 401, 100), parts, strict=True):
        assert np.array_equal(part, gather.traces[first + 5 : first + 9])
    assert_equal(last, gather.rows(400, 1000))


def test_rows_outside_the_survey_are_refused(survey: Path) -> None:
    opened = open_survey(str(survey))
    for rows in (np.array([0, 1000]), np.array([-1])):
        with pytest.raises(IndexError, match="there is no trace"):
            opened.read(rows)
    with pytest.raises(IndexError, match="step"):
        opened.read(slice(0, 10, 2))


def test_a_raised_flag_stops_the_read(survey: Path) -> None:
    with pytest.raises(Cancelled):
        open_survey(str(survey)).read(slice(0, 1000), flag=np.ones(1, np.uint8))


@settings(max_examples=60, deadline=None)
@given(
    n_traces=st.integers(1, 200),
    n_samples=st.integers(1, 40),
    shard_traces=st.none() | st.integers(1, 250),
    raw=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shape(
    tmp_path_factory: pytest.TempPathFactory,
    write_survey: Callable[..., Path],
    n_traces: int,
    n_samples: int,
    shard_traces: int | None,
    raw: bool,
    seed: int,
) -> None:
    zarr = pytest.importorskip("zarr")
    rng = np.random.default_rng(seed)
    made = make_gather(
        rng.standard_normal((n_traces, n_samples)), cdp=rng.integers(-5, 5, n_traces), scale=rng.integers(0, 9)
    )
    if raw:
        made.headers.raw = rng.integers(0, 256, (n_traces, 240)).astype(np.uint8)
    options = {} if shard_traces is None else {"shard_traces": shard_traces}
    path = write_survey(tmp_path_factory.mktemp("any") / "a.seis", made, options=options, index=(("cdp",),))
    assert verify(path) == []
    opened = open_survey(str(path))
    assert_equal(opened.read(slice(None)), made)
    rows = rng.integers(0, n_traces, 2 * n_traces)
    assert np.array_equal(open_survey(str(path)).read(rows).traces, made.traces[rows])
    assert np.array_equal(zarr.open_array(path / "traces", mode="r")[:], made.traces)


def test_a_shard_is_what_zarr_writes(tmp_path: Path, survey: Path, gather: Gather) -> None:
    """zarr-python, given our metadata and the same rows, makes the same files."""
    zarr = pytest.importorskip("zarr")
    for name, values in (("traces", gather.traces), ("raw_headers", gather.headers.raw)):
        other = tmp_path / name
        other.mkdir()
        (other / "zarr.json").write_bytes((survey / name / "zarr.json").read_bytes())
        array = zarr.open_array(other, mode="r+", config={"write_empty_chunks": True})
        array[:] = values
        files = sorted(path.relative_to(other) for path in other.glob("c.*"))
        assert len(files) == 6
        for file in files:
            assert np.array_equal(_canonical(other / file), _canonical(survey / name / file))


def _canonical(shard: Path) -> np.ndarray:
    """A shard's stored chunks in order of number; zarr may lay them down in another order."""
    data = shard.read_bytes()
    chunks = 3  # 192 rows in chunks of 64
    index = np.frombuffer(data[-chunks * 16 - 4 : -4], "<u8").reshape(chunks, 2)
    parts = [data[int(at) : int(at) + int(size)] for at, size in index if at != 2**64 - 1]
    return np.frombuffer(b"".join(parts), np.uint8)


@pytest.mark.filterwarnings("ignore")
def test_xarray_opens_it_as_it_is(survey: Path, gather: Gather) -> None:
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("zarr")
    with xarray.open_zarr(survey) as data:
        assert data.traces.dims == ("trace", "sample")
        assert np.array_equal(data.traces.values, gather.traces)
        assert np.allclose(data.traces.time.values, gather.sampling.times()) and data.time.attrs["units"] == "s"
        assert np.array_equal(data.raw_headers.values, gather.headers.raw)


def test_parquet_files_hold_the_words(survey: Path, gather: Gather) -> None:
    table = pq.read_table(survey / "headers")
    assert table.column_names == list(gather.headers)
    assert not any(field.nullable for field in table.schema)
    for name in gather.headers:
        assert np.array_equal(table[name].to_numpy(), gather.headers.column(name))


def test_records_can_be_read_by_their_description(survey: Path, gather: Gather) -> None:
    zarr = pytest.importorskip("zarr")
    words = zarr.open_array(survey / "header_words", mode="r")
    name, dtype, at = words.attrs["fields"][-1]
    width = np.dtype(dtype).itemsize
    assert name == UNICODE_WORD
    assert np.array_equal(words[:, at : at + width].copy().view(dtype)[:, 0], np.arange(1000))


def test_raw_samples_are_kept_where_they_were_given(
    tmp_path: Path, gather: Gather, plan_of: Callable[..., OutputPlan], write_survey: Callable[..., Path]
) -> None:
    raw = np.random.default_rng(3).integers(0, 256, (1000, 74)).astype(np.uint8)
    whole = attrs.evolve(gather, raw_samples=raw)
    path = write_survey(tmp_path / "raw.seis", whole, options={"shard_traces": 128})
    opened = open_survey(str(path))
    rows = np.array([999, 0, 127, 128, 5])
    assert opened.raw_sample_bytes == 74
    assert np.array_equal(opened.read(rows).raw_samples, raw[rows])  # type: ignore[arg-type]

    (path / "raw_samples/c.2.0").unlink()  # listed in the manifest: this is damage
    assert verify(path) == ["raw_samples/c.2.0: missing"]
    sink = SurveyStorage().sink(plan_of(whole, options={"shard_traces": 128}))
    keys = [piece.key for piece in sink.encode(0, gather.rows(0, 128))]
    assert keys == ["headers/000000.parquet", "header_words/c.0.0", "traces/c.0.0", "raw_headers/c.0.0"]


def test_rows_of_a_shard_without_raw_samples(
    tmp_path: Path, gather: Gather, write_survey: Callable[..., Path], reseal: Callable[[Path], None]
) -> None:
    raw = np.full((1000, 74), 9, np.uint8)
    path = write_survey(tmp_path / "raw.seis", attrs.evolve(gather, raw_samples=raw), options={"shard_traces": 128})
    (path / "raw_samples/c.2.0").unlink()
    reseal(path)  # now as if that shard had been written from rows without raw samples
    opened = open_survey(str(path))
    assert verify(path) == []
    assert opened.read(slice(256, 384)).raw_samples is None
    assert opened.read(slice(0, 256)).raw_samples is not None
    across = opened.read(np.array([250, 300, 390])).raw_samples
    assert across is not None
    assert across.any(axis=1).tolist() == [True, False, True]


def test_equal_input_gives_equal_bytes(gather: Gather, plan_of: Callable[..., OutputPlan], survey: Path) -> None:
    index = (("field_record",), ("field_record", UNICODE_WORD))
    sink = SurveyStorage().sink(plan_of(gather, options={"shard_traces": 190}, index=index))
    pieces = [*sink.encode(0, gather), *sink.finish(survey)]  # all shards in one call
    files = {path.relative_to(survey).as_posix() for path in survey.rglob("*") if path.is_file()} - {*BESIDE}
    assert {piece.key for piece in pieces} == files
    assert all((survey / piece.key).read_bytes() == bytes(piece.data) for piece in pieces)


def test_the_gather_index(survey: Path, gather: Gather) -> None:
    index = open_survey(str(survey)).index("fldr")
    shots = gather.headers.column("field_record")
    assert np.array_equal(index.order, np.argsort(shots, kind="stable"))
    keys = pq.read_table(survey / "index/field_record/keys.parquet")["field_record"].to_numpy()
    assert np.array_equal(keys, np.unique(shots))
    assert all(set(shots[index.rows(k)]) == {key} for k, key in enumerate(keys))
    both = open_survey(str(survey)).index("field_record", UNICODE_WORD)
    assert len(both.starts) == 1001 and np.array_equal(both.order, np.lexsort((np.arange(1000), shots)))
    with pytest.raises(UsageError, match="no gather index over cdp"):
        open_survey(str(survey)).index("cdp")


def test_an_empty_survey(tmp_path: Path, write_survey: Callable[..., Path]) -> None:
    path = write_survey(tmp_path / "empty.seis", make_gather(np.empty((0, 5)), cdp=[]), index=(("cdp",),))
    opened = open_survey(str(path))
    assert opened.n_traces == 0 and opened.read(slice(None)).traces.shape == (0, 5)
    assert opened.headers()["cdp"].shape == (0,) and opened.index("cdp").starts.tolist() == [0]
    assert verify(path) == []


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_no_nan_is_written(gather: Gather, plan_of: Callable[..., OutputPlan], value: float) -> None:
    traces = gather.traces.copy()
    traces[777, 20] = value
    sink = SurveyStorage().sink(plan_of(gather))
    with pytest.raises(DataError, match=r"trace 777 .* sample 20"):
        sink.encode(0, attrs.evolve(gather, traces=traces))
    traces[777, 20] = np.finfo(np.float32).max
    traces[777, 21] = np.finfo(np.float32).max  # large, and fine
    sink.encode(0, attrs.evolve(gather, traces=traces))


def test_what_the_sink_refuses(gather: Gather, plan_of: Callable[..., OutputPlan]) -> None:
    storage = SurveyStorage()
    for options in ({"shards": 1}, {"shard_traces": 0}, {"shard_traces": True}, {"shard_traces": "9"}):
        with pytest.raises(UsageError, match=next(iter(options))):
            storage.sink(plan_of(gather, options=options))
    with pytest.raises(UsageError, match="'name' has type"):
        storage.sink(plan_of(gather, words={"name": "U8"}))
    with pytest.raises(UsageError, match="'inline' is not in this survey"):
        storage.sink(plan_of(gather, index=(("inline",),)))
    sink = storage.sink(plan_of(gather, options={"shard_traces": 190}))
    with pytest.raises(ValueError, match="whole shards"):
        sink.encode(10, gather.rows(0, 190))
    with pytest.raises(ValueError, match="whole shards"):
        sink.encode(0, gather.rows(0, 190))  # a shard has 192 rows
    wide = gather.headers.with_columns(channel=gather.headers.column("channel").astype(np.int64))
    with pytest.raises(HeaderError, match="'channel' was planned as int32"):
        sink.encode(0, gather.with_headers(wide))
    bare = Headers(gather.headers.columns, gather.n_traces)
    with pytest.raises(DataError, match="240 bytes of raw_headers"):
        sink.encode(0, gather.with_headers(bare))


def test_the_unit_of_length_is_kept(tmp_path: Path, write_survey: Callable[..., Path]) -> None:
    made = make_gather(np.zeros((3, 4)), offset=[10, 20, 30])
    info = SurveyInfo(length_unit="ft", header_map={"offset": (37, "i4")}, file={"text": "Ünïcode"})
    opened = open_survey(str(write_survey(tmp_path / "feet.seis", made, info=info)))
    assert opened.info == info
    assert np.allclose(opened.headers()["offset"], [3.048, 6.096, 9.144])
    assert np.allclose(opened.read(slice(1, 2)).headers["offset"], 6.096)


def _grid(n_traces: int, n_samples: int, **options: Any) -> tuple[int, int]:
    made = make_gather(np.zeros((1, n_samples)))
    words = {"trace_id": "i8"}
    plan = OutputPlan(n_traces=n_traces, sampling=made.sampling, words=words, info=SurveyInfo(), options=options)
    sink = SurveyStorage().sink(plan)
    return sink.about.grid.chunk_rows, sink.shard_rows


def test_the_grid_follows_from_the_plan() -> None:
    assert _grid(2_000_000, 1500) == (64, 2752)  # 16 MiB shards at most
    assert _grid(20_000, 1500) == (64, 256)  # a sixty-fourth would be 312 traces
    assert _grid(200, 1500) == (64, 128)  # 1 MiB at least
    assert _grid(5, 10) == (8, 8)
    assert _grid(10_000, 100_000) == (1, 41)  # chunks of 512 KiB at most
    assert _grid(100, 1_000_000) == (1, 1)
    assert _grid(1000, 100, shard_traces=3) == (2, 4)
    assert _grid(1000, 100, shard_traces=100) == (64, 128)
