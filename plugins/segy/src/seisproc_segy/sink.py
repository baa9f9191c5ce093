"""Writing a survey as one SEG-Y or SU file: every trace has its place, so shards are byte ranges."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.data.survey import OutputPlan, Piece
from seisproc_core.data.words import DEAD, STANDARD, WORDS, unknown_word
from seisproc_core.errors import DataError, HeaderError, UsageError
from seisproc_segy import binaryheader, fileheaders, filetext
from seisproc_segy.detect import TRACE_HEADER
from seisproc_segy.fields import WIDTHS
from seisproc_segy.fileheaders import FileSampling, get, put
from seisproc_segy.headermap import STATED, Places
from seisproc_segy.options import write_options
from seisproc_segy.samples import LIMITS, NAMES, SAMPLE_BYTES, all_finite
from seisproc_segy.scaling import fitting_exponent, scaled
from seisproc_segy.timing import delay_ms, usable_scalar

_MARKED_DEAD = 2  # trace identification code (bytes 29-30)
_KILLED = 3  # from this reason on, seisproc killed the trace
_TIME_SCALARS = (1, -10, -100, -1000, -10000)
_SAME_MS = 1e-6
_SCALABLE = (2, 3, 7, 8)  # formats of signed integers
_ROUGH = 64.0  # samples below are looked at before they are rounded to whole numbers ...
_MOST_LOST = 0.03  # ... which may change their rms by so much


class SegySink:
    """One SEG-Y or SU file; see `seisproc_core.data.survey.Sink`.

    A trace header is the raw one with every word replaced whose column has another value. File headers are the
    original's, corrected where they would be wrong. What the headers say about sampling is left alone, even where they
    contradict each other, while the output's sampling is what they were read as.

    Attributes
    ----------
    kind, endian, places
        What is written, and where each header word goes.
    """

    def __init__(self, plan: OutputPlan, backend: Any) -> None:
        self._options = options = write_options(plan.options)
        self._plan, self._backend = plan, backend
        self._original: Mapping[str, Any] = plan.info.file if plan.info.file.get("kind") in ("segy", "su") else {}
        self._overruled = self._original.get("overruled", [])
        self.kind = options.kind or self._original.get("kind", "segy")
        self.endian = options.endian or self._original.get("endian", "big")
        self._swap = bool(self._original) and self.endian != self._original["endian"]
        self._format = options.format or self._default_format()
        self.places = _write_places(plan.info.header_map or _standard_places(), self._moved() | dict(options.words))
        self._header_bytes = TRACE_HEADER if self.kind == "su" else plan.raw_header_bytes or TRACE_HEADER
        self._sampling = _file_sampling(plan)
        self._check()
        kept_revision = int(self._original["revision"][0]) if self._original.get("kind") == "segy" else 1
        self._revision = options.revision if options.revision is not None else kept_revision
        self._fixed = self._fixed_words(self._revision != kept_revision)
        self._prefix = self._make_prefix() if self.kind == "segy" else b""
        self._suffix = self._make_suffix()
        self._stride = self._header_bytes + self._sampling.samples * SAMPLE_BYTES[self._format]
        body = plan.n_traces * self._stride
        self.shard_rows = max(1, min(max(body // 64, 1 << 20), 16 << 20) // self._stride)
        self.file_bytes: int | None = len(self._prefix) + body + len(self._suffix)

    @property
    def scaling(self) -> int | str | None:
        """The option of that name."""
        return self._options.scaling

    @property
    def renumbers(self) -> bool:
        """Whether trace sequence numbers are counted anew."""
        return self._options.renumber

    # ---------------------------------------------------------------------------------------------- what to write

    @property
    def _untouched(self) -> bool:
        """No step has changed samples: the plan still keeps their raw form."""
        if not self._original:
            return False
        width = SAMPLE_BYTES[int(self._original["format"])]
        return self._plan.raw_sample_bytes == width * self._plan.sampling.count

    def _default_format(self) -> int:
        if self.kind == "segy" and self._original and (self._untouched or self._original["format"] in (1, 5)):
            return int(self._original["format"])
        return 5

    def _moved(self) -> dict[str, tuple[int, str]]:
        """Words of the survey that a header map places elsewhere than the standard does."""
        if self._options.header_map.name == STATED:
            raise UsageError("header_map: the layout of a file is for reading; give a preset or a TOML file")
        places, usual = self._options.header_map.places, _standard_places()
        return {name: place for name, place in places.items() if name in self._plan.words and place != usual.get(name)}

    def _check(self) -> None:
        name = f"{self._format} ({NAMES[self._format]})"
        if self._plan.sampling.domain == "frequency":
            raise UsageError("SEG-Y holds traces in time or depth, not spectra")
        if self.kind == "su" and self._format != 5:
            raise UsageError(f"SU files hold float32 samples, sample format 5, not {name}")
        if self._format == 4 and not self._untouched:
            raise UsageError(f"sample format {name} is obsolete and only copied; write format 1, 2 or 5")
        if self._swap and self._plan.raw_header_bytes > TRACE_HEADER:
            raise UsageError(f"trace header extensions stay {self._original['endian']}-endian; leave out endian")
        if self._options.scaling is not None and self._format not in _SCALABLE:
            raise UsageError(
                f"scaling is for integer formats {', '.join(map(str, _SCALABLE))}; format {name} needs none"
            )
        if self._options.scaling is not None and "weighting_factor" not in self.places:
            raise UsageError(
                "scaling is recorded at bytes 169-170, where another word was placed; give that another byte"
            )
        for word, (byte, type_) in self.places.items():
            if byte + WIDTHS[type_] - 1 > self._header_bytes:
                raise UsageError(
                    f"word '{word}' at byte {byte} lies outside the {self._header_bytes}-byte trace header"
                )
        for word in self._options.words:
            if word not in self._plan.words:
                raise unknown_word(word, sorted(self._plan.words))

    def _keeps(self, name: str, value: float) -> bool:
        """Whether the output's sampling is what the original's headers were read as."""
        if self._plan.info.processed or self._original.get("kind") != self.kind or name in self._overruled:
            return False
        return abs(value - float(self._original[name])) <= 1e-9 * abs(value)

    def _fixed_words(self, new_revision: bool) -> dict[str, int]:
        """Words that follow from the output's sampling, where the original's headers cannot be left alone."""
        fixed = {}
        if new_revision or not self._keeps("samples", self._sampling.samples):
            fixed["sample_count"] = self._sampling.samples if self._sampling.short else 0
        if new_revision or not self._keeps("interval_us", self._sampling.interval):
            fixed["sample_interval"] = self._sampling.word or 0
        if new_revision and self._revision < 2 and self._header_bytes > TRACE_HEADER:
            raise UsageError(f"trace header extensions need revision 2, not {self._revision}; leave out revision")
        if fixed:
            self._sampling.check("SU" if self.kind == "su" else f"SEG-Y revision {self._revision}")
        return fixed

    def _make_prefix(self) -> bytes:
        feet = self._plan.info.length_unit != "m"
        kept = base64.b64decode(self._original["prefix"]) if self._original.get("kind") == "segy" else b""
        if kept:
            data = self._corrected(bytearray(fileheaders.swapped_prefix(kept) if self._swap else kept), feet)
        else:
            data = fileheaders.fresh_prefix(self._sampling, self._format, self.endian, self._revision, feet)
        info = self._plan.info
        told = binaryheader.ensemble_words(info.history, self._plan.largest_gather) | dict(self._options.binary)
        binaryheader.put_words(data, told, self.endian)
        known = filetext.fields(self._plan, self._format, "FEET" if feet else "METRES")
        was = self._original.get("text_encoding") if kept else None
        filetext.put_text(data, self._options, self._revision, self._plan, self.places, known, was)
        return bytes(data)

    def _corrected(self, data: bytearray, feet: bool) -> bytearray:
        """The original's file headers where they would be wrong for the output."""
        if self._revision != self._original["revision"][0]:
            if self._revision == 0:
                data = binaryheader.without_extended_text(data, self.endian)
            else:
                put(data, 3503, "H", 1, self.endian)  # all traces have the same length
            if self._revision == 2:
                put(data, 3297, "I", 0x01020304, self.endian)
            data[3500:3502] = bytes((self._revision, 0))
        if self._format != self._original["format"] or "format" in self._overruled:
            put(data, 3225, "H", self._format, self.endian)
        if "length_unit" in self._overruled:
            put(data, 3255, "H", 2 if feet else 1, self.endian)
        if self._fixed:
            fileheaders.put_sampling(data, self._sampling, self._revision, self.endian)
        if self._revision >= 2:
            self._put_counts(data)
        return data

    def _put_counts(self, data: bytearray) -> None:
        """Counts that revision 2 states in the binary header: traces, and trace header extensions."""
        if get(data, 3513, "Q", self.endian) and self._plan.n_traces != self._original["inputs"][0][1]:
            put(data, 3513, "Q", self._plan.n_traces, self.endian)
        if self._header_bytes != self._original["header_bytes"]:
            wide = get(data, 3507, "i", self.endian) == self._original["header_bytes"] // TRACE_HEADER - 1
            put(data, 3507, "i" if wide else "h", self._header_bytes // TRACE_HEADER - 1, self.endian)

    def _make_suffix(self) -> bytes:
        """Bytes behind the last trace: trailers the headers state always, others while the traces lie as they did."""
        if not self._original or self.kind != self._original["kind"]:
            return b""
        stated = self.kind == "segy" and self._revision >= 2 and get(self._prefix, 3529, "i", self.endian) != 0
        inputs, same_format = self._original["inputs"], self._format == self._original["format"]
        as_before = len(inputs) == 1 and inputs[0][1] == self._plan.n_traces and same_format and not self._fixed
        return base64.b64decode(self._original["suffix"]) if stated or as_before else b""

    # ---------------------------------------------------------------------------------------------------- pieces

    def encode(self, first_row: int, rows: Gather) -> list[Piece]:
        """The byte range of those rows."""
        raw_samples, traces, exponents = rows.raw_samples, rows.traces, None
        if self._swap or self._format != self._original.get("format") or self._options.scaling is not None:
            raw_samples = None
        if self._options.scaling is not None:
            traces, exponents = scaled(traces, self._format, self._options.scaling)
        if raw_samples is None:
            self._check_samples(first_row, traces)
        headers = self._headers(first_row, rows, exponents)
        try:
            body = self._body(traces, headers, raw_samples)
        except self._backend.SegyError as error:
            raise DataError(f"output traces from {first_row + 1} on: {error}") from None
        return [Piece("", body, len(self._prefix) + first_row * self._stride)]

    def _body(self, traces: np.ndarray, headers: np.ndarray, raw_samples: np.ndarray | None) -> np.ndarray:
        """Headers and samples interleaved; raw samples verbatim, but for rows of zeros, which were not kept."""
        how = {"format": self._format, "endian": self.endian}
        kept = np.zeros(len(traces), bool) if raw_samples is None else raw_samples.any(axis=1)
        if raw_samples is not None and (kept.all() or self._format == 4):
            return np.asarray(self._backend.encode(traces, headers, raw_samples=raw_samples, **how))
        body = np.asarray(self._backend.encode(traces, headers, **how))
        if raw_samples is not None:
            body.reshape(len(traces), -1)[kept, self._header_bytes :] = raw_samples[kept]
        return body

    def finish(self, data: Path) -> list[Piece]:
        """File headers, and what stood behind the last trace."""
        pieces = [Piece("", self._prefix)] if self._prefix else []
        if self._suffix:
            pieces.append(Piece("", self._suffix, len(self._prefix) + self._plan.n_traces * self._stride))
        return pieces

    def _check_samples(self, first_row: int, traces: np.ndarray) -> None:
        """Refuse NaN and infinities, and values beyond an integer format."""
        if not all_finite(traces):
            row, sample = np.argwhere(np.logical_not(np.isfinite(traces)))[0]
            raise DataError(
                f"output trace {first_row + row + 1} holds {traces[row, sample]} at sample {sample + 1}; find "
                "the step that made it, NaN and infinities are not written"
            )
        limits = LIMITS.get(self._format)
        if limits is None or not traces.size:
            return
        low, high = float(traces.min()), float(traces.max())
        if low < limits[0] - 0.5 or high > limits[1] + 0.5:
            told = 0 if self._options.scaling is None else int(self._options.scaling)
            fits = told + int(fitting_exponent(np.array(max(-low, high)), self._format))
            way_out = f"scaling = {fits} makes these fit" if self._format in _SCALABLE else "scale them first"
            raise UsageError(
                f"samples from {low:g} to {high:g} do not fit format {self._format} ({NAMES[self._format]}, "
                f"{limits[0]} to {limits[1]}); {way_out}, format 5 holds all"
            )
        if self._options.scaling is None and max(-low, high) < _ROUGH:
            self._refuse_rounding(traces, low, high)

    def _refuse_rounding(self, traces: np.ndarray, low: float, high: float) -> None:
        """Refuse to make whole numbers of samples of which little would be left."""
        power = float(np.square(traces, dtype=np.float64).sum())
        lost = float(np.square(traces - np.rint(traces), dtype=np.float64).sum())
        if lost > _MOST_LOST**2 * power:
            way_out = "format 5 holds them"
            if self._format in _SCALABLE:
                way_out = 'scaling = "survey" keeps them, scaling = 0 writes them so'
            raise UsageError(
                f"samples from {low:g} to {high:g} would change by {100 * (lost / power) ** 0.5:.0f} % when they are "
                f"rounded to the whole numbers of format {self._format} ({NAMES[self._format]}); {way_out}"
            )

    def _headers(self, first_row: int, rows: Gather, exponents: np.ndarray | None) -> np.ndarray:
        """Trace headers of the rows: the raw ones, with the words that differ."""
        headers = np.zeros((rows.n_traces, self._header_bytes), np.uint8)
        if rows.headers.raw is not None:
            raw = rows.headers.raw[:, : self._header_bytes]
            places = self._plan.info.header_map or _standard_places()
            headers[:, : raw.shape[1]] = raw[:, fileheaders.swap_order(places, WIDTHS)] if self._swap else raw
        columns = self._columns(first_row, rows)
        if exponents is not None:
            columns["weighting_factor"] = exponents + columns.get("weighting_factor", 0)
        fields = [self.places[name] for name in columns]
        try:
            self._backend.patch_columns(headers, fields, list(columns.values()), self.endian)
        except self._backend.SegyError:
            raise self._does_not_fit(columns, first_row) from None
        self._patch_start(headers, first_row)
        return headers

    def _columns(self, first_row: int, rows: Gather) -> dict[str, np.ndarray]:
        """Columns to write, by word."""
        held, count = rows.headers.columns, rows.n_traces
        columns: dict[str, np.ndarray] = {}
        if rows.headers.raw is None:
            number = np.arange(first_row, first_row + count) + 1
            columns = {"trace_sequence_line": number, "trace_sequence_file": number}
            columns["trace_type"] = np.ones(count, np.int16)  # seismic data
        columns |= {name: held[name] for name in self.places if name in held}
        columns |= {name: np.full(count, value) for name, value in self._fixed.items()}
        if self._options.renumber:
            number = np.arange(first_row, first_row + count) + 1
            columns |= {"trace_sequence_line": number, "trace_sequence_file": number}
        if DEAD in held and (killed := held[DEAD] >= _KILLED).any() and "trace_type" in columns:
            columns["trace_type"] = np.where(killed, _MARKED_DEAD, columns["trace_type"])
        return {n: in_whole_units(n, c, self.places[n]) for n, c in columns.items() if n in self.places}

    def _does_not_fit(self, columns: dict[str, np.ndarray], first_row: int) -> HeaderError:
        """What to say of the first value that does not fit its place."""
        name = next(name for name in columns if not self._fits(self.places[name], columns[name]))
        place, column = self.places[name], columns[name]
        row = next(row for row in range(len(column)) if not self._fits(place, column[row : row + 1]))
        return HeaderError(
            f"header word '{name}' of output trace {first_row + row + 1} is {column[row]}, which does not fit byte "
            f"{place[0]} as {place[1]}; give the word a wider place or scale it"
        )

    def _fits(self, place: tuple[int, str], values: np.ndarray) -> bool:
        headers = np.zeros((len(values), self._header_bytes), np.uint8)
        try:
            self._backend.patch_columns(headers, [place], [values], self.endian)
        except self._backend.SegyError:
            return False
        return True

    def _patch_start(self, headers: np.ndarray, first_row: int) -> None:
        """Write the recording delay where the headers say another one; the time scalar stays, other words need it."""
        start = self._plan.sampling.start_s * (1e3 if self._plan.sampling.domain == "time" else 1.0)
        converted = bool(self._original) and self._original["kind"] != self.kind
        same = bool(self._original) and abs(start - self._original["start_ms"]) < _SAME_MS
        if same and not converted and "delay_ms" not in self._overruled:
            return
        fields = [self.places.get(name, _standard_places()[name]) for name in ("delay", "time_scalar")]
        delay, scalar = self._backend.decode_columns(headers, fields, self.endian)
        found = scalar
        if converted:  # SU has no time scalar: its programs heed none, and its files hold anything there
            scalar = usable_scalar(scalar) if self.kind == "segy" else np.zeros_like(scalar)
        if (np.abs(delay_ms(delay, scalar) - start) < _SAME_MS).all() and np.array_equal(scalar, found):
            return
        if not scalar.any():
            scalar = np.full(len(headers), _scalar_for(start), np.int16)
        unit = delay_ms(np.ones(len(scalar)), scalar)
        stored = np.rint(start / unit)
        bad = np.flatnonzero((np.abs(stored * unit - start) > _SAME_MS) | (np.abs(stored) > 32767))
        if bad.size:
            raise HeaderError(
                f"output trace {first_row + int(bad[0]) + 1}: the start time {start:g} ms does not fit the delay word "
                f"(bytes 109-110) with scalar {scalar[bad[0]]}; resample to start at a whole number of milliseconds"
            )
        values = [stored.astype(np.int64), scalar.astype(np.int64)]
        self._backend.patch_columns(headers, fields, values, self.endian)


def _write_places(known: Places, given: Places) -> dict[str, tuple[int, str]]:
    """Where words are written: those that were asked for last, and none that would share bytes with them."""
    taken = {at for byte, type_ in given.values() for at in range(byte, byte + WIDTHS[type_])}
    kept = {
        name: (byte, type_)
        for name, (byte, type_) in known.items()
        if name not in given and taken.isdisjoint(range(byte, byte + WIDTHS[type_]))
    }
    return kept | dict(given)


def _standard_places() -> dict[str, tuple[int, str]]:
    return {name: (word.byte, word.type) for name, word in STANDARD.items()}


def in_whole_units(name: str, column: np.ndarray, place: tuple[int, str]) -> np.ndarray:
    """Offsets have no scalar in SEG-Y: of one that is no whole number of units, the nearest is written."""
    is_length = name in WORDS and WORDS[name].kind == "length"
    if column.dtype.kind == "f" and place[1][0] in "iu" and is_length:
        rounded: np.ndarray = np.rint(column)
        return rounded
    return column


def _scalar_for(start_ms: float) -> int:
    """The time scalar with which the delay word holds the start time; 0, which is one, where it needs none."""
    for scalar in _TIME_SCALARS:
        stored = start_ms * abs(scalar)
        if abs(stored - round(stored)) < _SAME_MS and abs(stored) <= 32767:
            return 0 if scalar == 1 else scalar
    return 0


def _file_sampling(plan: OutputPlan) -> FileSampling:
    """Sampling in microseconds; for depth in millimetres, as is the custom."""
    unit = 1e3 if plan.sampling.domain == "depth" else 1e6
    return FileSampling(samples=plan.sampling.count, interval=plan.sampling.interval_s * unit)
