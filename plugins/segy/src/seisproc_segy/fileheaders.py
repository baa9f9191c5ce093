"""The headers before the first trace: kept as they came and corrected where the output differs, or made anew.

Byte numbers count from 1 as in the standard (SEG-Y revision 2.1, tables 1 to 4).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from seisproc_core.data.words import STANDARD
from seisproc_core.errors import UsageError
from seisproc_segy.detect import FILE_HEADER

_LARGEST_WORD = 65535
# First byte, width and number of the words of the binary header; single bytes and text are left out.
_BINARY_WORDS = (
    (3201, 4, 3), (3213, 2, 24), (3261, 4, 3), (3273, 8, 2), (3289, 4, 3), (3503, 2, 4), (3513, 8, 2), (3529, 4, 1),
)  # fmt: skip
# Trace header words of the standard that the dictionary of header words leaves out.
_FURTHER_WORDS = ((205, 4), (209, 2), (211, 2), (213, 2), (219, 2), (221, 2), (223, 2), (229, 2), (231, 2))


@attrs.frozen(kw_only=True)
class FileSampling:
    """Trace length and interval as the file's words say them."""

    samples: int
    interval: float  # in the word's unit: microseconds, for depth millimetres

    def check(self, standard: str) -> None:
        """Refuse what 16-bit words cannot hold; only SEG-Y revision 2 has wider ones."""
        if standard == "SEG-Y revision 2":
            return
        if not self.short:
            raise UsageError(
                f"{self.samples} samples per trace do not fit {standard} (at most {_LARGEST_WORD}); write SEG-Y with "
                "revision = 2"
            )
        if self.word is None:
            raise UsageError(
                f"sample interval {self.interval:.9g} us does not fit the 16-bit whole number of {standard}; resample, "
                "or write SEG-Y with revision = 2"
            )

    @property
    def short(self) -> bool:
        """Whether the sample count fits a 16-bit word."""
        return self.samples <= _LARGEST_WORD

    @property
    def word(self) -> int | None:
        """The interval as a 16-bit word, None where it does not fit."""
        nearest = round(self.interval)
        fits = 0 < nearest <= _LARGEST_WORD and abs(self.interval - nearest) <= 1e-6 * nearest
        return nearest if fits else None


def put(data: bytearray, byte: int, layout: str, value: float, endian: str) -> None:
    """Write one number at a 1-based byte."""
    struct.pack_into((">" if endian == "big" else "<") + layout, data, byte - 1, value)


def get(data: bytes | bytearray, byte: int, layout: str, endian: str) -> Any:
    """The number at a 1-based byte."""
    return struct.unpack_from((">" if endian == "big" else "<") + layout, data, byte - 1)[0]


def put_sampling(data: bytearray, sampling: FileSampling, revision: int, endian: str) -> None:
    """Write sample count and interval; in the extended words of revision 2 where the 16-bit ones are too narrow."""
    put(data, 3217, "H", sampling.word or 0, endian)
    put(data, 3221, "H", sampling.samples if sampling.short else 0, endian)
    if revision >= 2:
        put(data, 3269, "I", 0 if sampling.short else sampling.samples, endian)
        put(data, 3273, "d", 0.0 if sampling.word else sampling.interval, endian)


def fresh_prefix(sampling: FileSampling, format_: int, endian: str, revision: int, feet: bool) -> bytearray:
    """Binary header of a survey that never had any, behind room for the text."""
    data = bytearray(FILE_HEADER)
    for byte in (3201, 3205, 3209):  # job, line and reel number
        put(data, byte, "i", 1, endian)
    put(data, 3225, "H", format_, endian)
    put(data, 3255, "H", 2 if feet else 1, endian)
    put_sampling(data, sampling, revision, endian)
    if revision >= 1:
        data[3500:3502] = bytes((revision, 0))
        put(data, 3503, "H", 1, endian)  # all traces have the same length
    if revision >= 2:
        put(data, 3297, "I", 0x01020304, endian)
    return data


def swapped_prefix(prefix: bytes) -> bytes:
    """The binary header in the other byte order; text is left alone."""
    data = bytearray(prefix)
    for byte, width, count in _BINARY_WORDS:
        for at in range(byte - 1, byte - 1 + width * count, width):
            data[at : at + width] = data[at : at + width][::-1]
    constant = data[3296:3300]
    if bytes(constant) in (b"\x01\x02\x03\x04", b"\x04\x03\x02\x01"):
        data[3296:3300] = constant[::-1]
    return bytes(data)


def swap_order(places: Mapping[str, tuple[int, str]], widths: Mapping[str, int]) -> np.ndarray:
    """Where each of the 240 header bytes comes from when a trace header changes its byte order.

    The survey's words first, then the standard's; bytes that belong to no word stay in place.
    """
    order = np.arange(240)
    standard = [(word.byte, widths[word.type]) for word in STANDARD.values()]
    taken: set[int] = set()
    for byte, width in [(byte, widths[type_]) for byte, type_ in places.values()] + standard + list(_FURTHER_WORDS):
        own = range(byte, byte + width)
        if taken.isdisjoint(own) and own[-1] <= 240:
            taken.update(own)
            order[byte - 1 : byte - 1 + width] = np.arange(byte - 1, byte - 1 + width)[::-1]
    return order
