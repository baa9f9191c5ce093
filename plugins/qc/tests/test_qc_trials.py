"""Parameter tests: the same traces as the whole flow makes, nothing computed twice, everything refused in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from seisproc_core import Flow, Gather, MemorySurvey, Source, Step, Table, process
from seisproc_core.errors import UsageError
from seisproc_core.testing import make_gather
from seisproc_qc import trials
from seisproc_qc.trials import parameter_test, shown

SHOTS, CHANNELS = 12, 16
STEPS: tuple[dict[str, Any], ...] = (
    {"use": "bandpass", "low_hz": 10.0, "high_hz": 60.0},
    {"use": "fk_filter", "kind": "reject", "min_m_per_s": 300.0, "max_m_per_s": 900.0},
    {"use": "sort", "gather": ["cdp"], "sort": ["offset"]},
    {"use": "agc", "window_ms": 300.0},
    {"use": "nmo", "velocity": {"time_ms": [0.0], "rms_m_per_s": [2000.0]}},
    {"use": "agc", "window_ms": 500.0},
)


@pytest.fixture(scope="module")
def line() -> Gather:
    shot, channel = (n.ravel() for n in np.mgrid[0:SHOTS, 0:CHANNELS])
    traces = np.random.default_rng(4).standard_normal((SHOTS * CHANNELS, 200)).cumsum(axis=1)
    words = {"field_record": 100 + shot, "channel": 1 + channel, "cdp": 2 * shot + channel, "offset": 25 * channel}
    return make_gather(traces - traces.mean(axis=1, keepdims=True), **words)


@pytest.fixture(scope="module")
def flow(line: Gather) -> Flow:
    steps = (Step(use=s["use"], parameters={k: v for k, v in s.items() if k != "use"}) for s in STEPS)
    source = Source(storage="memory", gather=("field_record",), sort=("channel",), survey=MemorySurvey(line))
    return Flow(source=source, steps=tuple(steps))


def whole(flow: Flow, cdps: list[int]) -> Gather:
    """Those gathers from the flow run on everything."""
    survey = process(flow)
    made = survey.read(slice(0, survey.n_traces))
    return made.keep(np.isin(made.headers["cdp"], cdps))


@pytest.mark.parametrize("name", ["bandpass.low_hz", "fk_filter.max_m_per_s", "agc#1.window_ms", "agc#2.window_ms"])
def test_panels_are_what_the_whole_flow_makes(flow: Flow, name: str) -> None:
    values = [20.0, 30.0] if name == "bandpass.low_hz" else [600.0, 700.0]
    tried = parameter_test(flow, {name: values}, {"cdp": [11, 20]})
    for trial, value in zip(tried, values, strict=True):
        places = {name: trials._place(flow, name)}
        expected = whole(trials.with_values(flow, places, {name: value}), [11, 20])
        np.testing.assert_array_equal(trial.gather.traces, expected.traces)
        np.testing.assert_array_equal(trial.gather.headers["trace_id"], expected.headers["trace_id"])
    assert tried[0].gather.n_gathers == 2
    assert not np.array_equal(tried[0].gather.traces, tried[1].gather.traces)


def test_only_what_the_gathers_need_is_read(flow: Flow, line: Gather, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    original = MemorySurvey.read

    def counted(self: MemorySurvey, rows: Any, **how: Any) -> Gather:
        made = original(self, rows, **how)
        if self is flow.source.survey:
            read.append(made.n_traces)
        return made

    monkeypatch.setattr(MemorySurvey, "read", counted)
    parameter_test(flow, {"agc#2.window_ms": [100.0, 200.0, 400.0]}, {"cdp": [4]})
    assert read == [3 * CHANNELS]  # the shots 100 to 102, whole, because a step filters shots; once
    plain = trials.attrs.evolve(flow, steps=tuple(s for s in flow.steps if s.use != "fk_filter"))
    read.clear()
    parameter_test(plain, {"agc#2.window_ms": [100.0, 200.0]}, {"cdp": [4]})
    assert read == [3]


def test_common_steps_are_computed_once(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    from seisproc_signal.agc import Agc
    from seisproc_signal.bandpass import Bandpass

    calls = {"bandpass": 0, "agc": 0}

    def count(cls: Any, name: str) -> None:
        original: Callable[..., Gather] = cls.apply

        def apply(self: Any, *given: Any) -> Gather:
            calls[name] += 1
            return original(self, *given)

        monkeypatch.setattr(cls, "apply", apply)

    count(Bandpass, "bandpass")
    count(Agc, "agc")
    parameter_test(flow, {"agc#2.window_ms": [100.0, 200.0, 400.0]}, {"cdp": [4]})
    assert calls == {"bandpass": 1, "agc": 4}


def test_flows_whose_gathers_change_on_the_way_are_run_from_their_start(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    vary = {"agc#2.window_ms": [100.0, 200.0]}
    shared = parameter_test(flow, vary, {"cdp": [11]})
    # As a step would that renumbers the word which gathers: regathered traces come in another order.
    monkeypatch.setattr(trials, "_words_at", lambda *_: (("-offset",), ()))
    apart = parameter_test(flow, vary, {"cdp": [11]})
    for one, other in zip(shared, apart, strict=True):
        np.testing.assert_array_equal(one.gather.traces, other.gather.traces)


def test_all_combinations_the_base_and_where_to_stop(flow: Flow) -> None:
    vary = {"agc#1.window_ms": [100, 200], "agc#1.kind": ["rms", "gaussian"]}
    tried = parameter_test(flow, vary, {"cdp": [(10, 12)], "offset": [(0, 200)]}, until="nmo", against="base")
    assert [tuple(trial.values.values()) for trial in tried] == [
        (300.0, "rms"), (100, "rms"), (100, "gaussian"), (200, "rms"), (200, "gaussian")
    ]  # fmt: skip
    assert tried[1].title == "window_ms = 100\nkind = rms"
    assert tried[0].difference is None
    assert set(tried[0].gather.headers["cdp"]) == {10, 11, 12} and tried[0].gather.headers["offset"].max() <= 200
    difference = tried[1].difference
    assert difference is not None
    np.testing.assert_array_equal(difference.traces, tried[1].gather.traces - tried[0].gather.traces)
    assert tried[1].figures["change_percent"] > 0 and 0 <= tried[1].figures["leakage"] <= 1


def test_tables_and_sorts_may_be_varied(flow: Flow) -> None:
    slow = {"time_ms": [0.0], "rms_m_per_s": [1500.0]}
    tried = parameter_test(flow, {"nmo.velocity": [slow, Table({"time_ms": [0], "rms_m_per_s": [3000]})]}, {"cdp": [9]})
    assert tried[0].figures["rms"] != tried[1].figures["rms"]
    assert tried[0].title == "velocity = time_ms 0; rms_m_per_s 1500"
    sorted_ways = parameter_test(flow, {"sort.sort": [["offset"], ["-offset"]]}, {"cdp": [9]})
    up, down = (trial.gather.headers["offset"] for trial in sorted_ways)
    np.testing.assert_array_equal(up, down[::-1])


def test_another_number_of_samples_has_no_difference(flow: Flow) -> None:
    more = trials.attrs.evolve(flow, steps=(*flow.steps, Step(use="resample", parameters={"interval_ms": 4.0})))
    tried = parameter_test(more, {"resample.interval_ms": [4.0, 2.0]}, {"cdp": [9]})
    assert tried[1].difference is None and tried[1].figures["leakage"] is None


@pytest.mark.parametrize(
    ("vary", "at", "until", "problem"),
    [
        ({"agc#1.window_s": [1]}, {"cdp": [9]}, None, "parameter 'window_s' is not known"),
        ({"agc#1.window_ms": [100, 0.1]}, {"cdp": [9]}, None, "must span at least two samples"),
        ({"agc#1.window_ms": ["long"]}, {"cdp": [9]}, None, "must be a number, not 'long'"),
        ({"agc.window_ms": [100]}, {"cdp": [9]}, None, "has 2 steps 'agc': name one, as agc#1"),
        ({"agc#3.window_ms": [100]}, {"cdp": [9]}, None, "numbered from 1"),
        ({"mute.time_ms": [100]}, {"cdp": [9]}, None, "has no step 'mute'"),
        ({"agc": [100]}, {"cdp": [9]}, None, "write step.parameter"),
        ({}, {"cdp": [9]}, None, "name a parameter to vary"),
        ({"agc#1.window_ms": []}, {"cdp": [9]}, None, "0 combinations"),
        ({"agc#1.window_ms": list(range(50, 150))}, {"cdp": [9]}, None, "100 combinations"),
        ({"agc#1.window_ms": [100]}, {"cdp": [9, 99]}, None, "no trace has cdp 99"),
        ({"agc#1.window_ms": [100]}, {"cdp": [(90, 99)]}, None, "no trace has cdp 90 to 99"),
        ({"agc#1.window_ms": [100]}, {"cdp": [0], "offset": [200]}, None, "no trace has all of the values"),
        ({"agc#1.window_ms": [100]}, {"shot": [9]}, None, "shot"),
        ({"agc#2.window_ms": [100]}, {"cdp": [9]}, "nmo", "step 'nmo' comes before 'agc'"),
    ],
)
def test_refused_before_a_sample_is_read(
    flow: Flow, monkeypatch: pytest.MonkeyPatch, vary: Any, at: Any, until: Any, problem: str
) -> None:
    def read(*_: Any, **__: Any) -> Gather:
        raise AssertionError("read a sample")

    monkeypatch.setattr(MemorySurvey, "read", read)
    with pytest.raises(UsageError, match=problem) as caught:
        parameter_test(flow, vary, at, until=until)
    assert "\n" not in str(caught.value)


def test_values_in_titles() -> None:
    assert [shown(v) for v in (True, 0.25, "hard", [1, 2], list(range(9)))] == [
        "true",
        "0.25",
        "hard",
        "1 2",
        "0 1 ... 8",
    ]
