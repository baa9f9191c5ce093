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
    _.QUEUED: frozenset({_.RUNNING, _.CANCELLED, _.FAILED}),
    # running -> queued: the engine died; the next one makes another attempt
    _.RUNNING: frozenset({_.PAUSING, _.CANCELLING, _.SEALING, _.FAILED, _.PAUSED, _.QUEUED}),
    _.PAUSING: frozenset({_.PAUSED, _.CANCELLING, _.FAILED, _.QUEUED}),
    _.PAUSED: frozenset({_.QUEUED, _.CANCELLED}),
    _.CANCELLING: frozenset({_.CANCELLED}),
    # sealing -> queued: the engine died between manifest and rename; resuming finishes the rename
    _.SEALING: frozenset({_.COMPLETED, _.FAILED, _.QUEUED}),
    _.COMPLETED: frozenset(),
    _.FAILED: frozenset(),
    _.CANCELLED: frozenset(),
}
FINAL = frozenset(state for state, after in TRANSITIONS.items() if not after)


def check_transition(before: State, after: State) -> None:
    """Raise `IllegalTransition` unless the table has the edge."""
    if after not in TRANSITIONS[before]:
        raise IllegalTransition(f"a job that is {before} cannot become {after}")
