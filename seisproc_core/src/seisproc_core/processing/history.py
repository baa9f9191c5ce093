"""What was done to the traces of a survey, step by step, as plain values: it travels with the survey."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from seisproc_core.data.tables import Table
from seisproc_core.processing.flow import Flow

_MOST_VALUES = 8


def steps_of(flow: Flow, until: int | None = None, saved: str = "") -> Iterator[dict[str, Any]]:
    """The steps of a flow with the parameters that were given; the order its source was read in counts as a sort.

    Parameters
    ----------
    until, saved
        For a side output: position of the step it is saved of, the last to be given, and what is saved.
    """
    source = flow.source
    if source.gather or source.sort:
        order = {"gather": list(source.gather), "sort": list(source.sort)}
        yield {"use": "sort", "parameters": {key: words for key, words in order.items() if words}}
    for position, step in enumerate((flow.written or flow.steps)[: None if until is None else until + 1]):
        about = {"saved": saved} if position == until else {}
        yield {"use": step.use, "parameters": _brief(step.parameters), **about}


def _brief(value: Any) -> Any:
    """A value as it is, but long lists by their size."""
    if isinstance(value, Table):
        return _brief(value.to_json())  # as the flow file that holds it would give it
    if isinstance(value, Mapping):
        return {str(name): _brief(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_brief(item) for item in value] if len(value) <= _MOST_VALUES else {"values": len(value)}
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(value) if isinstance(value, PurePath) else type(value).__name__  # a survey in memory has no name
