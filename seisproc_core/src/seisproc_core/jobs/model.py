"""What a job is: its identity, what it runs, and every transition it made."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from operator import attrgetter
from typing import Any

import attrs

from seisproc_core.jobs.resources import Resources
from seisproc_core.jobs.states import FINAL, State, check_transition

ONE_CPU = Resources()


@attrs.frozen
class Event:
    """One transition: sequence number within the job, new state, wall time (for people only), reason."""

    sequence: int
    state: State
    at: float
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"sequence": self.sequence, "state": self.state.value, "at": self.at, "reason": self.reason}


def new_id() -> str:
    """12 hexadecimal digits."""
    return secrets.token_hex(6)


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
        How and where it runs; `executor` empty: the best installed one.
    resources
        What it holds of the machine while it runs.
    after
        Ids of jobs that must be completed before it starts.
    options
        What else its submitter chose, as plain JSON values: ``replace``, ``discard``, ``resume``,
        ``group``
        and ``row`` (the name of its group, and where it stands in it).
    driver
        Identity of the process that runs it, or will (`seisproc_core.jobs.process.identity`); empty for a detached
        job that nobody has started.
    attached
        Whether it belongs to the process that submitted it: it ends with that process. A detached job is started by
        the engine, and started again when its process dies.
    attempt
        How many processes have begun to run it; a pause is not an attempt.
    retry_of
        Id of the job that this one repeats.
    part_of
        Id of the group of jobs that it belongs to; see `seisproc_core.jobs.groups`.
    done, total
        Input traces of the latest report, over all stages.
    result
        Summary of a completed job: traces read and written, output.
    usage
        What it took: ``seconds``, ``cpu_s``, ``peak_memory``, ``bytes_out``.
    error, log
        One line why it failed; the file with tracebacks and what its workers printed.
    """

    id: str = attrs.field(factory=new_id)
    name: str
    type: str
    config: Mapping[str, Any]
    output: str = ""
    priority: int = attrs.field(default=5, validator=[attrs.validators.ge(0), attrs.validators.le(9)])
    workers: int = 1
    threads: int = 1
    executor: str = ""
    resources: Resources = ONE_CPU
    after: tuple[str, ...] = ()
    options: Mapping[str, Any] = attrs.field(factory=dict)
    driver: str = ""
    attached: bool = True
    attempt: int = 0
    retry_of: str = ""
    part_of: str = ""
    state: State = State.CREATED
    events: tuple[Event, ...] = ()
    done: int = 0
    total: int = 0
    result: Mapping[str, Any] | None = None
    usage: Mapping[str, Any] | None = None
    error: str = ""
    log: str = ""

    @property
    def finished(self) -> bool:
        return self.state in FINAL

    @property
    def created_at(self) -> float:
        """Wall time of its first transition, which stores make when they take it; 0 before."""
        return self.events[0].at if self.events else 0.0

    def moved(self, state: State, reason: str = "", **changes: Any) -> Job:
        """The job after a transition; `IllegalTransition` where the table has no such edge."""
        check_transition(self.state, state)
        event = Event(len(self.events), state, time.time(), reason)
        # `attrs.evolve`, at a third of its cost: every job moves several times.
        values = dict(zip(_NAMES, _VALUES(self), strict=True)) | changes
        values["state"], values["events"] = state, (*self.events, event)
        return Job(**values)

    def to_json(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in _PLAIN}
        return plain | {
            "config": dict(self.config),
            "options": dict(self.options),
            "resources": self.resources.to_json(),
            "after": list(self.after),
            "state": self.state.value,
            "events": [event.to_json() for event in self.events],
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Job:
        values = dict(plain)
        values["state"] = State(plain["state"])
        values["after"] = tuple(plain["after"])
        values["resources"] = Resources(**plain["resources"])
        values["events"] = tuple(Event(**{**event, "state": State(event["state"])}) for event in plain["events"])
        return cls(**values)


_NAMES = tuple(field.name for field in attrs.fields(Job))
_VALUES = attrgetter(*_NAMES)
_PLAIN = tuple(name for name in _NAMES if name not in ("config", "options", "resources", "after", "state", "events"))


def replay(events: tuple[Event, ...]) -> State:
    """The state that a job's events lead to; raises when they are not a legal history."""
    state = State.CREATED
    for number, event in enumerate(events):
        if event.sequence != number:
            raise ValueError(f"event {number} has sequence number {event.sequence}")
        check_transition(state, event.state)
        state = event.state
    return state
