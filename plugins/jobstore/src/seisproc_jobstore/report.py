"""Reports on the jobs of a store: one HTML file that needs nothing else, and CSV for spreadsheets."""

from __future__ import annotations

import csv
import datetime
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import TextIO

import attrs

from seisproc_core.errors import UsageError
from seisproc_core.jobs.durable import whole_file
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.states import State
from seisproc_core.jobs.store import Query
from seisproc_jobstore.charts import COLOURS, PLAIN, bars, columns, line
from seisproc_jobstore.rows import steps_of
from seisproc_jobstore.statistics import Period, Statistics, statistics
from seisproc_jobstore.store import SqliteStore

LISTED = 200  # newest jobs in an HTML report
_PERIODS = 60  # columns that can still be told apart
_BLOCK = 1000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
CSV_COLUMNS = (
    "id", "name", "type", "state", "priority", "submitted", "started", "ended", "seconds", "attempts", "traces",
    "cpu_s", "peak_memory", "executor", "workers", "steps", "output", "error",
)  # fmt: skip

_STYLE = """
body { font: 14px/1.45 Helvetica, Arial, sans-serif; color: #1a1a1a; background: #fff; max-width: 720px;
  margin: 2em auto }
h1 { font-size: 22px; margin-bottom: 0 } h2 { font-size: 16px; margin: 1.8em 0 .5em }
p { margin: .3em 0 } svg { max-width: 100%; height: auto; display: block }
table { border-collapse: collapse; font-size: 12px; width: 100% }
th, td { text-align: left; padding: 2px 8px 2px 0; border-bottom: 1px solid #d5d5d5; overflow-wrap: anywhere }
td.number, th.number { text-align: right; white-space: nowrap } section { break-inside: avoid }
@media print { body { margin: 0; max-width: none } section.long { break-inside: auto } }
"""


def write_report(store: SqliteStore, path: Path, query: Query | None = None) -> int:
    """Write a report on the jobs that a query means, whatever its `limit`; an older report is replaced.

    Parameters
    ----------
    path
        ``.html`` (charts, tables, the newest 200 jobs) or ``.csv`` (a row a job).

    Returns
    -------
    int
        Number of jobs.

    Raises
    ------
    UsageError
        The file's name ends otherwise.
    StorageError
        It cannot be written, or the store not be read.
    """
    query = attrs.evolve(query or Query(), limit=None, offset=0)
    kind = path.suffix.lower()
    if kind == ".csv":
        return _replacing(path, lambda file: write_csv(file, _all(store, query)))
    if kind in (".html", ".htm"):
        figures = statistics(store, query)
        text = html(figures, store.find(attrs.evolve(query, limit=LISTED)))
        _replacing(path, lambda file: file.write(text))
        return figures.jobs
    raise UsageError(f"{path}: a report's name ends in .html or .csv")


def _replacing(path: Path, write: Callable[[TextIO], int]) -> int:
    with whole_file(path) as fresh, fresh.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        return write(file)


def _all(store: SqliteStore, query: Query) -> Iterator[Job]:
    """Jobs in blocks, so that memory is bounded."""
    for offset in range(0, 1 << 62, _BLOCK):
        block = store.find(attrs.evolve(query, limit=_BLOCK, offset=offset))
        yield from block
        if len(block) < _BLOCK:
            return


# -- CSV


def write_csv(file: TextIO, jobs: Iterable[Job]) -> int:
    """A head and a row a job; returns how many. No cell can be taken for a formula."""
    writer = csv.writer(file)
    writer.writerow(CSV_COLUMNS)
    count = 0
    for count, job in enumerate(jobs, 1):  # noqa: B007 - the last one is returned
        writer.writerow([guarded(value) for value in csv_row(job).values()])
    return count


