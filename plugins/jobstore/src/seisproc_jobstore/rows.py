"""A job as rows of a database: columns for all that is searched, a JSON document for the rest.

Three checksums stand beside the values, so that a damaged file gives an error and never another job: one over what
schedulers read, one over the remaining columns and the document, one over the progress, which alone changes often.
"""

from __future__ import annotations

import functools
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from operator import attrgetter, is_
from typing import Any

import attrs

from seisproc_core.errors import UsageError
from seisproc_core.jobs.model import Event, Job
from seisproc_core.jobs.resources import Resources
from seisproc_core.jobs.states import FINAL, State
from seisproc_core.jobs.store import Outline

OUTLINE = ("number", "version", "id", "state", "priority", "cpus", "memory", "gpus", "parents", "driver", "attached")
PROGRESS = ("done", "total")
PLAIN = ("name", "type", "output", "error", "attempt", "part_of")
DERIVED = ("created", "started", "ended", "seconds", "cpu_s", "peak_memory", "traces", "steps", "words")
COLUMNS = (*OUTLINE, "outline_mark", *PROGRESS, "progress_mark", *PLAIN, *DERIVED, "mark")
_STEPS = COLUMNS.index("steps")
MAX_DOCUMENT = 64 << 20  # bytes of configuration, options, events and results of one job

_TEXTS = ("name", "type", "output", "error", "driver")
_NAMED = attrgetter(*_TEXTS)
_DESCRIBED = attrgetter("id", "config", "name", "output", "error")  # what search words and steps are made of
_EVENT = attrgetter(*(field.name for field in attrs.fields(Event)))
_HAS_COLUMN = {*OUTLINE, *PROGRESS, *PLAIN, "resources", "after", "events"}
_OTHERS = [field for field in attrs.fields(Job) if field.name not in _HAS_COLUMN]
_DEFAULTS: dict[str, Any] = {f.name: getattr(f.default, "factory", lambda f=f: f.default)() for f in _OTHERS}
_REST = attrgetter(*_DEFAULTS)
_KINDS = {f.name: {"int": int, "str": str, "bool": bool}.get(str(f.type), object) for f in attrs.fields(Job)}
_STATES = {state.value: state for state in State}
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode

Row = tuple[Any, ...]


class BadRow(Exception):
    """A row that no job was written as: the file is damaged."""


def text(name: str) -> str:
    """A name as a database can hold it: file names that are not UTF-8 reach Python as lone surrogates."""
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode()


def mark(values: object) -> int:
    """Checksum of plain values."""
    return zlib.crc32(repr(values).encode())


def document_of(job: Job, events: Sequence[Event]) -> str:
    """What of a job has no column, as JSON, with its events; `UsageError` when it is no JSON, or too much."""
    rest: dict[str, Any] = {}
    for name, value, default in zip(_DEFAULTS, _REST(job), _DEFAULTS.values(), strict=True):
        if value is not default and value != default:
            rest[name] = dict(value) if isinstance(value, Mapping) else value
    if not "".join(_NAMED(job)).isascii():
        for name in _TEXTS:
            value = getattr(job, name)
            if text(value) != value:
                rest[name] = value
    rest["events"] = [_EVENT(event) for event in events]
    try:
        document = _encode(rest)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"job {job.id} ({job.name}) cannot be stored: it is no plain JSON ({error})") from error
    if len(document) > MAX_DOCUMENT:
        raise UsageError(
            f"job {job.id} ({job.name}) cannot be stored: its configuration takes {len(document) / 1e6:.0f} MB, "
            f"at most {MAX_DOCUMENT / 1e6:.0f} MB are kept; put large tables into files"
        )
    return document


def _same(values: Sequence[object], others: Sequence[object]) -> bool:
    """Whether these are the very same objects, in the same order."""
    return len(values) == len(others) and all(map(is_, values, others))


def document_after(job: Job, old: Job, document: str) -> str:
    """`document_of` of a job, given an older version of it and that one's document."""
    if not (_same(_REST(job), _REST(old)) and _same(_NAMED(job), _NAMED(old))):
        return document_of(job, job.events)
    if job.events is old.events:
        return document
    known = len(old.events)
    if not _same(job.events[:known], old.events) or not known:
        return document_of(job, job.events)
    # Events are the last member: the new ones go before "]}".
    return f"{document[:-2]},{_encode([_EVENT(event) for event in job.events[known:]])[1:]}}}"


