"""How fast this machine reads a file of its own: ``python benchmark.py FILE [THREADS]``; medians of five, warm cache.

Peers need nothing but NumPy: reading the bytes, and a memory map of the trace headers.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from seisproc_native_segy import SegyFile

CHUNK = 2000
FIELDS = [(9, "i4"), (13, "i4"), (21, "i4"), (37, "i4"), (73, "i4"), (77, "i4"), (81, "i4"), (85, "i4")]


def samples(file: SegyFile, threads: int) -> None:
    """Decode everything, chunk by chunk, into one buffer."""
    buffer = np.empty((CHUNK, file.samples), np.float32)
    for start in range(0, file.traces, CHUNK):
        stop = min(start + CHUNK, file.traces)
        file.read(start, stop, traces=buffer[: stop - start], threads=threads)


def memory_map(file: SegyFile) -> None:
    """The same header words by NumPy alone."""
    order = ">" if file.endian == "big" else "<"
    names = [f"w{byte}" for byte, _ in FIELDS]
    layout = {"names": names, "formats": [order + type_ for _, type_ in FIELDS],
              "offsets": [byte - 1 for byte, _ in FIELDS], "itemsize": file.trace_stride}  # fmt: skip
    traces = np.memmap(file.path, np.dtype(layout), "r", file.data_offset, (file.traces,))
    for name in names:
        traces[name].astype(traces[name].dtype.newbyteorder("="))


def plain_read(file: SegyFile) -> None:
    """All bytes, into one buffer."""
    buffer = bytearray(1 << 20)
    with open(file.path, "rb", buffering=0) as handle:
        while handle.readinto(buffer):
            pass


def median(call: Callable[[], object]) -> float:
    """Seconds."""
    taken = []
    for _ in range(6):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[1:])


def main(path: str, threads: int = 2) -> None:
    """Print the table."""
    file = SegyFile.open(path)
    size = file.size / 1e6
    for name, call in (
        ("samples, 1 thread", lambda: samples(file, 1)),
        (f"samples, {threads} threads", lambda: samples(file, threads)),
        ("bytes only", lambda: plain_read(file)),
        ("8 header words", lambda: file.columns(FIELDS, 0, file.traces)),
        ("8 header words, NumPy memory map", lambda: memory_map(file)),
    ):
        seconds = median(call)
        sys.stdout.write(f"{name:<34}{seconds:9.3f} s {size / seconds:9.0f} MB/s\n")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:3]))
