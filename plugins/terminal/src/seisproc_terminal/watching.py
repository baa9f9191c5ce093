"""Looking at jobs that other processes run: their facts, a live list, and following one."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from seisproc_core.jobs import groups
from seisproc_core.jobs.groups import Group
from seisproc_core.jobs.handle import in_flight
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.recovery import is_interrupted
from seisproc_core.jobs.states import ACTIVE, State
from seisproc_terminal import output

if TYPE_CHECKING:
    from rich.table import Table

    from seisproc_core.jobs.store import JobStore

_EVERY_S = 0.5


def local(at: float) -> str:
    """A moment in local time."""
    return time.strftime("%F %T", time.localtime(at))


def explained(store: JobStore) -> Callable[[str], str]:
    """Why each queued job of a store waits; all are read when the first is asked for."""
    from seisproc_core.jobs.resources import this_machine
    from seisproc_core.jobs.scheduler import explain

    @functools.cache
    def explanation() -> Callable[[str], str]:
        return explain(store.unfinished(), this_machine())

    def why(job_id: str) -> str:
        return explanation()(job_id)

    return why


def entry_facts(entry: Job | Group, waits: Callable[[str], str]) -> dict[str, Any]:
    """What a list shows of a job, or of a group of them, which has the same columns."""
    if isinstance(entry, Job):
        return facts(entry, waits)
    parts = [facts(job, waits) for job in entry.jobs]
    states = {part["state"] for part in parts}
    interrupted = "interrupted" in states and states.isdisjoint({*ACTIVE, State.QUEUED})
    why = f"its process is gone; go on with: seisproc jobs retry {entry.id}" if interrupted else entry.summary
    return {
        "id": entry.id,
        "type": groups.TYPE,
        "name": entry.name,
        "state": "interrupted" if interrupted else str(entry.state),
        "priority": max(part["priority"] for part in parts),
        "since": max(part["since"] for part in parts),
        "done": sum(part["done"] for part in parts),
        "total": sum(part["total"] for part in parts),
        "output": "",
        "error": next((part["error"] for part in parts if part["error"]), ""),
        "why": why,
    }


def facts(job: Job, waits: Callable[[str], str] = lambda _: "") -> dict[str, Any]:
    """What a list shows of a job; one whose process is gone is ``interrupted``. `waits` says why a queued one waits."""
    interrupted = is_interrupted(job.state, job.driver, attached=job.attached)
    error = f"go on with: seisproc resume {job.output}" if interrupted and job.attached else job.error
    done = min(job.done + in_flight(job), max(job.total - 1, 0)) if job.state in ACTIVE else job.done
    return {
        "id": job.id,
        "type": job.type,
        "name": job.name,
        "state": "interrupted" if interrupted else str(job.state),
        "priority": job.priority,
        "since": local(job.events[-1].at) if job.events else "",
        "done": done,
        "total": job.total,
        "output": job.output,
        "error": error,
        "why": error or _why(job, interrupted, waits),
    }


def _why(job: Job, interrupted: bool, waits: Callable[[str], str]) -> str:
    """Why a job without an error is where it is."""
    if interrupted:
        return "its process is gone; the next engine takes it up"
    reason = job.events[-1].reason if job.events else ""
    return (job.state == "queued" and waits(job.id)) or reason


def watch(store: JobStore, limit: int, states: frozenset[State]) -> None:
    """A live list with progress bars, until Ctrl-C."""
    from rich.console import Console
    from rich.live import Live

    console = Console()
    with Live(console=console, auto_refresh=False, screen=False) as live:
        try:
            while True:
                waits = explained(store)
                jobs = [entry_facts(entry, waits) for entry in groups.newest(store, limit, states)]
                live.update(_table(jobs, console.width), refresh=True)
                time.sleep(_EVERY_S)
        except KeyboardInterrupt:
            return


_WIDTHS = {"job": 12, "since": 8, "name": 12, "state": 11, "pri": 3, "progress": 14, "%": 3, "why": 16}
_REASON_LINES = 3
_GIVE_WAY = ("since", "progress", "pri", "why")  # in this order, on a narrow screen


def columns_for(width: int) -> list[str]:
    """The columns that a screen of so many characters has room for; job, name, state and share are always there."""
    shown = list(_WIDTHS)
    for name in _GIVE_WAY:
        if sum(_WIDTHS[column] + 2 for column in shown) > width:
            shown.remove(name)
    return shown


def _table(jobs: list[dict[str, Any]], width: int) -> Table:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    shown = columns_for(width)
    table = Table(box=None, pad_edge=False)
    # The name is cut, the reason broken into few lines; what one types or looks for stays.
    free = width - sum(_WIDTHS[head] + 2 for head in shown if head not in ("name", "why"))
    rooms = {**_WIDTHS, "name": max(_WIDTHS["name"], free // 2 if "why" in shown else free)}
    rooms["why"] = max(_WIDTHS["why"], free - rooms["name"] - 2)
    for head in shown:
        least = rooms[head] if head not in ("name", "why") else None
        title = "" if head == "progress" else head
        table.add_column(title, no_wrap=head != "why", min_width=least, max_width=rooms[head])
    for job in jobs:
        share = 100 * job["done"] / job["total"] if job["total"] else 0.0
        texts = {"job": job["id"], "since": job["since"][-8:], "pri": str(job["priority"]), "%": f"{share:.0f}"}
        cells: dict[str, Any] = {head: Text(output.clean(texts.get(head, job.get(head, "")))) for head in shown}
        if "why" in cells:
            cells["why"].truncate(_REASON_LINES * rooms["why"], overflow="ellipsis")
        cells["progress"] = ProgressBar(total=100, completed=share, width=_WIDTHS["progress"])
        table.add_row(*(cells[head] for head in shown))
    return table


def follow_job(store: JobStore, job_id: str, *, as_json: bool) -> Job:
    """Show the progress of a job until it has ended or is paused; Ctrl-C ends only the watching."""
    from seisproc_core.jobs.engine import Engine
    from seisproc_terminal.jobs import Signals, display

    with Engine(store=store) as engine, Signals() as signals, display(as_json) as shown, signals.caught():
        handle = engine.follow(job_id)
        for progress in handle.progress():
            shown.update(progress)
            if signals.first is not None or progress.state == "paused":
                break
    return store.get(job_id)
