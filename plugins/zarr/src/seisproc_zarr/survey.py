"""Reading: a survey folder as a `Survey`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.data.headers import Headers, LazyColumns
from seisproc_core.data.sampling import Domain, Sampling
from seisproc_core.data.survey import LENGTH_FACTOR, SurveyInfo
from seisproc_core.errors import Damaged, Incomplete
from seisproc_zarr.codecs import CODECS, NONE
from seisproc_zarr.folder import GROUP, Folder
from seisproc_zarr.layout import COMPRESSED, FORMAT, Description, Grid
from seisproc_zarr.records import check_words, lazily, unpack
from seisproc_zarr.shards import ShardReader

if TYPE_CHECKING:
    from seisproc_zarr.columns import HeaderReader
    from seisproc_zarr.gather_index import GatherIndex

SMALL_BYTES = 16 << 20  # of header records: up to here one pass over them beats a file for every shard and word


class StoredSurvey:
    """An open survey folder; see `seisproc_core.data.survey.Survey`. Safe to use from several threads.

    Chunks are held to their checksums when read whole and at least once before any part of them is returned; header
    files and metadata to the manifest when first read.

    Parameters
    ----------
    path
        The folder.
    allow_partial
        Open it even when it was never sealed; rows that are not there yet raise `ChunkMissing`.
    """

    def __init__(self, path: str, *, allow_partial: bool = False) -> None:
        self.folder = Folder(path, allow_partial=allow_partial)
        self.about = describe(self.folder)
        self.n_traces: int = self.about.grid.n_rows
        self.sampling: Sampling = self.about.sampling
        self.info: SurveyInfo = self.about.info
        self.raw_header_bytes: int = self.about.raw_header_bytes
        self.raw_sample_bytes: int = self.about.raw_sample_bytes
        self.notes: Sequence[str] = self.about.notes
        self.length_factor = LENGTH_FACTOR[self.info.length_unit]
        self._traces = ShardReader(self.folder, self.about.traces)
        self._words = ShardReader(self.folder, self.about.header_words)
        self._raw_headers = ShardReader(self.folder, self.about.raw_headers)
        self._raw_samples = ShardReader(self.folder, self.about.raw_samples)
        self._header_reader: HeaderReader | None = None
        self._columns: dict[str, np.ndarray] | None = None

    @property
    def _headers(self) -> HeaderReader:
        if self._header_reader is None:
            from seisproc_zarr.columns import HeaderReader  # here: pyarrow is slow to import

            self._header_reader = HeaderReader(self.folder, self.about)
        return self._header_reader

    def _column(self, name: str) -> np.ndarray:
        """One word of all traces: of a small survey from the records, all words at once; else from Parquet."""
        if self.n_traces * self.about.record.itemsize > SMALL_BYTES:
            return self._headers.column(name)
        if self._columns is None:
            self._columns = unpack(self._words.read(np.arange(self.n_traces), None), self.about)
        return self._columns[name]

    def headers(self) -> Headers:
        """All header words in stored order; a column is read when it is first asked for."""
        columns = LazyColumns(self.about.words, self._column)
        return Headers(columns, self.n_traces, length_factor=self.length_factor)

    def read(self, rows: np.ndarray | slice, *, flag: np.ndarray | None = None) -> Gather:
        """Traces and headers of some rows, in the order asked for, as one gather.

        Parameters
        ----------
        rows
            Row numbers, int64 ``(n,)``, or a slice of step 1.
        flag
            One byte; when it becomes non-zero the read stops with `Cancelled`.

        Raises
        ------
        IndexError
            A row number is outside the survey.
        ChunkMissing, ChunkCorrupt
            A file is not there, or differs from its checksum.
        """
        wanted = self._row_numbers(rows)
        traces = self._traces.read(wanted, flag)
        raw = self._raw_headers.read(wanted, flag) if self.raw_header_bytes else None
        columns = lazily(self._words.read(wanted, flag), self.about)
        return Gather(
            headers=Headers(columns, len(wanted), length_factor=self.length_factor, raw=raw),
            sampling=self.sampling,
            traces=traces,
            raw_samples=self._raw_of(wanted, flag),
        )

    def index(self, *words: str) -> GatherIndex:
        """The stored gather index over some header words; `UsageError` where there is none."""
        from seisproc_zarr.gather_index import read_index

        return read_index(self.folder, self.about, words)

    def identity(self) -> list[dict[str, Any]]:
        """Path and root hash of the manifest (None for a survey that is not sealed)."""
        return [{"path": self.folder.root, "root": self.folder.seal}]

    def _row_numbers(self, rows: np.ndarray | slice) -> np.ndarray:
        if isinstance(rows, slice):
            start, stop, step = rows.indices(self.n_traces)
            if step != 1:
                raise IndexError(f"rows are read with a slice of step 1, not {step}")
            if stop > start:
                self._traces.check((stop - 1) // self.about.grid.shard_rows)  # before one number per row is made
            return np.arange(start, stop)
        numbers = np.asarray(rows, np.int64)
        if len(numbers) and (numbers.min() < 0 or numbers.max() >= self.n_traces):
            bad = numbers[(numbers < 0) | (numbers >= self.n_traces)][0]
            raise IndexError(f"there is no trace {bad} in {self.folder.path}: it has {self.n_traces}")
        return numbers

    def _raw_of(self, rows: np.ndarray, flag: np.ndarray | None) -> np.ndarray | None:
        """Raw samples, zeros where a shard kept none (as in `Gather.raw_samples`); None where no shard touched did."""
        if not self.raw_sample_bytes:
            return None
        shard_of = rows // self.about.grid.shard_rows
        kept = np.isin(shard_of, [s for s in np.unique(shard_of) if self._raw_samples.has(int(s))])
        if not kept.any():
            return None
        if kept.all():
            return self._raw_samples.read(rows, flag)
        raw = np.zeros((len(rows), self.raw_sample_bytes), np.uint8)
        raw[kept] = self._raw_samples.read(rows[kept], flag)
        return raw


def describe(folder: Folder) -> Description:
    """The survey's attributes, checked; `Damaged` where they do not describe one."""
    if folder.pieces is None and not folder.has(GROUP):
        raise Incomplete(f"{folder.path} has no {GROUP}: it is not a survey, or not one whose writing came to its end")
    plain = folder.json(GROUP)
    try:
        attributes = plain["attributes"]["seisproc"]
        if attributes["format"] not in (FORMAT, COMPRESSED):
            raise Damaged(
                f"{folder.path} has survey format {attributes['format']!r}; this version of seisproc reads {FORMAT} "
                f"and {COMPRESSED}"
            )
        return _description(attributes)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        problem = f"{type(error).__name__}: {error}".replace("\n", " ")
        raise Damaged(f"{folder.path}: {GROUP} does not describe a survey ({problem})") from None


