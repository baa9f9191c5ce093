"""Processors of whole gathers on one core, dip filter and f-x prediction against plain library calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import attrs
import numpy as np
from scipy import fft

from benchmarks.compute import BATCHES, FOLD, INTERVAL_S, SAMPLES
from benchmarks.harness import Goal, Row, Work, against, at_least, interleave, rate_row
from benchmarks.plain import prepared
from benchmarks.workspace import Workspace
from seisproc_core.data.gather import Gather
from seisproc_core.processing.flow import Step
from seisproc_core.processing.plan import BATCH_BYTES
from seisproc_core.testing import make_gather

SPACING_M = 25.0
SLOPE = 1 / 1500  # s/m: edge of the fan that is passed
PADDED = (1920, 75)  # samples and traces of the FFT that a dip filter in library calls works on
LEAST_BATCHES = 2  # slow steps see fewer of them


@attrs.frozen
class Case:
    """A step, its goal and its peers; `share` of the batches is enough for slow ones, one gather if that is none."""

    name: str
    step: Step
    goal: Goal | None = None
    share: float = 1.0
    peers: Mapping[str, Callable[[Gather], np.ndarray]] = attrs.field(factory=dict)


def multichannel_rows(space: Workspace) -> Iterator[Row]:
    """Dip filter, f-x prediction, Radon and slant stacks: traces per second and core, in memory, batches of 8 MiB."""
    batches = _batches(max(LEAST_BATCHES, space.size(BATCHES)))
    for case in CASES:
        some = batches[: round(case.share * len(batches))] or [batches[0].rows(0, FOLD)]
        count = sum(batch.n_traces for batch in some)
        works = {"": Work(partial(_drive, prepared(case.step), some))}
        works |= {name: Work(partial(_drive, call, some)) for name, call in case.peers.items()}
        seconds = interleave(works, space.rounds)
        yield rate_row(case.name, seconds[""], count, "traces", goal=case.goal)
        for name in case.peers:
            yield against(case.name, seconds[""], name, seconds[name], amount=(count, "traces"))


def _batches(number: int) -> list[Gather]:
    """Shot records of `FOLD` traces, laid end to end."""
    rng = np.random.default_rng(5)
    count = BATCH_BYTES // (4 * SAMPLES) // FOLD * FOLD
    starts = list(range(0, count + 1, FOLD))
    offset = np.tile(SPACING_M * np.arange(1, FOLD + 1), count // FOLD)
    made = (rng.standard_normal((count, SAMPLES), np.float32) for _ in range(number))
    return [make_gather(t, interval_ms=1000 * INTERVAL_S, gather_starts=starts, offset=offset) for t in made]


def _drive(call: Callable[[Gather], object], batches: list[Gather]) -> None:
    for batch in batches:
        call(batch)


def _dip_filter(batch: Gather) -> np.ndarray:
    """The same fan in two-dimensional FFT calls of SciPy, a gather at a time, without care of edges."""
    length, width = PADDED
    frequency = fft.rfftfreq(length, INTERVAL_S)
    wavenumber = fft.fftfreq(width, SPACING_M)[:, None]
    gain = (np.abs(wavenumber) <= SLOPE * frequency).astype(np.float32)
    out = np.empty_like(batch.traces)
    for start in range(0, batch.n_traces, FOLD):
        rows = slice(start, start + FOLD)
        spectrum = fft.fft(fft.rfft(batch.traces[rows], length, workers=1), width, axis=0, workers=1) * gain
        out[rows] = fft.irfft(fft.ifft(spectrum, axis=0, workers=1)[:FOLD], length, workers=1)[:, :SAMPLES]
    return out


CASES = (
    Case(
        "FK dip filter, gathers of 50", Step(use="fk_filter", parameters={"kind": "pass", "min_m_per_s": 1 / SLOPE}),
        at_least(30_000), peers={"SciPy fft along both axes": _dip_filter},
    ),
    Case("f-x decon, gathers of 50", Step(use="fx_decon"), at_least(15_000)),
    Case(
        "parabolic Radon demultiple, one geometry",
        Step(use="radon_demultiple", parameters={"cut_ms": 60.0, "reference_offset_m": SPACING_M * FOLD}), share=0.5,
    ),
    Case("local slant stack, 21 slopes, 9 traces", Step(
        use="slant_median", parameters={"min_ms_per_m": -0.6, "max_ms_per_m": 0.6}), share=0.25,
    ),
    Case("f-x interpolation, spacing halved", Step(use="fx_interpolate"), share=0.0),
)  # fmt: skip
