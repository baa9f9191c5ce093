"""What the loops disturb: five small jobs whose results are known, over inputs that are made here."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs
import quick_start
from integration_kit import STACKING, contents, flow, model_line, run, write_flow, write_segy
from test_survey_scope_on_disk import STEPS as STATICS
from test_survey_scope_on_disk import model

from seisproc_core import Engine, Flow, Source, Target

KINDS = ("import", "stack", "export", "statics", "pair")
LONGEST_S = 300.0


@attrs.frozen
class Job:
    """Commands that run at the same time, what they make, and what that must be."""

    commands: tuple[tuple[str, ...], ...]
    outputs: tuple[str, ...]
    expected: tuple[dict[str, str], ...] = ()
    seconds: float = 0.0

    def start(self, folder: Path, *options: str, before: Callable[[], None] = lambda: None) -> list[quick_start.Forked]:
        """Begin all commands in a folder; what they print is in the file beside it that ends in ``.log``."""
        log = folder.with_suffix(".log")
        return [quick_start.command((*words, *options), folder, log, before=before) for words in self.commands]

    def whole(self, folder: Path) -> list[bool]:
        there = [folder / output for output in self.outputs]
        return [path.exists() and contents(path) == e for path, e in zip(there, self.expected, strict=True)]


def make_job(kind: str, folder: Path) -> Job:
    """A job that takes tenths of a second, and its inputs."""
    line = write_segy(folder / "line.sgy", model_line(16, 24))

    def importing(out: str) -> tuple[str, ...]:
        return ("import", str(line), out, "--shard-traces", "16", "--gather", "cdp")

    def stacking(out: str) -> tuple[str, ...]:
        survey = run(flow({"segy": str(line)}, [], {"survey": str(folder / f"{kind}-line.seis"), "shard_traces": 16}))
        stack = write_flow(folder / f"{kind}.toml", survey, folder / "unused.seis", STACKING, shard_traces=8)
        return ("run", str(stack), "--out", out)

    match kind:
        case "import":
            return Job((importing("out.seis"),), ("out.seis",))
        case "stack":
            return Job((stacking("out.seis"),), ("out.seis",))
        case "export":
            segy = write_segy(folder / "long.sgy", model_line(64, 48, end_ms=2800.0))
            survey = run(flow({"segy": str(segy)}, [], {"survey": str(folder / "long.seis")}))
            return Job((("export", str(survey), "out.sgy"),), ("out.sgy",))
        case "statics":
            moved = folder / "moved.seis"
            with Engine(executor="in-process") as engine:
                sink = Target(storage="survey", path=str(moved), options={"shard_traces": 64})
                engine.submit(Flow(source=Source(storage="memory", survey=model()[0]), sink=sink)).result(60)
            flow_file = write_flow(folder / "statics.toml", moved, folder / "unused.seis", STATICS, shard_traces=16)
            return Job((("run", str(flow_file), "--out", "out.seis"),), ("out.seis",))
        case _:
            return Job((importing("a.seis"), stacking("b.seis")), ("a.seis", "b.seis"))


def prepare(folder: Path, kinds: Sequence[str]) -> dict[str, Job]:
    """Make the inputs, import all there is to import, and run each job undisturbed, in process and not."""
    os.environ["SEISPROC_STATE_DIR"] = str(folder / "state")
    quick_start.prepare()
    quick_start.learn(lambda: _keep(folder, kinds), folder)
    kept = json.loads((folder / "jobs.json").read_text())
    return {kind: _timed(Job(tuple(map(tuple, kept[kind][0])), *map(tuple, kept[kind][1:])), folder) for kind in kinds}


def _keep(folder: Path, kinds: Sequence[str]) -> None:
    """Run jobs where their imports and threads do not matter; what they are and make is in a file afterwards."""
    jobs = {kind: make_job(kind, folder) for kind in kinds}
    for kind, job in jobs.items():
        out = folder / f"{kind}-alone"
        out.mkdir()
        os.chdir(out)
        for words in job.commands:
            assert quick_start.terminal.run([*words, "--executor", "in-process"]) == 0, kind
        assert quick_start.terminal.run(["verify", job.outputs[0]]) == 0, kind
        jobs[kind] = attrs.evolve(job, expected=tuple(contents(out / output) for output in job.outputs))
    (folder / "jobs.json").write_text(json.dumps({kind: attrs.astuple(job)[:3] for kind, job in jobs.items()}))


def _timed(job: Job, folder: Path) -> Job:
    """The job with the seconds it takes; the result is checked."""
    trial = Path(tempfile.mkdtemp(dir=folder))
    began = time.monotonic()
    codes = [process.wait(LONGEST_S) for process in job.start(trial)]
    seconds = time.monotonic() - began
    assert not any(codes), trial.with_suffix(".log").read_text()
    assert all(job.whole(trial)), "two undisturbed runs differ"
    shutil.rmtree(trial)
    return attrs.evolve(job, seconds=seconds)
