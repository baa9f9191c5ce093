"""The blocks of a SEG-2 file: descriptors, trace pointers, keyword strings. Nothing here knows what a keyword means.

Layout as in Pullan, S. E., 1990, Recommended standard for seismic (/radar) data files in the personal computer
environment, Geophysics 55, 1260-1271. Every size is held to the length of the file before it is used.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path

import attrs

from seisproc_core.errors import DataError, StorageError
from seisproc_seg2.samples import NAMES, data_bytes

DESCRIPTOR = 32  # bytes of a file or trace descriptor block before its strings
_FILE_ID, _TRACE_ID = 0x3A55, 0x4422
_ORDERS = {b"\x55\x3a": "<", b"\x3a\x55": ">"}


@attrs.frozen(kw_only=True)
class TraceBlock:
    """One trace: its keywords, and where its samples are.

    Attributes
    ----------
    offset, length
        Bytes of the samples in the file.
    """

    keywords: Mapping[str, str]
    offset: int
    length: int
    samples: int
    format: int


@attrs.frozen(kw_only=True)
class Seg2File:
    """What stands in one file besides samples.

    Attributes
    ----------
    order
        ``<`` or ``>``.
    keywords
        Strings that hold for the whole file.
    """

    path: str
    size: int
    order: str
    revision: int
    keywords: Mapping[str, str]
    traces: tuple[TraceBlock, ...]
    findings: tuple[str, ...]

    @property
    def name(self) -> str:
        return Path(self.path).name


def read_file(path: str) -> Seg2File:
    """Read descriptors and strings of a file.

    Raises
    ------
    DataError
        It is no SEG-2 file, or one that was cut short or damaged; says where.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            return _Reader(path, descriptor).read()
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StorageError.from_os(error, f"reading {path}") from error


class _Reader:
    def __init__(self, path: str, descriptor: int) -> None:
        self._path, self._fd = path, descriptor
        self._size = os.fstat(descriptor).st_size
        self._findings: list[str] = []

    def read(self) -> Seg2File:
        head = self._bytes(0, DESCRIPTOR, "file descriptor block")
        if head[:2] not in _ORDERS:
            raise DataError(f"{self._path} is not a SEG-2 file: it begins with {head[:4].hex()}, not 553a or 3a55")
        self._order = _ORDERS[head[:2]]
        revision, pointer_bytes, count = struct.unpack_from(self._order + "HHH", head, 2)
        if revision != 1:
            self._findings.append(f"revision {revision} of SEG-2 is read like revision 1")
        self._ends = self._terminator(head[8:11], b"\0")
        self._line_ends = self._terminator(head[11:14], b"\n")
        if not count:
            raise DataError(f"{self._path} holds no trace")
        if 4 * count > pointer_bytes:
            raise DataError(
                f"{self._path}: {count} traces are announced at bytes 7-8, but the pointer block has room for "
                f"{pointer_bytes // 4}; the file is damaged"
            )
        pointers = struct.unpack(f"{self._order}{count}I", self._bytes(DESCRIPTOR, 4 * count, "trace pointers"))
        start = DESCRIPTOR + pointer_bytes
        strings_end = max(start, min(*pointers, self._size))
        keywords = self._strings(self._bytes(start, min(strings_end - start, 1 << 16), "file strings"))
        traces = tuple(self._trace(number, at) for number, at in enumerate(pointers, 1))
        if sum(trace.length for trace in traces) > self._size:
            raise DataError(f"{self._path}: its trace pointers lead to the same samples more than once; it is damaged")
        return Seg2File(
            path=self._path,
            size=self._size,
            order=self._order,
            revision=revision,
            keywords=keywords,
            traces=traces,
            findings=tuple(dict.fromkeys(self._findings)),
        )

    def _bytes(self, offset: int, length: int, what: str) -> bytes:
        if offset + length > self._size:
            raise DataError(
                f"{self._path} ends at byte {self._size}, inside its {what} (bytes {offset + 1} to {offset + length}); "
                "it was cut short or is damaged"
            )
        return os.pread(self._fd, length, offset)

    def _terminator(self, field: bytes, usual: bytes) -> bytes:
        if field[0] not in (1, 2):
            self._findings.append(f"terminator of {field[0]} bytes: {usual!r} taken")
            return usual
        return field[1 : 1 + field[0]]

    def _trace(self, number: int, at: int) -> TraceBlock:
        what = f"trace {number}"
        if at < DESCRIPTOR:
            raise DataError(f"{self._path}: the pointer to {what} is {at}, inside the file descriptor; it is damaged")
        head = self._bytes(at, DESCRIPTOR, f"descriptor of {what}")
        mark, block, stated, samples, format_ = struct.unpack_from(self._order + "HHIIB", head)
        if mark != _TRACE_ID:
            raise DataError(f"{self._path}: no trace begins at byte {at + 1}, where {what} should; it is damaged")
        if format_ not in NAMES:
            raise DataError(f"{self._path}: {what} has data format {format_}; SEG-2 knows 1 to 5")
        if block < DESCRIPTOR or samples == 0:
            raise DataError(f"{self._path}: {what} has a descriptor of {block} bytes and {samples} samples")
        length = data_bytes(samples, format_)
        if at + block + length > self._size:
            raise DataError(
                f"{self._path}: {what} should have {samples} samples of format {format_} ({NAMES[format_]}) from byte "
                f"{at + block + 1} on, but the file ends at byte {self._size}; it was cut short or is damaged"
            )
        if stated != length:
            self._findings.append(f"data blocks of {stated} bytes are announced, their samples take {length}")
        keywords = self._strings(self._bytes(at + DESCRIPTOR, block - DESCRIPTOR, f"strings of {what}"))
        return TraceBlock(keywords=keywords, offset=at + block, length=length, samples=samples, format=format_)

    def _strings(self, block: bytes) -> dict[str, str]:
        """Keyword and value of every string: a 16-bit distance to the next one, text, terminator."""
        found: dict[str, str] = {}
        at = 0
        while at + 2 < len(block):
            distance = struct.unpack_from(self._order + "H", block, at)[0]
            if distance < 3:  # 0 ends the list; less than itself and a terminator leads nowhere
                break
            text = block[at + 2 : at + distance].partition(self._ends)[0]
            lines = [printable(line) for line in text.split(self._line_ends)]
            keyword, _, first = lines[0].strip().partition(" ")
            if keyword:
                value = "\n".join(filter(None, [first.strip(), *(line.strip() for line in lines[1:])]))
                found[keyword.upper()] = value
            at += distance
        return found


def printable(text: bytes) -> str:
    """Text of a string; what no terminal should see becomes a space."""
    return "".join(c if c.isprintable() else " " for c in text.decode("latin-1"))
