"""What the tests of alerts share: jobs, samples and situations with only what a test cares for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from seisproc_alerts.rules import Alert, Severity, Situation
from seisproc_alerts.sampling import Sample
from seisproc_alerts.watch import Watched
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.states import State
from seisproc_core.jobs.store import MemoryStore

FAILED = (State.QUEUED, State.RUNNING, State.FAILED)
COMPLETED = (State.QUEUED, State.RUNNING, State.SEALING, State.COMPLETED)


def make_job(*states: State, id: str = "0123456789ab", name: str = "line", error: str = "", **more: Any) -> Job:
    job = Job(id=id, name=name, type=more.pop("type", "flow"), config={}, error=error, **more)
    for state in states:
        job = job.moved(state)
    return job


def make_sample(percent: float = 50.0) -> Sample:
    total = 10**10
    zero = dict.fromkeys(("cpu_percent", "swap_used", "swap_total", "disk_read", "disk_write", "net_in", "net_out"), 0)
    memory = {"memory_used": int(total * percent / 100), "memory_total": total}
    return Sample(at=0.0, cores=(), gpus=(), **zero, **memory)


def make_situation(
    *,
    now: float = 0.0,
    percent: float | None = None,
    active: Mapping[str, Watched] | None = None,
    ended: Iterable[Job] = (),
    store: MemoryStore | None = None,
) -> Situation:
    sample = None if percent is None else make_sample(percent)
    return Situation(
        now=now, at=1e9 + now, sample=sample, active=active or {}, ended=tuple(ended), store=store or MemoryStore()
    )


def make_alert(message: str = "something", *, rule: str = "rule", key: str = "machine", at: float = 1e9) -> Alert:
    return Alert(rule=rule, severity=Severity.WARNING, key=key, message=message, at=at)
