"""One small processor per fault that the conformance suite must find, and one without fault."""

from __future__ import annotations

import os
import time
from typing import Any

import attrs
import numpy as np

from seisproc_core import Claims, Context, Gather, Processor, mute_outside, param, processor
from seisproc_core.data.gather import Layout

TAPER = Claims(examples=({"taper_ms": 80},), linear=True)


def tapered(batch: Gather, context: Context, samples: float) -> Gather:
    """Traces that rise linearly over their first samples."""
    ramp = np.minimum(1, np.arange(batch.n_samples) / max(samples, 1)).astype(np.float32)
    times = batch.sampling.times()
    before = int(np.searchsorted(times, 0.0))
    ramp = np.concatenate((np.zeros(before, np.float32), ramp))[: batch.n_samples]
    out = context.empty(batch.traces.shape)
    np.multiply(batch.traces, ramp, out=out)
    mute_outside(out, *batch.live_window)
    return batch.with_traces(out)


class Taper(Processor):
    """What they all do: taper the start of each trace, from time 0 on."""

    taper_ms: float = param(40.0, help="Length of the taper.", unit="ms", minimum=0)

    def samples(self, layout: Layout) -> float:
        return self.taper_ms / 1000 / layout.sampling.interval_s

    def apply(self, batch: Gather, context: Context) -> Gather:
        return tapered(batch, context, self.samples(batch))


@processor("right", scope="trace", claims=TAPER)
class Right(Taper):
    """Without fault."""

    taper_ms: float = param(40.0, help="Length of the taper.", unit="ms", minimum=0)

    def adjoint(self, traces: np.ndarray, layout: Layout, context: Context) -> np.ndarray:
        starts, headers, sampling = layout.gather_starts, layout.headers, layout.sampling
        given = Gather(headers=headers, sampling=sampling, gather_starts=starts, traces=traces)
        return tapered(given, context, self.samples(layout)).traces


@processor("wrong_shape", scope="trace", claims=TAPER)
class WrongShape(Taper):
    """Makes traces that are shorter than planned."""

    taper_ms: float = param(40.0, help="Length of the taper.", unit="ms", minimum=0)

    def apply(self, batch: Gather, context: Context) -> Gather:
        made = super().apply(batch, context)
        sampling = attrs.evolve(made.sampling, count=max(1, made.n_samples - 1))
        headers = made.headers.with_live_window(*made.headers.live_window(sampling.count))
        return attrs.evolve(made, headers=headers, sampling=sampling, traces=made.traces[:, : sampling.count].copy())


@processor("lost_headers", scope="trace", claims=TAPER)
class LostHeaders(Taper):
    """Loses a word."""

    taper_ms: float = param(40.0, help="Length of the taper.", unit="ms", minimum=0)

    def apply(self, batch: Gather, context: Context) -> Gather:
        made = super().apply(batch, context)
        return made.with_headers(made.headers.without("offset"))


@processor("new_identity", scope="trace", claims=TAPER)
class NewIdentity(Taper):
    """Numbers traces anew, and says so in its plan."""

    taper_ms: float = param(40.0, help="Length of the taper.", unit="ms", minimum=0)

    def plan(self, layout: Layout) -> Layout:
        return attrs.evolve(layout, headers=layout.headers.with_columns(trace_id=layout.headers.column("trace_id") + 7))

    def apply(self, batch: Gather, context: Context) -> Gather:
        made = super().apply(batch, context)
        return made.with_headers(self.plan(made.layout).headers)


@processor("unit_mistake", scope="trace", claims=TAPER)
class UnitMistake(Taper):
    """Takes milliseconds for samples."""

    taper_ms: float = param(40.0, help="Length of the taper.", unit="ms", minimum=0)

    def samples(self, layout: Layout) -> float:
        return self.taper_ms


@processor("sample_count", scope="trace", claims=TAPER)
class CountsFromTheRecorder(Taper):
    """Tapers from the first sample on, whenever that is."""

    taper_ms: float = param(40.0, help="Length of the taper.", unit="ms", minimum=0)

    def apply(self, batch: Gather, context: Context) -> Gather:
        late = attrs.evolve(batch, sampling=attrs.evolve(batch.sampling, start_s=0.0))
        return batch.with_traces(super().apply(late, context).traces)


