"""What each step of a flow does to chosen gathers, and the report of it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from seisproc_core import Flow, MemorySurvey, Source, Step
from seisproc_core.errors import OutputExists, UsageError
from seisproc_core.testing import make_gather
from seisproc_qc.chain import follow_chain
from seisproc_qc.chain_report import check_report, save_report

VELOCITY = {"time_ms": [0, 1000], "rms_m_per_s": [2000, 2000]}


def survey(rng: np.random.Generator) -> MemorySurvey:
    offset, cdp = np.tile(np.arange(8) * 100, 5), np.repeat([1, 2, 3, 4, 5], 8)
    times = 0.004 * np.arange(200)
    arrival = np.hypot(0.3, offset / 2000)[:, None]
    phase = (np.pi * 25 * (times - arrival)) ** 2
    traces = (1 - 2 * phase) * np.exp(-phase) + 0.1 * rng.standard_normal((40, 200))
    return MemorySurvey(make_gather(traces, cdp=cdp, offset=offset))


def flow(source: MemorySurvey, *steps: Step, gather: tuple[str, ...] = ("cdp",)) -> Flow:
    return Flow(source=Source(storage="memory", survey=source, gather=gather), steps=steps, name="line")


STEPS = (
    Step(use="gain", parameters={"scale": 2.0}),
    Step(use="mute", parameters={"table": {"offset_m": [0], "time_ms": [200]}}),
    Step(use="sort", parameters={"gather": ["cdp"], "sort": ["-offset"]}),
    Step(use="bandpass", parameters={"low_hz": 10.0}),
)


def test_links_are_the_steps_one_by_one(rng: np.random.Generator) -> None:
    source = survey(rng)
    chain = follow_chain(flow(source, *STEPS), {"cdp": [2, 4]})
    assert [link.title for link in chain.links] == ["gain", "mute", "bandpass"]
    assert [link.parameters for link in chain.links] == ["scale = 2", "table = offset_m 0; time_ms 200", "low_hz = 10"]
    rows = np.isin(source.gather.headers["cdp"], [2, 4])
    gained, muted, filtered = chain.links
    assert np.array_equal(gained.before.traces, source.gather.traces[rows])
    assert np.allclose(gained.after.traces, 2 * source.gather.traces[rows])
    assert gained.figures["change_percent"] == pytest.approx(100)
    assert gained.figures["leakage"] == pytest.approx(1)
    assert np.array_equal(muted.before.traces, gained.after.traces)
    assert muted.difference is not None
    assert np.allclose(muted.difference.traces[:, :40], -muted.before.traces[:, :40])
    expected = np.sqrt(np.sum(muted.difference.traces**2) / np.sum(muted.before.traces**2))
    assert muted.figures["change_percent"] == pytest.approx(100 * expected, rel=1e-4)
    assert filtered.before.headers["offset"].tolist() == [700, 600, 500, 400, 300, 200, 100, 0] * 2
    assert chain.whole.difference is not None  # though the order has changed in between
    assert np.array_equal(chain.whole.before.headers["trace_id"], filtered.after.headers["trace_id"])
    assert chain.stacks is None and len(chain.whole.before.gather_starts) == 3


def test_chosen_steps_a_window_and_stacks(rng: np.random.Generator) -> None:
    source = survey(rng)
    stack = flow(
        MemorySurvey(make_gather(np.zeros((1, 9)))),
        Step(use="nmo", parameters={"velocity": VELOCITY}),
        Step(use="stack"),
    )
    chain = follow_chain(
        flow(source, *STEPS), {"cdp": [(1, 3)]}, steps=["bandpass"], stack=stack, window_ms=(200.0, 400.0)
    )
    (link,) = chain.links
    assert link.before.sampling.start_s == pytest.approx(0.2) and link.before.n_samples == 51
    assert chain.whole.difference is not None
    assert chain.stacks is not None and chain.stacks.before.n_traces == 3
    peak = 0.2 + 0.004 * np.argmax(chain.stacks.after.traces, axis=1)
    assert np.allclose(peak, 0.3, atol=0.008)  # flat, and in phase


@pytest.mark.parametrize(
    ("at", "how", "message"),
    [
        ({"cdp": [9]}, {}, "no trace has cdp 9"),
        ({"cdp": [1]}, {"steps": ["agc"]}, "has no step 'agc'"),
        ({"cdp": [1]}, {"window_ms": (900.0, 950.0)}, "no sample lies between 900 and 950 ms"),
    ],
)
def test_what_is_wrong_is_said(rng: np.random.Generator, at, how, message) -> None:
    with pytest.raises(UsageError, match=message):
        follow_chain(flow(survey(rng), *STEPS), at, **how)
    with pytest.raises(UsageError, match="no step to look at"):
        follow_chain(flow(survey(rng), STEPS[2]), {"cdp": [1]})


def test_the_report_is_one_file_that_needs_no_other(rng: np.random.Generator, tmp_path: Path) -> None:
    agc = Step(use="agc", parameters={"window_ms": 100.0})
    chain = follow_chain(flow(survey(rng), *STEPS[:2], agc), {"cdp": [1]})
    report = tmp_path / "line_report.html"
    save_report(chain, report)
    text = report.read_text("utf-8")
    assert len(re.findall(r'src="data:image/png;base64,', text)) == 4  # three steps, and all of them
    assert "http" not in text and "scale = 2" in text and "leakage" in text
    assert [path.name for path in tmp_path.iterdir()] == ["line_report.html"]
    with pytest.raises(OutputExists):
        check_report(report, replace=False)
    with pytest.raises(UsageError, match=r"ends in \.html"):
        check_report(tmp_path / "a.png", replace=False)
