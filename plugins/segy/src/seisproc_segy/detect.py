"""What a file says about itself, for the fallback reader: text, byte order, revision, sample interval."""

from __future__ import annotations

import os

import numpy as np

from seisproc_segy.errors import SegyError
from seisproc_segy.samples import SAMPLE_BYTES

FILE_HEADER = 3600
TRACE_HEADER = 240
TEXT = 3200
_ORDERS = {b"\x01\x02\x03\x04": "big", b"\x04\x03\x02\x01": "little"}
_PAIRWISE = (b"\x02\x01\x04\x03", b"\x03\x04\x01\x02")
_READABLE = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,:;-+=/()_*#'\"&%@!?<>[]\r\n\t")


def integer(data: bytes, byte: int, width: int, endian: str, *, signed: bool = False) -> int:
    """The integer at a 1-based byte."""
    order = "big" if endian == "big" else "little"
    return int.from_bytes(data[byte - 1 : byte - 1 + width], order, signed=signed)  # type: ignore[arg-type]


def ebcdic_decode(data: bytes) -> str:
    """Text of EBCDIC bytes (code page 037, a bijection with Latin-1)."""
    return bytes(data).decode("cp037")


def ebcdic_encode(text: str) -> bytes:
    """EBCDIC bytes of a text; `SegyError` for a character that has none."""
    try:
        return text.encode("cp037")
    except UnicodeEncodeError as error:
        raise SegyError(f"character {text[error.start]!r} has no EBCDIC byte; replace it") from None


def _readable(data: bytes) -> float:
    written = data.replace(b"\0", b"")
    return sum(byte in _READABLE for byte in written) / max(len(written), 1)


def guess_text(record: bytes) -> tuple[str, bool]:
    """Encoding of a text record (``ebcdic ascii blank``), and whether it really reads as text."""
    if record.count(0) * 10 > len(record) * 9:
        return "blank", False
    ascii_, ebcdic = _readable(record), _readable(ebcdic_decode(record).encode("latin-1"))
    return ("ebcdic" if ebcdic >= ascii_ else "ascii"), max(ascii_, ebcdic) > 0.7


def decode_text(record: bytes, encoding: str) -> str:
    """Text of a record; control characters other than line ends become spaces."""
    text = ebcdic_decode(record) if encoding == "ebcdic" else record.decode("latin-1")
    return "".join(c if c.isprintable() or c in "\r\n\t\xa0\xad" else " " for c in text)


def text_lines(record: bytes, encoding: str) -> list[str]:
    """The 40 lines of a text header without trailing blanks."""
    text = decode_text(record, encoding).translate({13: " ", 10: " ", 9: " "})
    return [text[at : at + 80].rstrip() for at in range(0, len(text), 80)]


def recurs(fd: int, data_offset: int, stride: int, size: int) -> bool:
    """Whether sample count and interval of the first trace headers, this many bytes apart, are the same."""
    starts = range(data_offset, min(data_offset + 3 * stride, size), stride)
    words = [os.pread(fd, 4, start + 114) for start in starts]
    return not words or not any(words[0]) or len(set(words)) == 1


def su_samples(fd: int, size: int, endian: str) -> int | None:
    """Samples per trace if the file reads as SU in this byte order."""
    header = os.pread(fd, TRACE_HEADER, 0)
    if len(header) < TRACE_HEADER:
        return None
    samples = integer(header, 115, 2, endian)
    stride = TRACE_HEADER + 4 * samples
    if samples == 0 or size % stride:
        return None
    traces = size // stride
    for trace in (min(traces, 2) - 1, traces // 2, traces - 1):
        if integer(os.pread(fd, 2, trace * stride + 114), 1, 2, endian) != samples:
            return None
    return samples


def su_endian(fd: int, size: int) -> str | None:
    """The byte order in which the file reads as SU; where both do, the one with smaller header numbers."""
    fitting = [endian for endian in ("big", "little") if su_samples(fd, size, endian)]
    if len(fitting) < 2:
        return fitting[0] if fitting else None
    header = os.pread(fd, TRACE_HEADER, 0)

    def oddity(endian: str) -> tuple[bool, int, int]:
        interval = integer(header, 117, 2, endian, signed=True)
        return interval <= 0, integer(header, 29, 2, endian), abs(integer(header, 1, 4, endian, signed=True))

    return min(fitting, key=oddity)


def segy_endian(path: str, head: bytes) -> str:
    """The byte order of a SEG-Y file, by the constant of revision 2 or by the format code."""
    constant = head[3296:3300]
    if constant in _ORDERS:
        return _ORDERS[constant]
    if constant in _PAIRWISE:
        raise SegyError(
            f"{path}: the byte-order constant at bytes 3297-3300 says 16-bit pairs are swapped inside words; swap them "
            "back with another program first, or pass endian= if the constant is wrong"
        )
    codes = {endian: integer(head, 3225, 2, endian) for endian in ("big", "little")}
    for endian, code in codes.items():
        if code in SAMPLE_BYTES:
            return endian
    raise SegyError(
        f"{path}: sample format code at bytes 3225-3226 is {codes['big']} (big-endian) or {codes['little']} "
        '(little-endian), SEG-Y knows 1-12, 15 and 16; if it is an SU file pass kind="su"'
    )


def revision(first: int, second: int, endian: str, findings: list[str]) -> tuple[int, int]:
    """Revision of bytes 3501-3502, which writers of either byte order also swap."""

    def known(major: int, minor: int) -> bool:
        return (major, minor) in ((0, 0), (1, 0)) or (major == 2 and minor < 10)

    if known(first, second):
        return first, second
    word = f"revision word 0x{first:02x}{second:02x} at bytes 3501-3502"
    if known(second, first):
        if endian == "big":
            findings.append(f"{word} is byte-swapped: read as {second}.{first}")
        return second, first
    findings.append(f"{word} is no SEG-Y revision: read as revision 0")
    return 0, 0


def interval_us(extended: float, binary: int, trace: int, findings: list[str]) -> float:
    """Sample interval in microseconds: the extended one of revision 2, the binary header's, the first trace's.

    A word that is negative as a signed number gives way to a positive one elsewhere. Zero everywhere gives 0.
    """
    if np.isfinite(extended) and 0 < extended < 1e12:
        return extended
    if 0 < binary < 1 << 15:
        if 0 < trace < 1 << 15 and trace != binary:
            findings.append(
                f"sample interval: {binary} us in the binary header (byte 3217), {trace} us in the first trace header "
                "(byte 117): the binary header is taken"
            )
        return float(binary)
    if 0 < trace < 1 << 15:
        if binary:
            findings.append(
                f"sample interval {binary - (1 << 16)} in the binary header (byte 3217) is not positive: {trace} us of "
                "the first trace header (byte 117) is taken"
            )
        return float(trace)
    unsigned = binary or trace
    if unsigned:
        findings.append(f"sample interval word {unsigned - (1 << 16)} is read as unsigned, {unsigned} us")
    else:
        findings.append("sample interval is 0 everywhere: pass interval_us=")
    return float(unsigned)
