"""Filters that give data a wanted wavelet: shaping from wavelet to wavelet, matching trace by trace, designature."""

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
from seisproc_signal import claims, wavelets, wiener
from seisproc_signal.filtering import Transfer, design_length, filter_traces, fir_transfer, response_transfer
from seisproc_signal.windows import guided_window, nearest_sample, whole_samples


@processor("shape", scope="trace", claims=claims.SHAPE)
class Shape(Processor):
    """Wiener shaping: one filter for all traces that turns a given wavelet into a desired one.

    The filter f has the least |w * f - d|^2 + p |w|^2 |f|^2, w the wavelet in the data, d the desired one and p the
    prewhitening. Times in both tables count from the same instant, so a desired wavelet may also be delayed or
    advanced. The operator spans `operator_start_ms` to `operator_start_ms` + `operator_ms`; wavelets that are not
    minimum phase need lags before 0. Filters run over the whole trace; then the mute is applied again.

    Not to broaden a band: where w has no energy, the filter amplifies noise, held down only by the prewhitening.

    Source: Robinson and Treitel, Geophysical Signal Analysis (Prentice-Hall, 1980).
    """

    wavelet: Table = param(help="The wavelet in the data.", columns=wavelets.COLUMNS)
    desired: Table = param(help="The wavelet wanted.", columns=wavelets.COLUMNS)
    operator_ms: float = param(400.0, help="Length of the filter.", unit="ms", above=0)
    operator_start_ms: float = param(-200.0, help="First lag of the filter.", unit="ms")
    prewhitening_percent: float = param(0.1, help="White noise added to the zero lag.", unit="%", above=0, maximum=100)

    def check(self, layout: Layout) -> None:
        for name in ("wavelet", "desired"):
            if problem := wavelets.wavelet_problem(getattr(self, name), layout.sampling):
                raise self.bad(name, problem)
        _check_operator(self, self.operator_ms, layout)

    def apply(self, batch: Gather, context: Context) -> Gather:
        out = context.empty(batch.traces.shape)
        filter_traces(batch.traces, shaping(self, batch.n_samples, batch.sampling), out, context)
        mute_outside(out, *batch.live_window)
        return batch.with_traces(out)


@lru_cache(maxsize=16)
def shaping(design: Shape, n_samples: int, sampling: Sampling) -> Transfer:
    """The filter of a `Shape` step."""
    taps, first = _operator(design.operator_ms, design.operator_start_ms, sampling)
    source, desired = (wavelets.wavelet_samples(table, sampling) for table in (design.wavelet, design.desired))
    kernel = wavelets.shaping_filter(source, desired, taps, first, design.prewhitening_percent / 100)
    return fir_transfer(kernel, first, n_samples)


