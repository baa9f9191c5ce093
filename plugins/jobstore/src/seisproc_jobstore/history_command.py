"""``seisproc history``: what ran, how well, how long; reports; forgetting what is old."""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from seisproc_core.jobs.states import State
from seisproc_terminal import output
from seisproc_terminal.options import json_option

if TYPE_CHECKING:
    from seisproc_core.jobs.model import Job
    from seisproc_core.jobs.store import Query
    from seisproc_jobstore.store import SqliteStore

F = TypeVar("F", bound=Callable[..., Any])
_UNITS = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_AGE = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)([hdw])")


class Age(click.ParamType):  # type: ignore[type-arg]
    """A span of time such as ``90d``, in seconds."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = _AGE.fullmatch(str(value).strip())
        if found is None:
            self.fail(f"{value!r} is no span of time: write e.g. 12h, 90d or 8w", param, ctx)
        return float(found[1]) * _UNITS[found[2]]


class Moment(click.ParamType):  # type: ignore[type-arg]
    """A date, a date and time (local), or how long ago; as seconds since the epoch."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        text = str(value).strip()
        if _AGE.fullmatch(text):
            return time.time() - Age().convert(text, param, ctx)
        try:
            return datetime.datetime.fromisoformat(text).timestamp()
        except (ValueError, OverflowError, OSError):
            self.fail(
                f"{value!r} is no time: write e.g. 2026-03-31, '2026-03-31 14:00', or 7d for a week ago", param, ctx
            )


_FILTERS = (
    click.option("--state", "states", multiple=True, type=click.Choice([s.value for s in State]), help="Only these."),
    click.option("--type", "types", multiple=True, metavar="TYPE", help="Only these: import, flow, export, ..."),
    click.option("--since", type=Moment(), help="Submitted then or later: 2026-03-31, or 7d for the last week."),
    click.option("--until", type=Moment(), help="Submitted before."),
    click.option("--text", default="", help="Occurs in name, output, error or id."),
)


def _filters(function: F) -> F:
    for option in reversed(_FILTERS):
        function = option(function)
    return function


@click.group(invoke_without_command=True, short_help="What ran: list, statistics, reports.")
@_filters
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many of the newest.")
@json_option
@click.pass_context
def command(ctx: click.Context, /, limit: int, as_json: bool, **filters: Any) -> None:
    """Show finished and unfinished jobs, newest first. Filters stand before a sub-command's name or after it.

    \b
    Examples:
      seisproc history --state failed --since 7d
      seisproc history --text line12 --json
      seisproc history stats --since 2026-01-01
      seisproc history report jobs.html
      seisproc history purge --older-than 90d
    """
    if ctx.invoked_subcommand is not None:
        return
    with _store() as store:
        jobs = store.find(_query(filters, limit=limit))
    if as_json:
        output.document({"jobs": [job.to_json() for job in jobs]})
        return
    output.table(("job", "submitted", "type", "name", "state", "seconds", "traces", "output", "why"), map(_line, jobs))


@command.command()
@_filters
@json_option
@click.pass_context
def stats(ctx: click.Context, /, as_json: bool, **filters: Any) -> None:
    """Show counts, success rate, durations, processors and resource use.

    \b
    Examples:
      seisproc history stats
      seisproc history stats --type flow --since 30d --json
    """
    from seisproc_jobstore.statistics import statistics

    with _store() as store:
        figures = statistics(store, _query(_of_group(ctx, filters)))
    if as_json:
        output.document(figures.to_json())
        return
    rate = None if figures.success_rate is None else f"{100 * figures.success_rate:.1f} %"
    output.fields({"jobs": figures.jobs, "success rate": rate, "traces": f"{figures.traces:,.0f}"})
    output.fields({f"  {state}": count for state, count in figures.by_state.items()})
    named = [(kind or "all", d) for kind, d in figures.durations.items()]
    _part(("type", "completed", "median s", "95 % within s", "together s"),
          [(kind, d.jobs, round(d.median, 3), round(d.p95, 3), round(d.total, 1)) for kind, d in named])  # fmt: skip
    _part(("processor", "jobs", "completed", "failed"),
          [(p.name, p.jobs, p.completed, p.failed) for p in figures.processors])  # fmt: skip
    _part(("type", "measured", "CPU s", "peak memory MB, mean", "most"),
          [(kind or "all", u.measured, round(u.cpu_s, 1), u.mean_peak_memory // 1e6, u.max_peak_memory // 1e6)
           for kind, u in figures.usage.items()])  # fmt: skip
    _part(("week of", "completed", "failed", "cancelled", "traces"),
          [(w.begins, w.completed, w.failed, w.cancelled, int(w.traces)) for w in figures.weeks[-12:]])  # fmt: skip


@command.command()
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@_filters
@json_option
@click.pass_context
def report(ctx: click.Context, /, out: Path, as_json: bool, **filters: Any) -> None:
    """Write a report to OUT: .html (charts, one file) or .csv (a row a job). An older report there is replaced.

    \b
    Examples:
      seisproc history report jobs.html --since 30d
      seisproc history report jobs.csv --state failed
    """
    from seisproc_jobstore.report import write_report

    with _store() as store:
        count = write_report(store, out, _query(_of_group(ctx, filters)))
    if as_json:
        output.document({"report": str(out), "jobs": count})
    else:
        output.show(f"{out}: {count:,} jobs")


@command.command()
@click.option("--older-than", "age", type=Age(), required=True, help="Jobs that ended longer ago: 90d, 12h, 8w.")
@json_option
def purge(age: float, as_json: bool) -> None:
    """Forget finished jobs that ended long ago. Outputs stay, and so do jobs that others wait for.

    \b
    Examples:
      seisproc history purge --older-than 90d
    """
    with _store() as store:
        count = store.purge(time.time() - age)
    if as_json:
        output.document({"forgotten": count})
    else:
        output.show(f"{count:,} jobs forgotten")


def _store() -> SqliteStore:
    from seisproc_jobstore.store import SqliteStore

    return SqliteStore()


def _of_parent(ctx: click.Context, name: str) -> Any:
    return ctx.parent.params.get(name) if ctx.parent else None


def _of_group(ctx: click.Context, filters: Mapping[str, Any]) -> dict[str, Any]:
    """Filters of a sub-command; those given before its name hold where it has none of its own."""
    return {name: value or _of_parent(ctx, name) for name, value in filters.items()}


def _query(filters: Mapping[str, Any], limit: int | None = None) -> Query:
    from seisproc_core.jobs.store import Query

    return Query(
        states=frozenset(State(state) for state in filters["states"] or ()),
        types=frozenset(filters["types"] or ()),
        text=filters["text"] or "",
        since=filters["since"],
        until=filters["until"],
        limit=limit,
    )


def _line(job: Job) -> tuple[object, ...]:
    from seisproc_jobstore.report import csv_row

    row = csv_row(job)
    return (
        job.id,
        row["submitted"],
        job.type,
        job.name,
        job.state,
        row["seconds"],
        row["traces"],
        job.output,
        job.error,
    )


def _part(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    if rows:
        output.show()
        output.table(head, rows)
