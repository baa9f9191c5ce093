"""Header words in NumPy: columns out of trace headers, and back into them.

A field is ``(first byte, type)``: bytes count from 1, the type is one of `WIDTHS`. ``ibm`` words come out as float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seisproc_segy.errors import SegyError
from seisproc_segy.samples import float64_to_ibm, ibm_to_float64

WIDTHS = {"i1": 1, "u1": 1, "i2": 2, "u2": 2, "i4": 4, "u4": 4, "i8": 8, "u8": 8, "f4": 4, "f8": 8, "ibm": 4}
_IBM_LARGEST = (1 - 2.0**-24) * 2.0**252


def column_dtype(type_: str) -> np.dtype:
    """Dtype of the column of a field of that type."""
    return np.dtype("f8" if type_ == "ibm" else type_)


def _ordered(dtype: np.dtype, endian: str) -> np.dtype:
    return dtype.newbyteorder(">" if endian == "big" else "<")


def _checked(field: tuple[int, str], header_bytes: int) -> tuple[int, str, int]:
    byte, type_ = field
    if type_ not in WIDTHS:
        raise SegyError(f"field type {type_!r} at byte {byte} is unknown; use {' '.join(WIDTHS)}")
    last = header_bytes - WIDTHS[type_] + 1
    if not 1 <= byte <= last:
        raise SegyError(
            f"field at byte {byte} ({type_}) lies outside the {header_bytes}-byte trace header; its first byte must be "
            f"1 to {last}"
        )
    return byte, type_, WIDTHS[type_]


def decode_columns(headers: np.ndarray, fields: Sequence[tuple[int, str]], endian: str) -> list[np.ndarray]:
    """Columns of header words, each ``(n,)`` in native byte order.

    Parameters
    ----------
    headers
        uint8, shape ``(n, header bytes)``.
    """
    columns = []
    for field in fields:
        byte, type_, width = _checked(field, headers.shape[1])
        words = np.ascontiguousarray(headers[:, byte - 1 : byte - 1 + width])
        dtype = np.dtype("u4" if type_ == "ibm" else type_)
        values = words.view(_ordered(dtype, endian))[:, 0].astype(dtype)
        columns.append(ibm_to_float64(values) if type_ == "ibm" else values)
    return columns


def patch_columns(
    headers: np.ndarray, fields: Sequence[tuple[int, str]], values: Sequence[np.ndarray], endian: str
) -> None:
    """Write columns into trace headers, in place, where a word has another value; see `seisproc_native_segy`."""
    columns = [np.asarray(column) for column in values]
    written = []
    for field, column, held in zip(fields, columns, decode_columns(headers, fields, endian), strict=True):
        byte, type_, width = _checked(field, headers.shape[1])
        words = _stored(column, byte, type_, width)
        differs = held != column
        if column.dtype.kind == "f" and held.dtype.kind == "f":
            differs &= ~(np.isnan(held) & np.isnan(column))
        rows = np.flatnonzero(differs)
        if rows.size:
            ordered = words[rows].astype(_ordered(words.dtype, endian)).view(np.uint8).reshape(len(rows), width)
            written.append((rows, byte - 1, width, ordered))
    for rows, at, width, ordered in written:
        headers[rows, at : at + width] = ordered


def _stored(column: np.ndarray, byte: int, type_: str, width: int) -> np.ndarray:
    dtype = np.dtype("u4" if type_ == "ibm" else type_)
    if type_ == "ibm":
        wide = column.astype(np.float64)
        bad = ~(np.abs(wide) <= _IBM_LARGEST)
        words = float64_to_ibm(np.where(bad, 0.0, wide))
    elif dtype.kind == "f":
        with np.errstate(over="ignore"):
            words = column.astype(dtype)
        bad = np.isinf(words) & np.isfinite(column.astype(np.float64))
    else:
        limits = np.iinfo(dtype)
        # Python integers compare exactly with every NumPy type; float columns must also be whole.
        bad = (column < limits.min) | (column > limits.max)
        if column.dtype.kind == "f":
            bad |= ~(np.rint(column) == column) | (column >= float(limits.max) + 1)
        words = np.where(bad, np.zeros((), column.dtype), column).astype(dtype)
    if bad.any():
        trace = int(np.argmax(bad))
        raise SegyError(
            f"value {column[trace]} of trace {trace} does not fit header bytes {byte}-{byte + width - 1} as {type_}; "
            "choose a wider type or another scale"
        )
    return words
