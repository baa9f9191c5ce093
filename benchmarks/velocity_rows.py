"""NMO, stacks and velocity spectra on one core, against plain NumPy for the same work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import attrs
import numpy as np

from benchmarks.compute import BATCHES, FOLD, INTERVAL_S, SAMPLES
from benchmarks.harness import Goal, Row, Work, against, at_least, at_most, interleave, rate_row
from benchmarks.plain import prepared
from benchmarks.workspace import VELOCITY, Workspace
from seisproc_core.data.gather import Gather
from seisproc_core.processing.flow import Step
from seisproc_core.processing.plan import BATCH_BYTES
from seisproc_core.testing import make_gather

FIRST, LAST, STEP = 1500.0, 3500.0, 50.0  # trial velocities, m/s
VELOCITIES = np.arange(FIRST, LAST + 1, STEP)
HALF_WINDOW = 5  # samples
PEER_GATHERS = 2
SAME = 1e-3  # largest difference of spectra to the peer's


@attrs.frozen
class Case:
    """A step, how many traces go through it per trace read, its goal and peers, and the share of batches it gets."""

    name: str
    step: Step
    goal: Goal | None = None
    unit: str = "traces"
    each: int = 1
    share: float = 1.0
    spread: bool = False
    peers: Mapping[str, Callable[[Gather], np.ndarray]] = attrs.field(factory=dict)


def velocity_rows(space: Workspace) -> Iterator[Row]:
    """NMO with and without shared offsets and eta, stacks, velocity spectra: per second and core, in memory."""
    number = max(2, space.size(BATCHES))
    made = {spread: [_batch(seed, spread) for seed in range(number)] for spread in (False, True)}
    for case in CASES:
        batches = made[case.spread]
        some = batches[: round(case.share * len(batches))] or [batches[0].rows(0, 4 * FOLD)]
        count = case.each * sum(batch.n_traces for batch in some)
        ours = prepared(case.step)
        few = _gathers(some[0], PEER_GATHERS)
        for name, call in case.peers.items():
            _check(case.name, ours(few).traces, call(few), name)
        works = {"": Work(partial(_drive, ours, some))}
        if case.peers:
            works["few"] = Work(partial(_drive, ours, [few]))
        works |= {name: Work(partial(_drive, call, [few])) for name, call in case.peers.items()}
        seconds = interleave(works, space.rounds)
        yield rate_row(case.name, seconds[""], count, case.unit, goal=case.goal)
        for name in case.peers:
            amount = (case.each * few.n_traces, case.unit)
            yield against(case.name, seconds["few"], name, seconds[name], amount=amount, goal=at_most(0.5))


def _batch(seed: int, spread: bool) -> Gather:
    """CMP gathers laid end to end; `spread`: no two traces of a batch share their offset."""
    rng = np.random.default_rng(seed)
    count = BATCH_BYTES // (4 * SAMPLES) // FOLD * FOLD
    offset = rng.permutation(2 * count)[:count] if spread else np.tile(25 * np.arange(1, FOLD + 1), count // FOLD)
    starts = list(range(0, count + 1, FOLD))
    traces = rng.standard_normal((count, SAMPLES), np.float32)
    return make_gather(traces, interval_ms=1000 * INTERVAL_S, gather_starts=starts, offset=offset)


def _gathers(batch: Gather, number: int) -> Gather:
    """The first gathers of a batch."""
    rows = batch.rows(0, number * FOLD)
    return attrs.evolve(rows, gather_starts=np.arange(0, number * FOLD + 1, FOLD))


def _drive(call: Callable[[Gather], object], batches: list[Gather]) -> None:
    for batch in batches:
        call(batch)


def _check(what: str, ours: np.ndarray, theirs: np.ndarray, name: str) -> None:
    difference = float(np.abs(ours - theirs).max())
    if difference > SAME:
        raise AssertionError(f"{what} differs from {name} by {difference:.3g}")


def _spectrum_by_numpy(batch: Gather) -> np.ndarray:
    """Semblance with NumPy's interpolation and convolution, trace by trace; no stretch mute, like the step below."""
    times = np.arange(SAMPLES) * INTERVAL_S
    box, offset = np.ones(2 * HALF_WINDOW + 1), batch.headers["offset"]
    out = np.empty((batch.n_gathers * len(VELOCITIES), SAMPLES))
    for g, (a, b) in enumerate(zip(batch.gather_starts[:-1], batch.gather_starts[1:], strict=True)):
        for k, velocity in enumerate(VELOCITIES):
            taken = np.sqrt(times**2 + (offset[a:b, None] / velocity) ** 2)
            flat = np.stack([np.interp(taken[j - a], times, batch.traces[j], right=0.0) for j in range(a, b)])
            live = (taken <= times[-1] * (1 + 1e-12)).sum(axis=0)
            coherent = np.convolve(flat.sum(axis=0) ** 2, box, "same")
            power = np.convolve(live * (flat**2).sum(axis=0), box, "same")
            out[g * len(VELOCITIES) + k] = np.divide(coherent, power, out=np.zeros(SAMPLES), where=power > 0)
    return out


_TRIALS = {"first_m_per_s": FIRST, "last_m_per_s": LAST, "step_m_per_s": STEP}
_PLAIN = _TRIALS | {"window_ms": 2000 * HALF_WINDOW * INTERVAL_S, "max_stretch_percent": 1e12, "least_traces": 1}
_UNIT = "traces x velocities"
_ETA = {"time_ms": [0, 3000], "eta": [0.0, 0.1]}
CASES = (
    Case("NMO, shared offsets", Step(use="nmo", parameters={"velocity": VELOCITY}), at_least(120_000)),
    Case("NMO, all offsets differ", Step(use="nmo", parameters={"velocity": VELOCITY}), at_least(120_000), spread=True),
    Case("NMO with eta, all offsets differ", Step(use="nmo", parameters={"velocity": VELOCITY, "eta": _ETA}),
         spread=True),
    Case("stack of 50", Step(use="stack"), at_least(500_000)),
    Case("median stack of 50", Step(use="stack", parameters={"method": "median"})),
    Case("partial stacks, 3 classes", Step(use="partial_stack", parameters={"edges": [0.0, 400.0, 800.0, 1250.0]})),
    Case("semblance, 41 velocities", Step(use="semblance", parameters=_PLAIN), unit=_UNIT, each=len(VELOCITIES),
         share=0.0, peers={"NumPy interp, convolve": _spectrum_by_numpy}),
    Case("AB semblance, 41 velocities", Step(use="semblance", parameters=_PLAIN | {"measure": "ab"}), unit=_UNIT,
         each=len(VELOCITIES), share=0.0),
    Case("constant-velocity stacks, 41 velocities", Step(use="velocity_stacks", parameters=_TRIALS), unit=_UNIT,
         each=len(VELOCITIES), share=0.125),
)  # fmt: skip
