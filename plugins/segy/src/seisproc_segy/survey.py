"""SEG-Y and SU files as one survey: lazy headers, streamed samples."""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.data.headers import Headers, LazyColumns
from seisproc_core.data.sampling import Sampling
from seisproc_core.data.survey import LENGTH_FACTOR, LengthUnit, SurveyInfo
from seisproc_core.data.words import DEAD, LIVE_END, LIVE_FIRST, TRACE_ID
from seisproc_core.errors import Cancelled, DataError, StorageError
from seisproc_core.jobs.resources import cpu_count
from seisproc_segy.axis import Axis, common_axis
from seisproc_segy.fields import column_dtype
from seisproc_segy.headermap import HeaderMap, check_given, check_same_maps, given_dtype, places_of, words_or_zero
from seisproc_segy.notes import notes_on, system_of
from seisproc_segy.options import ReadOptions
from seisproc_segy.samples import all_finite
from seisproc_segy.timing import check_same, check_timing, delay_ms

if TYPE_CHECKING:
    from seisproc_segy.fallback import SegyFile

_OWN: dict[str, np.dtype] = {
    TRACE_ID: np.dtype("i8"),
    LIVE_FIRST: np.dtype("i4"),
    LIVE_END: np.dtype("i4"),
    DEAD: np.dtype("u1"),
}
_FILE_SHIFT = 40  # trace_id: file number << 40 | position
_LARGEST_SUFFIX = 1 << 20
_MARKED_DEAD = 2  # trace identification code (bytes 29-30)
_TIMING = ("delay", "time_scalar")
_IEEE = (5, 6)  # formats that hold NaN and infinities


@contextmanager
def translated(backend: Any, doing: str) -> Iterator[None]:
    """A reader's exceptions as seisproc's."""
    try:
        yield
    except backend.SegyError as error:
        raise DataError(str(error)) from None
    except backend.Cancelled:
        raise Cancelled from None
    except OSError as error:
        raise StorageError.from_os(error, doing) from error


