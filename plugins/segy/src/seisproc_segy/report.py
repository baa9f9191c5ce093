"""The check report of a delivered file: read again by another path than it was written, compared with its survey."""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.data.survey import OutputPlan
from seisproc_core.errors import DataError
from seisproc_segy import fallback
from seisproc_segy.backend import default_backend
from seisproc_segy.binaryheader import WORDS
from seisproc_segy.fields import decode_columns
from seisproc_segy.fileheaders import get
from seisproc_segy.samples import LIMITS, NAMES
from seisproc_segy.sink import SegySink, in_whole_units

_IBM_ROUNDING = 2.0**-21  # half a unit of the last of at least 21 bits
_ROUNDED_TO_FLOAT32 = 2.0**-24
# Words that an export sets by itself: what they hold follows from the file, not from the survey.
_OF_THE_FILE = frozenset({"sample_count", "sample_interval", "weighting_factor", "trace_type", "delay", "time_scalar"})
_SEQUENCE = frozenset({"trace_sequence_line", "trace_sequence_file"})


@attrs.define
class _Samples:
    """What was seen of the samples of a file."""

    low: float = np.inf
    high: float = -np.inf
    squares: float = 0.0
    count: int = 0
    dead: int = 0
    largest_difference: float = 0.0
    differing: int = 0
    first_differing: int = 0

    def add(self, first: int, found: np.ndarray, expected: np.ndarray, tolerance: np.ndarray) -> None:
        """A block of traces: those of the file as float64, those of the survey, and by how much they may differ."""
        self.low, self.high = min(self.low, float(found.min())), max(self.high, float(found.max()))
        self.squares += float(np.square(found).sum())
        self.count += found.size
        self.dead += int(np.count_nonzero(~found.any(axis=1)))
        difference = np.abs(found - expected)
        self.largest_difference = max(self.largest_difference, float(difference.max()))
        wrong = np.flatnonzero((difference > tolerance).any(axis=1))
        if wrong.size and not self.differing:
            self.first_differing = first + int(wrong[0]) + 1
        self.differing += wrong.size


@attrs.define
class _Word:
    """What was seen of a header word."""

    byte: int
    type: str
    first: float = 0.0
    last: float = 0.0
    low: float = np.inf
    high: float = -np.inf
    differing: int = 0
    example: str = ""

    def add(self, start: int, found: np.ndarray, expected: np.ndarray | None) -> None:
        if not start:
            self.first = found[0].item()
        self.last = found[-1].item()
        self.low, self.high = min(self.low, found.min().item()), max(self.high, found.max().item())
        wrong = np.flatnonzero(found != expected) if expected is not None else np.zeros(0, int)
        if wrong.size and not self.differing and expected is not None:
            self.example = (
                f"trace {start + wrong[0] + 1}: {found[wrong[0]]} in the file, {expected[wrong[0]]} in the survey"
            )
        self.differing += wrong.size


def check_export(path: str, plan: OutputPlan, rows: Iterable[Gather]) -> dict[str, Any]:
    """Read a file again and compare it with what it was made from.

    Parameters
    ----------
    plan
        Of the file's sink.
    rows
        What the sink was given, in order.

    Returns
    -------
    dict
        Plain JSON values, and ``text_report``, the same as lines for people. ``problems`` lists what is not as it
        should be.
    """
    sink = SegySink(plan, default_backend())
    file, reader = _opened(path, sink)
    samples, words = _Samples(), {name: _Word(*place) for name, place in sink.places.items() if name in plan.words}
    start = 0
    for gather in rows:
        stop = start + gather.n_traces
        if stop > file.traces:
            break
        _compare(file, sink, start, gather, samples, words)
        start = stop
    prefix = file.prefix()
    found: dict[str, Any] = {
        "file": path,
        "bytes": file.size,
        "sha256": _digest(path),
        "reader": reader,
        "kind": file.kind,
        "revision": f"{file.revision[0]}.{file.revision[1]}",
        "endian": file.endian,
        "format": file.format,
        "format_name": NAMES[file.format],
        "traces": file.traces,
        "traces_expected": plan.n_traces,
        "dead_traces": samples.dead,
        "samples": file.samples,
        "interval_us": round(file.interval_s * 1e6, 6),
        "text_encoding": file.text_encoding,
        "text": list(file.text()),
        "extended_text_records": len(file.extended()),
        "binary_header": {name: get(prefix, *WORDS[name], file.endian) for name in WORDS} if prefix else {},
        "sample_range": [samples.low, samples.high],
        "sample_rms": float(np.sqrt(samples.squares / max(samples.count, 1))),
        "scaling": plan.options.get("scaling"),
        "traces_that_differ": samples.differing,
        "largest_sample_difference": samples.largest_difference,
        "words": {name: attrs.asdict(word) for name, word in words.items() if word.high or word.low},
        "words_set_by_the_export": sorted(_set_by_export(sink) & {name for name, w in words.items() if w.differing}),
        "findings": list(file.findings),
        "segyio": _by_segyio(path, file),
    }
    found["problems"] = _problems(found, plan, samples, words, sink, start)
    found["text_report"] = _text(found)
    return found


