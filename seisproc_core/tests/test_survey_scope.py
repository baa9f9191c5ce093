"""Steps that measure the whole survey, solve once and are applied to every trace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core import Engine, Flow, MemorySurvey, Source, Step
from seisproc_core.errors import FlowError, StepError
from seisproc_core.testing import make_gather

STEPS = """
    import numpy as np
    from seisproc_core import Gather, Processor, SurveyProcessor, hookimpl, param, processor

    @processor("level", scope="survey")
    class Level(SurveyProcessor):
        \"\"\"Takes the mean of each channel off, in so many rounds that each take half of it.\"\"\"
        solves = ("channels",)
        times: int = param(1, help="rounds")
        wrong: str = param("", help="what goes wrong")

        def measuring_order(self):
            return ("field_record",), ("-channel",)

        def rounds(self):
            return self.times

        def measured(self, layout):
            return np.dtype([("channel", "i4"), ("mean", "f8")])

        def measure(self, batch, context):
            if self.wrong == "measure":
                raise ZeroDivisionError("in measure")
            if self.wrong == "records":
                return np.zeros(batch.n_traces)
            records = np.zeros(batch.n_traces, self.measured(batch.layout))
            records["channel"] = batch.headers["channel"]
            # whole gathers, in the order asked for, wherever batches are cut
            for gather in batch.split():
                assert (np.diff(gather.headers["channel"]) <= 0).all()
                assert len(set(gather.headers["field_record"])) == 1
            records["mean"] = batch.traces.mean(axis=1) - self._level(batch, context)
            return records

        def solve(self, records, context):
            if self.wrong == "solve":
                raise ZeroDivisionError("in solve")
            if self.wrong == "tables":
                return {"other": {"x": np.zeros(2)}}
            channels = np.unique(records["channel"])
            mean = np.array([records["mean"][records["channel"] == c].mean() for c in channels])
            before = context.solution["channels"]["level"] if context.solution else 0
            return {"channels": {"channel": channels, "level": before + mean / 2}}

        def apply(self, batch, context):
            return batch.with_traces((batch.traces - self._level(batch, context)[:, None]).astype(np.float32))

        def _level(self, batch, context):
            if not context.solution:
                return np.zeros(batch.n_traces)
            table = context.solution["channels"]
            return table["level"][np.searchsorted(table["channel"], batch.headers["channel"])]

    @processor("double", scope="trace")
    class Double(Processor):
        \"\"\"Twice.\"\"\"
        def apply(self, batch, context):
            return batch.with_traces(batch.traces * np.float32(2))

    @processor("total", scope="gather")
    class Total(Processor):
        \"\"\"Sum of a gather.\"\"\"
        def plan(self, layout):
            return layout.one_trace_per_gather(layout.headers.combine(layout.gather_starts))
        def apply(self, batch, context):
            planned = self.plan(batch.layout)
            sums = np.add.reduceat(batch.traces, batch.gather_starts[:-1])
            return Gather(headers=planned.headers, sampling=batch.sampling,
                          gather_starts=planned.gather_starts, traces=sums)

    @processor("bare", scope="survey")
    class Bare(Processor):
        \"\"\"Not what it says.\"\"\"

    @hookimpl
    def seisproc_processors():
        return [Level, Double, Total, Bare]
"""


@pytest.fixture(autouse=True)
def installed(install: Callable[[str, str], Path]) -> None:
    install("test-survey-scope", STEPS)


def line(n: int = 60, seed: int = 1) -> MemorySurvey:
    random = np.random.default_rng(seed)
    words = {name: random.integers(1, most, n) for name, most in (("channel", 7), ("field_record", 9), ("cdp", 5))}
    return MemorySurvey(make_gather(random.normal(size=(n, 8)), **words))


def run(source: MemorySurvey, *steps: Step, gather: tuple[str, ...] = (), executor: str = "in-process") -> MemorySurvey:
    flow = Flow(source=Source(storage="memory", survey=source, gather=gather), steps=steps)
    with Engine(executor=executor, workers=3) as engine:
        made = engine.submit(flow).result(30).open()
    assert isinstance(made, MemorySurvey)
    return made


def levelled(source: MemorySurvey, share: float) -> np.ndarray:
    """The traces in stored order after `share` of every channel's mean was taken off."""
    channel, traces = source.gather.headers["channel"], source.gather.traces.astype(np.float64)
    mean = np.array([traces[channel == c].mean() for c in channel])
    return traces - share * mean[:, None]


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 80), st.integers(0, 99), st.integers(1, 12), st.integers(1, 3))
def test_measured_in_its_own_gathers_and_applied_in_the_flow_order(n: int, seed: int, batch: int, times: int) -> None:
    from unittest.mock import patch

    from seisproc_core.execution import stage
    from seisproc_core.processing import planning

    source = line(n, seed)
    step = Step(use="level", parameters={"times": times})
    gather = ("cdp",) if seed % 2 else ()
    with patch.object(stage, "BATCH_BYTES", 4 * 8 * batch), patch.object(planning, "MEASURED_BYTES", 4 * 8 * batch):
        cut = run(source, step, gather=gather, executor="threads" if seed % 3 else "in-process")
    whole = run(source, step, gather=gather)
    assert np.array_equal(cut.gather.traces, whole.gather.traces)  # the same bytes, however it was cut and run
    rows = whole.gather.headers["trace_id"]
    expected = levelled(source, 1 - 0.5**times)[rows]
    assert whole.gather.traces == pytest.approx(expected, abs=1e-5)


def test_between_other_steps_gathers_are_kept() -> None:
    source = line()
    steps = (Step(use="double"), Step(use="level"), Step(use="double"))
    made = run(source, *steps, Step(use="total"), gather=("cdp",))
    cdp = source.gather.headers["cdp"]
    expected = [4 * levelled(source, 0.5)[cdp == c].sum(axis=0) for c in np.unique(cdp)]
    assert made.gather.traces == pytest.approx(np.array(expected), abs=1e-4)
    again = run(source, *steps, Step(use="sort", parameters={"gather": ["cdp"]}), Step(use="total"))
    assert again.gather.traces == pytest.approx(np.array(expected), abs=1e-4)


def test_two_of_them_in_one_flow() -> None:
    source = line()
    made = run(source, Step(use="level"), Step(use="level"))
    assert made.gather.traces == pytest.approx(levelled(source, 0.75), abs=1e-5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("measure", r"level.*failed on gather 0 .*: ZeroDivisionError: in measure"),
        ("solve", r"level.*cannot be solved: ZeroDivisionError: in solve"),
        ("records", r"'level' measured float64 \(60,\), declared"),
        ("tables", r"'level' solved for \['other'\], declared \['channels'\]"),
    ],
)
def test_what_goes_wrong_names_the_step(wrong: str, message: str) -> None:
    with pytest.raises(StepError, match=message):
        run(line(), Step(use="level", parameters={"wrong": wrong}))


def test_the_scope_needs_the_base_class() -> None:
    with pytest.raises(FlowError, match="'bare': scope 'survey' and the base SurveyProcessor go together"):
        run(line(), Step(use="bare"))
