"""The surveys that a flow reads: its source, and the further inputs of its steps, whose traces belong to the data's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seisproc_core.data.formats import format_of
from seisproc_core.data.gather import Layout
from seisproc_core.data.headers import Headers
from seisproc_core.data.survey import Survey
from seisproc_core.data.words import DEAD, LIVE_END, LIVE_FIRST, TRACE_ID
from seisproc_core.errors import FlowError, ParameterError
from seisproc_core.plugins import registry
from seisproc_core.processing.flow import Source, Step
from seisproc_core.processing.ordering import NONE, SEVERAL, match_rows
from seisproc_core.processing.params import SurveyRef, survey_refs
from seisproc_core.processing.plan import InputPlan, StagePlan
from seisproc_core.processing.processor import Processor

_TELLING = ("field_record", "channel", "cdp", "offset")  # what a person knows a trace by


class Inputs:
    """The surveys of one flow, opened once."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.held: dict[str, Survey] = {}
        self._open: dict[str, Survey] = {}

    def add_source(self, source: Source, survey: Survey) -> Mapping[str, Any]:
        """The address of the flow's source."""
        in_memory = source.storage == "memory"
        paths = ["source"] if in_memory else list(source.paths)
        return self._add({"storage": source.storage, "paths": paths, "options": dict(source.options)}, survey)

    def _add(self, address: dict[str, Any], survey: Survey) -> Mapping[str, Any]:
        if address["storage"] == "memory":
            self.held[address["paths"][0]] = survey
        self._open[_key(address)] = survey
        return address

    def match(self, step: Step, instance: Processor, layout: Layout) -> tuple[dict[str, InputPlan], list[str]]:
        """The further inputs of a step, with the row of each for every trace; and what a person should know."""
        refs = survey_refs(instance)
        if step.match and not refs:
            raise FlowError(f"step '{step.use}' reads no further survey: match = [...] means nothing there")
        planned, notes = {}, []
        for name, (ref, info) in refs.items():
            address, survey = self._opened(step.use, name, ref)
            if survey.sampling != layout.sampling:
                problem = f"has {survey.sampling}, the traces it belongs to have {layout.sampling}: resample it first"
                raise ParameterError(step.use, name, problem)
            held = complete(survey.headers(), np.arange(survey.n_traces), survey.sampling.count)
            words = step.match or (TRACE_ID,)
            rows = match_rows(layout.headers, held, words)
            _refuse(step.use, name, rows, layout.headers, words, gaps=info.gaps)
            notes += [f"{step.use}: {note}" for note in _doubts(name, rows, layout.headers, held, words)]
            planned[name] = InputPlan(source=address, rows=rows)
        return planned, notes

    def _opened(self, owner: str, name: str, ref: SurveyRef) -> tuple[Mapping[str, Any], Survey]:
        if ref.survey is not None:
            path = f"{owner}.{name}.{len(self.held)}"
            return self._add({"storage": "memory", "paths": [path], "options": {}}, ref.survey), ref.survey
        storage = format_of(Path(ref.path)).id
        address = {"storage": storage, "paths": [ref.path], "options": {}}
        if _key(address) not in self._open:
            self._add(address, registry().load("storage", storage)().open([ref.path], {}))
        return address, self._open[_key(address)]

    def identities(self, stages: Iterable[StagePlan]) -> tuple[Mapping[str, Any], ...]:
        return tuple(identities(stages, lambda address: self._open[_key(address)]))


def identities(stages: Iterable[StagePlan], opened: Callable[[Mapping[str, Any]], Survey]) -> Iterator[dict[str, Any]]:
    """Identity of every survey that stages read, each once, in the order they read them."""
    addresses = {_key(address): address for stage in stages for address in stage.addresses()}
    for address in addresses.values():
        yield from opened(address).identity()


def complete(headers: Headers, rows: np.ndarray, n_samples: int) -> Headers:
    """Headers with the words that every trace has: identity, live window, dead mark."""
    missing = {}
    if TRACE_ID not in headers.columns:
        missing[TRACE_ID] = rows.astype(np.int64)
    if LIVE_FIRST not in headers.columns:
        missing[LIVE_FIRST] = np.zeros(len(rows), np.int32)
        missing[LIVE_END] = np.full(len(rows), n_samples, np.int32)
    if DEAD not in headers.columns:
        missing[DEAD] = np.zeros(len(rows), np.uint8)
    return headers.with_columns(**missing) if missing else headers


def _refuse(owner: str, name: str, rows: np.ndarray, headers: Headers, words: tuple[str, ...], *, gaps: bool) -> None:
    """Name the first trace whose partner is missing or ambiguous."""
    for what, problem in ((SEVERAL, "has several traces"), (NONE, "has no trace")):
        found = np.flatnonzero(rows == what)
        if found.size and not (what == NONE and gaps):
            first = int(found[0])
            known = dict.fromkeys((*words, *(word for word in _TELLING if word in headers)))
            trace = ", ".join(f"{word} {headers.column(word)[first]}" for word in known)
            raise ParameterError(
                owner,
                name,
                f"{problem} for {found.size} of {len(rows)} traces, first for trace {first} ({trace}), "
                f"matched on {', '.join(words)}; match = [...] names other header words",
            )


def _doubts(name: str, rows: np.ndarray, ours: Headers, theirs: Headers, words: tuple[str, ...]) -> Iterator[str]:
    """Whether traces that were matched on `trace_id` look like different ones."""
    there = np.flatnonzero(rows >= 0)
    for word in _TELLING[:2]:
        if tuple(words) == (TRACE_ID,) and word in ours and word in theirs:
            differ = int((ours.column(word)[there] != theirs.column(word)[rows[there]]).sum())
            if differ:
                yield f"'{word}' of {name} differs on {differ} traces with the same trace_id: are they the same traces?"


def _key(address: Mapping[str, Any]) -> str:
    return json.dumps(address, sort_keys=True, default=str)
