"""Measures: what they say of data whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from seisproc_core.testing import make_gather
from seisproc_qc import measures


@pytest.fixture(scope="module")
def reflections() -> np.ndarray:
    from scipy.signal import fftconvolve

    generator = np.random.default_rng(7)
    spikes = np.zeros(500)
    spikes[generator.choice(500, 25, replace=False)] = generator.standard_normal(25)
    t = np.arange(-25, 26) * 0.004
    ricker = (1 - 2 * (np.pi * 25 * t) ** 2) * np.exp(-((np.pi * 25 * t) ** 2))
    return np.tile(fftconvolve(spikes, ricker, "same"), (24, 1))


def test_leakage_tells_noise_from_signal(reflections: np.ndarray) -> None:
    noise = np.random.default_rng(8).standard_normal(reflections.shape)
    signal = make_gather(reflections)
    none = measures.leakage(signal, make_gather(noise))
    some = measures.leakage(signal, make_gather(noise + 2 * reflections))
    scaled = measures.leakage(signal, make_gather(0.1 * reflections))
    assert none < 0.05 < some < scaled
    assert scaled > 0.99
    assert measures.leakage(signal, make_gather(np.zeros_like(noise))) == 0
    assert measures.leakage(make_gather(np.zeros_like(noise)), signal) == 0


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e15])
def test_leakage_has_no_scale(reflections: np.ndarray, scale: float) -> None:
    noise = np.random.default_rng(8).standard_normal(reflections.shape) + reflections
    expected = measures.leakage(make_gather(reflections), make_gather(noise))
    found = measures.leakage(make_gather(reflections * scale), make_gather(noise * scale))
    assert found == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("hertz", [12.5, 40.0, 100.0])
def test_dominant_frequency_and_spectrum_of_a_sine(hertz: float) -> None:
    t = np.arange(1000) * 0.002
    gather = make_gather(np.tile(np.sin(2 * np.pi * hertz * t), (3, 1)), interval_ms=2.0)
    assert measures.dominant_frequency(gather) == pytest.approx(hertz, abs=1.1)
    frequency, amplitude = measures.amplitude_spectrum(gather)
    assert frequency[np.argmax(amplitude)] == pytest.approx(hertz, abs=0.51)
    assert amplitude.max() == pytest.approx(1.0, rel=0.01)  # half the amplitude times the length of 2 s


def test_rms_counts_live_samples_alone() -> None:
    gather = make_gather(np.full((2, 100), 3.0), live=(np.array([50, 0]), np.array([100, 0])))
    assert measures.rms(gather) == pytest.approx(3.0)
    assert measures.rms(make_gather(np.zeros((1, 10)), live=(np.zeros(1), np.zeros(1)))) == 0
