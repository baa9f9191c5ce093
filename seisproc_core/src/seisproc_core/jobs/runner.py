"""Running one job from its first missing segment to the sealed output; the engine's work, without its threads."""

from __future__ import annotations

import functools
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import attrs
import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.data.survey import MemorySink, MemorySurvey, Piece, Sink, Survey
from seisproc_core.errors import Damaged, DataError, StepError, UsageError, WorkerDied
from seisproc_core.execution.executor import Executor, Receipt, Task
from seisproc_core.execution.runners import StageRunners
from seisproc_core.execution.stage import Sources
from seisproc_core.execution.survey_scope import decoded
from seisproc_core.execution.worker import OpenJob, open_address
from seisproc_core.jobs.control import Control
from seisproc_core.jobs.journal import Journal
from seisproc_core.jobs.resources import this_machine
from seisproc_core.jobs.workfolder import WorkFolder, Written, check_target
from seisproc_core.plugins import Registry
from seisproc_core.processing.flow import Flow
from seisproc_core.processing.kernels import choose
from seisproc_core.processing.plan import Plan, SidePlan, StagePlan


class Run(Protocol):
    """One attempt at a job."""

    control: Control
    traces_in: int  # of the source
    total: int  # input traces of all stages
    committed: int  # of these, in finished segments
    stage: int
    stages: int
    on_commit: Callable[[], None]  # called after every finished segment

    def usage(self) -> dict[str, Any]:
        """What the attempts of this process took, as plain JSON values."""
        ...

    def execute(self, executor: Executor, workers: int, threads: int) -> None:
        """Run what is missing; everything is committed when this returns. After a pause it may be called again."""
        ...

    def seal(self) -> Survey | Path:
        """Make the result final and return it."""
        ...

    def close(self) -> None: ...


class MemoryRun:
    """A job whose source and result live in this process."""

    def __init__(self, plan: Plan, survey: Survey, registry: Registry) -> None:
        self.control = Control()
        self.traces_in = plan.stages[0].traces_in
        self.total = plan.traces_in
        self.stages = len(plan.stages)
        self.committed = 0
        self.stage = 0
        self.on_commit: Callable[[], None] = lambda: None
        self._plan = plan
        self._survey = survey
        self._made: dict[int, Survey] = {}
        self._arrays: dict[int, dict[str, np.ndarray]] = {}
        self._registry = registry
        opened = functools.partial(open_address, known=registry, held=plan.held)
        self._sources = Sources(opened, self._arrays.__getitem__)
        self._whole = 0  # stages
        self._pieces: dict[int, list[Piece]] = {}  # of the stage under way

    def execute(self, executor: Executor, workers: int, threads: int) -> None:
        while self._whole < self.stages:
            self.stage = self._whole
            self._run_stage(self._plan.stages[self.stage], executor, workers, threads)
            self._whole, self._pieces = self._whole + 1, {}

    def _run_stage(self, stage: StagePlan, executor: Executor, workers: int, threads: int) -> None:
        source = self._source(stage)
        runners = StageRunners(stage, source, MemorySink(), self._registry, self.control, threads, self._sources)

        def compute(segment: int, slot: int) -> Callable[[], Receipt]:
            pieces, traces_in, traces_out = runners.run(segment, slot)
            self._pieces[segment] = pieces
            self.control.begin(slot, -1)
            return lambda: Receipt(segment=segment, pieces=(), traces_in=traces_in, traces_out=traces_out)

        task = Task(
            folder=None, stage=self.stage, compute=compute, control=self.control, workers=workers, threads=threads
        )
        executor.run(task, [k for k in range(stage.n_segments) if k not in self._pieces], self._done)
        pieces = [piece for k in sorted(self._pieces) for piece in self._pieces[k]]
        if stage.kind != "rows":
            self._arrays[self.stage] = decoded(pieces)
            return
        whole = Gather.concatenate([piece.data for piece in pieces])
        one = attrs.evolve(whole, gather_starts=np.array([0, whole.n_traces]))
        self._made[self.stage] = MemorySurvey(one, stage.output.info)
        needed = {self.stage, *(later.source.get("stage") for later in self._plan.stages[self.stage + 1 :])}
        self._made = {number: made for number, made in self._made.items() if number in needed}

    def _source(self, stage: StagePlan) -> Survey:
        if "stage" not in stage.source:
            return self._survey
        earlier = int(stage.source["stage"])
        return self._source(self._plan.stages[earlier]) if stage.kind == "solve" else self._made[earlier]

    def _done(self, receipt: Receipt) -> None:
        self.committed += receipt.traces_in
        self.on_commit()

    def usage(self) -> dict[str, Any]:
        return used(self.control)

    def seal(self) -> Survey:
        return self._made[self.stages - 1]

    def close(self) -> None:
        return None


