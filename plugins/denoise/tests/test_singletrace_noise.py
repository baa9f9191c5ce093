"""What each denoiser does to modelled reflections and known noise: decibels gained, signal lost."""

from __future__ import annotations

import numpy as np
import pytest

from seisproc_core.specs import resolve
from seisproc_core.testing import make_gather, run_processor
from seisproc_denoise.singletrace.descriptions import KERNELS, PROCESSORS

CLASSES = {cls.id: cls for cls in map(resolve, PROCESSORS)}
DT, N, TRACES = 0.004, 750, 32
TIME = np.arange(N) * DT


def reflections() -> np.ndarray:
    """Four hyperbolas of Ricker wavelets from 22 to 30 Hz; rms 1."""
    offset = 25.0 * np.arange(TRACES)[:, None]
    signal = np.zeros((TRACES, N))
    for amplitude, hz, t0, velocity in [
        (1, 30, 0.4, 1800),
        (0.8, 28, 0.9, 2200),
        (-0.9, 25, 1.4, 2500),
        (0.7, 22, 2.1, 2900),
    ]:
        u = (np.pi * hz * (TIME - np.sqrt(t0**2 + (offset / velocity) ** 2))) ** 2
        signal += amplitude * (1 - 2 * u) * np.exp(-u)
    return signal / np.sqrt(np.mean(signal**2))


