"""Phase: constant rotation, and conversion between minimum and zero phase."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import scipy

from seisproc_core.data.gather import Gather, Layout, mute_outside
from seisproc_core.data.sampling import Sampling
from seisproc_core.data.tables import Table
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_signal import claims, wavelets
from seisproc_signal.filtering import Transfer, design_length, filter_traces, fir_transfer, response_transfer
from seisproc_signal.windows import guided_window, whole_samples

FEW = 8  # traces whose spectra, several times as long as they, stay in cache


@processor("phase_rotate", scope="trace", claims=claims.PHASE_ROTATE)
class PhaseRotate(Processor):
    """Rotate the phase of all frequencies by a constant angle.

    y = x cos(angle) - H[x] sin(angle), H the Hilbert transform: every positive frequency is multiplied by exp(i angle)
    (in a transform that synthesises with exp(+i w t)). 180 degrees reverse polarity, 90 turn a cosine into minus a
    sine; rotations add up. H is the ideal discrete transformer, h[k] = 2 / (pi k) for odd k, over the whole
    trace without wrap-around. Then the mute is applied again.

    Not a correction of a phase that varies with frequency or time (dispersion, minimum phase): see `inverse_q` and
    `phase_convert`. Energy spreads ahead of first breaks.

    Source: Oppenheim and Schafer, Discrete-Time Signal Processing (Prentice Hall, 1989), chapter 10; Levy and
    Oldenburg, Automatic phase correction of common-midpoint stacked data, Geophysics 52 (1987), 51-59.
    """

    angle_deg: float = param(help="Angle added to the phase.", unit="degrees", minimum=-360, maximum=360)

    def apply(self, batch: Gather, context: Context) -> Gather:
        out = context.empty(batch.traces.shape)
        filter_traces(batch.traces, rotation(self.angle_deg, batch.n_samples), out, context)
        mute_outside(out, *batch.live_window)
        return batch.with_traces(out)


@lru_cache(maxsize=16)
def rotation(angle_deg: float, n_samples: int) -> Transfer:
    """The filter that rotates phases by an angle."""
    angle = np.deg2rad(angle_deg)
    lag = np.arange(-n_samples + 1, n_samples)
    odd = lag % 2 != 0
    kernel = np.where(odd, -np.sin(angle) * 2 / (np.pi * np.where(odd, lag, 1)), 0.0)
    kernel[n_samples - 1] = np.cos(angle)
    return fir_transfer(kernel, -n_samples + 1, n_samples)


@processor("phase_convert", scope="trace", kernels=("autocorrelate",), claims=claims.PHASE_CONVERT)
class PhaseConvert(Processor):
    """Convert minimum phase to zero phase, or zero to minimum; amplitude spectra stay.

    With a `wavelet` (its time 0 is where events shall be) the filter is exp(i (target phase - phase of the wavelet)),
    the same for all traces, and the wavelet may have any phase. Without one the wavelet is estimated trace by trace:
    the autocorrelation of the live samples in the design window, tapered to zero over `wavelet_ms`, gives its
    amplitude spectrum, Kolmogorov's factorisation the minimum phase of that, and the data are taken to have the other
    of the two phases. ``to = "zero"`` then removes that phase, ``"minimum"`` adds it: Y(f) = X(f) exp(-+i phi(f)), phi
    the Hilbert transform of log |W(f)|.

    Polarity is kept: a wavelet of minimum phase that begins with a positive swing has a positive peak after
    conversion. Where the wavelet holds hardly any energy its phase is arbitrary; filter the band afterwards. Filters
    are applied over the whole trace, then the mute is applied again.

    Not statistical on short windows with few reflections: their spectrum is not that of the wavelet. Not on vibroseis
    data that were not made minimum phase: after correlation their wavelet is neither of the two.

    Source: Claerbout, Fundamentals of Geophysical Data Processing (McGraw-Hill, 1976), chapter 3 (Kolmogorov).
    """

    to: Literal["zero", "minimum"] = param(help="Phase of the result.")
    wavelet: Table | None = param(
        None, help="The wavelet in the data; estimated when left out.", columns=wavelets.COLUMNS
    )
    wavelet_ms: float = param(120.0, help="Length of the estimated wavelet.", unit="ms", above=0)
    design_start_ms: float | None = param(None, help="First time used for the estimate.", unit="ms")
    design_end_ms: float | None = param(None, help="Last time used for the estimate.", unit="ms")

    def check(self, layout: Layout) -> None:
        if self.wavelet is not None:
            if problem := wavelets.wavelet_problem(self.wavelet, layout.sampling):
                raise self.bad("wavelet", problem)
        elif not 1 < whole_samples(self.wavelet_ms, layout.sampling) <= layout.n_samples:
            longest = 1000 * layout.n_samples * layout.sampling.interval_s
            raise self.bad("wavelet_ms", f"must span two samples at least and the trace ({longest:g} ms) at most")

    def apply(self, batch: Gather, context: Context) -> Gather:
        out = context.empty(batch.traces.shape)
        if self.wavelet is None:
            self._by_estimate(batch, out, context)
        else:
            filter_traces(batch.traces, conversion(self, batch.n_samples, batch.sampling), out, context)
        mute_outside(out, *batch.live_window)
        return batch.with_traces(out)

    def _by_estimate(self, batch: Gather, out: np.ndarray, context: Context) -> None:
        n, reach = batch.n_samples, whole_samples(self.wavelet_ms, batch.sampling)
        lags = np.empty((batch.n_traces, reach))
        window = guided_window(batch, self.design_start_ms, self.design_end_ms, None)
        context.kernel("autocorrelate")(batch.traces, *window, lags, context.flag)
        lags *= np.cos(np.pi / 2 * np.arange(reach) / reach) ** 2
        length = 2 * int(scipy.fft.next_fast_len(2 * n, real=True))
        sign = np.float32(-1 if self.to == "zero" else 1)
        for row in range(0, batch.n_traces, FEW):
            context.check()
            rows = slice(row, row + FEW)
            # A symmetric sequence has the real part of twice its one half.
            power = np.maximum(2 * scipy.fft.rfft(lags[rows], length, axis=1, workers=1).real - lags[rows, :1], 0)
            phase = sign * wavelets.phase_of_minimum(power)
            turn = np.empty(phase.shape, np.complex64)
            np.cos(phase, out=turn.real)
            np.sin(phase, out=turn.imag)
            turn *= scipy.fft.rfft(batch.traces[rows], length, axis=1, workers=1)
            out[rows] = scipy.fft.irfft(turn, length, axis=1, overwrite_x=True, workers=1)[:, :n]


@lru_cache(maxsize=16)
def conversion(design: PhaseConvert, n_samples: int, sampling: Sampling) -> Transfer:
    """The all-pass filter that gives the wavelet of a design its target phase."""
    assert design.wavelet is not None
    samples, lag = wavelets.wavelet_samples(design.wavelet, sampling)
    spectrum = wavelets.wavelet_spectrum(samples, lag, design_length(max(n_samples, len(samples))))
    target = np.ones_like(spectrum) if design.to == "zero" else wavelets.minimum_phase(np.abs(spectrum))
    response = target * np.conj(spectrum)
    size = np.abs(response)
    return response_transfer(np.where(size > 0, response / np.where(size > 0, size, 1), 1), n_samples)
