"""The engine on surveys in memory: results, order, errors, cancel - with processors made for the purpose."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core import Engine, Flow, MemorySurvey, Source, State, Step
from seisproc_core.errors import Cancelled, DataError, FlowError, HeaderError, ParameterError, StepError, UsageError
from seisproc_core.jobs.resources import Resources
from seisproc_core.testing import make_gather

STEPS = """
    import time
    import numpy as np
    from seisproc_core import Context, Gather, Layout, Processor, hookimpl, param, processor

    @processor("double", scope="trace")
    class Double(Processor):
        \"\"\"Twice the amplitude.\"\"\"
        def apply(self, batch, context):
            out = context.empty(batch.traces.shape)
            np.multiply(batch.traces, 2, out=out)
            return batch.with_traces(out)

    @processor("total", scope="gather")
    class Total(Processor):
        \"\"\"Sum of a gather.\"\"\"
        def plan(self, layout):
            return layout.one_trace_per_gather(layout.headers.combine(layout.gather_starts))
        def apply(self, batch, context):
            planned = self.plan(batch.layout)
            sums = np.add.reduceat(batch.traces, batch.gather_starts[:-1])
            starts = planned.gather_starts
            return Gather(headers=planned.headers, sampling=batch.sampling, gather_starts=starts, traces=sums)

    @processor("fails", scope="gather")
    class Fails(Processor):
        \"\"\"Fails on one gather.\"\"\"
        cdp: int = param(3, help="where")
        def apply_gather(self, gather, context):
            if (gather.headers["cdp"] == self.cdp).any():
                raise ZeroDivisionError("by zero")
            return gather

    @processor("liar", scope="trace")
    class Liar(Processor):
        \"\"\"Returns fewer traces than it planned.\"\"\"
        def apply(self, batch, context):
            return batch.keep(np.arange(batch.n_traces) > 0)

    @processor("slow", scope="trace")
    class Slow(Processor):
        \"\"\"Waits until it is told to stop.\"\"\"
        def apply(self, batch, context):
            while True:
                context.check()
                time.sleep(0.001)

    @hookimpl
    def seisproc_processors():
        return [Double, Total, Fails, Liar, Slow]