class SegySurvey:
    """One survey from one or more files of the same sampling; see `seisproc_core.data.survey.Survey`.

    Parameters
    ----------
    files
        Open files, in the order of their traces.
    backend
        The module they were opened with.
    """

    def __init__(self, files: Sequence[SegyFile], options: ReadOptions, backend: Any) -> None:
        self._files, self._options, self._backend = list(files), options, backend
        check_same(self._files, any_length=options.lengths == "pad")
        first = self._files[0]
        self._starts = np.cumsum([0] + [file.traces for file in self._files])
        self.n_traces = int(self._starts[-1])
        self.raw_header_bytes = first.header_bytes
        with translated(backend, f"reading {first.path}"):
            maps = [places_of(file, options.header_map, options.words) for file in self._files]
            check_same_maps(self._files, maps)
            self._places = maps[0]
            check_given(options.set, self._places)
            self._dtypes = {name: column_dtype(type_) for name, (_, type_) in self._places.items()} | _OWN
            self._dtypes |= {name: given_dtype(name, self._places) for name in options.set}
            self._axis = self._make_axis()
            self._prefix = first.prefix()
            self.info = self._describe()
        # Declared for all formats but float32, though few samples need it: its absence tells a sink of changed samples.
        self.raw_sample_bytes = 0 if first.format == 5 else self._axis.count * first.sample_bytes
        self.sampling = Sampling(self._axis.start_ms / 1000, first.interval_s, self._axis.count)
        self._checked = False
        self.notes: Sequence[str] = self._notes()

    def _words(self, names: Sequence[str], file: SegyFile, start: int, stop: int, threads: int = 1) -> list[np.ndarray]:
        """Header words of some traces of a file; zeros for words that the header map leaves out."""

        def columns(fields: Sequence[tuple[int, str]]) -> list[np.ndarray]:
            found: list[np.ndarray] = file.columns(fields, start, stop, threads=threads)
            return found

        return words_or_zero(self._places, names, columns, stop - start, self._options.set)

    def _scan(self, names: Sequence[str]) -> list[np.ndarray]:
        """Header words of all traces, read with all CPUs: this is done while planning, when nothing else runs."""
        parts = [self._words(names, file, 0, file.traces, cpu_count()) for file in self._files]
        return parts[0] if len(parts) == 1 else [np.concatenate(column) for column in zip(*parts, strict=True)]

    def _make_axis(self) -> Axis:
        """The time axis of all traces: the first file's, or the common one that the options ask for."""
        first, options = self._files[0], self._options
        moving = options.delays == "pad" and options.delay_ms is None
        start_ms = 0.0 if moving else self._first_start()
        if not moving and options.lengths != "pad":
            return Axis(start_ms, first.interval_s * 1e3, first.samples)

        def delays(file: SegyFile, start: int, stop: int) -> Sequence[np.ndarray]:
            if moving:
                return self._words(_TIMING, file, start, stop)
            return np.full(stop - start, start_ms), np.zeros(stop - start)

        return common_axis(self._files, delays)

    def _first_start(self) -> float:
        if self._options.delay_ms is not None:
            return float(self._options.delay_ms)
        starts = {file.path: float(delay_ms(*self._words(_TIMING, file, 0, 1))[0]) for file in self._files}
        if len(set(starts.values())) > 1:
            self._check_timing()  # names the groups
        return next(iter(starts.values()))

    def _describe(self) -> SurveyInfo:
        first = self._files[0]
        prefix = self._prefix
        suffix = first.suffix() if len(self._files) == 1 and first.trailing_bytes <= _LARGEST_SUFFIX else b""
        unit: LengthUnit = self._options.length_unit or ("ft" if system_of(first, prefix) == 2 else "m")  # type: ignore[assignment]
        file = {
            "kind": first.kind,
            "endian": first.endian,
            "format": first.format,
            "revision": list(first.revision),
            "header_bytes": first.header_bytes,
            "samples": self._axis.count,
            "interval_us": first.interval_s * 1e6,
            "start_ms": self._axis.start_ms,
            "text_encoding": first.text_encoding,
            "prefix": base64.b64encode(prefix).decode(),
            "suffix": base64.b64encode(suffix).decode(),
            "overruled": self._overruled(),
            "inputs": [[Path(file.path).name, file.traces] for file in self._files],
        }
        return SurveyInfo(length_unit=unit, header_map=self._places, file=file)

    def _notes(self) -> list[str]:
        several = len(self._files) > 1
        notes = [
            f"{Path(file.path).name}: {finding}" if several else finding
            for file in self._files
            for finding in file.findings
            if self._options.interval_us is None or not finding.startswith("sample interval is 0")
        ]
        with translated(self._backend, f"reading {self._files[0].path}"):
            notes += notes_on(self._files[0], self._prefix, self._places, self._options)
        if self._files[0].trailing_bytes > _LARGEST_SUFFIX:
            notes.append(f"{self._files[0].trailing_bytes} bytes behind the last trace are not kept")
        if self._options.delay_ms is not None:
            notes.append(f"override: start time {self._options.delay_ms:g} ms")
        if self._axis.padded:
            axis, end = self._axis, self._axis.start_ms + (self._axis.count - 1) * self._axis.interval_ms
            notes.append(f"all traces are put on one axis, {axis.start_ms:g} to {end:g} ms: {axis.count} samples")
        return notes

    def _overruled(self) -> list[str]:
        """Options by which the survey is sampled otherwise than its headers say, and a sink has to say so."""
        axis = self._axis
        padded = {"samples": axis.padded, "delay_ms": axis.delays}
        return self._options.overruled + [
            name for name, does in padded.items() if does and name not in self._options.overruled
        ]

    def headers(self) -> Headers:
        """All header words; checks once that delay and interval are the same in all traces."""
        if not self._checked:
            self._check_timing()
            self._checked = True
        return Headers(LazyColumns(self._dtypes, self._load), self.n_traces, length_factor=self._length_factor)

    @property
    def _length_factor(self) -> float:
        return LENGTH_FACTOR[self.info.length_unit]

    def _check_timing(self) -> None:
        with translated(self._backend, "reading trace headers"):
            check_timing(
                self._files,
                lambda file, start, stop: self._words((*_TIMING, "sample_interval"), file, start, stop, cpu_count()),
                any_delay=self._options.delay_ms is not None or self._options.delays == "pad",
                any_interval=self._options.interval_us is not None,
            )

    def _load(self, name: str) -> np.ndarray:
        """One word of all traces."""
        if name == TRACE_ID:
            return self._trace_ids(np.arange(self.n_traces))
        if name in (LIVE_FIRST, LIVE_END, DEAD):
            return self._own[name]
        with translated(self._backend, f"reading header word {name}"):
            return self._scan([name])[0]

    @functools.cached_property
    def _own(self) -> dict[str, np.ndarray]:
        """Live windows and dead flags of all traces, as their headers tell them."""
        with translated(self._backend, "reading trace headers"):
            trace_type, delay, scalar = self._scan(("trace_type", *_TIMING))
            lengths = np.concatenate([file.lengths(0, file.traces) for file in self._files])
        dead = _dead_by_type(trace_type)
        first, end = self._live(delay, scalar, lengths, dead)
        return {LIVE_FIRST: first, LIVE_END: end, DEAD: dead}

    def _live(
        self, delay: np.ndarray, scalar: np.ndarray, lengths: np.ndarray, dead: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Live windows: where the axis has a trace's own samples; empty for dead traces."""
        first = self._axis.first(delay_ms(delay, scalar))
        end = np.where(dead > 0, 0, first + lengths)
        return first.astype(np.int32), end.astype(np.int32)

    def _trace_ids(self, rows: np.ndarray) -> np.ndarray:
        number = np.searchsorted(self._starts, rows, side="right") - 1
        ids: np.ndarray = (number.astype(np.int64) << _FILE_SHIFT) | (rows - self._starts[number])
        return ids

    def read(self, rows: np.ndarray | slice, *, flag: np.ndarray | None = None) -> Gather:
        """Traces and headers of some rows as one gather."""
        wanted = np.arange(*rows.indices(self.n_traces)) if isinstance(rows, slice) else np.asarray(rows, np.int64)
        if len(wanted) and (wanted.min() < 0 or wanted.max() >= self.n_traces):
            raise DataError(f"rows {wanted.min()} to {wanted.max()} asked for, the survey has {self.n_traces} traces")
        runs = list(self._runs(wanted))
        padded = self._axis.padded
        traces = (np.zeros if padded else np.empty)((len(wanted), self.sampling.count), np.float32)
        raw = np.empty((len(wanted), self.raw_header_bytes), np.uint8)
        lengths = np.full(len(wanted), self.sampling.count)
        exact = True
        with translated(self._backend, "reading traces"):
            for at, file, start, stop in runs:
                end = at + stop - start
                own, raw[at:end], kept = file.read(start, stop, traces=None if padded else traces[at:end], flag=flag)
                if padded:
                    lengths[at:end] = file.lengths(start, stop)
                    self._axis.place(own, self._first(raw[at:end]), traces[at:end])
                exact = exact and kept
            raw_samples = None if exact else self._raw_samples(runs, raw)
        return self._gather(wanted, traces, raw, raw_samples, lengths)

    def _first(self, raw: np.ndarray) -> np.ndarray:
        """First own sample of traces on the common axis, from their headers."""
        return self._axis.first(delay_ms(*self._decoded(raw, _TIMING)))

    def _decoded(self, raw: np.ndarray, names: Sequence[str]) -> list[np.ndarray]:
        """Words of headers in memory."""
        endian = self._files[0].endian
        return words_or_zero(
            self._places,
            names,
            lambda fields: self._backend.decode_columns(raw, fields, endian),
            len(raw),
            self._options.set,
        )

    def _raw_samples(self, runs: list[tuple[int, SegyFile, int, int]], raw: np.ndarray) -> np.ndarray:
        """Samples in the file's own form, padded with zero bytes as the decoded ones are with zeros."""
        if len(runs) == 1 and not self._axis.padded:
            _, file, start, stop = runs[0]
            return file.raw_samples(start, stop)
        out = np.zeros((len(raw), self.raw_sample_bytes), np.uint8)
        for at, file, start, stop in runs:
            end, own = at + stop - start, file.raw_samples(start, stop)
            self._axis.place(own, self._first(raw[at:end]), out[at:end], file.sample_bytes)
        return out

    def _runs(self, rows: np.ndarray) -> Iterator[tuple[int, SegyFile, int, int]]:
        """Stretches of neighbouring traces: place in the output, file, first and one past the last trace in it."""
        if not len(rows):
            return
        number = np.searchsorted(self._starts, rows, side="right") - 1
        breaks = np.flatnonzero((np.diff(rows) != 1) | (np.diff(number) != 0)) + 1
        for at, end in zip([0, *breaks.tolist()], [*breaks.tolist(), len(rows)], strict=True):
            start = int(rows[at] - self._starts[number[at]])
            yield at, self._files[number[at]], start, start + end - at

    def _gather(
        self,
        rows: np.ndarray,
        traces: np.ndarray,
        raw: np.ndarray,
        raw_samples: np.ndarray | None,
        lengths: np.ndarray,
    ) -> Gather:
        trace_type, delay, scalar = self._decoded(raw, ("trace_type", *_TIMING))
        if self._options.delay_ms is None and self._options.delays != "pad":
            self._refuse_other_start(rows, delay_ms(delay, scalar))
        dead = _dead_by_type(trace_type)
        dead[_all_zero(traces) & (dead == 0)] = 1
        # Of the others only samples that float32 does not hold exactly can have become infinite.
        if self._files[0].format in _IEEE or raw_samples is not None:
            self._mend_not_finite(rows, traces, raw_samples, dead)
        first, end = self._live(delay, scalar, lengths, dead)
        columns: dict[str, np.ndarray] = {
            TRACE_ID: self._trace_ids(rows), LIVE_FIRST: first, LIVE_END: end, DEAD: dead,
        }  # fmt: skip

        def load(name: str) -> np.ndarray:
            return columns[name] if name in columns else self._decoded(raw, [name])[0]

        headers = Headers(LazyColumns(self._dtypes, load), len(rows), length_factor=self._length_factor, raw=raw)
        return Gather(headers=headers, sampling=self.sampling, traces=traces, raw_samples=raw_samples)

    def _where(self, row: int) -> str:
        number = int(np.searchsorted(self._starts, row, side="right") - 1)
        return f"{self._files[number].path}, trace {row - self._starts[number] + 1}"

    def _refuse_other_start(self, rows: np.ndarray, starts: np.ndarray) -> None:
        odd = np.flatnonzero(starts != self._axis.start_ms)
        if odd.size:
            self._check_timing()
            raise DataError(f"{self._where(rows[odd[0]])} starts at {starts[odd[0]]:g} ms, the first trace does not")

    def _mend_not_finite(
        self, rows: np.ndarray, traces: np.ndarray, raw_samples: np.ndarray | None, dead: np.ndarray
    ) -> None:
        """Apply the `nan` option, in place."""
        if all_finite(traces):
            return
        bad = np.logical_not(np.isfinite(traces))
        held = np.flatnonzero(bad.any(axis=1))
        if self._options.nan == "error":
            row, sample = held[0], int(np.argmax(bad[held[0]]))
            raise DataError(
                f"{self._where(rows[row])} holds {traces[row, sample]} at sample {sample + 1}; {bad.sum()} samples in "
                f"{held.size} of the {len(rows)} traces read here are NaN, infinite or beyond float32: "
                'import with nan = "zero" or nan = "kill"'
            )
        if self._options.nan == "kill":
            bad[held] = True
            dead[held] = 3
        traces[bad] = 0
        if raw_samples is not None:
            # All formats write zero as zero bytes.
            raw_samples.reshape(*bad.shape, -1)[bad] = 0

    def identity(self) -> list[dict[str, Any]]:
        """Path, size, time stamp and a checksum over samples of the content of each file; a header map of one's own."""
        with translated(self._backend, "reading"):
            known = [_identity(file.path) for file in self._files]
        map_ = self._options.header_map
        if map_ == HeaderMap():
            return known
        digest = hashlib.sha256(repr(sorted(self._places.items())).encode()).hexdigest()
        return [*known, {"path": f"header map {map_.name}", "sha256": digest}]


def _dead_by_type(trace_type: np.ndarray) -> np.ndarray:
    return np.where(trace_type == _MARKED_DEAD, 2, 0).astype(np.uint8)


def _all_zero(traces: np.ndarray) -> np.ndarray:
    """Which traces hold nothing but zeros; looks at whole traces only where a few samples are zero."""
    probes = traces[:, :: max(1, traces.shape[1] // 7)]
    zero = np.flatnonzero(np.logical_not(probes.any(axis=1)))
    found = np.zeros(len(traces), bool)
    found[zero] = np.logical_not(traces[zero].any(axis=1))
    return found


def _identity(path: str) -> dict[str, Any]:
    with open(path, "rb") as file:
        stat = os.fstat(file.fileno())
        digest = hashlib.sha256()
        edge, block, blocks = 64 << 10, 4 << 10, 64
        offsets = [(0, edge), (max(0, stat.st_size - edge), edge)]
        offsets += [(stat.st_size * i // (blocks + 1), block) for i in range(1, blocks + 1)]
        small = io.BytesIO(file.read()) if stat.st_size <= 1 << 20 else None  # one read instead of many
        for offset, length in offsets:
            (small or file).seek(offset)
            digest.update((small or file).read(length))
    return {
        "path": os.path.abspath(path),
        "size": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "sample_sha256": digest.hexdigest(),
    }
