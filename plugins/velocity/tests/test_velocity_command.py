"""``seisproc velocity``, and a line from semblance to a table of picks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("seisproc_terminal", reason="the terminal front end is not installed")

from click.testing import CliRunner, Result

from seisproc_core import Engine, Flow, MemorySurvey, Source, Step
from seisproc_core.data.sampling import Sampling
from seisproc_core.data.tables import Table
from seisproc_core.errors import OutputExists, UsageError
from seisproc_core.plugins import registry
from seisproc_core.testing import make_gather
from seisproc_velocity.commands.velocity_command import command
from seisproc_velocity.files import read_velocities, write_velocities
from seisproc_velocity.volumes import read_volume, volume, write_volume

KNOTS = {"cdp": [1, 1, 9, 9], "time_ms": [0, 1000, 0, 1000], "rms_m_per_s": [1500, 2000, 1600, 2200]}
OFFSET = np.arange(100, 1600, 75)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=True)


def noisy(samples: np.ndarray) -> np.ndarray:
    """Without noise even the far tails of a wavelet are perfectly coherent."""
    return samples + np.random.default_rng(0).normal(0, 0.02, samples.shape)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write_velocities(Table(KNOTS), tmp_path / "v.csv")
    return tmp_path / "v.csv"


def test_convert_there_and_back(table: Path, tmp_path: Path) -> None:
    done = run("convert", table, tmp_path / "v.par", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["functions"] == 2
    assert (tmp_path / "v.par").read_text() == "cdp=1,9\ntnmo=0,1\nvnmo=1500,2000\ntnmo=0,1\nvnmo=1600,2200\n"
    run("convert", tmp_path / "v.par", tmp_path / "back.csv")
    assert read_velocities(tmp_path / "back.csv") == Table(KNOTS)
    assert isinstance(run("convert", table, tmp_path / "v.par").exception, OutputExists)
    assert run("convert", table, tmp_path / "v.par", "--replace").exit_code == 0


def test_convert_to_a_volume_and_back(table: Path, tmp_path: Path) -> None:
    if not any(e.id == "segy" for e in registry().of("storage")):
        pytest.skip("the SEG-Y plugin is not installed")
    assert run("convert", table, tmp_path / "v.sgy", "--interval-ms", 8, "--end-ms", 1200).exit_code == 0
    done = run("convert", tmp_path / "v.sgy", tmp_path / "back.json")
    assert done.exit_code == 0, done.output
    back = read_velocities(tmp_path / "back.json")
    assert back["time_ms"].tolist() == [0, 1000, 1200, 0, 1000, 1200]
    like = tmp_path / "like.sgy"
    write_volume(volume(Table({"cdp": [3, 5], "time_ms": [0, 0], "rms_m_per_s": [1, 1]}), Sampling(0, 0.004, 51)), like)
    assert run("convert", table, tmp_path / "there.sgy", "--like", like).exit_code == 0
    assert run("convert", tmp_path / "there.sgy", tmp_path / "there.csv").exit_code == 0
    there = read_velocities(tmp_path / "there.csv")
    assert there["cdp"].tolist() == [3, 3, 5, 5]
    np.testing.assert_allclose(there["rms_m_per_s"], [1525, 1630, 1550, 1660], atol=1e-3)


def test_dix_and_smooth(table: Path, tmp_path: Path) -> None:
    listed = run("dix", table)
    assert listed.exit_code == 0 and "average_m_per_s" in listed.output
    assert run("dix", table, tmp_path / "i.csv").exit_code == 0
    assert read_velocities(tmp_path / "i.csv")["interval_m_per_s"].tolist() == [1500, 2000, 1600, 2200]
    assert run("dix", table, tmp_path / "z.csv", "--to", "depth").exit_code == 0
    assert read_velocities(tmp_path / "z.csv")["depth_m"].tolist() == [0, 1000, 0, 1100]
    assert run("dix", tmp_path / "z.csv", tmp_path / "t.csv").exit_code == 0
    assert read_velocities(tmp_path / "t.csv")["time_ms"].tolist() == [0, 1000, 0, 1000]
    assert run("smooth", table, tmp_path / "s.csv", "--positions", 20).exit_code == 0
    assert len(read_velocities(tmp_path / "s.csv")) == 4
    assert isinstance(run("smooth", table, tmp_path / "n.csv").exception, UsageError)
    impossible = tmp_path / "bad.csv"
    write_velocities(Table({"time_ms": [1000, 1100], "rms_m_per_s": [2000, 1500]}), impossible)
    assert "no interval velocity" in str(run("dix", impossible).exception)


def test_semblance_is_drawn_and_picked(tmp_path: Path, hyperbola: Callable[..., np.ndarray]) -> None:
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    if not any(e.id == "segy" for e in registry().of("storage")):
        pytest.skip("the SEG-Y plugin is not installed")
    samples = noisy(hyperbola(OFFSET, 0.8, 2200))
    write_volume(make_gather(samples, offset=OFFSET, cdp=7), tmp_path / "line.sgy")
    picture = tmp_path / "s.png"
    options = ("--gather", "cdp=7", "--first", 1600, "--last", 3000, "--least", 0.85, "--out", picture)
    done = run("semblance", tmp_path / "line.sgy", *options, "--json")
    assert done.exit_code == 0, done.exception
    picks = json.loads(done.output)["picks"]
    assert abs(picks["time_ms"][0] - 800) <= 20 and abs(picks["rms_m_per_s"][0] - 2200) < 44
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert isinstance(run("semblance", tmp_path / "line.sgy", *options).exception, OutputExists)
    none = run("semblance", tmp_path / "line.sgy", "--gather", "cdp=8", "--first", 1, "--last", 2, "--out", "x.png")
    assert "0 traces have cdp=8" in str(none.exception)


def test_from_gathers_to_a_table_in_one_job(hyperbola: Callable[..., np.ndarray]) -> None:
    speeds = {10: 2000.0, 20: 2200.0, 30: 2400.0}
    samples = noisy(np.concatenate([hyperbola(OFFSET, 0.8, v) for v in speeds.values()]))
    gather = make_gather(samples, offset=np.tile(OFFSET, 3), cdp=np.repeat(list(speeds), len(OFFSET)))
    source = Source(storage="memory", survey=MemorySurvey(gather), gather=("cdp",), sort=("offset",))
    trials = {"first_m_per_s": 1500.0, "last_m_per_s": 3000.0, "step_m_per_s": 25.0}
    steps = (Step(use="semblance", parameters=trials), Step(use="velocity_pick", parameters={"least": 0.85}))
    with Engine() as engine:
        table = read_volume(engine.submit(Flow(source=source, steps=steps)).result(60).open())
    assert table["cdp"].tolist() == list(speeds)
    np.testing.assert_allclose(table["rms_m_per_s"], list(speeds.values()), rtol=0.02)


def test_panels_by_velocity_are_sections(hyperbola: Callable[..., np.ndarray]) -> None:
    samples = np.concatenate([hyperbola(OFFSET, 0.8, 2000.0)] * 4)
    gather = make_gather(samples, offset=np.tile(OFFSET, 4), cdp=np.repeat([4, 3, 2, 1], len(OFFSET)))
    source = Source(storage="memory", survey=MemorySurvey(gather), gather=("cdp",), sort=("offset",))
    trials = {"first_m_per_s": 1800.0, "last_m_per_s": 2200.0, "step_m_per_s": 200.0}
    by_velocity = Step(use="sort", parameters={"gather": ["velocity_m_per_s"], "sort": ["cdp"]})
    with Engine() as engine:
        flow = Flow(source=source, steps=(Step(use="velocity_stacks", parameters=trials), by_velocity))
        made = engine.submit(flow).result(60).open()
    section = made.read(slice(0, made.n_traces))
    assert section.headers["velocity_m_per_s"].tolist() == [1800] * 4 + [2000] * 4 + [2200] * 4
    assert section.headers["cdp"].tolist() == [1, 2, 3, 4] * 3
    power = np.abs(section.traces[:, 200]).reshape(3, 4)
    assert (power[1] > 1.5 * power[[0, 2]]).all()
