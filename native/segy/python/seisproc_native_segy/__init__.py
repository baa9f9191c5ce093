"""SEG-Y and SU files for NumPy: detection, exact decoding, header columns, encoding.

`SegyFile.open` detects byte order, revision, sample format, trace length and text encoding, says in `findings` what
it found and why, and refuses with one clear `SegyError` what it cannot read. All loops run without the GIL, may use
several threads, and stop within a few milliseconds when a caller's flag is raised.
"""

from __future__ import annotations

from seisproc_native_segy._internal import (
    Cancelled,
    SegyError,
    SegyFile,
    decode_columns,
    ebcdic_decode,
    ebcdic_encode,
    encode,
    float_to_ibm,
    ibm_to_float,
    patch_columns,
)

__all__ = [
    "Cancelled",
    "SegyError",
    "SegyFile",
    "decode_columns",
    "ebcdic_decode",
    "ebcdic_encode",
    "encode",
    "float_to_ibm",
    "ibm_to_float",
    "patch_columns",
]
