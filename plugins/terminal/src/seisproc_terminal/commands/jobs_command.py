"""``seisproc jobs``: the jobs of this user, and what may be done to them from any terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from seisproc_terminal import output
from seisproc_terminal.options import How, again_options, json_option

if TYPE_CHECKING:
    from seisproc_core.jobs.model import Job
    from seisproc_core.jobs.states import State
    from seisproc_core.jobs.store import JobStore

_POLL_S = 0.05
_KEYS = ("id", "since", "type", "name", "state", "priority", "done", "total", "output", "why")
_HEAD = ("job", "since", "type", "name", "state", "priority", "done", "of", "output", "why")
_wait_option = click.option(
    "--wait", "wait_s", type=click.FloatRange(0), default=30.0, show_default=True, metavar="SECONDS",
    help="How long to wait for the job to stop.",
)  # fmt: skip


@click.group(invoke_without_command=True, short_help="List and control jobs.")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List jobs, and pause, resume, cancel, retry or re-prioritise them from any terminal.

    \b
    Examples:
      seisproc jobs
      seisproc jobs list --watch
      seisproc jobs show 7f3a
      seisproc jobs pause 7f3a
    """
    if ctx.invoked_subcommand is None:
        _list(20, (), as_json)


@command.command("list")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many of the newest.")
@click.option("--state", "states", multiple=True, metavar="STATE",
              help="Only jobs in this state (queued, running, paused, failed, ...). May be repeated.")  # fmt: skip
@click.option("--watch", is_flag=True, help="Keep the list up to date, with progress bars, until Ctrl-C.")
@json_option
def list_jobs(limit: int, states: tuple[str, ...], watch: bool, as_json: bool) -> None:
    """List the newest jobs.

    \b
    Examples:
      seisproc jobs list
      seisproc jobs list --state running --state queued
      seisproc jobs list --watch
    """
    if watch and not as_json and sys.stdout.isatty():
        from seisproc_terminal.watching import watch as watch_jobs

        watch_jobs(_store(), limit, _states(states))
        return
    while True:
        _list(limit, states, as_json)
        if not watch:
            return
        time.sleep(1.0)
        output.show()


@command.command()
@click.argument("id")
@json_option
def show(id: str, as_json: bool) -> None:
    """Show the job ID (its first characters will do): what it ran, and every state it went through.

    Of a group, as `seisproc run --lines` makes them, every job is listed. Wherever a job's ID is asked for, that of a
    group will do.

    \b
    Examples:
      seisproc jobs show 7f3a
    """
    from seisproc_core.jobs.groups import Group, find
    from seisproc_terminal.watching import entry_facts, explained, facts, local

    store = _store()
    waits = explained(store)
    job = find(store, id)
    if isinstance(job, Group):
        jobs = [facts(one, waits) for one in job.jobs]
        if as_json:
            output.document({**entry_facts(job, waits), "jobs": jobs})
            return
        output.fields(entry_facts(job, waits))
        output.table(_HEAD, [[one[key] for key in _KEYS] for one in jobs], indent="  ")
        return
    shown = facts(job, waits)
    if as_json:
        output.document({**job.to_json(), "shown_state": shown["state"]})
        return
    steps = [str(step.get("use")) for step in job.config.get("steps", [])]
    place = {"executor": job.executor, "workers": job.workers, "after": ", ".join(job.after), "retry of": job.retry_of}
    shown.pop("error" if shown["why"] else "why")
    output.fields({**shown, "steps": " > ".join(steps), **place, "log": job.log, **(job.usage or {})})
    for event in job.events:
        output.show(f"  {local(event.at)}  {event.state}{f'  {event.reason}' if event.reason else ''}")


@command.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@_wait_option
@json_option
def cancel(ids: tuple[str, ...], wait_s: float, as_json: bool) -> None:
    """Cancel jobs, wherever they run on this machine, and those that come after them.

    What they wrote stays: `seisproc jobs retry ID` goes on with it.

    \b
    Examples:
      seisproc jobs cancel 7f3a
      seisproc jobs cancel 7f3a 90bc --wait 5
    """
    from seisproc_core.jobs import client
    from seisproc_core.jobs.states import State

    _each(ids, client.cancel, State.CANCELLED, wait_s, as_json)


@command.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@_wait_option
@json_option
def pause(ids: tuple[str, ...], wait_s: float, as_json: bool) -> None:
    """Pause running jobs, which gives back their CPUs, or hold back waiting ones.

    \b
    Examples:
      seisproc jobs pause 7f3a
    """
    from seisproc_core.jobs import client
    from seisproc_core.jobs.states import State

    _each(ids, client.pause, State.PAUSED, wait_s, as_json)