class FolderRun:
    """A job with an output on disk: resumes from its journal, commits after every segment."""

    def __init__(
        self,
        work: WorkFolder,
        registry: Registry,
        *,
        held: Mapping[str, Survey] | None = None,
        trust: bool = False,
        replace: bool = False,
        keep_open: tuple[int, ...] = (),
    ) -> None:
        self._held = held
        self._replace = replace or bool(work.record["replace"])
        check_target(work.target, [], replace=self._replace)
        for side in work.sides:
            check_target(Path(side.path), [], replace=self._replace or work.is_in_place(side))
        work.check_plan()
        self.work = work
        self.control = Control(work.path / "control", create=True)
        self.stage = 0
        self._registry = registry
        self._keep_open = keep_open
        self._journal = Journal(work.path / "journal")
        self.redone = 0 if trust else work.verify(self._journal)
        self.traces_in = work.stages[0].traces_in
        self.total = sum(stage.traces_in for stage in work.stages)
        self.stages = len(work.stages)
        self.committed = sum(done.traces_in for done in self._journal.done.values())
        self.on_commit: Callable[[], None] = lambda: None
        self.hopeless = False
        self._finished: dict[int, list[Written]] = {}  # by stage
        self._started = time.time()

    def execute(self, executor: Executor, workers: int, threads: int) -> None:
        try:
            self._run_stages(executor, workers, threads)
        except (StepError, DataError):
            self.hopeless = True  # going on would fail again
            raise
        except UsageError:  # of an executor that cannot be had: work that is done already is kept for another
            self.hopeless = not self.committed
            raise

    def _run_stages(self, executor: Executor, workers: int, threads: int) -> None:
        opened = OpenJob(self.work.path, self._held, known=self._registry)
        for number, stage in enumerate(self.work.stages):
            self.stage = number
            todo = self._journal.of(self.stage).missing(stage.n_segments)
            if todo:
                task = Task(
                    folder=self.work.path,
                    stage=self.stage,
                    compute=lambda segment, slot: opened.compute_segment(self.stage, segment, slot),
                    control=self.control,
                    workers=min(workers, len(todo)),
                    threads=threads,
                    keep_open=self._keep_open,
                    preload=preload_modules(self.work.stages, self._registry),
                    memory_limit=this_machine().memory // workers,  # a fair share: estimates are only for admission
                )
                self._run_segments(executor, task, todo)
            self.control.check()
            if stage.kind != "rows":
                continue
            pieces = self._sink(stage).finish(self.work.folder_of(self.stage))
            for side in stage.sides:
                if not self.work.is_in_place(side):
                    made = self._sink(side).finish(self.work.folder_of_side(side.number))
                    pieces += [attrs.evolve(piece, side=side.number) for piece in made]
            self._finished[number] = self.work.put(self.stage, pieces)

    def _sink(self, plan: StagePlan | SidePlan) -> Sink:
        made: Sink = self._registry.load("storage", plan.storage)().sink(plan.output)
        return made

    def _run_segments(self, executor: Executor, task: Task, todo: list[int]) -> None:
        try:
            executor.run(task, todo, self._commit)
        except WorkerDied as error:
            steps = self.work.stages[self.stage].steps
            names = ", ".join(f"{step.use} ({step.distribution})" for step in steps) or "reading and writing"
            raise WorkerDied(f"{error}; the steps were: {names}") from error

    def _commit(self, receipt: Receipt) -> None:
        """The order is data, then journal: the receipt says that the data are durable."""
        self._journal.append(self.stage, [receipt])
        self.committed += receipt.traces_in
        self.on_commit()

    def seal(self) -> Path:
        self._hold_to_manifest()
        self.work.seal(self._journal, self._finished, self._provenance(), replace=self._replace)
        return self.work.target

    def _hold_to_manifest(self) -> None:
        """A repair may only bring back the bytes that the output had."""
        expected = self.work.record.get("repair", {}).get("expected", {})
        last = self.stages - 1
        written = (*(receipt.pieces for receipt in self._journal.of(last).values()), self._finished[last])
        made = {key: [length, crc] for pieces in written for key, _, length, crc in pieces}
        differing = sorted(key for key, entry in expected.items() if made.get(key) != list(entry))
        if differing:
            self.hopeless = True
            raise Damaged(
                f"{self.work.target} cannot be repaired: {differing[0]} comes out with other bytes than the manifest "
                f"lists ({len(differing)} files do); it is left as it was"
            )

    def _provenance(self) -> dict[str, Any]:
        record = self.work.record
        repaired = {name: record["repair"][name] for name in ("of", "files")} if "repair" in record else None
        return {
            **({} if repaired is None else {"repair": repaired}),
            "flow": record["flow"],
            "inputs": record["inputs"],
            "notes": record["notes"],
            "versions": record["versions"],
            "steps": [[step.to_json() for step in s.steps] for s in self.work.stages if s.kind == "rows"],
            "solutions": self._solutions(),
            "history": [dict(step) for step in self.work.stages[-1].output.info.history],
            "fingerprint": self.work.fingerprint,
            "job": record["job"],
            "machine": machine(),
            "times": {"started": self._started, "finished": time.time()},
        }

    def _solutions(self) -> list[dict[str, Any]]:
        """What survey-scope steps solved: CRC-32C of every column of every table, in rounds."""
        solved = [(k, stage) for k, stage in enumerate(self.work.stages) if stage.kind == "solve"]
        return [
            {"step": stage.steps[0].use, "columns": {key: crc for key, _, _, crc in self._journal.done[k][0].pieces}}
            for k, stage in solved
        ]

    def usage(self) -> dict[str, Any]:
        return used(self.control)

    def close(self) -> None:
        self._journal.close()


