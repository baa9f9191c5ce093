"""The rules that are there from the start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

import attrs
from attrs import validators

from seisproc_alerts.rules import MACHINE, Finding, Rule, Severity, Situation
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.states import FINAL, State
from seisproc_core.jobs.store import Query

_PERCENT = [validators.gt(0.0), validators.le(100.0)]


@attrs.frozen(kw_only=True)
class MemoryHigh(Rule):
    """More than `percent` of the memory is in use: of the machine, or of the control group that it is limited to."""

    values: ClassVar[tuple[str, ...]] = ("percent", "used_gb", "total_gb", "swap_gb")

    message: str = "{percent} % of the memory is in use ({used_gb} of {total_gb} GB); use fewer workers or wait"
    percent: float = attrs.field(default=85.0, validator=_PERCENT)

    def check(self, situation: Situation) -> Iterator[Finding]:
        sample = situation.sample
        if sample is not None and sample.memory_percent > self.percent:
            values = {
                "percent": f"{sample.memory_percent:.0f}",
                "used_gb": f"{sample.memory_used / 1e9:.1f}",
                "total_gb": f"{sample.memory_total / 1e9:.1f}",
                "swap_gb": f"{sample.swap_used / 1e9:.1f}",
            }
            yield Finding(MACHINE, values)


@attrs.frozen(kw_only=True)
class MemoryCritical(MemoryHigh):
    """As `MemoryHigh`, where the system may soon end processes to help itself."""

    severity: Severity = Severity.CRITICAL
    message: str = "{percent} % of the memory is in use ({used_gb} of {total_gb} GB); processes may soon be killed"
    percent: float = attrs.field(default=95.0, validator=_PERCENT)


@attrs.frozen(kw_only=True)
class JobStuck(Rule):
    """A job runs and has not got on for `seconds`."""

    values: ClassVar[tuple[str, ...]] = ("job", "name", "state", "seconds", "done", "total")

    message: str = "job {job} ({name}) is {state} and has made no progress for {seconds} s"
    seconds: float = attrs.field(default=300.0, validator=[validators.gt(0), validators.le(1e7)])

    def check(self, situation: Situation) -> Iterator[Finding]:
        for watched in situation.active.values():
            still = situation.now - watched.since
            if still > self.seconds:
                job = watched.job
                progress = {"seconds": f"{still:.0f}", "done": watched.done, "total": watched.total}
                yield Finding(job.id, {"job": job.id, "name": job.name, "state": job.state, **progress})


@attrs.frozen(kw_only=True)
class JobFailed(Rule):
    """A job failed."""

    values: ClassVar[tuple[str, ...]] = ("job", "name", "type", "error")

    severity: Severity = Severity.CRITICAL
    message: str = "job {job} ({name}) failed: {error}"

    def check(self, situation: Situation) -> Iterator[Finding]:
        for job in _failed(situation.ended):
            yield Finding(job.id, {"job": job.id, "name": job.name, "type": job.type, "error": job.error})


@attrs.frozen(kw_only=True)
class RepeatedFailures(Rule):
    """A job failed, as did `failures` of the last `of` jobs with its type and name that ended, itself among them."""

    values: ClassVar[tuple[str, ...]] = ("name", "type", "failures", "of", "error")

    message: str = "{failures} of the last {of} jobs '{name}' ({type}) failed, the latest with: {error}"
    failures: int = attrs.field(default=3, validator=[validators.ge(2), validators.le(100)])
    of: int = attrs.field(default=5, validator=[validators.ge(2), validators.le(100)])

    def __attrs_post_init__(self) -> None:
        if self.failures > self.of:
            raise ValueError(f"failures = {self.failures} is more than of = {self.of}")

    def check(self, situation: Situation) -> Iterator[Finding]:
        latest = {(job.type, job.name): job for job in _failed(situation.ended)}
        for (type_, name), job in latest.items():
            query = Query(states=FINAL, types=frozenset({type_}), text=name, limit=10 * self.of)
            same = [other for other in situation.store.find(query) if other.name == name][: self.of]
            failures = len(_failed(same))
            if failures >= self.failures:
                values = {"name": name, "type": type_, "failures": failures, "of": self.of, "error": job.error}
                yield Finding(f"{type_} {name}", values)


def _failed(jobs: Iterable[Job]) -> list[Job]:
    return [job for job in jobs if job.state is State.FAILED]