def _description(plain: Mapping[str, Any]) -> Description:
    grid = Grid(*(_count(plain, name) for name in ("n_traces", "chunk_rows", "shard_rows")))
    if not grid.chunk_rows or not grid.shard_rows or grid.shard_rows % grid.chunk_rows:
        raise ValueError(f"shards of {grid.shard_rows} rows in chunks of {grid.chunk_rows}")
    if grid.n_rows >= 1 << 60 or grid.shard_rows >= 1 << 60:
        raise ValueError("more rows than can be")
    sampling = Sampling(**plain["sampling"])
    _count(plain["sampling"], "count")
    if sampling.domain not in get_args(Domain) or not np.isfinite(sampling.start_s):
        raise ValueError(f"sampling {plain['sampling']}")
    words = {name: np.dtype(_text(dtype)) for name, dtype in plain["words"].items()}
    problem = check_words(words)
    if problem:
        raise ValueError(problem)
    info = SurveyInfo.from_json(plain["info"])
    if info.length_unit not in LENGTH_FACTOR:
        raise ValueError(f"unknown unit of length {info.length_unit!r}")
    return Description(
        grid=grid,
        sampling=sampling,
        info=info,
        words=words,
        raw_header_bytes=_count(plain, "raw_header_bytes"),
        raw_sample_bytes=_count(plain, "raw_sample_bytes"),
        index=tuple(tuple(_text(word) for word in words) for words in plain["index"]),
        notes=tuple(_text(note) for note in plain["notes"]),
        codec=_codec(plain),
    )


def _codec(plain: Mapping[str, Any]) -> str:
    if plain["format"] == FORMAT:
        return NONE
    if plain["codec"] not in CODECS:
        raise ValueError(f"unknown codec {plain['codec']!r}")
    return _text(plain["codec"])


def _count(plain: Mapping[str, Any], name: str) -> int:
    value = plain[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{name} is {value!r}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value
