"""What a step saves beside its result: row for row what it was, and whole together with the output after any death."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from integration_kit import (
    contents,
    flow,
    model_line,
    names,
    open_output,
    run,
    seisproc,
    seisproc_here,
    shards,
    values,
    write_flow,
)  # fmt: skip

from seisproc_core import Engine, Flow, MemorySurvey, Source, Step, Target
from seisproc_core.errors import FlowError, Incomplete, OutputBusy, OutputExists, UsageError
from seisproc_core.jobs import provenance
from seisproc_core.jobs.lock import OutputLock
from seisproc_core.jobs.replay import prepare_replay
from seisproc_core.plugins import registry
from seisproc_core.testing import make_gather
from seisproc_jobstore.store import SqliteStore

SORT = {"use": "sort", "gather": ["cdp"], "sort": ["offset"]}
SAVING: list[dict[str, Any]] = [
    {"use": "bandpass", "low_hz": 8.0, "high_hz": 45.0, "save": {"removed": "noise.seis"}},
    {"use": "agc", "window_ms": 120.0, "save": {"gain": "gain.seis", "removed": "change.seis"}},
    SORT,
    {"use": "stack"},
]
SAVED = ("noise.seis", "gain.seis", "change.seis")
PLAIN = [{key: value for key, value in step.items() if key != "save"} for step in SAVING]


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """96 traces in 6 shards."""
    made = model_line()
    words = {name: made.words[name] for name in ("cdp", "offset", "field_record", "channel")}
    survey = MemorySurvey(make_gather(made.traces, interval_ms=made.interval_ms, **words))
    path = tmp_path_factory.mktemp("line") / "line.seis"
    target = Target(storage="survey", path=str(path), options={"shard_traces": 16})
    return run(Flow(source=Source(storage="memory", survey=survey), sink=target))


def saving(line: Path, folder: Path, steps: list[dict[str, Any]] = SAVING) -> Flow:
    return Flow.parse(
        {"source": {"survey": str(line)}, "step": steps, "sink": {"survey": "out.seis", "shard_traces": 16}},
        base=folder,
    )


@pytest.fixture(scope="module")
def expected(line: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Every output of an undisturbed run."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run(saving(line, folder))
    assert names(folder) == {"out.seis", *SAVED}
    return {name: contents(folder / name) for name in sorted(names(folder))}


def test_agc_comes_off_again_after_a_sort_on_the_command_line(line: Path, tmp_path: Path) -> None:
    balanced, back = tmp_path / "balanced.seis", tmp_path / "back.seis"
    there = write_flow(
        tmp_path / "there.toml",
        line,
        balanced,
        [{"use": "agc", "window_ms": 120.0, "save": {"gain": "gain.seis"}}, SORT],
    )
    assert seisproc_here("run", there).code == 0
    assert seisproc_here("verify", tmp_path / "gain.seis").code == 0
    off = write_flow(tmp_path / "off.toml", balanced, back, [{"use": "remove_gain", "gain": "gain.seis"}])
    ran = seisproc_here("run", off)
    assert ran.code == 0, ran.err
    order = open_output(back).headers().column("trace_id")
    assert not np.array_equal(order, np.sort(order))
    given, made = values(line)[order], values(back)
    assert np.abs(values(balanced) - given).max() > 0.1 * np.abs(given).max()
    assert np.abs(made - given).max() <= 1e-5 * np.abs(given).max()


def test_what_is_saved_is_what_happened_and_changes_nothing(line: Path, tmp_path: Path) -> None:
    made = run(saving(line, tmp_path))
    plain = run(flow({"survey": str(line)}, PLAIN, {"survey": str(tmp_path / "plain.seis"), "shard_traces": 16}))
    assert [path.read_bytes() for path in shards(plain)] == [path.read_bytes() for path in shards(made)]
    assert np.array_equal(values(made), values(plain))
    noise, gain, change = (values(tmp_path / name).astype(np.float64) for name in SAVED)
    filtered = values(line) - noise
    assert 0.01 < np.sqrt(np.mean(noise**2) / np.mean(filtered**2)) < 10
    assert np.abs(filtered * gain - (filtered - change)).max() <= 1e-5 * np.abs(change).max()
    assert np.array_equal(open_output(tmp_path / "gain.seis").headers().column("trace_id"), np.arange(len(gain)))


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_every_executor_saves_the_same_bytes(
    line: Path, tmp_path: Path, expected: dict[str, dict[str, str]], executor: str
) -> None:
    run(saving(line, tmp_path), executor=executor, workers=2)
    assert {name: contents(tmp_path / name) for name in names(tmp_path)} == expected


@pytest.mark.parametrize(
    ("fault", "replace"),
    [
        ("before-journal:3", False),
        ("before-side-commit:1", False),
        ("before-side-commit:3", True),
        ("before-commit:1", True),
        ("after-commit:1", False),
    ],
)
def test_killed_anywhere_and_resumed(
    line: Path, tmp_path: Path, expected: dict[str, dict[str, str]], fault: str, replace: bool
) -> None:
    if replace:
        run(saving(line, tmp_path, [{"use": "gain", "bias": 3.0}, *SAVING]))
    path = write_flow(tmp_path / "f.toml", line, tmp_path / "out.seis", SAVING, shard_traces=16)
    died = seisproc(
        "run", path, *(["--replace"] if replace else []), "--workers", "1", cwd=tmp_path, env={"SEISPROC_FAULT": fault}
    )
    assert died.code not in (0, 1, 2), died.err
    for name in expected:  # absent, or whole: old or new
        if (tmp_path / name).exists():
            assert seisproc_here("verify", tmp_path / name).code == 0
    done = seisproc_here("resume", tmp_path / "out.seis")
    assert done.code == 0, done.err
    path.unlink()
    assert {name: contents(tmp_path / name) for name in names(tmp_path)} == expected
    assert all(seisproc_here("verify", tmp_path / name).code == 0 for name in expected)


def test_a_side_output_that_goes_missing_before_the_end_is_made_again(
    line: Path, tmp_path: Path, expected: dict[str, dict[str, str]]
) -> None:
    path = write_flow(tmp_path / "f.toml", line, tmp_path / "out.seis", SAVING, shard_traces=16)
    seisproc("run", path, cwd=tmp_path, env={"SEISPROC_FAULT": "before-commit:1"})
    (tmp_path / "gain.seis").rename(tmp_path / "elsewhere.seis")
    assert seisproc_here("resume", tmp_path / "out.seis").code == 0
    assert contents(tmp_path / "gain.seis") == expected["gain.seis"]


def test_its_record_says_what_it_is(line: Path, tmp_path: Path) -> None:
    run(saving(line, tmp_path))
    record = provenance.read(tmp_path / "gain.seis")
    assert record["side_output"] == {"output": "out.seis", "step": "agc", "saved": "gain"}
    assert [step["use"] for step in open_output(tmp_path / "gain.seis").info.history] == ["bandpass", "agc"]
    assert open_output(tmp_path / "gain.seis").info.history[-1]["saved"] == "gain"
    shown = seisproc_here("provenance", tmp_path / "gain.seis").out
    assert "side output of out.seis: what step agc saves as gain" in shown
    with pytest.raises(UsageError, match=r"is a side output of out\.seis"):
        prepare_replay(tmp_path / "gain.seis", tmp_path / "again.seis", registry())
    replay = prepare_replay(tmp_path / "out.seis", tmp_path / "again.seis", registry())
    assert replay.differences == ()
    assert not any(step.save for step in replay.flow.steps)


def test_a_damaged_output_is_repaired_and_a_side_output_is_not_touched(line: Path, tmp_path: Path) -> None:
    made = run(saving(line, tmp_path))
    before = contents(made), contents(tmp_path / "gain.seis")
    for name in ("out.seis", "gain.seis"):
        shard = shards(tmp_path / name)[0]
        shard.write_bytes(shard.read_bytes()[:-1] + b"!")
    assert seisproc_here("repair", made).code == 0
    assert contents(made) == before[0] and contents(tmp_path / "gain.seis") != before[1]
    refused = seisproc_here("repair", tmp_path / "gain.seis")
    assert refused.code == 2 and "save.gain of step 'agc' of out.seis" in refused.err


def test_what_cannot_be_saved_is_refused_before_any_work(line: Path, tmp_path: Path) -> None:
    def refused(steps: list[dict[str, Any]], match: str, error: type[Exception] = FlowError) -> None:
        with pytest.raises(error, match=match):
            run(saving(line, tmp_path, steps))

    refused([{"use": "agc", "save": {"noise": "n.seis"}}], r"nothing named 'noise' to save; it has gain, removed")
    refused([SORT, {"use": "stack", "save": {"removed": "n.seis"}}], "makes other rows or samples than it gets")
    refused([{**SORT, "save": {"removed": "n.seis"}}], "'sort' has nothing to save")
    refused([{"use": "agc", "save": {"gain": "out.seis"}}], "would be written twice")
    refused([{"use": "agc", "save": {"gain": "x.seis", "removed": "x.seis"}}], "would be written twice")
    refused([{"use": "agc", "save": "x.seis"}], r"write save\.name = ")
    refused([{"use": "agc", "save": {"gain": str(line)}}], "is the input", OutputExists)
    refused([{"use": "agc", "save": {"gain": "no/gain.seis"}}], "does not exist; create it first", UsageError)
    if Path("/dev/shm").is_dir() and Path("/dev/shm").stat().st_dev != tmp_path.stat().st_dev:
        refused([{"use": "agc", "save": {"gain": "/dev/shm/gain.seis"}}], "on the same file system", UsageError)
    (tmp_path / "mine.seis").mkdir()
    refused([{"use": "agc", "save": {"gain": "mine.seis"}}], "exists; choose another", OutputExists)
    in_memory = Flow(
        source=Source(storage="memory", survey=open_output(line)),
        steps=(Step(use="agc", save={"gain": str(tmp_path / "gain.seis")}),),
    )
    with Engine(executor="in-process") as engine, pytest.raises(FlowError, match="sink on disk"):
        engine.submit(in_memory)
    assert names(tmp_path) == {"mine.seis"}


def test_nobody_else_writes_it_meanwhile(line: Path, tmp_path: Path) -> None:
    lock = OutputLock(tmp_path / "gain.seis", "other")
    with pytest.raises(OutputBusy, match=r"gain\.seis is being written by job other"):
        run(saving(line, tmp_path))
    lock.release(remove=True)
    assert names(tmp_path) == set()


def test_a_job_that_waits_has_its_side_outputs_reserved(
    line: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def saves(output: str, side: str) -> Flow:
        steps = [{"use": "agc", "window_ms": 120.0, "save": {"gain": side}}]
        return Flow.parse(
            {"source": {"survey": str(line)}, "step": steps, "sink": {"survey": output}}, base=tmp_path / "data"
        )

    (tmp_path / "data").mkdir()
    monkeypatch.setattr("seisproc_core.jobs.detached.ensure_leader", lambda store: None)  # nobody runs what waits
    with (
        contextlib.closing(SqliteStore(tmp_path / "jobs.sqlite")) as store,
        Engine(store=store, executor="in-process") as engine,
    ):
        planned = engine.submit(saves("one.seis", "gain.seis"), detach=True)
        unplanned = engine.submit(saves("late.seis", "late_gain.seis"), detach=True, after=[planned])
        for output, side, taken, owner in (
            ("two.seis", "gain.seis", "gain.seis", planned),
            ("gain.seis", "other.seis", "gain.seis", planned),
            ("two.seis", "late_gain.seis", "late_gain.seis", unplanned),
        ):
            for how in ({}, {"detach": True}):
                with pytest.raises(OutputBusy, match=rf"{taken} belongs to job {owner.id}"):
                    engine.submit(saves(output, side), **how)
        with pytest.raises(Incomplete, match=r"one\.seis is the unfinished output of another job"):
            engine.submit(saves("two.seis", "one.seis"))
        with pytest.raises(OutputBusy, match=r"late_gain\.seis belongs to job"):
            engine.submit(saves("two.seis", "late_gain.seis"), detach=True, after=[planned])
        with pytest.raises(OutputBusy, match=r"same\.seis would be written by two of these jobs"):
            engine.submit_all([saves("x.seis", "same.seis"), saves("y.seis", "same.seis")], detach=True)
        planned.cancel()
        run(saves("two.seis", "gain.seis"))
        run(saves("one.seis", "other.seis"), discard=True)
        run(saves("three.seis", "late_gain.seis"))
    whole = {"one.seis", "two.seis", "three.seis", "other.seis", "gain.seis", "late_gain.seis"}
    assert names(tmp_path / "data") == whole


def test_an_unfinished_output_goes_on_with_its_own_side_outputs_only(line: Path, tmp_path: Path) -> None:
    path = write_flow(tmp_path / "f.toml", line, tmp_path / "out.seis", SAVING, shard_traces=16)
    seisproc("run", path, cwd=tmp_path, env={"SEISPROC_FAULT": "before-journal:2"})
    with pytest.raises(Incomplete, match="begun with other side outputs"):
        run(saving(line, tmp_path, [*SAVING[:1], {"use": "agc", "window_ms": 120.0}, *SAVING[2:]]))


def test_a_segy_file_may_be_the_main_output(line: Path, tmp_path: Path) -> None:
    steps = [{"use": "agc", "window_ms": 120.0, "save": {"gain": str(tmp_path / "gain.seis")}}]
    made = run(flow({"survey": str(line)}, steps, {"segy": str(tmp_path / "out.sgy")}))
    assert values(made).shape == values(tmp_path / "gain.seis").shape
