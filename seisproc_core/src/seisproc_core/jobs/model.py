"""What a job is: its identity, what it runs, and every transition it made."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

import attrs

from seisproc_core.jobs.states import FINAL, State, check_transition


@attrs.frozen(kw_only=True)
class Event:
    """One transition: sequence number within the job, new state, wall time (for people only), reason."""

    sequence: int
    state: State
    at: float
    reason: str = ""


@attrs.frozen(kw_only=True)
class Job:
    """A job, immutable; `moved` gives its next version.

    Attributes
    ----------
    id
        12 hexadecimal digits.
    name, type
        For people: a flow's name; ``import``, ``flow``, ``export``.
    config
        What to run, as plain JSON values: the flow with its references resolved.
    output
        Absolute path of the output; empty for a job in memory.
    priority
        0 (low) to 9 (high).
    workers, threads, executor
        Resources and where it runs.
    progress
        ``done`` and ``total`` input traces of the latest report.
    result
        Summary of a completed job: traces read, output.
    error, log
        One line why it failed; the file with tracebacks and what its workers printed.
    """

    id: str = attrs.field(factory=lambda: secrets.token_hex(6))
    name: str
    type: str
    config: Mapping[str, Any]
    output: str = ""
    priority: int = attrs.field(default=5, validator=[attrs.validators.ge(0), attrs.validators.le(9)])
    workers: int = 1
    threads: int = 1
    executor: str = "in-process"
    state: State = State.CREATED
    events: tuple[Event, ...] = ()
    done: int = 0
    total: int = 0
    result: Mapping[str, Any] | None = None
    error: str = ""
    log: str = ""

    @property
    def finished(self) -> bool:
        return self.state in FINAL

    def moved(self, state: State, reason: str = "", **changes: Any) -> Job:
        """The job after a transition; `IllegalTransition` where the table has no such edge."""
        check_transition(self.state, state)
        event = Event(sequence=len(self.events), state=state, at=time.time(), reason=reason)
        return attrs.evolve(self, state=state, events=(*self.events, event), **changes)

    def to_json(self) -> dict[str, Any]:
        plain = attrs.asdict(self, recurse=False)
        plain["state"] = str(self.state)
        plain["events"] = [attrs.asdict(event) | {"state": str(event.state)} for event in self.events]
        plain["config"] = dict(self.config)
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Job:
        values = dict(plain)
        values["state"] = State(plain["state"])
        values["events"] = tuple(Event(**{**event, "state": State(event["state"])}) for event in plain["events"])
        return cls(**values)


def replay(events: tuple[Event, ...]) -> State:
    """The state that a job's events lead to; raises when they are not a legal history."""
    state = State.CREATED
    for number, event in enumerate(events):
        if event.sequence != number:
            raise ValueError(f"event {number} has sequence number {event.sequence}")
        check_transition(state, event.state)
        state = event.state
    return state
