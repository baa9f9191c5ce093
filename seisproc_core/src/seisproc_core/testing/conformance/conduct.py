"""How a processor conducts itself: units, parameters, repeatability, exceptions, cancelling, memory."""

from __future__ import annotations

import contextlib
import threading
import time
import tracemalloc
import typing
from collections.abc import Callable, Iterator
from typing import Any, Literal

import attrs
import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.data.headers import Headers, LazyColumns
from seisproc_core.errors import Cancelled, UsageError
from seisproc_core.processing.params import fields_of
from seisproc_core.testing.conformance.checks import for_examples, made_for, said_with
from seisproc_core.testing.conformance.data import BASE, Shape, copied
from seisproc_core.testing.conformance.subject import (
    REFERENCE,
    Refused,
    Subject,
    digest,
    relative_rms,
)

SUFFIXES = {
    "ms": "_ms", "s": "_s", "Hz": "_hz", "m": "_m", "m/s": "_m_per_s", "ms/m": "_ms_per_m", "%": "_percent",
    "degrees": "_deg", "dB": "_db", "1/s": "_per_s",
}  # fmt: skip
INTERVAL_TOLERANCE = 0.15  # relative rms; a mistake of units is a factor of two and more
START_TOLERANCE = 1e-2  # lengths of transforms differ
FIXED_BYTES = 2 << 20  # tables, plans of transforms: what no batch makes larger
POSITIONS = ("receiver_x", "receiver_y", "receiver_station", "offset", "channel", "inline", "crossline")
EARLY = 24  # samples before time 0
LATENCY_S = 0.25  # of a worker's own CPU time; PROMISES of cancelling are measured in the benchmarks


class Failure(Exception):
    """What the suite throws into a processor, to see that it comes out again."""


def check_units(subject: Subject) -> None:
    """Names of parameters end in their unit; results do not depend on interval and start of the recording."""
    for name, (_, _, info) in fields_of(subject.cls).items():
        ending = next((suffix for suffix in sorted(SUFFIXES.values(), key=len)[::-1] if name.endswith(suffix)), "")
        if info.unit:
            assert info.unit in SUFFIXES, f"'{name}': unit '{info.unit}' is none of {', '.join(SUFFIXES)}"
            assert ending == SUFFIXES[info.unit], f"'{name}' is in {info.unit}: end its name in {SUFFIXES[info.unit]}"
        else:
            # A trailing _m, _s may be part of a word; units of several letters are not.
            assert len(ending) < 3, f"'{name}' ends like a unit, but declares none"
    claims = subject.cls.claims
    for number, parameters in enumerate(subject.examples):
        with said_with(parameters):
            if not _reason(claims.varies_with_interval, number):
                _same_at_another_interval(subject, parameters)
            if not _reason(claims.varies_with_start, number):
                _same_at_another_start(subject, parameters)


def _reason(claimed: str | tuple[str, ...], number: int) -> str:
    """The reason that is given for an example."""
    return claimed if isinstance(claimed, str) else claimed[number]


def _same_at_another_interval(subject: Subject, parameters: dict[str, Any]) -> None:
    coarse = subject.run(parameters, made_for(subject, BASE))
    fine = subject.run(parameters, made_for(subject, attrs.evolve(BASE, interval_ms=2.0, samples=2 * BASE.samples - 1)))
    if coarse.sampling.interval_s == fine.sampling.interval_s:  # the step chose it
        a, b = coarse.traces, fine.traces[:, : coarse.n_samples]
    else:
        a, b = coarse.traces, fine.traces[:, ::2]
    count = min(a.shape[1], b.shape[1])
    assert a.shape[0] == b.shape[0], "another number of traces at another sample interval"
    error = relative_rms(b[:, :count], a[:, :count])
    assert error <= INTERVAL_TOLERANCE, (
        f"the result at 2 ms is not that at 4 ms (relative rms {error:.2g}): "
        "are milliseconds, seconds and samples mixed up?"
    )


def _same_at_another_start(subject: Subject, parameters: dict[str, Any]) -> None:
    """A recording that began some time before the source, silent until then, holds the same data."""
    late = made_for(subject, BASE)
    early = made_for(subject, attrs.evolve(BASE, start_ms=-4.0 * EARLY, samples=BASE.samples + EARLY))
    early.headers.columns["live_first"][:] = EARLY
    early.headers.columns["live_end"][:] = early.n_samples
    early.traces[:, :EARLY] = 0
    a, b = subject.run(parameters, late), subject.run(parameters, early)
    ahead = round((a.sampling.start_s - b.sampling.start_s) / a.sampling.interval_s)
    assert a.n_traces == b.n_traces, "another number of traces at another start"
    if ahead < 0:
        a, b, ahead = b, a, -ahead
    count = min(a.n_samples, b.n_samples - ahead)
    error = relative_rms(b.traces[:, ahead : ahead + count], a.traces[:, :count])
    assert error <= START_TOLERANCE, (
        f"the result depends on when the recorder was started (relative rms {error:.2g}): use times, which count "
        "from the source, not sample numbers"
    )


