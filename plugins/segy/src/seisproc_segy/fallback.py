"""The reader without the native library: segyio finds the structure, NumPy decodes; what it cannot read it refuses.

Names and signatures are those of `seisproc_native_segy`: either can stand behind a survey, and each checks the other.
"""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
import numpy as np

from seisproc_segy import detect
from seisproc_segy.detect import FILE_HEADER, TEXT, TRACE_HEADER, ebcdic_decode, ebcdic_encode, integer
from seisproc_segy.errors import Cancelled, SegyError
from seisproc_segy.fields import decode_columns, patch_columns
from seisproc_segy.samples import NAMES, SAMPLE_BYTES, survives
from seisproc_segy.samples import decode as decode_samples
from seisproc_segy.samples import encode as encode_samples

__all__ = [
    "Cancelled", "SegyError", "SegyFile", "decode_columns", "ebcdic_decode", "ebcdic_encode", "encode", "patch_columns",
]  # fmt: skip

_READS = (1, 2, 3, 5, 6, 8, 9, 10, 11, 12, 16)
_FLOATS = (5, 6)
_BLOCK = 1 << 20
_MOST_EXTENSIONS = 255
_NEEDS_NATIVE = "install seisproc-native-segy to read it"


@attrs.frozen(kw_only=True)
class SegyFile:
    """An open SEG-Y or SU file; see `seisproc_native_segy.SegyFile`."""

    path: str
    kind: str
    size: int
    endian: str
    format: int
    sample_bytes: int
    revision: tuple[int, int]
    samples: int
    interval_s: float
    traces: int
    data_offset: int
    trace_stride: int
    header_bytes: int
    extended_text: int
    text_encoding: str
    trailing_bytes: int = 0
    findings: list[str]

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        kind: str | None = None,
        endian: str | None = None,
        format: int | None = None,
        samples: int | None = None,
        interval_us: float | None = None,
        text_encoding: str | None = None,
        revision: tuple[int, int] | None = None,
        lengths: str = "same",
        lenient: bool = False,
    ) -> SegyFile:
        name = os.fspath(path)
        refused = {"samples": samples, "format": format, "revision": revision, "lenient": lenient or None}
        for option, value in (refused | {"lengths": None if lengths == "same" else lengths}).items():
            if value is not None:
                raise SegyError(f"{name}: the reader without native code has no option '{option}'; {_NEEDS_NATIVE}")
        fd = os.open(name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            file = _open(name, fd, kind, endian, text_encoding)
        finally:
            os.close(fd)
        if interval_us is not None:
            findings = [*file.findings, f"override: sample interval {interval_us} us"]
            file = attrs.evolve(file, interval_s=interval_us * 1e-6, findings=findings)
        return file

    @property
    def reasons(self) -> dict[str, str]:
        return dict.fromkeys(("kind", "endian", "format", "samples", "interval"), "as segyio and the headers have it")

    def text(self) -> list[str]:
        if self.kind == "su":
            return []
        return detect.text_lines(self._bytes(0, TEXT), self.text_encoding)

    def extended(self) -> list[str]:
        records = [self._bytes(FILE_HEADER + i * TEXT, TEXT) for i in range(self.extended_text)]
        return [detect.decode_text(record, detect.guess_text(record)[0]) for record in records]

    def prefix(self) -> bytes:
        return self._bytes(0, self.data_offset)

    def suffix(self) -> bytes:
        return self._bytes(self.size - self.trailing_bytes, self.trailing_bytes)

    def headers(self, start: int, stop: int) -> np.ndarray:
        out = np.empty((stop - start, self.header_bytes), np.uint8)
        for at, block in self._blocks(start, stop, None):
            out[at : at + len(block)] = block[:, : self.header_bytes]
        return out

    def lengths(self, start: int, stop: int) -> np.ndarray:
        return np.full(stop - start, self.samples, np.uint32)

    def columns(
        self, fields: Sequence[tuple[int, str]], start: int, stop: int, *, threads: int = 1, flag: Any = None
    ) -> list[np.ndarray]:
        parts = [
            decode_columns(block[:, : self.header_bytes], fields, self.endian)
            for _, block in self._blocks(start, stop, flag)
        ]
        if not parts:
            return decode_columns(np.empty((0, self.header_bytes), np.uint8), fields, self.endian)
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    def read(
        self,
        start: int,
        stop: int,
        *,
        traces: np.ndarray | None = None,
        threads: int = 1,
        flag: Any = None,
        progress: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray, bool]:
        if traces is None:
            traces = np.empty((stop - start, self.samples), np.float32)
        headers = np.empty((stop - start, self.header_bytes), np.uint8)
        exact = True
        for at, block in self._blocks(start, stop, flag):
            end = at + len(block)
            headers[at:end] = block[:, : self.header_bytes]
            raw = np.ascontiguousarray(block[:, self.header_bytes :])
            traces[at:end] = decode_samples(raw, self.format, self.endian)
            exact = exact and survives(traces[at:end], raw, self.format, self.endian)
            if progress is not None:
                progress[0] += len(block)
        return traces, headers, exact

    def raw_samples(self, start: int, stop: int) -> np.ndarray:
        out = np.empty((stop - start, self.samples * self.sample_bytes), np.uint8)
        for at, block in self._blocks(start, stop, None):
            out[at : at + len(block)] = block[:, self.header_bytes :]
        return out

    def _blocks(self, start: int, stop: int, flag: Any) -> Iterator[tuple[int, np.ndarray]]:
        """Whole traces as uint8 ``(n, stride)``, about a MiB at a time, each with the number of traces before it."""
        if not 0 <= start <= stop <= self.traces:
            raise SegyError(
                f"traces {start}..{stop} of {self.path}, which has {self.traces}; "
                f"ask for 0 <= start <= stop <= {self.traces}"
            )
        step = max(1, _BLOCK // self.trace_stride)
        for first in range(start, stop, step):
            if flag is not None and flag[0]:
                raise Cancelled("cancelled by the caller's flag")
            count = min(step, stop - first)
            data = self._bytes(self.data_offset + first * self.trace_stride, count * self.trace_stride)
            yield first - start, np.frombuffer(data, np.uint8).reshape(count, self.trace_stride)

    def _bytes(self, offset: int, length: int) -> bytes:
        with open(self.path, "rb") as file:
            file.seek(offset)
            data = file.read(length)
        if len(data) < length:
            raise SegyError(f"{self.path} ended before byte {offset + length}: it has been cut short meanwhile")
        return data


def encode(
    traces: np.ndarray,
    headers: np.ndarray,
    *,
    format: int,
    endian: str,
    raw_samples: np.ndarray | None = None,
    flag: Any = None,
    threads: int = 1,
) -> np.ndarray:
    """Headers and encoded samples interleaved, uint8 1-D: the body of a SEG-Y file.

    Parameters
    ----------
    traces
        float32 ``(n, samples)``.
    headers
        uint8 ``(n, header bytes)``.
    raw_samples
        uint8 ``(n, samples * bytes per sample)``: written instead of `traces`, verbatim.
    """
    if flag is not None and flag[0]:
        raise Cancelled("cancelled by the caller's flag")
    if raw_samples is None:
        if format == 4:
            raise SegyError("sample format 4 (fixed point with gain) is obsolete and not written; use 1, 2 or 5")
        if format not in _FLOATS:
            _refuse_not_finite(traces, format)
        raw_samples = encode_samples(traces, format, endian)
    return np.concatenate((headers, raw_samples), axis=1).reshape(-1)


def _refuse_not_finite(traces: np.ndarray, format_: int) -> None:
    bad = ~np.isfinite(traces)
    if bad.any():
        trace, sample = np.argwhere(bad)[0]
        raise SegyError(
            f"sample {sample} of trace {trace} is {traces[trace, sample]}, which sample format {format_} cannot hold; "
            "remove NaN and infinities first or use format 5"
        )


def _open(path: str, fd: int, kind: str | None, endian: str | None, text_encoding: str | None) -> SegyFile:
    size = os.fstat(fd).st_size
    if size == 0:
        raise SegyError(f"{path} is empty (0 bytes); check that its transfer finished")
    head = os.pread(fd, FILE_HEADER, 0)
    if kind is None:
        named_su = path.lower().endswith(".su")
        reads_as_text = detect.guess_text(head[:TEXT])[1]
        fits = detect.su_endian(fd, size) is not None
        kind = "su" if ((named_su and fits) if reads_as_text else (named_su or fits)) else "segy"
    if kind == "su":
        return _open_su(path, fd, size, endian)
    if size < FILE_HEADER:
        raise SegyError(f"{path} has {size} bytes; a SEG-Y file begins with {FILE_HEADER} bytes of headers")
    return _open_segy(path, fd, size, head, endian, text_encoding)


def _open_su(path: str, fd: int, size: int, endian: str | None) -> SegyFile:
    import segyio

    findings: list[str] = []
    endian = endian or detect.su_endian(fd, size)
    if endian is None or detect.su_samples(fd, size, endian) is None:
        raise SegyError(f"{path}: {size} bytes are no whole number of SU traces of one length; {_NEEDS_NATIVE}")
    with _refusing(path), segyio.su.open(path, endian=endian, ignore_geometry=True) as file:
        traces, samples = int(file.tracecount), len(file.samples)
    header = os.pread(fd, TRACE_HEADER, 0)
    interval = detect.interval_us(0.0, 0, integer(header, 117, 2, endian), findings)
    return _layout(
        path=path, kind="su", size=size, endian=endian, format=5, revision=(0, 0), samples=samples, traces=traces,
        interval_s=interval * 1e-6, data_offset=0, header_bytes=TRACE_HEADER, extended_text=0, text_encoding="blank",
        findings=findings,
    )  # fmt: skip


def _open_segy(path: str, fd: int, size: int, head: bytes, endian: str | None, text_encoding: str | None) -> SegyFile:
    findings: list[str] = [f"override: {endian}-endian"] if endian else []
    endian = endian or detect.segy_endian(path, head)
    format_ = integer(head, 3225, 2, endian)
    if format_ not in _READS:
        raise SegyError(f"{path}: sample format {format_} ({NAMES.get(format_, 'unknown')}); {_NEEDS_NATIVE}")
    revision = detect.revision(head[3500], head[3501], endian, findings)
    extended_interval = _refuse_rare(path, head, endian) if revision[0] >= 2 else 0.0
    samples, records = integer(head, 3221, 2, endian), integer(head, 3505, 2, endian, signed=True)
    data_offset, trace_bytes = FILE_HEADER + records * TEXT, samples * SAMPLE_BYTES[format_]
    extensions = _extensions(fd, size, head, endian, data_offset, trace_bytes) if revision[0] >= 2 else 0
    header_bytes = TRACE_HEADER * (1 + extensions)
    traces = _count(path, size, data_offset, header_bytes, trace_bytes)
    if not extensions:
        _ask_segyio(path, endian, traces, samples)
    trace_header = os.pread(fd, TRACE_HEADER, data_offset)
    interval = detect.interval_us(
        extended_interval, integer(head, 3217, 2, endian), integer(trace_header, 117, 2, endian), findings
    )
    stated = integer(trace_header, 115, 2, endian)
    if stated not in (0, samples):
        findings.append(
            f"samples per trace: the binary header (byte 3221) says {samples}, the first trace header (byte 115) says "
            f"{stated}: {samples} fits the file's size and is taken"
        )
    return _layout(
        path=path, kind="segy", size=size, endian=endian, format=format_, revision=revision, samples=samples,
        traces=traces, interval_s=interval * 1e-6, data_offset=data_offset, header_bytes=header_bytes,
        extended_text=records, findings=findings, text_encoding=text_encoding or detect.guess_text(head[:TEXT])[0],
    )  # fmt: skip


def _count(path: str, size: int, data_offset: int, header_bytes: int, trace_bytes: int) -> int:
    """Traces by arithmetic, before segyio believes the headers."""
    body, stride = size - data_offset, header_bytes + trace_bytes
    if trace_bytes == 0 or data_offset < FILE_HEADER or body < stride or body % stride:
        raise SegyError(
            f"{path}: traces of {trace_bytes} bytes behind {header_bytes} of headers (bytes 3221-3222) do not fill its "
            f"{body} bytes from byte {data_offset + 1} on; {_NEEDS_NATIVE}"
        )
    return body // stride


def _ask_segyio(path: str, endian: str, traces: int, samples: int) -> None:
    """Refuse what segyio finds another structure in."""
    import segyio

    with _refusing(path), segyio.open(path, strict=False, ignore_geometry=True, endian=endian) as file:
        found = int(file.tracecount), len(file.samples)
    if found != (traces, samples):
        raise SegyError(
            f"{path}: its size gives {traces} traces of {samples} samples, segyio finds {found[0]} of {found[1]}; "
            f"{_NEEDS_NATIVE}"
        )


def _extensions(fd: int, size: int, head: bytes, endian: str, data_offset: int, body_bytes: int) -> int:
    """Trace header extensions: of none and what two bytes and four bytes state, the count at which trace headers recur.

    Revision 2.0 has the count at bytes 3507-3510, 2.1 at bytes 3507-3508; writers of either use both.
    """
    stated = {integer(head, 3507, width, endian, signed=True) for width in (2, 4)}
    counts = sorted({0, *(count for count in stated if 0 <= count <= _MOST_EXTENSIONS)})
    for count in counts:
        stride = TRACE_HEADER * (1 + count) + body_bytes
        if (size - data_offset) % stride == 0 and detect.recurs(fd, data_offset, stride, size):
            return count
    return counts[-1]


def _refuse_rare(path: str, head: bytes, endian: str) -> float:
    """The extended sample interval of revision 2 (0 where there is none); refuses its other rarities."""
    records = integer(head, 3505, 2, endian, signed=True)
    for what, byte, width, usual in (
        ("an extended sample count", 3269, 4, integer(head, 3221, 2, endian)),
        ("an offset of the first trace", 3521, 8, FILE_HEADER + records * TEXT),
        ("data trailers", 3529, 4, 0),
    ):
        if integer(head, byte, width, endian) not in (0, usual):
            raise SegyError(f"{path}: SEG-Y revision 2 with {what} (byte {byte}); {_NEEDS_NATIVE}")
    value: float = struct.unpack(">d" if endian == "big" else "<d", head[3272:3280])[0]
    return value


@contextmanager
def _refusing(path: str) -> Iterator[None]:
    """segyio's exceptions as refusals, its warnings unheard."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (RuntimeError, ValueError, IndexError, OverflowError) as error:
        reason = str(error).split("\n")[0]
        raise SegyError(f"{path}: segyio cannot read it ({reason}); {_NEEDS_NATIVE}") from None


def _layout(**known: Any) -> SegyFile:
    """The file with the lengths that follow from what is known, checked against its size."""
    sample_bytes = SAMPLE_BYTES[known["format"]]
    stride = known["header_bytes"] + known["samples"] * sample_bytes
    if known["samples"] < 1 or known["data_offset"] + known["traces"] * stride != known["size"]:
        raise SegyError(
            f"{known['path']}: {known['traces']} traces of {known['samples']} samples do not fill its "
            f"{known['size']} bytes; {_NEEDS_NATIVE}"
        )
    return SegyFile(sample_bytes=sample_bytes, trace_stride=stride, **known)
