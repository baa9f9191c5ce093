"""Replaying a sealed output: its flow, parameters and backends from its provenance, and what differs here today."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from seisproc_core.data.formats import format_for, open_survey
from seisproc_core.data.survey import Survey
from seisproc_core.data.tables import read_table
from seisproc_core.errors import Damaged, PluginError, SeisprocError, UsageError
from seisproc_core.jobs import provenance
from seisproc_core.jobs.checks import versions_of
from seisproc_core.jobs.repair import as_run
from seisproc_core.jobs.runner import machine
from seisproc_core.jobs.workfolder import sealed_checksums
from seisproc_core.plugins import Registry
from seisproc_core.processing.flow import Flow
from seisproc_core.processing.kernels import usable_backends
from seisproc_core.processing.plan import Plan
from seisproc_core.processing.planning import plan_flow

RELATIVE_RMS = 1e-5  # what results of other backends, versions and CPU features may differ by
ROWS = 1024
MACHINE = ("python", "numpy", "cpu_features")  # what bytes may depend on; host and number of CPUs do not count


@attrs.frozen(eq=False)
class Replay:
    """How an output is made again.

    Attributes
    ----------
    flow
        The flow that made it, with the parameters and backends that ran, written to another place.
    differences
        What is not as it was: inputs, versions, backends, CPU features; one line each. Empty where equal bytes are
        promised.
    notes
        Tables that are no longer what they were, which changes nothing: the record holds their values.
    """

    flow: Flow
    differences: tuple[str, ...]
    notes: tuple[str, ...] = ()


@attrs.frozen
class Comparison:
    """An output and its replay.

    Attributes
    ----------
    same_bytes
        All files but the provenance are equal.
    relative_rms
        rms of the difference over rms of the old samples.
    problem
        Why they are not the same data at all; empty where they are.
    """

    same_bytes: bool
    relative_rms: float
    problem: str

    @property
    def agrees(self) -> bool:
        """Whether the replay is what was promised."""
        return not self.problem and self.relative_rms <= RELATIVE_RMS


def prepare_replay(survey: Path, out: Path, known: Registry, sources: Sequence[str] = ()) -> Replay:
    """Read how `survey` was made and compare it with what is here.

    Parameters
    ----------
    survey
        A sealed output.
    out
        Where the replay is to go.
    sources
        Paths of the inputs, where they were moved.

    Raises
    ------
    Damaged
        Its provenance record is damaged or missing.
    UsageError
        It has none, an input is gone, or a step is not installed.
    """
    if survey.is_file():
        raise UsageError(f"{survey} carries no record of how it was made: replay the survey that it was exported from")
    if not survey.is_dir():
        raise UsageError(f"{survey} does not exist")
    record = provenance.read(survey)
    if "side_output" in record:
        about = record["side_output"]
        raise UsageError(f"{survey} is a side output of {about['output']}: replay that, or run its flow again")
    flow = as_run(Flow.from_json(record["flow"]), record["steps"]).without_saves()
    if sources:
        flow = attrs.evolve(
            flow, source=attrs.evolve(flow.source, paths=tuple(str(Path(p).absolute()) for p in sources))
        )
    if format_for(out, working=True).id != flow.sink.storage:
        raise UsageError(f"{survey} is a survey: name the replay NAME.seis, not {out.name}")
    flow = attrs.evolve(flow, sink=attrs.evolve(flow.sink, path=str(out.absolute())), name=f"replay {survey.name}")
    flow, differences = _with_usable_backends(flow, known)
    try:
        opened: Survey = known.load("storage", flow.source.storage)().open(flow.source.paths, flow.source.options)
        plan = plan_flow(flow, known, opened)
    except (SeisprocError, OSError) as error:
        raise UsageError(f"{survey} cannot be replayed: {error}") from error
    differences += _changed_inputs(record["inputs"], plan.inputs)
    differences += _changed_versions(record["versions"], versions_of(plan, known))
    differences += _changed_machine(record["machine"], machine())
    differences += _changed_steps(record["steps"], plan)
    return Replay(flow, tuple(differences), tuple(_newer_tables(flow, record["steps"])))


def _with_usable_backends(flow: Flow, known: Registry) -> tuple[Flow, list[str]]:
    """The flow without backends that cannot be used here, and which these are."""
    usable, differences, steps = usable_backends(known), [], []
    for step in flow.steps:
        if step.backend is not None and step.backend not in usable:
            differences.append(f"step {step.use} ran on {step.backend}, which cannot be used here")
            steps.append(attrs.evolve(step, backend=None))
        else:
            steps.append(step)
    return attrs.evolve(flow, steps=tuple(steps)), differences


def _changed_inputs(then: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> list[str]:
    if len(then) != len(now):
        return [f"it was made from {len(then)} inputs, these are {len(now)}"]
    pairs = zip(then, now, strict=True)
    changed = [b.get("path", "") for a, b in pairs if {**a, "path": ""} != {**b, "path": ""}]
    return [f"the input {path} has changed" for path in changed]


def _changed_versions(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    names = sorted(set(then) | set(now))
    return [
        f"{name} was {then.get(name, 'not used')}, now {now.get(name, 'not used')}"
        for name in names
        if then.get(name) != now.get(name)
    ]


def _changed_steps(then: Sequence[Sequence[Mapping[str, Any]]], plan: Plan) -> list[str]:
    """Steps whose authors say that they give other results now."""
    made = [step for stage in then for step in stage]
    now = [step for stage in plan.stages if stage.kind == "rows" for step in stage.steps]
    return [
        f"step {old['use']} was version {old['version']} of its results, now {new.version}"
        for old, new in zip(made, now, strict=True)
        if old["version"] != new.version
    ]


def _newer_tables(flow: Flow, then: Sequence[Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    """Tables that the flow would get today, where these are others than it had."""
    made = [step for stage in then for step in stage]
    written = [step for step in flow.written or flow.steps if step.use != "sort"]
    for step, ran in zip(written, made, strict=True):
        for name, about in ran["tables"].items():
            called = step.parameters.get(name)
            if not isinstance(called, str):
                continue
            kept = f"step {ran['use']}: {name} is {about['file']} as it was then, kept in the record"
            try:
                table = read_table(flow.base / called)
            except (UsageError, Damaged):
                yield f"{kept}; {called} cannot be read any more"
                continue
            if table.checksum != about["sha256"]:
                yield f"{kept}; {called} is {Path(table.source).name} with other values today"


def _changed_machine(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    differences = []
    for name in MACHINE:
        old, new = str(then.get(name, "")), str(now.get(name, ""))
        if name == "cpu_features" and old != new:
            lost, gained = sorted(set(old.split()) - set(new.split())), sorted(set(new.split()) - set(old.split()))
            parts = [f"{word} {', '.join(which[:8])}" for word, which in (("without", lost), ("with", gained)) if which]
            differences.append(f"this CPU differs: {'; '.join(parts)}")
        elif old != new:
            differences.append(f"{name} was {old}, now {new}")
    return differences


def compare(old: Path, new: Path) -> Comparison:
    """Hold a replay to what it replays, block by block.

    Raises
    ------
    Damaged
        One of them is not whole.
    """
    made = sealed_checksums(old), sealed_checksums(new)
    if made[0] is not None and made[0] == made[1]:
        return Comparison(True, 0.0, "")
    first, second = open_survey(old), open_survey(new)
    if (first.n_traces, first.sampling) != (second.n_traces, second.sampling):
        return Comparison(False, float("inf"), f"{second.n_traces} traces of {second.sampling.count} samples, "
                          f"not {first.n_traces} of {first.sampling.count}")  # fmt: skip
    difference = power = 0.0
    for start in range(0, first.n_traces, ROWS):
        rows = slice(start, min(start + ROWS, first.n_traces))
        a, b = first.read(rows), second.read(rows)
        for name in sorted({*a.headers, *b.headers}):
            there = name in a.headers and name in b.headers
            if not there or not np.array_equal(a.headers.column(name), b.headers.column(name), equal_nan=True):
                return Comparison(False, float("inf"), f"header word '{name}' differs")
        difference += float(np.sum(np.square(np.subtract(a.traces, b.traces, dtype=np.float64))))
        power += float(np.sum(np.square(a.traces, dtype=np.float64)))
    error = float(np.sqrt(difference / power)) if power else float(difference > 0)
    return Comparison(False, error, "")


def lineage(survey: Path, known: Registry) -> list[dict[str, Any]]:
    """The chain of processing behind a sealed output, the latest first.

    Returns
    -------
    One entry per output that is still there: its provenance under ``record``, its ``path``, and ``inputs`` - each with
    path and ``state``: ``unchanged``, ``changed`` or ``gone`` since. An input that is no sealed output ends its branch.

    Raises
    ------
    Damaged, UsageError
        `survey` itself has no record that can be read.
    """
    if not survey.is_dir():
        what = "carries no record of how it was made" if survey.exists() else "does not exist"
        raise UsageError(f"{survey} {what}")
    chain: list[dict[str, Any]] = []
    waiting, seen = [survey.absolute()], set[Path]()
    while waiting:
        path = waiting.pop(0)
        if path in seen:
            continue
        seen.add(path)
        try:
            record = provenance.read(path)
        except Damaged:
            if not chain:
                raise
            continue
        inputs = [_input_now(item, record, known) for item in record["inputs"]]
        chain.append({"path": str(path), "record": record, "inputs": inputs})
        waiting += [Path(str(item["path"])) for item in inputs if Path(str(item["path"])).is_dir()]
    return chain


def _input_now(then: Mapping[str, Any], record: Mapping[str, Any], known: Registry) -> dict[str, Any]:
    path = str(then.get("path", ""))
    try:
        source = record["flow"]["source"]
        opened: Survey = known.load("storage", source["storage"])().open([path], source["options"])
        (now,) = opened.identity()
        state = "unchanged" if {**then, "path": ""} == {**now, "path": ""} else "changed"
    except (SeisprocError, PluginError, OSError, KeyError, ValueError):
        state = "changed" if path and Path(path).exists() else "gone"
    return {"path": path, "state": state}
