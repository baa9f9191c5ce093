"""What a core could do at best: bytes per second, FFTs per second, multiplications per second."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
from scipy import fft

from benchmarks.processors.case import Case
from benchmarks.processors.data import SAMPLES, line

REPEATS = 5
SQUARE = 768  # rows of the matrices that are multiplied


@attrs.frozen
class Limits:
    """Rates of one core.

    Attributes
    ----------
    read, write
        Bytes per second: batches that lie in memory summed, one block of a batch's size filled again and again.
    transforms
        FFTs of a trace per second, of real numbers, float32, many in one call of SciPy.
    multiplications
        Multiplications with an addition per second, in a product of float32 matrices (BLAS).
    """

    read: float
    write: float
    transforms: float
    multiplications: float

    def seconds(self, case: Case, read: float, written: float) -> tuple[float, str]:
        """The least time for so many bytes and the work of one trace; and which of them binds."""
        times = {
            "memory": read / self.read + written / self.write,
            "FFT": case.transforms / self.transforms,
            "BLAS": case.multiplications / self.multiplications,
        }
        name = max(times, key=lambda key: times[key])
        return times[name], name


def measure() -> Limits:
    """The best of several runs of each."""
    batches = [batch.traces for batch in line()]
    block = np.empty_like(batches[0])
    few = batches[0][:200]
    a = np.ones((SQUARE, SQUARE), np.float32)
    return Limits(
        read=sum(b.nbytes for b in batches) / _best(lambda: [np.dot(b.reshape(-1), b.reshape(-1)) for b in batches]),
        write=block.nbytes / _best(lambda: block.fill(1.0)),
        transforms=len(few) / _best(lambda: fft.rfft(few, SAMPLES, axis=1, workers=1)),
        multiplications=SQUARE**3 / _best(lambda: a @ a),
    )


def _best(call: Callable[[], Any]) -> float:
    seconds = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return min(seconds[1:])
