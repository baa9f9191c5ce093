"""The kernels of Wiener filters: against SciPy, against each other, their adjoints, and how fast they stop."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg

from seisproc_core.errors import Cancelled
from seisproc_core.specs import resolve
from seisproc_signal.plugin import seisproc_kernels

NAMES = ("autocorrelate", "levinson", "convolve")
FUNCTIONS = {(s.name, s.backend): resolve(s.impl) for s in seisproc_kernels() if s.name in NAMES}
BACKENDS = ["reference", "numba"]
FLAG = np.zeros(1, np.uint8)


def windows(rng, count, n):
    first, end = np.sort(rng.integers(0, n + 1, (2, count)), axis=0)
    first[:4], end[:4] = [0, 0, n, n // 2], [n, 0, n, n // 2 + 1]
    return first, end


def call(name, backend, *arguments):
    FUNCTIONS[name, backend](*arguments, FLAG)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("lags", [1, 7, 24, 41, 150])
def test_autocorrelation_is_numpys_of_the_window(backend, lags):
    rng = np.random.default_rng(lags)
    traces = rng.standard_normal((12, 101)).astype(np.float32)
    first, end = windows(rng, 12, 101)
    found = np.full((12, lags), np.nan)
    call("autocorrelate", backend, traces, first, end, found)
    for row, (a, b) in enumerate(zip(first, end, strict=True)):
        x = traces[row, a:b].astype(np.float64)
        every = np.correlate(x, x, "full")[len(x) - 1 :] if len(x) else np.zeros(0)
        expected = np.zeros(lags)
        expected[: min(lags, len(every))] = every[:lags]
        assert np.allclose(found[row], expected, rtol=0, atol=1e-13 * max(expected[0], 1e-300))


@pytest.mark.parametrize("backend", BACKENDS)
@given(n=st.integers(1, 40), seed=st.integers(0, 50))
def test_levinson_solves_the_normal_equations(backend, n, seed):
    rng = np.random.default_rng(seed)
    traces = rng.standard_normal((5, 200)).cumsum(axis=1).astype(np.float32)
    auto = np.empty((5, n))
    call("autocorrelate", backend, traces, np.zeros(5, np.int64), np.full(5, 200), auto)
    auto[:, 0] *= 1.001
    cross = rng.standard_normal((5, n))
    found = np.empty_like(cross)
    call("levinson", backend, auto, cross, found)
    for r, g, f in zip(auto, cross, found, strict=True):
        assert np.allclose(f, linalg.solve_toeplitz(r, g), rtol=1e-6, atol=1e-9 * np.abs(f).max())


@pytest.mark.parametrize("backend", BACKENDS)
def test_levinson_stops_where_the_matrix_is_singular(backend):
    n = 12
    auto = np.stack([np.zeros(n), np.ones(n), np.cos(0.3 * np.arange(n)), np.eye(1, n)[0]])
    found = np.full_like(auto, np.nan)
    call("levinson", backend, auto, np.roll(auto, -1, axis=1), found)
    assert np.isfinite(found).all() and not found[0].any()
    assert np.allclose(found[1], np.eye(1, n)[0]) and np.abs(found[2]).max() < 10


def dense(taps, lag, identity, window, out_window, n):
    """The matrix of one trace's convolution."""
    matrix = identity * np.eye(n)
    for j, f in enumerate(taps):
        matrix += f * np.eye(n, k=-(lag + j))
    matrix[:, : window[0]] = matrix[:, window[1] :] = 0
    matrix[: out_window[0]] = matrix[out_window[1] :] = 0
    return matrix


