"""Tables in versions: written once, checked, named by flows, told in provenance; texts of every kind in and out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core import Flow, MemorySurvey, Source, Step, Table, Target, process
from seisproc_core.data.table_versions import add_version, all_versions, find_version
from seisproc_core.data.tables import read_table
from seisproc_core.errors import Damaged, SeisprocError, UsageError
from seisproc_core.testing import make_gather
from seisproc_velocity.commands.tables_command import command
from seisproc_velocity.table_kinds import kind_of_table, read_any, read_su_mute, text_of

SLOW = Table({"time_ms": [0, 400], "rms_m_per_s": [1500.1, 1 / 3 * 6000]})
FAST = Table({"time_ms": [0, 400], "rms_m_per_s": [3000, 4000]})
MUTE = "cdp=25,26\ntmute=0.1,0.05,0.2\nxmute=-20,0,30.5\ntmute=0.15,0.3\nxmute=-25,35\n"


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=5))
def test_every_number_comes_back(values: list[float], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("tables")
    table = Table({"cdp": np.arange(len(values)), "static_ms": values})
    version = add_version(table, folder, "s", {"kind": "statics"})
    assert version.read() == table and version.about["sha256"] == table.checksum


def test_versions_count_up_and_stay(tmp_path: Path) -> None:
    first = add_version(SLOW, tmp_path, "vel", {"from": "a file.par"})
    assert add_version(SLOW, tmp_path, "vel", {}).number == 1  # nothing new
    second = add_version(FAST, tmp_path, "vel", {})
    assert (first.number, second.number) == (1, 2)
    assert [v.path.name for v in all_versions(tmp_path)] == ["vel_v1.csv", "vel_v2.csv"]
    for number in range(3, 12):
        add_version(Table({"time_ms": [0], "rms_m_per_s": [1000 + number]}), tmp_path, "vel", {})
    assert find_version(tmp_path, "vel").number == 11  # not by the alphabet
    assert read_table(tmp_path / "vel")["rms_m_per_s"][0] == 1011
    assert read_table(tmp_path / "vel_v2") == FAST
    assert sorted(tmp_path.iterdir()) == sorted(v.path for v in all_versions(tmp_path))  # nothing else is left


def test_an_edited_version_is_refused(tmp_path: Path) -> None:
    path = add_version(SLOW, tmp_path, "vel", {}).path
    path.write_text(path.read_text().replace("1500.1", "1500.2"))
    with pytest.raises(Damaged, match=r"vel_v1\.csv does not match its checksum"):
        read_table(tmp_path / "vel")


@pytest.mark.parametrize("name", ["", "vel_v3", "../vel", "a b", "v.csv", "3d"])
def test_names_of_tables(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a table"):
        add_version(SLOW, tmp_path, name, {})


def test_a_flow_uses_the_version_it_names_and_says_so(tmp_path: Path) -> None:
    tables = tmp_path / "tables"
    add_version(SLOW, tables, "vel", {})
    gather = make_gather(np.random.default_rng(1).standard_normal((6, 200)), cdp=1, offset=np.arange(6) * 100)

    def nmo(velocity: Any, out: str) -> tuple[np.ndarray, dict[str, Any]]:
        flow = Flow(
            source=Source(storage="memory", survey=MemorySurvey(gather)),
            steps=(Step(use="nmo", parameters={"velocity": velocity}),),
            sink=Target(storage="survey", path=str(tmp_path / out)),
            base=tmp_path,
        )
        survey = process(flow, executor="in-process")
        provenance = json.loads((tmp_path / out / "provenance.json").read_text())
        return survey.read(slice(0, 6)).traces, provenance["steps"][0][0]

    latest, step = nmo("tables/vel", "a.seis")
    assert step["tables"] == {"velocity": {"file": "vel_v1.csv", "sha256": SLOW.checksum}}
    assert step["parameters"]["velocity"] == SLOW.to_json()
    add_version(FAST, tables, "vel", {})
    newest, step = nmo("tables/vel", "b.seis")
    assert step["tables"]["velocity"]["file"] == "vel_v2.csv"
    named, step = nmo("tables/vel_v1", "c.seis")
    assert step["tables"]["velocity"] == {"file": "vel_v1.csv", "sha256": SLOW.checksum}
    np.testing.assert_array_equal(named, latest)
    assert not np.array_equal(newest, latest)
    again, step = nmo(step["parameters"]["velocity"], "d.seis")  # from the provenance alone, whatever was added since
    np.testing.assert_array_equal(again, named)
    assert step["tables"] == {}


def test_mutes_of_seismic_unix(tmp_path: Path) -> None:
    table = read_su_mute(MUTE, "mute.par")
    assert table.to_json() == {
        "cdp": [25, 25, 25, 26, 26], "offset_m": [-20, 0, 30.5, -25, 35], "time_ms": [100, 50, 200, 150, 300]
    }  # fmt: skip
    assert kind_of_table(table) == "mute"
    assert read_su_mute(text_of(table, "mute", "su"), "again") == table
    by_shot = read_su_mute(MUTE.replace("cdp", "ep"), "mute.par")
    assert by_shot["source_station"].tolist() == table["cdp"].tolist() and kind_of_table(by_shot) == "mute"
    assert read_su_mute(text_of(by_shot, "mute", "su"), "again") == by_shot
    for broken in (
        "cdp=1\nep=1\nxmute=1\ntmute=1\n", "hell=1\nxmute=1\ntmute=1\n", "tmute=1\n", "cdp=1\nxmute=1\ntmute=1,2\n",
        "cdp=1,2\nxmute=1\ntmute=1\n", "xmute=a\ntmute=1\n",
    ):  # fmt: skip
        (tmp_path / "broken.par").write_text(broken)
        with pytest.raises(UsageError, match=r"broken\.par"):
            read_any(tmp_path / "broken.par")


@pytest.mark.parametrize(
    ("columns", "kind", "problem"),
    [
        ({"cdp": [1], "rms_m_per_s": [1500]}, None, "time_ms"),
        ({"nonsense": [1], "static_ms": [3]}, None, "neither a value of statics"),
        ({"static_ms": [3]}, None, "needs columns of header words"),
        ({"cdp": [1, 1], "static_ms": [3, 4]}, None, "stand in more than one row"),
        ({"cdp": [1], "time_ms": [3]}, None, "do not tell the kind"),
        ({"cdp": [1], "time_ms": [3]}, "mute", "needs the column offset_m"),
        ({"cdp": [1], "quality": [3]}, "horizons", "needs a column time_ms or depth_m"),
        ({"inline": [1, 1], "time_ms": [3, 4]}, "horizons", "stand in more than one row"),
        ({"cdp": [1, 1], "offset_m": [5, 5], "time_ms": [3, 4]}, None, "must increase"),
    ],
)
def test_what_is_no_table_of_its_kind(columns: dict[str, Any], kind: str | None, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        kind_of_table(Table(columns), kind)


def test_kinds_are_told_by_their_columns() -> None:
    assert kind_of_table(SLOW) == "velocity"
    assert kind_of_table(Table({"source_station": [1, 2], "static_ms": [3, -4]})) == "statics"
    assert kind_of_table(Table({"inline": [1], "crossline": [7], "depth_m": [900]}), "horizons") == "horizons"
    assert kind_of_table(Table({"field_record": [1], "channel": [7]}), "edits") == "edits"
    assert kind_of_table(Table({"field_record": [1], "channel": [7], "time_ms": [80]}), "first_breaks")


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(command, arguments)

    Path("mute.par").write_text(MUTE)
    Path("vel.par").write_text("cdp=25\ntnmo=0.1,0.3\nvnmo=200,300\n")
    Path("static.txt").write_text("# source_station static_ms\n101 4\n102 -6.5\n")
    assert "mute_v1.csv: version 1, 5 rows of mute" in call("import", "mute", "mute.par").output
    assert json.loads(call("import", "vel", "vel.par", "--json").output)["kind"] == "velocity"
    assert "2 rows of statics" in call("import", "shots", "static.txt").output
    assert "the same as the latest" in call("import", "vel", "vel.par").output
    Path("vel.par").write_text("cdp=25\ntnmo=0.1,0.3\nvnmo=200,310\n")
    assert json.loads(call("import", "vel", "vel.par", "--json").output)["version"] == 2
    assert [row["name"] for row in json.loads(call("list", "--json").output)] == ["mute", "shots", "vel"]
    assert [row["rows"] for row in json.loads(call("versions", "vel", "--json").output)] == [2, 2]
    assert json.loads(call("show", "vel_v1", "--json").output)["columns"]["rms_m_per_s"] == [200, 300]
    assert "310" in call("show", "vel").output
    assert call("export", "vel_v1", "out.par").exit_code == 0
    assert Path("out.par").read_text() == "cdp=25\ntnmo=0.1,0.3\nvnmo=200,300\n"
    assert call("export", "mute", "mute_out.par").exit_code == 0
    assert read_any(Path("mute_out.par")) == read_any(Path("mute.par"))
    for refused in (("export", "vel", "out.par"), ("show", "nothing"), ("export", "shots", "s.par"),
                    ("import", "x", "nowhere.csv"), ("import", "x_v1", "vel.par")):  # fmt: skip
        assert isinstance(call(*refused).exception, SeisprocError), refused
    shutil.rmtree("tables")
    assert "no tables in tables" in call("list").output
