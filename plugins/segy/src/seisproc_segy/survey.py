"""SEG-Y and SU files as one survey: lazy headers, streamed samples."""

from __future__ import annotations

import base64
import hashlib
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
from seisproc_core.data.words import DEAD, LIVE_END, LIVE_FIRST, STANDARD, TRACE_ID
from seisproc_core.errors import Cancelled, DataError, ParameterError, StorageError
from seisproc_segy.fields import WIDTHS, column_dtype
from seisproc_segy.options import Places, ReadOptions
from seisproc_segy.samples import all_finite
from seisproc_segy.timing import check_same, check_timing, delay_ms, odd_scalar

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
_ANGLES = {2: "seconds of arc", 3: "decimal degrees", 4: "degrees, minutes, seconds"}
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
        check_same(self._files)
        first = self._files[0]
        self._starts = np.cumsum([0] + [file.traces for file in self._files])
        self.n_traces = int(self._starts[-1])
        self.raw_header_bytes = first.header_bytes
        # Declared for all formats but float32, though few samples need it: its absence tells a sink of changed samples.
        self.raw_sample_bytes = 0 if first.format == 5 else first.samples * first.sample_bytes
        self._places = self._all_places(first.header_bytes)
        self._dtypes = {name: column_dtype(type_) for name, (_, type_) in self._places.items()} | _OWN
        with translated(backend, f"reading {first.path}"):
            self._start_ms = self._first_start()
            self.info = self._describe()
        self.sampling = Sampling(self._start_ms / 1000, first.interval_s, first.samples)
        self._checked = False
        self.notes: Sequence[str] = self._notes()

    def _all_places(self, header_bytes: int) -> Places:
        for name, (byte, type_) in self._options.words.items():
            last = header_bytes - WIDTHS[type_] + 1
            if byte > last:
                raise ParameterError("segy", "words", f"has {name} at byte {byte}; the last possible is {last}")
        return {name: (word.byte, word.type) for name, word in STANDARD.items()} | dict(self._options.words)

    def _first_start(self) -> float:
        if self._options.delay_ms is not None:
            return float(self._options.delay_ms)
        fields = [self._places["delay"], self._places["time_scalar"]]
        starts = {file.path: float(delay_ms(*file.columns(fields, 0, 1))[0]) for file in self._files}
        if len(set(starts.values())) > 1:
            self._check_timing()  # names the groups
        return next(iter(starts.values()))

    def _describe(self) -> SurveyInfo:
        first = self._files[0]
        prefix = first.prefix()
        suffix = first.suffix() if len(self._files) == 1 and first.trailing_bytes <= _LARGEST_SUFFIX else b""
        order = "big" if first.endian == "big" else "little"
        feet = first.kind == "segy" and int.from_bytes(prefix[3254:3256], order) == 2  # type: ignore[arg-type]
        unit: LengthUnit = self._options.length_unit or ("ft" if feet else "m")  # type: ignore[assignment]
        file = {
            "kind": first.kind,
            "endian": first.endian,
            "format": first.format,
            "revision": list(first.revision),
            "header_bytes": first.header_bytes,
            "samples": first.samples,
            "interval_us": first.interval_s * 1e6,
            "start_ms": self._start_ms,
            "text_encoding": first.text_encoding,
            "prefix": base64.b64encode(prefix).decode(),
            "suffix": base64.b64encode(suffix).decode(),
            "overruled": self._options.overruled,
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
        notes += self._odd_units() + self._odd_scalar()
        if self._files[0].trailing_bytes > _LARGEST_SUFFIX:
            notes.append(f"{self._files[0].trailing_bytes} bytes behind the last trace are not kept")
        if self._options.delay_ms is not None:
            notes.append(f"override: start time {self._options.delay_ms:g} ms")
        return notes

    def _odd_scalar(self) -> list[str]:
        """A remark on a time scalar that was left out of account."""
        if self._options.delay_ms is not None:
            return []
        first = self._files[0]
        with translated(self._backend, f"reading {first.path}"):
            return odd_scalar(*first.columns([self._places[name] for name in ("delay", "time_scalar")], 0, 1))

    def _odd_units(self) -> list[str]:
        """Remarks on unit words that contradict what the survey makes of lengths."""
        first = self._files[0]
        with translated(self._backend, f"reading {first.path}"):
            unit = int(first.columns([self._places["coordinate_units"]], 0, 1)[0][0])
            system = first.prefix()[3254:3256]
        notes = []
        if unit in _ANGLES:
            notes.append(
                f"coordinates are in {_ANGLES[unit]} (bytes 89-90 of the first trace header): they are no lengths"
            )
        if system and int.from_bytes(system, "big" if first.endian == "big" else "little") not in (0, 1, 2):
            notes.append(f"measurement system at bytes 3255-3256 is unknown: {self.info.length_unit} taken")
        return notes

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
                [self._places[name] for name in ("delay", "time_scalar", "sample_interval")],
                any_delay=self._options.delay_ms is not None,
                any_interval=self._options.interval_us is not None,
            )

    def _load(self, name: str) -> np.ndarray:
        """One word of all traces."""
        if name == TRACE_ID:
            return self._trace_ids(np.arange(self.n_traces))
        if name == LIVE_FIRST:
            return np.zeros(self.n_traces, np.int32)
        if name == LIVE_END:
            return np.where(self._load(DEAD) > 0, 0, self.sampling.count).astype(np.int32)
        if name == DEAD:
            return _dead_by_type(self._load("trace_type"))
        with translated(self._backend, f"reading header word {name}"):
            parts = [file.columns([self._places[name]], 0, file.traces)[0] for file in self._files]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

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
        traces = np.empty((len(wanted), self.sampling.count), np.float32)
        raw = np.empty((len(wanted), self.raw_header_bytes), np.uint8)
        exact = True
        with translated(self._backend, "reading traces"):
            for at, file, start, stop in runs:
                end = at + stop - start
                _, raw[at:end], kept = file.read(start, stop, traces=traces[at:end], flag=flag)
                exact = exact and kept
            raw_samples = None if exact else _raw_samples(runs, len(wanted), self.raw_sample_bytes)
        return self._gather(wanted, traces, raw, raw_samples)

    def _runs(self, rows: np.ndarray) -> Iterator[tuple[int, SegyFile, int, int]]:
        """Stretches of neighbouring traces: place in the output, file, first and one past the last trace in it."""
        if not len(rows):
            return
        number = np.searchsorted(self._starts, rows, side="right") - 1
        breaks = np.flatnonzero((np.diff(rows) != 1) | (np.diff(number) != 0)) + 1
        for at, end in zip([0, *breaks.tolist()], [*breaks.tolist(), len(rows)], strict=True):
            start = int(rows[at] - self._starts[number[at]])
            yield at, self._files[number[at]], start, start + end - at

    def _gather(self, rows: np.ndarray, traces: np.ndarray, raw: np.ndarray, raw_samples: np.ndarray | None) -> Gather:
        fields = [self._places[name] for name in ("trace_type", "delay", "time_scalar")]
        trace_type, delay, scalar = self._backend.decode_columns(raw, fields, self._files[0].endian)
        if self._options.delay_ms is None:
            self._refuse_other_start(rows, delay_ms(delay, scalar))
        dead = _dead_by_type(trace_type)
        dead[_all_zero(traces) & (dead == 0)] = 1
        # Of the others only samples that float32 does not hold exactly can have become infinite.
        if self._files[0].format in _IEEE or raw_samples is not None:
            self._mend_not_finite(rows, traces, raw_samples, dead)
        columns: dict[str, np.ndarray] = {
            TRACE_ID: self._trace_ids(rows),
            LIVE_FIRST: np.zeros(len(rows), np.int32),
            LIVE_END: np.where(dead > 0, 0, self.sampling.count).astype(np.int32),
            DEAD: dead,
        }

        def load(name: str) -> np.ndarray:
            if name in columns:
                return columns[name]
            column: np.ndarray = self._backend.decode_columns(raw, [self._places[name]], self._files[0].endian)[0]
            return column

        headers = Headers(LazyColumns(self._dtypes, load), len(rows), length_factor=self._length_factor, raw=raw)
        return Gather(headers=headers, sampling=self.sampling, traces=traces, raw_samples=raw_samples)

    def _where(self, row: int) -> str:
        number = int(np.searchsorted(self._starts, row, side="right") - 1)
        return f"{self._files[number].path}, trace {row - self._starts[number] + 1}"

    def _refuse_other_start(self, rows: np.ndarray, starts: np.ndarray) -> None:
        odd = np.flatnonzero(starts != self._start_ms)
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
        """Path, size, time stamp and a checksum over samples of the content of each file."""
        with translated(self._backend, "reading"):
            return [_identity(file.path) for file in self._files]


