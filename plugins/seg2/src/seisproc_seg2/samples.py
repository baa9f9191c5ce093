"""Samples of SEG-2 files: five data format codes (Pullan, 1990, table 2)."""

from __future__ import annotations

import numpy as np

NAMES = {1: "int16", 2: "int32", 3: "20-bit floating point", 4: "IEEE float32", 5: "IEEE float64"}
_DTYPES = {1: "i2", 2: "i4", 4: "f4", 5: "f8"}


def data_bytes(samples: int, format_: int) -> int:
    """Bytes that many samples take; format 3 packs four into five 16-bit words."""
    if format_ == 3:
        return 10 * -(-samples // 4)
    return samples * int(_DTYPES[format_][1])


def decode(data: bytes, samples: int, format_: int, order: str) -> np.ndarray:
    """Samples as float64, exactly.

    Parameters
    ----------
    data
        As long as `data_bytes` says.
    order
        Byte order, ``<`` or ``>``.

    Returns
    -------
    numpy.ndarray
        float64, shape ``(samples,)``.
    """
    if format_ == 3:
        return _twenty_bits(data, order)[:samples]
    return np.frombuffer(data, order + _DTYPES[format_], samples).astype(np.float64)


def _twenty_bits(data: bytes, order: str) -> np.ndarray:
    """The SEG 20-bit form: a word with four exponents of 2, the lowest bits for the first sample; four mantissas.

    Mantissas are 16-bit numbers in one's complement: a negative one is the complement of its magnitude.
    """
    words = np.frombuffer(data, order + "u2").reshape(-1, 5).astype(np.int64)
    exponents = (words[:, :1] >> np.array([0, 4, 8, 12])) & 15
    mantissas = words[:, 1:]
    mantissas = np.where(mantissas >> 15, mantissas - 0xFFFF, mantissas)
    values: np.ndarray = np.ldexp(mantissas.astype(np.float64), exponents)
    return values.reshape(-1)
