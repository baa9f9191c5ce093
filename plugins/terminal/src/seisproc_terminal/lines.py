"""One flow for many lines: its lines checked, queued as one group, followed to the end of the last."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from seisproc_core.errors import SeisprocError, UsageError
from seisproc_core.jobs.checks import check_begun, checked_plan, is_done, open_source, versions_of
from seisproc_core.jobs.engine import Engine, JobHandle, Progress
from seisproc_core.jobs.groups import Group, every
from seisproc_core.jobs.recovery import recover
from seisproc_core.jobs.states import State
from seisproc_core.jobs.workfolder import WorkFolder, is_committed
from seisproc_core.plugins import registry
from seisproc_core.processing.flow import Flow, read_tables, typed_variables
from seisproc_core.processing.lines import Line, LineTable, read_lines
from seisproc_core.processing.plan import Plan, bytes_per_worker
from seisproc_terminal import output
from seisproc_terminal.jobs import Signals, best_store, cancelled, display, durable_store
from seisproc_terminal.options import How

if TYPE_CHECKING:
    from seisproc_core.jobs.model import Job
    from seisproc_core.jobs.store import JobStore

_EVERY_S = 0.2


@attrs.frozen(kw_only=True)
class Checked:
    """A line that can run; `done` says that its output is there, of this very flow and input."""

    line: Line
    flow: Flow
    traces_in: int
    done: bool


def load_lines(path: Path, overrides: Sequence[str], given: Sequence[str], lines: Path) -> LineTable:
    """A flow file and its table of lines."""
    plain = read_tables(path, overrides)
    values = typed_variables(plain, path.stem, given)
    return read_lines(lines, plain, base=path.parent, name=path.stem, given=values)


def plans_of(table: LineTable, how: How) -> Iterator[tuple[Line, Plan]]:
    """The plan of every line, one at a time: they may be large. Whatever is wrong is said with row and column."""
    known = registry()
    for line in table.lines:
        place = "source"
        try:
            survey = open_source(line.flow, known)
            place = "sink"
            yield line, checked_plan(line.flow, known, survey, replace=how.replace, resume=how.resume)
        except SeisprocError as error:
            raise table.refusal(line.row, line.name, error, place) from error


def run_lines(table: LineTable, name: str, how: How, *, as_json: bool) -> None:
    """Check every line, then run a job for each that is not done; exit code 1 if some have failed."""
    checked = [_waiting(line) for line in table.lines] if how.after else list(_checked(table, how))
    todo = [one for one in checked if not one.done]
    group = f"{name}, {table.path.name}"
    if how.detach:
        with Engine(store=durable_store(), executor=how.executor, workers=how.workers) as engine:
            handles = _submit(engine, todo, group, how)
            _report_queued(handles, checked, as_json)
        return
    with Signals() as signals, Engine(store=best_store(), executor=how.executor, workers=how.workers) as engine:
        handles = _submit(engine, todo, group, how)
        follow_all(engine, handles, sum(one.traces_in for one in todo), signals, as_json=as_json)
        jobs = {handle.job.output: handle.job for handle in handles}
    rows = [facts(one.line.name, one.flow.sink.path, jobs.get(one.flow.sink.path)) for one in checked]
    _end(rows, next(iter(jobs.values())).part_of if jobs else "", signals, as_json=as_json)


def retry_lines(group: Group, how: How, *, discard: bool, as_json: bool) -> None:
    """Repeat what failed or was cancelled of a group, within the group."""
    if how.detach:
        with Engine(store=durable_store(), executor=how.executor, workers=how.workers) as engine:
            handles = engine.retry_all(_to_repeat(group, engine.store), detach=True, discard=discard)
            jobs = [handle.job for handle in handles]
        if as_json:
            output.document({"group": group.id, "lines": [facts(job.name, job.output, job) for job in jobs]})
        else:
            output.show(f"group {group.id}  {len(jobs)} lines  queued")
        return
    with Signals() as signals, Engine(store=durable_store(), executor=how.executor, workers=how.workers) as engine:
        handles = engine.retry_all(_to_repeat(group, engine.store), discard=discard)
        follow_all(engine, handles, group.total, signals, as_json=as_json)
        jobs = [handle.job for handle in handles]
    _end([facts(job.name, job.output, job) for job in jobs], group.id, signals, as_json=as_json)


def _to_repeat(group: Group, store: JobStore) -> list[str]:
    now = [recover(store, job) for job in group.jobs]
    found = [job.id for job in now if job.state in (State.FAILED, State.CANCELLED)]
    if not found:
        raise UsageError(f"group {group.id}: nothing to repeat: {attrs.evolve(group, jobs=tuple(now)).summary}")
    return found


def follow_lines(group: Group, *, as_json: bool) -> None:
    """Watch a group until it has ended; a signal ends the watching."""
    with Engine(store=durable_store()) as engine, Signals() as signals:
        handles = [engine.follow(job.id) for job in group.jobs if not job.finished]
        follow_all(engine, handles, group.total, signals, as_json=as_json, cancels=False)
        jobs = [engine.store.get(job.id) for job in group.jobs]
    rows = [facts(job.name, job.output, job) for job in jobs]
    _show(rows, group.id, as_json=as_json)
    if any(job.state is State.FAILED for job in jobs):
        raise click.exceptions.Exit(1)


def _waiting(line: Line) -> Checked:
    """A line that comes after other jobs, which may make its input: it is planned when it starts."""
    return Checked(line=line, flow=_named(line), traces_in=0, done=False)


def _checked(table: LineTable, how: How) -> Iterator[Checked]:
    known = registry()
    for line, plan in plans_of(table, how):
        target, fingerprint = Path(line.flow.sink.path), plan.fingerprint(versions_of(plan, known))
        done = False
        try:
            if how.resume and target.exists():
                done = is_done(target, plan, fingerprint, known, replace=how.replace)
            for begun in [] if how.discard else WorkFolder.find(target):
                if not is_committed(begun):
                    check_begun(begun, target, fingerprint)
        except SeisprocError as error:
            raise table.refusal(line.row, line.name, error, "sink") from error
        yield Checked(line=line, flow=_named(line), traces_in=plan.traces_in, done=done)


def _named(line: Line) -> Flow:
    named = line.flow.name if line.name in line.flow.name else f"{line.flow.name} {line.name}"
    return attrs.evolve(line.flow, name=named)


def _submit(engine: Engine, lines: Sequence[Checked], group: str, how: How) -> list[JobHandle]:
    return engine.submit_all([one.flow for one in lines], group=group, **how.submitted()) if lines else []


def follow_all(
    engine: Engine, handles: Sequence[JobHandle], total: int, signals: Signals, *, as_json: bool, cancels: bool = True
) -> None:
    """Show progress until all have ended, or only paused ones are left.

    Parameters
    ----------
    total
        Input traces, as far as they are known before all jobs are planned.
    cancels
        The first signal cancels them, the second ends the program; else a signal ends the watching.
    """
    began, left, asked = time.monotonic(), list(handles), False
    with display(as_json) as shown, signals.caught():
        while left and (asked or not all(handle.job.state is State.PAUSED for handle in left)):
            left[0].wait(_EVERY_S)
            shown.update(_together(handles, total, time.monotonic() - began))
            for handle in [handle for handle in left if handle.ended]:
                left.remove(handle)
                job = handle.job
                shown.say(f"{job.name}: {job.state}" + (f": {job.error}" if job.error else ""))
            if signals.first is not None and not asked:
                if not cancels:
                    return
                asked = True
                with contextlib.suppress(UsageError):  # the last one is finishing
                    every(engine.store, handles[0].job.part_of, lambda _, job_id: engine.cancel(job_id))
                shown.say("cancelling: waiting for the segments in flight; again to end at once")


def _together(handles: Sequence[JobHandle], total: int, passed_s: float) -> Progress:
    parts = [handle.snapshot() for handle in handles]
    done, total = sum(part.done for part in parts), max(total, sum(part.total for part in parts))
    rate = done / passed_s if passed_s > 1 else 0.0
    left = (total - done) / rate if rate > 0 else None
    return Progress(state=State.RUNNING, stage=0, stages=1, done=done, total=total, rate=rate, eta_s=left)


def _show(rows: Sequence[Mapping[str, Any]], group: str, *, as_json: bool) -> None:
    if as_json:
        output.document({"group": group, "lines": list(rows)})
    else:
        output.table(("line", "state", "traces", "job", "output", "why"), [list(row.values()) for row in rows])


def _end(rows: Sequence[Mapping[str, Any]], group: str, signals: Signals, *, as_json: bool) -> None:
    """Print what became of every line; exit code 1 if some failed, 130 or 143 after a signal."""
    _show(rows, group, as_json=as_json)
    states = [row["state"] for row in rows]
    if signals.first is not None:
        raise cancelled(signals.first, f"cancelled; go on with: seisproc jobs retry {group}")
    if State.FAILED in states or State.CANCELLED in states:
        output.remark(f"{len(rows) - states.count(State.COMPLETED)} of {len(rows)} lines are not done; "
                      f"again with: seisproc jobs retry {group}")  # fmt: skip
        raise click.exceptions.Exit(1)


def facts(name: str, path: str, job: Job | None) -> dict[str, Any]:
    """What is said of a line at the end; None for the job of one that was done before."""
    if job is None:
        return {"line": name, "state": State.COMPLETED, "traces": None, "job": "", "output": path, "why": "was done"}
    traces = (job.result or {}).get("traces_in")
    return {"line": name, "state": job.state, "traces": traces, "job": job.id, "output": path, "why": job.error}


def _report_queued(handles: Sequence[JobHandle], checked: Sequence[Checked], as_json: bool) -> None:
    jobs = {handle.job.output: handle.job for handle in handles}
    group = next(iter(jobs.values())).part_of if jobs else ""
    if as_json:
        rows = [facts(one.line.name, one.flow.sink.path, jobs.get(one.flow.sink.path)) for one in checked]
        output.document({"group": group, "lines": rows})
    elif jobs:
        output.show(f"group {group}  {len(jobs)} lines  queued")
    done = len(checked) - len(jobs)
    if done and not as_json:
        output.show(f"{done} of {len(checked)} lines were done before")


def show_plans(table: LineTable, how: How, *, as_json: bool) -> None:
    """Check every line and print its plan in one row; write nothing."""
    rows: list[dict[str, Any]] = []
    for line, plan in plans_of(table, how):
        last = plan.stages[-1]
        rows.append(
            {
                "row": line.row,
                "line": line.name,
                "stages": len(plan.stages),
                "segments": sum(stage.n_segments for stage in plan.stages),
                "traces_in": plan.stages[0].traces_in,
                "traces_out": last.output.n_traces,
                "samples": last.output.sampling.count,
                "bytes_per_worker": max(bytes_per_worker(stage) for stage in plan.stages),
                "output": line.flow.sink.path,
                "variables": dict(line.flow.variables),
                "notes": list(plan.notes),
            }
        )
    if as_json:
        output.document({"lines": rows})
        return
    head = ("row", "line", "stages", "segments", "traces in", "out", "samples", "per worker", "output")
    shown = [[*list(row.values())[:7], output.size(row["bytes_per_worker"]), row["output"]] for row in rows]
    output.table(head, shown)
    for row in rows:
        for note in row["notes"]:
            output.remark(f"row {row['row']} ({row['line']}): {note}")