def _dead_by_type(trace_type: np.ndarray) -> np.ndarray:
    return np.where(trace_type == _MARKED_DEAD, 2, 0).astype(np.uint8)


def _all_zero(traces: np.ndarray) -> np.ndarray:
    """Which traces hold nothing but zeros; looks at whole traces only where a few samples are zero."""
    probes = traces[:, :: max(1, traces.shape[1] // 7)]
    zero = np.flatnonzero(np.logical_not(probes.any(axis=1)))
    found = np.zeros(len(traces), bool)
    found[zero] = np.logical_not(traces[zero].any(axis=1))
    return found


def _raw_samples(runs: list[tuple[int, SegyFile, int, int]], count: int, width: int) -> np.ndarray:
    if len(runs) == 1:
        _, file, start, stop = runs[0]
        return file.raw_samples(start, stop)
    out = np.empty((count, width), np.uint8)
    for at, file, start, stop in runs:
        out[at : at + stop - start] = file.raw_samples(start, stop)
    return out


def _identity(path: str) -> dict[str, Any]:
    with open(path, "rb") as file:
        stat = os.fstat(file.fileno())
        digest = hashlib.sha256()
        edge, block, blocks = 64 << 10, 4 << 10, 64
        offsets = [(0, edge), (max(0, stat.st_size - edge), edge)]
        offsets += [(stat.st_size * i // (blocks + 1), block) for i in range(1, blocks + 1)]
        for offset, length in offsets:
            file.seek(offset)
            digest.update(file.read(length))
    return {
        "path": os.path.abspath(path),
        "size": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "sample_sha256": digest.hexdigest(),
    }
