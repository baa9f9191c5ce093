"""Stack: fold from live windows, weights, medians, headers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core.data.gather import Gather
from seisproc_core.errors import HeaderError, ParameterError
from seisproc_core.testing import make_gather, run_processor
from seisproc_velocity.nmo import Nmo
from seisproc_velocity.plugin import KERNELS
from seisproc_velocity.stack import Stack

Run = Callable[..., Gather]
RISING = {"time_ms": [100, 800, 1600], "rms_m_per_s": [1600, 2100, 2700]}


@st.composite
def batches(draw: st.DrawFn) -> Gather:
    """Batches of gathers of 0 to 5 traces with any windows, zeros and dead traces among them."""
    sizes = draw(st.lists(st.integers(0, 5), min_size=1, max_size=5))
    n, count = draw(st.integers(1, 12)), sum(sizes)
    samples = draw(st.lists(st.sampled_from([0.0, 1.0, -2.5, 4.0, 1e4]), min_size=count * n, max_size=count * n))
    first = np.array([draw(st.integers(0, n)) for _ in range(count)], int)
    end = np.array([draw(st.integers(f, n)) for f in first], int)
    dead = [draw(st.sampled_from([0, 0, 0, 2])) for _ in range(count)]
    weight = [draw(st.sampled_from([1, 2, -1, 0])) for _ in range(count)]
    return make_gather(
        np.array(samples).reshape(count, n),
        gather_starts=[0, *np.cumsum(sizes).tolist()],
        live=(first, end),
        dead=np.array(dead, int),
        sign=np.array(weight, int),
        offset=np.arange(count) * 10,
    )


def brute_force(batch: Gather, parameters: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Stack and fold of each non-empty gather, one sample at a time."""
    out, folds = [], []
    first, end = batch.live_window
    weight = batch.headers[parameters["weight"]] if "weight" in parameters else np.ones(batch.n_traces)
    for a, b in zip(batch.gather_starts[:-1], batch.gather_starts[1:], strict=True):
        if a == b:
            continue
        trace, fold = np.zeros(batch.n_samples), np.zeros(batch.n_samples, int)
        for k in range(batch.n_samples):
            rows = [i for i in range(a, b) if first[i] <= k < end[i] and not batch.headers["dead"][i] and weight[i]]
            values = batch.traces[rows, k].astype(float)
            fold[k] = len(rows)
            if rows and parameters.get("method") == "median":
                trace[k] = np.median(values)
            elif rows:
                trace[k] = values @ weight[rows] / np.abs(weight[rows]).sum() ** parameters.get("normalise_power", 1.0)
        out.append(trace)
        folds.append(fold)
    return np.reshape(out, (-1, batch.n_samples)), np.reshape(folds, (-1, batch.n_samples))


