"""Linear moveout: shift traces by a slope, and back."""

from __future__ import annotations

from typing import Literal

import attrs
import numpy as np
import scipy

from seisproc_core.data.gather import Gather, Layout, mute_outside
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_denoise.multichannel import claims
from seisproc_denoise.multichannel.windows import live_traces

ROWS = 64  # traces between two looks at the cancel flag; their spectra stay in cache
STRIDE = 64  # frequencies between two exponentials
TAIL = 64  # samples that the interpolation may ring beyond the ends


@processor("linear_moveout", scope="trace", claims=claims.LINEAR_MOVEOUT)
class LinearMoveout(Processor):
    """Shift every trace by its position times a slope: y(t) = x(t + p s), or back with ``inverse``.

    The slope p is 1 / `velocity_m_per_s` or `slope_ms_per_m`, the position s a header word, by default the magnitude of
    the offset. Events of that slope become flat (linear moveout correction), ready for filters that act on flat events;
    a second step with ``inverse = true`` restores them. Shifts of parts of a sample are exact for frequencies below
    Nyquist (phase shift, padded). Live windows move along and are rounded inwards; samples that leave the trace are
    lost.

    Not to flatten reflections: use `nmo`.

    Source: Yilmaz, Seismic Data Analysis (SEG, 2001), section 6.3, on linear moveout correction; shift theorem:
    Bracewell, The Fourier Transform and Its Applications (McGraw-Hill, 2000), chapter 6.
    """

    velocity_m_per_s: float | None = param(None, help="Velocity of the events to flatten.", unit="m/s", above=0)
    slope_ms_per_m: float | None = param(
        None, help="Their slope, in place of a velocity; may be negative.", unit="ms/m"
    )
    position: str = param("offset", help="Header word with the position, m.")
    sign: Literal["magnitude", "signed"] = param("magnitude", help="Whether positions count by magnitude.")
    inverse: bool = param(False, help="Undo the correction.")

    def check(self, layout: Layout) -> None:
        if (self.velocity_m_per_s is None) == (self.slope_ms_per_m is None):
            raise self.bad("velocity_m_per_s", "or 'slope_ms_per_m' must be given, and not both")
        layout.headers.column(self.position)

    def shifts(self, layout: Layout) -> np.ndarray:
        """Samples by which each trace moves up, float64 ``(n_traces,)``."""
        slope = 1 / self.velocity_m_per_s if self.velocity_m_per_s else (self.slope_ms_per_m or 0.0) / 1000
        position = np.asarray(layout.headers[self.position], np.float64)
        if self.sign == "magnitude":
            position = np.abs(position)
        return (-1 if self.inverse else 1) * slope * position / layout.sampling.interval_s

    def window(self, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
        """Live windows of the output."""
        first, end = layout.live_window
        shift, count = self.shifts(layout), layout.n_samples
        begin = np.clip(np.ceil(first - shift - 1e-6), 0, count).astype(np.int64)
        stop = np.clip(np.floor(end - shift + 1e-6), 0, count).astype(np.int64)
        return begin, np.where(end > first, np.maximum(begin, stop), begin)

    def plan(self, layout: Layout) -> Layout:
        return attrs.evolve(layout, headers=layout.headers.with_live_window(*self.window(layout)))

    def apply(self, batch: Gather, context: Context) -> Gather:
        first, end = self.window(batch)
        traces, shift = live_traces(batch), self.shifts(batch)
        out = context.empty(traces.shape)
        for start in range(0, len(traces), ROWS):
            context.check()
            rows = slice(start, start + ROWS)
            out[rows] = shifted(traces[rows], shift[rows])
        mute_outside(out, first, end)
        return batch.with_live_window(out, first, end)


def shifted(traces: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Traces moved up by parts of samples: ``y[i] = x(i + samples)``, zero beyond the ends.

    Parameters
    ----------
    traces
        Float32 ``(n_traces, n_samples)``.
    samples
        Float64 ``(n_traces,)``.

    Returns
    -------
    numpy.ndarray
        Float32, same shape. Moving back by `-samples` is the adjoint, and the inverse but for what left the trace.
    """
    count = traces.shape[1]
    samples = np.clip(samples, -count - TAIL, count + TAIL)
    # Long enough for any shift: with a length fit for this batch, the tails of a trace would depend on its company.
    length = scipy.fft.next_fast_len(2 * (count + TAIL), real=True)
    spectrum = scipy.fft.rfft(traces, length, axis=1, workers=1)
    spectrum *= _phases(samples / length, spectrum.shape[1])
    moved = scipy.fft.irfft(spectrum, length, axis=1, workers=1)
    made: np.ndarray = moved[:, :count]
    return made


def _phases(cycles: np.ndarray, number: int) -> np.ndarray:
    """exp(2 pi i k cycles) for k from 0 on, complex64 ``(len(cycles), number)``: products of few.

    Exponentials cost more than the two FFTs.
    """
    coarse, fine = np.arange(0, number, STRIDE), np.arange(STRIDE)
    powers = [np.exp(2j * np.pi * np.multiply.outer(cycles, k)) for k in (coarse, fine)]
    every = (powers[0][:, :, None] * powers[1][:, None, :]).astype(np.complex64)
    phases: np.ndarray = every.reshape(len(cycles), -1)[:, :number]
    return phases
