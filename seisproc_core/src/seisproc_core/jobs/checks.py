"""What can be said of a flow before it becomes a job: its plan, its output, and what decides the output's bytes."""

from __future__ import annotations

import os
from pathlib import Path

from seisproc_core.data.formats import unfinished
from seisproc_core.data.survey import Survey
from seisproc_core.errors import Incomplete, OutputExists, UsageError
from seisproc_core.jobs.workfolder import check_target, sealed_fingerprint, sidecar_of
from seisproc_core.plugins import Registry, requirements
from seisproc_core.processing.flow import Flow
from seisproc_core.processing.kernels import REFERENCE
from seisproc_core.processing.plan import Plan
from seisproc_core.processing.planning import plan_flow


def open_source(flow: Flow, known: Registry) -> Survey:
    """The survey that a flow reads."""
    if flow.source.survey is not None:
        return flow.source.survey
    opened: Survey = known.load("storage", flow.source.storage)().open(flow.source.paths, flow.source.options)
    return opened


def checked_plan(flow: Flow, known: Registry, survey: Survey, *, replace: bool, resume: bool) -> Plan:
    """The plan of a flow to disk, and its output checked; nothing is written.

    Raises
    ------
    SeisprocError
        What is wrong with flow, input or output.
    """
    target = Path(flow.sink.path)
    may_exist = replace or (resume and os.path.lexists(target))
    check_target(target, list(flow.source.paths), replace=may_exist)
    if flow.sink.sidecar and not (replace or resume) and os.path.lexists(sidecar_of(target)):
        raise OutputExists(f"{sidecar_of(target)} exists; choose another output, or --replace to replace both")
    plan = plan_flow(flow, known, survey)
    check_target(target, list(plan.paths), replace=may_exist)
    for side in plan.sides:
        _check_side(Path(side.path), target, plan, replace=replace or resume)
    return plan


def _check_side(path: Path, target: Path, plan: Plan, *, replace: bool) -> None:
    """Refuse a side output that could not be renamed to its place together with the output."""
    others = [side.path for side in plan.sides if side.path != str(path)]
    check_target(path, [*plan.paths, str(target), *others], replace=replace)
    if path.parent.stat().st_dev != target.parent.stat().st_dev:
        raise UsageError(f"the side output {path} must be on the same file system as the output {target}")
    if unfinished(path):
        raise Incomplete(f"{path} is the unfinished output of another job; go on with: seisproc resume {path}")


def is_done(target: Path, plan: Plan, fingerprint: str, known: Registry, *, replace: bool) -> bool:
    """Whether the output that is there is that of a plan; a single file tells no more than its size.

    Raises
    ------
    UsageError
        It is not, and is not to be replaced.
    """
    size = file_bytes(plan, known)
    if size is None:
        done = sealed_fingerprint(target) == fingerprint
    else:
        done = target.is_file() and target.stat().st_size == size
    if not done and not replace:
        raise UsageError(
            f"{target} is the result of another flow, of other inputs or of other versions of the software; "
            "use --replace to replace it"
        )
    return done


def check_begun(path: Path, target: Path, fingerprint: str) -> None:
    """Refuse to begin an output whose working folder belongs to another plan."""
    if not path.name.endswith(f".{fingerprint[:8]}.part"):
        raise Incomplete(
            f"{path.name} holds the unfinished output of another flow: "
            f"seisproc resume {target} finishes it, --discard throws it away"
        )


def file_bytes(plan: Plan, known: Registry) -> int | None:
    """Size of a single-file output; None for a folder."""
    last = plan.stages[-1]
    size: int | None = known.load("storage", last.storage)().sink(last.output).file_bytes
    return size


def versions_of(plan: Plan, known: Registry) -> dict[str, str]:
    """Versions of every distribution whose code decides the output's bytes, and of the libraries these require."""
    steps = [step for stage in plan.stages for step in stage.steps]
    kernels = [item for step in steps for item in step.kernels.items()]
    used = {"seisproc-core", *(step.distribution for step in steps)}
    used |= {known.find("storage", stage.storage).distribution for stage in plan.stages}
    used |= {known.find("storage", side.storage).distribution for side in plan.sides}
    addresses = [address for stage in plan.stages for address in stage.addresses()]
    used |= {known.find("storage", str(address["storage"])).distribution for address in addresses}
    used |= {known.find("kernels", f"{name}.{backend}").distribution for name, backend in kernels}
    used |= {known.find("backends", backend).distribution for _, backend in kernels if backend != REFERENCE}
    used |= {name for distribution in used for name in requirements(distribution)}
    return {name: known.code_of(name) for name in sorted(used)}
