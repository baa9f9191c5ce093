"""Velocity tables in text files and as volumes: round trips, real files, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core.data.formats import open_survey
from seisproc_core.data.sampling import Sampling
from seisproc_core.data.survey import MemorySurvey
from seisproc_core.data.tables import Table
from seisproc_core.errors import Damaged, DataError, OutputExists, StorageError, UsageError
from seisproc_core.plugins import registry
from seisproc_core.testing import make_gather
from seisproc_velocity.files import FORMATS, read_velocities, write_velocities
from seisproc_velocity.tables import converted, in_depth, in_time, listing, smoothed
from seisproc_velocity.volumes import read_volume, volume, write_volume

TABLE = Table(
    {
        "cdp": [101, 101, 101, 140, 140],
        "time_ms": [120.5, 800, 1600, 200, 1500],
        "rms_m_per_s": [1500, 2100.25, 2600, 1480, 2500],
    }
)
SUFFIXES = {"csv": "csv", "json": "json", "su": "par", "columns": "txt", "handvel": "hvel", "dix": "dix"}


def same(made: Table, wanted: Table, rtol: float = 1e-7) -> None:
    assert set(made.columns) == set(wanted.columns)
    for name, column in wanted.columns.items():
        np.testing.assert_allclose(made[name], column, rtol=rtol, atol=1e-9)


@pytest.mark.parametrize("format", FORMATS)
def test_written_and_read_again(format: str, tmp_path: Path) -> None:
    path = tmp_path / f"v.{SUFFIXES[format]}"
    write_velocities(TABLE, path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    same(read_velocities(path), TABLE)
    anonymous = tmp_path / "anything"
    write_velocities(TABLE, anonymous, format)
    if format != "csv":  # nothing in it tells commas from columns
        same(read_velocities(anonymous, None if format != "json" else "json"), TABLE)
    with pytest.raises(OutputExists, match="exists"):
        write_velocities(TABLE, path)
    write_velocities(Table({k: c[:1] for k, c in TABLE.columns.items()}), path, replace=True)
    assert len(read_velocities(path)) == 1


tables = st.integers(1, 4).flatmap(
    lambda count: st.lists(
        st.lists(st.tuples(st.floats(1, 900), st.floats(200, 7000)), min_size=1, max_size=6),
        min_size=count,
        max_size=count,
    )
)


@given(tables, st.sampled_from(["csv", "json", "su", "columns", "handvel"]))
@settings(max_examples=60)
def test_round_trip_of_any_table(functions: list[list[tuple[float, float]]], format: str) -> None:
    times = np.concatenate([30 + np.cumsum([step for step, _ in one]) for one in functions])
    table = Table(
        {
            "cdp": np.repeat(np.arange(len(functions)) * 7 - 3, [len(one) for one in functions]),
            "time_ms": times,
            "rms_m_per_s": [v for one in functions for _, v in one],
        }
    )
    text = FORMATS[format].write(table)
    made = FORMATS[format].read(text.replace(",", " ") if format == "csv" else text, "ms")
    same(made, table, rtol=1e-6)


def test_seismic_unix_parameters_of_a_real_line(shared: Path) -> None:
    folder = shared / "corpus/gllore_App-SeismicUnixGui"
    if not folder.is_dir():
        pytest.skip("the corpus lacks the Loma Blanca line")
    table = read_velocities(folder / "All_cmp_stkvel.txt")
    assert table["cdp"].tolist() == [25] * 4 + [26] * 4
    np.testing.assert_allclose(table["time_ms"][:2], [60.686, 321.9])
    np.testing.assert_allclose(table["rms_m_per_s"][:4], [74.4278, 145.856, 213.961, 260.472])
    picks = folder / "Final_ivpicks_iva_All_cmp_cdp44.txt"
    with pytest.raises(UsageError, match="look like seconds"):
        read_velocities(picks)
    one = read_velocities(picks, time_unit="s")
    assert list(one.columns) == ["time_ms", "rms_m_per_s"] and one["time_ms"][0] == pytest.approx(105.541)


def test_variants_of_text(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_text("* comment\nVELF 12\n 100 1500 900 2000\n1500 2500\nHANDVEL 13\n100 1500\n")
    made = read_velocities(path)
    assert made["cdp"].tolist() == [12, 12, 12, 13] and made["rms_m_per_s"].tolist() == [1500, 2000, 2500, 1500]
    path.write_text("# t v\n100 1500\n900 2000\n")
    assert read_velocities(path)["time_ms"].tolist() == [100, 900]
    path.write_text("inline crossline time_s eta\n1 1 0.5 0.1\n")
    assert read_velocities(path).columns["time_ms"].tolist() == [500]
    path.write_text("cdp=1,2 \\\n".replace("\\", "") + "tnmo=.1,\n .9 # s\nvnmo=1500,2000\ntnmo=0 vnmo=1600")
    assert read_velocities(path)["cdp"].tolist() == [1, 1, 2]
    path.write_text("tnmo=0.5 vnmo=1600")
    assert "cdp" not in read_velocities(path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.par", "cdp=1,2 tnmo=0 vnmo=1500", "2 cdp=, 1 tnmo= and 1 vnmo="),
        ("a.par", "tnmo=0,1 vnmo=1500", "function 1 has 2 tnmo= and 1 vnmo="),
        ("a.par", "tnmo=0 vnmo=1500 smute=1.5", "'smute=1.5' is not tnmo= or vnmo="),
        ("a.txt", "HANDVEL 1\n100 1500 900\n", "cdp 1 has 3 numbers"),
        ("a.txt", "HANDVEL 1\n100 1500\nfoo 900\n", "line 3 is neither"),
        ("a.txt", "100 1500\n900\n", "same number of values"),
        ("a.txt", "100 1500 3 4 5\n", "name the columns"),
        ("a.txt", "", "holds no numbers"),
        ("a.txt", "speed when\n1 2\n", "unknown columns"),
        ("a.csv", "cdp,time_ms,rms_m_per_s\n1,900,1500\n1,100,1500\n", r"must increase .* time_ms = 900 \(cdp 1\)"),
        ("a.csv", "time_ms,rms_m_per_s\n1,nan\n", "finite"),
        ("a.csv", "time_ms,speed\n1,3\n", "has none of the columns rms_m_per_s"),
        ("a.json", "[1, 2]", '"format": "seisproc-velocity"'),
        ("a.json", '{"format": "seisproc-velocity", "version": 9, "columns": {"time_ms": [1]}}', "version 9"),
        ("a.json", "[" * 100_000, "a.json"),
    ],
)
def test_bad_files_are_refused_by_name(name: str, text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as refused:
        read_velocities(path)
    assert str(path) in str(refused.value) and "\n" not in str(refused.value)


def test_damage_and_absence(tmp_path: Path) -> None:
    path = tmp_path / "v.json"
    write_velocities(TABLE, path)
    plain = json.loads(path.read_text())
    plain["columns"]["rms_m_per_s"][0] += 1
    path.write_text(json.dumps(plain))
    with pytest.raises(Damaged, match="checksum"):
        read_velocities(path)
    with pytest.raises(StorageError, match="cannot read"):
        read_velocities(tmp_path / "none.csv")
    with pytest.raises(StorageError, match="cannot write"):
        write_velocities(TABLE, tmp_path / "none" / "v.csv")


def test_formats_refuse_what_they_cannot_hold() -> None:
    grid = Table({"inline": [1], "crossline": [1], "time_ms": [0], "rms_m_per_s": [1]})
    with pytest.raises(UsageError, match="keyed by cdp or by nothing"):
        FORMATS["su"].write(grid)
    with pytest.raises(UsageError, match="keyed by cdp"):
        FORMATS["handvel"].write(Table({"time_ms": [100], "rms_m_per_s": [1500]}))
    text = FORMATS["dix"].write(TABLE).replace("1500.0000", "1700.0000", 1)
    with pytest.raises(UsageError, match="contradict each other at 120"):
        FORMATS["dix"].read(text, "ms")


def test_tables_as_other_kinds() -> None:
    whole = listing(TABLE)
    interval = converted(TABLE, "interval_m_per_s")
    np.testing.assert_allclose(interval["interval_m_per_s"], whole["interval_m_per_s"])
    same(converted(interval, "rms_m_per_s"), TABLE)
    same(in_time(in_depth(TABLE)), interval)
    assert (np.diff(whole["depth_m"][:3]) > 0).all()
    impossible = Table({"cdp": [9, 9], "time_ms": [1000, 1100], "rms_m_per_s": [2000, 1500]})
    with pytest.raises(UsageError, match=r"no interval velocity .* \(cdp 9\)"):
        converted(impossible, "interval_m_per_s")
    with pytest.raises(UsageError, match="in time already"):
        in_time(interval)


def test_smoothing_from_position_to_position() -> None:
    cdp, time = np.meshgrid(np.arange(0, 200, 10), [100.0, 700, 1500], indexing="ij")
    plane = 1500 + 0.5 * cdp + 0.6 * time
    table = Table({"cdp": cdp.ravel(), "time_ms": time.ravel(), "rms_m_per_s": plane.ravel()})
    same(smoothed(table, time_ms=500, positions=40), table)  # planes stay
    bumped = table.columns | {"rms_m_per_s": plane.ravel() + 100 * (cdp.ravel() == 100)}
    calm = smoothed(Table(bumped), positions=40)
    assert np.abs(calm["rms_m_per_s"] - plane.ravel()).max() < 35
    with pytest.raises(UsageError, match="in time: give time_ms"):
        smoothed(table, depth_m=5)


def needs(suffix: str) -> None:
    if not any(suffix in entry.spec["suffixes"] for entry in registry().of("storage")):
        pytest.skip(f"no installed format writes {suffix}")


@pytest.mark.parametrize("suffix", [".sgy", ".su", ".seis"])
def test_volumes_in_files(suffix: str, tmp_path: Path) -> None:
    needs(suffix)
    path = tmp_path / f"v{suffix}"
    knots = Table({"cdp": [101, 101, 101, 140, 140], "time_ms": [0, 800, 1600, 0, 1600],
                   "rms_m_per_s": [1500, 2100.25, 2600, 1480, 2500]})  # fmt: skip
    write_volume(volume(knots, Sampling(0.0, 0.004, 401)), path)
    same(read_volume(open_survey(path), tolerance=0.01), knots)
    with pytest.raises(OutputExists):
        write_volume(volume(knots, Sampling(0.0, 0.004, 401)), path)


@given(st.integers(0, 2**32 - 1), st.floats(0.5, 200))
@settings(max_examples=40)
def test_knots_stay_within_the_tolerance(seed: int, tolerance: float) -> None:
    rng = np.random.default_rng(seed)
    traces = 2000 + np.cumsum(rng.normal(0, 20, (3, 150)), axis=1).clip(-1500, 1500)
    gather = make_gather(traces, cdp=[5, 3, 5])
    table = read_volume(MemorySurvey(gather), tolerance=tolerance)
    assert np.unique(table["cdp"]).tolist() == [3, 5]
    for cdp, row in ((3, 1), (5, 0)):
        here = table["cdp"] == cdp
        made = np.interp(np.arange(150) * 4.0, table["time_ms"][here], table["rms_m_per_s"][here])
        assert np.abs(made - gather.traces[row]).max() <= tolerance * (1 + 1e-9) + 1e-9


def test_volumes_refuse_what_is_no_velocity() -> None:
    with pytest.raises(DataError, match="trace 1 of the volume holds 0 at sample 0"):
        read_volume(MemorySurvey(make_gather(np.array([[1500.0, 1500], [0, 1500]]), cdp=[1, 2])))
    with pytest.raises(DataError, match="no live trace"):
        read_volume(MemorySurvey(make_gather(np.ones((1, 2)), cdp=1, dead=1)))
    part = make_gather(np.array([[0.0, 1500, 1600, 0]]), cdp=4, live=(np.array([1]), np.array([3])))
    assert read_volume(MemorySurvey(part))["time_ms"].tolist() == [4, 8]
    with pytest.raises(UsageError, match="'cdp' must be whole numbers"):
        volume(Table({"cdp": [1.5], "time_ms": [0], "rms_m_per_s": [1500]}), Sampling(0, 0.004, 5))
    with pytest.raises(UsageError, match="more than 2 GiB"):
        volume(TABLE, Sampling(0, 0.004, 1 << 30))
