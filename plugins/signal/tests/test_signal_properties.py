"""What must hold for any data: absolute time, live windows, batches, dead traces, planned output."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core.data.gather import Gather
from seisproc_core.data.sampling import Sampling
from seisproc_core.errors import HeaderError, ParameterError
from seisproc_core.processing.processor import Processor
from seisproc_core.specs import resolve
from seisproc_core.testing import make_gather, run_processor
from seisproc_signal.plugin import seisproc_kernels, seisproc_processors

KERNELS = seisproc_kernels()
PROCESSORS: dict[str, type[Processor]] = {cls.id: cls for cls in map(resolve, seisproc_processors())}
VELOCITY = {"time_ms": [0, 200, 1000], "rms_m_per_s": [1500, 1800, 2600]}
WAVELET = {"time_ms": [-2, 0, 2, 4, 6, 8], "amplitude": [0.2, 1, -0.7, 0.3, -0.1, 0.05]}
RICKER = {"time_ms": [-6, -4, -2, 0, 2, 4, 6], "amplitude": [-0.1, -0.4, 0.3, 1, 0.3, -0.4, -0.1]}
CASES = {
    "agc": ("agc", {"window_ms": 100}),
    "agc_gaussian": ("agc", {"window_ms": 100, "kind": "gaussian"}),
    "agc_su": ("agc", {"window_ms": 100, "mode": "su"}),
    "gain": ("gain", {"bias": 0.5, "t_power": 1.5, "exponential_per_s": 0.5, "power": 0.8, "clip_quantile": 0.9}),
    "gain_clip": ("gain", {"trap": 3, "clip": 1.5, "scale": -2.0}),
    "balance": ("trace_balance", {}),
    "balance_max": ("trace_balance", {"kind": "max"}),
    "balance_mean": ("trace_balance", {"kind": "mean"}),
    "balance_quantile": ("trace_balance", {"kind": "quantile", "quantile": 0.9}),
    "spreading": ("spreading", {"velocity": VELOCITY}),
    "spreading_t": ("spreading", {}),
    "bandpass": ("bandpass", {"low_hz": 10, "high_hz": 60}),
    "trapezoid": ("trapezoid", {"corners_hz": [5, 15, 50, 80]}),
    "notch": ("notch", {"frequencies_hz": [50, 100]}),
    "mute": ("mute", {"table": {"offset_m": [0, 300], "time_ms": [20, 130]}, "taper_ms": 20}),
    "mute_line": ("mute", {"velocity_m_per_s": 2000, "time_ms": 10, "where": "bottom"}),
    "surgical": ("surgical_mute", {"velocity_m_per_s": 1500, "width": {"offset_m": [0], "width_ms": [40]}}),
    "kill": ("kill", {"where": {"offset": [90, 210]}}),
    "kill_table": ("kill", {"table": {"cdp": [0, 5], "channel": [-1, 1]}}),
    "reverse": ("reverse", {"where": {"offset": [-300, 0]}}),
    "select": ("select", {"where": {"offset": [0, 150]}, "absolute": True}),
    "combine": ("combine", {}),
    "combine_sum": ("combine", {"method": "sum", "weight": "channel"}),
    "decon": ("decon", {"operator_ms": 20, "design_start_ms": 10, "velocity_m_per_s": 5000}),
    "decon_gap": ("decon", {"operator_ms": 20, "gap_ms": 16}),
    "decon_operator": ("decon", {"operator_ms": 20, "output": "operator"}),
    "decon_gather": ("decon_ensemble", {"operator_ms": 20}),
    "decon_mix": ("decon_ensemble", {"operator_ms": 20, "mix": [1.0, 2.0, 1.0]}),
    "resample": ("resample", {"interval_ms": 4}),
    "resample_su": ("resample", {"interval_ms": 1.5, "mode": "su"}),
    "cut": ("resample", {"start_ms": 20, "count": 60}),
    "shift": ("shift", {"shift_ms": 9.1}),
    "shift_whole": ("shift", {"shift_ms": 12}),
    "phase_rotate": ("phase_rotate", {"angle_deg": 90}),
    "phase_convert": ("phase_convert", {"to": "zero", "wavelet_ms": 20}),
    "phase_wavelet": ("phase_convert", {"to": "minimum", "wavelet": WAVELET}),
    "shape": ("shape", {"wavelet": WAVELET, "desired": RICKER, "operator_ms": 40, "operator_start_ms": -20}),
    "match": ("match", {"desired": RICKER, "time_ms": 110, "design_start_ms": 90, "design_end_ms": 140,
                        "velocity_m_per_s": 6000, "operator_ms": 30, "operator_start_ms": -10}),
    "designature": ("designature", {"signature": WAVELET}),
    "designature_minimum": ("designature", {"signature": WAVELET, "phase": "minimum"}),
    "whiten": ("whiten", {"low_hz": 10, "high_hz": 120}),
    "whiten_window": ("whiten", {"low_hz": 10, "high_hz": 120, "window_ms": 60}),
    "inverse_q": ("inverse_q", {"q": 60, "kind": "both"}),
    "inverse_q_table": ("inverse_q", {"table": {"time_ms": [60, 200], "q": [40, 90]}}),
    "vibroseis": ("vibroseis_correlate", {"start_hz": 20, "end_hz": 90, "sweep_ms": 60, "taper_ms": 10}),
    "taper": ("taper", {"start_ms": 20, "end_ms": 30}),
    "edit_rules": ("edit_rules", {"spike_ratio": 8, "loud_ratio": 1.2, "weak_ratio": 0.8, "action": "kill"}),
}  # fmt: skip
NEEDS_LENGTH = (
    "decon",
    "decon_gap",
    "decon_operator",
    "decon_gather",
    "decon_mix",
    "phase_convert",
    "shape",
    "match",
    "cut",
    "vibroseis",
)  # parameters longer than the shortest traces are refused
NEW_AXIS = ("resample", "resample_su", "cut", "vibroseis")
CUT_BY_LENGTH = (
    "bandpass",
    "trapezoid",
    "notch",
    "designature",
    "designature_minimum",
    "phase_wavelet",
    "inverse_q",
    "inverse_q_table",
    "whiten",
    "whiten_window",
)
TRACE_CASES = [name for name, (id_, _) in CASES.items() if PROCESSORS[id_].scope == "trace"]
N = 101


def run(case: str, gather: Gather, backend: str = "reference") -> Gather:
    id_, parameters = CASES[case]
    return run_processor(PROCESSORS[id_], gather, parameters, kernels=KERNELS, backend=backend)


def some_gather(seed: int = 0, start_ms: float = 0.0, n: int = N, traces: int = 12) -> Gather:
    rng = np.random.default_rng(seed)
    first, end = np.sort(rng.integers(0, n + 1, (2, traces)), axis=0)
    first[:4], end[:4] = [0, 0, n // 2, 0], [n, 0, n // 2 + 1, n]
    samples = rng.standard_normal((traces, n))
    sample = np.arange(n)
    samples[(sample < first[:, None]) | (sample >= end[:, None])] = 0
    return make_gather(
        samples, interval_ms=2, start_ms=start_ms, live=(first, end), gather_starts=[0, 4, 4, traces],
        offset=np.linspace(-330, 330, traces).astype(int), channel=np.arange(traces) % 3 - 1, cdp=np.arange(traces),
    )  # fmt: skip


def outside(gather: Gather) -> np.ndarray:
    first, end = gather.live_window
    sample = np.arange(gather.n_samples)
    return (sample < first[:, None]) | (sample >= end[:, None])


# Tested in modules of their own: they change the axis, the rows, or need another survey, the whole of this one or its
# geometry.
ELSEWHERE = {
    "attributes", "autocorrelation", "difference", "pad", "remove_gain", "spectrum", "taper_traces",
    "apply_statics", "elevation_statics", "final_datum", "first_breaks", "refraction_statics", "residual_statics",
    "surface_consistent_amplitude", "surface_consistent_decon", "trim_statics",
}  # fmt: skip


def test_every_processor_has_a_case_and_says_what_it_is():
    assert {id_ for id_, _ in CASES.values()} == set(PROCESSORS) - ELSEWHERE
    assert all(len(cls.__doc__ or "") > 200 for cls in PROCESSORS.values())


@pytest.mark.parametrize("case", CASES)
def test_input_is_read_only_and_output_silent_outside_live_windows(case):
    gather = some_gather()
    gather.traces.flags.writeable = False
    out = run(case, gather)
    assert np.isfinite(out.traces).all() and np.any(out.traces)
    if case != "reverse":
        assert not out.traces[outside(out)].any()
    planned = resolve_plan(case, gather)
    assert set(planned.headers) == set(out.headers)


def resolve_plan(case, gather):
    from seisproc_core.processing.params import build

    id_, parameters = CASES[case]
    return build(PROCESSORS[id_], id_, parameters).plan(gather.layout)


@pytest.mark.parametrize("case", CASES)
def test_zeros_and_dead_traces_stay_zero(case):
    gather = some_gather()
    dead = make_gather(
        np.ones((3, N)), interval_ms=2, live=(np.zeros(3), np.zeros(3)), offset=[0, 100, 150], channel=1, cdp=1
    )
    headers = dead.headers.with_live_window(np.zeros(3), np.full(3, N)).with_columns(dead=np.ones(3, np.uint8))
    if case not in ("reverse", "select"):  # these pass samples on as they are
        assert not run(case, dead).traces.any()
        assert not run(case, dead.with_headers(headers)).traces.any()
    if case not in ("gain", "decon_operator"):  # a bias lifts live zeros, an operator begins with 1
        assert not run(case, gather.with_traces(np.zeros_like(gather.traces))).traces.any()


LIVE_ONLY = (
    "agc", "agc_gaussian", "agc_su", "gain", "gain_clip", "balance", "balance_max", "balance_mean",
    "balance_quantile", "spreading", "mute", "surgical", "kill", "kill_table", "combine", "combine_sum", "decon",
    "decon_gap", "decon_operator", "decon_gather", "decon_mix", "resample", "resample_su", "cut", "shift",
    "shift_whole", "match", "inverse_q", "taper", "edit_rules",
)  # fmt: skip


@pytest.mark.parametrize("backend", ["reference", "numba"])
@pytest.mark.parametrize("case", LIVE_ONLY)
@pytest.mark.parametrize("garbage", [1e9, np.nan])
def test_samples_outside_live_windows_have_no_influence(case, garbage, backend):
    gather = some_gather()
    spoilt = gather.traces.copy()
    spoilt[outside(gather)] = garbage
    with np.errstate(all="ignore"):
        assert np.array_equal(run(case, gather.with_traces(spoilt), backend).traces, run(case, gather, backend).traces)


@pytest.mark.parametrize("case", TRACE_CASES)
@given(cut=st.integers(1, 11), seed=st.integers(0, 5))
@settings(max_examples=8, deadline=None)
def test_batches_may_be_cut_anywhere(case, cut, seed):
    gather = some_gather(seed)
    whole = run(case, gather).traces
    parts = [run(case, gather.rows(0, cut)).traces, run(case, gather.rows(cut, 12)).traces]
    assert np.array_equal(whole, np.concatenate(parts))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("start_ms", [-100.0, 100.0])
def test_results_do_not_depend_on_the_recording_delay(case, start_ms):
    """The same absolute times recorded with an earlier or later start give the same samples."""
    if case in CUT_BY_LENGTH:
        pytest.skip("a filter of a longer record sees more of it")
    if case in (*NEW_AXIS, "decon_operator"):
        pytest.skip("has a sample axis of its own: tested with that")
    late = some_gather(start_ms=max(start_ms, 0))
    pad = 50
    first, end = late.live_window
    early = attrs.evolve(
        late,
        traces=np.concatenate((np.zeros((12, pad), np.float32), late.traces), axis=1),
        headers=late.headers.with_live_window(first + pad, np.where(end > first, end + pad, first + pad)),
        sampling=Sampling(late.sampling.start_s - 0.1, 0.002, N + pad),
    )
    shifted, plain = run(case, early), run(case, late)
    assert np.allclose(shifted.traces[:, pad:], plain.traces, rtol=2e-6, atol=1e-6 * np.abs(plain.traces).max())
    live = [np.maximum(b - a, 0) for a, b in (shifted.live_window, plain.live_window)]
    assert np.array_equal(*live) or case in ("mute", "mute_line")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("n", [1, 2, 3, 97])
def test_short_and_odd_traces(case, n):
    try:
        out = run(case, some_gather(n=n, start_ms=4.0))
    except ParameterError:
        assert (case in NEEDS_LENGTH and n < 97) or case == "cut"
        return
    assert np.isfinite(out.traces).all()


@pytest.mark.parametrize("backend", ["reference", "numba"])
@pytest.mark.parametrize("kind", ["rms", "gaussian"])
@given(exponent=st.integers(-25, 25), seed=st.integers(0, 100), window=st.floats(4, 2000))
@settings(max_examples=25, deadline=None)
def test_agc_does_not_depend_on_scale(kind, backend, exponent, seed, window):
    gather = some_gather(seed)
    parameters = {"window_ms": window, "kind": kind}
    plain = run_processor(PROCESSORS["agc"], gather, parameters, kernels=KERNELS, backend=backend).traces
    scaled = gather.with_traces(gather.traces * np.float32(10.0**exponent))
    found = run_processor(PROCESSORS["agc"], scaled, parameters, kernels=KERNELS, backend=backend).traces
    assert np.allclose(found, plain, rtol=1e-5)


@pytest.mark.parametrize("backend", ["reference", "numba"])
@pytest.mark.parametrize("parameters", [{}, {"mode": "su"}, {"kind": "gaussian"}, {"kind": "gaussian", "mode": "su"}])
def test_gain_factors_tell_what_agc_did_and_undo_it(parameters, backend):
    gather = some_gather(3)
    given = {"window_ms": 60} | parameters
    saved: dict[str, np.ndarray] = {}
    balanced = run_processor(PROCESSORS["agc"], gather, given, kernels=KERNELS, backend=backend, saved=saved).traces
    factors = saved["gain"]
    assert np.allclose(gather.traces * factors, balanced, rtol=1e-5, atol=1e-30)
    undone = np.divide(balanced, factors, out=np.zeros_like(balanced), where=factors > 0)
    assert np.allclose(undone, gather.traces, rtol=1e-5, atol=1e-6) and not factors[outside(gather)].any()


def test_one_live_sample_becomes_one_and_a_constant_stays_level():
    gather = make_gather([[0, 0, -3, 0], [2, 2, 2, 2]], live=([2, 0], [3, 4]))
    out = run_processor(PROCESSORS["agc"], gather, {"window_ms": 8}, kernels=KERNELS).traces
    assert np.allclose(out, [[0, 0, -1, 0], [1, 1, 1, 1]])


@pytest.mark.parametrize(
    ("id_", "parameters", "problem"),
    [
        ("agc", {"window_ms": 1}, "two samples"),
        ("agc", {"window_ms": -5}, "above 0"),
        ("bandpass", {}, "must be given"),
        ("bandpass", {"high_hz": 250}, "Nyquist frequency of 250"),
        ("bandpass", {"low_hz": 300}, "Nyquist"),
        ("bandpass", {"low_hz": 60, "high_hz": 20}, "below high_hz"),
        ("trapezoid", {"corners_hz": [5, 10, 9, 20]}, "increasing"),
        ("trapezoid", {"corners_hz": [5, 10]}, "2 numbers"),
        ("trapezoid", {"corners_hz": [5, 10, 200, 251]}, "Nyquist"),
        ("trapezoid", {"corners_hz": [5, 10, 20, 40], "su_length": 10}, "at least the 101 samples"),
        ("notch", {"frequencies_hz": []}, "at least one"),
        ("notch", {"frequencies_hz": [50, 250]}, "Nyquist"),
        ("mute", {}, "must be given"),
        ("mute", {"velocity_m_per_s": 0}, "above 0"),
        ("mute", {"table": {"offset_m": [5, 1], "time_ms": [1, 2]}}, "increasing offset_m"),
        ("spreading", {"velocity": {"time_ms": [0, 1], "rms_m_per_s": [1500, -1]}}, "above 0"),
        ("spreading", {"velocity": {"cdp": [1, 1], "time_ms": [5, 5], "rms_m_per_s": [1, 2]}}, "at cdp 1"),
        ("surgical_mute", {"velocity_m_per_s": 1, "width": {"offset_m": [0], "width_ms": [-1]}}, "at least 0"),
        ("kill", {"where": {}}, "at least one"),
        ("kill", {"where": {"offset": [5, 1]}}, "lowest, highest"),
        ("select", {"where": {"offset": [5]}}, "lowest, highest"),
    ],
)  # fmt: skip
def test_bad_parameters_are_refused_before_any_work(id_, parameters, problem):
    with pytest.raises(ParameterError, match=problem) as caught:
        run_processor(PROCESSORS[id_], some_gather(), parameters, kernels=KERNELS)
    assert str(caught.value).startswith(f"{id_}: parameter '")


@pytest.mark.parametrize(
    ("id_", "parameters"),
    [
        ("select", {"where": {"ofset": [0, 1]}}),
        ("kill", {"where": {"inline": [0, 1]}}),
        ("combine", {"weight": "polarity"}),
    ],
)
def test_missing_header_words_are_named(id_, parameters):
    with pytest.raises(HeaderError, match="is not in this survey"):
        run_processor(PROCESSORS[id_], some_gather(), parameters)


@pytest.mark.parametrize("case", CASES)
def test_no_traces_at_all(case):
    empty = some_gather().rows(0, 0)
    found = run(case, empty)
    assert found.traces.shape == (0, found.sampling.count) and (case in NEW_AXIS or found.n_samples == N)
