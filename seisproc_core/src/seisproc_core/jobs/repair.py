"""Repairing a sealed output: a job that adopts every file that is whole and makes the others again from the inputs.

It is the job that made the output, taken up as if it had been interrupted: in a working folder of the same
fingerprint, with links to the whole files, and a journal that lists them. What it makes must have the checksums that
the manifest lists; then the two folders are exchanged, as for any output that is replaced. Until then the damaged one
stays as it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from seisproc_core.data.tables import Table
from seisproc_core.errors import Damaged, Incomplete, SeisprocError, StorageError, UsageError
from seisproc_core.execution.executor import Receipt
from seisproc_core.jobs import durable, provenance
from seisproc_core.jobs.checks import versions_of
from seisproc_core.jobs.journal import Journal
from seisproc_core.jobs.lock import OutputLock
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.prepare import Prepared, Request, new_job, released_on_error, sized
from seisproc_core.jobs.reserving import settle
from seisproc_core.jobs.resources import Resources
from seisproc_core.jobs.runner import FolderRun, NothingToRun
from seisproc_core.jobs.store import JobStore
from seisproc_core.jobs.workfolder import MANIFEST, WorkFolder
from seisproc_core.plugins import Registry
from seisproc_core.processing.flow import Flow
from seisproc_core.processing.plan import Plan, StagePlan
from seisproc_core.processing.planning import plan_flow

Pieces = Mapping[str, tuple[int, int, int | None]]  # by key: length, CRC-32, the segment that made it
MAX_NAMED = 5


@attrs.frozen
class Damage:
    """What is wrong with a sealed output.

    Attributes
    ----------
    pieces
        What the manifest lists; empty where the manifest itself cannot be trusted, so that all is to be made again.
    keys
        Files that are missing or differ from their checksums; the manifest among them.
    foreign
        Files that are no part of the output.
    """

    pieces: Pieces
    keys: tuple[str, ...]
    foreign: tuple[str, ...]

    @classmethod
    def of(cls, target: Path) -> Damage:
        """Read every file of the output once."""
        pieces = _manifest(target)
        keys = [MANIFEST] if pieces is None else [key for key in sorted(pieces) if not _whole(target, key, pieces[key])]
        known = {MANIFEST, provenance.PROVENANCE, *(pieces or {})}
        there = [path for path in target.rglob("*") if path.is_symlink() or not path.is_dir()]
        names = sorted(path.relative_to(target).as_posix() for path in there)
        foreign = [] if pieces is None else [name for name in names if name not in known]
        return cls(pieces or {}, tuple(keys), tuple(foreign))


def prepare_repair(
    target: Path, request: Request, store: JobStore, known: Registry, capacity: Resources
) -> Prepared | None:
    """A job that repairs `target`; None where every file of it is whole.

    Raises
    ------
    Damaged
        It cannot be repaired: its provenance is damaged too, an input is gone or changed, or what made it is not
        installed in the same version.
    Incomplete
        It is not finished, or a repair of it was begun.
    UsageError
        It is no folder, or holds files of others.
    """
    if WorkFolder.find(target):
        raise Incomplete(f"{target} has an unfinished output beside it; go on with: seisproc resume {target}")
    if not target.is_dir():
        what = "is a single file: make it again" if target.exists() else "does not exist"
        raise UsageError(f"{target} {what}; repair is for surveys")
    lock = OutputLock(target, "repair")
    with released_on_error(lock):
        damage = Damage.of(target)
        record = _record(target, damage)
        if not damage.keys:
            lock.release(remove=True)
            return None
        if damage.foreign:
            raise UsageError(f"{target}: {damage.foreign[0]} is no part of it; move it elsewhere, then repair")
        if "side_output" in record:
            about = record["side_output"]
            raise UsageError(
                f"{target} is a side output (save.{about['saved']} of step '{about['step']}' of {about['output']}): "
                "run that flow again"
            )
        flow, plan = _plan(target, record, known)
        job = attrs.evolve(new_job(flow, request, known, capacity), name=f"repair {target.name}", output=str(target))
        job = sized(job, plan, capacity)
        settle(store, job, lock)
        work = _work_folder(target, damage, record, plan, job)
        notes = (_in_words(damage),)
        try:
            if request.detach:
                store.add(job)
                lock.release(remove=False)
                return Prepared(job=job, run=NothingToRun(), notes=notes)
            # `trust`: every adopted file was read a moment ago.
            run = FolderRun(work, known, held=plan.held, trust=True, keep_open=(lock.handle,))
            store.add(job)
        except BaseException:
            work.remove()
            raise
    return Prepared(job=job, run=run, notes=notes, lock=lock)


def _manifest(target: Path) -> Pieces | None:
    """What the manifest lists; None where it is missing or not what was written."""
    try:
        plain = json.loads((target / MANIFEST).read_bytes())
        rest = {key: value for key, value in plain.items() if key != "root"}
        if plain["root"] != hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest():
            return None
        return {
            key: (entry[0], entry[1], entry[2] if len(entry) > 2 else None) for key, entry in rest["pieces"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return None


def _whole(target: Path, key: str, entry: tuple[int, int, int | None]) -> bool:
    path = target / key
    try:
        return not path.is_symlink() and durable.checksum(path) == entry[:2]
    except OSError:
        return False


def _record(target: Path, damage: Damage) -> dict[str, Any]:
    try:
        return provenance.read(target)
    except Damaged as error:
        rest = f"{len(damage.keys)} more files are damaged" if damage.keys else "all other files are whole"
        raise Damaged(f"{target} cannot be repaired: {error}, so what made it is not known; {rest}") from None


def _plan(target: Path, record: Mapping[str, Any], known: Registry) -> tuple[Flow, Plan]:
    """The plan that made the output, made again; `Damaged` where it does not come out the same."""
    try:
        flow = as_run(Flow.from_json(record["flow"]), record["steps"])
        survey = known.load("storage", flow.source.storage)().open(flow.source.paths, flow.source.options)
        plan = plan_flow(flow, known, survey)
        for made, found in zip(record["inputs"], plan.inputs, strict=True):
            if {**made, "path": ""} != {**found, "path": ""}:
                raise UsageError(f"the input {found.get('path', '')} is not what it was made from")
        versions = versions_of(plan, known)
    except (SeisprocError, ValueError, KeyError) as error:
        raise Damaged(f"{target} cannot be repaired: {error}") from error
    for name, version in record["versions"].items():
        if versions.get(name) != version:
            now = versions.get(name, "none")
            raise Damaged(f"{target} cannot be repaired: it was made with {name} {version}, installed is {now}")
    if plan.fingerprint(versions) != record["fingerprint"]:
        raise Damaged(f"{target} cannot be repaired: its flow is planned otherwise here than where it was made")
    stages = tuple(attrs.evolve(stage, sides=()) for stage in plan.stages)  # they are whole or not by themselves
    return flow, attrs.evolve(plan, stages=stages)


def as_run(flow: Flow, stages: list[list[dict[str, Any]]]) -> Flow:
    """The flow with the parameters its steps ran with: the files these came from may have changed since."""
    ran = iter([step for stage in stages for step in stage])
    steps = []
    for step in flow.steps:
        made = None if step.use == "sort" else next(ran)
        if made is None:
            steps.append(step)
            continue
        backends = set(made["kernels"].values())
        forced = backends.pop() if len(backends) == 1 else step.backend
        tables = {name: Table(made["parameters"][name], about["file"]) for name, about in made["tables"].items()}
        steps.append(attrs.evolve(step, parameters={**made["parameters"], **tables}, backend=forced))
    return attrs.evolve(flow, steps=tuple(steps), written=flow.written or flow.steps)


def _work_folder(target: Path, damage: Damage, record: Mapping[str, Any], plan: Plan, job: Job) -> WorkFolder:
    """A working folder in which all but the damaged segments are done."""
    kept = {name: record[name] for name in ("flow", "inputs", "notes", "versions")}  # the flow as it was written
    again = _made_again(damage)
    of = {name: record.get(name) for name in ("job", "machine", "times", "repair")}
    about = {"of": of, "files": list(damage.keys), "expected": {key: damage.pieces[key][:2] for key in again}}
    described = {
        "job": job.id, "name": job.name, "type": job.type, "replace": True, "executor": job.executor,
        "workers": job.workers, "threads": job.threads, "repair": about, **kept,
    }  # fmt: skip
    work = WorkFolder.create(target, str(record["fingerprint"]), plan.stages, None, described)
    try:
        _adopt(target, work, {key: entry for key, entry in damage.pieces.items() if key not in again})
    except OSError as error:
        work.remove()
        raise StorageError.from_os(error, f"cannot start repairing {target}") from error
    return work


def _made_again(damage: Damage) -> set[str]:
    """Every file of a segment that lost one, and what completes an output, which is made anew each time."""
    lost = {damage.pieces[key][2] for key in damage.keys if key in damage.pieces}
    return {key for key, entry in damage.pieces.items() if entry[2] is None or entry[2] in lost}


def _adopt(target: Path, work: WorkFolder, pieces: Pieces) -> None:
    """Link whole files into the working folder, then journal their segments."""
    folders = set()
    for key in pieces:
        path = work.data / key
        path.parent.mkdir(parents=True, exist_ok=True)
        _link(target / key, path)
        folders.add(path.parent)
    for folder in folders | {work.data}:
        durable.sync_folder(folder)
    last = len(work.stages) - 1
    segments: dict[int, list[tuple[str, int, int, int]]] = {}
    for key, (length, crc, segment) in pieces.items():
        if segment is not None:
            segments.setdefault(segment, []).append((key, 0, length, crc))
    with Journal(work.path / "journal") as journal:
        journal.append(last, [_receipt(work.stages[last], number, made) for number, made in segments.items()])
        if len(segments) == work.stages[last].n_segments:  # nothing needs the stages before
            for number, stage in enumerate(work.stages[:last]):
                journal.append(number, [_receipt(stage, segment, []) for segment in range(stage.n_segments)])


def _link(old: Path, new: Path) -> None:
    try:
        os.link(old, new)
    except OSError:  # a file system without links
        shutil.copyfile(old, new)
        durable.sync_file(new)


def _receipt(stage: StagePlan, segment: int, pieces: list[tuple[str, int, int, int]]) -> Receipt:
    first, end = stage.segment(segment)
    low, high = stage.rows_in(*stage.gathers_of(first, end))
    return Receipt(segment=segment, pieces=tuple(pieces), traces_in=high - low, traces_out=end - first)


def _in_words(damage: Damage) -> str:
    names = ", ".join(damage.keys[:MAX_NAMED])
    more = f" and {len(damage.keys) - MAX_NAMED} more" if len(damage.keys) > MAX_NAMED else ""
    return f"damaged: {names}{more}"
