"""SEG-2 files as one survey: headers from keywords, samples read when asked for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.data.headers import Headers
from seisproc_core.data.sampling import Sampling
from seisproc_core.data.survey import LENGTH_FACTOR, LengthUnit, SurveyInfo
from seisproc_core.data.words import DEAD, LIVE_END, LIVE_FIRST, TRACE_ID
from seisproc_core.errors import Cancelled, DataError, StorageError
from seisproc_seg2 import keywords as kw
from seisproc_seg2.columns import make_columns
from seisproc_seg2.fileformat import Seg2File, TraceBlock
from seisproc_seg2.options import ReadOptions
from seisproc_seg2.samples import decode

_FILE_SHIFT = 40  # trace_id: file number << 40 | position
_MARKED_DEAD = 2
_MOST_GROUPS = 6
_HELD_NAN = 3


class Seg2Survey:
    """One survey from one or more files of the same sampling; see `seisproc_core.data.survey.Survey`."""

    raw_header_bytes = raw_sample_bytes = 0

    def __init__(self, files: Sequence[Seg2File], options: ReadOptions) -> None:
        self._files, self._options = list(files), options
        self._traces = [(file, trace) for file in files for trace in file.traces]
        self.n_traces = len(self._traces)
        self.sampling = self._common_sampling()
        notes = [f"{file.name}: {finding}" for file in files for finding in file.findings]
        unit, per_unit = self._unit(notes)
        columns, remarks = make_columns(files, options.field_record, per_unit)
        self._columns = columns | self._own(columns["trace_type"])
        self.info = SurveyInfo(length_unit=unit, file=self._describe())
        self.notes: Sequence[str] = [*notes, *remarks, *self._about_samples()]

    def _common_sampling(self) -> Sampling:
        """The sampling all traces share.

        Raises
        ------
        DataError
            They do not, or a file does not say; the groups are listed.
        """
        options = self._options
        interval: dict[float, tuple[int, str]] = {}
        delay: dict[float, tuple[int, str]] = {}
        samples: dict[float, tuple[int, str]] = {}
        for file, trace in self._traces:
            words = {**file.keywords, **trace.keywords}
            step = kw.seconds(words, "SAMPLE_INTERVAL", file.name) if options.interval_us is None else None
            if options.interval_us is not None:
                step = options.interval_us * 1e-6
            if not step or step < 0:
                raise DataError(f"{file.name} states no sample interval; interval_us = N gives one")
            start = kw.seconds(words, "DELAY", file.name) if options.delay_ms is None else options.delay_ms / 1000
            for groups, value in ((interval, step), (delay, start or 0.0), (samples, trace.samples)):
                groups[value] = (groups.get(value, (0, file.name))[0] + 1, groups.get(value, (0, file.name))[1])
        _refuse_mixed(interval, "sample interval", "s; interval_us = N reads all with one")
        _refuse_mixed(delay, "delay", "s; delay_ms = N reads all with one")
        _refuse_mixed(samples, "number of samples", "; import them separately")
        return Sampling(next(iter(delay)), next(iter(interval)), int(next(iter(samples))))

    def _unit(self, notes: list[str]) -> tuple[LengthUnit, float]:
        if self._options.length_unit is not None:
            return self._options.length_unit, 1.0
        found = {kw.unit_of(file.keywords) for file in self._files}
        if None in found:
            notes.append("the unit of locations (UNITS) is unknown: metres taken; length_unit = ... chooses")
            return "m", 1.0
        if len(found) > 1:
            raise DataError("files differ in UNITS; length_unit = ... reads all in one")
        unit, per_unit = next(iter(found)) or ("m", 1.0)
        return ("ft" if unit == "ft" else "m"), per_unit

    def _own(self, trace_type: np.ndarray) -> dict[str, np.ndarray]:
        """The words seisproc adds."""
        counts = [len(file.traces) for file in self._files]
        number = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
        position = np.concatenate([np.arange(count, dtype=np.int64) for count in counts])
        dead = np.where(trace_type == _MARKED_DEAD, 2, 0).astype(np.uint8)
        return {
            TRACE_ID: (number << _FILE_SHIFT) | position,
            LIVE_FIRST: np.zeros(self.n_traces, np.int32),
            LIVE_END: np.where(dead > 0, 0, self.sampling.count).astype(np.int32),
            DEAD: dead,
        }

    def _describe(self) -> dict[str, Any]:
        """What the survey remembers of its files: the first one's strings, and names."""
        first = self._files[0]
        return {
            "kind": "seg2",
            "keywords": dict(first.keywords),
            "inputs": [[file.name, len(file.traces)] for file in self._files],
        }

    def _about_samples(self) -> list[str]:
        notes = []
        if self._options.descale and "descaling_factor" not in self._columns:
            raise DataError("descale: the files state no DESCALING_FACTOR")
        if self._options.descale:
            notes.append("samples were multiplied with DESCALING_FACTOR: millivolts")
        elif "descaling_factor" in self._columns:
            notes.append(
                "samples as recorded; DESCALING_FACTOR, to millivolts, is kept as word descaling_factor, and descale = "
                "true applies it"
            )
        if self.sampling.start_s > 0 and self._options.delay_ms is None:
            notes.append(
                f"DELAY {self.sampling.start_s:g} s: the first sample is taken to be that long after the shot, as the "
                f"standard says; where it is a time before the shot: delay_ms = {-1000 * self.sampling.start_s:g}"
            )
        if "polarity" in self._columns and (self._columns["polarity"] < 0).any():
            notes.append("some traces have POLARITY -1: kept as word polarity, samples as recorded")
        return notes

    def headers(self) -> Headers:
        return Headers(dict(self._columns), self.n_traces, length_factor=LENGTH_FACTOR[self.info.length_unit])

    def read(self, rows: np.ndarray | slice, *, flag: np.ndarray | None = None) -> Gather:
        """Traces and headers of some rows as one gather."""
        wanted = np.arange(*rows.indices(self.n_traces)) if isinstance(rows, slice) else np.asarray(rows, np.int64)
        if len(wanted) and (wanted.min() < 0 or wanted.max() >= self.n_traces):
            raise DataError(f"rows {wanted.min()} to {wanted.max()} asked for, the survey has {self.n_traces} traces")
        traces = np.empty((len(wanted), self.sampling.count), np.float32)
        opened: tuple[str, int] | None = None
        try:
            for at, row in enumerate(wanted.tolist()):
                if flag is not None and flag[0]:
                    raise Cancelled
                file, trace = self._traces[row]
                if opened is None or opened[0] != file.path:
                    if opened is not None:
                        os.close(opened[1])
                    opened = None
                    opened = (file.path, os.open(file.path, os.O_RDONLY))
                traces[at] = self._samples(opened[1], file, trace, row)
        except OSError as error:
            raise StorageError.from_os(error, "reading traces") from error
        finally:
            if opened is not None:
                os.close(opened[1])
        headers = self.headers().take(wanted).loaded()
        dead = headers.column(DEAD).copy()
        self._mend_not_finite(wanted, traces, dead)
        dead[(dead == 0) & ~traces.any(axis=1)] = 1
        ends = np.where(dead > 0, 0, self.sampling.count).astype(np.int32)
        return Gather(
            headers=headers.with_columns(**{DEAD: dead, LIVE_END: ends}), sampling=self.sampling, traces=traces
        )

    def _samples(self, descriptor: int, file: Seg2File, trace: TraceBlock, row: int) -> np.ndarray:
        data = os.pread(descriptor, trace.length, trace.offset)
        if len(data) < trace.length:
            raise DataError(f"{file.path} became shorter while it was read")
        values = decode(data, trace.samples, trace.format, file.order)
        if self._options.descale:
            values *= self._columns["descaling_factor"][row]
        with np.errstate(over="ignore"):
            return values.astype(np.float32)

    def _mend_not_finite(self, rows: np.ndarray, traces: np.ndarray, dead: np.ndarray) -> None:
        """Apply the `nan` option, in place."""
        bad = ~np.isfinite(traces)
        held = np.flatnonzero(bad.any(axis=1))
        if not held.size:
            return
        if self._options.nan == "error":
            sample = int(np.argmax(bad[held[0]]))
            file = self._traces[rows[held[0]]][0]
            raise DataError(
                f"{file.path}: trace {rows[held[0]] + 1} of the survey holds {traces[held[0], sample]} at sample "
                f'{sample + 1}; {held.size} of the {len(rows)} traces read here do: import with nan = "zero" or "kill"'
            )
        if self._options.nan == "kill":
            bad[held] = True
            dead[held] = _HELD_NAN
        traces[bad] = 0

    def identity(self) -> list[dict[str, Any]]:
        """Path, size, time stamp and checksum of each file."""
        found = []
        for name in self._files:
            try:
                with open(name.path, "rb") as file:
                    stat = os.fstat(file.fileno())
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise StorageError.from_os(error, f"reading {name.path}") from error
            path = os.path.abspath(name.path)
            found.append({"path": path, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": digest})
        return found


def _refuse_mixed(groups: dict[float, tuple[int, str]], what: str, way_out: str) -> None:
    if len(groups) < 2:
        return
    listed = [f"{count} traces at {value:g} (first: {where})" for value, (count, where) in groups.items()]
    more = f" and {len(listed) - _MOST_GROUPS} more groups" if len(listed) > _MOST_GROUPS else ""
    raise DataError(f"traces differ in {what}: {', '.join(listed[:_MOST_GROUPS])}{more} {way_out}")