"""


@pytest.fixture(autouse=True)
def installed(install: Callable[[str, str], Path]) -> None:
    install("test-steps", STEPS)


def survey(n_traces: int = 60, n_samples: int = 8, seed: int = 1) -> MemorySurvey:
    random = np.random.default_rng(seed)
    traces = random.normal(size=(n_traces, n_samples))
    return MemorySurvey(make_gather(traces, cdp=random.integers(1, 6, n_traces), offset=random.permutation(n_traces)))


def flow(source: MemorySurvey, *steps: Step | str, gather: tuple[str, ...] = (), sort: tuple[str, ...] = ()) -> Flow:
    made = tuple(Step(use=s) if isinstance(s, str) else s for s in steps)
    return Flow(source=Source(storage="memory", survey=source, gather=gather, sort=sort), steps=made)


def run(flow: Flow) -> np.ndarray:
    with Engine() as engine:
        made = engine.submit(flow).result(30).open()
        return made.read(slice(0, made.n_traces)).traces


def test_a_step_is_applied_once() -> None:
    source = survey()
    assert np.array_equal(run(flow(source, "double")), 2 * source.gather.traces)


def test_a_sort_then_a_sum() -> None:
    source = survey()
    cdp = source.gather.headers["cdp"]
    expected = [source.gather.traces[cdp == c].sum(axis=0) for c in np.unique(cdp)]
    made = run(flow(source, "double", Step(use="sort", parameters={"gather": ["cdp"]}), "total"))
    assert made == pytest.approx(2 * np.array(expected), rel=1e-5, abs=1e-5)


def test_gather_order_is_total_and_may_descend() -> None:
    source = survey()
    with Engine() as engine:
        made = engine.submit(flow(source, gather=("cdp",), sort=("-offset",))).result(30).open()
    headers = made.headers()
    keys = list(zip(headers["cdp"].tolist(), (-headers["offset"]).tolist(), strict=True))
    assert keys == sorted(keys)
    assert sorted(headers["trace_id"].tolist()) == list(range(60))


@settings(max_examples=20)
@given(st.integers(1, 50), st.integers(0, 2**31))
def test_the_result_does_not_depend_on_batches(batch_traces: int, seed: int) -> None:
    from unittest.mock import patch

    from seisproc_core.execution import stage

    source = survey(seed=seed)
    steps = (Step(use="sort", parameters={"gather": ["cdp"]}), "total")
    with patch.object(stage, "BATCH_BYTES", 4 * 8 * batch_traces):
        small = run(flow(source, "double", *steps))
    assert np.array_equal(small, run(flow(source, "double", *steps)))


@pytest.mark.parametrize(
    ("steps", "error", "message"),
    [
        (("missing",), UsageError, "no processor named 'missing'"),
        (("total",), FlowError, "'total' works on gathers"),
        ((Step(use="double", parameters={"by": 3}),), ParameterError, "double: parameter 'by' is not known"),
        (
            (Step(use="sort", parameters={"gather": ["cdp"]}), Step(use="double", parameters={"by": 3})),
            ParameterError,
            "double: parameter 'by' is not known",
        ),
        (
            (Step(use="sort", parameters={"gather": ["cpd"]}),),
            HeaderError,
            "'cpd' is not in this survey; did you mean cdp",
        ),
        ((Step(use="sort", parameters={"keys": ["cdp"]}),), FlowError, "unknown parameter 'keys'"),
        ((Step(use="double", backend="cuda"),), Exception, "backend 'cuda' cannot be used here"),
    ],
)
def test_refused_before_any_work(steps: tuple[Step | str, ...], error: type[Exception], message: str) -> None:
    with Engine() as engine, pytest.raises(error, match=message):
        engine.submit(flow(survey(), *steps))


def test_a_processor_that_raises_fails_the_job_and_names_the_gather() -> None:
    with Engine() as engine:
        handle = engine.submit(flow(survey(), "fails", gather=("cdp",)))
        with pytest.raises(StepError, match=r"step 'fails' \(cdp=3\) failed on gather 2 \(cdp 3\): ZeroDivisionError"):
            handle.result(30)
        assert handle.job.state is State.FAILED
        assert "ZeroDivisionError" in handle.job.error


def test_a_processor_that_breaks_its_plan_fails_the_job() -> None:
    with pytest.raises(StepError, match="the plan said"):
        run(flow(survey(), "liar"))


def test_an_empty_survey_is_refused() -> None:
    with Engine() as engine, pytest.raises(DataError, match="no traces"):
        engine.submit(flow(MemorySurvey(make_gather(np.zeros((0, 5))))))


def test_cancel_while_running_and_while_queued() -> None:
    with Engine(capacity=Resources(1, 10**12)) as engine:
        first, second = (engine.submit(flow(survey(), "slow")) for _ in range(2))
        while first.job.state is not State.RUNNING:
            pass
        second.cancel()
        assert second.job.state is State.CANCELLED
        first.cancel()
        with pytest.raises(Cancelled):
            first.result(5)
        assert first.job.state is State.CANCELLED


def test_priority_decides_then_first_come() -> None:
    with Engine(capacity=Resources(1, 10**12)) as engine:
        blocker = engine.submit(flow(survey(), "slow"))
        while blocker.job.state is not State.RUNNING:
            pass
        handles = [engine.submit(flow(survey(), "double"), priority=p) for p in (3, 8, 5, 5)]
        blocker.cancel()
        for handle in handles:
            handle.result(30)
        begun = [next(e.at for e in h.job.events if e.state is State.RUNNING) for h in handles]
    assert np.argsort(begun).tolist() == [1, 2, 3, 0]


def test_progress_never_falls_and_ends_at_the_total() -> None:
    with Engine() as engine:
        handle = engine.submit(flow(survey(5000, 50), "double"))
        reports = list(handle.progress(0.0005))
    done = [report.done for report in reports]
    assert done == sorted(done)
    assert all(report.done < report.total for report in reports if report.state is not State.COMPLETED)
    assert (reports[-1].state, reports[-1].done) == (State.COMPLETED, 5000)


def test_closing_cancels_what_waits_when_an_error_passes() -> None:
    before = threading.active_count()
    with pytest.raises(RuntimeError), Engine() as engine:
        handle = engine.submit(flow(survey(), "slow"))
        raise RuntimeError
    assert handle.job.state is State.CANCELLED
    assert threading.active_count() == before
