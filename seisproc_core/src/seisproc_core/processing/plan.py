"""What a plan is: stages of segments, and everything that could change the result's bytes.

It depends on neither the number of workers, nor memory, nor the host.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import attrs
import numpy as np

from seisproc_core.data.survey import OutputPlan, Survey

BATCH_BYTES = 8 << 20


@attrs.frozen(eq=False, kw_only=True)
class InputPlan:
    """A further survey that a step reads.

    Attributes
    ----------
    source
        ``{"storage", "paths", "options"}``, as of a stage.
    rows
        Its row for every trace the step gets, in gather order, int64; -1 where it has none.
    """

    source: Mapping[str, Any]
    rows: np.ndarray


@attrs.frozen(eq=False, kw_only=True)
class StepPlan:
    """A step with every parameter filled in and the backend of each kernel chosen.

    Attributes
    ----------
    tables
        File name and checksum of each table that was read from one, by parameter; its content is among the parameters,
        so that no later version of it can get in.
    inputs
        Further surveys by the parameter that names them.
    starts
        First row of each gather the step gets, and the row count; None where it has no inputs, or every row is a
        gather by itself.
    solution
        For a survey-scope step: the stage whose solution it is shown.
    """

    use: str
    parameters: Mapping[str, Any]
    kernels: Mapping[str, str]
    version: int
    distribution: str
    tables: Mapping[str, Mapping[str, str]] = attrs.field(factory=dict)
    inputs: Mapping[str, InputPlan] = attrs.field(factory=dict)
    starts: np.ndarray | None = None
    solution: int | None = None

    def rows_of(self, low: int, high: int) -> slice:
        """Rows that gathers ``[low, high)`` have when they come to this step."""
        return slice(low, high) if self.starts is None else slice(int(self.starts[low]), int(self.starts[high]))

    def to_json(self, *, with_paths: bool = True) -> dict[str, Any]:
        """Everything but the arrays, as plain JSON values."""
        named = {name: dict(item.source) for name, item in self.inputs.items()}
        parameters = dict(self.parameters)
        if not with_paths:
            parameters = {name: value for name, value in parameters.items() if name not in named}
            named = {name: {key: v for key, v in source.items() if key != "paths"} for name, source in named.items()}
        plain = {
            name: getattr(self, name) for name in ("use", "kernels", "version", "distribution", "tables", "solution")
        }
        return plain | {"kernels": dict(self.kernels), "parameters": parameters, "inputs": named}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any], load: Callable[[str], np.ndarray | None]) -> StepPlan:
        inputs = {}
        for name, source in plain["inputs"].items():
            rows = load(f"{name}-rows")
            assert rows is not None  # the record says it is there
            inputs[name] = InputPlan(source=source, rows=rows)
        return cls(**{**plain, "inputs": inputs, "starts": load("starts")})

    def arrays(self) -> Iterator[tuple[str, np.ndarray | None]]:
        """The arrays by name."""
        yield "starts", self.starts
        for name, item in self.inputs.items():
            yield f"{name}-rows", item.rows


@attrs.frozen(kw_only=True)
class SidePlan:
    """A side output: a survey of what one step of a stage gives beside its result, row for row that of the stage.

    Attributes
    ----------
    step
        Position of the step in its stage.
    use, name
        Its processor, and what of it is saved.
    path
        The survey this becomes; absolute.
    number
        Counts the side outputs of the job from 0.
    """

    step: int
    use: str
    name: str
    path: str
    number: int
    storage: str
    output: OutputPlan

    def to_json(self) -> dict[str, Any]:
        return attrs.asdict(self, recurse=False) | {"output": self.output.to_json()}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> SidePlan:
        return cls(**{**plain, "output": OutputPlan.from_json(plain["output"])})


@attrs.frozen(eq=False, kw_only=True)
class StagePlan:
    """One stage: read gathers, run steps, write rows - or measure gathers, or solve for what was measured.

    Attributes
    ----------
    kind
        ``rows``; ``measure``: the records of the one step, of every trace in gather order, one piece per segment;
        ``solve``: its solution, from the records of the stage it names as source, in one segment.
    source
        ``{"storage", "paths", "options"}`` of the input survey, or ``{"stage": k}`` for an earlier stage.
    order
        Input rows in gather order, int64 ``(traces_in,)``; None for stored order.
    in_starts, out_starts
        First ordered input row, first output row of each gather (and the totals); None when every row is
        a gather by itself and stays one row.
    segment_rows
        Output rows per segment: a multiple of the sink's shard, and of those of side outputs.
    sides
        What is saved of its steps. It decides no byte of the output, and is no part of the fingerprint.
    """

    source: Mapping[str, Any]
    traces_in: int
    order: np.ndarray | None
    in_starts: np.ndarray | None
    out_starts: np.ndarray | None
    steps: tuple[StepPlan, ...]
    storage: str
    output: OutputPlan
    segment_rows: int
    kind: Literal["rows", "measure", "solve"] = "rows"
    sides: tuple[SidePlan, ...] = ()

    @property
    def n_segments(self) -> int:
        return max(1, -(-self.output.n_traces // self.segment_rows))

    def segment(self, number: int) -> tuple[int, int]:
        """Output rows ``[first, end)`` of a segment."""
        first = number * self.segment_rows
        return first, min(first + self.segment_rows, self.output.n_traces)

    def gathers_of(self, first: int, end: int) -> tuple[int, int]:
        """Gathers ``[first, end)`` that touch a range of output rows."""
        if self.out_starts is None:
            return first, end
        low = int(np.searchsorted(self.out_starts, first, side="right")) - 1
        high = int(np.searchsorted(self.out_starts, end, side="left"))
        return low, max(low, high)

    def rows_in(self, first: int, end: int) -> tuple[int, int]:
        """Ordered input rows of gathers ``[first, end)``."""
        if self.in_starts is None:
            return first, end
        return int(self.in_starts[first]), int(self.in_starts[end])

    def arrays(self) -> Iterator[tuple[str, np.ndarray | None]]:
        """The arrays by name, those of the steps included."""
        for name in ("order", "in_starts", "out_starts"):
            yield name, getattr(self, name)
        for number, step in enumerate(self.steps):
            for name, array in step.arrays():
                yield f"step{number}-{name}", array

    def addresses(self) -> Iterator[Mapping[str, Any]]:
        """Where the surveys lie that the stage reads, but for what earlier stages wrote."""
        if "storage" in self.source:
            yield self.source
        for step in self.steps:
            yield from (item.source for item in step.inputs.values())


@attrs.frozen(eq=False, kw_only=True)
class Plan:
    """Stages in order; the last one writes the job's output.

    Attributes
    ----------
    inputs
        Identity of every input (path, size, checksums), as its storage gives it: see `identities`.
    notes
        What a person should know: findings of the reader, gathers that are incomplete.
    held
        Surveys in memory by the path that stands for them.
    """

    stages: tuple[StagePlan, ...]
    inputs: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    held: Mapping[str, Survey] = attrs.field(factory=dict)

    @property
    def paths(self) -> Iterator[str]:
        """Files and folders that are read."""
        addresses = (address for stage in self.stages for address in stage.addresses())
        return (path for address in addresses if address["storage"] != "memory" for path in address["paths"])

    @property
    def sides(self) -> tuple[SidePlan, ...]:
        """All side outputs."""
        return tuple(side for stage in self.stages for side in stage.sides)

    @property
    def traces_in(self) -> int:
        return sum(stage.traces_in for stage in self.stages)

    def fingerprint(self, versions: Mapping[str, str]) -> str:
        """Hash of all that decides the output's bytes; paths do not."""
        digest = hashlib.sha256()
        inputs = [{key: value for key, value in item.items() if key != "path"} for item in self.inputs]
        digest.update(json.dumps([inputs, dict(versions)], sort_keys=True).encode())
        for stage in self.stages:
            digest.update(json.dumps(stage_to_json(stage, for_fingerprint=True), sort_keys=True).encode())
            for _, array in stage.arrays():
                digest.update(b"-" if array is None else np.ascontiguousarray(array).view(np.uint8).data)
        return digest.hexdigest()