@pytest.mark.parametrize("backend", ["reference", "numba"])
@pytest.mark.parametrize(
    "parameters", [{}, {"normalise_power": 0.5}, {"normalise_power": 0.0}, {"weight": "sign"}, {"method": "median"}]
)
@given(batch=batches())
@settings(max_examples=40, deadline=None)
def test_against_brute_force(backend: str, parameters: dict[str, Any], batch: Gather) -> None:
    made = run_processor(Stack, batch, parameters, kernels=KERNELS, backend=backend)
    wanted, fold = brute_force(batch, parameters)
    np.testing.assert_allclose(made.traces, wanted, rtol=1e-6, atol=1e-3)
    np.testing.assert_array_equal(made.headers["fold"], fold.max(axis=1))
    first, end = made.live_window
    for row in range(made.n_traces):
        live = np.flatnonzero(fold[row])
        assert (first[row], end[row]) == ((live[0], live[-1] + 1) if live.size else (0, 0))
        assert (made.headers["dead"][row] != 0) == (live.size == 0)
    assert not made.headers["offset"].any()


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("parameters", [{}, {"weight": "sign"}, {"normalise_power": 0.5}])
def test_large_gathers_of_like_and_unlike_windows(ragged: bool, parameters: dict[str, Any], run: Run) -> None:
    rng = np.random.default_rng(3)
    first, end = np.full(45, 5), np.full(45, 35)
    if ragged:
        first, end = rng.integers(0, 20, 45), rng.integers(18, 41, 45)
    dead, sign = np.arange(45) % 11 == 3, rng.choice([1, 1, -1, 0], 45)
    words = {"dead": 2 * dead, "sign": sign, "offset": np.arange(45)}
    starts = [0, 8, 25, 25, 45]
    batch = make_gather(rng.standard_normal((45, 40)), gather_starts=starts, live=(first, end), **words)
    made = run(Stack, batch, **parameters)
    wanted, fold = brute_force(batch, parameters)
    np.testing.assert_allclose(made.traces, wanted, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(made.headers["fold"], fold.max(axis=1))
    assert made.live_window[0].tolist() == (fold > 0).argmax(axis=1).tolist()
    assert made.live_window[1].tolist() == (40 - (fold > 0)[:, ::-1].argmax(axis=1)).tolist()


def test_a_live_zero_counts(run: Run) -> None:
    gather = make_gather([[2.0, 2.0], [0.0, 2.0]], live=(np.array([0, 0]), np.array([2, 2])))
    np.testing.assert_array_equal(run(Stack, gather).traces, [[1, 2]])


def test_samples_outside_the_live_window_have_no_influence(run: Run) -> None:
    rng = np.random.default_rng(1)
    first, end = rng.integers(0, 30, 20), rng.integers(60, 91, 20)
    clean = rng.standard_normal((20, 90)).astype(np.float32)
    outside = (np.arange(90) < first[:, None]) | (np.arange(90) >= end[:, None])
    for method in ("mean", "median"):
        made = [
            run(Stack, make_gather(np.where(outside, fill, clean), live=(first, end)), method=method).traces
            for fill in (0.0, 1e30, -3.0)
        ]
        np.testing.assert_array_equal(made[0], made[1])
        np.testing.assert_array_equal(made[0], made[2])


def test_nmo_then_stack_is_the_stack_of_live_samples(run: Run) -> None:
    rng = np.random.default_rng(2)
    offset = np.arange(20) * 60
    first, end = rng.integers(0, 80, 20), rng.integers(300, 401, 20)
    samples = rng.standard_normal((20, 400)).astype(np.float32)
    flat = run(Nmo, make_gather(samples, offset=offset, live=(first, end)), velocity=RISING)
    stacked = run(Stack, flat)
    new_first, new_end = flat.live_window
    live = (np.arange(400) >= new_first[:, None]) & (np.arange(400) < new_end[:, None])
    total, fold = np.where(live, flat.traces, 0).sum(axis=0), live.sum(axis=0)
    np.testing.assert_allclose(stacked.traces[0], np.divide(total, fold, where=fold > 0, out=np.zeros(400)), atol=1e-5)
    assert stacked.headers["fold"][0] == fold.max()
    garbage = samples.copy()
    garbage[(np.arange(400) < first[:, None]) | (np.arange(400) >= end[:, None])] = 1e20
    again = run(Stack, run(Nmo, make_gather(garbage, offset=offset, live=(first, end)), velocity=RISING))
    np.testing.assert_array_equal(again.traces, stacked.traces)


def test_batches_and_order(run: Run) -> None:
    rng = np.random.default_rng(3)
    cdp = np.repeat([1, 2, 3], [10, 1, 19])
    gather = make_gather(rng.standard_normal((30, 77)), gather_starts=[0, 10, 10, 11, 30], cdp=cdp)
    whole = run(Stack, gather)
    assert whole.gather_starts.tolist() == [0, 1, 1, 2, 3]
    assert whole.headers["cdp"].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(whole.traces[1], gather.traces[10])  # one trace is its own stack
    parts = [run(Stack, part).traces for part in gather.split() if part.n_traces]
    np.testing.assert_array_equal(np.concatenate(parts), whole.traces)
    mixed = rng.permutation(10)
    other = Gather(headers=gather.headers.take(mixed), sampling=gather.sampling, traces=gather.traces[mixed])
    np.testing.assert_allclose(run(Stack, other).traces[0], whole.traces[0], atol=1e-6)


def test_headers(run: Run) -> None:
    before = {"offset": [100, 200, 300], "cdp": 7, "cdp_x": [10, 20, 30], "field_record": [1, 2, 3], "vertical_fold": 2}
    after = {"offset": 0, "cdp": 7, "cdp_x": 20, "field_record": 0, "vertical_fold": 6, "fold": 3}
    made = run(Stack, make_gather(np.ones((3, 5)), **before)).headers
    assert {name: made[name][0] for name in after} == after


def test_plan_has_the_words_of_the_output(run: Run) -> None:
    gather = make_gather(np.ones((4, 5)), gather_starts=[0, 2, 4], cdp=[1, 1, 2, 2])
    planned, made = Stack().plan(gather.layout), run(Stack, gather)
    assert set(planned.headers) == set(made.headers)
    assert {n: planned.headers.dtype(n) for n in planned.headers} == {n: made.headers.dtype(n) for n in made.headers}


def test_more_traces_than_the_fold_word_holds() -> None:
    made = run_processor(Stack, make_gather(np.ones((40000, 1))), kernels=KERNELS)
    assert made.headers["fold"].tolist() == [32767]
    np.testing.assert_array_equal(made.traces, [[1.0]])


def test_wrong_parameters_are_refused() -> None:
    gather = make_gather(np.ones((1, 5)))
    with pytest.raises(HeaderError, match="'polarity'"):
        run_processor(Stack, gather, {"weight": "polarity"}, kernels=KERNELS)
    with pytest.raises(ParameterError, match="'weight' has no meaning with method = 'median'"):
        Stack(weight="trace_id", method="median").check(gather.layout)
    with pytest.raises(ParameterError, match="normalise_power"):
        run_processor(Stack, gather, {"normalise_power": 0.5, "method": "median"}, kernels=KERNELS)


def test_weights_of_very_different_size(run: Run) -> None:
    gather = make_gather([[3.0, 3.0, 0.0], [0.0, 5.0, 5.0]], live=([0, 0], [1, 3]), cdp_x=[2_000_000_000, 1])
    made = run(Stack, gather, weight="cdp_x")
    np.testing.assert_allclose(made.traces, [[3.0, 5.0, 5.0]], rtol=1e-6)
