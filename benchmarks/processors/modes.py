"""Wavelets, time-frequency planes, modes, pursuit: single traces and many coefficients."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from scipy import fft, interpolate, ndimage, signal

from benchmarks.processors.case import Case
from benchmarks.processors.data import FOLD, INTERVAL_S, SAMPLES
from seisproc_core.data.gather import Gather

WAVELET, LEVELS = "db4", 5
HOP, OVERLAP = 12, 4  # samples of an STFT
LOW_HZ, HIGH_HZ = 5.0, 100.0
NOISE = 0.6744897501960817  # median magnitude of white noise of variance 1
APERTURE = 11  # traces
MODES, SIFTINGS = 6, 10
ATOMS = 40


def _shrunk(detail: np.ndarray, sigma: np.ndarray | None = None) -> Any:
    """Soft threshold sigma sqrt(2 ln n), sigma from the median magnitude of every trace where it is not given."""
    import pywt

    if sigma is None:
        sigma = np.median(np.abs(detail), axis=1, keepdims=True) / NOISE
    return pywt.threshold(detail, (sigma * np.sqrt(2 * np.log(detail.shape[1]))).astype(np.float32), "soft")


def _wavelets(batch: Gather) -> Any:
    """PyWavelets on all traces at once."""
    import pywt

    approximation, *details = pywt.wavedec(batch.traces, WAVELET, level=LEVELS, axis=-1)
    return pywt.waverec([approximation, *map(_shrunk, details)], WAVELET, axis=-1)[:, :SAMPLES]


def _wavelets_of_neighbours(batch: Gather) -> Any:
    """The noise of a trace is the median over all coefficients of its neighbours."""
    import pywt

    approximation, *details = pywt.wavedec(batch.traces, WAVELET, level=LEVELS, axis=-1)
    first = np.clip(np.arange(FOLD) - APERTURE // 2, 0, FOLD - APERTURE)
    for number, detail in enumerate(details):
        size = np.abs(detail).reshape(-1, FOLD, detail.shape[1])
        noise = [[np.median(gather[a : a + APERTURE]) / NOISE for a in first] for gather in size]
        details[number] = _shrunk(detail, np.reshape(noise, (-1, 1)).astype(np.float32))
    return pywt.waverec([approximation, *details], WAVELET, axis=-1)[:, :SAMPLES]


def _stationary(batch: Gather) -> Any:
    import pywt

    padded = np.pad(batch.traces, ((0, 0), (0, -SAMPLES % 2**LEVELS)))
    approximation, *details = pywt.swt(padded, WAVELET, LEVELS, trim_approx=True, norm=True)
    return pywt.iswt([approximation, *map(_shrunk, details)], WAVELET, norm=True)


def _packets(batch: Gather) -> Any:
    import pywt

    tree = pywt.WaveletPacket(batch.traces, WAVELET, maxlevel=LEVELS, axis=-1)
    rebuilt = pywt.WaveletPacket(None, WAVELET, maxlevel=LEVELS, axis=-1)
    for leaf in tree.get_level(LEVELS):
        rebuilt[leaf.path] = _shrunk(leaf.data)
    return rebuilt.reconstruct(update=False)


def _plan() -> signal.ShortTimeFFT:
    window = np.sin(np.pi * (np.arange(HOP * OVERLAP) + 0.5) / (HOP * OVERLAP)) ** 2
    return signal.ShortTimeFFT(window.astype(np.float32), HOP, 1 / INTERVAL_S)


def _stft_there_and_back(batch: Gather) -> Any:
    plan = _plan()
    return plan.istft(plan.stft(batch.traces, axis=-1), k1=SAMPLES)


def _stft_against_neighbours(batch: Gather) -> Any:
    plan = _plan()
    plane = plan.stft(batch.traces, axis=-1)
    level = np.abs(plane).reshape(-1, FOLD, *plane.shape[1:])
    usual = ndimage.median_filter(level, (1, APERTURE, 1, 1)).reshape(plane.shape)
    plane *= np.minimum(1, 3 * usual / np.maximum(np.abs(plane), 1e-9))
    return plan.istft(plane, k1=SAMPLES)


def _voices(batch: Gather) -> Any:
    """The inverse FFTs alone of an S-transform of 16 frequencies to the octave: one for each, whole traces."""
    spectrum = fft.fft(batch.traces, axis=1, workers=1)
    for _ in range(int(16 * np.log2(HIGH_HZ / LOW_HZ)) + 1):
        voice = fft.ifft(spectrum, axis=1, workers=1)
    return voice


def _squeezed(batch: Gather) -> Any:
    """The same voices: 16 to the octave over the band, Morse wavelets of the library's default."""
    from ssqueezepy import issq_cwt, ssq_cwt

    centre = (60 / 3) ** (1 / 3) / INTERVAL_S / (2 * np.pi)  # Hz at scale 1
    scales = centre / HIGH_HZ * 2 ** (np.arange(int(16 * np.log2(HIGH_HZ / LOW_HZ)) + 1) / 16)
    out = np.empty_like(batch.traces)
    for row, trace in enumerate(batch.traces):
        plane = ssq_cwt(trace, ("gmw", {"gamma": 3, "beta": 60}), scales, fs=1 / INTERVAL_S, padtype="zero")[0]
        out[row] = issq_cwt(plane, ("gmw", {"gamma": 3, "beta": 60}))
    return out


