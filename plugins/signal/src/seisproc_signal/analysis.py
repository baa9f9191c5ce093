"""Processors that turn traces into their amplitude spectra and autocorrelations."""

from __future__ import annotations

from typing import Literal

import attrs
import numpy as np

from seisproc_core.data.gather import Gather, Layout, mute_outside
from seisproc_core.data.sampling import Sampling
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_signal import claims, spectra
from seisproc_signal.filtering import fft_length
from seisproc_signal.windows import (
    check_window,
    guided_window,
    whole_samples,
    window_end,
    window_start,
    window_velocity,
    with_live_words,
)

ROWS = 32  # traces between two looks at the cancel flag; their spectra stay in cache


@attrs.frozen(kw_only=True)
class _Analysis(Processor):
    """What both share: a window of live samples, which may follow a velocity, and an axis of their own."""

    start_ms: float | None = window_start()
    end_ms: float | None = window_end()
    velocity_m_per_s: float | None = window_velocity()

    def check(self, layout: Layout) -> None:
        if layout.sampling.domain != "time":
            raise self.bad("start_ms", f"needs traces in time, these are in {layout.sampling.domain}")
        check_window(self, layout, "start_ms", "end_ms")

    def axis(self, layout: Layout) -> Sampling:
        """The sample axis of the result."""
        raise NotImplementedError

    def analyse(self, traces: np.ndarray, layout: Layout) -> np.ndarray:
        """The result for traces that are zero outside the window."""
        raise NotImplementedError

    def plan(self, layout: Layout) -> Layout:
        axis = self.axis(layout)
        first, end = with_live_words(layout).live_window
        headers = layout.headers.with_live_window(np.zeros_like(first), np.where(end > first, axis.count, 0))
        return attrs.evolve(layout, headers=headers, sampling=axis)

    def apply(self, batch: Gather, context: Context) -> Gather:
        planned = self.plan(batch.layout)
        window = guided_window(batch, self.start_ms, self.end_ms, self.velocity_m_per_s)
        cut = (window[0] > 0) | (window[1] < batch.n_samples)
        out = context.empty((batch.n_traces, planned.n_samples))
        for row in range(0, batch.n_traces, ROWS):
            context.check()
            rows = slice(row, row + ROWS)
            traces = batch.traces[rows]
            if cut[rows].any():
                traces = traces.copy()
                mute_outside(traces, window[0][rows], window[1][rows])
            out[rows] = self.analyse(traces, batch)
        return Gather(headers=planned.headers, sampling=planned.sampling, gather_starts=batch.gather_starts, traces=out)


@processor("spectrum", scope="trace", claims=claims.SPECTRUM)
class Spectrum(_Analysis):
    """Amplitude or power spectrum of every trace, in place of the trace; the axis of the result is frequency.

    |X(f)| with X(f) = sum_n x[n] exp(-2 pi i f n dt) over the live samples of a window, on ``length`` samples of the
    FFT (zeros appended): frequencies 0, 1 / (length dt), ... up to Nyquist. ``power``: |X|^2; ``db``: 20 log10 of |X|
    over its largest value in the trace, not below -120. ``scale_time`` multiplies X by dt, so that it does not depend
    on the sample interval.

    The result is no longer a trace in time: steps in time refuse it, the axis counts hertz.

    Not to compare windows of different length without ``scale_time`` and the same ``length``; not a smooth estimate:
    the spectrum of a single noisy trace is as rough as noise. Average over a gather (`combine`).

    Source: Yilmaz, Seismic Data Analysis (SEG, 2001), chapter 1; ``mode = "su"`` halves the zero frequency, as Seismic
    Unix `suspecfx`.
    """

    kind: Literal["amplitude", "power", "db"] = param("amplitude", help="What is given of the spectrum.")
    length: int | None = param(None, help="Samples of the FFT; the next fast length when left out.", minimum=2)
    scale_time: bool = param(False, help="Multiply by the sample interval, as an integral over time.")
    mode: Literal["plain", "su"] = param("plain", help="As defined, or as Seismic Unix.")

    def check(self, layout: Layout) -> None:
        super().check(layout)
        if self.length is not None and self.length < layout.n_samples:
            raise self.bad("length", f"must be at least the {layout.n_samples} samples of a trace")

    def _length(self, layout: Layout) -> int:
        return self.length or fft_length(layout.n_samples)

    def axis(self, layout: Layout) -> Sampling:
        length = self._length(layout)
        return Sampling(0.0, 1 / (length * layout.sampling.interval_s), length // 2 + 1, "frequency")

    def analyse(self, traces: np.ndarray, layout: Layout) -> np.ndarray:
        interval = layout.sampling.interval_s
        _, amplitude = spectra.amplitude_spectrum(traces, interval, self._length(layout))
        if self.mode == "su":
            amplitude[:, 0] /= 2
        if self.scale_time:
            amplitude *= interval
        if self.kind == "power":
            amplitude *= amplitude
        if self.kind == "db":
            largest = amplitude.max(axis=1, keepdims=True)
            part = np.divide(amplitude, largest, out=np.ones_like(amplitude), where=largest > 0)
            amplitude = 20 * np.log10(np.maximum(part, 1e-6))
        return amplitude


@processor("autocorrelation", scope="trace", claims=claims.AUTOCORRELATION)
class Autocorrelation(_Analysis):
    """Autocorrelation of every trace, in place of the trace; the axis of the result is lag.

    r[k] = sum_n x[n] x[n + k] over the live samples of a window, for lags 0 to ``length_ms``, and the negative ones too
    with ``symmetric``. ``normalise`` (the default) divides by lag 0. Shows wavelet length and the period of
    reverberations, before and after deconvolution; gather by shot or CDP to see whether they hold along the line.

    Not over windows shorter than about eight times ``length_ms``: few products remain for long lags, and a window that
    cuts events makes side lobes. Not after AGC over short windows, which weakens the later period of reverberations.

    Source: Yilmaz, Seismic Data Analysis (SEG, 2001), section 2.2; Seismic Unix `suacor` is ``symmetric``, and
    ``norm=0`` is ``normalise = false``.
    """

    length_ms: float = param(400.0, help="Longest lag.", unit="ms", above=0)
    normalise: bool = param(True, help="Divide by lag 0.")
    symmetric: bool = param(False, help="Give negative lags too.")

    def axis(self, layout: Layout) -> Sampling:
        lags = whole_samples(self.length_ms, layout.sampling)
        interval = layout.sampling.interval_s
        if self.symmetric:
            return Sampling(-lags * interval, interval, 2 * lags + 1)
        return Sampling(0.0, interval, lags + 1)

    def analyse(self, traces: np.ndarray, layout: Layout) -> np.ndarray:
        lags = whole_samples(self.length_ms, layout.sampling) + 1
        return spectra.autocorrelation(traces, lags, normalise=self.normalise, symmetric=self.symmetric)
