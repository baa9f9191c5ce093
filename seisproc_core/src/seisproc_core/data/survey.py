"""Surveys and the storage that holds them: the protocols every file format implements, and a survey in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import attrs
import numpy as np

from seisproc_core.data.datum import Datum
from seisproc_core.data.gather import Gather
from seisproc_core.data.headers import Headers
from seisproc_core.data.sampling import Sampling
from seisproc_core.errors import UsageError

LengthUnit = Literal["m", "ft", "us_ft"]
BLOCK_BYTES = 8 << 20  # of samples that `blocks` reads at once
LENGTH_FACTOR: dict[LengthUnit, float] = {"m": 1.0, "ft": 0.3048, "us_ft": 1200 / 3937}


@attrs.frozen(kw_only=True)
class SurveyInfo:
    """What a survey knows beside traces and headers; travels from the input through every job to the output.

    Attributes
    ----------
    length_unit
        Unit of coordinates, elevations and offsets as stored.
    header_map
        Where the input file keeps each word: name -> (first byte, type).
    file
        The file headers of the first input as its storage describes them (plain JSON values); a storage that
        does not know them leaves them alone.
    processed
        Whether steps have been applied since the file was read: what its headers say of the samples is then history.
    history
        Those steps, first to last, through all jobs: ``{"use": ..., "parameters": ...}`` as they were given.
    datum
        What statics moved the times of all traces to; None before.
    """

    length_unit: LengthUnit = "m"
    header_map: Mapping[str, tuple[int, str]] = attrs.field(factory=dict)
    file: Mapping[str, Any] = attrs.field(factory=dict)
    processed: bool = False
    history: tuple[Mapping[str, Any], ...] = ()
    datum: Datum | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "length_unit": self.length_unit,
            "header_map": {name: [byte, type_] for name, (byte, type_) in self.header_map.items()},
            "file": dict(self.file),
            "processed": self.processed,
            "history": [dict(step) for step in self.history],
            "datum": None if self.datum is None else self.datum.to_json(),
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> SurveyInfo:
        places = {name: (int(byte), str(type_)) for name, (byte, type_) in plain["header_map"].items()}
        return cls(
            length_unit=plain["length_unit"],
            header_map=places,
            file=plain["file"],
            processed=bool(plain["processed"]),
            history=tuple(plain.get("history", ())),
            datum=Datum.from_json(plain.get("datum")),
        )


@runtime_checkable
class Survey(Protocol):
    """An open survey, for reading. Safe to use from several threads."""

    n_traces: int
    sampling: Sampling
    info: SurveyInfo
    raw_header_bytes: int  # bytes of a file header kept with each trace; 0 where there are none
    raw_sample_bytes: int  # bytes of the file's own samples kept beside float32, per trace; 0 where there are none
    notes: Sequence[str]  # what a person should know: findings of detection, dead or repaired traces

    def headers(self) -> Headers:
        """All header words in stored order, lazily; without raw headers."""
        ...

    def read(self, rows: np.ndarray | slice, *, flag: np.ndarray | None = None) -> Gather:
        """Traces and headers of some rows, in the order asked for, as one gather.

        Parameters
        ----------
        rows
            Row numbers, int64 ``(n,)``, or a slice of step 1.
        flag
            One byte; when it becomes non-zero the read stops with `Cancelled`.
        """
        ...

    def identity(self) -> list[dict[str, Any]]:
        """What makes the content this content - path, size, checksum of each input - as plain JSON values."""
        ...


def blocks(survey: Survey) -> Iterator[Gather]:
    """All traces in stored order, a few megabytes at a time."""
    rows = max(1, BLOCK_BYTES // (4 * max(survey.sampling.count, 1)))
    for first in range(0, survey.n_traces, rows):
        yield survey.read(slice(first, min(first + rows, survey.n_traces)))


@attrs.frozen(kw_only=True)
class OutputPlan:
    """All that is known of an output before a sample is read. Plain JSON but for `info` and `sampling`.

    Attributes
    ----------
    words
        Dtype of every header column.
    raw_header_bytes, raw_sample_bytes
        As in `Survey`; samples keep their raw form only through a job without steps.
    index
        Header words to build gather indexes for.
    options
        The sink's own options, as written in the flow.
    largest_gather
        Rows of the largest gather; 0 where rows are not gathered.
    """

    n_traces: int
    sampling: Sampling
    words: Mapping[str, str]
    info: SurveyInfo
    raw_header_bytes: int = 0
    raw_sample_bytes: int = 0
    index: tuple[tuple[str, ...], ...] = ()
    options: Mapping[str, Any] = attrs.field(factory=dict)
    largest_gather: int = 0

    def to_json(self) -> dict[str, Any]:
        plain = attrs.asdict(self, recurse=False)
        plain.update(
            sampling=self.sampling.to_json(),
            info=self.info.to_json(),
            words=dict(self.words),
            index=[list(keys) for keys in self.index],
            options=dict(self.options),
        )
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> OutputPlan:
        values = dict(plain)
        values["sampling"] = Sampling(**plain["sampling"])
        values["info"] = SurveyInfo.from_json(plain["info"])
        values["index"] = tuple(tuple(keys) for keys in plain["index"])
        return cls(**values)


@attrs.frozen(eq=False)
class Piece:
    """Bytes that the commit code writes for a sink.

    Attributes
    ----------
    key
        Relative path inside a folder output; ``""`` for a single-file output.
    data
        The bytes: anything with the buffer protocol (a `Gather` for the in-memory sink).
    offset
        Position in a single-file output.
    side
        Number of the side output it is of; None for the stage's own.
    """

    key: str
    data: Any
    offset: int = 0
    side: int | None = None


class Sink(Protocol):
    """Turns rows into bytes; writes nothing itself. Made in every worker from the same plan.

    Attributes
    ----------
    shard_rows
        Rows per shard: a pure function of the plan. Segments are cut on multiples of it.
    file_bytes
        Size of a single-file output, or None for a folder output.
    """

    shard_rows: int
    file_bytes: int | None

    def encode(self, first_row: int, rows: Gather) -> list[Piece]:
        """The pieces that hold rows ``first_row : first_row + rows.n_traces``; starts on a shard border and ends
        on one or at the end. Equal input gives equal bytes."""
        ...

    def finish(self, data: Path) -> list[Piece]:
        """What completes the output when all rows are written under `data`: metadata, indexes, file headers."""
        ...


class Storage(Protocol):
    """A format. Stateless; options are plain values from the flow and are checked strictly."""

    id: str

    def open(self, paths: Sequence[str], options: Mapping[str, Any]) -> Survey:
        """Open one survey from one or more files or folders."""
        ...

    def sink(self, plan: OutputPlan) -> Sink:
        """How to write a survey of that plan; `UsageError` where this format cannot hold it."""
        ...


class MemorySurvey:
    """A survey in memory: for tests, scripts and applications that embed the core.

    Parameters
    ----------
    gather
        All traces in stored order.
    """

    raw_sample_bytes = 0

    def __init__(self, gather: Gather, info: SurveyInfo | None = None) -> None:
        self.gather = gather
        self.info = info or SurveyInfo()
        self.n_traces = gather.n_traces
        self.sampling = gather.sampling
        self.notes: Sequence[str] = ()
        self.raw_header_bytes = 0 if gather.headers.raw is None else gather.headers.raw.shape[1]

    def headers(self) -> Headers:
        held = self.gather.headers
        return Headers(held.columns, held.count, length_factor=held.length_factor)

    def read(self, rows: np.ndarray | slice, *, flag: np.ndarray | None = None) -> Gather:
        if isinstance(rows, slice):
            return self.gather.rows(*rows.indices(self.n_traces)[:2])
        return Gather(headers=self.gather.headers.take(rows), sampling=self.sampling, traces=self.gather.traces[rows])

    def identity(self) -> list[dict[str, Any]]:
        headers = self.gather.headers
        columns = {name: headers.column(name) for name in sorted(headers)}
        types = {name: column.dtype.str for name, column in columns.items()}
        about = [self.sampling.to_json(), self.info.to_json(), headers.length_factor, self.n_traces, types]
        digest = hashlib.sha256(json.dumps(about).encode())
        for array in (self.gather.traces, *columns.values(), *([] if headers.raw is None else [headers.raw])):
            digest.update(np.ascontiguousarray(array).tobytes())
        return [{"path": "memory", "sha256": digest.hexdigest()}]


class MemorySink:
    """Keeps the rows themselves."""

    shard_rows = 4096
    file_bytes: int | None = None

    def encode(self, first_row: int, rows: Gather) -> list[Piece]:
        own = attrs.evolve(rows, traces=rows.traces.copy(), headers=rows.headers.loaded())
        return [Piece(f"{first_row:012d}", own)]

    def finish(self, data: Path) -> list[Piece]:
        return []


class MemoryStorage:
    """The core's own storage: surveys that live in the calling process."""

    id = "memory"

    def open(self, paths: Sequence[str], options: Mapping[str, Any]) -> Survey:
        raise UsageError("a survey in memory is given to the engine as an object, not by name")

    def sink(self, plan: OutputPlan) -> Sink:
        return MemorySink()