@processor("unnamed_unit", scope="trace", claims=Claims(examples=({"taper": 80},), linear=True))
class UnnamedUnit(Processor):
    """A parameter whose name does not tell its unit."""

    taper: float = param(40.0, help="Length of the taper.", unit="ms", minimum=0)

    def apply(self, batch: Gather, context: Context) -> Gather:
        return tapered(batch, context, self.taper / 1000 / batch.sampling.interval_s)


LARGEST: dict[str, float] = {"": 0.0}


@processor("hidden_state", scope="trace", claims=Claims(examples=({"taper_ms": 80},)))
class HiddenState(Taper):
    """Remembers whether it ever saw a strong trace."""

    taper_ms: float = param(40.0, help="Length of the taper.", unit="ms", minimum=0)

    def apply(self, batch: Gather, context: Context) -> Gather:
        finite = np.abs(batch.traces[np.isfinite(batch.traces)])
        strong = bool(finite.size and np.median(finite) > 5)
        LARGEST[""] = max(LARGEST[""], 1.0 if strong else 0.0)
        made = super().apply(batch, context)
        return made.with_traces(made.traces * np.float32(2)) if LARGEST[""] and not strong else made


@processor("in_place", scope="trace", claims=TAPER)
class InPlace(Taper):
    """Works in the input's memory."""

    taper_ms: float = param(40.0, help="Length of the taper.", unit="ms", minimum=0)

    def apply(self, batch: Gather, context: Context) -> Gather:
        made = super().apply(batch, context).traces
        batch.traces[...] = made
        return batch.with_traces(batch.traces)


@processor("other_process", scope="trace", claims=Claims(examples=({"taper_ms": 80},)))
class OtherProcess(Taper):
    """Depends on the process it runs in."""

    taper_ms: float = param(40.0, help="Length of the taper.", unit="ms", minimum=0)

    def apply(self, batch: Gather, context: Context) -> Gather:
        made = super().apply(batch, context)
        return made.with_traces(made.traces * np.float32(1 + os.getpid() % 1009 / 1e5))


@processor("noisy", scope="trace", claims=Claims(examples=({"taper_ms": 80},)))
class Noisy(Taper):
    """Adds noise that is too small to matter and never the same."""

    taper_ms: float = param(40.0, help="Length of the taper.", unit="ms", minimum=0)

    def apply(self, batch: Gather, context: Context) -> Gather:
        made = super().apply(batch, context)
        noise = 1 + 1e-6 * np.random.default_rng().standard_normal(made.traces.shape)
        return made.with_traces((made.traces * noise).astype(np.float32))


@processor("ignored_parameter", scope="trace", claims=TAPER)
class IgnoredParameter(Taper):
    """Has a parameter that does nothing."""

    taper_ms: float = param(40.0, help="Length of the taper.", unit="ms", minimum=0)
    strength: float = param(1.0, help="Said to do something.", minimum=0)


@processor("swallowed", scope="trace", claims=TAPER)
class Swallowed(Taper):
    """Returns zeros where something failed."""

    taper_ms: float = param(40.0, help="Length of the taper.", unit="ms", minimum=0)

    def apply(self, batch: Gather, context: Context) -> Gather:
        try:
            return super().apply(batch, context)
        except Exception:
            return batch.with_traces(np.zeros_like(batch.traces))


@processor("ignored_cancel", scope="trace", claims=TAPER)
class IgnoredCancel(Taper):
    """Computes for a second without a look at the flag."""

    taper_ms: float = param(40.0, help="Length of the taper.", unit="ms", minimum=0)

    def apply(self, batch: Gather, context: Context) -> Gather:
        until = time.thread_time() + 0.001 * min(batch.n_traces, 1000)
        while time.thread_time() < until:
            pass
        return super().apply(batch, context)


@processor("memory_lie", scope="trace", claims=attrs.evolve(TAPER, memory=1.5))
class MemoryLie(Taper):
    """Takes ten times what it claims."""

    taper_ms: float = param(40.0, help="Length of the taper.", unit="ms", minimum=0)

    def apply(self, batch: Gather, context: Context) -> Gather:
        many = np.repeat(batch.traces[None], 15, axis=0)
        return super().apply(batch.with_traces(many[-1]), context)


