"""The processors as a job runs them: found by name, planned, cut into batches, written."""

from __future__ import annotations

import numpy as np
import pytest

from seisproc_core.data.survey import MemorySurvey
from seisproc_core.jobs.engine import Engine
from seisproc_core.plugins import registry
from seisproc_core.processing.flow import Flow, Source, Step
from seisproc_core.processing.params import json_schema
from seisproc_core.specs import resolve
from seisproc_core.testing import make_gather
from seisproc_denoise.multichannel.descriptions import KERNELS, PROCESSORS

STEPS = {
    "fk_filter": {"kind": "pass", "min_m_per_s": 1500.0},
    "fkk_filter": {"kind": "pass", "min_m_per_s": 1500.0, "x_position": "offset", "y_position": "inline"},
    "fx_decon": {"window_ms": 200.0, "taper_ms": 50.0},
    "fx_interpolate": {},
    "fx_fill": {},
    "radon_demultiple": {"cut_ms": 60.0, "reference_offset_m": 600.0},
    "tau_p_filter": {"low_ms_per_m": 0.5, "high_ms_per_m": 1.0, "min_ms_per_m": -1.0, "max_ms_per_m": 1.0},
    "linear_moveout": {"velocity_m_per_s": 1500.0},
    "slant_median": {"min_ms_per_m": -0.4, "max_ms_per_m": 0.4, "slopes": 5},
}


def test_every_processor_is_described():
    classes = [resolve(name) for name in PROCESSORS]
    elsewhere = ["adaptive_subtract", "srme"]  # tested with a second input and with the survey they need
    assert sorted(cls.id for cls in classes) == sorted([*STEPS, *elsewhere])
    for cls in classes:
        text = cls.__doc__ or ""
        assert "Source: " in text and "Not " in text, cls.id
        assert all(entry["description"] for entry in json_schema(cls, cls.id)["properties"].values())
    for spec in KERNELS:
        assert callable(resolve(spec.impl))


@pytest.mark.parametrize("use", STEPS)
def test_flow_on_gathers_with_dead_muted_and_missing_traces(use):
    if not any(entry.id == use for entry in registry().of("processors")):
        pytest.skip("seisproc-denoise is not installed, only on the path")
    rng = np.random.default_rng(6)
    words = {"field_record": np.repeat([7, 8, 9], [12, 1, 25]), "inline": 1}
    offset = 25 * np.concatenate([np.arange(12), [3], np.delete(np.arange(26), 9)])
    first, dead = rng.integers(0, 40, 38), np.isin(np.arange(38), [2, 20, 21])
    live = (first, np.full(38, 120))
    source = make_gather(rng.standard_normal((38, 120)), offset=offset, dead=dead, live=live, start_ms=-20.0, **words)
    flow = Flow(
        source=Source(storage="memory", survey=MemorySurvey(source), gather=("field_record",), sort=("offset",)),
        steps=(Step(use=use, parameters=STEPS[use]),),
    )
    with Engine(executor="in-process", workers=1) as engine:
        survey = engine.submit(flow).result().open()
        out = survey.read(slice(0, survey.n_traces))
    rows = {"fx_interpolate": 23 + 1 + 49, "fx_fill": 12 + 1 + 26}.get(use, 38)
    assert out.traces.shape == (rows, 120)
    assert np.isfinite(out.traces).all() and out.traces.any()
    begin, end = out.live_window
    sample = np.arange(120)
    assert not out.traces[(sample < begin[:, None]) | (sample >= end[:, None])].any()
    assert len(set(out.headers.column("trace_id"))) == rows
