"""Mode decomposition and pursuit by themselves: completeness, repeatability, exact cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core.processing.context import Context
from seisproc_core.processing.params import build
from seisproc_core.specs import resolve
from seisproc_core.testing import make_gather, run_processor
from seisproc_denoise.singletrace.descriptions import KERNELS
from seisproc_denoise.singletrace.emd import EmdDenoise
from seisproc_denoise.singletrace.pursuit import Design, OmpDenoise, dictionary_of

DT = 0.004
TIME = np.arange(600) * DT


def context(backend: str) -> Context:
    return Context({s.name: resolve(s.impl) for s in KERNELS if s.backend == backend})


def emd(**parameters: object) -> EmdDenoise:
    return build(EmdDenoise, "emd_denoise", parameters)


@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_two_tones_and_a_trend_are_told_apart(backend):
    fast, slow = np.cos(2 * np.pi * 30 * TIME), np.cos(2 * np.pi * 7 * TIME)
    modes = emd(modes=2).decompose(fast + slow + 2 * TIME, 0, context(backend))
    inside = slice(100, -100)
    assert np.abs(modes[0] - fast)[inside].max() < 0.06
    assert np.abs(modes[1] - slow)[inside].max() < 0.06


@pytest.mark.parametrize("backend", ["reference", "numba"])
@given(n=st.integers(16, 90), seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_modes_are_finite_and_the_first_is_the_fastest(backend, n, seed):
    trace = np.random.default_rng(seed).standard_normal(n)
    modes = emd(modes=5).decompose(trace, 0, context(backend))
    assert np.isfinite(modes).all()
    crossings = [np.count_nonzero(np.diff(mode > 0)) for mode in modes if mode.any()]
    assert crossings[0] == max(crossings)


@pytest.mark.parametrize("trace", [np.zeros(50), np.ones(50), np.arange(50.0), np.arange(50.0) ** 2])
@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_what_does_not_oscillate_has_no_modes(backend, trace):
    assert not emd().decompose(trace, 0, context(backend)).any()


@pytest.mark.parametrize("method", ["eemd", "ceemdan"])
def test_added_noise_averages_out(method):
    """The modes of copies with pairs of noise add up to the trace, but for what ensembles leave in each."""
    trace = np.random.default_rng(0).standard_normal(400)
    plain = emd(modes=6).decompose(trace, 1, context("numba")).sum(axis=0)
    found = emd(modes=6, method=method, pairs=20).decompose(trace, 1, context("numba")).sum(axis=0)
    assert np.std(found - plain) < 0.25 * np.std(trace)


def test_noise_keeps_modes_from_mixing():
    """A tone that comes and goes stays in the first mode: without it, plain modes swap places."""
    on = (TIME > 0.8) & (TIME < 1.4)
    trace = np.cos(2 * np.pi * 5 * TIME) + 0.3 * np.cos(2 * np.pi * 40 * TIME) * on
    slow = np.cos(2 * np.pi * 5 * TIME)
    plain = emd(modes=6).decompose(trace, 1, context("numba"))
    noisy = emd(modes=6, method="ceemdan", pairs=40, noise_ratio=0.1).decompose(trace, 1, context("numba"))
    off = ~on

    def mixed(modes: np.ndarray) -> float:
        return float(np.abs(np.corrcoef(modes[0][off], slow[off])[0, 1]))

    assert mixed(plain) > 0.8 and mixed(noisy) < 0.3


def test_noise_follows_from_seed_and_trace_alone():
    rng = np.random.default_rng(3)
    gather = make_gather(rng.standard_normal((5, 120)))
    parameters = {"method": "eemd", "pairs": 2, "modes": 3}

    def run(rows, **more):
        return run_processor(EmdDenoise, rows, parameters | more, kernels=KERNELS, backend="numba").traces

    whole = run(gather)
    assert np.array_equal(whole, run(gather))
    assert np.array_equal(whole[3:], run(gather.rows(3, 5)))
    assert not np.array_equal(whole, run(gather, seed=1))
    keys = gather.headers.with_columns(trace_id=np.arange(5) + 10)
    assert not np.array_equal(whole, run(gather.with_headers(keys)))


def sparse(dictionary, places) -> np.ndarray:
    trace = np.zeros(dictionary.n_samples)
    for number, sample, cosine, sine in places:
        for part, factor in enumerate((cosine, sine)):
            trace += factor * dictionary.atoms(np.array([number]), np.array([sample]), part)[0]
    return trace


@pytest.mark.parametrize("kind", ["ricker", "gabor"])
def test_pursuit_finds_the_wavelets_a_trace_is_made_of(kind):
    design = Design(kind, 10.0, 60.0, 8, 3.0, DT)
    places = [(2, 120, 1.0, 0.5), (5, 300, -0.8, 0.6), (7, 480, 0.1, 0.9)]
    trace = sparse(dictionary_of(design, 600), places)
    parameters = {"dictionary": kind, "low_hz": 10, "high_hz": 60, "frequencies": 8, "wavelets": 3, "threshold": 0}
    found = run_processor(OmpDenoise, make_gather(trace[None]), parameters).traces[0]
    assert np.abs(found - trace).max() < 1e-3 * np.abs(trace).max()


def test_pursuit_is_a_projection():
    """More wavelets never fit worse, and what is left is orthogonal to what was found."""
    traces = np.random.default_rng(1).standard_normal((3, 300))
    left = []
    for wavelets in (1, 4, 12, 40):
        found = run_processor(OmpDenoise, make_gather(traces), {"low_hz": 15, "wavelets": wavelets, "threshold": 0})
        rest = traces - found.traces
        assert np.allclose(np.sum(rest * found.traces, axis=1), 0, atol=1e-3 * np.sum(traces**2, axis=1))
        left.append(np.sum(rest**2, axis=1))
    assert np.all(np.diff(left, axis=0) < 0)


@pytest.mark.parametrize("kind", ["ricker", "gabor"])
def test_dictionary_correlates_with_its_own_wavelets(kind):
    """The magnitude is 1 at a wavelet's own frequency and sample, whatever its phase, and nowhere larger."""
    dictionary = dictionary_of(Design(kind, 10.0, 60.0, 6, 3.0, DT), 401)
    for angle in (0.0, 1.0, 2.5):
        trace = sparse(dictionary, [(3, 200, np.cos(angle), np.sin(angle))])
        match = dictionary.correlate(trace[None].astype(np.float32))[0]
        assert match.shape == (6, 401)
        assert np.unravel_index(match.argmax(), match.shape) == (3, 200)
        assert match.max() == pytest.approx(1, abs=0.02)