def _opened(path: str, sink: SegySink) -> tuple[Any, str]:
    """The file by the NumPy reader, which shares no code with the native writer; by the native one where it refuses."""
    # A SEG-Y file has to tell its byte order by itself; an SU file cannot.
    kind: dict[str, Any] = {"kind": "su", "endian": sink.endian} if sink.kind == "su" else {"kind": "segy"}
    try:
        return fallback.SegyFile.open(path, **kind), "NumPy reader"
    except fallback.SegyError:
        backend = default_backend()
        try:
            return backend.SegyFile.open(path, **kind), "native reader (the NumPy reader refuses this kind of file)"
        except backend.SegyError as error:
            raise DataError(f"{path} cannot be read again: {error}") from None


def _compare(
    file: Any, sink: SegySink, start: int, gather: Gather, samples: _Samples, words: Mapping[str, _Word]
) -> None:
    stop = start + gather.n_traces
    traces, raw, _ = file.read(start, stop)
    found = np.asarray(traces, np.float64)
    exponent = np.zeros(gather.n_traces)
    if sink.scaling is not None:
        held = gather.headers.columns.get("weighting_factor", np.zeros(gather.n_traces))
        written = decode_columns(raw, [sink.places["weighting_factor"]], file.endian)[0]
        exponent = written.astype(np.float64) - held
    unit = np.exp2(-exponent)[:, None]
    found *= unit
    expected = np.asarray(gather.traces, np.float64)
    samples.add(start, found, expected, _tolerance(file.format, expected, unit))
    own = {name: gather.headers.column(name) for name in words}
    for name, column in zip(
        words, decode_columns(raw, [sink.places[name] for name in words], file.endian), strict=True
    ):
        words[name].add(start, column, in_whole_units(name, own[name], sink.places[name]))


