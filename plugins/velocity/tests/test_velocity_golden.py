"""Against results of Seismic Unix: exact where its conventions are asked for, close with the defaults."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seisproc_core.data.gather import Gather
from seisproc_core.data.tables import Table
from seisproc_velocity.fields import slowness_squared
from seisproc_velocity.nmo import Nmo
from seisproc_velocity.semblance import velocity_spectrum
from seisproc_velocity.stack import Stack
from seisproc_velocity.velan import Semblance

CASES = json.loads(Path(__file__).with_name("golden.json").read_text())
GATHERS = [0, 24, 48, 72]


def expected(golden: Path, name: str) -> tuple[np.ndarray, Any]:
    about = json.loads((golden / f"{name}.json").read_text())
    return np.load(golden / f"{name}.npy", allow_pickle=False), about


def input_name(about: Any) -> str:
    return Path(about["input"]).stem


@pytest.mark.parametrize("case", CASES["nmo"])
def test_nmo_as_seismic_unix(case: str, golden: Path, load: Callable[..., Gather], run: Callable[..., Gather]) -> None:
    wanted, about = expected(golden, f"nmo/{case}")
    given = CASES["nmo"][case]
    made = run(Nmo, load(input_name(about)), **(CASES["su"] | given["parameters"]))
    error = np.abs(made.traces - wanted) / np.abs(wanted).max()
    # Two samples at the mute edge hang on float32 rounding in the original.
    edge = np.argmax(wanted != 0, axis=1)
    error[np.abs(np.arange(wanted.shape[1]) - edge[:, None]) <= 2] = 0
    wrong = np.flatnonzero(error.max(axis=1) > given["tolerance"])
    assert len(wrong) <= given.get("mute_ties", 0), f"traces {wrong}, error {error.max():.2e}"


def backward_rate(gather: Gather, parameters: dict[str, Any]) -> np.ndarray:
    """dt/dt0 of every sample as Seismic Unix has it: half a sample above where it belongs."""
    times = gather.sampling.times()
    rows, row = slowness_squared(Table(parameters["velocity"]), times, gather.headers, parameters["lateral"])
    t = np.sqrt(times**2 + gather.headers["offset"][:, None] ** 2 * rows[row])
    return np.diff(t, prepend=np.nan, axis=1) / gather.sampling.interval_s


@pytest.mark.parametrize("case", CASES["nmo"])
def test_nmo_defaults_agree_in_the_interior(
    case: str, golden: Path, load: Callable[..., Gather], run: Callable[..., Gather]
) -> None:
    wanted, about = expected(golden, f"nmo/{case}")
    given = CASES["nmo"][case]
    parameters = {k: v for k, v in (CASES["su"] | given["parameters"]).items() if k != "mode"}
    gather = load(input_name(about))
    scale = parameters["scale_stretch"] and "inverse" not in parameters
    made = run(Nmo, gather, **(parameters | ({"scale_stretch": False} if scale else {})))
    flat = made.traces * backward_rate(gather, parameters) if scale else made.traces
    first, end = made.live_window
    ramp = round(parameters.get("taper_ms", 0) / 1000 / gather.sampling.interval_s)
    sample = np.arange(gather.n_samples)
    inside = (sample >= first[:, None] + ramp + 8) & (sample < end[:, None] - 8)
    assert inside.sum() > 0.3 * inside.size
    error = np.where(inside, np.abs(flat - wanted), 0) / np.abs(wanted).max()
    assert error.max() <= given["interior"]


@pytest.mark.parametrize("case", CASES["stack"])
def test_stack_after_nmo(case: str, golden: Path, load: Callable[..., Gather], run: Callable[..., Gather]) -> None:
    wanted, _ = expected(golden, f"stack/{case}")
    given = CASES["stack"][case]
    flat = run(Nmo, load("cmp3", GATHERS), **(CASES["su"] | CASES["stack_after"]))
    made = run(Stack, flat, normalise_power=float(given["normalise_power"]))
    error = np.abs(made.traces - wanted) / np.abs(wanted).max()
    assert np.mean(error > given["tolerance"]) <= given["outside"]
    assert made.headers["fold"].tolist() == [24, 24, 24]
    assert made.headers["cdp"].tolist() == [101, 102, 103]


def test_stack_by_offset(golden: Path, load: Callable[..., Gather], run: Callable[..., Gather]) -> None:
    wanted, _ = expected(golden, "stack/sort_stack_offset")
    gather = load("cmp3")
    order = np.lexsort((gather.headers["cdp"], gather.headers["offset"]))
    by_offset = Gather(
        headers=gather.headers.take(order),
        sampling=gather.sampling,
        gather_starts=np.arange(0, 73, 3),
        traces=gather.traces[order],
    )
    np.testing.assert_allclose(run(Stack, by_offset).traces, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())


def test_stack_with_dead_traces(golden: Path, load: Callable[..., Gather], run: Callable[..., Gather]) -> None:
    wanted, _ = expected(golden, "stack/stack_edge")
    first, end = np.zeros(12), np.full(12, 400)
    end[4] = 0  # dead
    first[9] = 60  # muted
    made = run(Stack, load("edge", live=(first, end)))
    np.testing.assert_allclose(made.traces, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())
    assert made.headers["fold"].tolist() == [11]


@pytest.mark.parametrize("case", CASES["velan"])
def test_velocity_spectrum(case: str, golden: Path, load: Callable[..., Gather], run: Callable[..., Gather]) -> None:
    wanted, _ = expected(golden, f"velan/{case}")
    c = CASES["velan"][case]
    velocities = c["first"] + c["by"] * np.arange(c["count"])
    options = {"window_ms": c["window_ms"], "step": c["step"], "max_stretch_percent": c["max_stretch_percent"]}
    gathers = list(load("cmp3", GATHERS).split())
    made = np.concatenate([velocity_spectrum(g, velocities, mode="su", **options) for g in gathers]) ** c["power"]
    assert made.shape == wanted.shape
    error = np.abs(made - wanted)[:, :-2]  # the last two hang on float32 rounding at the end of the traces
    assert np.mean(error > c["tolerance"]) <= c["outside"]
    assert error[:, : -wanted.shape[1] // 4].max() <= c["tolerance"]

    steps = {"first_m_per_s": velocities[0], "last_m_per_s": velocities[-1], "step_m_per_s": c["by"]}
    asked = {k: float(v) for k, v in (steps | {k: options[k] for k in ("window_ms", "max_stretch_percent")}).items()}
    panels = run(Semblance, load("cmp3", GATHERS), mode="su", every=c["step"], **asked)
    np.testing.assert_allclose(panels.traces ** c["power"], made, atol=1e-6)
    np.testing.assert_array_equal(panels.headers["velocity_m_per_s"], np.tile(velocities, 3))

    ours = np.concatenate([velocity_spectrum(g, velocities, **options) for g in gathers]) ** c["power"]
    events = np.rint(np.array([0.4, 0.8, 1.2, 1.7, 2.3]) / 0.004 / c["step"]).astype(int)
    for g in range(3):
        rows = slice(g * c["count"], (g + 1) * c["count"])
        best = velocities[ours[rows][:, events].argmax(axis=0)]
        np.testing.assert_allclose(best, [1600, 1900, 2200, 2500, 2800], atol=c["by"] + 1)
