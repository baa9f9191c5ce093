"""What all transforms here share: bands of coefficients, their noise level, and how they shrink."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, Protocol

import attrs
import numpy as np

from seisproc_core.data.gather import Gather, mute_outside
from seisproc_core.errors import Cancelled
from seisproc_core.processing.context import Context

Mode = Literal["soft", "hard", "garrote", "adaptive"]
Rule = Literal["universal", "sigma"]
Noise = Literal["each", "finest"]

ROWS = 64  # traces between two looks at the cancel flag: their coefficients stay near, and calls cost little
VOICES = 16  # frequencies to the octave, of transforms that space them so
SHAPES = {"soft": 0, "adaptive": 0, "hard": 1, "garrote": 2}
ALL = slice(None)
# Median magnitude of Gaussian noise of unit variance (per part, for complex cells: Rayleigh).
MEDIAN_OF_NOISE = {1: 0.6744897501960817, 2: 1.1774100225154747}


@attrs.frozen(eq=False)
class Band:
    """One level, packet or frequency of a transform, for a block of traces; changed in place.

    Attributes
    ----------
    cells
        Coefficients, C-contiguous float32 or complex64, shape ``(n_traces, n_cells)``, along time.
    first, end
        Live cells ``[first, end)`` of each trace, int64 ``(n_traces,)``, inside the band: those centred on
        live samples.
    gauge
        Cells of the same shape that tell the noise level where `cells` themselves are too sparse to.
    per_value
        Cells to one independent value of white noise: more than 1 where neighbouring cells overlap.
    white
        Standard deviation that white noise has here, as part of what it has in the finest band.
    """

    cells: np.ndarray
    first: np.ndarray
    end: np.ndarray
    gauge: np.ndarray | None = None
    per_value: float = 1.0
    white: float = 1.0

    @property
    def parts(self) -> int:
        """Real numbers per cell."""
        return 2 if np.iscomplexobj(self.cells) else 1

    @property
    def reals(self) -> np.ndarray:
        """The cells as real numbers: float32 ``(n_traces, n_cells * parts)``, the same memory."""
        return self.cells.view(np.float32)


Modify = Callable[[Band], None]


class Transform(Protocol):
    """A transform with an exact inverse, made ready for one trace length."""

    def rework(self, traces: np.ndarray, first: np.ndarray, end: np.ndarray, modify: Modify) -> np.ndarray:
        """Transform, let `modify` change band after band, transform back.

        Parameters
        ----------
        traces
            float32 ``(n_traces, n_samples)``, zero outside the live windows.
        first, end
            Live windows of the traces, int64 ``(n_traces,)``.

        Returns
        -------
        ndarray
            float32 ``(n_traces, n_samples)``; the traces again, to rounding, where nothing was changed.

        Where bands are scales, the finest comes first.
        """
        ...


@attrs.frozen(eq=False)
class Block:
    """Traces ready for a transform: without samples outside live windows, without NaN, near 1 in size.

    Attributes
    ----------
    traces
        float32 ``(n_traces, n_samples)``; all zero for traces that hold a NaN or Inf.
    first, end
        Live windows, int64 ``(n_traces,)``.
    broken
        Which traces hold a NaN or Inf among their live samples.
    scale
        The power of two each trace was multiplied with, float32 ``(n_traces, 1)``.
    """

    traces: np.ndarray
    first: np.ndarray
    end: np.ndarray
    broken: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, batch: Gather, rows: slice | np.ndarray, *, together: bool = False) -> Block:
        """Some traces of a batch; `together` scales them all alike."""
        first, end = (edge[rows] for edge in batch.live_window)
        traces = batch.traces[rows]
        if np.any(first > 0) or np.any(end < batch.n_samples):
            sample = np.arange(batch.n_samples)
            traces = np.where((sample >= first[:, None]) & (sample < end[:, None]), traces, np.float32(0))
        peak = np.maximum(traces.max(axis=1), -traces.min(axis=1))
        broken = ~np.isfinite(peak)
        peak[broken] = 0
        if together:
            peak[:] = peak.max(initial=0)
        # A power of two rounds nothing, and squares of what is near 1 neither overflow nor vanish.
        scale = np.ldexp(np.float32(1), np.clip(-np.frexp(peak)[1], -126, 126))[:, None]
        traces = np.where(broken[:, None], np.float32(0), traces) if broken.any() else traces
        return cls(traces * scale, first, end, broken, scale)

    def only_usable(self, aperture: np.ndarray) -> np.ndarray:
        """An aperture without broken and dead traces: -1 in their place."""
        usable = ~self.broken & (self.end > self.first)
        kept: np.ndarray = np.where((aperture >= 0) & usable[aperture], aperture, -1)
        return kept

    def finish(self, restored: np.ndarray, out: np.ndarray, rows: slice, mine: slice | np.ndarray = ALL) -> None:
        """Write the traces `mine` to some rows of the output: unscaled, muted again, NaN where one was."""
        np.divide(restored[mine], self.scale[mine], out=out[rows])
        out[rows][self.broken[mine]] = np.nan
        mute_outside(out[rows], self.first[mine], self.end[mine])


def blocks(count: int, context: Context, rows: int = ROWS) -> Iterator[slice]:
    """Slices over `count` traces; looks at the cancel flag before each."""
    for start in range(0, count, rows):
        context.check()
        yield slice(start, min(start + rows, count))


def shrinker(
    context: Context,
    factor: float,
    rule: Rule,
    mode: Mode,
    aperture: np.ndarray | None = None,
    noise: Noise = "each",
) -> Modify:
    """What shrinks the bands of one block towards zero.

    Parameters
    ----------
    factor
        Multiple of the threshold; 0 changes nothing.
    rule
        ``universal``: sigma sqrt(2 ln n), n the independent values of a band; ``sigma``: the noise's standard
        deviation itself.
    aperture
        Traces whose cells tell the noise level of each, int64 ``(n_traces, k)``, -1 for none; by default its own.
    noise
        Where the noise level is measured: in ``each`` band, or in the ``finest``, the first one, for all.
    """
    measure, shrink = context.kernel("band_noise"), context.kernel("band_shrink")
    finest: list[np.ndarray] = []

    def measured(band: Band) -> np.ndarray:
        count = len(band.cells)
        near = np.arange(count)[:, None] if aperture is None else aperture
        sigma = np.empty(count)
        gauge = band.reals if band.gauge is None else band.gauge.view(np.float32)
        measure(gauge, band.parts, band.first, band.end, near, sigma, context.flag)
        sigma /= MEDIAN_OF_NOISE[band.parts]
        return sigma

    def modify(band: Band) -> None:
        context.check()
        if noise == "finest" and not finest:
            finest.append(measured(band))
        limit = sigma = finest[0] * band.white if noise == "finest" else measured(band)
        if mode == "adaptive":
            limit = _adaptive(band, sigma) if factor > 0 else np.zeros_like(sigma)
        elif rule == "universal":
            limit = sigma * np.sqrt(2 * np.log(np.maximum((band.end - band.first) / band.per_value, 2)))
        shrink(band.reals, band.parts, factor * limit, SHAPES[mode], context.flag)

    return modify


def _adaptive(band: Band, sigma: np.ndarray) -> np.ndarray:
    """Threshold sigma^2 / s of each trace, with s^2 the mean square of its live cells beyond the noise's."""
    cell = np.arange(band.cells.shape[1])
    live = (cell >= band.first[:, None]) & (cell < band.end[:, None])
    square = np.square(magnitudes(band.reals, band.parts), dtype=np.float64).sum(axis=1, where=live)
    signal = np.sqrt(np.maximum(square / np.maximum(band.end - band.first, 1) / band.parts - sigma**2, 0))
    limit: np.ndarray = np.where(sigma > 0, np.inf, 0.0)
    np.divide(sigma**2, signal, out=limit, where=signal > 0)
    return limit


