"""Steps against Seismic Unix: its results where there are files of them, its algorithms for other parameters."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

import su_reference as su

from seisproc_core import Flow, Gather, MemorySurvey, Source, Step, process
from seisproc_core.plugins import registry
from seisproc_core.processing.ordering import gather_order
from seisproc_core.testing import make_gather, run_processor
from seisproc_denoise import plugin as denoise
from seisproc_signal import plugin as signal
from seisproc_velocity import plugin as velocity

few = settings(
    max_examples=8, deadline=None, derandomize=True, phases=[Phase.generate]
)  # no shrinking: parameters say enough

KERNELS = [*signal.seisproc_kernels(), *velocity.seisproc_kernels(), *denoise.seisproc_kernels()]


def run(gather: Gather, *steps: dict[str, Any], words: tuple[str, ...] = ("cdp",)) -> Gather:
    """What these steps make of the gather, checked and planned as in a flow but without a job."""
    order, starts = gather_order(gather.headers, words, ())
    assert order is None
    if starts is not None:
        gather = attrs.evolve(gather, gather_starts=starts)
    for step in steps:
        parameters = {name: value for name, value in step.items() if name != "use"}
        gather = run_processor(registry().load("processors", step["use"]), gather, parameters, kernels=KERNELS)
    return gather


def worst(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference where the program is right, over its largest amplitude."""
    known = np.isfinite(expected)
    return float(np.abs(found - expected)[known].max() / max(np.abs(expected[known]).max(), 1e-30))