def white(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((TRACES, N))


def decibels(signal: np.ndarray, found: np.ndarray) -> float:
    """Signal-to-noise ratio of what was found."""
    return float(10 * np.log10(np.sum(signal**2) / np.sum((found - signal) ** 2)))


def run(id_: str, traces: np.ndarray, parameters: dict, backend: str = "numba", **words: object) -> np.ndarray:
    gather = make_gather(traces, **words)
    return run_processor(CLASSES[id_], gather, parameters, kernels=KERNELS, backend=backend).traces


# Parameters; decibels that data at 0 dB must gain; decibels that data at 60 dB must keep.
RANDOM = [
    ("wavelet_denoise", {"rule": "universal", "levels": 4, "mode": "garrote", "threshold": 0.75}, 6.0, 50),
    ("wavelet_denoise", {"rule": "universal", "levels": 4, "mode": "adaptive"}, 5.5, 55),
    ("wavelet_denoise", {"rule": "universal", "kind": "swt", "levels": 4, "mode": "hard"}, 8.0, 55),
    ("wavelet_denoise", {"rule": "universal", "kind": "swt", "levels": 4, "mode": "soft", "threshold": 0.5}, 6.0, 45),
    (
        "wavelet_denoise",
        {"rule": "universal", "kind": "wpt", "levels": 3, "mode": "garrote", "threshold": 0.75},
        5.0,
        55,
    ),
    ("wavelet_denoise_spatial", {"rule": "universal", "kind": "swt", "levels": 4, "mode": "hard"}, 8.0, 55),
    ("tf_denoise", {"rule": "universal", "mode": "hard"}, 7.5, 55),
    ("tf_denoise", {"rule": "universal", "mode": "soft", "threshold": 0.5}, 6.5, 55),
    ("tf_denoise", {"rule": "universal", "kind": "gabor", "mode": "garrote", "threshold": 0.75}, 8.5, 55),
    ("tf_denoise", {"rule": "universal", "kind": "stockwell", "mode": "hard"}, 8.0, 25),
    (
        "tf_denoise",
        {"rule": "universal", "kind": "stockwell", "mode": "adaptive", "low_hz": 5, "high_hz": 100},
        5.0,
        20,
    ),
    ("tf_denoise", {"rule": "universal", "kind": "synchrosqueezing", "mode": "garrote", "threshold": 0.75}, 6.0, 22),
    ("emd_denoise", {"mode": "hard", "threshold": 0.7}, 6.0, 50),
    ("emd_denoise", {"method": "eemd", "pairs": 5, "mode": "hard", "threshold": 0.7}, 6.0, 50),
    ("emd_denoise", {"method": "ceemdan", "pairs": 5, "mode": "hard", "threshold": 0.7}, 6.0, 50),
    ("omp_denoise", {}, 11.0, 40),
    ("omp_denoise", {"dictionary": "gabor"}, 8.0, 30),
]


@pytest.mark.parametrize(("id_", "parameters", "gain", "kept"), RANDOM)
def test_random_noise_goes_and_signal_stays(id_, parameters, gain, kept):
    signal, noise = reflections(), white()
    noisy = signal + noise
    assert decibels(signal, run(id_, noisy, parameters)) >= decibels(signal, noisy) + gain
    assert decibels(signal, run(id_, signal + 1e-3 * noise, parameters)) >= kept


def close_reflections(seed: int = 4) -> np.ndarray:
    """A reflection at every sample, of strongly different strengths, as from the earth; rms 1."""
    strength = np.random.default_rng(seed).standard_normal((TRACES, N)) ** 3
    u = (np.pi * 25 * DT * np.arange(-32, 33)) ** 2
    signal = np.array([np.convolve(row, (1 - 2 * u) * np.exp(-u), "same") for row in strength])
    return signal / np.sqrt(np.mean(signal**2))


@pytest.mark.parametrize(
    ("id_", "parameters"),
    [
        *(("wavelet_denoise", {"kind": kind}) for kind in ("dwt", "swt", "wpt")),
        *(("wavelet_denoise_spatial", {"kind": kind}) for kind in ("dwt", "swt", "wpt")),
        *(("tf_denoise", {"kind": kind}) for kind in ("stft", "gabor", "stockwell", "synchrosqueezing")),
        ("emd_denoise", {}),
    ],
)
def test_defaults_spare_reflections_that_follow_each_other_closely(id_, parameters):
    signal, noise = close_reflections(), white()
    assert np.sqrt(np.mean(run(id_, signal, parameters) ** 2)) > (0.95 if id_.startswith("wavelet") else 0.6)
    # Traces at 0 dB still gain, which they would not from a threshold of nothing.
    assert decibels(signal, run(id_, signal + noise, parameters)) > 1.4


@pytest.mark.parametrize("kind", ["dwt", "swt", "wpt"])
@pytest.mark.parametrize("level", [0.1, 0.3, 1.0])
def test_wavelets_do_little_harm(kind, level):
    signal = close_reflections()
    found = run("wavelet_denoise", signal + level * white(), {"kind": kind})
    assert np.sqrt(np.mean((found - signal) ** 2)) < max(level, 0.12)
    each = run("wavelet_denoise", signal + level * white(), {"kind": kind, "noise": "each"})
    assert np.sqrt(np.mean((each - signal) ** 2)) > np.sqrt(np.mean((found - signal) ** 2))


def test_noise_of_a_band_is_measured_in_each_level():
    """Behind a high-cut the finest level says nothing: there ``each`` takes noise away, and ``finest`` leaves all."""
    spectrum = np.fft.rfft(white(), axis=1)
    spectrum[:, np.fft.rfftfreq(N, DT) > 40] = 0
    noise = np.fft.irfft(spectrum, N, axis=1)
    left = {how: np.std(run("wavelet_denoise", noise, {"noise": how})) / np.std(noise) for how in ("each", "finest")}
    assert left["each"] < 0.8 < 0.97 < left["finest"]


@pytest.mark.parametrize("case", [case for case in RANDOM if case[0] != "omp_denoise"], ids=str)
def test_noise_alone_nearly_vanishes(case):
    """The universal threshold lets pass next to nothing, within the frequencies that may change."""
    id_, parameters = case[:2]
    noise = white(1)
    left = run(id_, noise, parameters | ({} if parameters.get("mode") == "adaptive" else {"threshold": 1.2}))
    untouched = run(id_, noise, parameters | {"threshold": 1e6})
    assert np.sum((left - untouched) ** 2) < 0.1 * np.sum(noise**2)
    assert np.sum(untouched**2) < 0.2 * np.sum(noise**2)


def test_pooled_noise_levels_are_steadier():
    """Over neighbouring traces the noise level scatters less: 21 traces, a fifth of the scatter and better."""
    from seisproc_denoise.singletrace.aperture import nearest
    from seisproc_denoise.singletrace.bands import band_noise

    cells = white().astype(np.float32)[:, :90]
    first, end, flag = np.zeros(TRACES, np.int64), np.full(TRACES, 90), np.zeros(1, np.uint8)
    own, pooled = np.empty(TRACES), np.empty(TRACES)
    band_noise(cells, 1, first, end, nearest(TRACES, 1), own, flag)
    band_noise(cells, 1, first, end, nearest(TRACES, 21), pooled, flag)
    assert pooled.std() < 0.3 * own.std()
    assert np.allclose(pooled, 0.6745, atol=0.05)


def bursts(hz: float = 8.0) -> np.ndarray:
    """Swell-like noise on four traces for 0.8 s, at its peak 20 times the signal's rms."""
    noise = np.zeros((TRACES, N))
    noise[[5, 6, 17, 26], 300:500] = 20 * np.sin(2 * np.pi * hz * TIME[300:500]) * np.hanning(200)
    return noise


@pytest.mark.parametrize("mode", ["hard", "soft", "scaled", "adaptive"])
@pytest.mark.parametrize(("kind", "least", "kept"), [("stft", 18, 35), ("gabor", 17, 42), ("stockwell", 18, 22)])
def test_bursts_are_rejected(kind, least, kept, mode):
    signal, noise = reflections(), bursts()
    parameters = {"kind": kind, "mode": mode, "window_ms": 400}
    assert decibels(signal, signal + noise) < -1
    found = run("tf_reject", signal + noise, parameters)
    assert decibels(signal, found) >= least
    assert decibels(signal, run("tf_reject", signal, parameters)) >= kept


def test_rejection_keeps_frequencies_outside_its_band():
    signal, noise = reflections(), bursts()
    found = run("tf_reject", signal + noise, {"window_ms": 400, "low_hz": 20})
    assert decibels(signal, found) < 1


@pytest.mark.parametrize("mode", ["hard", "soft", "scaled"])
def test_strong_windows_are_found_in_three_dimensions(mode):
    """One trace of each of six lines is spoilt: in line order it has no clean neighbour on the next line."""
    signal = np.tile(reflections()[:1], (36, 1)) * np.random.default_rng(2).uniform(0.8, 1.2, (36, 1))
    noise = np.zeros_like(signal)
    noise[[3, 9, 16, 20, 25, 34], 200:300] = 30 * np.random.default_rng(3).standard_normal((6, 100))
    words = {"inline": np.arange(36) // 6, "crossline": np.arange(36) % 6}
    found = run("mad_denoise", signal + noise, {"mode": mode, "window_ms": 100, "threshold": 4}, **words)
    before, after = decibels(signal, signal + noise), decibels(signal, found)
    assert after > before + {"hard": 15, "scaled": 15, "soft": 12}[mode]
    clean = np.delete(np.arange(36), [3, 9, 16, 20, 25, 34])
    assert np.allclose(found[clean], signal[clean], atol=0.35)
    assert decibels(signal[clean], found[clean]) > 25


def test_neighbours_are_those_of_the_plane():
    """The same traces in another order come out in that order."""
    rng = np.random.default_rng(5)
    traces = rng.standard_normal((36, 200))
    traces[7] *= 50
    order = rng.permutation(36)
    inline, crossline = np.arange(36) // 6 * 10, np.arange(36) % 6 * 10 + rng.permutation(36) / 100
    for id_, parameters in (("mad_denoise", {}), ("tf_reject", {"plane": ["inline", "crossline"], "window_ms": 100})):
        plain = run(id_, traces, parameters, inline=inline, crossline=np.round(crossline * 100))
        mixed = run(id_, traces[order], parameters, inline=inline[order], crossline=np.round(crossline[order] * 100))
        assert np.array_equal(mixed, plain[order])
        assert np.linalg.norm(plain[7]) < 0.3 * np.linalg.norm(traces[7])
