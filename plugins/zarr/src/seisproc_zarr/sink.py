"""Writing: rows to the files of a survey folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.data.survey import OutputPlan, Piece
from seisproc_core.data.words import unknown_word
from seisproc_core.errors import DataError, ParameterError, UsageError
from seisproc_zarr.codecs import CODECS, NONE
from seisproc_zarr.layout import COMPRESSED, FORMAT, ArrayLayout, Description, array_metadata
from seisproc_zarr.records import check_words, pack, planned_columns
from seisproc_zarr.shards import encode_shard


class SurveySink:
    """Encodes shards of a survey; see `seisproc_core.data.survey.Sink`.

    Parameters
    ----------
    plan
        The output. Its options are ``shard_traces``, traces per shard, rounded up to whole chunks, and ``codec``:
        ``none``, ``fast`` or ``archive``.

    Raises
    ------
    UsageError
        An option is unknown or out of range, a header word has a type that cannot be stored, or an index is asked for
        over a word that the output does not have.
    """

    file_bytes: int | None = None

    def __init__(self, plan: OutputPlan) -> None:
        self.about = Description.of_plan(plan, *_checked(plan.options))
        problem = check_words(self.about.words)
        if problem:
            raise UsageError(f"a survey cannot hold this output: {problem}")
        for word in (word for words in self.about.index for word in words):
            if word not in self.about.words:
                raise unknown_word(word, sorted(self.about.words))
        self.shard_rows = self.about.grid.shard_rows

    def encode(self, first_row: int, rows: Gather) -> list[Piece]:
        """The shards that hold rows ``first_row : first_row + rows.n_traces``.

        Raises
        ------
        DataError
            A trace holds NaN or infinity, or raw bytes do not have the planned size.
        HeaderError
            A planned header word is absent, or of a type that could lose values.
        """
        grid, end = self.about.grid, first_row + rows.n_traces
        if first_row % grid.shard_rows or (end % grid.shard_rows and end != grid.n_rows) or end > grid.n_rows:
            raise ValueError(f"rows {first_row}:{end} are not whole shards of {grid.shard_rows} rows")
        if rows.n_samples != self.about.sampling.count:
            raise ValueError(f"traces have {rows.n_samples} samples, the plan says {self.about.sampling.count}")
        _refuse_nonfinite(rows.traces, first_row)
        pieces: list[Piece] = []
        for start in range(0, rows.n_traces, grid.shard_rows):
            shard = (first_row + start) // grid.shard_rows
            pieces.extend(self._shard(shard, rows, slice(start, start + grid.rows_in(shard))))
        return pieces

    def _shard(self, shard: int, rows: Gather, part: slice) -> Iterator[Piece]:
        from seisproc_zarr.columns import encode_table

        columns = planned_columns(rows.headers, self.about.words, part)
        yield Piece(self.about.headers_key(shard), encode_table(columns))
        words = self.about.header_words
        yield Piece(words.key(shard), encode_shard(words, shard, pack(columns, self.about)))
        arrays = [(self.about.traces, rows.traces)]
        if self.about.raw_header_bytes:
            arrays.append((self.about.raw_headers, _raw(self.about.raw_headers, rows.headers.raw)))
        if self.about.raw_sample_bytes and rows.raw_samples is not None:
            arrays.append((self.about.raw_samples, _raw(self.about.raw_samples, rows.raw_samples)))
        for layout, values in arrays:
            yield Piece(layout.key(shard), encode_shard(layout, shard, values[part]))

    def finish(self, data: Path) -> list[Piece]:
        """Metadata of the group and its arrays, the sample axis and the gather indexes."""
        from seisproc_zarr.columns import HeaderReader
        from seisproc_zarr.folder import Folder
        from seisproc_zarr.gather_index import index_pieces

        pieces = metadata_pieces(self.about)
        if self.about.index:
            headers = HeaderReader(Folder(str(data), allow_partial=True), self.about)
            for words in self.about.index:
                pieces.extend(index_pieces(headers, self.about, words))
        return pieces


def metadata_pieces(about: Description) -> list[Piece]:
    """All ``zarr.json`` and the one small array, the sample axis."""
    axis, units = {"time": ("time", "s"), "depth": ("depth", "m"), "frequency": ("frequency", "Hz")}[
        about.sampling.domain
    ]
    samples = about.sampling.count
    little = [{"name": "bytes", "configuration": {"endian": "little"}}]
    axis_array = array_metadata(
        (samples,), (samples,), np.dtype("f8"), codecs=little, dimensions=("sample",), attributes={"units": units}
    )
    attributes = {
        "format": FORMAT if about.codec == NONE else COMPRESSED,
        **({} if about.codec == NONE else {"codec": about.codec}),
        "n_traces": about.grid.n_rows,
        "chunk_rows": about.grid.chunk_rows,
        "shard_rows": about.grid.shard_rows,
        "sampling": about.sampling.to_json(),
        "info": _in_one_order(about.info.to_json()),
        "words": {name: dtype.name for name, dtype in about.words.items()},
        "raw_header_bytes": about.raw_header_bytes,
        "raw_sample_bytes": about.raw_sample_bytes,
        "index": [list(words) for words in about.index],
        "notes": list(about.notes),
        # Every other shard exists: one that is not there is damage, not zeros.
        "may_be_absent": ["raw_samples/c"] if about.raw_sample_bytes else [],
    }
    group = {"zarr_format": 3, "node_type": "group", "attributes": {"seisproc": attributes}}
    pieces = [
        Piece("zarr.json", _json(group)),
        Piece(f"{axis}/zarr.json", _json(axis_array)),
        Piece(f"{axis}/c.0", about.sampling.times().astype("<f8").tobytes()),
        Piece("traces/zarr.json", _json(about.traces.metadata({"coordinates": axis}))),
        Piece("header_words/zarr.json", _json(about.header_words.metadata({"fields": _fields(about)}))),
    ]
    if about.raw_header_bytes:
        pieces.append(Piece("raw_headers/zarr.json", _json(about.raw_headers.metadata({}))))
    if about.raw_sample_bytes:
        pieces.append(Piece("raw_samples/zarr.json", _json(about.raw_samples.metadata({}))))
    return pieces


def _fields(about: Description) -> list[list[str | int]]:
    """Name, type and first byte of every word in a record, for readers other than seisproc."""
    record: Mapping[str, Any] = about.record.fields or {}
    return [[name, dtype.name, record[str(k)][1]] for k, (name, dtype) in enumerate(about.words.items())]


def _in_one_order(info: Mapping[str, Any]) -> Any:
    """What a survey knows, sorted: the history comes in another order from a flow file than from a record of it."""
    return json.loads(json.dumps(info, sort_keys=True))


def _json(plain: Mapping[str, Any]) -> bytes:
    return json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False).encode()


def _checked(options: Mapping[str, Any]) -> tuple[int | None, str]:
    """Traces per shard, None for the usual, and the codec."""
    unknown = set(options) - {"shard_traces", "codec"}
    if unknown:
        raise ParameterError("survey sink", min(unknown), "is unknown; its options are 'shard_traces' and 'codec'")
    rows, codec = options.get("shard_traces"), options.get("codec", NONE)
    if rows is not None and (isinstance(rows, bool) or not isinstance(rows, int) or rows < 1):
        raise ParameterError("survey sink", "shard_traces", f"must be a whole number of at least 1, not {rows!r}")
    if codec not in (NONE, *CODECS):
        raise ParameterError("survey sink", "codec", f"must be one of {', '.join((NONE, *CODECS))}, not {codec!r}")
    return rows, str(codec)


def _raw(layout: ArrayLayout, values: np.ndarray | None) -> np.ndarray:
    shape = None if values is None else values.shape[1:]
    if values is None or shape != (layout.width,) or values.dtype != np.uint8:
        raise DataError(f"the output was planned with {layout.width} bytes of {layout.name} per trace, got {shape}")
    return values


def _refuse_nonfinite(traces: np.ndarray, first_row: int) -> None:
    """`DataError` naming the first trace that holds NaN or infinity."""
    for start in range(0, len(traces), 64):  # in blocks that stay in the cache
        finite = np.isfinite(traces[start : start + 64])
        if not finite.all():
            bad = int(np.flatnonzero(~finite.all(axis=1))[0])
            sample = int(np.flatnonzero(~finite[bad])[0])
            value = traces[start + bad, sample]
            raise DataError(
                f"trace {first_row + start + bad} of the output holds {value} at sample {sample}; "
                "repair or kill that trace before it is written"
            )