def check_parameters(subject: Subject) -> None:
    """Every parameter changes the result of at least one example, or is claimed inert with a reason."""
    inert = subject.cls.claims.inert
    for name, (field, type_, info) in fields_of(subject.cls).items():
        if name not in inert:
            values = list(_others(subject, name, type_, info, field.default))
            assert any(_matters(subject, name, value) for value in values), (
                f"parameter '{name}' changes nothing in any example: "
                "add an example in which it matters, or claim it inert"
            )


def _others(subject: Subject, name: str, type_: Any, info: Any, default: Any) -> Iterator[Any]:
    """Values to try for a parameter: those of the examples and some near them, other choices, larger and smaller."""
    for value in [example[name] for example in subject.examples if name in example]:
        yield value
        yield from _near(value)
    plain = [a for a in typing.get_args(type_) if a is not type(None)] if type(None) in typing.get_args(type_) else []
    type_ = plain[0] if plain else type_
    if typing.get_origin(type_) is Literal:
        yield from typing.get_args(type_)
    elif type_ is bool:
        yield from (True, False)
    elif type_ is str:
        yield from POSITIONS
    elif type_ in (int, float):
        known = [e[name] for e in subject.examples if name in e] or [default if type(default) in (int, float) else 0]
        for value in known:
            near = (value * 2, value / 2, value * 1.2, value + 1, value - 1, value + 30, -value)
            yield from (type_(v) for v in (*near, 0.5, 0.05, 3, 10, 60, 200))
        yield from (type_(bound) for bound in (info.minimum, info.maximum) if bound is not None)


def _near(value: Any) -> Iterator[Any]:
    """Variations of a list, a table or the name of a header word."""
    if isinstance(value, (list, tuple)) and value and not isinstance(value[0], str):
        yield from ([item * factor for item in value] for factor in (1.5, 0.6))
    elif isinstance(value, (list, tuple)):
        yield list(value)[::-1]
    elif isinstance(value, dict):
        for key, column in value.items():
            for factor in (1.25, 0.8):
                if isinstance(column, (list, tuple)):
                    yield {**value, key: [item * factor for item in column]}
                elif isinstance(column, (int, float)):
                    yield {**value, key: column * factor + 1}
    elif isinstance(value, str):
        yield from (*POSITIONS, "sym4")


def _matters(subject: Subject, name: str, value: Any) -> bool:
    given_ = made_for(subject, attrs.evolve(BASE, spoiled=True))
    loud = np.where(np.arange(given_.n_traces) % 5 == 3, 4, np.where(np.arange(given_.n_traces) % 5 == 1, 0.2, 1))
    given_ = attrs.evolve(given_, traces=(given_.traces * loud[:, None]).astype(np.float32))
    for example in subject.examples:
        without = {key: item for key, item in example.items() if key != name}
        results = []
        for parameters in (example, without, {**without, name: value}):
            with contextlib.suppress(Refused, UsageError):  # values made up may be impossible together
                results.append(digest(subject.run(parameters, given_)))
        if len(set(results)) > 1:
            return True
    return False


def check_repeatable(subject: Subject) -> None:
    """The same bytes twice in this process, and in another one."""
    expected = answers(subject)
    assert answers(subject) == expected, "gives another result the second time"
    found = subject.elsewhere.answers(subject.cls)
    assert found == expected, f"gives another result in another process: {found}"


def answers(subject: Subject) -> list[str]:
    """Checksums of the results of all examples."""
    made = []
    for parameters in subject.examples:
        with said_with(parameters):
            given_ = made_for(subject, attrs.evolve(BASE, spoiled=True))
            made += [digest(subject.run(parameters, given_, backend)) for backend in (REFERENCE, *subject.backends)]
    return made


def check_exceptions(subject: Subject) -> None:
    """What fails inside - memory, kernels, header words, cancelling - is not swallowed."""

    def check(parameters: dict[str, Any], shape: Shape) -> None:
        given_ = made_for(subject, shape)
        made = subject.make(parameters, given_)
        for what, context, batch in _failing(subject, given_):
            failed, apply = batch.failed, made.apply
            with contextlib.suppress(Failure, Cancelled, MemoryError):
                apply(batch.gather, context)
                assert not failed, f"swallows the failure of {what}"

    for_examples(subject, check, 0)


