"""Orthogonal matching pursuit: traces as sums of few wavelets."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import attrs
import numpy as np
import scipy

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_denoise.singletrace import claims
from seisproc_denoise.singletrace.bands import MEDIAN_OF_NOISE, Block, blocks

ROWS = 16  # traces at a time: the correlations of all with all wavelets are held
BASIS_BYTES = 64 << 20  # the wavelets found in them, at most
REACH = 3.0  # where the Gaussian in a wavelet is cut, in its standard deviations
NOTHING = 1e-4  # a wavelet keeps at least this part of its norm beside those found before, or adds nothing


@processor("omp_denoise", scope="trace", version=2, claims=claims.OMP_DENOISE)
class OmpDenoise(Processor):
    """Keep of each trace what a few wavelets explain: orthogonal matching pursuit.

    The dictionary holds wavelets of any phase at every sample and at `frequencies` peak frequencies f evenly spaced in
    log f from `low_hz` to `high_hz`: ``ricker`` (1 - 2 u^2) exp(-u^2), u = pi f t, or ``gabor``
    exp(-t^2 / 2 s^2) cos(2 pi f t) with s = `cycles` / (2 pi f). The wavelet (with its Hilbert transform, so that the
    phase is free) that correlates best with what is left is taken, the trace is projected on all taken so far, and so
    on, until no correlation exceeds `threshold` * sigma sqrt(2 ln n), or `wavelets` are taken. sigma is the noise in
    the correlations with each frequency at the start: median / 1.1774; n = 2 `high_hz` T, the samples that the live
    time T needs for these frequencies, however finely it is sampled. The output is the projection; the rest is lost.

    For sparse reflectivity in strong noise, and short traces.

    Not for signal that needs more than `wavelets` wavelets, nor before amplitude work on weak events: what is below the
    threshold is gone. `threshold` 0 takes all `wavelets`.

    Sources: Pati, Rezaiifar and Krishnaprasad, 27th Asilomar Conference (1993), 40-44; Mallat and Zhang, IEEE Trans.
    Signal Proc. 41 (1993), 3397-3415 (Gabor wavelets); Wang, Geophysics 72 (2007), V13-V20 (seismic traces).
    """

    dictionary: Literal["ricker", "gabor"] = param("ricker", help="The wavelets.")
    low_hz: float = param(8.0, help="Lowest peak frequency.", unit="Hz", above=0)
    high_hz: float = param(60.0, help="Highest peak frequency.", unit="Hz", above=0)
    frequencies: int = param(12, help="Peak frequencies from low_hz to high_hz.", minimum=1, maximum=200)
    cycles: float = param(3.0, help="Width of gabor wavelets: 2 pi f times their standard deviation.", minimum=1)
    wavelets: int = param(40, help="Most wavelets of a trace.", minimum=1, maximum=500)
    threshold: float = param(1.0, help="Multiple of sigma sqrt(2 ln n) that a wavelet must exceed.", minimum=0)

    def check(self, layout: Layout) -> None:
        nyquist = layout.sampling.nyquist_hz
        if self.high_hz >= nyquist:
            raise self.bad("high_hz", f"must be below the Nyquist frequency of {nyquist:g} Hz, not {self.high_hz:g} Hz")
        if self.low_hz > self.high_hz:
            raise self.bad("low_hz", f"must not exceed high_hz ({self.high_hz:g} Hz), not be {self.low_hz:g} Hz")
        if self.low_hz * layout.n_samples * layout.sampling.interval_s < 1:
            least = 1 / (layout.n_samples * layout.sampling.interval_s)
            raise self.bad("low_hz", f"must be at least {least:g} Hz: one period a trace")

    def apply(self, batch: Gather, context: Context) -> Gather:
        out = context.empty(batch.traces.shape)
        design = Design(
            self.dictionary, self.low_hz, self.high_hz, self.frequencies, self.cycles, batch.sampling.interval_s
        )
        fit = BASIS_BYTES // (16 * self.wavelets * batch.n_samples)
        for rows in blocks(batch.n_traces, context, max(1, min(ROWS, fit))):
            block = Block.of(batch, rows)
            dictionary = dictionary_of(design, batch.n_samples)
            block.finish(self._pursue(block, dictionary, batch.sampling.interval_s, context), out, rows)
        return batch.with_traces(out)

    def _pursue(self, block: Block, dictionary: Dictionary, interval_s: float, context: Context) -> np.ndarray:
        """The projection of each trace on its wavelets, float64."""
        count, n = block.traces.shape
        live = (np.arange(n) >= block.first[:, None]) & (np.arange(n) < block.end[:, None])
        rest = block.traces.astype(np.float64)
        match = dictionary.correlate(block.traces)
        independent = np.maximum(2 * self.high_hz * interval_s * live.sum(axis=1), 2)
        limit = self.threshold * _noise(match, live) * np.sqrt(2 * np.log(independent))[:, None]
        limit = limit.astype(np.float32)[:, :, None]
        basis, active = np.zeros((count, 2 * self.wavelets, n)), np.arange(count)
        for taken in range(self.wavelets):
            context.check()
            if taken:
                match = dictionary.correlate(rest[active].astype(np.float32))
            match -= limit[active]
            if not live[active].all():
                match = np.where(live[active, None], match, np.float32(-np.inf))
            excess = match.reshape(len(active), -1)
            best = excess.argmax(axis=1)
            going = excess[np.arange(len(active)), best] > 0
            if not going.all():
                active, best, basis = active[going], best[going], basis[going]
            if not len(active):
                break
            number, sample = np.divmod(best, n)
            for part in range(2):
                column = dictionary.atoms(number, sample, part) * live[active]
                place = 2 * taken + part
                added = _beside(column, basis[:, :place])
                basis[:, place] = added
                rest[active] -= added * np.einsum("rn,rn->r", added, rest[active])[:, None]
        return block.traces - rest


@attrs.frozen
class Design:
    """What a dictionary is made from; see `OmpDenoise`."""

    kind: str
    low_hz: float
    high_hz: float
    frequencies: int
    cycles: float
    interval_s: float


@attrs.frozen(eq=False)
class Dictionary:
    """Wavelets of every frequency, and how to correlate with them.

    Attributes
    ----------
    waves
        The wavelets and their Hilbert transforms, each of unit norm, centred: float64
        ``(frequencies, 2, 2 * half + 1)``.
    spectra
        Conjugate spectra of the analytic wavelets, complex64 ``(frequencies, length)``.
    """

    n_samples: int
    waves: np.ndarray
    spectra: np.ndarray

    def correlate(self, traces: np.ndarray) -> np.ndarray:
        """Magnitude of the correlation with the wavelet, of best phase, centred on each sample.

        Parameters
        ----------
        traces
            float32 ``(n_traces, n_samples)``.

        Returns
        -------
        ndarray
            float32 ``(n_traces, frequencies, n_samples)``.
        """
        spectrum = scipy.fft.fft(traces, self.spectra.shape[1], axis=1, workers=1)
        match = scipy.fft.ifft(spectrum[:, None] * self.spectra, axis=2, overwrite_x=True, workers=1)
        magnitude: np.ndarray = np.abs(match[:, :, : self.n_samples])
        return magnitude

    def atoms(self, number: np.ndarray, sample: np.ndarray, part: int) -> np.ndarray:
        """Wavelets (part 0) or their Hilbert transforms (1) by frequency and centre: float64 ``(n, n_samples)``."""
        half = self.waves.shape[2] // 2
        position = np.arange(self.n_samples) - sample[:, None] + half
        inside = (position >= 0) & (position <= 2 * half)
        atoms: np.ndarray = self.waves[number[:, None], part, np.where(inside, position, 0)] * inside
        return atoms


@lru_cache(maxsize=8)
def dictionary_of(design: Design, n_samples: int) -> Dictionary:
    """Make a dictionary ready for a trace length."""
    hz = np.geomspace(design.low_hz, design.high_hz, design.frequencies)
    spread = (design.cycles if design.kind == "gabor" else np.sqrt(2)) / (2 * np.pi * hz)
    # A Hilbert transform falls off slowly; beyond this it is below a thousandth of its peak.
    half = int(np.ceil(2 * REACH * spread[0] / design.interval_s))
    time = np.arange(-half, half + 1) * design.interval_s
    phase = 2 * np.pi * hz[:, None] * time
    envelope = np.exp(-0.5 * (time / spread[:, None]) ** 2)
    wave = envelope * np.cos(phase) if design.kind == "gabor" else (1 - phase**2 / 2) * np.exp(-(phase**2) / 4)
    padded = scipy.fft.fft(wave - wave.mean(axis=1, keepdims=True), 8 * len(time), axis=1)
    padded[:, len(padded[0]) // 2 :] = 0
    waves = np.stack((wave, 2 * scipy.fft.ifft(padded, axis=1).imag[:, : len(time)]), axis=1)
    waves /= np.linalg.norm(waves, axis=2, keepdims=True)
    length = scipy.fft.next_fast_len(n_samples + half)
    analytic = np.zeros((len(hz), length), np.complex128)
    place = np.arange(-half, half + 1) % length
    for lag, column in enumerate(place):  # a trace shorter than a wavelet has lags that coincide
        analytic[:, column] += waves[:, 0, lag] + 1j * waves[:, 1, lag]
    spectra = np.conj(scipy.fft.fft(analytic, axis=1)).astype(np.complex64)
    return Dictionary(n_samples, waves, spectra)


def _noise(match: np.ndarray, live: np.ndarray) -> np.ndarray:
    """Noise in the correlations with each frequency, from their live median: float64 ``(n_traces, frequencies)``."""
    sigma = np.zeros(match.shape[:2])
    for row, window in enumerate(live):
        if window.any():
            sigma[row] = np.median(match[row][:, window], axis=1) / MEDIAN_OF_NOISE[2]
    return sigma


def _beside(columns: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """What of each column is orthogonal to its basis, with norm 1; zero where nothing is left."""
    before = np.linalg.norm(columns, axis=1)
    for _ in range(2):  # once is not enough in finite precision
        share = np.matmul(basis, columns[:, :, None])
        columns = columns - np.matmul(share.transpose(0, 2, 1), basis)[:, 0]
    norm = np.linalg.norm(columns, axis=1)
    kept = norm > NOTHING * np.maximum(before, NOTHING)
    beside: np.ndarray = np.where(kept[:, None], columns / np.where(kept, norm, 1)[:, None], 0)
    return beside