def bytes_per_worker(stage: StagePlan) -> int:
    """Estimate of a worker's peak: the rows of a segment and their encoded form, inputs and output of a batch."""
    if stage.kind == "solve":  # the records, and some more of what is made of them
        return 4 * int(stage.output.options["records"]) * int(stage.output.options["record_bytes"])
    row = 4 * stage.output.sampling.count + stage.output.raw_header_bytes
    largest = 1 if stage.in_starts is None else int(np.diff(stage.in_starts).max())
    arrays = 3 + len(stage.sides) + sum(len(step.inputs) for step in stage.steps)
    outputs = 1 + len(stage.sides)
    return 2 * outputs * min(stage.segment_rows, stage.output.n_traces) * row + arrays * max(BATCH_BYTES, largest * row)


def stage_to_json(stage: StagePlan, *, for_fingerprint: bool = False) -> dict[str, Any]:
    """Everything but the arrays, as plain JSON values; or only what decides the bytes of its rows."""
    source = dict(stage.source)
    if for_fingerprint:
        source.pop("paths", None)
    return {
        **({} if for_fingerprint else {"sides": [side.to_json() for side in stage.sides]}),
        "kind": stage.kind,
        "source": source,
        "traces_in": stage.traces_in,
        "steps": [step.to_json(with_paths=not for_fingerprint) for step in stage.steps],
        "storage": stage.storage,
        "output": stage.output.to_json(),
        "segment_rows": stage.segment_rows,
    }


def stage_from_json(plain: Mapping[str, Any], load: Callable[[str], np.ndarray | None]) -> StagePlan:
    """The inverse of `stage_to_json`; `load` gives an array by its name, None where the plan has none."""
    steps = [StepPlan.from_json(step, _prefixed(load, f"step{k}-")) for k, step in enumerate(plain["steps"])]
    return StagePlan(
        kind=plain["kind"],
        source=plain["source"],
        traces_in=plain["traces_in"],
        order=load("order"),
        in_starts=load("in_starts"),
        out_starts=load("out_starts"),
        steps=tuple(steps),
        storage=plain["storage"],
        output=OutputPlan.from_json(plain["output"]),
        segment_rows=plain["segment_rows"],
        sides=tuple(map(SidePlan.from_json, plain["sides"])),
    )


def _prefixed(load: Callable[[str], np.ndarray | None], prefix: str) -> Callable[[str], np.ndarray | None]:
    return lambda name: load(prefix + name)