def _tolerance(format_: int, expected: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """By how much a sample may differ from the survey's: the rounding of its format."""
    relative = {1: _IBM_ROUNDING}.get(format_, _ROUNDED_TO_FLOAT32 if format_ in LIMITS else 0.0)
    tolerance: np.ndarray = relative * np.abs(expected) + (0.5 * unit if format_ in LIMITS else 0.0)
    return tolerance


def _set_by_export(sink: SegySink) -> frozenset[str]:
    return _OF_THE_FILE | (_SEQUENCE if sink.renumbers else frozenset())


def _problems(
    found: Mapping[str, Any],
    plan: OutputPlan,
    samples: _Samples,
    words: Mapping[str, _Word],
    sink: SegySink,
    compared: int,
) -> list[str]:
    problems = []
    for what, expected in (("traces", plan.n_traces), ("samples", plan.sampling.count)):
        if found[what] != expected:
            problems.append(f"{found[what]} {what} in the file, {expected} in the survey")
    interval = plan.sampling.interval_s * (1e3 if plan.sampling.domain == "depth" else 1e6)
    if abs(found["interval_us"] - interval) > 1e-6 * interval and "interval_us" not in plan.info.file.get(
        "overruled", []
    ):
        problems.append(f"sample interval {found['interval_us']:g} in the file, {interval:g} in the survey")
    if (found["kind"], found["endian"]) != (sink.kind, sink.endian):
        problems.append(f"the file reads as {found['endian']}-endian {found['kind']}, written was {sink.endian}-endian")
    if compared != plan.n_traces:
        problems.append(f"only {compared} of {plan.n_traces} traces could be compared")
    if samples.differing:
        problems.append(
            f"samples of {samples.differing} traces differ by more than the rounding of format {found['format']}, "
            f"first in trace {samples.first_differing}"
        )
    for name, word in words.items():
        if word.differing and name not in _set_by_export(sink):
            problems.append(f"header word {name} differs in {word.differing} traces; {word.example}")
    if str(found["segyio"]).startswith("differs"):
        problems.append(f"segyio {found['segyio']}")
    return problems


def _digest(path: str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _by_segyio(path: str, file: Any) -> str:
    """What segyio makes of the file: agreement, difference, or why it does not read it."""
    try:
        import segyio
        import segyio.su
    except ImportError:
        return "not installed"
    opener = segyio.su.open if file.kind == "su" else segyio.open
    with contextlib.ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            other = stack.enter_context(opener(path, ignore_geometry=True, endian=file.endian))
            ends = [np.asarray(other.trace[0], np.float32), np.asarray(other.trace[file.traces - 1], np.float32)]
        except Exception as error:  # whatever another library raises is its opinion
            return f"does not read it: {type(error).__name__}: {' '.join(str(error).split())}"
        if (other.tracecount, len(other.samples)) != (file.traces, file.samples):
            return f"differs: {other.tracecount} traces of {len(other.samples)} samples"
        for number, theirs in zip((0, file.traces - 1), ends, strict=True):
            ours = np.asarray(file.read(number, number + 1)[0])[0]
            if not np.allclose(ours, theirs, rtol=1e-6, atol=0):
                return f"differs: samples of trace {number + 1}"
    return f"{version('segyio')} agrees: {file.traces} traces of {file.samples} samples, first and last trace alike"


def _text(found: Mapping[str, Any]) -> list[str]:
    """The report for people."""
    low, high = found["sample_range"]
    lines = [
        f"CHECK REPORT of {Path(found['file']).name}",
        "",
        f"result       {'no problem found' if not found['problems'] else 'PROBLEMS'}",
        *(f"             - {problem}" for problem in found["problems"]),
        f"file         {found['bytes']} bytes, sha256 {found['sha256']}",
        f"read by      {found['reader']}; segyio: {found['segyio']}",
        f"form         {found['kind']}, revision {found['revision']}, {found['endian']}-endian, "
        f"format {found['format']} ({found['format_name']})",
        f"traces       {found['traces']} ({found['dead_traces']} of them zero), {found['traces_expected']} expected",
        f"sampling     {found['samples']} samples, interval {found['interval_us']:g} us",
        f"samples      {low:.9g} to {high:.9g}, rms {found['sample_rms']:.6g}",
        f"differences  {found['traces_that_differ']} traces beyond the rounding of the format; largest "
        f"{found['largest_sample_difference']:.6g}",
    ]
    if found["scaling"] is not None:
        lines.append(
            f"scaling      {found['scaling']}: value = stored * 2^-N, N at bytes 169-170; ranges above are values"
        )
    if found["words_set_by_the_export"]:
        lines.append(f"set anew     {', '.join(found['words_set_by_the_export'])}")
    lines += [f"note         {finding}" for finding in found["findings"]]
    lines += ["", f"{'header word':24}{'byte':>5} {'type':4}{'first':>14}{'last':>14}{'least':>14}{'greatest':>14}"]
    for name, word in sorted(found["words"].items(), key=lambda item: item[1]["byte"]):
        values = "".join(f"{word[key]:>14.9g}" for key in ("first", "last", "low", "high"))
        lines.append(f"{name:24}{word['byte']:>5} {word['type']:4}{values}")
    stated = {name: value for name, value in found["binary_header"].items() if value}
    lines += ["", "binary header: " + (", ".join(f"{name} {value}" for name, value in stated.items()) or "-")]
    lines += ["", f"text header ({found['text_encoding']}):", *found["text"]]
    return ["".join(c if c.isprintable() else " " for c in line).rstrip() for line in lines]
