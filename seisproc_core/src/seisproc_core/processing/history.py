"""What was done to the traces of a survey, step by step, as plain values: it travels with the survey."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from seisproc_core.data.tables import Table
from seisproc_core.plugins import Registry
from seisproc_core.processing.flow import Flow, Step, word_list
from seisproc_core.processing.params import as_declared

_MOST_VALUES = 8


Files = Mapping[str, str]  # by parameter: the file that a table was read from


def steps_of(
    flow: Flow, known: Registry, files: Mapping[int, Files], until: int | None = None, saved: str = ""
) -> Iterator[dict[str, Any]]:
    """The steps of a flow with the parameters that were given; the order its source was read in counts as a sort.

    Parameters
    ----------
    files
        By position of the step: the files of its tables. They stand for what the flow calls them: ``vel_v3.csv`` where
        the flow says ``tables/vel``.
    until, saved
        For a side output: position of the step it is saved of, the last to be given, and what is saved.
    """
    source = flow.source
    if source.gather or source.sort:
        yield {"use": "sort", "parameters": _order(source.gather, source.sort)}
    for position, step in enumerate((flow.written or flow.steps)[: None if until is None else until + 1]):
        about = {"saved": saved} if position == until else {}
        yield {"use": step.use, "parameters": _given(step, known) | _brief(files.get(position, {})), **about}


def _order(gather: Sequence[str], sort: Sequence[str]) -> dict[str, list[str]]:
    return {key: list(words) for key, words in (("gather", gather), ("sort", sort)) if words}


def _given(step: Step, known: Registry) -> dict[str, Any]:
    """The parameters of a step as its schema has them, so that equal flows have equal histories."""
    if step.use == "sort":
        return _order(*(word_list("step 'sort'", key, step.parameters.get(key, [])) for key in ("gather", "sort")))
    given: dict[str, Any] = _brief(as_declared(known.load("processors", step.use), step.parameters))
    return given


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