def band_noise(
    reals: np.ndarray,
    parts: int,
    first: np.ndarray,
    end: np.ndarray,
    aperture: np.ndarray,
    out: np.ndarray,
    flag: np.ndarray,
) -> None:
    """Median magnitude of the live cells round each trace: reference form.

    Parameters
    ----------
    reals
        Cells as real numbers, float32 ``(n_traces, n_cells * parts)``.
    parts
        1 for real cells, 2 for complex ones.
    first, end
        Live cells of each trace, int64 ``(n_traces,)``.
    aperture
        The traces whose cells are pooled for each trace, int64 ``(n_traces, k)``, -1 for none.
    out
        float64 ``(n_traces,)``, 0 where no cell is live.
    flag
        uint8 ``(1,)``, raised to cancel.

    Raises
    ------
    Cancelled
        When the flag was raised.
    """
    if flag[0]:
        raise Cancelled
    size = magnitudes(reals, parts)
    cell = np.arange(size.shape[1])
    pooled = np.where((cell >= first[:, None]) & (cell < end[:, None]), size, np.float32(np.inf))
    counts = end - first
    if aperture.shape[1] > 1 or np.any(aperture[:, 0] != np.arange(len(reals))):
        counts = np.where(aperture >= 0, counts[aperture], 0).sum(axis=1)
        pooled = np.where((aperture >= 0)[:, :, None], pooled[aperture], np.float32(np.inf)).reshape(len(aperture), -1)
    pooled.sort(axis=1)  # live cells come first
    rows = np.arange(len(pooled))
    low, high = np.maximum(counts - 1, 0) // 2, np.minimum(counts // 2, pooled.shape[1] - 1)
    out[:] = np.where(counts > 0, (pooled[rows, low].astype(np.float64) + pooled[rows, high]) / 2, 0)


def band_shrink(reals: np.ndarray, parts: int, limit: np.ndarray, shape: int, flag: np.ndarray) -> None:
    """Shrink cells by their magnitude a against the limit L of their trace, in place: reference form.

    Cells with a <= L become 0. The others are multiplied with 1 - L/a (shape 0, soft), 1 (1, hard) or 1 - (L/a)^2
    (2, garrote).

    Parameters
    ----------
    reals, parts, flag
        As for `band_noise`.
    limit
        float64 ``(n_traces,)``, may be infinite.

    Raises
    ------
    Cancelled
        When the flag was raised.
    """
    if flag[0]:
        raise Cancelled
    size = magnitudes(reals, parts)
    low = limit.astype(np.float32)[:, None]
    ratio = np.divide(low, size, out=np.full_like(size, 2), where=size > low)
    gain = np.where(ratio < 1, (1 - ratio, np.float32(1), 1 - ratio**2)[shape], np.float32(0))
    reals.reshape(*size.shape, parts)[...] *= gain[:, :, None]


def magnitudes(reals: np.ndarray, parts: int) -> np.ndarray:
    """Magnitude of every cell, float32 ``(n_traces, n_cells)``."""
    size: np.ndarray = np.abs(reals) if parts == 1 else np.sqrt(reals[:, 0::2] ** 2 + reals[:, 1::2] ** 2)
    return size
