"""Deconvolution: against Seismic Unix, and what it must do to signals with a known answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from seisproc_core.errors import ParameterError
from seisproc_core.processing.params import build
from seisproc_core.testing import make_gather, run_processor
from seisproc_signal.decon import Decon, DeconEnsemble
from seisproc_signal.plugin import seisproc_kernels

KERNELS = seisproc_kernels()
BACKENDS = ["reference", "numba"]


def worst(found, expected):
    return float(np.abs(found.astype(np.float64) - expected).max() / np.abs(expected).max())


# supef keeps lags minlag .. maxlag, both included: (maxlag - minlag) / dt + 1 coefficients.
GOLDEN = {
    "spiking_default": (Decon, {"operator_ms": 200.0, "prewhitening_percent": 0.1}),
    "spiking_m160": (Decon, {"operator_ms": 160.0, "prewhitening_percent": 0.1}),
    "predictive": (Decon, {"gap_ms": 100.0, "operator_ms": 104.0, "prewhitening_percent": 0.1}),
    "predictive_window": (
        Decon,
        # supef keeps the length of its correlation window, 0.4 to 3 s, and begins it at sample 0.
        {"gap_ms": 60.0, "operator_ms": 124.0, "prewhitening_percent": 1.0, "design_start_ms": 0.0,
         "design_end_ms": 2600.0},
    ),
    "predictive_mix3": (
        DeconEnsemble,
        {"gap_ms": 100.0, "operator_ms": 104.0, "prewhitening_percent": 0.1, "mix": [1.0, 1.0, 1.0], "mode": "su"},
    ),
    "wienerout": (Decon, {"operator_ms": 40.0, "prewhitening_percent": 0.1, "output": "operator"}),
}  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", GOLDEN)
def test_seismic_unix(golden, case, backend):
    gather, expected = golden(f"decon/{case}")
    cls, parameters = GOLDEN[case]
    found = run_processor(cls, gather, parameters, kernels=KERNELS, backend=backend)
    assert worst(found.traces, expected) < 2e-4


def reverberated(reflectivity, period, strength):
    """1 / (1 + strength z^period): a minimum-phase train of reverberations."""
    denominator = np.zeros(period + 1)
    denominator[0], denominator[period] = 1, strength
    return signal.lfilter([1], denominator, reflectivity, axis=-1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_predictive_decon_collapses_reverberations_to_the_primaries(backend, rng):
    primaries = rng.standard_normal((6, 4000)) * (rng.random((6, 4000)) < 0.1)
    gather = make_gather(reverberated(primaries, 30, 0.5), interval_ms=4)
    parameters = {"gap_ms": 112.0, "operator_ms": 20.0, "prewhitening_percent": 0.0}
    out = run_processor(Decon, gather, parameters, kernels=KERNELS, backend=backend).traces
    before = np.linalg.norm(gather.traces - primaries) / np.linalg.norm(primaries)
    after = np.linalg.norm(out - primaries) / np.linalg.norm(primaries)
    assert before > 0.5 and after < 0.1


def test_spiking_decon_turns_a_minimum_phase_wavelet_into_a_spike():
    wavelet = np.convolve([1, -1.6, 0.8], [1, 0.5])
    trace = np.zeros((1, 400))
    trace[0, 100:104] = wavelet
    parameters = {"operator_ms": 160.0, "prewhitening_percent": 0.0}
    out = run_processor(Decon, make_gather(trace), parameters, kernels=KERNELS).traces[0]
    assert abs(out[100] - 1) < 1e-3 and np.abs(np.delete(out, 100)).max() < 5e-3


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_white_input_is_unchanged(backend, rng):
    spike = np.zeros((3, 300))
    spike[[0, 1, 2], [0, 150, 299]] = [1, -2, 3]
    out = run_processor(Decon, make_gather(spike), kernels=KERNELS, backend=backend).traces
    assert np.allclose(out, spike, atol=1e-6)
    noise = rng.standard_normal((4, 20_000))
    out = run_processor(Decon, make_gather(noise), {"operator_ms": 40.0}, kernels=KERNELS, backend=backend).traces
    assert np.linalg.norm(out - noise) < 0.04 * np.linalg.norm(noise)


def test_the_output_is_whiter_than_the_input(rng):
    wavelet = signal.lfilter([1], [1, -1.5, 0.9], np.eye(1, 100)[0])
    traces = signal.lfilter(wavelet, 1, rng.standard_normal((5, 3000)), axis=1)
    out = run_processor(Decon, make_gather(traces), {"operator_ms": 80.0}, kernels=KERNELS).traces

    def flatness(x):
        power = signal.welch(x, nperseg=256, axis=1)[1][:, 2:-2].mean(axis=0)
        return np.exp(np.log(power).mean()) / power.mean()

    assert flatness(traces) < 0.3 and flatness(out) > 0.95


@given(scale=st.integers(-15, 15), seed=st.integers(0, 20))
def test_decon_does_not_depend_on_scale(scale, seed):
    traces = np.random.default_rng(seed).standard_normal((4, 200)).astype(np.float32)
    plain = run_processor(Decon, make_gather(traces), {"operator_ms": 60.0}, kernels=KERNELS, backend="numba")
    factor = np.float32(2.0**scale)
    scaled = run_processor(Decon, make_gather(traces * factor), {"operator_ms": 60.0}, kernels=KERNELS, backend="numba")
    assert np.allclose(scaled.traces / factor, plain.traces, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_design_window_follows_the_velocity(backend, rng):
    """Noise of one colour below the line, of another above it: operators must come from below."""
    offsets = np.array([0, 500, 1000])
    below = signal.lfilter([1], [1, 0.9], rng.standard_normal((3, 5000)), axis=1)
    above = signal.lfilter([1], [1, -0.9], rng.standard_normal((3, 5000)), axis=1)
    edge = np.round((100 + offsets / 2.0) / 4).astype(int)
    sample = np.arange(5000)
    traces = np.where(sample >= edge[:, None], below, 50 * above)
    gather = make_gather(traces, offset=offsets)
    parameters = {"operator_ms": 4.0, "output": "operator", "prewhitening_percent": 0.0}
    guided = parameters | {"design_start_ms": 100.0, "velocity_m_per_s": 2000.0}
    found = run_processor(Decon, gather, guided, kernels=KERNELS, backend=backend).traces
    assert np.allclose(found[:, 1], 0.9, atol=0.05)
    fixed = run_processor(Decon, gather, parameters | {"design_start_ms": 100.0}, kernels=KERNELS).traces
    assert abs(fixed[0, 1] - 0.9) < 0.05 and np.all(fixed[1:, 1] < -0.4)


def test_only_live_samples_are_used_and_dead_traces_stay_dead(rng):
    traces = rng.standard_normal((3, 300))
    live = (np.array([0, 50, 0]), np.array([300, 250, 0]))
    spoilt = traces.copy()
    spoilt[1, :50] = spoilt[1, 250:] = spoilt[2] = np.nan
    clean = run_processor(Decon, make_gather(traces[1:2, 50:250]), kernels=KERNELS).traces
    for backend in BACKENDS:
        out = run_processor(Decon, make_gather(spoilt, live=live), kernels=KERNELS, backend=backend).traces
        assert np.allclose(out[1, 50:250], clean[0], atol=1e-5)
        assert not out[1, :50].any() and not out[1, 250:].any() and not out[2].any()


def test_a_trace_silent_in_the_design_window_is_passed_on(rng):
    traces = rng.standard_normal((2, 200))
    traces[0, 100:] = 0
    parameters = {"design_start_ms": 400.0, "operator_ms": 40.0}
    out = run_processor(Decon, make_gather(traces), parameters, kernels=KERNELS).traces
    assert np.array_equal(out[0], make_gather(traces).traces[0]) and not np.allclose(out[1], traces[1])


def test_the_whole_gather_shares_one_operator_whatever_its_neighbours_hold(rng):
    traces = signal.lfilter([1], [1, -0.8], rng.standard_normal((7, 500)), axis=1)
    gather = make_gather(traces, gather_starts=[0, 3, 3, 7], live=(np.zeros(7), np.array([500] * 6 + [0])))
    parameters = {"operator_ms": 8.0, "output": "operator"}
    found = run_processor(DeconEnsemble, gather, parameters, kernels=KERNELS).traces
    assert np.ptp(found[:3, :3], axis=0).max() == 0 and np.ptp(found[3:6, :3], axis=0).max() == 0
    assert not np.allclose(found[0, :3], found[3, :3], atol=1e-4) and not found[6].any()
    alone = run_processor(DeconEnsemble, gather.rows(3, 6), parameters, kernels=KERNELS).traces
    assert np.allclose(found[3:6], alone, atol=1e-6)


def test_centred_mix_is_symmetric_and_stays_inside_the_gather(rng):
    traces = rng.standard_normal((6, 400))
    gather = make_gather(traces, gather_starts=[0, 4, 6])
    parameters = {"operator_ms": 12.0, "mix": [1.0, 2.0, 1.0]}
    found = run_processor(DeconEnsemble, gather, parameters, kernels=KERNELS).traces
    mirrored = make_gather(traces[::-1], gather_starts=[0, 2, 6])
    assert np.allclose(run_processor(DeconEnsemble, mirrored, parameters, kernels=KERNELS).traces[::-1], found)
    single = run_processor(DeconEnsemble, gather, {"operator_ms": 12.0, "mix": [0.0, 1.0, 0.0]}, kernels=KERNELS)
    plain = run_processor(Decon, gather, {"operator_ms": 12.0}, kernels=KERNELS)
    assert np.array_equal(single.traces, plain.traces)


def test_in_gathers_of_one_trace_an_ensemble_is_that_trace():
    traces = np.random.default_rng(1).standard_normal((5, 200))
    gather = make_gather(traces, gather_starts=[0, 1, 2, 3, 4, 5])
    plain = run_processor(Decon, gather, {"operator_ms": 60.0}, kernels=KERNELS).traces
    for mix in ([], [1.0, 2.0, 1.0]):
        found = run_processor(DeconEnsemble, gather, {"operator_ms": 60.0, "mix": mix}, kernels=KERNELS).traces
        assert np.allclose(found, plain, atol=1e-6)


def test_short_design_windows_are_told():
    gather = make_gather(np.ones((3, 100)), offset=[0, 100, 800], live=(np.zeros(3), np.array([100, 100, 100])))
    parameters = {"operator_ms": 40.0, "design_start_ms": 0.0, "velocity_m_per_s": 2000.0}
    assert build(Decon, "decon", parameters).notes(gather.layout) == [
        "1 live traces have a design window shorter than gap and operator"
    ]


@pytest.mark.parametrize(
    ("cls", "parameters", "problem"),
    [
        (Decon, {"operator_ms": 1.0}, "at least one sample"),
        (Decon, {"gap_ms": 1.0}, "at least one sample"),
        (Decon, {"operator_ms": 300.0, "gap_ms": 120.0}, "must not exceed the trace of 400 ms"),
        (Decon, {"prewhitening_percent": -1.0}, "at least 0"),
        (Decon, {"design_start_ms": 200.0, "design_end_ms": 100.0}, "before design_end_ms"),
        (DeconEnsemble, {"mix": [1.0, 1.0]}, "odd number"),
        (DeconEnsemble, {"mode": "su"}, "needs weights"),
        (DeconEnsemble, {"mix": [0.0]}, "above 0"),
    ],
)
def test_bad_parameters_are_refused(cls, parameters, problem):
    with pytest.raises(ParameterError, match=problem):
        run_processor(cls, make_gather(np.ones((2, 100))), parameters, kernels=KERNELS)
