"""Inverse Q, vibroseis correlation, whitening, tapers and edits by rules, on signals with a known answer."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import fft, signal

from seisproc_core.data.sampling import Sampling
from seisproc_core.errors import ParameterError
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import build
from seisproc_core.testing import make_gather, run_processor
from seisproc_signal import inverse_q
from seisproc_signal.edit import Select
from seisproc_signal.inverse_q import InverseQ
from seisproc_signal.rules import EditRules
from seisproc_signal.taper import Taper
from seisproc_signal.vibroseis import VibroseisCorrelate, linear_sweep
from seisproc_signal.whiten import Whiten


def attenuated(times, spikes, q, reference, peak=25.0):
    """Ricker wavelets after travelling in a medium of constant Q, each made in the frequency domain."""
    n = 4 * len(times)
    dt = times[1] - times[0]
    frequency = fft.rfftfreq(n, dt)
    f = np.maximum(frequency, 1e-6)
    wavelet = (f / peak) ** 2 * np.exp(1 - (f / peak) ** 2)
    total = np.zeros(len(frequency), complex)
    for at, strength in spikes:
        travel = at * (f / reference) ** (-1 / (np.pi * q)) if q else at
        decay = np.exp(-np.pi * f * travel / q) if q else 1.0
        total += strength * wavelet * decay * np.exp(-2j * np.pi * frequency * (travel - times[0]))
    return fft.irfft(total, n)[: len(times)]


SPIKES = [(0.2, 1.0), (0.7, -0.8), (1.3, 0.9), (1.31, -0.5), (1.8, 0.7)]


@pytest.mark.parametrize("start_ms", [-100.0, 0.0, 100.0])
def test_inverse_q_takes_absorption_and_dispersion_back(start_ms):
    times = start_ms / 1000 + np.arange(600) * 0.004
    clean, data = (attenuated(times, SPIKES, q, 40.0) for q in (None, 80.0))
    parameters = {"q": 80.0, "kind": "both", "reference_hz": 40.0, "max_gain_db": 60.0}
    out = run_processor(InverseQ, make_gather(data[None], start_ms=start_ms), parameters).traces[0]
    assert np.linalg.norm(data - clean) > 0.4 * np.linalg.norm(clean)
    assert np.linalg.norm(out - clean) < 0.03 * np.linalg.norm(clean)


def test_phase_correction_alone_aligns_events_and_keeps_energy():
    times = np.arange(600) * 0.004
    clean, data = (attenuated(times, [(1.5, 1.0)], q, 60.0) for q in (None, 50.0))
    out = run_processor(InverseQ, make_gather(data[None]), {"q": 50.0, "reference_hz": 60.0}).traces[0]
    assert abs(int(np.argmax(np.abs(data))) - 375) >= 2 and abs(int(np.argmax(np.abs(out))) - 375) == 0
    assert np.argmax(clean) == 375 and np.linalg.norm(out) == pytest.approx(np.linalg.norm(data), rel=0.05)


def test_a_table_of_equal_q_is_constant_q_and_layers_add_up(rng):
    gather = make_gather(rng.standard_normal((2, 300)))
    constant = run_processor(InverseQ, gather, {"q": 70.0, "kind": "both"}).traces
    layered = {"table": {"time_ms": [200, 600, 900], "q": [70, 70, 70]}, "kind": "both"}
    assert np.allclose(run_processor(InverseQ, gather, layered).traces, constant, atol=1e-5)
    step = build(InverseQ, "inverse_q", {"table": {"time_ms": [400, 1000], "q": [30, 120]}})
    spent = {q: time.tolist() for q, time in step._layers(np.array([-0.1, 0.3, 1.5]))}
    assert spent == {30.0: [0, 0.3, 0.4], 120.0: [0, 0, pytest.approx(1.1)]}


@given(limit_db=st.floats(0.5, 100), decay=st.floats(0, 1))
def test_the_gain_never_exceeds_its_limit_and_reaches_it(limit_db, decay):
    gain = inverse_q.stabilised_gain(np.array([decay]), limit_db)[0]
    limit = 10 ** (limit_db / 20)
    assert 0.99 <= gain <= limit * (1 + 1e-9)
    assert inverse_q.stabilised_gain(np.logspace(-7, 0, 10_001), limit_db).max() > 0.99 * limit
    assert inverse_q.stabilised_gain(np.array([1.0]), limit_db)[0] == pytest.approx(1)


def test_without_absorption_nothing_changes_and_time_zero_is_the_source(rng):
    traces = rng.standard_normal((2, 400))
    out = run_processor(InverseQ, make_gather(traces, start_ms=-400), {"q": 1e9, "kind": "both"}).traces
    assert np.allclose(out, traces, atol=1e-5)
    early = run_processor(InverseQ, make_gather(traces, start_ms=-400), {"q": 20.0, "kind": "both"}).traces
    assert np.allclose(early[:, :100], traces[:, :100], atol=1e-5) and not np.allclose(early[:, 200:], traces[:, 200:])


def test_inverse_q_passes_the_dot_product_test(rng):
    operator = inverse_q.operator(build(InverseQ, "inverse_q", {"q": 50.0, "kind": "both"}), Sampling(-0.1, 0.004, 301))
    x, y = rng.standard_normal((2, 5, 301)).astype(np.float32)
    window = np.zeros(5, np.int64), np.full(5, 301)
    forward, back = np.empty_like(x), np.empty_like(x)
    operator.apply(x, window, forward, Context())
    operator.adjoint.apply(y, window, back, Context())
    left, right = np.vdot(forward.astype(np.float64), y), np.vdot(x.astype(np.float64), back)
    assert abs(left - right) <= 1e-6 * np.linalg.norm(forward) * np.linalg.norm(y)


@pytest.mark.parametrize("start_ms", [-100.0, 0.0, 100.0])
def test_correlation_turns_sweeps_into_spikes_at_their_times(start_ms):
    sampling = Sampling(start_ms / 1000, 0.002, 4000)
    sweep = linear_sweep(8.0, 80.0, 5.0, 0.3, sampling)
    record = np.zeros((2, 4000))
    for row, (at, strength) in enumerate([(300, 2.0), (1200, -0.5)]):
        record[row, at : at + len(sweep)] += strength * sweep
    parameters = {"start_hz": 8.0, "end_hz": 80.0, "sweep_ms": 5000.0, "taper_ms": 300.0}
    out = run_processor(VibroseisCorrelate, make_gather(record, interval_ms=2, start_ms=start_ms), parameters)
    assert out.n_samples == 4000 - len(sweep) + 1 and out.sampling.start_s == sampling.start_s
    for trace, (at, strength) in zip(out.traces, [(300, 2.0), (1200, -0.5)], strict=True):
        assert np.argmax(np.abs(trace)) == at and trace[at] == pytest.approx(strength, rel=1e-4)
        wavelet = trace[at - 100 : at + 101]
        assert np.allclose(wavelet, wavelet[::-1], atol=1e-4 * abs(strength))  # zero phase


def test_correlation_is_numpys_and_a_pilot_is_a_sweep(rng):
    record = rng.standard_normal((3, 900))
    sweep = linear_sweep(10.0, 60.0, 1.2, 0.2, Sampling(0.0, 0.004, 900))
    expected = np.stack([np.correlate(x, sweep, "valid") for x in record]) / np.sum(sweep**2)
    parameters = {"start_hz": 10.0, "end_hz": 60.0, "sweep_ms": 1200.0, "taper_ms": 200.0}
    assert np.allclose(run_processor(VibroseisCorrelate, make_gather(record), parameters).traces, expected, atol=1e-5)
    pilot = {"pilot": {"time_ms": (4.0 * np.arange(len(sweep))).tolist(), "amplitude": sweep.tolist()}}
    assert np.allclose(run_processor(VibroseisCorrelate, make_gather(record), pilot).traces, expected, atol=1e-5)
    short = run_processor(VibroseisCorrelate, make_gather(record), parameters | {"listen_ms": 400.0}).traces
    assert short.shape == (3, 101) and np.allclose(short, expected[:, :101], atol=1e-5)
    full = run_processor(VibroseisCorrelate, make_gather(record), parameters | {"listen_ms": 3596.0}).traces
    padded = np.stack([np.correlate(np.pad(x, (0, 300)), sweep, "valid")[:900] for x in record]) / np.sum(sweep**2)
    assert np.allclose(full, padded, atol=1e-5)


def test_correlated_traces_live_where_the_sweep_meets_live_input():
    live = (np.array([0, 200, 40]), np.array([900, 500, 40]))
    parameters = {"start_hz": 10.0, "end_hz": 60.0, "sweep_ms": 400.0, "taper_ms": 50.0}
    out = run_processor(VibroseisCorrelate, make_gather(np.ones((3, 900)), live=live), parameters)
    first, end = out.live_window
    assert first.tolist()[:2] == [0, 100] and end.tolist()[:2] == [800, 500] and first[2] == end[2]


WHITE = {"low_hz": 10.0, "high_hz": 90.0, "bands": 12, "noise_percent": 0.01}


def test_whitening_flattens_the_band_and_keeps_the_rms(rng):
    coloured = signal.lfilter([1], [1, -1.7, 0.8], rng.standard_normal((6, 3000)), axis=1)
    for window in ({}, {"window_ms": 1000.0}):
        out = run_processor(Whiten, make_gather(coloured), WHITE | window)
        frequency, before = signal.welch(coloured, 250, nperseg=256, axis=1)
        after = signal.welch(out.traces, 250, nperseg=256, axis=1)[1].mean(axis=0)
        band = (frequency > 12) & (frequency < 88)
        spread = [power[band].max() / power[band].min() for power in (before.mean(axis=0), after)]
        assert spread[0] > 50 and spread[1] < 3
        assert after[frequency > 105].max() < 1e-3 * after[band].mean()
        assert np.allclose(np.std(out.traces, axis=1), np.sqrt(np.mean(coloured**2, axis=1)), rtol=0.02)


def test_whitening_measures_live_samples_only_and_its_bands_add_up_to_one(rng):
    step = build(Whiten, "whiten", {"low_hz": 10.0, "high_hz": 60.0, "bands": 5})
    frequency = np.linspace(0, 125, 500)
    total = step.gains(frequency).sum(axis=0)
    assert np.allclose(total[(frequency >= 10) & (frequency <= 60)], 1) and total[frequency > 72.5].max() < 1e-30
    traces = np.zeros((2, 1000))
    traces[:, 400:600] = rng.standard_normal(200)
    live = (np.array([0, 400]), np.array([1000, 600]))
    out = run_processor(Whiten, make_gather(traces, live=live), {"low_hz": 10.0, "high_hz": 60.0}).traces
    assert np.isclose(np.sum(out[1] ** 2), np.sum(traces[1] ** 2)) and not out[1, :400].any()


def test_taper_of_seismic_unix(golden):
    gather, expected = golden("misc/taper")
    # sutaper also tapers over traces, 5 and 8 at the ends, and its taper at the end of traces lies one sample late.
    out = run_processor(Taper, gather, {"start_ms": 104.0, "shape": "sine"}).traces
    inside = (slice(5, 56), slice(0, 440))
    assert np.abs(out - expected)[inside].max() < 5e-6 * np.abs(expected).max()


def test_tapers_lie_inside_the_live_window():
    gather = make_gather(np.ones((2, 20)), live=(np.array([0, 5]), np.array([20, 15])))
    out = run_processor(Taper, gather, {"start_ms": 16.0, "end_ms": 8.0, "shape": "linear"}).traces
    assert np.allclose(out[0], [0, 0.25, 0.5, 0.75, *[1] * 14, 0.5, 0])
    assert np.allclose(out[1], [*[0] * 5, 0, 0.25, 0.5, 0.75, 1, 1, 1, 1, 0.5, 0, *[0] * 5])
    cosine = run_processor(Taper, gather, {"start_ms": 16.0}).traces
    assert np.allclose(cosine[0, :5], np.sin(np.pi / 8 * np.arange(5)) ** 2)


def bad_traces():
    """Nine good traces and one of each kind of bad one."""
    times = np.arange(500) * 0.004
    wave = np.stack([np.sin(2 * np.pi * 20 * (times + 0.003 * k)) for k in range(14)])
    wave += 0.1 * np.random.default_rng(12).standard_normal(wave.shape)
    wave[9, 100] = 100
    wave[10] *= 8
    wave[11] *= 0.05
    wave[12] = np.sin(2 * np.pi * 1.5 * times)
    wave[13] = np.sin(2 * np.pi * 110 * times)
    return make_gather(wave, channel=np.arange(14))


RULES = {"spike_ratio": 10.0, "loud_ratio": 5.0, "weak_ratio": 0.2, "low_hz": 5.0, "high_hz": 60.0}


def test_rules_find_what_they_name():
    out = run_processor(EditRules, bad_traces(), RULES)
    found = out.headers["edit_rule"]
    assert not found[:9].any() and found[10:].tolist() == [2, 4, 8, 16] and found[9] & 1
    assert np.array_equal(out.traces, bad_traces().traces) or out.traces.shape == (14, 500)
    dropped = run_processor(Select, out, {"where": {"edit_rule": [0, 0]}})
    assert dropped.headers["channel"].tolist() == list(range(9))
    only_spikes = run_processor(EditRules, bad_traces(), {"spike_ratio": 10.0}).headers["edit_rule"]
    assert only_spikes.tolist() == [0] * 9 + [1] + [0] * 4


def test_killing_by_rule_flags_silences_and_keeps_rows_and_reasons():
    gather = bad_traces()
    gather = gather.with_headers(gather.headers.with_columns(dead=np.array([2] + [0] * 13, np.uint8)))
    out = run_processor(EditRules, gather, RULES | {"action": "kill"})
    assert out.headers.column("dead").tolist() == [2] + [0] * 8 + [4] * 5
    assert not out.traces[9:].any() and not out.traces[0].any() and np.array_equal(out.traces[1:9], gather.traces[1:9])
    assert np.subtract(*out.live_window[::-1]).tolist() == [0] + [500] * 8 + [0] * 5
    flagged = run_processor(EditRules, gather, RULES)
    assert np.array_equal(flagged.traces, gather.traces) and flagged.headers.column("dead").tolist() == [2] + [0] * 13


def test_levels_are_those_of_the_gather_and_its_live_samples(rng):
    traces = rng.standard_normal((8, 400))
    traces[4:] *= 1000
    traces[0, :200] = 1e6
    live = (np.array([200] + [0] * 7), np.full(8, 400))
    gather = make_gather(traces, gather_starts=[0, 4, 4, 8], live=live)
    rules = {"loud_ratio": 3.0, "weak_ratio": 0.3, "spike_ratio": 50.0}
    assert not run_processor(EditRules, gather, rules).headers["edit_rule"].any()
    one = attrs.evolve(gather, gather_starts=np.array([0, 8]))
    assert run_processor(EditRules, one, rules).headers["edit_rule"].tolist() == [4] * 4 + [0] * 4


@given(scale=st.integers(-12, 12))
def test_rules_do_not_depend_on_scale(scale):
    gather = bad_traces()
    plain = run_processor(EditRules, gather, RULES).headers["edit_rule"]
    scaled = run_processor(EditRules, gather.with_traces(gather.traces * np.float32(10.0**scale)), RULES)
    assert np.array_equal(scaled.headers["edit_rule"], plain)


@pytest.mark.parametrize(
    ("cls", "parameters", "problem"),
    [
        (InverseQ, {}, "only one of them"),
        (InverseQ, {"q": 50.0, "table": {"time_ms": [0], "q": [1]}}, "only one of them"),
        (InverseQ, {"table": {"time_ms": [5, 5], "q": [1, 1]}}, "increasing time_ms"),
        (InverseQ, {"table": {"time_ms": [5, 6], "q": [1, 0]}}, "Q above 0"),
        (InverseQ, {"q": 50.0, "reference_hz": 125.0}, "Nyquist frequency of 125"),
        (VibroseisCorrelate, {}, "must be given, or a pilot"),
        (VibroseisCorrelate, {"start_hz": 5.0, "end_hz": 200.0, "sweep_ms": 100.0}, "Nyquist"),
        (VibroseisCorrelate, {"start_hz": 5.0, "end_hz": 50.0, "sweep_ms": 300.0}, "half the sweep"),
        (VibroseisCorrelate, {"start_hz": 5.0, "end_hz": 50.0, "sweep_ms": 1e4}, "shorter than the record"),
        (VibroseisCorrelate, {"start_hz": 5.0, "end_hz": 50.0, "sweep_ms": 600.0, "listen_ms": 9e3}, "inside the"),
        (VibroseisCorrelate, {"start_hz": 5.0, "pilot": {"time_ms": [0], "amplitude": [1]}}, "together"),
        (Whiten, {"low_hz": 50.0, "high_hz": 20.0}, "below high_hz"),
        (Whiten, {"low_hz": 5.0, "high_hz": 200.0}, "Nyquist"),
        (Whiten, {"low_hz": 5.0, "high_hz": 20.0, "window_ms": 4.0}, "two samples"),
        (EditRules, {}, "another rule"),
        (EditRules, {"low_hz": 130.0}, "Nyquist"),
        (EditRules, {"low_hz": 30.0, "high_hz": 20.0}, "below high_hz"),
        (EditRules, {"spike_ratio": 0.5}, "above 1"),
    ],
)  # fmt: skip
def test_bad_parameters_are_refused(cls, parameters, problem):
    with pytest.raises(ParameterError, match=problem):
        run_processor(cls, make_gather(np.ones((2, 250))), parameters)


def test_traces_too_long_for_inverse_q_are_refused_before_memory_is_taken():
    gather = make_gather(np.ones((1, 20_000)), interval_ms=1)
    with pytest.raises(ParameterError, match="at most 11585 samples"):
        run_processor(InverseQ, gather, {"q": 50.0})
