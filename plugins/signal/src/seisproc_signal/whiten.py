"""Spectral whitening by frequency bands."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy

from seisproc_core.data.gather import Gather, Layout, mute_outside
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_signal import claims
from seisproc_signal.agc import window_sums
from seisproc_signal.filtering import effective_length, fft_length
from seisproc_signal.windows import energy, whole_samples

FEW = 8  # traces whose bands stay in cache


@processor("whiten", scope="trace", claims=claims.WHITEN)
class Whiten(Processor):
    """Spectral whitening: split each trace into frequency bands, bring all bands to the same rms, add them up.

    Bands have sin^2 / cos^2 flanks from centre to centre, at equal distances from `low_hz` to `high_hz`; together
    they pass that range evenly, and nothing else. y = R sum_b x_b / sqrt(P_b + e P), P_b the mean power of band b, P
    the mean of all P_b, e = noise_percent / 100, and R such that a trace keeps its rms. Powers are those of the live
    samples, over the whole trace or, time-variant, in a running window of `window_ms`. The filter is zero-phase; the
    mute is applied again.

    Not outside the signal's band: noise there is raised as signal would be. It changes relative amplitudes; not before
    AVO work or inversion.

    Source: Yilmaz, Seismic Data Analysis (SEG, 2001), chapter 2, "time-variant spectral whitening".
    """

    low_hz: float = param(help="Centre of the lowest band.", unit="Hz", above=0)
    high_hz: float = param(help="Centre of the highest band.", unit="Hz", above=0)
    bands: int = param(8, help="Number of bands.", minimum=2, maximum=64)
    window_ms: float | None = param(
        None, help="Window of the running power; the whole trace when left out.", unit="ms", above=0
    )
    noise_percent: float = param(1.0, help="Floor of a band's power, of the mean of all.", unit="%", above=0)

    def check(self, layout: Layout) -> None:
        nyquist = layout.sampling.nyquist_hz
        if self.low_hz >= self.high_hz:
            raise self.bad("low_hz", f"must be below high_hz ({self.high_hz:g} Hz), not {self.low_hz:g} Hz")
        if self.high_hz >= nyquist:
            raise self.bad("high_hz", f"must be below the Nyquist frequency of {nyquist:g} Hz, not {self.high_hz:g} Hz")
        if self.window_ms is not None and whole_samples(self.window_ms, layout.sampling) < 2:
            raise self.bad("window_ms", f"must span at least two samples, not {self.window_ms:g} ms")

    def apply(self, batch: Gather, context: Context) -> Gather:
        first, end = batch.live_window
        length = padded_length(self, batch.n_samples, batch.sampling.interval_s)
        gains = self.gains(scipy.fft.rfftfreq(length, batch.sampling.interval_s))
        sample = np.arange(batch.n_samples)
        out = context.empty(batch.traces.shape)
        gains = np.repeat(gains, 2, axis=1)  # for real and imaginary parts side by side
        before = energy(batch.traces, first, end)
        for row in range(0, batch.n_traces, FEW):
            context.check()
            rows = slice(row, row + FEW)
            spectrum = scipy.fft.rfft(batch.traces[rows], length, axis=1, workers=1)
            bands = (spectrum.view(np.float32)[:, None] * gains).view(np.complex64)
            every = scipy.fft.irfft(bands, length, axis=2, overwrite_x=True, workers=1)
            parts = np.ascontiguousarray(every[:, :, : batch.n_samples])
            cut = (np.repeat(edge[rows], self.bands) for edge in (first, end))
            mute_outside(parts.reshape(-1, batch.n_samples), *cut)
            inside = (sample >= first[rows, None]) & (sample < end[rows, None])
            out[rows] = self._balanced(batch, before[rows, None], parts, inside)
        mute_outside(out, first, end)
        return batch.with_traces(out)

    def gains(self, frequency_hz: np.ndarray) -> np.ndarray:
        """Amplitude of every band, float32 ``(bands, frequencies)``; their sum is 1 from low_hz to high_hz."""
        spacing = (self.high_hz - self.low_hz) / (self.bands - 1)
        centre = self.low_hz + spacing * np.arange(self.bands)
        distance = np.clip(np.abs(frequency_hz - centre[:, None]) / spacing, 0, 1)
        gains: np.ndarray = (np.cos(np.pi / 2 * distance) ** 2).astype(np.float32)
        return gains

    def _balanced(self, layout: Layout, before: np.ndarray, parts: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """The sum of the bands ``(traces, bands, samples)`` at one level, with the energy that traces had before."""
        count = np.maximum(inside.sum(axis=1), 1)
        if self.window_ms is None:
            power = np.einsum("ibj,ibj->ib", parts, parts)[:, :, None].astype(np.float64) / count[:, None, None]
        else:
            half = min(whole_samples(self.window_ms, layout.sampling) // 2, layout.n_samples)
            near = np.maximum(window_sums(inside.astype(np.float64), half, half), 1)
            sums = [window_sums(np.square(part, dtype=np.float64), half, half) for part in parts.transpose(1, 0, 2)]
            power = np.stack(sums, axis=1) / near[:, None]
        floor = power.mean(axis=1, keepdims=True) * self.noise_percent / 100
        level = np.sqrt(power + floor)
        gain = np.divide(1, level, out=np.zeros_like(level), where=level > 0).astype(np.float32)
        flat = (gain.transpose(0, 2, 1) @ parts)[:, 0] if self.window_ms is None else (parts * gain).sum(axis=1)
        zero = np.zeros(len(flat), np.int64)
        after = energy(flat, zero, zero + flat.shape[1])[:, None]
        whitened: np.ndarray = flat * np.sqrt(before / np.where(after > 0, after, 1)).astype(np.float32)
        return whitened


@lru_cache(maxsize=16)
def padded_length(design: Whiten, n_samples: int, interval_s: float) -> int:
    """Length of an FFT in which what bands ring on beyond the trace reaches no sample of it."""
    dense = scipy.fft.next_fast_len(max(16 * n_samples, 1 << 15), real=True)
    gains = design.gains(scipy.fft.rfftfreq(dense, interval_s)).astype(np.float64)
    reach = max(effective_length(response) for response in scipy.fft.irfft(gains, dense, axis=1))
    return fft_length(n_samples + min(reach, n_samples))
