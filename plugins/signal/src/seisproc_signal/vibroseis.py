"""Vibroseis: sweeps and their correlation."""

from __future__ import annotations

from functools import lru_cache

import attrs
import numpy as np

from seisproc_core.data.gather import Gather, Layout, mute_outside
from seisproc_core.data.sampling import Sampling
from seisproc_core.data.tables import Table
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_signal import claims, wavelets
from seisproc_signal.filtering import Transfer, fft_length, filter_traces
from seisproc_signal.windows import whole_samples


@processor("vibroseis_correlate", scope="trace", claims=claims.VIBROSEIS_CORRELATE)
class VibroseisCorrelate(Processor):
    """Correlate vibroseis records with their sweep.

    y(t) = sum_i x(t + u_i) s(u_i) / sum_i s(u_i)^2, s the sweep at times u_i from its start: a reflection of unit
    strength becomes a zero-phase (Klauder) wavelet with peak 1 at its time. The sweep is linear, from `start_hz` to
    `end_hz` (either way) over `sweep_ms` with cosine tapers, or a `pilot` given as a table whose time 0 is the start
    of the record's clock. Output traces start where the input's do and end at `listen_ms`; when left out, where the
    whole sweep still lies inside the record.

    Not for records correlated in the field, and not with a pilot that was recorded through other filters than the data
    (the wavelet is then not zero-phase: see `phase_convert`). Mute and remove spikes before: correlation spreads them
    over a sweep length.

    Source: Yilmaz, Seismic Data Analysis (SEG, 2001), chapter 1, "vibroseis correlation"; Klauder et al., The theory
    and design of chirp radars, Bell System Technical Journal 39 (1960), 745-808.
    """

    start_hz: float | None = param(None, help="Frequency at the start of a linear sweep.", unit="Hz", above=0)
    end_hz: float | None = param(None, help="Frequency at its end.", unit="Hz", above=0)
    sweep_ms: float | None = param(None, help="Its length.", unit="ms", above=0)
    taper_ms: float = param(250.0, help="Length of its tapers.", unit="ms", minimum=0)
    pilot: Table | None = param(None, help="The sweep as a table instead.", columns=wavelets.COLUMNS)
    listen_ms: float | None = param(None, help="Last time of the output.", unit="ms", above=0)

    def check(self, layout: Layout) -> None:
        nyquist = layout.sampling.nyquist_hz
        if self.pilot is not None:
            if self.start_hz or self.end_hz or self.sweep_ms:
                raise self.bad("pilot", "cannot be given together with start_hz, end_hz or sweep_ms")
            if problem := wavelets.wavelet_problem(self.pilot, layout.sampling):
                raise self.bad("pilot", problem)
        else:
            for name in ("start_hz", "end_hz", "sweep_ms"):
                if getattr(self, name) is None:
                    raise self.bad(name, "must be given, or a pilot")
            for name in ("start_hz", "end_hz"):
                if getattr(self, name) >= nyquist:
                    raise self.bad(name, f"must be below the Nyquist frequency of {nyquist:g} Hz")
            if 2 * self.taper_ms > (self.sweep_ms or 0):
                raise self.bad("taper_ms", f"must be at most half the sweep ({self.sweep_ms:g} ms)")
        longest = layout.sampling.end_s
        if self.listen_ms is not None and not layout.sampling.start_s <= self.listen_ms / 1000 <= longest:
            raise self.bad("listen_ms", f"must lie inside the record, which ends at {1000 * longest:g} ms")
        if self._count(layout.sampling) < 1:
            length = 1000 * (longest - layout.sampling.start_s)
            name = "sweep_ms" if self.pilot is None else "pilot"
            raise self.bad(name, f"must be shorter than the record of {length:g} ms")

    def plan(self, layout: Layout) -> Layout:
        sampling = attrs.evolve(layout.sampling, count=self._count(layout.sampling))
        first, end = self._moved(layout)
        return attrs.evolve(layout, headers=layout.headers.with_live_window(first, end), sampling=sampling)

    def apply(self, batch: Gather, context: Context) -> Gather:
        sampling = attrs.evolve(batch.sampling, count=self._count(batch.sampling))
        first, end = self._moved(batch)
        out = context.empty((batch.n_traces, sampling.count))
        filter_traces(batch.traces, correlation(self, batch.sampling), out, context)
        mute_outside(out, first, end)
        headers = batch.headers.with_live_window(first, end)
        return Gather(headers=headers, sampling=sampling, gather_starts=batch.gather_starts, traces=out)

    def sweep(self, sampling: Sampling) -> tuple[np.ndarray, int]:
        """Samples of the sweep, and the sample number of the first."""
        if self.pilot is not None:
            return wavelets.wavelet_samples(self.pilot, sampling)
        assert self.start_hz is not None and self.end_hz is not None and self.sweep_ms is not None
        return linear_sweep(self.start_hz, self.end_hz, self.sweep_ms / 1000, self.taper_ms / 1000, sampling), 0

    def _count(self, sampling: Sampling) -> int:
        if self.listen_ms is not None:
            return whole_samples(self.listen_ms - 1000 * sampling.start_s, sampling) + 1
        samples, lag = self.sweep(sampling)
        return min(sampling.count - len(samples) + 1 - max(lag, 0), sampling.count)

    def _moved(self, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
        """A sample lives where the sweep overlaps live input, no later than that input."""
        samples, lag = self.sweep(layout.sampling)
        first, end = layout.live_window
        count = self._count(layout.sampling)
        moved = np.clip(first - lag - len(samples) + 1, 0, count)
        return moved, np.where(end > first, np.clip(end - lag, moved, count), moved)


def linear_sweep(start_hz: float, end_hz: float, length_s: float, taper_s: float, sampling: Sampling) -> np.ndarray:
    """sin(2 pi (f0 t + (f1 - f0) t^2 / 2T)) from t = 0 to T with cosine tapers, float64."""
    times = np.arange(int(length_s / sampling.interval_s + 1e-6) + 1) * sampling.interval_s
    phase = start_hz * times + (end_hz - start_hz) * times**2 / (2 * length_s)
    edge = np.clip(np.minimum(times, length_s - times) / taper_s, 0, 1) if taper_s else np.ones_like(times)
    sweep: np.ndarray = np.sin(2 * np.pi * phase) * np.sin(np.pi / 2 * edge) ** 2
    return sweep


@lru_cache(maxsize=8)
def correlation(design: VibroseisCorrelate, sampling: Sampling) -> Transfer:
    """The conjugate spectrum of the sweep over its energy, padded so that nothing wraps round."""
    samples, lag = design.sweep(sampling)
    length = fft_length(sampling.count + len(samples) + abs(lag))
    spectrum = wavelets.wavelet_spectrum(samples, lag, length)
    return Transfer((np.conj(spectrum) / np.sum(samples**2)).astype(np.complex64), length)
