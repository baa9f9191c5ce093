"""Residual statics as a job: known statics come back, the same bytes from every executor and after any death."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from integration_kit import contents, flow, names, open_output, run, seisproc, write_flow

from seisproc_core import Engine, Flow, MemorySurvey, Source, Target
from seisproc_core.testing import make_gather

SHOTS, CHANNELS, SAMPLES = 16, 48, 200
STATIONS = {"source": ["field_record"], "receiver": ["source_station"]}
STEP: dict[str, Any] = {
    "use": "residual_statics", **STATIONS, "max_ms": 16.0, "iterations": 4, "backend": "reference",
}  # fmt: skip


def model(interval_ms: float = 2.0, start_ms: float = 0.0, size_ms: float = 5.0) -> tuple[MemorySurvey, dict[str, Any]]:
    """Two gently folded reflectors after moveout, in noise, moved by random statics; and these."""
    random = np.random.default_rng(5)
    shot, channel = (values.ravel() for values in np.mgrid[:SHOTS, :CHANNELS])
    station = shot + channel
    known = {"source": random.uniform(-1, 1, SHOTS), "receiver": random.uniform(-1, 1, SHOTS + CHANNELS - 1)}
    delay_ms = size_ms * (known["source"][shot] + known["receiver"][station])
    cdp = shot + station
    times = start_ms + interval_ms * np.arange(SAMPLES)
    traces = 0.1 * random.standard_normal((len(shot), SAMPLES))
    for at, strength in ((100 + 6 * np.sin(cdp / 25), 1.0), (250 + 0.2 * cdp, -0.8)):
        phase = (np.pi * 0.025 * (times - (at + delay_ms)[:, None])) ** 2
        traces += strength * (1 - 2 * phase) * np.exp(-phase)
    gather = make_gather(
        traces, interval_ms=interval_ms, start_ms=start_ms, field_record=shot + 1, channel=channel + 1,
        source_station=station + 1, cdp=cdp + 1, offset=25 * channel,
    )  # fmt: skip
    return MemorySurvey(gather), {name: size_ms * values for name, values in known.items()}


def found(survey: Any, word: str, static: str) -> np.ndarray:
    """The static of every station, in the order of their numbers."""
    headers = survey.headers()
    _, first = np.unique(headers[word], return_index=True)
    return np.asarray(headers[static][first], np.float64)


def detrended(values: np.ndarray) -> np.ndarray:
    at = np.arange(len(values))
    return values - np.polyval(np.polyfit(at, values, 1), at)


def in_memory(survey: MemorySurvey, step: Mapping[str, Any]) -> Any:
    steps = Flow.parse({"source": {"survey": "x"}, "step": [dict(step)], "sink": {"survey": "y"}}).steps
    with Engine(executor="in-process") as engine:
        return engine.submit(Flow(source=Source(storage="memory", survey=survey), steps=steps)).result(120).open()


@pytest.mark.parametrize(
    ("interval_ms", "start_ms", "size_ms"), [(2.0, 0.0, 5.0), (2.0, -100.0, 5.0), (1.6, 40.0, 5.0), (2.0, 0.0, 8.0)]
)
def test_known_statics_come_back(interval_ms: float, start_ms: float, size_ms: float) -> None:
    survey, known = model(interval_ms, start_ms, size_ms)
    made = in_memory(survey, STEP)
    for name, word in (("source", "field_record"), ("receiver", "source_station")):
        delay, truth = -found(made, word, f"{name}_static_ms"), known[name]
        counted = delay != 0  # receivers at the very ends have too few traces
        assert counted.sum() >= len(truth) - 6
        delay, truth = detrended(delay[counted]), detrended(truth[counted])
        assert np.sqrt(np.mean((delay - truth) ** 2)) <= 0.4
        assert np.corrcoef(delay, truth)[0, 1] >= 0.99

    def power(held: MemorySurvey) -> float:
        cdp = held.gather.headers["cdp"]
        return float(sum((held.gather.traces[cdp == c].sum(axis=0) ** 2).sum() for c in np.unique(cdp)))

    without, _ = model(interval_ms, start_ms, size_ms=0.0)
    assert power(survey) < 0.7 * power(without)
    assert power(made) > 0.95 * power(without)


def test_statics_of_a_synthetic_survey_of_others(tmp_path: Path) -> None:
    """Shots moved by up to 4.6 ms, receivers by nothing: the first reflector is flat afterwards."""
    file = Path(__file__).parents[1] / "../shared/corpus/JohnWStockwellJr_SeisUnix/shots_static_nmo_w.su"
    if not file.exists():
        pytest.skip("the corpus is not there")
    step = {**STEP, "source": ["source_x"], "receiver": ["receiver_x"], "max_ms": 10.0}
    run(flow({"segy": str(file)}, [step], {"survey": str(tmp_path / "out.seis")}), executor="in-process")
    made = open_output(tmp_path / "out.seis")
    headers, traces = made.headers(), made.read(slice(0, made.n_traces)).traces
    near = headers["offset"] < 400  # on which the reflector is not muted
    late, shot = 40 + traces[:, 40:95].argmax(axis=1).astype(float), headers["source_x"]
    shots = np.array([np.median(late[near & (shot == one)]) for one in np.unique(shot)])
    moved = found(made, "source_x", "source_static_ms")
    assert np.ptp(moved) > 8 and np.ptp(shots) <= 1  # samples of 1 ms
    assert np.abs(late - np.median(late[near]))[near].max() <= 3
    assert np.std(found(made, "receiver_x", "receiver_static_ms")) < 0.4


def test_no_statics_in_none_out() -> None:
    survey, _ = model(size_ms=0.0)
    made = in_memory(survey, STEP)
    for name, word in (("source", "field_record"), ("receiver", "source_station")):
        assert np.abs(detrended(found(made, word, f"{name}_static_ms"))).max() < 0.6  # noise moves peaks


def test_the_order_of_traces_does_not_matter() -> None:
    survey, _ = model()
    order = np.random.default_rng(0).permutation(survey.n_traces)
    one, other = in_memory(survey, STEP), in_memory(MemorySurvey(survey.read(order)), STEP)
    static = one.headers()["total_static_ms"][order]
    assert np.abs(other.headers()["total_static_ms"] - static).max() < 1e-3


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("statics") / "line.seis"
    sink = Target(storage="survey", path=str(target), options={"shard_traces": 64})
    with Engine(executor="in-process") as engine:
        engine.submit(Flow(source=Source(storage="memory", survey=model()[0]), sink=sink)).result(60)
    return target


STEPS: list[dict[str, Any]] = [
    {"use": "gain", "scale": 2.0},
    {"use": "surface_consistent_amplitude", **STATIONS},
    {"use": "surface_consistent_decon", **STATIONS, "operator_ms": 40.0, "backend": "reference"},
    STEP,
    {"use": "sort", "gather": ["cdp"]},
    {"use": "stack", "backend": "reference"},
]


@pytest.fixture(scope="module")
def expected(stored: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("alone") / "out.seis"
    return contents(run(flow({"survey": str(stored)}, STEPS, {"survey": str(out), "shard_traces": 16})))


@pytest.mark.parametrize("executor", ["processes"])
def test_every_executor_makes_the_same_bytes(
    executor: str, stored: Path, tmp_path: Path, expected: dict[str, str]
) -> None:
    wanted = flow({"survey": str(stored)}, STEPS, {"survey": str(tmp_path / "out.seis"), "shard_traces": 16})
    assert contents(run(wanted, executor=executor, workers=2)) == expected


# Amplitudes, deconvolution and statics are measured and solved in stages with segments of rows before and behind them.
@pytest.mark.parametrize("point", ["before-journal:13", "after-journal:14", "before-journal:16"])
def test_killed_and_resumed(point: str, stored: Path, tmp_path: Path, expected: dict[str, str]) -> None:
    write_flow(tmp_path / "f.toml", stored, tmp_path / "out.seis", STEPS, shard_traces=16)
    died = seisproc("run", "f.toml", cwd=tmp_path, env={"SEISPROC_FAULT": point})
    assert died.code != 0 and not (tmp_path / "out.seis").exists()
    done = seisproc("resume", "out.seis", cwd=tmp_path)
    assert done.code == 0, done.err
    assert contents(tmp_path / "out.seis") == expected
    assert names(tmp_path) == {"f.toml", "out.seis"}


def marine() -> MemorySurvey:
    """Six shots into 24 channels, a reflection and its first multiple."""
    shot, channel = (values.ravel() for values in np.mgrid[:6, :24])
    times = 0.004 * np.arange(120)
    traces = np.zeros((len(shot), len(times)))
    for at, strength in ((0.12, 1.0), (0.24, -0.5)):
        when = np.hypot(at, 12.5 * (channel + 2) / 1500)
        phase = (np.pi * 25 * (times - when[:, None])) ** 2
        traces += strength * (1 - 2 * phase) * np.exp(-phase)
    gather = make_gather(
        traces, interval_ms=4.0, field_record=shot + 1, channel=channel + 1,
        source_x=25 * shot, receiver_x=25 * shot + np.rint(12.5 * (channel + 2)).astype(int),
    )  # fmt: skip
    return MemorySurvey(gather)


def refracted() -> MemorySurvey:
    """Twelve shots into 16 channels over a weathering of changing thickness, with picked first breaks."""
    shot, channel = (values.ravel() for values in np.mgrid[:12, :16])
    station, random = 2 * shot + channel, np.random.default_rng(2)
    delay = random.uniform(5, 15, int(station.max()) + 1)
    picked = delay[2 * shot] + delay[station] + 20 * channel / 2.0 + random.normal(0, 0.3, len(shot))
    gather = make_gather(
        random.standard_normal((len(shot), 100)), interval_ms=4.0, field_record=shot + 1, channel=channel + 1,
        source_x=40 * shot, receiver_x=20 * station, offset=20 * channel,
    )  # fmt: skip
    words = gather.headers.with_columns(first_break_ms=picked.astype(np.float32))
    return MemorySurvey(gather.with_headers(words))


OTHERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "srme": (marine, {"use": "srme", "spacing_m": 12.5, "aperture_m": 100.0, "max_hz": 60.0}),
    "refraction_statics": (
        refracted,
        {
            "use": "refraction_statics", "source": ["source_x"], "receiver": ["receiver_x"],
            "weathering_m_per_s": 600.0, "replacement_m_per_s": 1800.0,
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("point", ["before-journal:2", "after-journal:4"])
@pytest.mark.parametrize("step", list(OTHERS))
def test_steps_with_one_stage_are_killed_and_resumed(step: str, point: str, tmp_path: Path) -> None:
    made, parameters = OTHERS[step]
    line, steps = tmp_path / "line.seis", [parameters]
    stored = Target(storage="survey", path=str(line), options={"shard_traces": 48})
    with Engine(executor="in-process") as engine:
        engine.submit(Flow(source=Source(storage="memory", survey=made()), sink=stored)).result(60)
    alone = flow({"survey": str(line)}, steps, {"survey": str(tmp_path / "alone.seis"), "shard_traces": 48})
    expected = contents(run(alone, executor="in-process"))
    write_flow(tmp_path / "f.toml", line, tmp_path / "out.seis", steps, shard_traces=48)
    died = seisproc("run", "f.toml", cwd=tmp_path, env={"SEISPROC_FAULT": point})
    assert died.code != 0 and not (tmp_path / "out.seis").exists()
    done = seisproc("resume", "out.seis", cwd=tmp_path)
    assert done.code == 0, done.err
    assert contents(tmp_path / "out.seis") == expected
    assert names(tmp_path) == {"f.toml", "line.seis", "alone.seis", "out.seis"}


def test_provenance_names_the_solution_and_statics_are_applied_once(stored: Path, tmp_path: Path) -> None:
    import json

    out = tmp_path / "out.seis"
    run(flow({"survey": str(stored)}, [STEP], {"survey": str(out)}))
    solved = json.loads((out / "provenance.json").read_text())["solutions"]
    assert [item["step"] for item in solved] == ["residual_statics"] * 4
    assert "source.static_ms.npy" in solved[-1]["columns"]
    assert open_output(out).headers()["residual_static_ms"].any()
    refused = seisproc("run", "f.toml", cwd=_again(tmp_path, out))
    assert refused.code == 2 and "applied already" in refused.err


def _again(folder: Path, source: Path) -> Path:
    write_flow(folder / "f.toml", source, folder / "twice.seis", [STEP])
    return folder
