"""Maps and the linear-moveout panel: what they count, and that pictures, tables and JSON hold it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from survey_writers import land_3d, write_sps

from seisproc_core.data.gather import Gather
from seisproc_core.data.survey import MemorySurvey
from seisproc_core.errors import SeisprocError, UsageError
from seisproc_core.testing import make_gather, run_processor
from seisproc_geometry import maps
from seisproc_geometry.bins import BinGrid, BinLine
from seisproc_geometry.commands import lmo_command, map_command
from seisproc_geometry.geometry_step import Geometry


@pytest.fixture
def land(tmp_path: Path) -> Gather:
    """A small 3-D survey with geometry and bins."""
    survey = land_3d()
    write_sps(survey, tmp_path / "a.sps", 1)
    out = run_processor(Geometry, survey.gather(dead=[1] + [0] * 47), {"sps": ["a.sps"]}, base=tmp_path)
    grid = {"origin_x_m": 502000, "origin_y_m": 6000200, "azimuth_deg": 90, "inline_step_m": 50, "crossline_step_m": 50}
    return run_processor(BinGrid, out, grid | {"handed": "left"})


@pytest.fixture
def line() -> Gather:
    """Four shots into a fixed spread; first breaks at 500 m/s."""
    receiver, source = np.tile(np.arange(0, 120, 10), 4), np.repeat([5, 25, 45, 65], 12)
    offset = receiver - source
    traces = np.zeros((48, 200))
    traces[np.arange(48), np.rint(np.abs(offset) / 500 / 0.004).astype(int) + 10] = 1
    words = {"source_x": source, "receiver_x": receiver, "source_y": 0, "receiver_y": 0, "offset": offset}
    made = make_gather(traces, field_record=np.repeat([1, 2, 3, 4], 12), channel=np.tile(np.arange(12), 4), **words)
    return run_processor(BinLine, made, {"bin_m": 5, "x_m": [0, 100]})


def test_base_counts_by_key(land: Gather) -> None:
    data = maps.base(land.headers)
    kinds, counts = np.unique(data.columns["kind"], return_counts=True)
    assert dict(zip(kinds, counts, strict=True)) == {"receiver": 20, "source": 3}
    assert data.title == "3 sources, 20 receivers"


def test_fold_is_the_number_of_live_traces(land: Gather, line: Gather) -> None:
    headers = maps.live(land.headers)
    data = maps.fold(headers)
    assert data.columns["fold"].sum() == 47
    assert {"inline", "crossline"} <= set(data.columns)
    along = maps.fold(line.headers)
    assert "inline" not in along.columns
    cdp, count = np.unique(line.headers.column("cdp"), return_counts=True)
    assert np.array_equal(along.columns["cdp"], cdp)
    assert np.array_equal(along.columns["fold"], count)


def test_attributes_by_offset() -> None:
    offset = np.array([-100, 100, 200, 200, 200])
    gather = make_gather(np.zeros((5, 4)), offset=offset)
    found = maps.attribute_by_offset(gather.headers, np.array([1.0, 3, 5, 6, 10]), "rms").columns
    assert found["offset_m"].tolist() == [100, 200] and found["mean"].tolist() == [2, 7]
    assert found["traces"].tolist() == [2, 3] and found["p10"][1] == pytest.approx(np.percentile([5, 6, 10], 10))
    many = make_gather(np.zeros((1000, 4)), offset=np.arange(1000))
    found = maps.attribute_by_offset(many.headers, np.arange(1000.0), "rms").columns
    assert len(found["mean"]) == 100 and found["traces"].sum() == 1000
    assert np.allclose(found["mean"], found["offset_m"], atol=1)
    with pytest.raises(UsageError, match="all offsets are 0"):
        maps.attribute_by_offset(make_gather(np.zeros((2, 4)), offset=0).headers, np.zeros(2), "rms")


def test_azimuths_and_attributes(line: Gather) -> None:
    data = maps.azimuths(line.headers)
    assert data.columns["traces"].sum() == 48
    east = (data.columns["azimuth_deg"] > 90) & (data.columns["azimuth_deg"] < 100)
    assert data.columns["traces"][east].sum() == np.count_nonzero(line.headers["offset"] > 0)
    mean = maps.attribute(line.headers, line.headers["offset"], "offset", "source")
    assert np.allclose(mean.columns["mean"], 55 - np.array([5, 25, 45, 65]))


def test_nothing_to_show() -> None:
    empty = make_gather(np.zeros((2, 3)), source_x=0, source_y=0, receiver_x=0, receiver_y=0, offset=0, cdp=0).headers
    for wanted in (maps.base, maps.fold, maps.offsets, maps.azimuths):
        with pytest.raises(SeisprocError, match="run the step"):
            wanted(empty)
    with pytest.raises(SeisprocError, match="dead"):
        maps.live(make_gather(np.zeros((2, 3)), dead=1).headers)


def invoke(monkeypatch: pytest.MonkeyPatch, command: object, gather: Gather, *arguments: str) -> Result:
    for module in (map_command, lmo_command):
        monkeypatch.setattr(module, "open_survey", lambda path: MemorySurvey(gather))
    return CliRunner().invoke(command, ["line.seis", *arguments], catch_exceptions=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["base", "fold", "offset", "azimuth", "attribute"])
def test_map_draws_every_kind(
    kind: str, land: Gather, line: Gather, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ["--value", "abs(offset)", "--at", "cdp"] if kind == "attribute" else []
    for number, gather in enumerate((land, line)):
        picture, table = tmp_path / f"{number}.png", tmp_path / f"{number}.csv"
        done = invoke(
            monkeypatch, map_command.command, gather, "--kind", kind, "--out", str(picture), "--csv", str(table), *more
        )
        assert done.exception is None, done.exception
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert len(table.read_text().splitlines()) > 2
        assert [p.name for p in tmp_path.glob(".*")] == []


def test_map_as_json(line: Gather, monkeypatch: pytest.MonkeyPatch) -> None:
    done = invoke(monkeypatch, map_command.command, line, "--kind", "fold", "--where", "cdp > 10", "--json")
    columns = json.loads(done.output)["columns"]
    assert min(columns["cdp"]) == 11
    assert sum(columns["fold"]) == np.count_nonzero(line.headers.column("cdp") > 10)


def test_map_keeps_what_is_there(line: Gather, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = tmp_path / "a.png"
    picture.write_text("mine")
    done = invoke(monkeypatch, map_command.command, line, "--out", str(picture))
    assert "exists" in str(done.exception)
    assert picture.read_text() == "mine"


@pytest.mark.parametrize("at", ["field_record=2", "field_record == 2", "field_record=2,channel=3"])
def test_lmo(at: str, line: Gather, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = tmp_path / "a.png"
    done = invoke(
        monkeypatch, lmo_command.command, line, "--velocity", "500", "--at", at, "--out", str(picture), "--json"
    )
    assert done.exception is None, done.exception
    assert json.loads(done.output)["traces"] == (1 if "channel" in at else 12)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_linear_moveout_makes_first_breaks_level(line: Gather) -> None:
    reduced = lmo_command._reduced(line, 500.0)
    at_ms = 1000 * reduced.sampling.times()[np.argmax(reduced.traces, axis=1)]
    assert (np.abs(at_ms - 40) <= 4.001).all()