def noise(seed: int, traces: int = 12, samples: int = 256, start_ms: float = 0.0) -> Gather:
    """Coloured noise with offsets and two CDPs, one dead trace, one spike."""
    generator = np.random.default_rng(seed)
    data = generator.standard_normal((traces, samples))
    data[:, 1:] += 0.6 * data[:, :-1]
    data[3] = 0
    data[5] = 0
    data[5, samples // 2] = 4
    offset = np.linspace(-900, 1500, traces).round()
    cdp = np.repeat([11, 12], traces // 2)
    return make_gather(data, start_ms=start_ms, offset=offset, cdp=cdp)


@few
@given(
    seed=st.integers(0, 99),
    delay=st.sampled_from([0.0, 100.0]),
    tpow=st.none() | st.floats(0.25, 3),
    vred=st.none() | st.floats(1500, 6000),
    epow=st.none() | st.floats(-1, 2),
    etpow=st.floats(0.5, 2),
    gpow=st.none() | st.floats(0.4, 2),
    trap=st.none() | st.floats(1, 3),
    clip=st.none() | st.floats(0.3, 2),
    pclip=st.none() | st.floats(0.1, 2),
    nclip=st.none() | st.floats(-2, -0.1),
    qclip=st.none() | st.floats(0.5, 0.999),
    scale=st.floats(0.1, 10),
    bias=st.floats(-0.5, 0.5),
)
def test_sugain(seed: int, delay: float, etpow: float, scale: float, bias: float, **given_: float | None) -> None:
    gather = noise(seed, start_ms=delay)
    p: dict[str, Any] = {k: v for k, v in given_.items() if v is not None} | {"scale": scale, "bias": bias}
    if "epow" in p:
        p["etpow"] = etpow
    if "tpow" not in p:
        p.pop("vred", None)
    if "vred" in p:
        p.pop("qclip", None)  # sample 0, which the program spoils, would count among the quantile's
    names = {"tpow": "t_power", "vred": "reduction_m_per_s", "epow": "exponential_per_s", "gpow": "power",
             "etpow": "exponential_power", "qclip": "clip_quantile",
             "pclip": "clip_above", "nclip": "clip_below"}  # fmt: skip
    step = {"use": "gain"} | {names.get(k, k): v for k, v in p.items()}
    expected = su.sugain(gather.traces, 0.004, delay / 1000, gather.headers["offset"], **p)
    found = run(gather, step).traces
    assert worst(found[:, 1 if "vred" in p else 0 :], expected[:, 1 if "vred" in p else 0 :]) < 5e-6


@few
@given(seed=st.integers(0, 99), wagc=st.floats(0.02, 0.6), gaussian=st.booleans(), tpow=st.floats(0.25, 2))
def test_sugain_agc(seed: int, wagc: float, gaussian: bool, tpow: float) -> None:
    gather = noise(seed)
    p = {"gagc" if gaussian else "agc": 1, "wagc": wagc, "tpow": tpow}
    kind = "gaussian" if gaussian else "rms"
    steps = ({"use": "gain", "t_power": tpow}, {"use": "agc", "window_ms": 1000 * wagc, "kind": kind, "mode": "su"})
    expected = su.sugain(gather.traces, 0.004, 0.0, gather.headers["offset"], **p)
    assert worst(run(gather, *steps).traces, expected) < 5e-6


@few
@given(seed=st.integers(0, 99), q=st.none() | st.floats(0.5, 0.999), kind=st.sampled_from(["pbal", "mbal", "qbal"]))
def test_sugain_balance(seed: int, q: float | None, kind: str) -> None:
    gather = noise(seed)
    p: dict[str, Any] = {kind: 1}
    step: dict[str, Any] = {"use": "trace_balance", "kind": {"pbal": "rms", "mbal": "mean", "qbal": "max"}[kind]}
    if kind == "qbal" and q is not None:
        p["qclip"] = q
        step |= {"kind": "quantile", "quantile": q}
    expected = su.sugain(gather.traces, 0.004, 0, np.zeros(12), **p)
    expected[5] = np.nan  # more than half of it is zero: it has no quantile to be divided by
    assert worst(run(gather, step).traces, expected) < 5e-6


@few
@given(
    seed=st.integers(0, 99),
    corners=st.lists(st.floats(2, 124), min_size=2, max_size=6, unique=True).map(sorted),
    amps=st.lists(st.sampled_from([0.0, 0.5, 1.0, 0.25]), min_size=6, max_size=6),
)
def test_sufilter(seed: int, corners: list[float], amps: list[float]) -> None:
    gather = noise(seed)
    amps = amps[: len(corners)]
    step = {"use": "trapezoid", "corners_hz": corners, "amplitudes": amps, "su_length": 280}
    assert worst(run(gather, step).traces, su.sufilter(gather.traces, 0.004, corners, amps, 280)) < 5e-6


@few
@given(
    seed=st.integers(0, 99),
    minlag=st.integers(1, 30),
    length=st.integers(1, 40),
    pnoise=st.floats(1e-4, 0.05),
    mix=st.lists(st.floats(0.1, 2), min_size=1, max_size=4),
    window=st.none() | st.integers(100, 250),
    wiener=st.booleans(),
)
def test_supef(
    seed: int, minlag: int, length: int, pnoise: float, mix: list[float], window: int | None, wiener: bool
) -> None:
    gather = noise(seed)
    one = make_gather(gather.traces, cdp=1, offset=gather.headers["offset"])  # mix= runs over all traces
    expected = su.supef(gather.traces, 0.004, 0.004 * minlag, 0.004 * (minlag + length - 1), pnoise, tuple(mix),
                        None if window is None else 0.004 * window, wiener)  # fmt: skip
    step: dict[str, Any] = {"gap_ms": 4.0 * minlag, "operator_ms": 4.0 * length, "prewhitening_percent": 100 * pnoise}
    if wiener:
        step["output"] = "operator"
    if window is not None:
        step |= {"design_start_ms": 0.0, "design_end_ms": 4.0 * window}
    dead = ~gather.traces.any(axis=1)
    mixed = run(one, {"use": "decon_ensemble", "mode": "su", "mix": mix} | step).traces
    assert worst(mixed[~dead], expected[~dead]) < 2e-4
    if len(mix) == 1:
        plain = run(one, {"use": "decon"} | step).traces
        expected = su.supef(gather.traces, 0.004, 0.004 * minlag, 0.004 * (minlag + length - 1), pnoise, (1.0,),
                            None if window is None else 0.004 * window, wiener)  # fmt: skip
        assert worst(plain[~dead], expected[~dead]) < 2e-4


@few
@given(
    seed=st.integers(0, 99),
    mode=st.integers(0, 3),
    times=st.lists(st.floats(0.05, 0.6), min_size=2, max_size=4),
    ntaper=st.integers(0, 20),
    linvel=st.floats(800, 4000),
    tm0=st.floats(0, 0.4),
)
def test_sumute(seed: int, mode: int, times: list[float], ntaper: int, linvel: float, tm0: float) -> None:
    gather = noise(seed)
    key = gather.headers["offset"].astype(float)
    xmute = np.linspace(-1000 if mode < 2 else 0, 1600, len(times)).tolist()
    signed = key if mode < 2 else np.abs(key)
    expected, ties = su.sumute(gather.traces, 0.004, 0.0, signed, mode, xmute, times, ntaper, linvel, tm0)
    assume(not ties.all())
    if mode < 2:
        step: dict[str, Any] = {
            "use": "mute", "where": ("top", "bottom")[mode], "signed": True, "extrapolation": "su",
            "table": {"offset_m": xmute, "time_ms": [1000 * t for t in times]}, "taper_ms": 4.0 * ntaper,
        }  # fmt: skip
    else:
        step = {
            "use": "surgical_mute", "shape": ("linear", "hyperbolic")[mode - 2], "velocity_m_per_s": linvel,
            "time_ms": 1000 * tm0, "width": {"offset_m": xmute, "width_ms": [1000 * t for t in times]},
            "taper_ms": 4.0 * ntaper, "mode": "su",
        }  # fmt: skip
    assert worst(run(gather, step).traces[~ties], expected[~ties]) < 1e-6


@few
@given(
    slopes=st.lists(st.floats(-1.2e-3, 1.2e-3), min_size=2, max_size=6, unique=True).map(sorted),
    amps=st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=6, max_size=6),
)
def test_sudipfilt(slopes: list[float], amps: list[float]) -> None:
    traces = np.random.default_rng(12).standard_normal((53, 400)).astype(np.float32)
    amps = amps[: len(slopes)]
    gather = make_gather(traces, cdp=1, channel=np.arange(53), offset=10 * np.arange(53))
    step = {"use": "fk_filter", "dips_ms_per_m": [1000 * s for s in slopes], "amplitudes": amps, "spacing_m": 10.0,
            "padding": "su"}  # fmt: skip
    expected = su.sudipfilt(traces.astype(float), 0.004, 10.0, slopes, amps, (55, 416))
    if np.abs(expected).max() > 1e-3:
        assert worst(run(gather, step).traces, expected) < 1e-4


@settings(max_examples=4, deadline=None, derandomize=True, phases=[Phase.generate])
@given(
    seed=st.integers(0, 99),
    nv=st.integers(2, 6),
    smute=st.floats(1.1, 3),
    dtratio=st.integers(1, 6),
    half=st.integers(1, 12),
    pwr=st.sampled_from([1.0, 2.0, 0.5]),
)
def test_suvelan(seed: int, nv: int, smute: float, dtratio: int, half: int, pwr: float) -> None:
    gather = noise(seed)
    gather = gather.keep(gather.traces.any(axis=1) & (np.count_nonzero(gather.traces, axis=1) > 1))
    dv, fv = 150.0, 1500.0
    cdp, offset = gather.headers["cdp"], gather.headers["offset"]
    parts = [(gather.traces[cdp == c], offset[cdp == c]) for c in np.unique(cdp)]
    expected = su.suvelan(parts, 0.004, 0.0, nv, dv, fv, smute, dtratio, 2 * half + 1, pwr)
    step = {"use": "semblance", "first_m_per_s": fv, "last_m_per_s": fv + dv * (nv - 1), "step_m_per_s": dv,
            "max_stretch_percent": 100 * (smute - 1), "every": dtratio, "window_ms": 8.0 * half, "power": pwr,
            "mode": "su"}  # fmt: skip
    found = run(gather, step).traces
    assert found.shape == expected.shape
    end = -2 - 2 * half // dtratio
    assert np.mean(np.abs(found - expected)[:, :end] > 1e-3) < 0.01


@pytest.mark.parametrize("power", [0.0, 0.3, 0.5, 1.0])
def test_sustack(power: float) -> None:
    gather = noise(1)
    zero = gather.traces == 0
    data = np.where(zero, 0, gather.traces)
    alive = gather.keep(~zero.all(axis=1) & (np.count_nonzero(~zero, axis=1) > 1))
    made = run(alive, {"use": "stack", "normalise_power": power}).traces
    cdp = gather.headers["cdp"]
    used = np.isin(np.arange(12), [3, 5], invert=True)
    for row, c in enumerate((11, 12)):
        chosen = data[(cdp == c) & used].astype(float)
        assert worst(made[row], chosen.sum(axis=0) / np.count_nonzero(chosen, axis=0) ** power) < 1e-6


# ------------------------------------------------------------------------------------- files, and references to them


@pytest.fixture(scope="module")
def golden() -> Path:
    folder = Path(os.environ.get("SEISPROC_SHARED") or Path(__file__).resolve().parents[2] / "shared") / "golden"
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder}: set SEISPROC_SHARED to the folder that holds golden/")
    return folder


