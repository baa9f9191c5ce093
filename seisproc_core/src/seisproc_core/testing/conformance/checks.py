"""What every processor must do, one function per promise; each raises `AssertionError` saying what was broken."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import numpy as np
from hypothesis import HealthCheck, Phase, given, settings

from seisproc_core.data.gather import Gather
from seisproc_core.data.words import DEAD, LIVE_END, LIVE_FIRST, TRACE_ID
from seisproc_core.processing.processor import Processor
from seisproc_core.testing.conformance.data import BASE, SMALL, Shape, batch, copied, live
from seisproc_core.testing.conformance.subject import (
    REFERENCE,
    Refused,
    Subject,
    digest,
    disagreement,
    relative_rms,
    rms,
)

Check = Callable[[Subject], None]
MEASURED = {LIVE_FIRST, LIVE_END, DEAD, "fold"}  # words that any processor may fill in from samples
DRAWS = 2
SLOW_S = 1.0  # what takes longer on one batch is not tried on more


def for_examples(subject: Subject, check: Callable[[dict[str, Any], Shape], None], draws: int = DRAWS) -> None:
    """Run `check` on every example of the processor, with data that hypothesis makes and those all are to accept."""
    for parameters in subject.examples:
        with said_with(parameters):
            began = time.process_time()
            check(parameters, BASE)
            if draws and time.process_time() - began < SLOW_S:
                _drawn(check, parameters, draws)


def _drawn(check: Callable[[dict[str, Any], Shape], None], parameters: dict[str, Any], draws: int) -> None:
    @settings(
        max_examples=draws,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],  # shapes are small already
        suppress_health_check=list(HealthCheck),
    )
    @given(SMALL)
    def run(shape: Shape) -> None:
        with contextlib.suppress(Refused):  # a processor may refuse data that are too short for its parameters
            check(parameters, shape)

    run()


@contextlib.contextmanager
def said_with(parameters: Mapping[str, Any]) -> Iterator[None]:
    """Whatever fails says with which parameters; `Refused` is a failure here."""
    try:
        yield
    except Refused as error:
        raise AssertionError(f"the example {dict(parameters)} is refused: {error}") from error
    except BaseException as error:
        error.add_note(f"parameters: {dict(parameters)}")
        raise


def made_for(subject: Subject, shape: Shape) -> Gather:
    """A batch with the words that the processor's examples need."""
    return batch(shape, subject.cls.claims)


def check_shape(subject: Subject) -> None:
    """float32, C order, finite; rows, gathers and sampling as planned."""

    def check(parameters: dict[str, Any], shape: Shape) -> None:
        given_ = made_for(subject, shape)
        planned = subject.make(parameters, given_).plan(given_.layout)
        out = subject.run(parameters, given_)
        assert out.traces.dtype == np.float32 and out.traces.flags.c_contiguous, "traces must be float32 in C order"
        assert out.sampling == planned.sampling, f"planned {planned.sampling}, made {out.sampling}"
        assert np.array_equal(out.gather_starts, planned.gather_starts), "other gathers than planned"
        assert out.n_gathers == given_.n_gathers, "the number of gathers may not change"
        assert np.isfinite(out.traces).all(), "made NaN or Inf from finite samples"

    for_examples(subject, check)


def check_headers(subject: Subject) -> None:
    """No word is lost; all but what is measured from samples is what the plan says, `trace_id` above all."""
    may_differ = MEASURED | set(subject.cls.claims.measured)

    def check(parameters: dict[str, Any], shape: Shape) -> None:
        given_ = made_for(subject, shape)
        planned = subject.make(parameters, given_).plan(given_.layout).headers
        out = subject.run(parameters, given_).headers
        lost = [name for name in given_.headers if name not in out and name not in subject.cls.claims.drops]
        assert not lost, f"header word '{lost[0]}' is lost"
        assert set(planned) == set(out), f"planned and made words differ in {sorted(set(planned) ^ set(out))}"
        for name in planned:
            assert planned.dtype(name) == out.dtype(name), f"'{name}' is {out.dtype(name)}, not {planned.dtype(name)}"
            if name not in may_differ and len(planned) == len(out):
                assert np.array_equal(planned.column(name), out.column(name)), f"'{name}' is not what was planned"
        if len(out) == given_.n_traces:
            assert np.array_equal(out.column(TRACE_ID), given_.headers.column(TRACE_ID)), "trace_id changed"

    for_examples(subject, check)


