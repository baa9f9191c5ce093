"""Synchrosqueezed wavelet transform of many traces at once."""

from __future__ import annotations

from functools import lru_cache

import attrs
import numpy as np
import scipy

from seisproc_denoise.singletrace.bands import VOICES, Band, Modify

WIDTH = 0.25  # of a voice in octaves: standard deviation of its Gaussian in log2 f
OVERLAP = VOICES * WIDTH * np.sqrt(2 * np.pi)  # sum of all Gaussians at one frequency
BANDWIDTH = WIDTH * np.log(2) * np.sqrt(np.pi)  # of a voice for white noise, as part of its frequency
REACH = 2  # cells to either side of a cell that are judged with it: a ridge is that wide
NOISE = 0.65  # of white noise squeezed and added over that reach, over that of a voice: ratio of the upper deciles
ROWS = 8  # traces at a time: all voices of all of them are held


@attrs.frozen
class Synchrosqueezing:
    """Wavelet transform whose cells are moved to their instantaneous frequency.

    Voices W_k are Gaussian in log frequency, 16 to the octave, divided by their sum, so that adding them up gives the
    trace back, exactly, within the band. Every cell is added to the frequency (1 / 2 pi) Im(W' / W) of
    its phase, which leaves sharp ridges and, between them, nothing; the sum is the same.

    Bands are sums of a frequency and the two to either side, so that a ridge is judged as a whole; what becomes of the
    sum becomes of its middle frequency. Cells between ridges are nearly empty, so the noise is told by the voice there,
    scaled to what squeezing leaves of white noise.

    Attributes
    ----------
    interval_s
        Sample interval.
    low_hz, high_hz
        Frequencies that may change.
    """

    interval_s: float
    low_hz: float
    high_hz: float

    def rework(self, traces: np.ndarray, first: np.ndarray, end: np.ndarray, modify: Modify) -> np.ndarray:
        """See `Transform.rework`."""
        restored = np.empty_like(traces)
        for start in range(0, len(traces), ROWS):
            rows = slice(start, start + ROWS)
            restored[rows] = self._few(traces[rows], first[rows], end[rows], modify)
        return restored

    def _few(self, traces: np.ndarray, first: np.ndarray, end: np.ndarray, modify: Modify) -> np.ndarray:
        n_samples = traces.shape[1]
        length, weights, untouched = _bank(self, n_samples)
        spectrum = scipy.fft.rfft(traces, length, axis=1, workers=1)
        voices = np.empty((len(weights), *traces.shape), np.complex64)
        squeezed = np.zeros_like(voices)
        row, sample = np.ogrid[: len(traces), :n_samples]
        for voice, weight in zip(voices, weights, strict=True):
            slope = self._cells(spectrum * (weight * self._omega(length)), length, n_samples)
            voice[...] = self._cells(spectrum * weight, length, n_samples)
            # i omega is left out of the slope: its real part over W is the angular frequency.
            power = voice.real**2 + voice.imag**2
            product = slope.real * voice.real + slope.imag * voice.imag
            frequency = np.divide(product, power, out=np.zeros_like(power), where=power > 0) / (2 * np.pi)
            octave = np.log2(np.maximum(frequency / self.low_hz, np.float32(1e-6)))
            index = np.clip(np.rint(VOICES * octave), 0, len(weights) - 1).astype(np.int64)
            squeezed[index, row, sample] += voice
        restored: np.ndarray = scipy.fft.irfft(spectrum * untouched, length, axis=1, workers=1)[:, :n_samples]
        voices *= np.float32(NOISE * OVERLAP)
        for index, voice in enumerate(voices):
            ridge = squeezed[max(index - REACH, 0) : index + REACH + 1].sum(axis=0)
            before = np.abs(ridge)
            bandwidth = BANDWIDTH * self.low_hz * 2 ** (index / VOICES)
            modify(Band(ridge, first, end, voice, max(1 / (bandwidth * self.interval_s), 1.0)))
            gain = np.divide(np.abs(ridge), before, out=np.ones_like(before), where=before > 0)
            restored += squeezed[index].real * gain
        return restored

    def _omega(self, length: int) -> np.ndarray:
        omega: np.ndarray = (2 * np.pi * scipy.fft.rfftfreq(length, self.interval_s)).astype(np.float32)
        return omega

    @staticmethod
    def _cells(half: np.ndarray, length: int, n_samples: int) -> np.ndarray:
        """The analytic signal of a half spectrum that holds nothing at 0 and next to nothing at Nyquist."""
        cells: np.ndarray = scipy.fft.ifft(2 * half, length, axis=1, overwrite_x=True, workers=1)[:, :n_samples]
        return cells


@lru_cache(maxsize=8)
def _bank(transform: Synchrosqueezing, n_samples: int) -> tuple[int, np.ndarray, np.ndarray]:
    """FFT length, weights of the voices and what they leave untouched, float32 over frequencies of the real FFT.

    The padding, 3 periods of the lowest frequency, covers the longest wavelet.
    """
    pad = int(np.ceil(3 / (transform.low_hz * transform.interval_s)))
    length = scipy.fft.next_fast_len(n_samples + min(pad, n_samples), real=True)
    count = int(np.ceil(VOICES * np.log2(transform.high_hz / transform.low_hz))) + 1
    frequency = scipy.fft.rfftfreq(length, transform.interval_s)
    octave = np.log2(np.maximum(frequency, 1e-12) / transform.low_hz)
    weights = np.exp(-0.5 * ((octave - np.arange(count)[:, None] / VOICES) / WIDTH) ** 2)
    # The one real sample at Nyquist has no analytic form.
    weights[:, [0] if length % 2 else [0, -1]] = 0
    power = weights.sum(axis=0)
    inside = (octave >= 0) & (octave <= (count - 1) / VOICES) & (power > 0)
    total = np.maximum(power, power[inside].min(initial=np.inf))
    return length, (weights / total).astype(np.float32), (1 - power / total).astype(np.float32)
