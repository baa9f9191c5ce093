"""The steps header_math and join."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seisproc_core.data.gather import Gather
from seisproc_core.data.headers import Headers
from seisproc_core.data.survey import LENGTH_FACTOR
from seisproc_core.errors import SeisprocError
from seisproc_core.testing import make_gather, run_processor
from seisproc_geometry.header_math import HeaderMath
from seisproc_geometry.join import Join
from seisproc_geometry.textfiles import read_text_table


def gather(**words: Any) -> Gather:
    given: dict[str, Any] = {"field_record": [7, 7, 8, 8], "channel": [1, 2, 1, 2], "source_x": [10, 10, 20, 20]}
    given |= {"receiver_x": [15, 25, 25, 35], "coordinate_scalar": -10, "elevation_scalar": 0}
    return make_gather(np.arange(8).reshape(4, 2), **given | words)


def in_feet(made: Gather) -> Gather:
    held = made.headers
    return made.with_headers(Headers(held.columns, held.count, length_factor=LENGTH_FACTOR["us_ft"]))


def test_assignments_see_those_before_them() -> None:
    out = run_processor(
        HeaderMath, gather(), {"compute": ["x = channel * 2", "cdp = x + field_record", "late = cdp > 10"]}
    )
    assert out.headers.column("cdp").tolist() == [9, 11, 10, 12]
    assert out.headers.column("cdp").dtype == np.int32
    assert out.headers.column("late").tolist() == [0, 1, 0, 1]
    assert np.array_equal(out.traces, gather().traces)


def test_where_leaves_the_others() -> None:
    out = run_processor(
        HeaderMath, gather(), {"compute": ["source_x = 1 / (channel - 2) + 3"], "where": "channel != 2"}
    )
    assert out.headers.column("source_x").tolist() == [20, 10, 20, 20]
    with pytest.raises(SeisprocError, match="leaves 'fresh' without a value"):
        run_processor(HeaderMath, gather(), {"compute": ["fresh = 1"], "where": "channel == 1"})


def test_values_between_those_that_a_word_can_hold_are_refused_until_the_scalar_allows_them() -> None:
    step = {"compute": ["receiver_x = receiver_x + 0.25"]}
    with pytest.raises(SeisprocError, match="choose another coordinate_scalar"):
        run_processor(HeaderMath, gather(), step)
    out = run_processor(HeaderMath, gather(), step | {"coordinate_scalar": -100})
    assert out.headers.column("receiver_x").tolist() == [175, 275, 275, 375]
    assert out.headers.column("source_x").tolist() == [100, 100, 200, 200]
    assert np.allclose(out.headers["source_x"], gather().headers["source_x"])


def test_assigning_a_scalar_changes_what_coordinates_mean() -> None:
    out = run_processor(HeaderMath, gather(), {"compute": ["coordinate_scalar = 10"]})
    assert out.headers["source_x"].tolist() == [100, 100, 200, 200]


@pytest.mark.parametrize("unit", ["m", "ft", "us_ft"])
def test_feet_come_back_to_the_same_integers(unit: str) -> None:
    made = gather(source_x=[7654321, -1, 3, 99999], offset=[11, -12, 13, 1])
    made = made.with_headers(Headers(made.headers.columns, 4, length_factor=LENGTH_FACTOR[unit]))  # type: ignore[index]
    out = run_processor(HeaderMath, made, {"compute": ["source_x = source_x + 0", "offset = offset * 1"]})
    assert np.array_equal(out.headers.column("source_x"), made.headers.column("source_x"))
    assert np.array_equal(out.headers.column("offset"), made.headers.column("offset"))
    assert out.headers.column("offset").dtype == np.int32


def test_an_offset_between_whole_metres_is_kept() -> None:
    out = run_processor(HeaderMath, gather(), {"compute": ["offset = abs(receiver_x - source_x)"]})
    assert out.headers["offset"].tolist() == [0.5, 1.5, 0.5, 1.5]


@pytest.mark.parametrize(
    "compute", [[], ["cdp"], ["cdp = channel / 2"], ["cdp = nowhere"], ["trace_id = 1"], ["cdp = 2 ** 40"]]
)
def test_refused(compute: list[str]) -> None:
    with pytest.raises(SeisprocError, match="header_math"):
        run_processor(HeaderMath, gather(), {"compute": compute})


ON = {"field_record": "ffid", "channel": "chan"}


def test_join_from_csv(tmp_path: Path) -> None:
    text = "# made by hand\nffid;chan;elev;depth;note\n7;1;100;2.5;a\n7;2;101;3;b\n8;1;102;4;\n8;2;103;5;d\n9;1;1;1;e\n"
    (tmp_path / "t.csv").write_text(text)
    words = {"receiver_elevation": "elev", "hole": "depth:f4"}
    out = run_processor(Join, gather(), {"file": "t.csv", "on": ON, "words": words}, base=tmp_path)
    assert out.headers["receiver_elevation"].tolist() == [100, 101, 102, 103]
    assert out.headers.column("hole").dtype == np.float32
    assert out.headers["hole"].tolist() == [2.5, 3, 4, 5]


def test_join_from_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"ffid": [7, 8], "shift": [12, -3]}), tmp_path / "t.parquet")
    step = {"file": "t.parquet", "on": {"field_record": "ffid"}, "words": {"source_static": "shift"}}
    out = run_processor(Join, gather(), step, base=tmp_path)
    assert out.headers.column("source_static").tolist() == [12, 12, -3, -3]
    assert np.allclose(out.headers["source_static"], [0.012, 0.012, -0.003, -0.003])


def test_lengths_are_in_the_unit_of_the_survey() -> None:
    table = {"ffid": [7, 8], "x": [1000.5, 2000.5]}
    step = {"table": table, "on": {"field_record": "ffid"}, "words": {"source_x": "x"}}
    out = run_processor(Join, in_feet(gather()), step)
    assert out.headers.column("source_x").tolist() == [10005, 10005, 20005, 20005]
    out = run_processor(
        Join, in_feet(gather()), step | {"table": {"ffid": [7, 8], "x": [1200, 2400]}, "length_unit": "m"}
    )
    assert out.headers.column("source_x").tolist() == [39370, 39370, 78740, 78740]


def test_what_does_not_match_is_listed_and_never_guessed() -> None:
    step = {"table": {"ffid": [7, 9], "x": [1, 2]}, "on": {"field_record": "ffid"}, "words": {"source_x": "x"}}
    with pytest.raises(SeisprocError, match="2 of 4 traces have no row: field_record 8"):
        run_processor(Join, gather(), step)
    out = run_processor(Join, gather(), step | {"unmatched": "keep"})
    assert out.headers.column("source_x").tolist() == [10, 10, 20, 20]
    instance = Join(table=None, on={}, words={})  # type: ignore[arg-type]
    assert instance.unmatched == "error"
    with pytest.raises(SeisprocError, match="must give 'depth' for traces without a row"):
        run_processor(Join, gather(), step | {"words": {"depth": "x"}, "unmatched": "keep"})
    out = run_processor(Join, gather(), step | {"words": {"depth": "x"}, "unmatched": "keep", "fill": {"depth": -1}})
    assert out.headers.column("depth").tolist() == [1, 1, -1, -1]


def test_rows_with_the_same_key_are_refused() -> None:
    step = {"table": {"ffid": [7, 8, 7], "x": [1, 2, 1]}, "on": {"field_record": "ffid"}, "words": {"source_x": "x"}}
    with pytest.raises(SeisprocError, match="1 rows with the key of another: field_record 7"):
        run_processor(Join, gather(), step)


@pytest.mark.parametrize(
    "data",
    [
        b"ffid,x\n7,12.5\n8,-3\n",
        b"ffid;x\r\n7;12,5\r\n8;-3\r\n",
        "# Größen in m\nffid\tx\n7\t12.5\n8\t-3\n".encode("latin-1"),
        b"  ffid      x\n     7   12.5\n     8     -3\n\x1a",
        b"ffid,x,,\n7,12.5,,\n,,,\n8,-3,,\n,,,\n",
        "ffid,x\n7,12.5\n8,-3\n".encode("utf-16"),
        '\ufeff"ffid","x"\n7,"12.5"\n8,-3\n'.encode(),
    ],
)
def test_dialects_of_tables(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    table = read_text_table(tmp_path / "t.csv")
    assert list(table.columns) == ["ffid", "x"]
    assert table.number("ffid").tolist() == [7, 8] and table.number("x").tolist() == [12.5, -3]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ffid;x\n7;1.234,5\n", "line 2: x '1.234,5' is not a number"),
        ("ffid,x,\n7,1,2\n", "every column needs a name"),
        ("ffid,x\n7,abc\n", "line 2: x 'abc' is not a number"),
        ("ffid,x\n7,\n", "line 2: x '' is not a number"),
        ("ffid,x\n7,nan\n", "line 2: x 'nan' is not a number"),
        ("ffid,x\n7,1,2\n", "line 2: 3 entries under 2 column names"),
        ("ffid,ffid\n7,1\n", "every column needs a name of its own"),
        ("ffid,y\n7,1\n", "has no column 'x'; it has ffid, y"),
        ("ffid,x\n", "no rows"),
        ("", "holds no table"),
    ],
)
def test_tables_that_cannot_be_read(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    step = {"file": "t.csv", "on": {"field_record": "ffid"}, "words": {"source_x": "x"}}
    with pytest.raises(SeisprocError) as caught:
        run_processor(Join, gather(), step, base=tmp_path)
    assert problem in str(caught.value)