def row_of(
    job: Job,
    state: State,
    events: Sequence[Event],
    document: str,
    number: int,
    version: int,
    before: tuple[Job, Row] | None = None,
) -> Row:
    """The values of `COLUMNS` for a job in a state that may be newer than its own.

    Parameters
    ----------
    before
        An older version of the job and its row: what was made of attributes that did not change is taken from there.
    """
    need = job.resources
    job_id = text(job.id)
    outline = (
        number,
        version,
        job_id,
        state.value,
        int(job.priority),
        int(need.cpus),
        int(need.memory),
        int(need.gpus),
        _encode(job.after) if job.after else "",
        text(job.driver),
        int(job.attached),
    )
    done, total = int(job.done), int(job.total)
    plain = (text(job.name), text(job.type), text(job.output), text(job.error), int(job.attempt), text(job.part_of))
    rest = (*plain, *_derived(job, events), *_described(job, before))
    return (
        *outline,
        mark(outline),
        done,
        total,
        mark((job_id, done, total)),
        *rest,
        zlib.crc32(document.encode(), mark(rest)),
    )


def progress_mark(job_id: str, done: int, total: int) -> int:
    return mark((text(job_id), done, total))


_resources = functools.lru_cache(maxsize=64)(Resources)  # most jobs need the same


def outline_of(row: Sequence[Any]) -> Outline:
    """The outline in the values of `OUTLINE` and their checksum."""
    if mark(tuple(row[:-1])) != row[-1]:
        raise BadRow(f"job number {row[0]} does not match its checksum")
    number, version, job_id, state, priority, cpus, memory, gpus, parents, driver, attached, _ = row
    return Outline(
        id=job_id,
        number=number,
        version=version,
        state=_STATES[state],
        priority=priority,
        resources=_resources(cpus, memory, gpus),
        after=tuple(json.loads(parents)) if parents else (),
        driver=driver,
        attached=bool(attached),
    )


def job_of(row: Sequence[Any], document: str) -> Job:
    """The job in the values of `COLUMNS` and its document; `BadRow` when it is none."""
    end = len(OUTLINE) + 1
    outline = outline_of(row[:end])
    done, total, progress = row[end : end + 3]
    rest = tuple(row[end + 3 : -1])
    if progress_mark(outline.id, done, total) != progress or zlib.crc32(document.encode(), mark(rest)) != row[-1]:
        raise BadRow(f"job {outline.id} does not match its checksum")
    try:
        others = json.loads(document)
        events = tuple(Event(number, _STATES[state], *more) for number, state, *more in others.pop("events"))
        values = {
            "id": outline.id,
            "state": outline.state,
            "priority": outline.priority,
            "resources": outline.resources,
            "after": outline.after,
            "driver": outline.driver,
            "attached": outline.attached,
            "done": done,
            "total": total,
            **dict(zip(PLAIN, rest, strict=False)),
            **others,
        }
        for name, value in values.items():
            if not isinstance(value, _KINDS[name]):
                raise BadRow(f"job {outline.id}: {name} is {value!r:.50}")
        return Job(events=events, **values)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadRow(f"job {outline.id}: {error!r:.200}") from error


def words_of(job: Job) -> str:
    """What the text of a `Query` is looked for in."""
    return text(f"{job.name}\n{job.output}\n{job.error}\n{job.id}".casefold())


def _derived(job: Job, events: Sequence[Event]) -> Row:
    created, started, ended = float(events[0].at) if events else 0.0, None, None
    seconds = cpu_s = peak_memory = traces = None
    for event in events:
        if event.state is State.RUNNING:
            started = float(event.at)
            break
    if events and events[-1].state in FINAL:
        ended = float(events[-1].at)
    if job.usage:
        seconds, cpu_s, peak_memory = (_number(job.usage.get(name)) for name in ("seconds", "cpu_s", "peak_memory"))
    if seconds is None and started is not None and ended is not None:
        seconds = max(0.0, ended - started)
    if job.result:
        traces = _number(job.result.get("traces_in"))
    return created, started, ended, seconds, cpu_s, peak_memory, traces


def _described(job: Job, before: tuple[Job, Row] | None) -> Row:
    """The columns ``steps`` and ``words``."""
    if before is not None:
        old, row = before
        if _same(_DESCRIBED(job), _DESCRIBED(old)):
            return row[_STEPS : _STEPS + 2]
    return _list_of(tuple(steps_of(job))), words_of(job)


@functools.lru_cache(maxsize=256)
def _list_of(names: tuple[str, ...]) -> str:
    """JSON of the steps of a flow; many jobs have the same."""
    return _encode(names)


def steps_of(job: Job) -> list[str]:
    """Names of the processors that a job applies, in order."""
    steps = job.config.get("steps")
    if not isinstance(steps, Sequence) or isinstance(steps, str):
        return []
    return [str(step["use"]) for step in steps if isinstance(step, Mapping) and "use" in step]


def _number(value: object) -> float | None:
    """A number as a database can hold and add it; None for anything else that may stand in a job's result."""
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e18
    return float(value) if usable and math.isfinite(value) else None  # type: ignore[arg-type]