def load(golden: Path, case: str) -> tuple[Gather, np.ndarray, np.ndarray]:
    about = json.loads((golden / f"{case}.json").read_text())
    source = golden / about["input"] if about["input"].endswith(".npy") else golden / f"{about['input']}.npy"
    made = json.loads(source.with_suffix(".json").read_text())
    words = {name: made["headers"][name] for name in ("cdp", "offset") if name in made["headers"]}
    traces = np.load(source)
    gather = make_gather(traces, interval_ms=made["dt_us"] / 1000, start_ms=made["delrt_ms"],
                         trace_sequence_line=np.arange(1, len(traces) + 1), **words)  # fmt: skip
    return gather, np.load(golden / f"{case}.npy"), traces


STEPS: dict[str, tuple[float, list[dict[str, Any]]]] = {
    "madagascar/sfagc_125": (2e-5, [{"use": "agc", "kind": "triangle", "window_ms": 1000.0, "mode": "madagascar"}]),
    "misc/ampspec": (5e-6, [{"use": "spectrum", "length": 840, "mode": "su"}]),
    "misc/autocorr": (5e-6, [{"use": "autocorrelation", "length_ms": 400.0}]),
    "misc/autocorr_sym": (
        5e-6, [{"use": "autocorrelation", "length_ms": 200.0, "normalise": False, "symmetric": True}]
    ),
    "misc/window": (
        0.0, [{"use": "select", "where": {"offset": [500, 1500]}},
              {"use": "resample", "start_ms": 400.0, "count": 301, "mode": "su"}]
    ),
    "misc/window_tsample": (
        0.0, [{"use": "select", "where": "2 <= trace_sequence_line <= 11 and (trace_sequence_line - 2) % 3 == 0"},
              {"use": "resample", "start_ms": 200.0, "count": 250, "mode": "su"}]
    ),
    "mute/linvel": (
        1e-6, [{"use": "surgical_mute", "velocity_m_per_s": 1200.0, "time_ms": 100.0, "taper_ms": 40.0, "mode": "su",
                "width": {"offset_m": [0, 2400], "width_ms": [200, 300]}}]
    ),
    "mute/hyperbolic": (
        1e-6, [{"use": "surgical_mute", "velocity_m_per_s": 2000.0, "time_ms": 800.0, "taper_ms": 32.0, "mode": "su",
                "shape": "hyperbolic", "width": {"offset_m": [0, 2400], "width_ms": [120, 120]}}]
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", STEPS)
def test_files(golden: Path, case: str) -> None:
    gather, expected, _ = load(golden, case)
    tolerance, steps = STEPS[case]
    made = run(gather, *steps, words=())
    assert made.traces.shape == expected.shape
    ties = 6 if case.startswith("mute/") else 0  # times half-way between samples, rounded in single precision
    wrong = np.abs(made.traces - expected).max(axis=1) > tolerance * np.abs(expected).max()
    assert np.count_nonzero(wrong) <= ties


def test_susort(golden: Path) -> None:
    gather, expected, _ = load(golden, "misc/sort")
    sort = Step(use="sort", parameters={"sort": ["-offset", "cdp"]})
    made = process(Flow(source=Source(storage="memory", survey=MemorySurvey(gather)), steps=(sort,)))
    np.testing.assert_array_equal(made.read(slice(0, made.n_traces)).traces, expected)


def test_sutaper_over_traces(golden: Path) -> None:
    _, expected, traces = load(golden, "misc/taper")
    one = make_gather(traces, cdp=1, channel=np.arange(64))
    edges = {"use": "taper_traces", "first_traces": 5, "last_traces": 8, "shape": "sine", "zero_edge": True}
    found = run(one, {"use": "taper", "start_ms": 104.0, "shape": "sine"}, edges).traces
    assert np.abs(found - expected)[:, :440].max() < 5e-6 * np.abs(expected).max()


def test_default_agc_of_triangles_agrees_in_the_interior(golden: Path) -> None:
    gather, expected, _ = load(golden, "madagascar/sfagc_125")
    found = run(gather, {"use": "agc", "kind": "triangle", "window_ms": 1000.0}).traces
    assert np.abs(found - expected)[:, 125:-125].max() < 1e-4 * np.abs(expected).max()


def test_the_references_are_the_programs(golden: Path) -> None:
    gather, expected, x = load(golden, "gain/jon")
    assert worst(su.sugain(x, 0.004, 0, gather.headers["offset"], jon=1), expected) < 2e-6
    _, expected, x = load(golden, "gain/agc_default")
    assert worst(expected, su.sugain(x, 0.004, 0, np.zeros(1), agc=1)) < 2e-6
    _, expected, x = load(golden, "gain/gagc_w0400")
    assert worst(expected, su.sugain(x, 0.004, 0, np.zeros(1), gagc=1, wagc=0.4)) < 2e-6
    _, expected, x = load(golden, "filter/notch")
    assert worst(su.sufilter(x, 0.004, [10, 12.5, 35, 50, 60], [1, 0.5, 0, 0.5, 1], 840), expected) < 2e-6
    _, expected, x = load(golden, "decon/predictive_mix3")
    assert worst(su.supef(x, 0.004, 0.1, 0.2, 0.001, (1, 1, 1)), expected) < 2e-4
    _, expected, x = load(golden, "decon/predictive_window")
    assert worst(su.supef(x, 0.004, 0.06, 0.18, 0.01, window=2.6), expected) < 2e-4
    _, expected, x = load(golden, "fk/dip_reject")
    shape = (65, 520)
    assert worst(su.sudipfilt(x, 0.004, 10, [1e-4, 1.5e-4, 3e-4, 4e-4], [1, 0, 0, 1], shape), expected) < 1e-5
    gather, expected, x = load(golden, "mute/hyperbolic")
    made, ties = su.sumute(x, 0.004, 0, gather.headers["offset"], 3, [0, 2400], [0.12, 0.12], 8, 2000, 0.8)
    assert worst(made[~ties], expected[~ties]) < 1e-6
    gather, expected, x = load(golden, "velan/semblance_pwr")
    cdp, offset = gather.headers["cdp"], gather.headers["offset"]
    parts = [(x[cdp == c], offset[cdp == c]) for c in (101, 102, 103)]
    made = su.suvelan(parts, 0.004, 0, 25, 80, 1300, smute=2, dtratio=4, nsmooth=15, pwr=2)
    assert np.mean(np.abs(made - expected)[:, :-2] > 1e-3) < 2e-3