def check_batches(subject: Subject) -> None:
    """The result does not depend on how traces (gathers) are put together into batches or cut into segments."""

    def check(parameters: dict[str, Any], shape: Shape) -> None:
        whole = made_for(subject, shape)
        together = subject.run(parameters, whole)
        for cuts in _cuts(whole, subject.cls.scope):
            parts = [subject.run(parameters, part) for part in cuts]
            made = Gather.concatenate([part for part in parts if part.n_traces] or parts[:1])
            problem = disagreement(subject.cls, made, together)
            assert not problem, f"depends on what else is in the batch: {problem}"

    for_examples(subject, check)


def _cuts(whole: Gather, scope: str) -> Iterator[list[Gather]]:
    """The batch in several pieces, in different ways: gather by gather, and where traces stand alone, anywhere."""
    yield list(whole.split())
    if scope == "trace":
        yield [whole.rows(start, min(start + 5, whole.n_traces)) for start in range(0, whole.n_traces, 5)]


def check_state(subject: Subject) -> None:
    """Nothing of one batch is left for the next, in the processor or around it."""

    def check(parameters: dict[str, Any], shape: Shape) -> None:
        one = made_for(subject, shape)
        other = made_for(subject, attrs.evolve(shape, seed=shape.seed + 1, gathers=tuple(n + 3 for n in shape.gathers)))
        other = attrs.evolve(other, traces=other.traces * np.float32(50))
        made, context = subject.make(parameters, one), subject.context()
        before = digest(made.apply(copied(one), context))
        made.apply(copied(other), context)
        assert digest(made.apply(copied(one), context)) == before, "remembers the batch before"
        assert digest(subject.run(parameters, one)) == before, "a new one gives another result than one that was used"

    for_examples(subject, check, 2)


def check_input(subject: Subject) -> None:
    """Input arrays are neither written to nor needed writable."""

    def check(parameters: dict[str, Any], shape: Shape) -> None:
        given_ = made_for(subject, shape)
        before = digest(given_)
        for backend in (subject.default, *subject.backends):
            mine = copied(given_)
            frozen = [mine.traces, *(mine.headers.column(name) for name in mine.headers)]
            if backend == "reference":  # compiled forms, made for each kind of array, are looked at afterwards
                for array in frozen:
                    array.flags.writeable = False
            try:
                subject.make(parameters, mine).apply(mine, subject.context(backend))
            except ValueError as error:
                if "read-only" not in str(error):
                    raise
                raise AssertionError(f"writes to its input: {error}") from error
            assert digest(mine) == before, f"changes its input ({backend})"

    for_examples(subject, check, 2)


