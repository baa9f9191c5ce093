"""What must hold for any data and every single-trace denoiser; and what each does to modelled noise."""

from __future__ import annotations

import typing

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core.data.gather import Gather
from seisproc_core.data.sampling import Sampling
from seisproc_core.errors import HeaderError, ParameterError
from seisproc_core.processing.params import fields_of
from seisproc_core.processing.processor import Processor
from seisproc_core.specs import resolve
from seisproc_core.testing import make_gather, run_processor
from seisproc_denoise.singletrace.descriptions import KERNELS, PROCESSORS

CLASSES: dict[str, type[Processor]] = {cls.id: cls for cls in map(resolve, PROCESSORS)}
BACKENDS = ["reference", "numba"]
IDENTITY = {  # parameters with which nothing is taken away
    "wavelet_denoise": {"threshold": 0},
    "wavelet_denoise_spatial": {"threshold": 0},
    "tf_denoise": {"threshold": 0},
    "tf_reject": {"threshold": 1e30},
    "emd_denoise": {"threshold": 0},
    "mad_denoise": {"threshold": 1e30},
}
CASES: dict[str, tuple[str, dict]] = {
    "dwt": ("wavelet_denoise", {}),
    "dwt_hard": ("wavelet_denoise", {"mode": "hard", "rule": "sigma", "threshold": 2}),
    "swt": ("wavelet_denoise", {"kind": "swt", "mode": "garrote", "levels": 3}),
    "wpt": ("wavelet_denoise", {"kind": "wpt", "mode": "adaptive", "wavelet": "sym5"}),
    "dwt_spatial": ("wavelet_denoise_spatial", {"aperture_traces": 5}),
    "swt_spatial": ("wavelet_denoise_spatial", {"kind": "swt", "mode": "adaptive"}),
    "wpt_spatial": ("wavelet_denoise_spatial", {"kind": "wpt", "mode": "hard", "aperture_traces": 4}),
    "stft": ("tf_denoise", {"window_ms": 80}),
    "gabor": ("tf_denoise", {"kind": "gabor", "window_ms": 80, "mode": "adaptive", "low_hz": 20}),
    "stockwell": ("tf_denoise", {"kind": "stockwell", "low_hz": 12, "high_hz": 90, "mode": "garrote"}),
    "synchrosqueezing": ("tf_denoise", {"kind": "synchrosqueezing", "low_hz": 12, "high_hz": 90, "mode": "hard"}),
    "reject_stft": ("tf_reject", {"window_ms": 80, "threshold": 1.5, "aperture_traces": 5}),
    "reject_gabor": ("tf_reject", {"kind": "gabor", "window_ms": 80, "threshold": 2, "mode": "hard"}),
    "reject_stockwell": ("tf_reject", {"kind": "stockwell", "low_hz": 12, "mode": "adaptive", "threshold": 1.5}),
    "emd": ("emd_denoise", {"modes": 4, "siftings": 5}),
    "eemd": ("emd_denoise", {"method": "eemd", "modes": 3, "siftings": 3, "pairs": 2, "mode": "hard"}),
    "ceemdan": ("emd_denoise", {"method": "ceemdan", "modes": 3, "siftings": 3, "pairs": 2, "noise": "each"}),
    "omp": ("omp_denoise", {"low_hz": 15, "wavelets": 8, "threshold": 0.5}),
    "omp_gabor": ("omp_denoise", {"dictionary": "gabor", "low_hz": 20, "frequencies": 5, "wavelets": 5}),
    "mad": ("mad_denoise", {"window_ms": 100, "threshold": 1}),
    "mad_hard": ("mad_denoise", {"window_ms": 60, "threshold": 0.5, "mode": "hard", "aperture_traces": 4}),
    "reject_plane": ("tf_reject", {"plane": ["inline", "crossline"], "window_ms": 80, "mode": "soft", "threshold": 1}),
}  # fmt: skip
ON_A_GRID = ("wavelet_denoise", "wavelet_denoise_spatial", "mad_denoise")
TRACE_CASES = [name for name, (id_, _) in CASES.items() if CLASSES[id_].scope == "trace"]
WITH_KERNELS = [
    (name, mode)
    for name, (id_, _) in CASES.items()
    if CLASSES[id_].kernels
    for mode in typing.get_args(fields_of(CLASSES[id_])["mode"][1])
]
N = 201


