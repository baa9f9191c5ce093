"""Figures about the jobs of a store, counted by the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from seisproc_core.jobs.states import State
from seisproc_core.jobs.store import Query
from seisproc_jobstore.searching import where
from seisproc_jobstore.store import SqliteStore

_LAST = 2.5e11  # seconds since the epoch: no calendar goes much further


@attrs.frozen(kw_only=True)
class Durations:
    """Seconds that completed jobs took: the median (mean of the middle two), the 95th percentile (nearest rank:
    the smallest duration that at least 95 % do not exceed), the sum."""

    jobs: int
    median: float
    p95: float
    total: float


@attrs.frozen(kw_only=True)
class Processor:
    """How often a processor was used: jobs that name it, those of them that completed and that failed, steps."""

    name: str
    jobs: int
    completed: int
    failed: int
    steps: int


@attrs.frozen(kw_only=True)
class Period:
    """Jobs that ended on a day, or in the week that begins on it (a Monday); local time, ``YYYY-MM-DD``."""

    begins: str
    completed: int
    failed: int
    cancelled: int
    traces: float
    seconds: float


@attrs.frozen(kw_only=True)
class Usage:
    """What jobs of a type took of the machine, as far as it is known.

    Attributes
    ----------
    cpu_s
        CPU seconds of all jobs together.
    mean_peak_memory, max_peak_memory
        Bytes.
    """

    measured: int
    cpu_s: float
    mean_peak_memory: float
    max_peak_memory: float


@attrs.frozen(kw_only=True)
class Statistics:
    """Figures about jobs.

    Attributes
    ----------
    success_rate
        Completed jobs as a share of those that completed or failed; None without any. Cancelled ones don't count.
    traces
        Input traces of completed jobs.
    durations, usage
        By type; "" is all types together.
    processors
        The most used first.
    days, weeks
        Those in which jobs ended, in order.
    """

    jobs: int
    by_state: Mapping[str, int]
    by_type: Mapping[str, int]
    success_rate: float | None
    traces: float
    durations: Mapping[str, Durations]
    processors: tuple[Processor, ...]
    days: tuple[Period, ...]
    weeks: tuple[Period, ...]
    usage: Mapping[str, Usage]

    def to_json(self) -> dict[str, Any]:
        return attrs.asdict(self)


def statistics(store: SqliteStore, query: Query | None = None, *, top: int = 20) -> Statistics:
    """Figures about the jobs that a query means, whatever its `limit` and `offset`.

    Parameters
    ----------
    top
        How many processors are told.

    Raises
    ------
    StorageError
        The store cannot be read.
    """
    count = _Counting(store, query or Query())
    by_state, by_type = count.by("state"), count.by("type")
    completed, failed = by_state.get(State.COMPLETED, 0), by_state.get(State.FAILED, 0)
    return Statistics(
        jobs=sum(by_state.values()),
        by_state=by_state,
        by_type=by_type,
        success_rate=completed / (completed + failed) if completed + failed else None,
        traces=count.rows("SELECT coalesce(sum(traces), 0) FROM chosen WHERE state = 'completed'")[0][0],
        durations=count.durations(),
        processors=count.processors(top),
        days=count.periods(""),
        weeks=count.periods(", 'weekday 0', '-6 days'"),  # the Sunday that ends the week, and back
        usage=count.usage(),
    )


class _Counting:
    """Queries over the table `chosen`: the jobs that are meant."""

    def __init__(self, store: SqliteStore, query: Query) -> None:
        self._store = store
        self._condition, self._values = where(query)

    def rows(self, sql: str, *more: object, ctes: str = "") -> list[tuple[Any, ...]]:
        chosen = f"WITH chosen AS (SELECT * FROM jobs WHERE {self._condition}) {ctes}"
        return self._store.select(f"{chosen} {sql}", (*self._values, *more))

    def by(self, column: str) -> dict[str, int]:
        return dict(self.rows(f"SELECT {column}, count(*) FROM chosen GROUP BY 1 ORDER BY 2 DESC, 1"))

    def durations(self) -> dict[str, Durations]:
        sql = """
            SELECT kind, max(n), avg(CASE WHEN rank IN ((n + 1) / 2, (n + 2) / 2) THEN seconds END),
                   max(CASE WHEN rank = (95 * n + 99) / 100 THEN seconds END), sum(seconds)
            FROM (SELECT kind, seconds, row_number() OVER (PARTITION BY kind ORDER BY seconds) AS rank,
                         count(*) OVER (PARTITION BY kind) AS n FROM timed)
            GROUP BY kind ORDER BY kind"""
        timed = _by_type_and_all("seconds", "state = 'completed' AND seconds IS NOT NULL")
        return {
            kind: Durations(jobs=jobs, median=median, p95=p95, total=total)
            for kind, jobs, median, p95, total in self.rows(sql, ctes=f", timed AS ({timed})")
        }

    def usage(self) -> dict[str, Usage]:
        sql = """
            SELECT kind, count(*), coalesce(sum(cpu_s), 0), coalesce(avg(peak_memory), 0),
                   coalesce(max(peak_memory), 0)
            FROM used GROUP BY kind ORDER BY kind"""
        ctes = f", used AS ({_by_type_and_all('cpu_s, peak_memory', 'coalesce(cpu_s, peak_memory) IS NOT NULL')})"
        return {
            kind: Usage(measured=measured, cpu_s=cpu_s, mean_peak_memory=mean, max_peak_memory=most)
            for kind, measured, cpu_s, mean, most in self.rows(sql, ctes=ctes)
        }

    def processors(self, top: int) -> tuple[Processor, ...]:
        sql = """
            SELECT json_each.value, count(DISTINCT number),
                   count(DISTINCT CASE WHEN state = 'completed' THEN number END),
                   count(DISTINCT CASE WHEN state = 'failed' THEN number END), count(*)
            FROM chosen, json_each(chosen.steps) GROUP BY 1 ORDER BY 2 DESC, 5 DESC, 1 LIMIT ?"""
        return tuple(
            Processor(name=name, jobs=jobs, completed=completed, failed=failed, steps=steps)
            for name, jobs, completed, failed, steps in self.rows(sql, top)
        )

    def periods(self, step: str) -> tuple[Period, ...]:
        sql = f"""
            SELECT date(ended, 'unixepoch', 'localtime'{step}), sum(state = 'completed'), sum(state = 'failed'),
                   sum(state = 'cancelled'), coalesce(sum(CASE WHEN state = 'completed' THEN traces END), 0),
                   coalesce(sum(CASE WHEN state = 'completed' THEN seconds END), 0)
            FROM chosen WHERE ended >= 0 AND ended < {_LAST} GROUP BY 1 ORDER BY 1"""
        return tuple(
            Period(begins=day, completed=completed, failed=failed, cancelled=cancelled, traces=traces, seconds=seconds)
            for day, completed, failed, cancelled, traces, seconds in self.rows(sql)
        )


def _by_type_and_all(columns: str, condition: str) -> str:
    """Rows that count for their own type and for all types together, which are called ""."""
    chosen = f"{columns} FROM chosen WHERE {condition}"
    return f"SELECT type AS kind, {chosen} UNION ALL SELECT '', {chosen}"