def _sifted(batch: Gather) -> Any:
    """Empirical modes as published: envelopes by cubic splines of SciPy, a fixed number of siftings."""
    out = np.empty_like(batch.traces)
    sample = np.arange(SAMPLES)
    for row, trace in enumerate(batch.traces):
        rest = trace.astype(np.float64)
        for _ in range(MODES):
            mode = rest.copy()
            for _ in range(SIFTINGS):
                peaks = [signal.argrelextrema(mode, compare)[0] for compare in (np.greater, np.less)]
                if min(map(len, peaks)) < 4:
                    break
                mode -= sum(interpolate.CubicSpline(at, mode[at])(sample) for at in peaks) / 2
            rest -= mode
        out[row] = rest
    return out


@cache
def _atoms() -> np.ndarray:
    """Ricker wavelets of 12 frequencies at every second sample, float32 ``(SAMPLES, atoms)``."""
    time = (np.arange(SAMPLES)[:, None] - np.arange(0, SAMPLES, 2)) * INTERVAL_S
    made = []
    for frequency in np.geomspace(8, 60, 12):
        argument = (np.pi * frequency * time) ** 2
        atom = (1 - 2 * argument) * np.exp(-argument)
        made.append(atom / np.linalg.norm(atom, axis=0))
    return np.concatenate(made, axis=1).astype(np.float32)


def _pursued(batch: Gather) -> Any:
    """Matching pursuit as published, all traces of a gather in one product of matrices per wavelet."""
    atoms = _atoms()
    rest = batch.traces.copy()
    rows = np.arange(len(rest))
    for _ in range(ATOMS):
        product = rest @ atoms
        best = np.abs(product).argmax(axis=1)
        rest -= product[rows, best][:, None] * atoms.T[best]
    return batch.traces - rest


_BAND = {"low_hz": LOW_HZ, "high_hz": HIGH_HZ}
_SHRINKING = {"rule": "universal", "mode": "soft"}  # as the peers do
_EACH = {**_SHRINKING, "noise": "each"}  # likewise
CASES = (
    Case(
        use="wavelet_denoise", label="DWT", parameters={"wavelet": WAVELET, "levels": LEVELS, **_EACH},
        goal=20_000, peers={"PyWavelets, NumPy median": _wavelets},
        multiplications=4 * 8 * SAMPLES,
    ),
    Case(
        use="wavelet_denoise", label="SWT", parameters={"kind": "swt", "levels": LEVELS, **_EACH},
        peers={"PyWavelets swt, NumPy median": _stationary}, multiplications=4 * 8 * LEVELS * SAMPLES,
    ),
    Case(
        use="wavelet_denoise", label="WPT", parameters={"kind": "wpt", "levels": LEVELS, **_EACH},
        peers={"PyWavelets packets, NumPy median": _packets}, multiplications=2 * 8 * LEVELS * SAMPLES,
    ),
    Case(
        use="wavelet_denoise_spatial", parameters={"levels": LEVELS, **_EACH}, multiplications=4 * 8 * SAMPLES,
        peers={"PyWavelets, NumPy median of neighbours": _wavelets_of_neighbours},
    ),
    Case(
        use="tf_denoise", label="STFT", parameters={"window_ms": 192.0, "low_hz": 5.0, **_SHRINKING},
        peers={"SciPy ShortTimeFFT, there and back": _stft_there_and_back}, transforms=2 * OVERLAP,
    ),
    Case(
        use="tf_denoise", label="S-transform, 5-100 Hz", parameters={"kind": "stockwell", **_BAND, **_SHRINKING},
        goal=150, times=None, peers={"SciPy, its inverse FFTs alone": _voices},
    ),
    Case(
        use="tf_denoise", label="synchrosqueezing, 5-100 Hz",
        parameters={"kind": "synchrosqueezing", **_BAND, **_SHRINKING},
        peers={"ssqueezepy ssq_cwt, issq_cwt": _squeezed},
    ),
    Case(use="tf_reject", peers={"SciPy ShortTimeFFT, median_filter": _stft_against_neighbours},
         transforms=2 * OVERLAP),
    Case(use="emd_denoise", label=f"EMD, {MODES} modes", peers={"SciPy CubicSpline, argrelextrema": _sifted}),
    Case(
        use="emd_denoise", label="CEEMDAN, 10 pairs", parameters={"method": "ceemdan"},
        peers={"SciPy, EMD once": _sifted}, times=None,
    ),
    Case(
        use="omp_denoise", label=f"up to {ATOMS} wavelets",
        peers={"NumPy, plain pursuit on every second sample": _pursued},
    ),
)  # fmt: skip
