"""Steps that read a further survey: its rows belong to the data's, whatever the order, and nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core import Engine, Flow, MemorySurvey, Source, Step, plugins
from seisproc_core.errors import FlowError, ParameterError, StepError
from seisproc_core.processing.ordering import NONE, SEVERAL, match_rows
from seisproc_core.processing.planning import plan_flow
from seisproc_core.testing import make_gather

STEPS = """
    import numpy as np
    from seisproc_core import Processor, SurveyRef, hookimpl, param, processor

    @processor("minus", scope="trace")
    class Minus(Processor):
        \"\"\"Data minus a model.\"\"\"
        model: SurveyRef = param(help="what to take away")
        def apply(self, batch, context):
            model = context.input("model")
            assert np.array_equal(model.gather_starts, batch.gather_starts)
            return batch.with_traces(batch.traces - model.traces)

    @processor("minus_gaps", scope="gather")
    class MinusGaps(Processor):
        \"\"\"Data minus a model that may lack traces, gather by gather.\"\"\"
        model: SurveyRef = param(help="what to take away", gaps=True)
        fail_at: int = param(-1, help="cdp at which it fails")
        def apply_gather(self, gather, context):
            model = context.input("model")
            if (gather.headers["cdp"] == self.fail_at).any():
                raise ZeroDivisionError(f"{model.n_traces} traces of model")
            return gather.with_traces(gather.traces - model.traces)

    @processor("evens", scope="trace")
    class Evens(Processor):
        \"\"\"Only traces of even offset.\"\"\"
        def plan(self, layout):
            from seisproc_core import Layout
            keep = layout.headers["offset"] % 2 == 0
            return Layout(headers=layout.headers.take(np.flatnonzero(keep)), sampling=layout.sampling,
                          gather_starts=layout.kept_rows(keep))
        def apply(self, batch, context):
            return batch.keep(batch.headers["offset"] % 2 == 0)

    @hookimpl
    def seisproc_processors():
        return [Minus, MinusGaps, Evens]
