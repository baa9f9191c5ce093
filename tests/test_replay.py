"""`replay` and `provenance`: a result made again from its own record, and what has changed since is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from integration_kit import model_line

from seisproc_core import Engine, Flow, MemorySurvey, Source, Target
from seisproc_core.errors import Damaged, UsageError
from seisproc_core.jobs import provenance
from seisproc_core.jobs.replay import compare, lineage, prepare_replay
from seisproc_core.plugins import registry
from seisproc_core.testing import make_gather

STEPS: list[dict[str, Any]] = [
    {"use": "agc", "window_ms": 120.0, "backend": "reference"},
    {"use": "stack", "backend": "reference"},
]


def run(flow: Flow) -> None:
    with Engine(executor="in-process") as engine:
        engine.submit(flow).result(280)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A stack of a survey: stack.seis from line.seis."""
    line = model_line()
    words = {name: line.words[name] for name in ("cdp", "offset", "field_record", "channel")}
    survey = MemorySurvey(make_gather(line.traces, interval_ms=line.interval_ms, **words))
    run(
        Flow(
            source=Source(storage="memory", survey=survey),
            sink=Target(storage="survey", path=str(tmp_path / "line.seis")),
        )
    )
    plain = {
        "source": {"survey": "line.seis", "gather": ["cdp"], "sort": ["offset"]},
        "step": STEPS,
        "sink": {"survey": "stack.seis"},
    }
    run(Flow.parse(plain, base=tmp_path, name="stack"))
    return tmp_path / "stack.seis"


def rewrite(survey: Path, **changes: Any) -> None:
    """Change the record as if it had been made elsewhere."""
    record = provenance.read(survey)
    (survey / provenance.PROVENANCE).write_bytes(provenance.encode({**record, **changes}))


def test_the_same_bytes_come_out_again(made: Path) -> None:
    again = made.with_name("again.seis")
    replay = prepare_replay(made, again, registry())
    assert replay.differences == ()
    assert [step.parameters.get("window_ms") for step in replay.flow.steps] == [120.0, None]
    run(replay.flow)
    found = compare(made, again)
    assert found.same_bytes and found.agrees and found.relative_rms == 0


def test_another_backend_is_said_and_agrees(made: Path) -> None:
    steps = provenance.read(made)["steps"]
    used = {backend for stage in steps for step in stage for backend in step["kernels"].values()}
    for stage in steps:
        for step in stage:
            step["kernels"] = dict.fromkeys(step["kernels"], "abacus")
    rewrite(made, steps=steps)
    replay = prepare_replay(made, made.with_name("again.seis"), registry())
    assert [line for line in replay.differences if "ran on abacus, which cannot be used here" in line]
    run(replay.flow)
    assert compare(made, made.with_name("again.seis")).agrees
    for backend in used:
        assert not any(backend in line for line in replay.differences)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"versions": {"seisproc-core": "0.0.1"}}, "seisproc-core was 0.0.1, now"),
        ({"machine": {"python": "3.0", "numpy": np.__version__, "cpu_features": "mmx fpu"}}, "python was 3.0, now"),
        ({"machine": {"cpu_features": "abacus"}}, "this CPU differs: without abacus"),
    ],
)
def test_changed_software_and_machines_are_said(made: Path, change: dict[str, Any], said: str) -> None:
    rewrite(made, **change)
    assert any(line.startswith(said) for line in prepare_replay(made, made.with_name("x.seis"), registry()).differences)


def test_a_changed_input_is_said_and_compared(made: Path) -> None:
    line = made.with_name("line.seis")
    replaced = made.with_name("louder.seis")
    plain = {
        "source": {"survey": "line.seis"},
        "step": [{"use": "gain", "bias": 3.0}],
        "sink": {"survey": "louder.seis"},
    }
    run(Flow.parse(plain, base=made.parent))
    shutil.rmtree(line)
    replaced.rename(line)
    replay = prepare_replay(made, made.with_name("again.seis"), registry())
    assert any(f"the input {line} has changed" in text for text in replay.differences)
    run(replay.flow)
    found = compare(made, made.with_name("again.seis"))
    assert not found.agrees and found.relative_rms > 1e-3


def test_moved_inputs_are_named(made: Path) -> None:
    made.with_name("line.seis").rename(made.with_name("moved.seis"))
    with pytest.raises(UsageError, match=r"stack\.seis cannot be replayed: .*line\.seis"):
        prepare_replay(made, made.with_name("again.seis"), registry())
    replay = prepare_replay(made, made.with_name("again.seis"), registry(), [str(made.with_name("moved.seis"))])
    assert replay.differences == ()


def test_a_missing_step_is_named(made: Path) -> None:
    record = provenance.read(made)
    record["flow"]["steps"][0]["use"] = "teleport"
    rewrite(made, flow=record["flow"])
    with pytest.raises(UsageError, match=r"cannot be replayed: .*teleport"):
        prepare_replay(made, made.with_name("again.seis"), registry())


def test_what_has_no_record_is_refused(made: Path) -> None:
    (made.with_name("file.sgy")).write_bytes(b"x")
    for name, error in (("file.sgy", "carries no record"), ("absent.seis", "does not exist")):
        with pytest.raises(UsageError, match=error):
            prepare_replay(made.with_name(name), made.with_name("x.seis"), registry())
    (made / provenance.PROVENANCE).write_text("{}")
    with pytest.raises(Damaged, match="checksum"):
        prepare_replay(made, made.with_name("x.seis"), registry())


def test_lineage_goes_back_to_the_beginning(made: Path) -> None:
    chain = lineage(made, registry())
    assert [Path(entry["path"]).name for entry in chain] == ["stack.seis", "line.seis"]
    assert [item["state"] for item in chain[0]["inputs"]] == ["unchanged"]
    assert [step["use"] for stage in chain[0]["record"]["steps"] for step in stage] == ["agc", "stack"]
    json.dumps(chain)
    shutil.rmtree(made.with_name("line.seis"))
    (only,) = lineage(made, registry())
    assert [item["state"] for item in only["inputs"]] == ["gone"]
