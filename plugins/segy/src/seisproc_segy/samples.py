"""Sample formats in NumPy: slow, exact and short enough to be believed.

Format codes are those of bytes 3225-3226 of the binary header (SEG-Y revision 2.1, table 2). An IBM System/360 single
is a sign, a 7-bit power of 16 in excess 64 and a 24-bit fraction: (-1)^sign * fraction * 2^-24 * 16^(exponent - 64).
"""

from __future__ import annotations

import numpy as np

SAMPLE_BYTES = {1: 4, 2: 4, 3: 2, 4: 4, 5: 4, 6: 8, 7: 3, 8: 1, 9: 8, 10: 4, 11: 2, 12: 8, 15: 3, 16: 1}
NAMES = {
    1: "IBM float32", 2: "int32", 3: "int16", 4: "fixed point with gain", 5: "IEEE float32", 6: "IEEE float64",
    7: "int24", 8: "int8", 9: "int64", 10: "uint32", 11: "uint16", 12: "uint64", 15: "uint24", 16: "uint8",
}  # fmt: skip
_DTYPES = {1: "u4", 2: "i4", 3: "i2", 5: "f4", 6: "f8", 8: "i1", 9: "i8", 10: "u4", 11: "u2", 12: "u8", 16: "u1"}
# Smallest and largest sample of the integer formats.
LIMITS = {
    2: (-(2**31), 2**31 - 1), 3: (-(2**15), 2**15 - 1), 7: (-(2**23), 2**23 - 1), 8: (-(2**7), 2**7 - 1),
    9: (-(2**63), 2**63 - 1), 10: (0, 2**32 - 1), 11: (0, 2**16 - 1), 12: (0, 2**64 - 1), 15: (0, 2**24 - 1),
    16: (0, 2**8 - 1),
}  # fmt: skip


# What the fraction is multiplied with, by the word's first byte (sign and exponent).
_IBM_UNITS = np.ldexp(np.repeat((1.0, -1.0), 128), np.tile(4 * np.arange(128) - 280, 2))


def ibm_to_float64(words: np.ndarray) -> np.ndarray:
    """Exact values of IBM words: uint32 of any shape to float64."""
    return np.asarray((words & 0x00FF_FFFF) * _IBM_UNITS[words >> 24])


def float64_to_ibm(values: np.ndarray) -> np.ndarray:
    """Nearest IBM words, ties to even, saturating: float64 (finite) of any shape to uint32."""
    mantissa, power = np.frexp(np.abs(values))
    # The smallest power of 16 above the value; at the lowest one the fraction loses leading digits instead.
    exponent = np.maximum(-(-power // 4), -64)
    fraction = np.rint(np.ldexp(mantissa, power - 4 * exponent + 24)).astype(np.int64)
    carried = fraction == 1 << 24
    fraction = np.where(carried, 1 << 20, fraction)
    exponent = exponent + carried + 64
    word = np.where(fraction == 0, 0, (np.minimum(exponent, 127) << 24) | fraction)
    word = np.where(exponent > 127, 0x7FFF_FFFF, word)
    return np.asarray(word | np.where(np.signbit(values), 0x8000_0000, 0), np.uint32)


def all_finite(traces: np.ndarray) -> bool:
    """Whether no sample is NaN or infinite: one pass without temporaries where that is so."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = traces.sum()  # NaN and infinities always show in it; an overflow is looked into
    return bool(np.isfinite(total) or np.isfinite(traces).all())


def decode(raw: np.ndarray, format_: int, endian: str) -> np.ndarray:
    """Samples as float32, rounded to nearest where float32 cannot hold them.

    Parameters
    ----------
    raw
        uint8, shape ``(n, samples * bytes per sample)``.
    """
    order = ">" if endian == "big" else "<"
    raw = np.ascontiguousarray(raw)
    with np.errstate(over="ignore", invalid="ignore"):
        if format_ == 1:
            return ibm_to_float64(raw.view(order + "u4").astype(np.uint32)).astype(np.float32)
        if format_ == 4:
            return _gain_to_float(raw.view(order + "u4").astype(np.uint32))
        if format_ in (7, 15):
            return _integers24(raw, format_, order).astype(np.float32)
        return raw.view(order + _DTYPES[format_]).astype(np.float32)


def survives(traces: np.ndarray, raw: np.ndarray, format_: int, endian: str) -> bool:
    """Whether every float32 decoded from `raw` encodes to the bytes it came from."""
    if format_ not in (1, 2, 4, 6, 9, 10, 12):
        return True
    if format_ == 4 or (format_ != 6 and not np.isfinite(traces).all()):
        return False
    if format_ != 1:
        return np.array_equal(encode(traces, format_, endian), raw)
    words = raw.view((">" if endian == "big" else "<") + "u4").astype(np.uint32)
    normalised = (words & 0x00F0_0000) != 0
    kept = (normalised & (traces == ibm_to_float64(words))) | (words << 1 == 0)
    return bool(kept.all())


def encode(traces: np.ndarray, format_: int, endian: str) -> np.ndarray:
    """Samples in a format, uint8 ``(n, samples * bytes per sample)``; integers round half to even and saturate."""
    order = ">" if endian == "big" else "<"
    if format_ == 1:
        stored: np.ndarray = float64_to_ibm(traces.astype(np.float64)).astype(order + "u4")
    elif format_ in (5, 6):
        stored = traces.astype(order + _DTYPES[format_])
    else:
        stored = _to_integers(traces, format_, order)
    rows = np.ascontiguousarray(stored).view(np.uint8).reshape(len(traces), -1)
    if format_ not in (7, 15):
        return rows
    # 24 bits: the low-order three of four bytes.
    first = 1 if order == ">" else 0
    return np.ascontiguousarray(rows.reshape(len(traces), -1, 4)[:, :, first : first + 3]).reshape(len(traces), -1)


def _to_integers(traces: np.ndarray, format_: int, order: str) -> np.ndarray:
    low, high = LIMITS[format_]
    rounded = np.rint(traces.astype(np.float64))
    dtype = np.dtype({7: "i4", 15: "u4"}.get(format_) or _DTYPES[format_])
    above, below = rounded >= high, rounded <= low
    whole = np.where(above | below, 0.0, rounded).astype(dtype)
    whole[above], whole[below] = high, low
    return whole.astype(order + dtype.str[1:])


def _integers24(raw: np.ndarray, format_: int, order: str) -> np.ndarray:
    parts = raw.reshape(len(raw), -1, 3).astype(np.int32)
    if order == "<":
        parts = parts[:, :, ::-1]
    value = (parts[:, :, 0] << 16) | (parts[:, :, 1] << 8) | parts[:, :, 2]
    return value - ((value >> 23) << 24) if format_ == 7 else value


def _gain_to_float(words: np.ndarray) -> np.ndarray:
    """Revision 0: a zero byte, the gain as a power of two, a 16-bit mantissa."""
    mantissa = (words & 0xFFFF).astype(np.uint16).view(np.int16).astype(np.float64)
    return np.ldexp(mantissa, ((words >> 16) & 0xFF).astype(np.int32)).astype(np.float32)
