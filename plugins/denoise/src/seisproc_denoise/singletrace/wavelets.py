"""Wavelet transforms of many traces at once: decimated, stationary and packets."""

from __future__ import annotations

from functools import lru_cache

import attrs
import numpy as np
import pywt
import scipy

from seisproc_denoise.singletrace.bands import Band, Modify


@attrs.frozen
class Dwt:
    """Discrete wavelet transform (Mallat 1989), symmetric at the ends.

    Bands are the details; the approximation is kept as it is.

    Attributes
    ----------
    lead
        Samples put in front of the trace, so that the dyadic grid does not depend on where it begins.
    """

    wavelet: str
    levels: int
    lead: int = 0

    def rework(self, traces: np.ndarray, first: np.ndarray, end: np.ndarray, modify: Modify) -> np.ndarray:
        """See `Transform.rework`."""
        wavelet = pywt.Wavelet(self.wavelet)
        traces, first, end = _led(traces, first, end, self.lead)
        approximation, *details = pywt.wavedec(traces, wavelet, level=self.levels, axis=-1)
        windows = [_centred(first, end, wavelet, details[-1].shape[1])]
        for detail in details[-2::-1]:
            windows.append(_centred(*windows[-1], wavelet, detail.shape[1]))
        for detail, window in zip(reversed(details), windows, strict=True):
            modify(Band(detail, *window))
        restored: np.ndarray = pywt.waverec([approximation, *details], wavelet, axis=-1)[:, : traces.shape[1]]
        return restored[:, self.lead :]


@attrs.frozen
class Wpt:
    """Wavelet packet transform (Coifman and Wickerhauser 1992): details are split again, too.

    Bands are all packets of the last level but the lowest in frequency. For `lead` see `Dwt`.
    """

    wavelet: str
    levels: int
    lead: int = 0

    def rework(self, traces: np.ndarray, first: np.ndarray, end: np.ndarray, modify: Modify) -> np.ndarray:
        """See `Transform.rework`."""
        wavelet = pywt.Wavelet(self.wavelet)
        traces, first, end = _led(traces, first, end, self.lead)

        def split(
            cells: np.ndarray, window: tuple[np.ndarray, np.ndarray], level: int, lowest: bool, mirrored: bool
        ) -> np.ndarray:
            if level == self.levels:
                if not lowest:
                    modify(Band(cells, *window))
                return cells
            low, high = pywt.dwt(cells, wavelet, axis=-1)
            below = _centred(*window, wavelet, low.shape[1])
            # What a high-pass leaves runs backwards in frequency, so that its upper half is in the low-pass.
            if mirrored:
                low = split(low, below, level + 1, lowest, True)
                high = split(high, below, level + 1, False, False)
            else:
                high = split(high, below, level + 1, False, True)
                low = split(low, below, level + 1, lowest, False)
            merged: np.ndarray = pywt.idwt(low, high, wavelet, axis=-1)[:, : cells.shape[1]]
            return merged

        return split(np.ascontiguousarray(traces), (first, end), 0, True, False)[:, self.lead :]


@attrs.frozen
class Swt:
    """Stationary (undecimated) wavelet transform (Nason and Silverman 1995), free of wrap-around.

    Bands are the details, each as long as the trace and aligned with it, with the variance of white noise falling
    by 2 per level; the approximation is kept as it is.
    """

    wavelet: str
    levels: int

    def rework(self, traces: np.ndarray, first: np.ndarray, end: np.ndarray, modify: Modify) -> np.ndarray:
        """See `Transform.rework`."""
        n_samples = traces.shape[1]
        length, analysis, synthesis, kept = _responses(self.wavelet, self.levels, n_samples)
        spectrum = scipy.fft.rfft(traces, length, axis=1, workers=1)
        restored = spectrum * kept
        for level, (forward, backward) in enumerate(zip(analysis, synthesis, strict=True), start=1):
            cells = scipy.fft.irfft(spectrum * forward, length, axis=1, overwrite_x=True, workers=1)
            # Padding holds the tails of edge cells: they shrink with the rest but tell nothing of the noise.
            modify(Band(cells, first, end, per_value=2**level, white=2 ** ((1 - level) / 2)))
            restored += scipy.fft.rfft(cells, axis=1, workers=1) * backward
        back: np.ndarray = scipy.fft.irfft(restored, length, axis=1, overwrite_x=True, workers=1)[:, :n_samples]
        return back


def _led(
    traces: np.ndarray, first: np.ndarray, end: np.ndarray, lead: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Traces and live windows with `lead` samples in front, continued by their mirror image."""
    if not lead:
        return traces, first, end
    return np.pad(traces, ((0, 0), (lead, 0)), mode="symmetric"), first + lead, end + lead


def _centred(first: np.ndarray, end: np.ndarray, wavelet: pywt.Wavelet, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Live cells one level down: those whose filter is centred on a live cell of this level.

    Coefficient k is sum_i h[i] x[2k + 1 - i], centred on 2k + 1 - (F - 1) / 2 for a filter of F taps.
    """
    shift = (wavelet.dec_len - 1) / 2 - 1
    low = np.ceil((first + shift) / 2).astype(np.int64)
    high = np.floor((end - 1 + shift) / 2).astype(np.int64) + 1
    low = np.clip(low, 0, count)
    return low, np.where(end > first, np.clip(high, low, count), low)


@lru_cache(maxsize=16)
def _responses(name: str, levels: int, n_samples: int) -> tuple[int, list[np.ndarray], list[np.ndarray], np.ndarray]:
    """FFT length; analysis and synthesis response of each detail, coarsest last; that of the approximation, both ways.

    The filters of level j are those of level 1 with 2^(j-1) - 1 zeros between taps, divided by sqrt 2 so that
    analysis followed by synthesis is 1. Analysis responses are shifted by whole samples to be centred.
    """
    wavelet = pywt.Wavelet(name)
    taps = wavelet.dec_len
    length = scipy.fft.next_fast_len(n_samples + min((taps - 1) * (2**levels - 1), n_samples), real=True)
    omega = 2 * np.pi * scipy.fft.rfftfreq(length)

    def response(filter_: list[float], step: int) -> np.ndarray:
        transfer: np.ndarray = np.exp(-1j * step * np.outer(omega, np.arange(taps))) @ np.array(filter_) / np.sqrt(2)
        return transfer

    analysis, synthesis = [], []
    down = up = np.ones(len(omega), np.complex128)
    for level in range(levels):
        step = 2**level
        undo = np.exp(1j * step * (taps - 1) * omega)
        shift = np.exp(1j * round((taps - 1) / 2 * (2 * step - 1)) * omega)
        analysis.append((down * response(wavelet.dec_hi, step) * shift).astype(np.complex64))
        synthesis.append((up * response(wavelet.rec_hi, step) * undo / shift).astype(np.complex64))
        down = down * response(wavelet.dec_lo, step)
        up = up * response(wavelet.rec_lo, step) * undo
    return length, analysis, synthesis, (down * up).astype(np.complex64)
