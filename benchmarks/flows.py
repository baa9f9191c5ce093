"""What a job costs beside its kernels and its reading and writing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import attrs

from benchmarks.harness import Row, Work, against, at_least, at_most, interleave, rate_row
from benchmarks.plain import PlainLoop, put_unsynced
from benchmarks.workspace import VELOCITY, Workspace, gain_and_filter
from seisproc_core.jobs.engine import Engine
from seisproc_core.processing.flow import Flow, Source, Step, Target

SAMPLES = 1500
ROOT = Path(__file__).parents[1]


def flow(space: Workspace) -> Iterator[Row]:
    """AGC and band-pass over 100,000 x 1,500 traces, read from a survey and written to one."""
    traces = space.size(100_000)
    survey = space.survey(traces, SAMPLES)
    planned = {name: gain_and_filter(survey, space.folder / f"{name}.seis") for name in _WORKS}
    works = {name: Work(partial(_WORKS[name], planned[name]), partial(space.fresh, f"{name}.seis")) for name in _WORKS}
    seconds = interleave(works, space.rounds)
    _same_samples(Path(planned["job"].sink.path), Path(planned["loop"].sink.path))
    for name in _WORKS:
        space.fresh(f"{name}.seis")
    amount = (traces, "traces")
    job, loop = seconds["job"], seconds["loop"]
    yield against("AGC + band-pass, in process", job, "plain loop, same I/O", loop, goal=at_most(1.02), amount=amount)
    yield against("AGC + band-pass, in process", job, "plain loop, no fsync", seconds["unsynced"], amount=amount)
    yield against(
        "AGC + band-pass, 2 processes", seconds["job2"], "2 plain loops, start-up included", seconds["loop2"],
        goal=at_most(1.02), amount=amount,
    )  # fmt: skip
    yield against("durable writing of the plain loop", loop, "no fsync", seconds["unsynced"], goal=at_most(1.10))


def _job(planned: Flow) -> None:
    with Engine(executor="in-process", workers=1) as engine:
        engine.submit(planned).result()


def _job_in_processes(planned: Flow) -> None:
    with Engine(executor="processes", workers=2) as engine:
        engine.submit(planned).result()


def _two_loops(planned: Flow) -> None:
    command = [sys.executable, "-m", "benchmarks.plain", planned.source.paths[0], planned.sink.path]
    children = [subprocess.Popen([*command, str(index), "2"], cwd=ROOT) for index in range(2)]
    if sum(child.wait() != 0 for child in children):  # waits for both
        raise RuntimeError("a plain loop failed; its message is above")


_WORKS: dict[str, Callable[[Flow], None]] = {
    "job": _job,
    "loop": lambda planned: PlainLoop(planned).run(),
    "unsynced": lambda planned: PlainLoop(planned, put_unsynced).run(),
    "job2": _job_in_processes,
    "loop2": _two_loops,
}


def _same_samples(ours: Path, theirs: Path) -> None:
    """The job and its peer did the same work: their shards are equal to the byte."""
    shards = [path for path in (theirs / "traces").rglob("*") if path.is_file()]
    if not shards or any((ours / p.relative_to(theirs)).read_bytes() != p.read_bytes() for p in shards):
        raise AssertionError("the job and the plain loop wrote different samples")


def chain(space: Workspace) -> Iterator[Row]:
    """AGC, band-pass, NMO and stack in one flow on two workers."""
    traces = space.size(100_000)
    survey = space.survey(traces, SAMPLES)
    base = gain_and_filter(survey, space.folder / "stack.seis")
    more = (Step(use="nmo", parameters={"velocity": VELOCITY}), Step(use="stack"))
    source = Source(storage="survey", paths=(str(survey),), gather=("field_record",))
    target = Target(storage="survey", path=base.sink.path)
    planned = attrs.evolve(base, source=source, steps=(*base.steps, *more), sink=target)
    works = {"job": Work(lambda: _job_in_processes(planned), lambda: space.fresh("stack.seis"))}
    seconds = interleave(works, space.rounds)["job"]
    space.fresh("stack.seis")
    yield rate_row(
        "AGC, band-pass, NMO, stack, 2 processes", seconds, traces, "traces", goal=at_least(60_000),
        peer="Seismic Unix: 8,600 traces/s, in an earlier run",
    )  # fmt: skip
