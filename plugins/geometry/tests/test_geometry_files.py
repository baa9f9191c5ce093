"""The step geometry: survey files are read back, traces find their source and receiver, and nothing is guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from survey_writers import Survey, land_3d, write_csv, write_p190, write_sps

from seisproc_core.data.gather import Gather
from seisproc_core.errors import SeisprocError
from seisproc_core.processing.params import build, to_plain
from seisproc_core.testing import make_gather, run_processor
from seisproc_geometry.geometry_step import Geometry


def step(gather: Gather, base: Path, **parameters: Any) -> Gather:
    return run_processor(Geometry, gather, parameters, base=base)


def check(out: Gather, survey: Survey, *, elevations: bool = True) -> None:
    """Hold the headers to the survey that the files were written from."""
    source, receiver = survey.positions()
    headers = out.headers
    for end, true in (("source", source), ("receiver", receiver)):
        assert np.allclose(headers[f"{end}_x"], true[:, 0], atol=1e-6)
        assert np.allclose(headers[f"{end}_y"], true[:, 1], atol=1e-6)
        if elevations:
            assert np.allclose(headers[f"{end}_elevation"], true[:, 2], atol=1e-6)
    dx, dy = (receiver - source)[:, :2].T
    assert np.allclose(np.abs(headers["offset"]), np.hypot(dx, dy))
    assert np.allclose(headers["midpoint_x"], (source + receiver)[:, 0] / 2)
    assert np.allclose(np.exp(1j * np.radians(90 - headers["azimuth"])), (dx + 1j * dy) / np.hypot(dx, dy))


@pytest.mark.parametrize("revision", [1, 2])
def test_sps(revision: int, tmp_path: Path) -> None:
    survey = land_3d()
    write_sps(survey, tmp_path / "a.sps", revision)
    out = step(survey.gather(), tmp_path, sps=["a.sps"])
    check(out, survey)
    headers = out.headers
    assert headers.column("coordinate_scalar").tolist() == [-10] * len(headers)
    assert headers["source_depth"].tolist() == [3.5] * len(headers)
    assert np.array_equal(headers.column("shot"), headers.column("field_record") - 19)
    assert np.array_equal(headers.column("source_station"), headers.column("field_record") + 480)
    assert (headers.column("offset") >= 0).all()  # two receiver lines: no sign


def test_sps_in_three_files_and_feet(tmp_path: Path) -> None:
    survey = land_3d()
    write_sps(survey, tmp_path / "a.sps", 1)
    cards = (tmp_path / "a.sps").read_text().splitlines()
    feet = "H21 Factor to metre             0.30480061".ljust(80)
    for kind in "SRX":
        (tmp_path / f"a.{kind}").write_text("\n".join([feet, *(c for c in cards if c[0] == kind)]))
    out = step(survey.gather(), tmp_path, sps=["a.X", "a.R", "a.S"])
    source, _ = survey.positions()
    assert np.allclose(out.headers["source_x"], source[:, 0] * 1200 / 3937, atol=5e-4)


def test_p190(tmp_path: Path) -> None:
    survey = land_3d()
    write_p190(survey, tmp_path / "a.p190")
    out = step(survey.gather(), tmp_path, p190="a.p190")
    check(out, survey, elevations=False)
    assert out.headers["source_water_depth"].tolist() == [57.5] * len(out.headers)


def write_tables(survey: Survey, folder: Path) -> dict[str, str]:
    for name, points in (("sources", survey.sources), ("receivers", survey.receivers)):
        keys, values = list(points), np.array(list(points.values()))
        write_csv(folder / f"{name}.csv", {
            "Line": [k[0] for k in keys], "Station": [k[1] for k in keys], "Easting": values[:, 0],
            "Northing": values[:, 1], "Elev": values[:, 2],
        })  # fmt: skip
    rows = []
    for shot in survey.shots:
        first = 1
        for line, low, high in shot.spread:
            rows.append((shot.record, shot.source[0], shot.source[1], first, first + high - low, line, low, high))
            first += high - low + 1
    names = ("FFID", "source_line", "source", "channel_first", "channel_last", "receiver_line", "receiver_first",
             "receiver_last")  # fmt: skip
    write_csv(folder / "relations.csv", dict(zip(names, zip(*rows, strict=True), strict=True)))
    return {name: f"{name}.csv" for name in ("sources", "receivers", "relations")}


def test_tables(tmp_path: Path) -> None:
    survey = land_3d()
    check(step(survey.gather(), tmp_path, **write_tables(survey, tmp_path)), survey)


def test_the_plan_holds_the_tables_and_gives_the_same(tmp_path: Path) -> None:
    survey = land_3d()
    gather = survey.gather()
    planned = build(Geometry, "geometry", write_tables(survey, tmp_path), tmp_path).resolve(gather.layout)
    again = build(Geometry, "geometry", to_plain(planned))
    for rows in (slice(0, 5), slice(5, 48)):
        part = Gather(headers=gather.headers.take(rows), sampling=gather.sampling, traces=gather.traces[rows])
        one, two = planned.apply(part, None), again.apply(part, None)  # type: ignore[arg-type]
        for name in one.headers:
            assert np.array_equal(one.headers.column(name), two.headers.column(name)), name


STATIONS = {"station": [1, 2, 3, 4, 5, 6], "x": [0, 10, 20, 30, 40, 50], "elevation": [5, 6, 7, 8, 9, 10]}


def line(records: list[int], channels: int) -> Gather:
    count = len(records) * channels
    return make_gather(
        np.zeros((count, 2)),
        field_record=np.repeat(records, channels),
        channel=np.tile(np.arange(channels) + 1, len(records)),
    )


def test_a_line_by_stations_with_a_rolling_spread() -> None:
    gather = line([1, 2], 4)
    spread = {"channel_first": 1, "channel_last": 4, "first_from_source": -1, "last_from_source": 2}
    out = step(gather, Path(), stations=STATIONS, relations={"record": [1, 2], "source": [2, 4]}, spread=spread)
    assert out.headers["offset"].tolist() == [-10, 0, 10, 20] * 2
    assert out.headers["receiver_elevation"].tolist() == [5, 6, 7, 8, 7, 8, 9, 10]
    assert out.headers["azimuth"].tolist() == [270, 0, 90, 90] * 2


def test_sources_between_stations_only_where_that_is_wanted() -> None:
    given = {"stations": STATIONS, "relations": {"record": [1], "source": [2.5]}}
    given["spread"] = {"channel_first": 1, "channel_last": 4, "receiver_first": 4, "receiver_last": 1}
    with pytest.raises(SeisprocError, match=r"sources that are not there: line 0 point 2\.5"):
        step(line([1], 4), Path(), **given)
    out = step(line([1], 4), Path(), **given, interpolate=True)
    assert out.headers["source_x"].tolist() == [15] * 4
    assert out.headers["source_elevation"].tolist() == [6.5] * 4
    assert out.headers["offset"].tolist() == [15, 5, -5, -15]


def test_a_fixed_spread_needs_no_relations() -> None:
    receivers = {"channel": [1, 2, 3], "x": [0, 2, 4.5]}
    out = step(line([7, 9], 3), Path(), sources={"field_record": [7, 9], "x": [1, 3]}, receivers=receivers)
    assert out.headers["offset"].tolist() == [-1, 1, 3.5, -3, -1, 1.5]
    assert out.headers.column("receiver_x").tolist() == [0, 20, 45] * 2


def test_a_log_with_positions_keeps_sources_apart_however_near() -> None:
    log = {"record": [1, 2], "x": [5, 5], "y": [0, 0]}
    spread = {"channel_first": 1, "channel_last": 2, "receiver_first": 1, "receiver_last": 2}
    out = step(line([1, 2], 2), Path(), relations=log, receivers={"station": [1, 2], "x": [0, 10]}, spread=spread)
    assert out.headers.column("source").tolist() == [1, 1, 2, 2]
    assert out.headers["source_x"].tolist() == [5] * 4


def fixed(**log: list[object]) -> dict[str, Any]:
    spread = {"channel_first": 1, "channel_last": 2, "receiver_first": 1, "receiver_last": 2}
    return {"relations": log, "stations": STATIONS, "spread": spread}


def test_repeated_records_never_merge() -> None:
    gather = line([1, 1], 2)
    files = gather.headers.with_columns(trace_id=np.array([0, 1, 1 << 40, (1 << 40) + 1]))
    twice = gather.with_headers(files)
    with pytest.raises(SeisprocError, match="several relations name, and neither file nor time tells which"):
        step(twice, Path(), **fixed(record=[1, 1], source=[1, 6]))
    out = step(twice, Path(), **fixed(record=[1, 1], source=[1, 6], file=[1, 2]))
    assert out.headers.column("shot").tolist() == [1, 1, 2, 2]
    assert out.headers["source_x"].tolist() == [0, 0, 50, 50]
    with pytest.raises(SeisprocError, match="4 of 4 traces share record and channel with another trace"):
        step(twice, Path(), **fixed(record=[1], source=[1]))
    out = step(twice, Path(), **fixed(record=[1], source=[1]), unmatched="keep")
    assert out.headers.column("shot").tolist() == [0] * 4


def test_time_tells_repeated_records_apart() -> None:
    gather = line([1, 1], 2)
    clock = {"hour": np.array([9, 9, 10, 10]), "minute": np.zeros(4, int), "second": np.array([1, 1, 0, 0])}
    timed = gather.with_headers(gather.headers.with_columns(**clock, day=np.full(4, 33)))
    log = {"record": ["1", "1"], "source": ["6", "1"], "time": ["10:00:00", "09:00:00"]}
    given = fixed() | {"relations": "log.csv"}
    with pytest.MonkeyPatch.context() as patch:
        import tempfile

        folder = Path(tempfile.mkdtemp())
        patch.chdir(folder)
        write_csv(folder / "log.csv", log)
        out = step(timed, folder, **given)
        assert out.headers["source_x"].tolist() == [0, 0, 50, 50]
        with pytest.raises(SeisprocError, match="have a record that no relation names: field_record 1 channel 1"):
            step(timed, folder, **given, time_tolerance_s=0.5)


@pytest.mark.parametrize(
    ("log", "problem"),
    [
        (
            {"record": [2], "source": [1]},
            "2 of 2 traces have a record that no relation names: field_record 1 channel 1",
        ),
        ({"record": [1], "source": [9]}, "sources that are not there: line 0 point 9 index 1"),
        (
            {"record": [1], "source": [1], "channel_last": [1], "receiver_last": [1]},
            "1 of 2 traces have a channel that",
        ),
        ({"record": [1], "source": [1], "receiver_last": [9]}, "1 of 2 traces were heard by a receiver"),
        ({"record": [1, 1], "source": [1, 1]}, "begin inside another of the same shot: field_record 1 channel 1"),
        ({"record": [1], "source": [1], "channel_first": [3]}, "no ascending range of channels"),
        ({"source": [1]}, "has no column for field_record"),
    ],
)
def test_what_does_not_fit_is_listed(log: dict[str, list[object]], problem: str) -> None:
    with pytest.raises(SeisprocError) as caught:
        step(line([1], 2), Path(), **fixed(**log))
    assert problem in str(caught.value)


def test_what_is_kept_and_what_is_missing() -> None:
    gather = line([1, 3], 2)
    headers = gather.headers.with_columns(source_x=np.full(4, 77, np.int32))
    parameters = fixed(record=[1, 2], source=[1, 2]) | {"unmatched": "keep"}
    instance = build(Geometry, "geometry", parameters).resolve(gather.with_headers(headers).layout)
    out = instance.apply(gather.with_headers(headers), None)
    assert out.headers["source_x"].tolist() == [0, 0, 77, 77]
    notes = instance.notes(gather.with_headers(headers).layout)
    assert any("1 of 2 shots have no trace: field_record 2" in note for note in notes)
    assert any("2 of 4 traces have a record that no relation names: field_record 3 channel 1" in n for n in notes)


def test_points_given_twice_are_refused_unless_all_is_the_same() -> None:
    twice = {name: [*values, values[0]] for name, values in STATIONS.items()}
    parameters = fixed(record=[1], source=[1])
    instance = build(Geometry, "geometry", parameters | {"stations": twice}).resolve(line([1], 2).layout)
    assert any("receivers repeat another" in note for note in instance.notes(line([1], 2).layout))
    again = instance.apply(line([1], 2), None).headers
    once = build(Geometry, "geometry", parameters).resolve(line([1], 2).layout).apply(line([1], 2), None).headers
    assert all(np.array_equal(again.column(word), once.column(word)) for word in ("source", "receiver", "offset"))
    twice["x"] = [*twice["x"][:-1], 9999]
    with pytest.raises(SeisprocError, match="given twice: line 0 point 1 index 1"):
        step(line([1], 2), Path(), **(fixed(record=[1], source=[1]) | {"stations": twice}))


@pytest.mark.parametrize(
    ("card", "problem"),
    [
        ("S" + "x" * 79, "line 1: point (columns 18-25) is 'xxxxxxxx', not a number"),
        ("S1".ljust(80), "line 1: point (columns 18-25) is empty"),
        ("H00".ljust(80), "no source points (S records)"),
    ],
)
def test_broken_sps(card: str, problem: str, tmp_path: Path) -> None:
    others = ["R".ljust(24) + "1".ljust(56), "X".ljust(80)] if card[0] == "S" else []
    (tmp_path / "a.sps").write_text("\n".join([card, *others]))
    with pytest.raises(SeisprocError) as caught:
        step(line([1], 2), tmp_path, sps=["a.sps"])
    assert problem in str(caught.value)
