"""The traces of a survey that some gathers of a flow are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.data.headers import Headers
from seisproc_core.data.survey import Survey
from seisproc_core.errors import HeaderError, UsageError
from seisproc_core.plugins import Registry
from seisproc_core.processing.flow import Flow, Step, word_list
from seisproc_core.processing.ordering import gather_order

# Values of a header word: single ones, or (lowest, highest), both included; in SI units, as steps see them.
Wanted = Mapping[str, Sequence["float | tuple[float, float]"]]


class ChosenRows:
    """Some rows of a survey as a survey of its own; reads from it what is asked for, when it is."""

    raw_header_bytes = raw_sample_bytes = 0
    notes: Sequence[str] = ()

    def __init__(self, survey: Survey, rows: np.ndarray) -> None:
        self._survey = survey
        self._rows = rows
        self.n_traces = len(rows)
        self.sampling = survey.sampling
        self.info = survey.info

    def headers(self) -> Headers:
        return self._survey.headers().take(self._rows)

    def read(self, rows: np.ndarray | slice, *, flag: np.ndarray | None = None) -> Gather:
        return self._survey.read(self._rows[rows], flag=flag)

    def identity(self) -> list[dict[str, Any]]:
        return [dict(item) for item in self._survey.identity()]


def matching(headers: Headers, at: Wanted) -> np.ndarray:
    """Which traces have the wanted values of all words; bool ``(count,)``."""
    keep = np.ones(headers.count, bool)
    for name, values in at.items():
        column = np.asarray(headers[name], np.float64)
        found = np.zeros(headers.count, bool)
        for value in values:
            low, high = value if isinstance(value, tuple) else (value, value)
            found |= (column >= low) & (column <= high)
        keep &= found
    return keep


def chosen_rows(flow: Flow, survey: Survey, known: Registry, at: Wanted) -> np.ndarray:
    """Rows of the source that the wanted traces need: themselves, and the gathers that gather steps see them in.

    Raises
    ------
    UsageError
        No trace has one of the values; a step needs gathers by a word that the source does not have.
    """
    headers = survey.headers()
    for name, values in at.items():
        for value in values:
            if not matching(headers, {name: [value]}).any():
                shown = "{:g} to {:g}".format(*value) if isinstance(value, tuple) else f"{value:g}"
                raise UsageError(f"no trace has {name} {shown} (seisproc headers --stats shows the ranges)")
    needed = matching(headers, at)
    if not needed.any():
        raise UsageError(f"no trace has all of the values asked for of {', '.join(at)}")
    for words, steps in reversed(_stages(flow)):
        whole = [step.use for step in steps if known.load("processors", step.use).scope != "trace"]
        if whole:
            needed = _whole_gathers(headers, words, needed, whole[0])
    return np.flatnonzero(needed)


def _stages(flow: Flow) -> list[tuple[tuple[str, ...], list[Step]]]:
    """Gather words and steps of each part of the flow between sorts."""
    stages: list[tuple[tuple[str, ...], list[Step]]] = [(flow.source.gather, [])]
    for step in flow.steps:
        if step.use == "sort":
            stages.append((word_list("step 'sort'", "gather", step.parameters.get("gather", [])), []))
        else:
            stages[-1][1].append(step)
    return stages


def _whole_gathers(headers: Headers, words: tuple[str, ...], needed: np.ndarray, use: str) -> np.ndarray:
    try:
        order, starts = gather_order(headers, words, ())
    except HeaderError as error:
        raise UsageError(f"which traces step '{use}' needs is not known from the source: {error}") from error
    if starts is None:
        return needed
    number = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    gather_of = np.empty(headers.count, np.int64)
    gather_of[np.arange(headers.count) if order is None else order] = number
    whole: np.ndarray = np.isin(gather_of, gather_of[needed])
    return whole
