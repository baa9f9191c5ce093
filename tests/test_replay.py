"""`replay` and `provenance`: a result made again from its own record, and what has changed since is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from integration_kit import model_line

from seisproc_core import Engine, Flow, MemorySurvey, Source, Table, Target
from seisproc_core.data.table_versions import add_version
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


def test_a_step_that_gives_other_results_now_is_said(made: Path) -> None:
    steps = provenance.read(made)["steps"]
    steps[0][0]["version"] = 7
    rewrite(made, steps=steps)
    (said,) = prepare_replay(made, made.with_name("x.seis"), registry()).differences
    assert said == "step agc was version 7 of its results, now 1"


def velocity(metres_per_second: float) -> Table:
    return Table({"time_ms": [0, 500], "rms_m_per_s": [1800, metres_per_second]})


def test_replay_and_repair_take_the_table_that_was_used(made: Path) -> None:
    tables, moved, again = made.with_name("tables"), made.with_name("moved.seis"), made.with_name("again.seis")
    add_version(velocity(2000), tables, "vel", {})
    plain = {
        "source": {"survey": "line.seis", "gather": ["cdp"]},
        "step": [{"use": "nmo", "velocity": "tables/vel", "backend": "reference"}],
        "sink": {"survey": "moved.seis"},
    }
    run(Flow.parse(plain, base=made.parent))
    assert not prepare_replay(moved, again, registry()).notes
    add_version(velocity(2500), tables, "vel", {})
    replay = prepare_replay(moved, again, registry())
    assert replay.differences == ()
    assert replay.notes == (
        "step nmo: velocity is vel_v1.csv as it was then, kept in the record; "
        "tables/vel is vel_v2.csv with other values today",
    )
    run(replay.flow)
    assert compare(moved, again).same_bytes
    assert provenance.read(again)["steps"][0][0]["tables"] == provenance.read(moved)["steps"][0][0]["tables"]
    second = prepare_replay(again, made.with_name("second.seis"), registry())  # a replay of the replay
    assert second.notes == replay.notes
    run(second.flow)
    assert compare(again, made.with_name("second.seis")).same_bytes
    victim = next(moved.glob("headers/*"))
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-1])
    with Engine(executor="in-process") as engine:
        job = engine.repair(moved)
        assert job is not None
        job.result(280)
    assert victim.read_bytes() == whole
    shutil.rmtree(tables)
    (note,) = prepare_replay(moved, made.with_name("x.seis"), registry()).notes
    assert note.endswith("tables/vel cannot be read any more")


def test_equal_flows_have_equal_bytes_however_they_are_written(made: Path) -> None:
    def written(name: str, *steps: dict[str, Any]) -> bytes:
        plain = {
            "source": {"survey": "line.seis", "gather": ["cdp"]},
            "step": [{**step, "backend": "reference"} if step["use"] != "sort" else step for step in steps],
            "sink": {"survey": f"{name}.seis"},
        }
        run(Flow.parse(plain, base=made.parent))
        return b"".join(path.read_bytes() for path in sorted(made.with_name(f"{name}.seis").glob("*.json"))
                        if path.name != provenance.PROVENANCE)  # fmt: skip

    inline = {"time_ms": [0, 500], "rms_m_per_s": [1800, 2000]}
    as_float = {"rms_m_per_s": [1800.0, 2000.0], "time_ms": [0.0, 500.0]}
    one = written("one", {"use": "agc", "window_ms": 100}, {"use": "sort", "gather": "cdp"},
                  {"use": "nmo", "velocity": inline, "taper_ms": 20})  # fmt: skip
    two = written("two", {"use": "agc", "window_ms": 100.0}, {"use": "sort", "gather": ["cdp"]},
                  {"use": "nmo", "taper_ms": 20.0, "velocity": as_float})  # fmt: skip
    assert one == two
    other = written("other", {"use": "agc", "window_ms": 101}, {"use": "sort", "gather": "cdp"},
                    {"use": "nmo", "velocity": inline, "taper_ms": 20})  # fmt: skip
    assert one != other


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