@processor("nan_spread", scope="trace", claims=Claims(examples=({"taper_ms": 80},)))
class NanSpread(Taper):
    """Multiplies the batch with a matrix: 0 times NaN is NaN."""

    taper_ms: float = param(40.0, help="Length of the taper.", unit="ms", minimum=0)

    def apply(self, batch: Gather, context: Context) -> Gather:
        made = super().apply(batch, context)
        return made.with_traces(np.eye(batch.n_traces, dtype=np.float32) @ made.traces)


@processor("sums_batch", scope="trace", claims=Claims(examples=({"taper_ms": 80},)))
class DependsOnBatch(Taper):
    """Scales by how many traces there are."""

    taper_ms: float = param(40.0, help="Length of the taper.", unit="ms", minimum=0)

    def apply(self, batch: Gather, context: Context) -> Gather:
        made = super().apply(batch, context)
        return made.with_traces(made.traces * np.float32(1 + batch.n_traces / 100))


@processor("dead_alive", scope="trace", claims=TAPER)
class RaisesDead(Taper):
    """Fails on a batch without traces."""

    taper_ms: float = param(40.0, help="Length of the taper.", unit="ms", minimum=0)

    def apply(self, batch: Gather, context: Context) -> Gather:
        made = super().apply(batch, context)
        batch.headers.column("offset")[0]
        return made


@processor("not_linear", scope="trace", claims=TAPER)
class NotLinear(Taper):
    """Claims to be linear and is not."""

    taper_ms: float = param(40.0, help="Length of the taper.", unit="ms", minimum=0)

    def apply(self, batch: Gather, context: Context) -> Gather:
        made = super().apply(batch, context)
        return made.with_traces(np.tanh(made.traces))


@processor("wrong_adjoint", scope="trace", claims=TAPER)
class WrongAdjoint(Taper):
    """Has an adjoint that is not one."""

    taper_ms: float = param(40.0, help="Length of the taper.", unit="ms", minimum=0)

    def adjoint(self, traces: np.ndarray, layout: Layout, context: Context) -> np.ndarray:
        return traces


@processor("saves_otherwise", scope="trace", saves=("ramp",), claims=TAPER)
class SavesOtherwise(Taper):
    """Gives another result when it is asked to save something."""

    taper_ms: float = param(40.0, help="Length of the taper.", unit="ms", minimum=0)

    def apply(self, batch: Gather, context: Context) -> Gather:
        out = tapered(batch, context, self.samples(batch) + len(context.saving))
        context.save("ramp", out.traces)
        return out


@processor("saves_less", scope="trace", saves=("ramp",), claims=TAPER)
class SavesLess(Taper):
    """Saves a trace less than it makes."""

    taper_ms: float = param(40.0, help="Length of the taper.", unit="ms", minimum=0)

    def apply(self, batch: Gather, context: Context) -> Gather:
        out = tapered(batch, context, self.samples(batch))
        context.save("ramp", out.traces[1:])
        return out


@processor("backends", scope="trace", kernels=("double",), claims=Claims())
class TwoForms(Processor):
    """Calls a kernel whose fast form is 1e-4 off."""

    def apply(self, batch: Gather, context: Context) -> Gather:
        out: Any = context.kernel("double")(batch.traces)
        return batch.with_traces(out)


def double(traces: np.ndarray) -> np.ndarray:
    return traces * np.float32(2)


def nearly_double(traces: np.ndarray) -> np.ndarray:
    return traces * np.float32(2.0002)


# Fault: the checks that find it, and no others.
FAULTS: dict[type[Processor], set[str]] = {
    Right: set(),
    WrongShape: {"shape"},
    LostHeaders: {"headers"},
    NewIdentity: {"headers"},
    UnitMistake: {"units"},
    CountsFromTheRecorder: {"units"},
    UnnamedUnit: {"units"},
    HiddenState: {"state"},
    InPlace: {"input"},
    OtherProcess: {"repeatable"},
    Noisy: {"repeatable", "state"},  # whatever compares bytes of two calls
    IgnoredParameter: {"parameters"},
    Swallowed: {"exceptions"},
    IgnoredCancel: {"cancel"},
    MemoryLie: {"memory"},
    NanSpread: {"nan"},
    DependsOnBatch: {"batches"},
    RaisesDead: {"edges"},
    NotLinear: {"linear"},
    WrongAdjoint: {"linear"},
    SavesOtherwise: {"saves"},
    SavesLess: {"saves"},
}