@processor("match", scope="trace", kernels=("autocorrelate", "levinson", "convolve"), claims=claims.MATCH)
class Match(Processor):
    """Wiener matching, trace by trace: filter each trace so that its design window becomes a given wavelet.

    The filter f of a trace has the least |x * f - d|^2 + p |x|^2 |f|^2, x the live samples of the design window, d the
    desired wavelet with its time 0 at `time_ms` + |offset| / velocity, rounded to a sample; it is then applied to
    all live samples. The design window must hold one event, such as the direct arrival or the water bottom, and
    moves with the same velocity. A trace without energy there becomes 0.

    Not with several events in the window: they are shaped into one. Not on weak events: noise becomes part of the
    filter.

    Source: Robinson and Treitel, Geophysical Signal Analysis (Prentice-Hall, 1980).
    """

    desired: Table = param(help="The wavelet wanted.", columns=wavelets.COLUMNS)
    time_ms: float = param(help="Time of the event at offset 0, where the wavelet's time 0 goes.", unit="ms")
    design_start_ms: float = param(help="First time of the design window at offset 0.", unit="ms")
    design_end_ms: float = param(help="Last time of the design window at offset 0.", unit="ms")
    velocity_m_per_s: float | None = param(None, help="Velocity that all these times follow.", unit="m/s", above=0)
    operator_ms: float = param(200.0, help="Length of the filter.", unit="ms", above=0)
    operator_start_ms: float = param(-100.0, help="First lag of the filter.", unit="ms")
    prewhitening_percent: float = param(0.1, help="White noise added to the zero lag.", unit="%", above=0, maximum=100)

    def check(self, layout: Layout) -> None:
        if problem := wavelets.wavelet_problem(self.desired, layout.sampling):
            raise self.bad("desired", problem)
        if self.design_start_ms >= self.design_end_ms:
            raise self.bad("design_start_ms", f"must lie before design_end_ms ({self.design_end_ms:g} ms)")
        _check_operator(self, self.operator_ms, layout)
        self._window(layout)

    def _window(self, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
        return guided_window(layout, self.design_start_ms, self.design_end_ms, self.velocity_m_per_s)

    def apply(self, batch: Gather, context: Context) -> Gather:
        taps, lag = _operator(self.operator_ms, self.operator_start_ms, batch.sampling)
        auto = np.empty((batch.n_traces, taps))
        context.kernel("autocorrelate")(batch.traces, *self._window(batch), auto, context.flag)
        auto[:, 0] *= 1 + self.prewhitening_percent / 100
        filters = np.empty_like(auto)
        context.kernel("levinson")(auto, self._cross(batch, taps, lag, context), filters, context.flag)
        first, end = batch.live_window
        out = context.empty(batch.traces.shape)
        lags = np.full(batch.n_traces, lag)
        context.kernel("convolve")(batch.traces, first, end, filters, lags, 0.0, first, end, out, context.flag)
        return batch.with_traces(out)

    def _cross(self, batch: Gather, taps: int, lag: int, context: Context) -> np.ndarray:
        """g[k] = sum_i d[i] x[i - lag - k], d placed at its time on each trace: float64 ``(n_traces, taps)``."""
        desired, d_lag = wavelets.wavelet_samples(self.desired, batch.sampling)
        delay = np.zeros(batch.n_traces)
        if self.velocity_m_per_s is not None:
            delay = np.abs(batch.headers["offset"].astype(np.float64)) / self.velocity_m_per_s
        at = (self.time_ms / 1000 + delay - batch.sampling.start_s) / batch.sampling.interval_s
        n = batch.n_samples
        length = scipy.fft.next_fast_len(n + len(desired), real=True)
        spectrum = np.conj(scipy.fft.rfft(desired, length))
        # c[j] = sum_m d[m] x[j + m] for j from 1 - len(d) to n - 1; negative j wrap to the end.
        wanted = (nearest_sample(at) + d_lag - lag)[:, None] - np.arange(taps)
        inside = (wanted > -len(desired)) & (wanted < n)
        wanted = np.where(inside, wanted, 0) % length
        cross = np.empty((batch.n_traces, taps))
        for rows, samples in wiener.blocks(batch.traces, *self._window(batch), context.flag):
            every = scipy.fft.irfft(
                scipy.fft.rfft(samples, length, axis=1, workers=1) * spectrum, length, axis=1, workers=1
            )
            cross[rows] = np.where(inside[rows], np.take_along_axis(every, wanted[rows], axis=1), 0)
        return cross


@processor("designature", scope="trace", claims=claims.DESIGNATURE)
class Designature(Processor):
    """Remove a known source signature: spectral division with a noise level, towards zero or minimum phase.

    The filter is F(f) = B(f) / W(f), W the spectrum of the signature and B(f) = |W|^2 / (|W|^2 + e max|W|^2): the
    band that is left, about 1 where the signature has energy. ``phase = "zero"`` leaves a zero-phase pulse at the
    signature's time 0; ``"minimum"`` gives that pulse the minimum phase of B. e = noise_percent / 100 keeps notches of
    the signature (ghosts, bubbles) from being filled with noise. Filters run over the whole trace; then the mute
    is applied again.

    Not with a signature that varies over the survey or with angle, and not after steps that changed the wavelet.

    Source: Ziolkowski, Parkes, Hatton and Haugland, The signature of an air gun array, Geophysics 47 (1982), 1413-1421;
    the noise level is Wiener's, as in Robinson and Treitel, Geophysical Signal Analysis (Prentice-Hall, 1980).
    """

    signature: Table = param(help="The source signature.", columns=wavelets.COLUMNS)
    phase: Literal["zero", "minimum"] = param("zero", help="Phase of the pulse that is left.")
    noise_percent: float = param(0.1, help="Noise level, of the signature's largest power.", unit="%", above=0)

    def check(self, layout: Layout) -> None:
        if problem := wavelets.wavelet_problem(self.signature, layout.sampling):
            raise self.bad("signature", problem)

    def apply(self, batch: Gather, context: Context) -> Gather:
        out = context.empty(batch.traces.shape)
        filter_traces(batch.traces, signature_filter(self, batch.n_samples, batch.sampling), out, context)
        mute_outside(out, *batch.live_window)
        return batch.with_traces(out)


@lru_cache(maxsize=16)
def signature_filter(design: Designature, n_samples: int, sampling: Sampling) -> Transfer:
    """The filter of a `Designature` step."""
    samples, lag = wavelets.wavelet_samples(design.signature, sampling)
    spectrum = wavelets.wavelet_spectrum(samples, lag, design_length(max(n_samples, len(samples))))
    power = np.abs(spectrum) ** 2
    level = power + design.noise_percent / 100 * power.max()
    response = np.conj(spectrum) / level
    if design.phase == "minimum":
        pulse = wavelets.minimum_phase(power / level)
        response = response * pulse / np.abs(pulse)
    return response_transfer(response, n_samples)


def _operator(length_ms: float, start_ms: float, sampling: Sampling) -> tuple[int, int]:
    """Coefficients of a filter and the lag of its first one."""
    return whole_samples(length_ms, sampling), whole_samples(start_ms, sampling)


def _check_operator(step: Processor, length_ms: float, layout: Layout) -> None:
    longest = 1000 * layout.n_samples * layout.sampling.interval_s
    if not 1 <= whole_samples(length_ms, layout.sampling) <= layout.n_samples:
        raise step.bad("operator_ms", f"must span one sample at least and the trace ({longest:g} ms) at most")