@pytest.mark.parametrize("backend", BACKENDS)
@given(taps=st.integers(1, 19), seed=st.integers(0, 50), n=st.sampled_from([1, 2, 5, 64, 97]))
def test_convolution_is_its_matrix(backend, taps, seed, n):
    rng = np.random.default_rng(seed)
    count = 9
    traces = rng.standard_normal((count, n)).astype(np.float32)
    filters = rng.standard_normal((count, taps))
    lag = rng.integers(-2 * n - 30, 2 * n + 30, count)
    first, end = windows(rng, count, n)
    out_first, out_end = windows(rng, count, n)
    found = np.full_like(traces, np.nan)
    call("convolve", backend, traces, first, end, filters, lag, 0.7, out_first, out_end, found)
    for k in range(count):
        matrix = dense(filters[k], lag[k], 0.7, (first[k], end[k]), (out_first[k], out_end[k]), n)
        assert np.allclose(found[k], matrix @ traces[k], atol=2e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_adjoint_of_a_convolution_has_its_taps_reversed(backend):
    rng = np.random.default_rng(4)
    n, taps, count = 301, 33, 20
    x, y = rng.standard_normal((2, count, n)).astype(np.float32)
    filters, lag = rng.standard_normal((count, taps)), rng.integers(-40, 40, count)
    (first, end), (out_first, out_end) = windows(rng, count, n), windows(rng, count, n)
    forward, back = np.empty_like(x), np.empty_like(x)
    call("convolve", backend, x, first, end, filters, lag, 0.0, out_first, out_end, forward)
    reverse, ahead = np.ascontiguousarray(filters[:, ::-1]), -(lag + taps - 1)
    call("convolve", backend, y, out_first, out_end, reverse, ahead, 0.0, first, end, back)
    left = np.einsum("ij,ij->i", forward, y, dtype=np.float64)
    right = np.einsum("ij,ij->i", x, back, dtype=np.float64)
    size = np.linalg.norm(forward.astype(np.float64), axis=1) * np.linalg.norm(y.astype(np.float64), axis=1)
    assert np.all(np.abs(left - right) <= 1e-6 * np.maximum(size, 1e-6)) and np.abs(left).max() > 1


@pytest.mark.parametrize("panel", ["noise", "spikes", "decades", "fading"])
def test_backends_agree(panel):
    rng = np.random.default_rng(7)
    noise = rng.standard_normal((40, 301))
    panels = {
        "noise": noise,
        "spikes": np.where(rng.random((40, 301)) < 0.03, noise * 1e6, noise * 1e-3),
        "decades": noise * 10.0 ** rng.uniform(-18, 18, (40, 1)),
        "fading": noise * 10.0 ** np.linspace(0, -20, 301),
    }
    traces = panels[panel].astype(np.float32)
    first, end = windows(rng, *traces.shape)
    results = []
    for backend in BACKENDS:
        lags, filters, out = np.empty((40, 21)), np.empty((40, 20)), np.empty_like(traces)
        call("autocorrelate", backend, traces, first, end, lags)
        lags[:, 0] *= 1.001
        auto, cross = np.ascontiguousarray(lags[:, :-1]), np.ascontiguousarray(lags[:, 1:])
        call("levinson", backend, auto, cross, filters)
        call("convolve", backend, traces, first, end, -filters, np.ones(40, np.int64), 1.0, first, end, out)
        results.append(out.astype(np.float64))
    reference, found = results
    size = np.sqrt(np.mean(reference**2, axis=1))
    assert np.all(np.sqrt(np.mean((found - reference) ** 2, axis=1)) <= 1e-5 * size) and np.any(size)


@pytest.mark.parametrize(("name", "backend"), list(FUNCTIONS))
def test_cancel_latency(name, backend):
    count, n, taps = 3000, 1500, 40
    rng = np.random.default_rng(0)
    traces = rng.standard_normal((count, n)).astype(np.float32)
    first, end = np.zeros(count, np.int64), np.full(count, n)
    auto = np.zeros((count, taps))
    auto[:, 0] = 1
    arguments = {
        "autocorrelate": (traces, first, end, np.empty((count, taps))),
        "levinson": (auto, rng.standard_normal((count, taps)), np.empty((count, taps))),
        "convolve": (traces, first, end, auto, first, 0.0, first, end, np.empty_like(traces)),
    }[name]
    flag, raised = np.zeros(1, np.uint8), []

    def raise_flag():
        time.sleep(0.1)
        raised.append(time.perf_counter())
        flag[0] = 1

    thread = threading.Thread(target=raise_flag)
    thread.start()
    with pytest.raises(Cancelled):
        for _ in range(10_000):
            FUNCTIONS[name, backend](*arguments, flag)
    latency = time.perf_counter() - raised[0]
    thread.join()
    assert latency < 0.5  # ten thousand passes would take minutes


def test_every_kernel_of_the_plugin_is_tested_in_some_form():
    others = {spec.name for spec in seisproc_kernels()} - set(NAMES)
    assert others == {"agc", "agc_gaussian"}  # see test_signal_kernels.py
    assert {backend for _, backend in FUNCTIONS} == set(BACKENDS)
