"""Radon transforms: adjoint, inverse, modelled multiples, slopes in tau-p."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core.errors import Cancelled, HeaderError, ParameterError
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import build
from seisproc_core.testing import make_gather, run_processor
from seisproc_denoise.multichannel.radon import Radon, moveout, project
from seisproc_denoise.multichannel.radon_filters import RadonDemultiple, TauPFilter

X = 100 + 50 * np.arange(50)
FARTHEST = float(X[-1])
SHAPES = {"parabolic": {}, "hyperbolic": {"reference_depth_m": 1500.0}}


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


@pytest.fixture
def gathers(ricker):
    """Flat primaries, and multiples with moveout, for a family of curves."""

    def model(curve: str) -> tuple[np.ndarray, np.ndarray]:
        g = moveout(curve, X, FARTHEST, SHAPES[curve].get("reference_depth_m", 0.0))[:, None]
        t = np.arange(800) * 0.004
        primaries = sum(a * ricker(t - t0 + 0 * g, 30.0) for t0, a in ((0.5, 1.0), (1.1, -0.8), (1.9, 0.9)))
        events = ((0.8, 0.25, 1.0), (1.5, 0.3, 0.9), (2.2, 0.22, 1.0))
        return primaries, sum(a * ricker(t - t0 - q * g, 30.0) for t0, q, a in events)

    return model


@pytest.mark.parametrize("sparse", [0, 2])
@pytest.mark.parametrize("curve", SHAPES)
def test_modelled_multiples_go_and_primaries_stay(gathers, curve, sparse):
    primaries, multiples = gathers(curve)
    parameters = SHAPES[curve] | {
        "curve": curve, "cut_ms": 120.0, "min_ms": -100.0, "max_ms": 400.0, "reference_offset_m": FARTHEST,
        "high_hz": 90.0, "damping_percent": 0.1, "sparse_iterations": sparse,
    }  # fmt: skip

    def run(traces, **more):
        return run_processor(RadonDemultiple, make_gather(traces, offset=X), parameters | more).traces

    assert rms(run(primaries) - primaries) < 0.05 * rms(primaries)
    assert rms(run(multiples)) < 0.1 * rms(multiples)  # 20 dB
    both = run(primaries + multiples)
    assert rms(both - primaries) < 0.1 * rms(multiples)
    modelled = run(primaries + multiples, output="multiples")
    assert np.allclose(both + modelled, primaries + multiples, atol=1e-5)


def test_gathers_of_one_batch_are_independent_of_each_other(gathers):
    traces = sum(gathers("parabolic"))
    parameters = {"cut_ms": 80.0, "reference_offset_m": FARTHEST}
    dead = np.zeros(150, bool)
    dead[[3, 60, 61]] = True
    batch = make_gather(np.tile(traces, (3, 1)), gather_starts=[0, 50, 100, 150], offset=np.tile(X, 3), dead=dead)
    together = run_processor(RadonDemultiple, batch, parameters).traces
    for k, gather in enumerate(batch.split()):
        alone = run_processor(RadonDemultiple, gather, parameters).traces
        assert np.allclose(together[50 * k : 50 * k + 50], alone, atol=1e-5)
    assert not together[dead].any()


@settings(max_examples=20)
@given(
    n_traces=st.integers(1, 12),
    n_curves=st.integers(1, 15),
    n_samples=st.integers(1, 60),
    curve=st.sampled_from(["linear", "parabolic", "hyperbolic"]),
    seed=st.integers(0, 99),
)
def test_adjoint(n_traces, n_curves, n_samples, curve, seed):
    rng = np.random.default_rng(seed)
    g = moveout(curve, np.sort(rng.uniform(-1000, 1000, n_traces)), 1000.0, 500.0)
    scale = 1e-4 if curve == "linear" else 0.1
    radon = Radon(g, scale * np.sort(rng.standard_normal(n_curves)), n_samples, 0.004)
    model, data = rng.standard_normal((n_curves, n_samples)), rng.standard_normal((n_traces, n_samples))
    left, right = np.vdot(radon.forward(model), data), np.vdot(model, radon.adjoint(data))
    assert abs(left - right) < 1e-9 * np.linalg.norm(model) * np.linalg.norm(data) * np.sqrt(n_traces * n_curves)


def test_forward_puts_a_spike_on_its_curve():
    model = np.zeros((3, 200))
    model[1, 50] = 1
    data = Radon(np.array([0.0, 10.0, 40.0]), np.array([-0.004, 0.004, 0.008]), 200, 0.004).forward(model)
    assert np.argmax(data, axis=1).tolist() == [50, 60, 90]
    assert np.allclose(data.max(axis=1), 1)


def test_inverse_explains_the_data_and_project_is_its_forward(gathers):
    data = sum(gathers("parabolic"))
    radon = Radon(moveout("parabolic", X, FARTHEST), np.linspace(-0.1, 0.4, 64), 800, 0.004)
    model = radon.inverse(data, 1e-4)
    assert rms(radon.forward(model) - data) < 0.02 * rms(data)
    share = (radon.curves > 0.1).astype(float)
    kept = project(radon, data[None].astype(np.float32), share, (0.0, 125.0), 1e-4)[0]
    assert np.allclose(kept, radon.forward(share[:, None] * model), atol=1e-3)


@pytest.mark.parametrize("regular", [True, False])
def test_tau_p_separates_slopes_on_irregular_positions_too(plane, regular):
    x = np.arange(0, 1000, 20) if regular else np.sort(np.random.default_rng(5).choice(1000, 50, replace=False))
    flat, steep = plane(x, 0.1e-3, 0.5, hz=12.0), plane(x, 0.8e-3, 1.0, hz=12.0)
    fan = {"low_ms_per_m": 0.5, "high_ms_per_m": 1.1, "min_ms_per_m": -1.2, "max_ms_per_m": 1.2}
    gather = make_gather(flat + steep, offset=x + 100_000)
    rejected = run_processor(TauPFilter, gather, fan).traces
    passed = run_processor(TauPFilter, gather, fan | {"kind": "pass"}).traces
    assert rms((rejected - flat)[8:-8]) < 0.15 * rms(flat)
    assert rms((passed - steep)[8:-8]) < 0.15 * rms(steep)
    assert np.allclose(rejected + passed, flat + steep, atol=1e-5)


@settings(max_examples=20)
@given(
    n_traces=st.integers(1, 12),
    n_samples=st.integers(1, 70),
    start_ms=st.sampled_from([-100.0, 0.0, 100.0]),
    seed=st.integers(0, 99),
)
def test_any_shape_is_blind_to_start_and_to_muted_samples(n_traces, n_samples, start_ms, seed):
    rng = np.random.default_rng(seed)
    first = rng.integers(0, n_samples + 1, n_traces)
    end = np.minimum(first + rng.integers(0, n_samples + 1, n_traces), n_samples)
    x = rng.standard_normal((n_traces, n_samples))
    outside = (np.arange(n_samples) < first[:, None]) | (np.arange(n_samples) >= end[:, None])
    settings_ = {"cut_ms": 20.0, "reference_offset_m": 500.0, "max_ms": 60.0, "sparse_iterations": seed % 2}

    def run(traces, start_ms=0.0):
        words = {"offset": 50 * np.arange(n_traces), "live": (first, end), "start_ms": start_ms}
        return run_processor(RadonDemultiple, make_gather(traces, **words), settings_).traces.copy()

    found = run(x)
    assert np.isfinite(found).all() and not found[outside].any()
    assert np.array_equal(found, run(x, start_ms))
    assert np.array_equal(found, run(np.where(outside, 1e9, x)))


@pytest.mark.parametrize("n_traces", [1, 2])
def test_too_few_live_traces_pass_unchanged(n_traces):
    traces = np.random.default_rng(2).standard_normal((4, 80)).astype(np.float32)
    dead = np.arange(4) >= n_traces
    traces[dead] = 0
    gather = make_gather(traces, offset=100 * np.arange(4), dead=dead)
    found = run_processor(RadonDemultiple, gather, {"cut_ms": 60.0, "reference_offset_m": 300.0})
    assert np.array_equal(found.traces, traces)
    modelled = {"cut_ms": 60.0, "reference_offset_m": 300.0, "output": "multiples"}
    assert not run_processor(RadonDemultiple, gather, modelled).traces.any()


def test_hyperbolas_become_parabolas_for_a_deep_reference():
    parabola = moveout("parabolic", X, FARTHEST)
    assert np.allclose(moveout("hyperbolic", X, FARTHEST, 1e8), parabola, atol=1e-6)
    assert np.abs(moveout("hyperbolic", X, FARTHEST, 500.0) - parabola).max() > 0.1


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"cut_ms": 700.0}, "cut_ms"),
        ({"cut_ms": 60.0, "curve": "hyperbolic"}, "reference_depth_m"),
        ({"cut_ms": 60.0, "high_hz": 200.0}, "high_hz"),
        ({"cut_ms": 60.0, "low_hz": 90.0}, "low_hz"),
    ],
)
def test_refuses(parameters, name):
    gather = make_gather(np.zeros((3, 100)), offset=[0, 10, 20])
    with pytest.raises(ParameterError, match=f"'{name}'"):
        run_processor(RadonDemultiple, gather, {"reference_offset_m": 20.0} | parameters)


def test_needs_offsets():
    with pytest.raises(HeaderError, match="offset"):
        run_processor(RadonDemultiple, make_gather(np.zeros((3, 100))), {"cut_ms": 60.0, "reference_offset_m": 20.0})


@pytest.mark.parametrize("sparse", [0, 1])
def test_stops_when_told(sparse):
    parameters = {"cut_ms": 60.0, "reference_offset_m": FARTHEST, "sparse_iterations": sparse}
    step = build(RadonDemultiple, "radon_demultiple", parameters)
    gather = make_gather(np.ones((3, 50)), offset=[0, 500, 1000])
    with pytest.raises(Cancelled):
        step.apply(gather, Context(flag=np.ones(1, np.uint8)))


@pytest.mark.parametrize("sparse", [0, 1])
def test_stops_between_blocks_of_frequencies_and_starts_anew(sparse):
    radon = Radon(np.linspace(0, 1, 40) ** 2, np.linspace(-0.1, 0.4, 90), 500, 0.004)
    data = np.random.default_rng(4).standard_normal((2, 40, 500)).astype(np.float32)
    share = (radon.curves > 0.1).astype(float)
    checks = []

    def stop():
        checks.append(None)
        if len(checks) == 5:
            raise Cancelled

    with pytest.raises(Cancelled):
        project(radon, data, share, (0.0, 80.0), 0.01, sparse, stop)
    after = project(radon, data, share, (0.0, 80.0), 0.01, sparse)
    assert len(list(radon.blocks(radon.frequencies(0.0, 80.0)[1]))) > 10
    fresh = project(radon, data, share, (0.0, 80.0), 0.010000001, sparse)  # nothing known of this one
    assert np.allclose(after, fresh, atol=1e-4 * np.abs(fresh).max())