@attrs.frozen(eq=False)
class _Trap:
    """A batch, and what was thrown so far."""

    gather: Gather
    failed: list[str]


def _failing(subject: Subject, given_: Gather) -> Iterator[tuple[str, Any, _Trap]]:
    """Contexts and batches of which one part fails."""

    def thrower(failed: list[str], error: type[Exception]) -> Callable[..., Any]:
        def throw(*_: object, **__: object) -> Any:
            failed.append(error.__name__)
            raise error("thrown by the conformance suite")

        return throw

    for name in ("empty", "check"):
        failed: list[str] = []
        context = subject.context()
        setattr(context, name, thrower(failed, MemoryError if name == "empty" else Cancelled))
        yield f"context.{name}", context, _Trap(copied(given_), failed)
    for name in subject.kernels:
        failed = []
        forms = {**subject.kernels, name: {REFERENCE: thrower(failed, Failure)}}
        yield f"kernel {name}", Subject(subject.cls, forms).context(), _Trap(copied(given_), failed)
    for name in _looked_at(subject, given_):
        failed = []
        trap = _Trap(_with_lazy_words(given_, _only(name, thrower(failed, Failure))), failed)
        yield f"header word {name}", subject.context(), trap


def _only(name: str, throw: Callable[..., Any]) -> Callable[[str], Any]:
    return lambda word: throw() if word == name else None


def _looked_at(subject: Subject, given_: Gather) -> list[str]:
    """Header words that `apply` looks at in any example."""
    seen: dict[str, None] = {}
    for parameters in subject.examples:
        made = subject.make(parameters, given_)
        made.apply(_with_lazy_words(given_, seen.setdefault), subject.context())
    return list(seen)


def _with_lazy_words(given_: Gather, first: Callable[[str], Any]) -> Gather:
    """The batch with header words that call `first` when they are loaded."""
    mine = copied(given_)
    columns = mine.headers.columns

    def load(word: str) -> np.ndarray:
        first(word)
        return columns[word]

    lazy = LazyColumns({word: mine.headers.dtype(word) for word in mine.headers}, load)
    return attrs.evolve(mine, headers=Headers(lazy, mine.n_traces))


def check_cancel(subject: Subject) -> None:
    """Told to stop in the middle of a full batch, it stops within a quarter of a second of its CPU time."""
    (parameters, *_) = subject.examples
    with said_with(parameters):
        given_ = made_for(subject, attrs.evolve(BASE, gathers=(48,) * 40))
        for backend in (REFERENCE, *subject.backends):
            small = made_for(subject, BASE)
            subject.run(parameters, small, backend)  # compiled, imported
            late = _latency(subject, parameters, given_, backend)
            assert late <= LATENCY_S, f"went on for {late:.2f} s after it was told to stop ({backend})"


def _latency(subject: Subject, parameters: dict[str, Any], given_: Gather, backend: str) -> float:
    """CPU seconds from raising the flag to the end of `apply`; as often as fits into the time before."""
    flag = np.zeros(1, np.uint8)
    made, context = subject.make(parameters, given_), subject.context(backend, flag)
    clock: list[int] = []
    ended: list[float] = []
    errors: list[BaseException] = []

    def work() -> None:
        clock.append(time.pthread_getcpuclockid(threading.get_ident()))
        try:
            while not flag[0]:
                made.apply(given_, context)
        except Cancelled:
            pass
        except BaseException as error:
            errors.append(error)
        ended.append(time.thread_time())

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive() and not (clock and time.clock_gettime(clock[0]) > 0.05):
        time.sleep(0.002)
    raised = time.clock_gettime(clock[0]) if thread.is_alive() else ended[0]
    flag[0] = 1
    thread.join()
    if errors:
        raise errors[0]
    return ended[0] - raised


def check_memory(subject: Subject) -> None:
    """`apply` allocates no more than is claimed. Looks at NumPy's memory, not at what compiled code takes itself."""
    claimed = subject.cls.claims.memory
    for parameters in subject.examples:
        with said_with(parameters):
            given_ = made_for(subject, attrs.evolve(BASE, gathers=(24,) * 20))
            made, context = subject.make(parameters, given_), subject.context()
            made.apply(made_for(subject, BASE), context)  # imports, tables
            tracemalloc.start()
            try:
                before = tracemalloc.get_traced_memory()[0]
                out = made.apply(given_, subject.context())
                peak = tracemalloc.get_traced_memory()[1] - before
            finally:
                tracemalloc.stop()
            unit = max(given_.traces.nbytes, out.traces.nbytes)
            assert peak <= claimed * unit + FIXED_BYTES, (
                f"takes {peak / unit:.1f} times its data and claims {claimed:g}: claim what it takes (memory=...)"
            )
