"""The states of a job and every legal transition between them: one table."""

from __future__ import annotations

from enum import StrEnum

from seisproc_core.errors import IllegalTransition


class State(StrEnum):
    """State of a job; the last three are final."""

    CREATED = "created"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    SEALING = "sealing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


_ = State
TRANSITIONS: dict[State, frozenset[State]] = {
    _.CREATED: frozenset({_.QUEUED, _.FAILED}),
    # queued -> paused: held back by its user
    _.QUEUED: frozenset({_.RUNNING, _.PAUSED, _.CANCELLED, _.FAILED}),
    # running -> queued: its process died; another one makes the next attempt. running -> paused: the disk is full
    _.RUNNING: frozenset({_.PAUSING, _.CANCELLING, _.SEALING, _.FAILED, _.PAUSED, _.QUEUED}),
    _.PAUSING: frozenset({_.PAUSED, _.CANCELLING, _.FAILED, _.QUEUED}),
    # paused -> failed: it belonged to a process that ended
    _.PAUSED: frozenset({_.QUEUED, _.CANCELLED, _.FAILED}),
    _.CANCELLING: frozenset({_.CANCELLED}),
    # sealing -> queued: its process died between manifest and rename; the next one finishes the rename
    _.SEALING: frozenset({_.COMPLETED, _.FAILED, _.QUEUED}),
    _.COMPLETED: frozenset(),
    _.FAILED: frozenset(),
    _.CANCELLED: frozenset(),
}
# A job in one of these holds its resources.
ACTIVE = frozenset({_.RUNNING, _.PAUSING, _.CANCELLING, _.SEALING})
FINAL = frozenset(state for state, after in TRANSITIONS.items() if not after)


def check_transition(before: State, after: State) -> None:
    """Raise `IllegalTransition` unless the table has the edge."""
    if after not in TRANSITIONS[before]:
        raise IllegalTransition(f"a job that is {before} cannot become {after}")