@command.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@json_option
def resume(ids: tuple[str, ...], as_json: bool) -> None:
    """Let paused jobs go on where they were.

    \b
    Examples:
      seisproc jobs resume 7f3a
    """
    from seisproc_core.jobs import client, detached
    from seisproc_core.jobs.groups import every

    store = _store()
    jobs = [job for one in ids for job in every(store, one, client.resume)]
    if any(not job.attached for job in jobs):
        detached.ensure_leader(store)
    _tell([store.get(job.id) for job in jobs], as_json)


@command.command()
@click.argument("id")
@click.argument("priority", type=click.IntRange(0, 9))
@json_option
def priority(id: str, priority: int, as_json: bool) -> None:
    """Give the waiting job ID another PRIORITY, from 0 (last) to 9 (first).

    \b
    Examples:
      seisproc jobs priority 7f3a 9
    """
    from seisproc_core.jobs import client
    from seisproc_core.jobs.groups import every

    jobs = every(_store(), id, lambda store, one: client.prioritise(store, one, priority))
    if as_json:
        _tell(jobs, as_json)
        return
    for job in jobs:
        output.show(f"job {job.id} has priority {job.priority} and is {job.state}")


@command.command()
@click.argument("id")
@click.option("--discard", is_flag=True, help="Throw away what the old one left, and begin anew.")
@again_options
@json_option
def retry(id: str, how: How, as_json: bool) -> None:
    """Repeat the failed or cancelled job ID as a new job that goes on with what the old one left.

    \b
    Examples:
      seisproc jobs retry 7f3a
      seisproc jobs retry 7f3a --detach
    """
    from seisproc_core.jobs.groups import Group, find
    from seisproc_terminal.jobs import carry_out

    found = find(_store(), id)
    if isinstance(found, Group):
        from seisproc_terminal.lines import retry_lines

        retry_lines(found, how, discard=how.discard, as_json=as_json)
        return
    carry_out(lambda engine: engine.retry(id, detach=how.detach, discard=how.discard), how, as_json=as_json)


@command.command()
@click.argument("id")
@json_option
def follow(id: str, as_json: bool) -> None:
    """Watch the job ID until it ends; Ctrl-C stops watching, not the job.

    \b
    Examples:
      seisproc jobs follow 7f3a
    """
    from seisproc_core.jobs.groups import Group, find
    from seisproc_terminal.watching import follow_job

    found = find(_store(), id)
    if isinstance(found, Group):
        from seisproc_terminal.lines import follow_lines

        follow_lines(found, as_json=as_json)
        return
    job = follow_job(_store(), id, as_json=as_json)
    _tell([job], as_json)
    if job.error:
        raise click.exceptions.Exit(1)


def _store() -> JobStore:
    from seisproc_terminal.jobs import durable_store

    return durable_store()


def _states(names: tuple[str, ...]) -> frozenset[State]:
    from seisproc_core.errors import UsageError
    from seisproc_core.jobs.states import State

    try:
        return frozenset(State(name) for name in names)
    except ValueError:
        raise UsageError(f"--state: one of {', '.join(State)}") from None


def _list(limit: int, states: tuple[str, ...], as_json: bool) -> None:
    from seisproc_core.jobs.groups import newest
    from seisproc_terminal.watching import entry_facts, explained

    store = _store()
    waits = explained(store)
    jobs = [entry_facts(entry, waits) for entry in newest(store, limit, _states(states))]
    if as_json:
        output.document({"jobs": jobs})
        return
    output.table(_HEAD, [[job[key] for key in _KEYS] for job in jobs])


def _each(
    ids: tuple[str, ...], ask: Callable[[JobStore, str], Job], wanted: State, wait_s: float, as_json: bool
) -> None:
    """Ask something of every job, wait until it is so, and say how it went."""
    from seisproc_core.jobs.groups import every

    store = _store()
    jobs = [job for one in ids for job in every(store, one, ask)]
    deadline = time.monotonic() + wait_s
    while any(not job.finished and job.state is not wanted for job in jobs) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        jobs = [store.get(job.id) for job in jobs]
    _tell(jobs, as_json)
    if any(job.state is not wanted for job in jobs):
        raise click.exceptions.Exit(1)


def _tell(jobs: list[Job], as_json: bool) -> None:
    from seisproc_terminal.watching import facts

    if as_json:
        shown: list[dict[str, Any]] = [facts(job) for job in jobs]
        output.document(shown[0] if len(shown) == 1 else {"jobs": shown})
        return
    for job in jobs:
        waits = "; it is asked to stop" if job.state in ("pausing", "cancelling") else ""
        output.show(f"job {job.id} is {job.state}{waits}{job.error and f': {job.error}'}")
