"""What one process measures: a processor or a peer, on batches of its own. One for each core."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import attrs
import numpy as np

from benchmarks.processors import data, limits
from benchmarks.processors.case import Case
from benchmarks.processors.catalogue import cases
from benchmarks.processors.limits import Limits
from seisproc_core.data.gather import Gather
from seisproc_core.plugins import registry
from seisproc_core.processing import kernels
from seisproc_core.processing.context import BufferPool, Context
from seisproc_core.processing.params import build
from seisproc_core.processing.survey_scope import SurveyProcessor

OURS = ""
LEAST_S = 0.2  # that a measurement lasts

Call = Callable[[Gather], Any]


@attrs.frozen
class Amount:
    """So many batches, the last of them cut to whole gathers, so many times over."""

    gathers: int
    passes: int

    def batches(self, case: Case) -> list[Gather]:
        made: tuple[Gather, ...] = getattr(data, case.data)()
        whole, rest = divmod(self.gathers, data.GATHERS)
        return [*made[:whole], *([data.first_gathers(made[whole], rest)] if rest else [])]


def machine() -> Limits:
    """What this core could do."""
    return limits.measure()


def amount(name: str, who: str) -> Amount:
    """How much work lasts at least `LEAST_S`: whole gathers first, up to all batches, then repetitions."""
    case, call = cases()[name], _warm(name, who)
    most = data.GATHERS * (1 if _whole_survey(case) else data.BATCHES)
    gathers = most if _whole_survey(case) else 1
    while True:
        batches = Amount(gathers, 1).batches(case)
        began = time.perf_counter()
        _drive(call, batches)
        taken = time.perf_counter() - began
        if taken >= LEAST_S / 4 or gathers == most:
            break
        gathers = min(4 * gathers, most)
    wanted = max(gathers, int(gathers * LEAST_S / taken))
    return Amount(min(wanted, most), max(1, round(wanted / most)))


def run(name: str, who: str, given: Amount, at: float) -> tuple[float, float, int]:
    """Begin at a time of the system's monotonic clock; when work began and ended, and how many traces went in."""
    call, batches = _warm(name, who), given.batches(cases()[name])
    time.sleep(max(0.0, at - time.monotonic()))
    began = time.monotonic()
    for _ in range(given.passes):
        _drive(call, batches)
    return began, time.monotonic(), given.passes * sum(batch.n_traces for batch in batches)


def flow_bytes(name: str) -> tuple[float, float]:
    """Bytes of samples read and written for every trace."""
    case = cases()[name]
    batch = Amount(1, 1).batches(case)[0]
    made: Gather = _call(name, OURS)(batch)
    read = batch.traces.nbytes * (1 + len(case.inputs))
    written = made.traces.nbytes if made.traces is not batch.traces else 0
    return (read if written else 0) / batch.n_traces, written / batch.n_traces


def difference(name: str, who: str) -> float:
    """Largest difference to a peer's samples away from the ends, over the largest sample."""
    case = cases()[name]
    batch = Amount(1, 1).batches(case)[0]
    ours = np.array(_call(name, OURS)(batch).traces)
    theirs = np.asarray(_call(name, who)(batch)).reshape(ours.shape)
    edge = ours.shape[1] // 6
    inside = slice(edge, -edge)
    return float(np.abs(ours[:, inside] - theirs[:, inside]).max() / np.abs(theirs[:, inside]).max())


def _whole_survey(case: Case) -> bool:
    return bool(registry().load("processors", case.use).scope == "survey")


def _drive(call: Call, batches: Sequence[Gather]) -> None:
    for batch in batches:
        call(batch)


@cache
def _warm(name: str, who: str) -> Call:
    """Compiled, caches filled."""
    case, call = cases()[name], _call(name, who)
    _drive(call, Amount(data.GATHERS if _whole_survey(case) else 1, 1).batches(case))
    return call


@cache
def _call(name: str, who: str) -> Call:
    case = cases()[name]
    return _prepared(case) if who == OURS else case.peers[who]


def _prepared(case: Case) -> Call:
    """A processor with the kernels a plan would choose, outputs from a pool, on one thread."""
    known = registry()
    cls = known.load("processors", case.use)
    chosen = kernels.load(known, kernels.choose(known, cls.kernels, None, case.use))
    made: tuple[Gather, ...] = getattr(data, case.data)()
    layout = data.layout_of(made)
    named = dict.fromkeys(case.inputs, "model.seis")
    instance = build(cls, case.use, {**case.parameters, **named}).resolve(layout)
    pool = BufferPool()
    if isinstance(instance, SurveyProcessor):
        return partial(_whole, instance, partial(Context, chosen, pool=pool))
    instance.check(layout)

    def apply(batch: Gather) -> Gather:
        context = Context(chosen, pool=pool, inputs=dict.fromkeys(case.inputs, batch))
        result: Gather = instance.apply(batch, context)
        return result

    return apply


def _whole(instance: SurveyProcessor, context: Callable[..., Context], batch: Gather) -> Gather:
    """Measure, solve, apply, with the batch as the survey; in the order of measuring from the start."""
    gather, sort = instance.measuring_order()
    keys = [batch.headers[word] for word in (*gather, *sort)]
    order = np.lexsort(keys[::-1])
    ends = np.any([np.diff(batch.headers[word][order]) != 0 for word in gather], axis=0)
    starts = np.concatenate(([0], np.flatnonzero(ends) + 1, [batch.n_traces]))
    survey = attrs.evolve(data.taken(batch, order), gather_starts=starts)
    solution: Any = {}
    for _ in range(instance.rounds()):
        records = instance.measure(survey, context(solution=solution))
        solution = instance.solve(records, context(solution=solution))
    return instance.apply(survey, context(solution=solution))
