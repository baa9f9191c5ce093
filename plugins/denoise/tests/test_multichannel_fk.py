"""Dip filters: Seismic Unix, plane waves, flat events, edges, adjoint."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core.errors import HeaderError, ParameterError
from seisproc_core.testing import make_gather, run_processor
from seisproc_denoise.multichannel.fk import FkFilter, panel_operator, su_length
from seisproc_denoise.multichannel.windows import Line

GOLDEN = {
    "dip_pass": {"dips_ms_per_m": [-0.6, -0.4, 0.4, 0.6], "amplitudes": [0.0, 1.0, 1.0, 0.0]},
    "dip_reject": {"dips_ms_per_m": [0.1, 0.15, 0.3, 0.4], "amplitudes": [1.0, 0.0, 0.0, 1.0]},
    "dip_bias": {
        "dips_ms_per_m": [-0.9, -0.7, 0.1, 0.3],
        "amplitudes": [0.0, 1.0, 1.0, 0.0],
        "moveout_ms_per_m": -0.3,
    },
    # One sample per trace is 4 ms per 10 m.
    "dip_samples_units": {"dips_ms_per_m": [-0.4, -0.2, 0.2, 0.4], "amplitudes": [0.0, 1.0, 1.0, 0.0]},
}
PASS = {"kind": "pass", "min_m_per_s": 2000.0}
REJECT = {"kind": "reject", "min_m_per_s": 400.0, "max_m_per_s": 1250.0}
X = 10 * np.arange(200)
INSIDE = slice(50, -50)


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


@pytest.mark.parametrize("case", GOLDEN)
def test_seismic_unix(shared, case):
    traces = np.load(shared / "golden" / "inputs" / "planes.npy")
    expected = np.load(shared / "golden" / "fk" / f"{case}.npy")
    tolerance = json.loads((shared / "golden" / "fk" / f"{case}.json").read_text())["tol_rel_max"]
    parameters = GOLDEN[case] | {"spacing_m": 10.0, "padding": "su"}
    found = run_processor(FkFilter, make_gather(traces), parameters).traces
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()
    # The default differs by padding and edges alone: hardly in the middle of the panel, away from the ends of traces.
    default = run_processor(FkFilter, make_gather(traces), GOLDEN[case] | {"spacing_m": 10.0}).traces
    assert rms((default - expected)[20:44, 100:-100]) < 0.1 * rms(expected[20:44, 100:-100])


def test_su_lengths():
    assert [su_length(n, (1, 2, 4, 8, 16)) for n in (53, 64)] == [55, 65]
    assert su_length(512, (2, 4, 8, 16, 32)) == 520


@pytest.mark.parametrize(("parameters", "slope"), [(PASS, 0.9e-3), (PASS, 1.2e-3), (REJECT, 0.9e-3), (REJECT, 1.2e-3)])
def test_rejected_plane_wave_is_down_40_db(plane, parameters, slope):
    wave = plane(X, slope, 1.0)
    found = run_processor(FkFilter, make_gather(wave, offset=X), parameters).traces
    assert rms(found[INSIDE]) < 0.01 * rms(wave[INSIDE])


@pytest.mark.parametrize(
    ("parameters", "slope"), [(PASS, 0.2e-3), (PASS, -0.4e-3), (REJECT, 0.2e-3), (REJECT, -0.4e-3)]
)
def test_passed_plane_wave_stays_within_1_percent(plane, parameters, slope):
    wave = plane(X, slope, 1.0)
    found = run_processor(FkFilter, make_gather(wave, offset=X), parameters).traces
    assert rms((found - wave)[INSIDE]) < 0.01 * rms(wave[INSIDE])


@pytest.mark.parametrize("parameters", [PASS, REJECT, PASS | {"panel_traces": 16}, REJECT | {"agc_ms": 200.0}])
@pytest.mark.parametrize("n_traces", [1, 2, 7, 40])
def test_flat_events_pass_untouched(plane, parameters, n_traces):
    x = 25 * np.arange(n_traces)
    dead = np.isin(np.arange(n_traces), [3, 4])
    wave = plane(x, 0.0, 0.5, count=251) + plane(x, 0.0, 0.9, count=251)
    wave[dead] = 0
    found = run_processor(FkFilter, make_gather(wave, offset=x, dead=dead), parameters).traces
    assert np.abs(found - wave).max() < 1e-5


def test_gaps_in_the_header_word_are_gaps(plane):
    x = 25 * np.delete(np.arange(60), [10, 11, 30])
    wave = plane(x, 0.0, 0.5, count=250)
    found = run_processor(FkFilter, make_gather(wave, offset=x), PASS).traces
    assert np.abs(found - wave).max() < 1e-5
    # A dip read from a line closed up over its gaps would be bent; here it is rejected all the same.
    x = 10 * np.delete(np.arange(200), [60, 61, 62, 130, 131])
    wave = plane(x, 0.9e-3, 1.0)
    found = run_processor(FkFilter, make_gather(wave, offset=x), REJECT).traces
    assert rms(found[75:120]) < 0.1 * rms(wave[75:120])


def test_sign_of_slopes_follows_the_header_word(plane):
    later = plane(X, 0.9e-3, 1.0)
    one_side = REJECT | {"side": "positive"}
    up = run_processor(FkFilter, make_gather(later, offset=X), one_side).traces
    assert rms(up[INSIDE]) < 0.01 * rms(later[INSIDE])
    # The same traces in reverse order, with their positions: the same event (but for the wavenumber at Nyquist, which
    # has two signs).
    down = run_processor(FkFilter, make_gather(later[::-1], offset=X[::-1]), one_side).traces
    assert np.allclose(down[::-1], up, atol=2e-3)
    # Numbered the other way round the event has the other sign, and stays.
    other = run_processor(FkFilter, make_gather(later[::-1], offset=X), one_side).traces
    assert rms((other - later[::-1])[INSIDE]) < 0.01 * rms(later[INSIDE])


def test_moveout_saves_an_aliased_event(plane):
    x = 25 * np.arange(100)
    wave = plane(x, 1.2e-3, 1.6, count=800, hz=30.0)  # aliased above 17 Hz
    fan = {"kind": "pass", "dips_ms_per_m": [0.9, 1.5]}
    plain = run_processor(FkFilter, make_gather(wave, offset=x), fan).traces
    saved = run_processor(FkFilter, make_gather(wave, offset=x), fan | {"moveout_ms_per_m": 1.2}).traces
    assert rms(plain - wave) > 0.5 * rms(wave)
    assert rms(saved - wave) < 1e-4 * rms(wave)


def test_agc_is_undone(plane):
    x = 10 * np.arange(120)
    strong, weak = 1000 * plane(x, 0.0, 0.3), plane(x, 0.0, 1.4)
    noise = plane(x, 1.2e-3, 1.4)
    found = run_processor(FkFilter, make_gather(strong + weak + noise, offset=x), REJECT | {"agc_ms": 300.0}).traces
    assert rms((found - strong - weak)[40:80, 300:400]) < 0.2 * rms(noise[40:80, 300:400])
    # All is passed: what AGC did is gone to rounding, however large the contrast.
    everything = {"dips_ms_per_m": [-9.0, 9.0], "amplitudes": [1.0, 1.0], "agc_ms": 300.0}
    found = run_processor(FkFilter, make_gather(strong + weak + noise, offset=x), everything).traces
    assert np.abs(found - (strong + weak + noise))[:, 300:].max() < 1e-5
    assert np.abs(found - (strong + weak + noise)).max() < 1e-6 * 1000


@pytest.mark.parametrize("parameters", [PASS, REJECT, PASS | {"padding": "su"}, PASS | {"moveout_ms_per_m": 0.2}])
def test_adjoint(parameters):
    rng = np.random.default_rng(7)
    made = FkFilter(**parameters)
    alive = np.arange(30) != 4
    index = np.delete(np.arange(32), [7, 20])
    operator = panel_operator(made, Line(12.5, index), alive, 201, 0.002)
    x, y = rng.standard_normal((2, 30, 201))
    left, right = np.vdot(operator.apply(x), y), np.vdot(x, operator.adjoint(y))
    # The operator itself is single precision.
    assert abs(left - right) < 1e-6 * np.linalg.norm(x) * np.linalg.norm(y)


@settings(max_examples=25)
@given(
    n_traces=st.integers(1, 40),
    n_samples=st.integers(1, 90),
    start_ms=st.sampled_from([-100.0, 0.0, 100.0]),
    panel=st.sampled_from([None, 8, 11]),
    seed=st.integers(0, 99),
)
def test_any_shape_is_linear_and_blind_to_start_and_to_muted_samples(n_traces, n_samples, start_ms, panel, seed):
    rng = np.random.default_rng(seed)
    parameters = PASS | {"spacing_m": 12.5, "panel_traces": panel}
    first = rng.integers(0, n_samples + 1, n_traces)
    end = np.minimum(first + rng.integers(0, n_samples + 1, n_traces), n_samples)
    one, two = rng.standard_normal((2, n_traces, n_samples))

    def run(traces, start_ms=0.0):
        return run_processor(
            FkFilter, make_gather(traces, live=(first, end), start_ms=start_ms), parameters
        ).traces.copy()

    both = run(one + 2 * two)
    assert np.allclose(both, run(one) + 2 * run(two), atol=1e-4)
    assert np.array_equal(both, run(one + 2 * two, start_ms))
    outside = (np.arange(n_samples) < first[:, None]) | (np.arange(n_samples) >= end[:, None])
    assert not both[outside].any()
    assert np.array_equal(both, run(np.where(outside, 1e9, one + 2 * two)))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "min_m_per_s"),
        ({"min_m_per_s": 900.0, "max_m_per_s": 800.0}, "must be below max_m_per_s"),
        ({"min_m_per_s": 900.0, "dips_ms_per_m": [0.0, 1.0]}, "cannot be combined"),
        ({"dips_ms_per_m": [0.0, 1.0, 2.0]}, "two edges"),
        ({"dips_ms_per_m": [1.0, 0.0]}, "must increase"),
        ({"dips_ms_per_m": [0.0, 1.0], "amplitudes": [1.0]}, "must be as many"),
        ({"min_m_per_s": 900.0, "amplitudes": [0.0, 1.0]}, "dips_ms_per_m, which must be given"),
        ({"min_m_per_s": 900.0, "agc_ms": 4.0}, "two samples"),
    ],
)
def test_refuses(parameters, message):
    with pytest.raises(ParameterError, match=message):
        run_processor(FkFilter, make_gather(np.zeros((3, 50)), offset=[0, 10, 20]), parameters)


@pytest.mark.parametrize("offset", [[0, 10, 10], [0, 10, 5], [0, 10, 24]])
def test_refuses_irregular_positions(offset):
    with pytest.raises(ParameterError, match="gather 1.*spacing_m"):
        traces, starts = np.zeros((5, 50)), [0, 2, 5]
        run_processor(FkFilter, make_gather(traces, gather_starts=starts, offset=[0, 10, *offset]), PASS)
    with pytest.raises(HeaderError, match="offset"):
        run_processor(FkFilter, make_gather(np.zeros((3, 50))), PASS)