class NothingToRun:
    """The run of a job whose output was already whole."""

    traces_in = total = committed = stage = stages = 0

    def __init__(self) -> None:
        self.control = Control()
        self.on_commit: Callable[[], None] = lambda: None

    def execute(self, executor: Executor, workers: int, threads: int) -> None:
        raise UsageError("nothing to run")

    def usage(self) -> dict[str, Any]:
        return {}

    def seal(self) -> Path:
        raise UsageError("nothing to seal")

    def close(self) -> None:
        return None


def used(control: Control) -> dict[str, Any]:
    """What the workers read, wrote and used, for history."""
    (bytes_in, bytes_out), (cpu_s, peak_memory) = control.traffic(), control.usage()
    return {"bytes_in": bytes_in, "bytes_out": bytes_out, "cpu_s": round(cpu_s, 3), "peak_memory": peak_memory}


def preload_modules(stages: Sequence[StagePlan], registry: Registry) -> tuple[str, ...]:
    """Modules that workers of these stages will import."""
    storages = [stage.storage for stage in stages] + [side.storage for stage in stages for side in stage.sides]
    storages += [str(address["storage"]) for stage in stages for address in stage.addresses()]
    return _modules(storages, [(step.use, step.kernels) for stage in stages for step in stage.steps], registry)


def probable_modules(flow: Flow, registry: Registry) -> tuple[str, ...]:
    """`preload_modules` of a flow that is not planned yet."""
    steps = []
    for step in (step for step in flow.steps if step.use != "sort"):
        needed = tuple(registry.find("processors", step.use).spec["kernels"])
        steps.append((step.use, choose(registry, needed, step.backend, step.use)))
    return _modules([flow.source.storage, flow.sink.storage], steps, registry)


def _modules(
    storages: Sequence[str], steps: Sequence[tuple[str, Mapping[str, str]]], registry: Registry
) -> tuple[str, ...]:
    found = [("storage", name) for name in storages]
    for use, kernels in steps:
        found += [("processors", use), *(("kernels", f"{name}.{backend}") for name, backend in kernels.items())]
    implementations = [str(registry.find(kind, name).spec["impl"]) for kind, name in found]
    return tuple(dict.fromkeys(["seisproc_core.execution.worker", *(i.partition(":")[0] for i in implementations)]))


def machine() -> dict[str, Any]:
    """What the result's exact bytes may depend on, for the provenance record."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    features = next((line.partition(":")[2].strip() for line in lines if line.startswith(("flags", "Features"))), "")
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "cpus": os.cpu_count(),
        "cpu_features": features,
    }
