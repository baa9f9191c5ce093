"""Compression of chunks: what a codec's name stands for, in the terms of the Zarr v3 specification (codec `blosc`).

Which one pays is measured by ``python -m benchmarks --only codecs``.
"""

from __future__ import annotations

import struct
from typing import Any

import attrs
import numpy as np

NONE = "none"
BLOSC_HEADER = struct.Struct(
    "<4B3I"
)  # version, version of the compressor, flags, item size; bytes, block, bytes stored
OVERHEAD = 16  # Blosc stores what does not shrink, behind a header of that size


@attrs.frozen
class Blosc:
    """One setting of Blosc: compressor, level and the transposition of bytes or bits that goes before it."""

    cname: str
    clevel: int
    shuffle: str

    def metadata(self, stride: int) -> dict[str, Any]:
        """The codec's entry in ``zarr.json``; `stride` is the size of the items that are transposed."""
        return {"name": "blosc", "configuration": {**attrs.asdict(self), "typesize": stride, "blocksize": 0}}

    def encode(self, data: np.ndarray, stride: int) -> bytes:
        """Compressed bytes; always the same for the same version of Blosc, as only one thread is at work."""
        from numcodecs import blosc

        blosc.use_threads = False
        kind = {"noshuffle": blosc.NOSHUFFLE, "shuffle": blosc.SHUFFLE, "bitshuffle": blosc.BITSHUFFLE}[self.shuffle]
        made: bytes = blosc.compress(data, self.cname.encode(), self.clevel, kind, 0, typesize=stride)
        return made


CODECS = {"fast": Blosc("lz4", 5, "bitshuffle"), "archive": Blosc("zstd", 5, "shuffle")}


def decode(data: np.ndarray, out: np.ndarray) -> bool:
    """Decompress a chunk into `out`; False where `data` does not hold exactly that many bytes.

    Blosc believes the sizes in its header, so they are looked at first.
    """
    from numcodecs import blosc

    if len(data) < BLOSC_HEADER.size:
        return False
    *_, size, _, stored = BLOSC_HEADER.unpack(data[: BLOSC_HEADER.size].tobytes())
    if size != out.nbytes or stored != len(data):
        return False
    try:
        blosc.use_threads = False
        blosc.decompress(data, out)
    except RuntimeError:
        return False
    return True
