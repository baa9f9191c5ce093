"""Steps of this plugin as a job runs them: planned axes and words arrive, batches and gathers are those of the flow."""

from __future__ import annotations

import numpy as np

from seisproc_core import Engine, Flow, Gather, MemorySurvey, Source, Step
from seisproc_core.specs import resolve
from seisproc_core.testing import make_gather, run_processor
from seisproc_signal.plugin import seisproc_kernels, seisproc_processors

PROCESSORS = {cls.id: cls for cls in map(resolve, seisproc_processors())}
STEPS = [
    ("edit_rules", {"spike_ratio": 40.0, "loud_ratio": 6.0, "action": "kill"}),
    ("mute", {"velocity_m_per_s": 3000.0, "time_ms": 60.0}),
    ("decon", {"operator_ms": 60.0, "design_start_ms": 100.0, "velocity_m_per_s": 3000.0}),
    ("shift", {"words": ["total_static"]}),
    ("phase_rotate", {"angle_deg": 30.0}),
    ("resample", {"interval_ms": 8.0, "start_ms": 0.0}),
    ("agc", {"window_ms": 200.0}),
]


def line() -> Gather:
    rng = np.random.default_rng(17)
    traces = rng.standard_normal((36, 400))
    traces[7] *= 100
    traces[20, 200] = 1e4
    offset = np.tile(np.arange(12) * 50, 3)
    words = {"field_record": np.repeat([1, 2, 3], 12), "offset": offset, "total_static": rng.integers(-9, 9, 36)}
    return make_gather(traces, start_ms=-100, gather_starts=[0, 12, 24, 36], **words)


def test_a_job_gives_what_the_steps_give_by_themselves() -> None:
    source = Source(storage="memory", survey=MemorySurvey(line()), gather=("field_record",))
    flow = Flow(source=source, steps=tuple(Step(use=use, parameters=given) for use, given in STEPS))
    with Engine() as engine:
        survey = engine.submit(flow).result(60).open()
    found = survey.read(slice(0, survey.n_traces))
    expected = line()
    for use, given in STEPS:
        expected = run_processor(PROCESSORS[use], expected, given, kernels=seisproc_kernels(), backend="numba")
    assert found.sampling == expected.sampling and found.sampling.start_s == 0 and found.sampling.interval_s == 0.008
    assert np.allclose(found.traces, expected.traces, atol=1e-5)
    assert np.flatnonzero(found.headers.column("dead")).tolist() == [7, 20]
    assert found.headers["edit_rule"][[7, 20]].tolist() == [2, 3]
    assert all(np.array_equal(*pair) for pair in zip(found.live_window, expected.live_window, strict=True))
