"""A flow with a second survey on disk: modelled multiples come off, with every executor, and no edit goes unnoticed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from integration_kit import contents, flow, run, seisproc, seisproc_here, values, write_flow

from seisproc_core import Engine, Flow, MemorySurvey, Source, Target
from seisproc_core.testing import make_gather

SHOTS, CHANNELS, SAMPLES = 6, 24, 500


def ricker(times: np.ndarray, hz: float) -> np.ndarray:
    phase = (np.pi * hz * times) ** 2
    return np.asarray((1 - 2 * phase) * np.exp(-phase))


@pytest.fixture(scope="module")
def parts() -> dict[str, np.ndarray]:
    """Primaries, multiples, and a model of the multiples that is wrong by a factor, 8 ms and the wavelet."""
    offset = np.tile(np.arange(CHANNELS) * 50.0, SHOTS)
    times = np.arange(SAMPLES) * 0.004

    def events(table: list[tuple[float, float, float]], hz: float, late: float = 0.0) -> np.ndarray:
        arrivals = [(a, np.hypot(t0, offset / v)[:, None] + late) for t0, v, a in table]
        return np.asarray(sum(a * ricker(times - t, hz) for a, t in arrivals))

    primaries = events([(0.5, 1900, 1.0), (0.95, 2300, -0.8), (1.5, 2900, 0.6)], 30)
    multiples = [(1.0, 1900, -0.7), (1.25, 1900, 0.5), (1.75, 1950, 0.4)]
    return {
        "offset": offset,
        "primaries": primaries,
        "multiples": events(multiples, 30),
        "model": 3 * events(multiples, 26, late=0.008),
    }


def store(folder: Path, name: str, traces: np.ndarray, offset: np.ndarray, order: np.ndarray) -> Path:
    record, channel = np.divmod(np.arange(len(traces)), CHANNELS)
    gather = make_gather(traces, offset=offset, field_record=record + 1, channel=channel + 1)
    survey = MemorySurvey(MemorySurvey(gather).read(order))
    target = Target(storage="survey", path=str(folder / name), options={"shard_traces": 16})
    with Engine(executor="in-process") as engine:
        engine.submit(Flow(source=Source(storage="memory", survey=survey), sink=target)).result(60)
    return folder / name


@pytest.fixture(scope="module")
def surveys(tmp_path_factory: pytest.TempPathFactory, parts: dict[str, np.ndarray]) -> Path:
    """``data.seis``, and ``model.seis`` in another order."""
    folder, count = tmp_path_factory.mktemp("adaptive"), SHOTS * CHANNELS
    store(folder, "data.seis", parts["primaries"] + parts["multiples"], parts["offset"], np.arange(count))
    store(folder, "model.seis", parts["model"], parts["offset"], np.random.default_rng(0).permutation(count))
    return folder


STEP = {"use": "adaptive_subtract", "model": "model.seis", "window_ms": 800.0, "window_traces": 12, "filter_ms": 60.0}


def subtracted(surveys: Path, out: Path, **how: object) -> Path:
    step = {**STEP, "model": str(surveys / "model.seis"), "match": ["field_record", "channel"]}
    source = {"survey": str(surveys / "data.seis"), "gather": ["field_record"], "sort": ["channel"]}
    return run(flow(source, [step], {"survey": str(out), "shard_traces": 20}), **how)


def test_modelled_multiples_come_off_and_primaries_stay(
    surveys: Path, parts: dict[str, np.ndarray], tmp_path: Path
) -> None:
    left = values(subtracted(surveys, tmp_path / "out.seis"))
    away = np.sqrt(np.mean((left - parts["primaries"]) ** 2))
    before = np.sqrt(np.mean(parts["multiples"] ** 2))
    assert away < 0.2 * before  # multiples are down by 14 dB or more, damage to primaries included


def test_every_executor_makes_the_same_bytes(surveys: Path, tmp_path: Path) -> None:
    alone = contents(subtracted(surveys, tmp_path / "alone.seis"))
    for executor in ("threads", "processes"):
        made = subtracted(surveys, tmp_path / f"{executor}.seis", executor=executor, workers=2)
        assert contents(made) == alone


def test_on_the_command_line_relative_to_the_flow(surveys: Path, tmp_path: Path) -> None:
    shutil.copytree(surveys / "model.seis", tmp_path / "model.seis")
    path = write_flow(tmp_path / "f.toml", surveys / "data.seis", tmp_path / "out.seis", [{**STEP}])
    refused = seisproc_here("run", str(path), "--dry-run")
    assert refused.code != 0 and "works on gathers" in refused.err
    path.write_text(path.read_text().replace("[source]", '[source]\ngather = ["field_record"]'))
    for arguments in (("--dry-run",), ()):
        ran = seisproc_here("run", str(path), *arguments)
        assert ran.code == 0, ran.err
    assert (tmp_path / "out.seis").is_dir()
    over = seisproc_here("run", str(path), "--out", str(tmp_path / "model.seis"), "--replace")
    assert over.code == 2 and "is the input" in over.err
    assert "survey" in seisproc_here("processors", "adaptive_subtract").out


def test_a_model_that_changed_is_noticed_at_resume(surveys: Path, parts: dict[str, np.ndarray], tmp_path: Path) -> None:
    store(tmp_path, "model.seis", parts["model"], parts["offset"], np.arange(SHOTS * CHANNELS))
    path = write_flow(tmp_path / "f.toml", surveys / "data.seis", tmp_path / "out.seis", [STEP], shard_traces=16)
    path.write_text(path.read_text().replace("[source]", '[source]\ngather = ["field_record"]'))
    died = seisproc("run", "f.toml", cwd=tmp_path, env={"SEISPROC_FAULT": "before-journal:2"})
    assert died.code != 0 and not (tmp_path / "out.seis").exists()
    kept = tmp_path / "kept.seis"
    (tmp_path / "model.seis").rename(kept)
    store(tmp_path, "model.seis", 2 * parts["model"], parts["offset"], np.arange(SHOTS * CHANNELS))
    refused = seisproc("resume", "out.seis", cwd=tmp_path)
    assert refused.code == 3 and "an input changed" in refused.err
    (tmp_path / "model.seis").rename(tmp_path / "other.seis")
    kept.rename(tmp_path / "model.seis")
    done = seisproc("resume", "out.seis", cwd=tmp_path)
    assert done.code == 0, done.err