def guarded(value: object) -> object:
    """A cell of a table as a spreadsheet may see it: text that it would compute gets a leading apostrophe."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return "" if value is None else value


def csv_row(job: Job) -> dict[str, object]:
    """What a table tells of a job, by `CSV_COLUMNS`; times are local, None where there is nothing to tell."""
    usage, result = job.usage or {}, job.result or {}
    started = next((event.at for event in job.events if event.state is State.RUNNING), None)
    ended = job.events[-1].at if job.finished and job.events else None
    seconds = usage.get("seconds")
    if seconds is None and started is not None and ended is not None:
        seconds = round(max(0.0, ended - started), 3)
    values = (
        job.id, job.name, job.type, job.state.value, job.priority, _moment(job.created_at or None), _moment(started),
        _moment(ended), seconds, job.attempt, result.get("traces_in"), usage.get("cpu_s"), usage.get("peak_memory"),
        job.executor, job.workers, " > ".join(steps_of(job)), job.output, job.error,
    )  # fmt: skip
    return dict(zip(CSV_COLUMNS, values, strict=True))


def _moment(at: float | None) -> str:
    """A moment in local time; "" when there is none, or none that a calendar knows."""
    try:
        return "" if at is None else datetime.datetime.fromtimestamp(at).isoformat(" ", "seconds")
    except (ValueError, OverflowError, OSError):
        return ""


# -- HTML


def html(figures: Statistics, newest: Sequence[Job]) -> str:
    """The report as one document without scripts, links or anything from elsewhere."""
    rate = "-" if figures.success_rate is None else f"{100 * figures.success_rate:.1f} %"
    parts = [
        f"<p>{escape(_moment(datetime.datetime.now().timestamp()))}. {figures.jobs:,} jobs; success rate {rate} "
        f"(completed of completed and failed); {figures.traces:,.0f} traces processed.</p>",
        _section("Jobs by state", _by_state(figures)),
        _section("Jobs by type", bars("Jobs by type", [(k, n, f"{n:,}") for k, n in figures.by_type.items()])),
        *_over_time(figures),
        _section("Durations of completed jobs by type", _durations(figures)),
        _section("Most used processors", _processors(figures)),
        _section("Resource use by type", _usage(figures)),
        _section(f"Newest jobs (at most {LISTED})", _jobs(newest), "long"),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>seisproc jobs</title>'
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<style>{_STYLE}</style></head><body><h1>seisproc jobs</h1>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _section(title: str, content: str, kind: str = "") -> str:
    return f'<section class="{kind}"><h2>{escape(title)}</h2>{content}</section>'


def _by_state(figures: Statistics) -> str:
    values = [(name, count, f"{count:,}") for name, count in figures.by_state.items()]
    return bars("Jobs by state", values, [COLOURS.get(name, PLAIN) for name in figures.by_state])


def _over_time(figures: Statistics) -> list[str]:
    by_day = len(_filled(figures.days, 1)) < _PERIODS
    unit, periods = ("day", _filled(figures.days, 1)) if by_day else ("week", _filled(figures.weeks, 7))
    names = [period.begins for period in periods]
    counts = [(state, [getattr(period, state) for period in periods]) for state in ("completed", "failed", "cancelled")]
    late = f", the latest {_PERIODS}" if len(periods) == _PERIODS else ""
    rates = [_rate(period) for period in periods]
    return [
        _section(f"Jobs ended by {unit}{late}", columns("Jobs ended", names, counts)),
        _section(f"Success rate by {unit}{late}", line("Success rate", names, rates, 100, " %")),
    ]


def _filled(periods: Sequence[Period], days: int) -> list[Period]:
    """The latest periods, those in which no job ended too."""
    if not periods:
        return []
    known = {period.begins: period for period in periods}
    first, last = (datetime.date.fromisoformat(periods[k].begins).toordinal() for k in (0, -1))
    begins = range(last, max(first, last - days * _PERIODS + 1) - 1, -days)
    names = [datetime.date.fromordinal(day).isoformat() for day in reversed(begins)]
    return [
        known.get(name) or Period(begins=name, completed=0, failed=0, cancelled=0, traces=0, seconds=0)
        for name in names
    ]


def _rate(period: Period) -> float | None:
    ended = period.completed + period.failed
    return 100 * period.completed / ended if ended else None


def _durations(figures: Statistics) -> str:
    named = {kind or "all": durations for kind, durations in figures.durations.items()}
    chart = bars("Median duration", [(kind, d.median, f"median {_time(d.median)}") for kind, d in named.items()])
    rows = [[kind, d.jobs, _time(d.median), _time(d.p95), _time(d.total)] for kind, d in named.items()]
    return chart + _table(["type", "jobs", "median", "95 % within", "together"], rows)


def _processors(figures: Statistics) -> str:
    chart = bars("Jobs by processor", [(p.name, p.jobs, f"{p.jobs:,}") for p in figures.processors])
    rows = [[p.name, p.jobs, p.completed, p.failed, p.steps] for p in figures.processors]
    return chart + _table(["processor", "jobs", "completed", "failed", "steps"], rows)


def _usage(figures: Statistics) -> str:
    named = {kind or "all": usage for kind, usage in figures.usage.items()}
    chart = bars("CPU time", [(kind, u.cpu_s, f"{_time(u.cpu_s)} of CPU") for kind, u in named.items()])
    rows = [
        [kind, u.measured, _time(u.cpu_s), _bytes(u.mean_peak_memory), _bytes(u.max_peak_memory)]
        for kind, u in named.items()
    ]
    return chart + _table(["type", "jobs measured", "CPU time", "peak memory, mean", "peak memory, most"], rows)


def _jobs(jobs: Sequence[Job]) -> str:
    rows = [[job.id, job.name, job.type, job.state.value, _moment(job.created_at or None), job.error] for job in jobs]
    return _table(["job", "name", "type", "state", "submitted", "why"], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    if not rows:
        return ""
    kinds = [' class="number"' if isinstance(value, int) else "" for value in rows[0]]
    titles = "".join(f"<th{kind}>{escape(name)}</th>" for name, kind in zip(head, kinds, strict=True))
    lines = ("".join(f"<td{kind}>{_cell(v)}</td>" for v, kind in zip(row, kinds, strict=True)) for row in rows)
    return f"<table><tr>{titles}</tr>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _cell(value: object) -> str:
    return (
        f"{value:,}"
        if isinstance(value, int)
        else escape("".join(c if c.isprintable() else "\ufffd" for c in str(value)))
    )


def _time(seconds: float) -> str:
    """A duration for people."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:,.1f} h"


def _bytes(count: float) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
