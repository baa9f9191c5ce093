"""What an alert rule is, and when it fires.

Rules are values: a rule looks at a `Situation` and says where its condition holds; `fire` decides from that, from what
it fired before and from the time whether people are told. Neither has a clock or a thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

import attrs

if TYPE_CHECKING:
    from seisproc_alerts.sampling import Sample
    from seisproc_alerts.watch import Watched
    from seisproc_core.jobs.model import Job
    from seisproc_core.jobs.store import JobStore

MACHINE = "machine"  # the key of a finding that concerns no job
DAY_S = 86400.0
_LONGEST = 300  # characters of one value in a message
_LONGEST_MESSAGE = 1000
_PLACE = re.compile(r"\{(\w*)\}")


class Severity(StrEnum):
    """How much it matters."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@attrs.frozen(kw_only=True)
class Situation:
    """All that rules may look at.

    Attributes
    ----------
    now
        Seconds of a clock that only moves forward; `at` is the wall time of the same moment.
    sample
        The machine, at most some seconds ago; None when it was not looked at yet.
    active
        Jobs that run, by id.
    ended
        Jobs that ended since the last look.
    store
        All other jobs, and how the past ones ended.
    """

    now: float
    at: float
    sample: Sample | None
    active: Mapping[str, Watched]
    ended: tuple[Job, ...]
    store: JobStore


@attrs.frozen
class Finding:
    """The condition of a rule holds: where (a job's id, or `MACHINE`), and the values for the rule's message."""

    key: str
    values: Mapping[str, object]


@attrs.frozen(kw_only=True)
class Alert:
    """What people are told; `at`: wall time, seconds since the epoch."""

    rule: str
    severity: Severity
    key: str
    message: str
    at: float


@attrs.frozen(kw_only=True)
class Rule:
    """A condition that people should hear of; derive from this class, add thresholds as fields, write `check`.

    Every field is a setting of the rule in the alerts file, so each needs a default, a type among bool, int, float, str
    and `Severity`, and a validator that refuses what makes no sense. Redefine those of this class for other defaults.

    Attributes
    ----------
    values
        Names that the message may use, as ``{name}``; every finding gives these values.
    cooldown_s
        For so long no second alert of this rule about the same job, or about the machine.
    repeat_s
        Tell again when the condition has held for so long since the last alert; 0: only when it has been away.
    """

    values: ClassVar[tuple[str, ...]] = ()

    severity: Severity = Severity.WARNING
    message: str = ""
    cooldown_s: float = 60.0
    repeat_s: float = 0.0
    enabled: bool = True

    def check(self, situation: Situation) -> Iterable[Finding]:
        """Where the condition holds now."""
        raise NotImplementedError


def checked(rule: Rule) -> Rule:
    """The rule, if the settings that all rules have make sense; `ValueError` otherwise."""
    for name in ("cooldown_s", "repeat_s"):
        if not 0 <= getattr(rule, name) <= DAY_S:
            raise ValueError(f"{name} must be from 0 to {DAY_S:g} (a day)")
    if len(rule.message) > _LONGEST_MESSAGE:
        raise ValueError(f"message must not have more than {_LONGEST_MESSAGE} characters")
    unknown = [name for name in _PLACE.findall(rule.message) if name not in rule.values]
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in rule.values)
        raise ValueError(f"{{{unknown[0]}}} is not known in this message; use {known}")
    return rule


@attrs.frozen
class Fired:
    """What a rule remembers about one key: when it last fired (None: never), and whether the condition has held ever
    since."""

    last: float | None
    told: bool


Remembered = Mapping[str, Fired]


def fire(name: str, rule: Rule, remembered: Remembered, situation: Situation) -> tuple[Remembered, list[Alert]]:
    """The alerts of a rule in a situation, and what it remembers for the next one.

    A condition is told once when it begins to hold, and again after it was away; never twice about one key within the
    cooldown. One that comes back within it, and stays, is told when the cooldown is over.
    """
    found = {finding.key: finding for finding in rule.check(situation)}
    now, alerts = situation.now, []
    after: dict[str, Fired] = {}
    for key, finding in found.items():
        before = remembered.get(key, Fired(None, told=False))
        waited = float("inf") if before.last is None else now - before.last
        due = not before.told or (rule.repeat_s > 0 and waited >= rule.repeat_s)
        if due and waited >= rule.cooldown_s:
            message = render(rule.message, finding.values)
            alerts.append(Alert(rule=name, severity=rule.severity, key=key, message=message, at=situation.at))
            after[key] = Fired(now, told=True)
        else:
            after[key] = before
    for key, before in remembered.items():
        if key not in found and before.last is not None and now - before.last < rule.cooldown_s:
            after[key] = Fired(before.last, told=False)
    return after, alerts


def render(template: str, values: Mapping[str, object]) -> str:
    """A message from its template: ``{name}`` becomes a value. No other syntax, since people write these."""
    return _PLACE.sub(lambda place: shortened(values.get(place[1], place[0])), template)


def shortened(value: object) -> str:
    """A value for people, not longer than a few lines."""
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
