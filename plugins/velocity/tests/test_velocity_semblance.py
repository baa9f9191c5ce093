"""Semblance of flat gathers and over trial velocities."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from seisproc_core.errors import HeaderError
from seisproc_core.testing import make_gather
from seisproc_velocity.semblance import semblance, velocity_spectrum


def test_equal_traces_have_semblance_one_and_noise_one_over_n() -> None:
    rng = np.random.default_rng(0)
    trace = rng.standard_normal(300)
    np.testing.assert_allclose(semblance(make_gather(np.tile(trace, (20, 1)))), 1.0)
    noise = semblance(make_gather(rng.standard_normal((20, 300))), window_ms=200)
    assert 0.04 < noise.mean() < 0.06
    opposed = make_gather(np.stack([trace, -trace]))
    np.testing.assert_allclose(semblance(opposed), 0.0, atol=1e-12)


def test_only_live_samples_count() -> None:
    trace = np.random.default_rng(1).standard_normal(100)
    samples = np.tile(trace, (4, 1))
    samples[3, :50] = 1e10
    samples[2] = 5.0
    gather = make_gather(samples, live=(np.array([0, 0, 0, 50]), np.full(4, 100)), dead=[0, 0, 2, 0])
    np.testing.assert_allclose(semblance(gather), 1.0)


def test_by_hand() -> None:
    made = semblance(make_gather([[1.0, 0, 2], [3.0, 0, 0]]), window_ms=8)  # three samples of 4 ms
    np.testing.assert_allclose(made, [[16 / 20, (16 + 4) / (20 + 8), 4 / 8]])
    empty = make_gather(np.zeros((2, 3)), gather_starts=[0, 0, 2])
    np.testing.assert_array_equal(semblance(empty), np.zeros((2, 3)))


@pytest.mark.parametrize("start_ms", [-100.0, 0.0, 100.0])
def test_spectrum_peaks_at_the_velocity_whatever_the_start(
    start_ms: float, hyperbola: Callable[..., np.ndarray]
) -> None:
    offset = np.arange(100, 1600, 75)
    samples = hyperbola(offset, 0.8, 2200, start_ms=start_ms)
    gather = make_gather(samples, offset=-offset, start_ms=start_ms)
    velocities = np.arange(1600, 3001, 50)
    made = velocity_spectrum(gather, velocities, step=2)
    assert made.shape == (29, 250)
    at = round((0.8 - start_ms / 1000) / 0.004) // 2
    assert velocities[made[:, at].argmax()] == 2200
    assert made[:, at].max() > 0.95
    assert (made >= 0).all() and (made <= 1 + 1e-12).all()


def test_bad_input_is_refused() -> None:
    with pytest.raises(HeaderError, match="'offset'"):
        velocity_spectrum(make_gather(np.ones((2, 9))), np.array([1500.0]))
    with pytest.raises(ValueError, match="one gather, positive velocities"):
        velocity_spectrum(make_gather(np.ones((2, 9)), offset=1), np.array([0.0]))
