"""Numba forms of the kernels; what they compute is said at the reference form of each."""

from __future__ import annotations

import numpy as np

from seisproc_core.errors import Cancelled
from seisproc_numba import cancelled, jit


def agc(
    traces: np.ndarray,
    first: np.ndarray,
    end: np.ndarray,
    before: int,
    after: int,
    out: np.ndarray,
    gain: np.ndarray,
    flag: np.ndarray,
) -> None:
    """`seisproc_signal.agc.agc`, one pass over each trace."""
    if not _agc(traces, first, end, before, after, out, gain, flag):
        raise Cancelled


def agc_gaussian(
    traces: np.ndarray,
    first: np.ndarray,
    end: np.ndarray,
    weights: np.ndarray,
    normalise: bool,
    out: np.ndarray,
    gain: np.ndarray,
    flag: np.ndarray,
) -> None:
    """`seisproc_signal.agc.agc_gaussian`, by direct summation."""
    if not _agc_gaussian(traces, first, end, weights, normalise, out, gain, flag):
        raise Cancelled


@jit()
def _scan(power, width, head, tail):  # type: ignore[no-untyped-def]
    """Sums from the start and from the end of every block of `width` samples, of which there is an even number.

    Two blocks at a time, from both ends: four chains hide an addition's latency.
    """
    middle = len(power) // 2
    for block in range(0, middle, width):
        left, right = slice(block, block + width), slice(middle + block, middle + block + width)
        values, up, down = power[left], head[left], tail[left]
        more, also_up, also_down = power[right], head[right], tail[right]
        before, behind, too_before, too_behind = 0.0, 0.0, 0.0, 0.0
        back = np.uint64(width - 1)  # unsigned: spares the compiler the case of a negative index
        for i in range(width):
            up[i] = before
            also_up[i] = too_before
            before += values[i]
            too_before += more[i]
            behind += values[back]
            too_behind += more[back]
            down[back] = behind
            also_down[back] = too_behind
            back -= np.uint64(1)


@jit()
def _divide(trace, tail, head, inverse_count, result):  # type: ignore[no-untyped-def]
    """Divide by the rms; float32 roots are three times faster, and are used where the power suits them."""
    unsafe = 0
    for i in range(len(trace)):
        total = tail[i] + head[i]
        mean = np.float32(total * inverse_count[i])
        result[i] = trace[i] / np.sqrt(mean) if mean > 0 else np.float32(0)
        unsafe += int((total > 0) & ((mean < 1e-30) | (mean > 1e30)))
    if unsafe:
        for i in range(len(trace)):
            rms = np.sqrt((tail[i] + head[i]) * inverse_count[i])
            result[i] = trace[i] / rms if rms > 0 else 0.0


@jit()
def _invert(tail, head, inverse_count, gain):  # type: ignore[no-untyped-def]
    """One over the rms."""
    for i in range(len(tail)):
        rms = np.sqrt((tail[i] + head[i]) * inverse_count[i])
        gain[i] = 1 / rms if rms > 0 else 0.0


@jit("boolean(samples_in, indices, indices, int64, int64, samples_out, samples_out, flag)")
def _agc(traces, first, end, before, after, out, gain, flag):  # type: ignore[no-untyped-def]
    n = traces.shape[1]
    width = before + after + 1
    size = (n + 3 * width - 1) // (2 * width) * 2 * width  # an even number of blocks, one more than a trace fills
    power = np.zeros(size)
    tail = np.empty(size)
    head = np.empty(size)
    inverse_count = np.empty(n)
    length = -1
    for row in range(traces.shape[0]):
        if cancelled(flag):
            return False
        start, stop = first[row], end[row]
        trace = traces[row, start:stop]
        out[row, :start] = 0
        out[row, stop:] = 0
        if stop - start != length:
            length = stop - start
            power[:] = 0
            for i in range(length):
                inverse_count[i] = 1 / np.float64(min(i + after + 1, length) - max(i - before, 0))
        inside = power[before : before + length]
        for i in range(length):
            inside[i] = np.float64(trace[i]) * np.float64(trace[i])
        # Every window is the tail of one block and the head of the next: no subtraction, so nothing drifts.
        _scan(power, width, head, tail)
        _divide(trace, tail[:length], head[width : width + length], inverse_count[:length], out[row, start:stop])
        if gain.shape[0]:
            gain[row] = 0
            _invert(tail[:length], head[width : width + length], inverse_count[:length], gain[row, start:stop])
    return True


@jit()
def _correlate(padded, weights, length, out):  # type: ignore[no-untyped-def]
    """Symmetric weighted sums round each of `length` samples that lie ``len(weights)`` inside `padded`."""
    half = len(weights)
    for i in range(length):
        out[i] = weights[0] * padded[half + i]
    for k in range(1, half):
        weight = weights[k]
        left, right = padded[half - k : half - k + length], padded[half + k : half + k + length]
        for i in range(length):
            out[i] += weight * (left[i] + right[i])


@jit("boolean(samples_in, indices, indices, values, boolean, samples_out, samples_out, flag)")
def _agc_gaussian(traces, first, end, weights, normalise, out, gain, flag):  # type: ignore[no-untyped-def]
    half = len(weights)
    n = traces.shape[1]
    power = np.zeros(n + 2 * half)
    total = np.empty(n)
    inside = np.empty(n)
    length = -1
    for row in range(traces.shape[0]):
        if cancelled(flag):
            return False
        start, stop = first[row], end[row]
        trace, result = traces[row, start:stop], out[row, start:stop]
        out[row, :start] = 0
        out[row, stop:] = 0
        if stop - start != length:
            length = stop - start
            power[:] = 0
            power[half : half + length] = 1.0
            _correlate(power, weights, length, inside)
        for i in range(length):
            power[half + i] = np.float64(trace[i]) * np.float64(trace[i])
        _correlate(power, weights, length, total)
        for i in range(length):
            mean = total[i] / inside[i] if normalise else total[i]
            result[i] = trace[i] / np.sqrt(mean) if mean > 0 else 0.0
        if gain.shape[0]:
            gain[row] = 0
            for i in range(length):
                mean = total[i] / inside[i] if normalise else total[i]
                gain[row, start + i] = 1 / np.sqrt(mean) if mean > 0 else 0.0
    return True