def check_nan(subject: Subject) -> None:
    """NaN and Inf in one trace (gather) reach no other, and stop nothing."""
    spreads = subject.cls.claims.spreads or subject.cls.scope

    def check(parameters: dict[str, Any], shape: Shape) -> None:
        clean = made_for(subject, shape)
        rows = [int(start) for start, stop in zip(clean.gather_starts[:-1], clean.gather_starts[1:], strict=True)
                if stop > start][:1]  # fmt: skip
        ill = copied(clean)
        for row in rows:
            ill.traces[row, shape.samples // 2] = np.nan
            ill.traces[row, shape.samples // 2 + 3] = np.inf
        with np.errstate(all="ignore"):
            expected, out = subject.run(parameters, clean), subject.run(parameters, ill)
        assert out.n_traces == expected.n_traces, "NaN changed the number of traces"
        touched = np.zeros(out.n_traces, bool)
        for row in rows:
            if spreads == "trace" and out.n_traces == clean.n_traces:
                touched[row] = True
            else:
                touched |= out.gather_of == clean.gather_of[row]
        if spreads == "trace" and out.n_traces != clean.n_traces:  # a selection: by identity
            touched = np.isin(out.headers.column(TRACE_ID), clean.headers.column(TRACE_ID)[rows])
        error = relative_rms(out.traces[~touched], expected.traces[~touched])
        assert error <= 1e-5, f"NaN in one trace reaches beyond its {spreads}"

    with np.errstate(all="ignore"):
        for_examples(subject, check, 2)


def check_edges(subject: Subject) -> None:
    """Dead traces, empty gathers, one trace, no trace, odd lengths; dead traces have no influence."""
    shapes = (
        Shape(gathers=(1,)), Shape(gathers=(4, 0, 6)), Shape(gathers=(0,)), Shape(gathers=(5, 3), samples=1),
        Shape(gathers=(5, 3), samples=2), Shape(gathers=(3, 1), samples=97), Shape(gathers=(9, 4), spoiled=True),
    )  # fmt: skip
    for parameters in subject.examples:
        with said_with(parameters):
            for shape in shapes:
                with contextlib.suppress(Refused):
                    _edge(subject, parameters, shape)


def _edge(subject: Subject, parameters: dict[str, Any], shape: Shape) -> None:
    given_ = made_for(subject, shape)
    out = subject.run(parameters, given_)
    planned = subject.make(parameters, given_).plan(given_.layout)
    assert out.n_traces == planned.n_traces, f"{out.n_traces} traces of {shape.gathers}, planned {planned.n_traces}"
    assert np.isfinite(out.traces).all(), f"made NaN or Inf of {shape}"
    assert not out.traces[~live(out)].any(), "left samples outside the live windows"
    if DEAD in out.headers:
        assert not out.traces[out.headers.column(DEAD) != 0].any(), "dead traces came to life"
    noise = np.random.default_rng(9).normal(0, 100, given_.traces.shape).astype(np.float32)
    dead = given_.headers.column(DEAD)[:, None] != 0
    spoiled = attrs.evolve(given_, traces=np.where(dead, noise, given_.traces))
    again = subject.run(parameters, spoiled)
    again.traces[again.headers.column(DEAD) != 0] = 0
    problem = disagreement(subject.cls, again, out)
    assert not problem, f"what a dead trace holds has influence: {problem}"


def check_saves(subject: Subject) -> None:
    """Every side output has a finite sample for each of the output, and asking for it changes no byte of that."""
    saving = frozenset(subject.cls.saves)

    def check(parameters: dict[str, Any], shape: Shape) -> None:
        given_ = made_for(subject, shape)
        made = subject.make(parameters, given_)
        for backend in (subject.default, *subject.backends):
            context = subject.context(backend, saving=saving)
            out = made.apply(copied(given_), context)
            saved = context.saved()
            for name in sorted(saving):
                assert name in saved, f"does not save '{name}'"
                mine = saved[name]
                right = mine.dtype == np.float32 and mine.shape == out.traces.shape
                assert right, f"saves '{name}' as {mine.dtype} {mine.shape}"
                assert np.isfinite(saved[name]).all(), f"saves NaN or Inf as '{name}'"
            plain = subject.run(parameters, given_, backend)
            assert digest(out) == digest(plain), f"its output changes when it also saves ({backend})"
            context = subject.context(backend)
            made.apply(copied(given_), context)
            assert not context.saved(), "saves what nobody asks for"

    if saving:
        for_examples(subject, check)


def check_backends(subject: Subject) -> None:
    """Every backend gives what the reference gives."""
    for backend in subject.backends:

        def check(parameters: dict[str, Any], shape: Shape, backend: str = backend) -> None:
            given_ = made_for(subject, shape)
            found, expected = (subject.run(parameters, given_, form) for form in (backend, REFERENCE))
            problem = disagreement(subject.cls, found, expected)
            assert not problem, f"{backend} differs from the reference: {problem}"

        for_examples(subject, check)


def check_linear(subject: Subject) -> None:
    """What is claimed linear obeys superposition; where there is an adjoint, <A x, y> = <x, A' y> within 1e-6."""
    if not subject.cls.claims.linear:
        return

    def check(parameters: dict[str, Any], shape: Shape) -> None:
        x = made_for(subject, shape)
        noise = np.random.default_rng(shape.seed).standard_normal(x.traces.shape)
        y = attrs.evolve(x, traces=np.where(live(x), noise, 0).astype(np.float32))
        both = attrs.evolve(x, traces=2 * x.traces - 3 * y.traces)
        a, b, c = (subject.run(parameters, g).traces.astype(np.float64) for g in (x, y, both))
        assert rms(c - (2 * a - 3 * b)) <= 1e-5 * max(rms(a), rms(b), 1e-30), "is not linear"
        _dot_product(subject, parameters, x)

    for_examples(subject, check)


def _dot_product(subject: Subject, parameters: dict[str, Any], x: Gather) -> None:
    made, context = subject.make(parameters, x), subject.context()
    if type(made).adjoint is Processor.adjoint:
        return
    forward = copied(made.apply(copied(x), context))
    noise = np.random.default_rng(5).standard_normal(forward.traces.shape).astype(np.float32)
    y = attrs.evolve(forward, traces=np.where(live(forward), noise, np.float32(0)))
    back = made.adjoint(y.traces, x.layout, context)
    left = np.vdot(forward.traces.astype(np.float64), y.traces)
    right = np.vdot(x.traces.astype(np.float64), back)
    scale = float(np.linalg.norm(forward.traces.astype(np.float64)) * np.linalg.norm(y.traces.astype(np.float64)))
    assert abs(left - right) <= 1e-6 * max(scale, 1e-30), f"dot products differ by {abs(left - right) / scale:.1e}"
