"""Automatic gain control: the processor and the reference form of its kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.errors import Cancelled
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_signal import claims
from seisproc_signal.windows import nearest_sample

ROWS = 64  # traces between two looks at the cancel flag: milliseconds, and work arrays that stay in cache
GAUSSIAN_ROWS = 8  # fewer: every sample costs as many products as the window is long
TRIANGLE = "triangle"  # two running means: fast enough without a compiled form
GAUSSIAN_CUT = 3.8090232  # the Gaussian has fallen to 5e-7 at half a window


@processor("agc", scope="trace", kernels=("agc", "agc_gaussian"), saves=("gain",), claims=claims.AGC)
class Agc(Processor):
    """Automatic gain control: divide every sample by the amplitude around it.

    y[i] = x[i] / sqrt(sum_k w_k x[i+k]^2 / sum_k w_k), k over the window centred on i, cut at the edges of the live
    window. ``kind = "rms"`` weighs all samples alike (w = 1, an odd number of samples); ``"gaussian"`` uses
    w_k = exp(-(3.809 k/h)^2) over the half window h, which leaves weaker shadows beside strong events. The output
    has an rms of about 1; where a window holds no energy it is 0. Only live samples count.

    ``mode = "su"`` reproduces Seismic Unix `sugain`: an even window that lacks its last sample for rms, and no
    division by the sum of weights for gaussian.

    ``kind = "triangle"`` divides by the mean of |x| under triangular weights 1 - |k|/h, which is gentler to strong
    events; ``mode = "madagascar"`` continues traces by their mirror image at both ends, as `sfagc` does (``rect1`` is h
    in samples).

    ``save.gain = "gain.seis"`` keeps the factors as a survey of the same traces: 1 / amplitude at every live sample, 0
    where there is none. The product of input and factors is the AGC'd trace; `remove_gain` undoes AGC with them.

    Not for amplitude work (AVO, attenuation, inversion): AGC destroys relative amplitudes and cannot be undone from its
    output alone.

    Source: Yilmaz, Seismic Data Analysis (SEG, 2001), section 1.4, "rms amplitude AGC".
    """

    window_ms: float = param(500.0, help="Length of the whole window.", unit="ms", above=0)
    kind: Literal["rms", "gaussian", "triangle"] = param("rms", help="How samples in the window are weighted.")
    mode: Literal["centred", "su", "madagascar"] = param(
        "centred", help="Symmetric windows of live samples, or those of Seismic Unix or Madagascar."
    )

    def _half_window(self, layout: Layout) -> int:
        samples = nearest_sample(np.array(self.window_ms / 1000 / layout.sampling.interval_s))
        return min(int(samples) // 2, layout.n_samples)

    def check(self, layout: Layout) -> None:
        if self._half_window(layout) < 1:
            least = 2000 * layout.sampling.interval_s
            raise self.bad("window_ms", f"must span at least two samples ({least:g} ms), not {self.window_ms:g} ms")
        if self.mode != "centred" and (self.mode == "madagascar") != (self.kind == "triangle"):
            raise self.bad("mode", f'must be "centred" with kind = "{self.kind}", not "{self.mode}"')

    def apply(self, batch: Gather, context: Context) -> Gather:
        first, end = batch.live_window
        half = self._half_window(batch)
        out = context.empty(batch.traces.shape)
        window: tuple[Any, ...]
        if self.kind == "rms":
            name, window = "agc", (half, half if self.mode == "centred" else half - 1)
        elif self.kind == "triangle":
            name, window = TRIANGLE, (half, self.mode == "madagascar")
        else:
            weights = np.exp(-((GAUSSIAN_CUT * np.arange(half) / half) ** 2))
            name, window = "agc_gaussian", (weights, self.mode == "centred")
        gain = context.empty(out.shape) if "gain" in context.saving else np.empty((0, 0), np.float32)
        form: Callable[..., None] = triangle if name == TRIANGLE else context.kernel(name)
        form(batch.traces, first, end, *window, out, gain, context.flag)
        if gain.size:
            context.save("gain", gain)
        return batch.with_traces(out)


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
    """Divide by the rms of the live samples in ``[i - before, i + after]``: reference form.

    Parameters
    ----------
    traces, out
        float32, shape ``(n_traces, n_samples)``.
    first, end
        Live windows, int64 ``(n_traces,)``, inside the trace.
    before, after
        Samples of the window before and after its centre, at most `n_samples`.
    gain
        Filled with what samples were multiplied by, 0 outside the live window and where there is no energy: float32, of
        the shape of `out`, or empty where nobody wants it.
    flag
        uint8 ``(1,)``, raised to cancel.

    Raises
    ------
    Cancelled
        When the flag was raised.
    """
    _apply(_rms_levels(traces, first, end, before, after, flag), out, gain)


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
    """Divide by the weighted rms of the live samples around each: reference form.

    Parameters
    ----------
    weights
        Weight at distance 0, 1, ... from the centre, float64.
    normalise
        Divide the weighted power by the sum of the weights of live samples.
    traces, first, end, out, gain, flag
        As for `agc`.
    """
    _apply(_gaussian_levels(traces, first, end, weights, normalise, flag), out, gain)


def triangle(
    traces: np.ndarray,
    first: np.ndarray,
    end: np.ndarray,
    half: int,
    mirrored: bool,
    out: np.ndarray,
    gain: np.ndarray,
    flag: np.ndarray,
) -> None:
    """Divide by the mean magnitude of the live samples under a triangle: the only form.

    Parameters
    ----------
    half
        Samples from the top of the triangle to its foot.
    mirrored
        Continue the whole trace by its mirror image; otherwise only live samples count.
    traces, first, end, out, gain, flag
        As for `agc`.
    """
    _apply(_triangle_levels(traces, first, end, half, mirrored, flag), out, gain)


def window_sums(values: np.ndarray, before: int, after: int) -> np.ndarray:
    """Sums over ``[i - before, i + after]``, zero beyond the ends, without ever subtracting.

    A running sum that adds and subtracts loses weak windows behind a strong spike. Here the axis is cut into blocks as
    long as the window, so that every window is the tail of one block and the head of the next (van Herk, Pattern
    Recognition Letters 13, 1992): two cumulative sums and one addition, exact to rounding.
    """
    rows, n = values.shape
    width = before + after + 1
    blocks = -(-(n + width) // width)
    padded = np.zeros((rows, blocks, width))
    padded.reshape(rows, -1)[:, before : before + n] = values
    tail = np.cumsum(padded[:, :, ::-1], axis=2)[:, :, ::-1].reshape(rows, -1)
    head = np.zeros_like(padded)
    np.cumsum(padded[:, :, :-1], axis=2, out=head[:, :, 1:])
    total: np.ndarray = tail[:, :n] + head.reshape(rows, -1)[:, width : width + n]
    return total


# Blocks of rows: which, 1 at live samples, samples with zeros outside, the amplitude around each.
Levels = Iterator[tuple[slice, np.ndarray, np.ndarray, np.ndarray]]


def _rms_levels(
    traces: np.ndarray, first: np.ndarray, end: np.ndarray, before: int, after: int, flag: np.ndarray
) -> Levels:
    sample = np.arange(traces.shape[1])
    for rows, inside, live in _live_blocks(traces, first, end, flag):
        total = window_sums(np.square(live, dtype=np.float64), before, after)
        start, stop = first[rows, None], end[rows, None]
        count = np.minimum(sample + after + 1, stop) - np.maximum(sample - before, start)
        yield rows, inside, live, np.sqrt(total / np.maximum(count, 1))


def _gaussian_levels(
    traces: np.ndarray, first: np.ndarray, end: np.ndarray, weights: np.ndarray, normalise: bool, flag: np.ndarray
) -> Levels:
    from scipy import ndimage  # slow to import, and only this form needs it

    kernel = np.concatenate((weights[:0:-1], weights))
    for rows, inside, live in _live_blocks(traces, first, end, flag, GAUSSIAN_ROWS):
        power = ndimage.correlate1d(np.square(live, dtype=np.float64), kernel, axis=1, mode="constant")
        if normalise:
            total = ndimage.correlate1d(inside.astype(np.float64), kernel, axis=1, mode="constant")
            power = np.divide(power, total, out=power, where=inside > 0)
        yield rows, inside, live, np.sqrt(power)


def _triangle_levels(
    traces: np.ndarray, first: np.ndarray, end: np.ndarray, half: int, mirrored: bool, flag: np.ndarray
) -> Levels:
    for rows, inside, live in _live_blocks(traces, first, end, flag):
        level = _triangle(np.abs(live, dtype=np.float64), half, mirrored)
        if not mirrored:
            weight = _triangle(inside.astype(np.float64), half, mirrored)
            level = np.divide(level, weight, out=level, where=inside > 0)
        yield rows, inside, live, level


def _triangle(values: np.ndarray, half: int, mirrored: bool) -> np.ndarray:
    """Means under triangular weights: two running means, one after the other, shifted against each other if even."""
    from scipy import ndimage

    mode = "reflect" if mirrored else "constant"
    padded = np.pad(values, ((0, 0), (half, half)), "symmetric" if mirrored else "constant")
    once = ndimage.uniform_filter1d(padded, half, axis=1, mode=mode)
    both = ndimage.uniform_filter1d(once, half, axis=1, mode=mode, origin=-1 if half % 2 == 0 else 0)
    smooth: np.ndarray = np.maximum(both[:, half:-half], 0)
    return smooth


def _live_blocks(
    traces: np.ndarray, first: np.ndarray, end: np.ndarray, flag: np.ndarray, count: int = ROWS
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Blocks of rows: which, 1 at live samples, and samples with zeros outside."""
    sample = np.arange(traces.shape[1])
    for row in range(0, len(traces), count):
        if flag[0]:
            raise Cancelled
        rows = slice(row, row + count)
        inside = (sample >= first[rows, None]) & (sample < end[rows, None])
        yield rows, inside.astype(np.float32), np.where(inside, traces[rows], np.float32(0))


def _apply(levels: Levels, out: np.ndarray, gain: np.ndarray) -> None:
    for rows, inside, live, level in levels:
        _divide(live, level, out[rows])
        if gain.size:
            _divide(inside, level, gain[rows])


def _divide(live: np.ndarray, rms: np.ndarray, out: np.ndarray) -> None:
    out[...] = 0
    np.divide(live, rms, out=out, where=rms > 0, casting="same_kind")