def run(case: str, gather: Gather, backend: str = "reference", **more: object) -> Gather:
    id_, parameters = CASES[case]
    return run_processor(CLASSES[id_], gather, parameters | more, kernels=KERNELS, backend=backend)


def some_gather(seed: int = 0, start_ms: float = 0.0, n: int = N, traces: int = 14) -> Gather:
    """Noise with spikes, live windows of all kinds, gathers of 5, 0, 1 and 8 traces."""
    rng = np.random.default_rng(seed)
    first, end = np.sort(rng.integers(0, n + 1, (2, traces)), axis=0)
    first[:5], end[:5] = [0, 0, n // 2, 0, 30], [n, 0, n // 2 + 1, n, n]
    samples = rng.standard_normal((traces, n)) * np.where(rng.random((traces, n)) < 0.02, 20, 1)
    sample = np.arange(n)
    samples[(sample < first[:, None]) | (sample >= end[:, None])] = 0
    return make_gather(
        samples, start_ms=start_ms, live=(first, end), gather_starts=[0, 5, 5, 6, traces],
        offset=np.arange(traces) * 25, inline=np.arange(traces) // 4, crossline=np.arange(traces) % 4,
    )  # fmt: skip


def outside(gather: Gather) -> np.ndarray:
    first, end = gather.live_window
    sample = np.arange(gather.n_samples)
    return (sample < first[:, None]) | (sample >= end[:, None])


def test_every_processor_has_a_case_and_says_what_it_is():
    assert {id_ for id_, _ in CASES.values()} == set(CLASSES)
    for cls in CLASSES.values():
        assert all(word in (cls.__doc__ or "") for word in ("Source", "Not ")), cls.id


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", [name for name, (id_, _) in CASES.items() if id_ in IDENTITY])
@given(n=st.sampled_from([128, 129, 187, 200, 201, 331]), seed=st.integers(0, 50))
@settings(max_examples=6, deadline=None)
def test_nothing_shrunk_is_nothing_changed(case, backend, n, seed):
    gather = some_gather(seed, n=n)
    out = run(case, gather, backend, **IDENTITY[CASES[case][0]])
    assert np.abs(out.traces - gather.traces).max() <= 1e-5 * np.abs(gather.traces).max()


@pytest.mark.parametrize("case", CASES)
def test_headers_are_kept_input_is_not_written_and_mutes_hold(case):
    gather = some_gather()
    gather.traces.flags.writeable = False
    before = gather.traces.copy()
    out = run(case, gather)
    assert np.array_equal(gather.traces, before)
    assert list(out.headers) == list(gather.headers)
    for name in gather.headers:
        assert np.array_equal(out.headers.column(name), gather.headers.column(name)), name
    assert np.isfinite(out.traces).all()
    assert not out.traces[outside(gather)].any()
    assert np.linalg.norm(out.traces - gather.traces) > 1e-3 * np.linalg.norm(gather.traces)
    assert np.linalg.norm(out.traces) < np.linalg.norm(gather.traces)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("garbage", [1e9, np.nan])
def test_samples_outside_live_windows_have_no_influence(case, backend, garbage):
    gather = some_gather()
    spoilt = gather.traces.copy()
    spoilt[outside(gather)] = garbage
    assert np.array_equal(run(case, gather.with_traces(spoilt), backend).traces, run(case, gather, backend).traces)


@pytest.mark.parametrize("case", CASES)
def test_zeros_and_dead_traces_stay_zero(case):
    gather = some_gather()
    assert not run(case, gather.with_traces(np.zeros_like(gather.traces))).traces.any()
    dead = gather.headers.with_columns(dead=np.ones(gather.n_traces, np.uint8))
    assert not run(case, gather.with_headers(dead)).traces.any()


@pytest.mark.parametrize("case", [name for name in CASES if name not in TRACE_CASES])
def test_dead_traces_are_gaps_for_their_neighbours(case):
    """A dead trace counts as little as one that is not there, whatever it holds."""
    gather = some_gather()
    flags = np.zeros(gather.n_traces, np.uint8)
    flags[9] = 1
    gather = gather.with_headers(gather.headers.with_columns(dead=flags))
    loud = gather.traces.copy()
    loud[9] *= 1000
    assert np.array_equal(run(case, gather.with_traces(loud)).traces, run(case, gather).traces)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_stays_in_its_trace(case, backend, value):
    gather = some_gather()
    spoilt = gather.traces.copy()
    spoilt[8, :] = np.where(outside(gather)[8], 0, spoilt[8])
    middle = int(sum(edge[8] for edge in gather.live_window) // 2)
    spoilt[8, middle] = value
    with np.errstate(all="raise", under="ignore"):
        found = run(case, gather.with_traces(spoilt), backend).traces
    assert np.isnan(found[8][~outside(gather)[8]]).all() and not found[8][outside(gather)[8]].any()
    others = np.arange(gather.n_traces) != 8
    assert np.isfinite(found[others]).all()
    if case in TRACE_CASES:
        assert np.array_equal(found[others], run(case, gather, backend).traces[others])


@pytest.mark.parametrize("case", TRACE_CASES)
@given(cut=st.integers(1, 13), seed=st.integers(0, 5))
@settings(max_examples=6, deadline=None)
def test_batches_may_be_cut_anywhere(case, cut, seed):
    gather = some_gather(seed)
    whole = run(case, gather).traces
    parts = [run(case, gather.rows(0, cut)).traces, run(case, gather.rows(cut, 14)).traces]
    assert np.array_equal(whole, np.concatenate(parts))


@pytest.mark.parametrize("case", CASES)
def test_gathers_know_nothing_of_each_other(case):
    gather = some_gather()
    alone = np.concatenate([run(case, part).traces for part in gather.split() if part.n_traces])
    assert np.array_equal(run(case, gather).traces, alone)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("sign", [-1, 1])
def test_results_do_not_depend_on_the_start_time(case, sign):
    # Dyadic grids, windows and cells count from time 0: events move by whole ones of all cases here.
    on_a_grid = CASES[case][0] in ON_A_GRID or CASES[case][1].get("kind") == "stockwell"
    moved = some_gather(start_ms=sign * (192.0 if on_a_grid else 100.0))
    assert np.array_equal(run(case, moved).traces, run(case, some_gather()).traces)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("exponent", [-100, -30, 30, 90])
def test_results_scale_with_the_data(case, backend, exponent):
    gather = some_gather()
    scaled = gather.with_traces(np.ldexp(gather.traces, exponent))
    found = run(case, scaled, backend).traces
    assert np.array_equal(found, np.ldexp(run(case, gather, backend).traces, exponent))


@pytest.mark.parametrize(("case", "mode"), WITH_KERNELS)
@pytest.mark.parametrize("seed", [0, 1])
def test_backends_agree(case, mode, seed):
    gather = some_gather(seed, n=250)
    expected = run(case, gather, "reference", mode=mode).traces
    found = run(case, gather, "numba", mode=mode).traces
    scale = np.sqrt(np.mean(np.square(gather.traces, dtype=np.float64)))
    assert np.mean(np.abs(found - expected) > 1e-5 * scale) <= 1e-4


@pytest.mark.parametrize("case", CASES)
def test_no_traces_at_all(case):
    assert run(case, some_gather().rows(0, 0)).traces.shape == (0, N)


@pytest.mark.parametrize("case", CASES)
def test_one_trace_alone(case):
    assert np.isfinite(run(case, some_gather().rows(0, 1)).traces).all()


def test_one_output_does_not_depend_on_runs_before():
    gather = some_gather()
    for case in CASES:
        assert np.array_equal(run(case, gather).traces, run(case, gather).traces)


@pytest.mark.parametrize(
    ("id_", "parameters", "problem"),
    [
        ("wavelet_denoise", {"wavelet": "db99"}, "discrete wavelet"),
        ("wavelet_denoise", {"wavelet": "morl"}, "discrete wavelet"),
        ("wavelet_denoise", {"levels": 5}, "at most 4 for 201 samples"),
        ("wavelet_denoise", {"levels": 0}, "at least 1"),
        ("wavelet_denoise", {"threshold": -1}, "at least 0"),
        ("wavelet_denoise", {"wavelet": "db38", "levels": 2}, "at most 1"),
        ("wavelet_denoise_spatial", {"aperture_traces": 0}, "at least 1"),
        ("tf_denoise", {"high_hz": 126}, "Nyquist frequency of 125"),
        ("tf_denoise", {"low_hz": 60, "high_hz": 20}, "below high_hz"),
        ("tf_denoise", {"low_hz": 125}, "below high_hz"),
        ("tf_denoise", {"window_ms": 20}, "must span 8 samples"),
        ("tf_denoise", {"window_ms": 900}, "must span 8 samples"),
        ("tf_denoise", {"kind": "stockwell", "low_hz": 1}, "one period"),
        ("tf_reject", {"threshold": 0.5}, "at least 1"),
        ("tf_reject", {"aperture_traces": 2}, "at least 3"),
        ("tf_reject", {"kind": "synchrosqueezing"}, "must be stft, gabor or stockwell"),
        ("tf_reject", {"plane": ["inline"]}, "two header words"),
        ("emd_denoise", {"modes": 0}, "at least 1"),
        ("emd_denoise", {"seed": -1}, "at least 0"),
        ("omp_denoise", {"high_hz": 125}, "Nyquist frequency of 125"),
        ("omp_denoise", {"low_hz": 70}, "must not exceed high_hz"),
        ("omp_denoise", {"low_hz": 1}, "one period"),
        ("mad_denoise", {"window_ms": 1}, "8 ms to the trace's 804 ms"),
        ("mad_denoise", {"window_ms": 900}, "8 ms to the trace's 804 ms"),
        ("mad_denoise", {"plane": []}, "two header words"),
    ],
)  # fmt: skip
def test_bad_parameters_are_refused_before_any_work(id_, parameters, problem):
    with pytest.raises(ParameterError, match=problem) as caught:
        run_processor(CLASSES[id_], some_gather(), parameters, kernels=KERNELS)
    assert str(caught.value).startswith(f"{id_}: parameter '")


def test_traces_too_short_for_a_wavelet_are_refused():
    with pytest.raises(ParameterError, match="at most 0 for 6 samples"):
        run_processor(CLASSES["wavelet_denoise"], some_gather(n=6), {}, kernels=KERNELS)


def test_missing_header_words_are_named():
    with pytest.raises(HeaderError, match="is not in this survey"):
        run_processor(CLASSES["tf_reject"], some_gather(), {"plane": ["inline", "cdp"]}, kernels=KERNELS)


def test_time_shifted_in_a_longer_record_only_where_the_grid_allows():
    """Undecimated transforms follow a shift of the record; samples far from its ends come out alike."""
    rng = np.random.default_rng(4)
    samples = np.zeros((3, 400))
    samples[:, 150:250] = rng.standard_normal((3, 100)) * np.hanning(100)
    plain = make_gather(samples)
    shifted = attrs.evolve(plain, traces=np.ascontiguousarray(np.roll(plain.traces, 7, axis=1)),
                           sampling=Sampling(-0.028, 0.004, 400))  # fmt: skip
    for case in ("swt",):
        found = run(case, shifted, threshold=0.3).traces
        assert np.allclose(np.roll(found, -7, axis=1), run(case, plain, threshold=0.3).traces, atol=1e-5)


@pytest.mark.parametrize("kind", ["dwt", "wpt", "swt"])
def test_silence_before_the_source_changes_only_the_beginning(kind):
    late = np.random.default_rng(4).standard_normal((6, 400)).astype(np.float32)
    ahead = 37
    early = np.concatenate((np.zeros((6, ahead), np.float32), late), axis=1)
    live = np.full(6, ahead), np.full(6, 400 + ahead)
    parameters = {"kind": kind, "wavelet": "db2", "threshold": 0.5, "levels": 3}
    cls = CLASSES["wavelet_denoise"]
    a = run_processor(cls, make_gather(late), parameters, kernels=KERNELS).traces
    b = run_processor(cls, make_gather(early, start_ms=-4.0 * ahead, live=live), parameters, kernels=KERNELS).traces
    beginning = 3 * 2**3  # the reach of the longest wavelet
    inside, error = a[:, beginning:], b[:, ahead + beginning :] - a[:, beginning:]
    assert np.sqrt(np.mean(error**2)) <= 0.05 * np.sqrt(np.mean(inside**2))


def test_the_aperture_tells_the_noise():
    level = np.array([5, 5, 5, 5, 1, 5, 5, 5, 5])[:, None]
    gather = make_gather(level * np.random.default_rng(2).standard_normal((9, 400)))
    spatial, alone = (
        run_processor(CLASSES[name], gather, {"threshold": 0.5}, kernels=KERNELS).traces[4]
        for name in ("wavelet_denoise_spatial", "wavelet_denoise")
    )
    # A quiet trace among loud ones falls below what its neighbours say is noise, but for what no level holds.
    assert np.ptp(np.diff(spatial)) < 0.5 * np.ptp(np.diff(alone))