"""


@pytest.fixture(autouse=True)
def installed(install: Callable[[str, str], Path]) -> None:
    install("test-inputs", STEPS)


def line(n: int = 40, seed: int = 1) -> MemorySurvey:
    random = np.random.default_rng(seed)
    cdp = random.integers(1, 6, n)
    return MemorySurvey(make_gather(random.normal(size=(n, 8)), cdp=cdp, offset=random.permutation(n)))


def shuffled(survey: MemorySurvey, rows: np.ndarray, scale: float = 1.0) -> MemorySurvey:
    gather = survey.read(rows)
    return MemorySurvey(gather.with_traces(np.float32(scale) * gather.traces))


def run(source: MemorySurvey, *steps: Step, gather: tuple[str, ...] = (), executor: str = "in-process") -> MemorySurvey:
    flow = Flow(source=Source(storage="memory", survey=source, gather=gather), steps=steps)
    with Engine(executor=executor, workers=2) as engine:
        made = engine.submit(flow).result(30).open()
    assert isinstance(made, MemorySurvey)
    return made


@settings(max_examples=15, deadline=None)
@given(
    st.integers(1, 60), st.integers(0, 99), st.sampled_from([(), ("cdp",)]), st.sampled_from(["in-process", "threads"])
)
def test_whatever_the_order_of_the_model_each_trace_meets_its_own(
    n: int, seed: int, gather: tuple[str, ...], executor: str
) -> None:
    data = line(n, seed)
    model = shuffled(data, np.random.default_rng(seed).permutation(n))
    for match in ((), ("offset",), ("cdp", "offset")):
        made = run(data, Step(use="minus", parameters={"model": model}, match=match), gather=gather, executor=executor)
        assert not made.gather.traces.any()
        assert made.n_traces == n


def test_rows_are_those_of_the_step_not_of_the_stage() -> None:
    data = line()
    model = shuffled(data, np.arange(40)[::-1])
    sort = Step(use="sort", parameters={"gather": ["cdp"]})
    steps = (Step(use="evens"), Step(use="minus_gaps", parameters={"model": model}))
    for made in (run(data, *steps, gather=("cdp",)), run(data, steps[0], sort, steps[1]), run(data, sort, *steps)):
        assert made.n_traces == 20
        assert not made.gather.traces.any()


def test_one_row_may_serve_many_traces() -> None:
    data = line()
    pilots = MemorySurvey(make_gather(np.arange(6)[:, None] * np.ones(8), cdp=np.arange(6)))
    made = run(data, Step(use="minus", parameters={"model": pilots}, match=("cdp",)))
    left = data.gather.traces - data.gather.headers["cdp"][:, None].astype(np.float32)
    assert np.array_equal(made.gather.traces, left)


def test_allowed_gaps_are_dead_traces_of_zeros() -> None:
    data = line()
    have = np.flatnonzero(data.gather.headers["offset"] % 3 > 0)
    made = run(data, Step(use="minus_gaps", parameters={"model": shuffled(data, have)}), gather=("cdp",))
    there = made.gather.headers["offset"] % 3 > 0
    assert not made.gather.traces[there].any()
    assert made.gather.traces[~there].any(axis=1).all()


def test_a_missing_partner_is_named_before_work() -> None:
    data = line()
    model = shuffled(data, np.flatnonzero(data.gather.headers["offset"] != 7))
    row = int(np.flatnonzero(data.gather.headers["offset"] == 7)[0])
    with pytest.raises(
        ParameterError, match=rf"minus: .*'model' has no trace for 1 of 40 traces, first .* {row} .*ffset 7"
    ):
        run(data, Step(use="minus", parameters={"model": model}))


def test_an_ambiguous_partner_is_named_before_work() -> None:
    data = line()
    with pytest.raises(ParameterError, match=r"has several traces for \d+ of 40 traces.*matched on cdp; match ="):
        run(data, Step(use="minus", parameters={"model": data}, match=("cdp",)))


def test_what_cannot_be_matched_is_refused() -> None:
    data = line()
    long = MemorySurvey(make_gather(np.zeros((40, 9)), offset=np.arange(40)))
    with pytest.raises(ParameterError, match="resample it first"):
        run(data, Step(use="minus", parameters={"model": long}))
    with pytest.raises(FlowError, match="reads no further survey"):
        run(data, Step(use="evens", match=("cdp",)))
    with pytest.raises(ParameterError, match="must be the path of a survey"):
        run(data, Step(use="minus", parameters={"model": 3}))
    with pytest.raises(ParameterError, match="'model' is required"):
        run(data, Step(use="minus"))


def test_an_error_names_the_gather_and_tries_it_with_its_own_rows() -> None:
    data = line()
    count = int((data.gather.headers["cdp"] == 3).sum())
    step = Step(use="minus_gaps", parameters={"model": data, "fail_at": 3})
    with pytest.raises(StepError, match=rf"gather 2 \(cdp 3\): ZeroDivisionError: {count} traces of model"):
        run(data, step, gather=("cdp",))


def test_the_fingerprint_knows_the_model_and_the_match() -> None:
    data = line()

    def fingerprint(scale: float, match: tuple[str, ...]) -> str:
        step = Step(use="minus", parameters={"model": shuffled(data, np.arange(40), scale)}, match=match)
        flow = Flow(source=Source(storage="memory", survey=data), steps=(step,))
        return plan_flow(flow, plugins.registry(), data).fingerprint({})

    assert fingerprint(1, ()) == fingerprint(1, ("offset",))  # the same rows
    assert fingerprint(1, ()) != fingerprint(2, ())


def test_a_doubtful_match_is_noted() -> None:
    data = line()
    renamed = MemorySurvey(make_gather(data.gather.traces, channel=np.arange(40)))
    other = MemorySurvey(make_gather(data.gather.traces, channel=np.arange(40) + 1))
    steps = (Step(use="minus", parameters={"model": other}),)
    plan = plan_flow(Flow(source=Source(storage="memory", survey=renamed), steps=steps), plugins.registry(), renamed)
    assert any("'channel' of model differs on 40 traces" in note for note in plan.notes)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-2, 2)), max_size=20), st.data())
def test_matching_is_what_a_loop_would_find(held: list[tuple[int, int]], data: st.DataObject) -> None:
    pairs = st.tuples(st.integers(0, 3), st.integers(-2, 2))
    wanted = data.draw(st.lists(pairs, max_size=20))

    def headers(keys: list[tuple[int, int]]) -> object:
        return make_gather(np.zeros((len(keys), 1)), cdp=[k for k, _ in keys], offset=[o for _, o in keys]).headers

    found = match_rows(headers(wanted), headers(held), ("cdp", "offset"))  # type: ignore[arg-type]
    for key, row in zip(wanted, found, strict=True):
        rows = [k for k, other in enumerate(held) if other == key]
        assert row == (NONE if not rows else SEVERAL if len(rows) > 1 else rows[0])
