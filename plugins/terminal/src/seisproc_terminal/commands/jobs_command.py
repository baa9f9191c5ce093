"""``seisproc jobs``: the jobs of this user, and stopping one from another terminal."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seisproc_core.errors import PluginError, SeisprocError
from seisproc_terminal import output
from seisproc_terminal.options import json_option

if TYPE_CHECKING:
    from seisproc_core.jobs.model import Job
    from seisproc_core.jobs.store import JobStore

_POLL_S = 0.05


@click.group(invoke_without_command=True, short_help="List, show and cancel jobs.")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List, show and cancel jobs. Without a sub-command: list them.

    \b
    Examples:
      seisproc jobs
      seisproc jobs show 7f3a
      seisproc jobs cancel 7f3a
    """
    if ctx.invoked_subcommand is None:
        _list(20, as_json)


@command.command("list")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many of the newest.")
@json_option
def list_jobs(limit: int, as_json: bool) -> None:
    """List the newest jobs.

    \b
    Examples:
      seisproc jobs list
      seisproc jobs list --limit 100 --json
    """
    _list(limit, as_json)


@command.command()
@click.argument("id")
@json_option
def show(id: str, as_json: bool) -> None:
    """Show the job ID (its first characters will do): what it ran, and every state it went through.

    \b
    Examples:
      seisproc jobs show 7f3a
    """
    job = _store().get(id)
    facts = _facts(job)
    if as_json:
        output.document({**job.to_json(), "shown_state": facts["state"]})
        return
    steps = [str(step.get("use")) for step in job.config.get("steps", [])]
    output.fields({**facts, "steps": " > ".join(steps), "executor": job.executor, "workers": job.workers})
    if job.log:
        output.fields({"log": job.log})
    for event in job.events:
        output.show(f"  {_local(event.at)}  {event.state}{f'  {event.reason}' if event.reason else ''}")


@command.command()
@click.argument("id")
@click.option("--wait", "wait_s", type=click.FloatRange(0), default=30.0, show_default=True, metavar="SECONDS",
              help="How long to wait for the job to stop.")  # fmt: skip
@json_option
def cancel(id: str, wait_s: float, as_json: bool) -> None:
    """Cancel the job ID, wherever it runs on this machine. What it wrote stays and can be resumed.

    \b
    Examples:
      seisproc jobs cancel 7f3a
      seisproc jobs cancel 7f3a --wait 5
    """
    from seisproc_core.jobs.states import State

    store = _store()
    job = store.get(id)
    if not job.finished and _interrupted(job):
        job = _end_interrupted(store, job)
    elif not job.finished:
        _raise_cancel(job)
        deadline = time.monotonic() + wait_s
        while not (job := store.get(job.id)).finished and time.monotonic() < deadline:
            time.sleep(_POLL_S)
    if as_json:
        output.document(_facts(job))
    elif job.finished:
        output.show(f"job {job.id} is {job.state}")
    else:
        output.show(f"job {job.id} is still {job.state}; it stops when its segments in flight end")
    if job.state is not State.CANCELLED:
        raise click.exceptions.Exit(1)


def _store() -> JobStore:
    from seisproc_terminal.jobs import durable_store

    store = durable_store()
    if store is None:
        raise PluginError("jobs are only listed with a job store; install seisproc-jobstore")
    return store


def _list(limit: int, as_json: bool) -> None:
    jobs = [_facts(job) for job in _store().list(limit=limit)]
    if as_json:
        output.document({"jobs": jobs})
        return
    keys = ("id", "since", "type", "name", "state", "done", "total", "output", "error")
    head = ("job", "since", "type", "name", "state", "done", "of", "output", "why")
    output.table(head, [[job[key] for key in keys] for job in jobs])


def _local(at: float) -> str:
    """A moment in local time."""
    return time.strftime("%F %T", time.localtime(at))


def _facts(job: Job) -> dict[str, Any]:
    interrupted = not job.finished and _interrupted(job)
    return {
        "id": job.id,
        "type": job.type,
        "name": job.name,
        "state": "interrupted" if interrupted else str(job.state),
        "since": _local(job.events[-1].at) if job.events else "",
        "done": job.done,
        "total": job.total,
        "output": job.output,
        "error": f"go on with: seisproc resume {job.output}" if interrupted else job.error,
    }


def _interrupted(job: Job) -> bool:
    """An unfinished job whose output nobody locks has lost its engine."""
    import fcntl

    if not job.output:
        return False
    try:
        handle = os.open(f"{job.output}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(handle)


def _end_interrupted(store: JobStore, job: Job) -> Job:
    """Cancel a job that no process works on."""
    from seisproc_core.jobs.states import TRANSITIONS, State

    path = (State.CANCELLING, State.CANCELLED) if State.CANCELLED not in TRANSITIONS[job.state] else (State.CANCELLED,)
    if path[0] not in TRANSITIONS[job.state]:
        return store.move(job.id, State.FAILED, "its engine died", error="its engine died")
    for state in path:
        job = store.move(job.id, state, "cancelled after its engine died")
    return job


def _raise_cancel(job: Job) -> None:
    """Raise the command byte in the job's control file; its engine and workers poll it."""
    from seisproc_core.jobs.control import CANCEL, Control
    from seisproc_core.jobs.workfolder import WorkFolder

    for folder in WorkFolder.find(Path(job.output)):
        try:
            Control(folder / "control").raise_command(CANCEL)
        except (OSError, SeisprocError):
            continue  # it ended a moment ago, or has not begun: waiting will tell
