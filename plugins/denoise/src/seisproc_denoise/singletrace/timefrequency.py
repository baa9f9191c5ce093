"""Time-frequency transforms of many traces at once: short-time Fourier (Gabor) and Stockwell."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import attrs
import numpy as np
import scipy
from numpy.lib.stride_tricks import sliding_window_view

from seisproc_denoise.singletrace.bands import VOICES, Band, Modify

Window = Literal["hann", "gaussian"]

# The Gaussian of a voice, exp(-2 pi^2 r^2) at relative distance r from its frequency, is cut where it falls below 1e-4.
REACH = float(np.sqrt(np.log(1e4) / 2)) / np.pi


@attrs.frozen
class Stft:
    """Short-time Fourier transform; with a Gaussian window the Gabor transform.

    Bands are frequencies. Frames are put together again with the dual window w / sum w^2, which is exact, and of all
    signals the one whose transform is nearest to the changed one (Griffin and Lim 1984).

    Attributes
    ----------
    window
        ``hann``, or ``gaussian`` with a standard deviation of a sixth of the window.
    hop
        Samples from frame to frame.
    overlap
        Frames that overlap at any sample; a window has ``overlap * hop`` samples.
    bins
        First frequency that may change, and one past the last, in steps of 1 / window length.
    lead
        Samples by which frames begin earlier, so that they do not depend on where the trace begins.
    """

    window: Window
    hop: int
    overlap: int
    bins: tuple[int, int]
    lead: int = 0

    def rework(self, traces: np.ndarray, first: np.ndarray, end: np.ndarray, modify: Modify) -> np.ndarray:
        """See `Transform.rework`."""
        rows, n_samples = traces.shape
        length = self.hop * self.overlap
        ahead = length - self.hop + self.lead
        frames = -(-(n_samples + ahead) // self.hop)
        padded = np.zeros((rows, (frames - 1) * self.hop + length), np.float32)
        padded[:, ahead : ahead + n_samples] = traces
        taper = _taper(self.window, length)
        spectra = scipy.fft.rfft(sliding_window_view(padded, length, axis=1)[:, :: self.hop] * taper, axis=2, workers=1)
        cells = np.ascontiguousarray(spectra.transpose(2, 0, 1))
        # Frame i is centred on sample i * hop - ahead + (length - 1) / 2.
        shift = ahead - (length - 1) / 2
        low = np.ceil((first + shift) / self.hop).astype(np.int64)
        high = np.maximum(np.floor((end - 1 + shift) / self.hop).astype(np.int64) + 1, low)
        # White noise fills 1.5 frequencies of a Hann window: so many values are independent in a window's time.
        per_value = self.overlap / (length * np.sum(taper**2) / np.sum(taper) ** 2)
        for index in range(*self.bins):
            modify(Band(cells[index], low, high, per_value=per_value))
        back = scipy.fft.irfft(cells.transpose(1, 2, 0), length, axis=2, workers=1) * taper
        total = np.zeros_like(padded)
        weight = np.zeros(padded.shape[1], np.float32)
        for part in range(self.overlap):
            piece = slice(part * self.hop, (part + 1) * self.hop)
            reach = slice(part * self.hop, (part + frames) * self.hop)
            total[:, reach] += back[:, :, piece].reshape(rows, -1)
            weight[reach] += np.tile(taper[piece] ** 2, frames)
        inside = slice(ahead, ahead + n_samples)
        restored: np.ndarray = total[:, inside] / weight[inside]
        return restored


@attrs.frozen
class Stockwell:
    """S-transform of the analytic signal, each voice sampled no finer than its bandwidth needs.

    S(t, f) = sum_a X(f + a) exp(-2 pi^2 a^2 / f^2) exp(2 pi i a t): a Gaussian window that is one period wide, at 16
    frequencies to the octave between two given ones, whatever the length of the record. A voice at f holds frequencies
    f (1 +- 0.68) only (the Gaussian is cut at 1e-4): every 2nd, 4th, 8th ... sample tells all of it.

    The inverse is that of least squares: X(f) = sum over voices of Gaussian times spectrum of voice, divided by the sum
    of squared Gaussians. It gives the trace back to rounding, and keeps what changes in a cell near that
    cell's time and frequency; Stockwell's sum over time, exact too, spreads it over the whole trace.

    Attributes
    ----------
    interval_s
        Sample interval.
    low_hz, high_hz
        Frequencies that may change.
    lead
        Samples put in front of the trace, so that cells do not depend on where it begins.
    """

    interval_s: float
    low_hz: float
    high_hz: float
    lead: int = 0

    def rework(self, traces: np.ndarray, first: np.ndarray, end: np.ndarray, modify: Modify) -> np.ndarray:
        """See `Transform.rework`."""
        n_samples, ahead = traces.shape[1], self.lead
        voices = voices_of(self, n_samples + ahead)
        spectrum = scipy.fft.rfft(np.pad(traces, ((0, 0), (ahead, 0))), voices.length, axis=1, workers=1)
        changed = spectrum * voices.untouched
        for voice in voices.voices:
            cells = scipy.fft.ifft(
                spectrum[:, voice.low : voice.high] * voice.gaussian, voice.samples, axis=1, norm="forward", workers=1
            )
            every = voices.length // voice.samples
            low = -(-(first + ahead) // every)
            high = np.maximum((end + ahead - 1) // every + 1, low)
            per_value = max(voice.samples / float(np.sum(voice.gaussian**2)), 1.0)
            modify(Band(cells, low, high, per_value=per_value))
            back = scipy.fft.fft(cells, axis=1, norm="forward", overwrite_x=True, workers=1)[
                :, : voice.high - voice.low
            ]
            changed[:, voice.low : voice.high] += back * voice.dual
        restored: np.ndarray = scipy.fft.irfft(changed, voices.length, axis=1, workers=1)[:, ahead : ahead + n_samples]
        return restored


@attrs.frozen(eq=False)
class Voice:
    """One frequency of an S-transform.

    Attributes
    ----------
    low, high
        DFT frequencies ``[low, high)`` it is made of.
    samples
        Its samples along time, evenly spread over the padded trace.
    gaussian, dual
        Weights of those frequencies in the transform and in its inverse, float32.
    """

    low: int
    high: int
    samples: int
    gaussian: np.ndarray
    dual: np.ndarray


@attrs.frozen(eq=False)
class Voices:
    """All voices, for one trace length.

    Attributes
    ----------
    length
        Samples of the padded trace.
    untouched
        The part of each DFT frequency that no voice carries, float32.
    """

    length: int
    voices: tuple[Voice, ...]
    untouched: np.ndarray


@lru_cache(maxsize=8)
def voices_of(transform: Stockwell, n_samples: int) -> Voices:
    """Prepare an S-transform for a trace length, padded by twice the longest window against wrap-around."""
    octaves = np.log2(transform.high_hz / transform.low_hz)
    centres = transform.low_hz * 2 ** (np.arange(int(VOICES * octaves + 1e-9) + 1) / VOICES)
    pad = int(np.ceil(2 / (transform.low_hz * transform.interval_s)))
    coarsest = coarseness(transform.low_hz, transform.interval_s)
    length = coarsest * scipy.fft.next_fast_len(-(-(n_samples + min(pad, n_samples)) // coarsest), real=True)
    bins = length // 2 + 1
    made, power = [], np.zeros(bins)
    for hz in centres:
        centre = hz * length * transform.interval_s
        low, high = max(int(np.ceil(centre * (1 - REACH))), 0), min(int(centre * (1 + REACH)) + 1, bins)
        gaussian = np.exp(-2 * (np.pi * (np.arange(low, high) - centre) / centre) ** 2)
        power[low:high] += gaussian**2
        every = coarseness(hz, transform.interval_s)
        while length // every < high - low:
            every //= 2
        made.append((low, high, length // every, gaussian))
    # Outside the band few voices overlap: there the inverse fades instead of blowing up what they hold.
    frequency = scipy.fft.rfftfreq(length, transform.interval_s)
    inside = (frequency >= transform.low_hz) & (frequency <= transform.high_hz)
    total = np.maximum(power, power[inside].min(initial=np.inf))
    voices = tuple(
        Voice(low, high, samples, gaussian.astype(np.float32), (gaussian / total[low:high]).astype(np.float32))
        for low, high, samples, gaussian in made
    )
    return Voices(length, voices, (1 - power / total).astype(np.float32))


def coarseness(hz: float, interval_s: float) -> int:
    """Samples from cell to cell of the voice at a frequency: the largest power of two that keeps all of its band."""
    return 1 << max(int(np.log2(1 / (2 * REACH * hz * interval_s))), 0)


def _taper(window: Window, length: int) -> np.ndarray:
    """The window, float32, positive throughout."""
    position = (np.arange(length) + 0.5) / length
    if window == "hann":
        return (np.sin(np.pi * position) ** 2).astype(np.float32)
    return np.exp(-18 * (position - 0.5) ** 2).astype(np.float32)
