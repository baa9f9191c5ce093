"""f-x prediction: Seismic Unix, plane waves and noise, gaps, backends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core.errors import Cancelled, ParameterError
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import build
from seisproc_core.specs import resolve
from seisproc_core.testing import make_gather, run_processor
from seisproc_denoise.multichannel.descriptions import KERNELS
from seisproc_denoise.multichannel.fx_decon import FxDecon

GOLDEN = {
    "fxdecon_default": {"low_hz": 6.0, "high_hz": 75.0, "window_traces": 10, "window_ms": None, "su_length": 1120},
    "fxdecon_w20_f6": {"low_hz": 1.0, "high_hz": 60.0, "filter_traces": 6, "window_ms": None, "su_length": 1120},
    "fxdecon_twin": {"low_hz": 5.0, "high_hz": 70.0, "window_traces": 16, "window_ms": 700.0, "su_length": 420},
}
X = 10.0 * np.arange(48)
BACKENDS = ["reference", "numba"]


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def decon(gather, backend="reference", **parameters):
    return run_processor(FxDecon, gather, parameters, kernels=KERNELS, backend=backend).traces


@pytest.fixture
def events(plane):
    return plane(X, 0.0, 0.4) + 0.8 * plane(X, 0.4e-3, 0.9) + 0.9 * plane(X, -0.6e-3, 1.3)


@pytest.mark.parametrize("case", GOLDEN)
def test_seismic_unix(shared, case):
    traces = np.load(shared / "golden" / "inputs" / "planes.npy")
    expected = np.load(shared / "golden" / "fx" / f"{case}.npy")
    found = decon(make_gather(traces), taper_ms=100.0, **GOLDEN[case])
    assert np.abs(found - expected).max() <= 2e-6 * np.abs(expected).max()


@pytest.mark.parametrize("backend", BACKENDS)
def test_plane_waves_pass_and_noise_is_reduced(events, backend):
    noise = 0.2 * np.random.default_rng(1).standard_normal(events.shape)
    parameters = {"backend": backend, "high_hz": 125.0}
    kept = decon(make_gather(events), **parameters)
    assert rms(kept - events) < 0.02 * rms(events)
    assert rms(decon(make_gather(events + noise), **parameters) - events) < 0.65 * rms(noise)
    assert rms(decon(make_gather(noise), **parameters)) < 0.6 * rms(noise)


def test_frequencies_outside_pass_or_are_removed():
    x = np.random.default_rng(2).standard_normal((30, 512))
    window = {"low_hz": 10.0, "high_hz": 60.0, "window_ms": None}
    passed, removed = decon(make_gather(x), **window), decon(make_gather(x), outside="zero", **window)
    frequency = np.fft.rfftfreq(512, 0.004)
    outside = (frequency < 5) | (frequency > 65)

    def level(traces):
        return rms(np.abs(np.fft.rfft(traces * np.hanning(512), axis=1))[:, outside])

    assert level(passed - x) < 0.03 * level(x)
    assert level(removed) < 0.03 * level(x)
    assert rms(passed - x) > 0.3 * rms(x)


@pytest.mark.parametrize("backend", BACKENDS)
def test_beside_a_dead_trace_the_other_side_predicts(events, backend):
    dead = np.isin(np.arange(48), [20, 33])
    events[dead] = 0
    found = decon(make_gather(events, dead=dead), backend, high_hz=125.0)
    assert not found[dead].any()
    assert max(rms(found[n] - events[n]) / rms(events[n]) for n in np.flatnonzero(~dead)) < 0.05


def test_numba_is_the_reference(events):
    rng = np.random.default_rng(3)
    x = events + 0.3 * rng.standard_normal(events.shape)
    dead = np.isin(np.arange(48), [0, 9, 10])
    for parameters in ({}, {"filter_traces": 7, "window_traces": 31, "window_ms": None}, {"filter_traces": 1}):
        gather = make_gather(np.tile(x, (2, 1)), gather_starts=[0, 45, 96], dead=np.tile(dead, 2))
        one, other = (decon(gather, backend, **parameters) for backend in BACKENDS)
        assert rms(one - other) <= 1e-5 * rms(one)


@settings(max_examples=25)
@given(
    n_traces=st.integers(1, 30),
    n_samples=st.integers(1, 120),
    start_ms=st.sampled_from([-100.0, 0.0, 100.0]),
    backend=st.sampled_from(BACKENDS),
    seed=st.integers(0, 99),
)
def test_any_shape_is_finite_and_blind_to_start_scale_and_muted_samples(n_traces, n_samples, start_ms, backend, seed):
    rng = np.random.default_rng(seed)
    first = rng.integers(0, n_samples + 1, n_traces)
    end = np.minimum(first + rng.integers(0, n_samples + 1, n_traces), n_samples)
    x = rng.standard_normal((n_traces, n_samples))

    def run(traces, start_ms=0.0):
        gather = make_gather(traces, live=(first, end), start_ms=start_ms)
        return decon(gather, backend, window_ms=128.0, taper_ms=32.0, window_traces=9)

    found = run(x)
    assert np.isfinite(found).all()
    assert np.array_equal(found, run(x, start_ms))
    assert np.allclose(run(1024 * x), 1024 * found, atol=1e-2)
    outside = (np.arange(n_samples) < first[:, None]) | (np.arange(n_samples) >= end[:, None])
    assert not found[outside].any()
    assert np.array_equal(found, run(np.where(outside, 1e9, x)))


def test_two_traces_and_silence_pass_unchanged():
    x = np.random.default_rng(4).standard_normal((2, 100)).astype(np.float32)
    assert np.array_equal(decon(make_gather(x)), x)
    for backend in BACKENDS:
        assert not decon(make_gather(np.zeros((12, 100))), backend).any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_stops_when_told(backend):
    kernel = next(resolve(spec.impl) for spec in KERNELS if (spec.name, spec.backend) == ("fx_predict", backend))
    context = Context({"fx_predict": kernel}, flag=np.ones(1, np.uint8))
    with pytest.raises(Cancelled):
        build(FxDecon, "fx_decon", {}).apply(make_gather(np.ones((12, 100))), context)


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"high_hz": 126.0}, "high_hz"),
        ({"low_hz": 80.0}, "low_hz"),
        ({"filter_traces": 10}, "window_traces"),
        ({"window_ms": 300.0}, "window_ms"),
        ({"window_ms": None, "su_length": 999}, "su_length"),
    ],
)
def test_refuses(parameters, name):
    with pytest.raises(ParameterError, match=f"'{name}'"):
        decon(make_gather(np.zeros((12, 1000))), **parameters)
