"""What a pass over a survey finds is what NumPy finds in all of it at once."""

from __future__ import annotations

import numpy as np
import pytest

from seisproc_core.data import survey as surveys
from seisproc_core.data.statistics import survey_statistics
from seisproc_core.data.survey import MemorySurvey
from seisproc_core.errors import HeaderError
from seisproc_core.testing import make_gather

TRACES, SAMPLES = 50, 40
DEAD, SILENT, NAN = 7, 11, 13


@pytest.fixture
def survey() -> MemorySurvey:
    rng = np.random.default_rng(3)
    traces = rng.standard_normal((TRACES, SAMPLES)).astype(np.float32) + 1
    first, end = rng.integers(0, 5, TRACES), rng.integers(30, SAMPLES + 1, TRACES)
    traces[:, :5] *= 1000  # mostly outside the live windows
    first[:] = np.maximum(first, 5)
    traces[SILENT], traces[NAN, 20] = 0, np.nan
    dead = np.zeros(TRACES, np.uint8)
    dead[DEAD], end[DEAD] = 4, first[DEAD]
    return MemorySurvey(
        make_gather(traces, live=(first, end), cdp=np.arange(100, 150), offset=np.zeros(TRACES), dead=dead)
    )


@pytest.mark.parametrize("block_bytes", [1, 7 * 4 * SAMPLES, 1 << 20])
def test_figures_do_not_depend_on_blocks(
    survey: MemorySurvey, block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surveys, "BLOCK_BYTES", block_bytes)
    told: list[int] = []
    found = survey_statistics(survey, told=told.append)
    whole = survey.read(slice(0, TRACES))
    first, end = whole.live_window
    at = np.arange(SAMPLES)
    live = (at >= first[:, None]) & (at < end[:, None]) & np.isfinite(whole.traces)
    live[DEAD] = False
    values = whole.traces[live].astype(np.float64)
    samples = found["samples"]
    assert (samples["traces"], samples["dead_traces"], samples["silent_traces"]) == (TRACES, 1, 1)
    assert samples["dead_by_reason"] == {"killed by a step": 1}
    assert samples["samples_not_finite"] == 1
    assert samples["live_samples"] == values.size
    assert (samples["min"], samples["max"]) == (values.min(), values.max())
    assert samples["mean"] == pytest.approx(values.mean())
    assert samples["rms"] == pytest.approx(np.sqrt(np.mean(values**2)))
    rms = [np.sqrt(np.mean(whole.traces[row][live[row]].astype(np.float64) ** 2)) if live[row].any() else 0
           for row in range(TRACES)]  # fmt: skip
    assert samples["strongest_trace"] == {"trace": int(np.argmax(rms)) + 1, "rms": pytest.approx(max(rms))}
    weakest = min(value for value in rms if value > 0)
    assert samples["weakest_trace"] == {"trace": rms.index(weakest) + 1, "rms": pytest.approx(weakest)}
    assert found["words"]["cdp"] == {"min": 100, "max": 149}
    assert "offset" not in found["words"]
    assert told == sorted(set(told)) and told[-1] == TRACES


def test_words_by_any_name(survey: MemorySurvey) -> None:
    assert survey_statistics(survey, ["CDP", "offset"])["words"] == {
        "cdp": {"min": 100, "max": 149},
        "offset": {"min": 0, "max": 0},
    }
    with pytest.raises(HeaderError, match="crossline"):
        survey_statistics(survey, ["crossline"])


def test_traces_that_are_live_throughout() -> None:
    traces = np.random.default_rng(5).standard_normal((30, 20)).astype(np.float32) * 1e30
    samples = survey_statistics(MemorySurvey(make_gather(traces)))["samples"]
    values = traces.astype(np.float64)
    assert (samples["min"], samples["max"], samples["live_samples"]) == (values.min(), values.max(), 600)
    assert samples["rms"] == pytest.approx(np.sqrt(np.mean(values**2)))
    assert samples["strongest_trace"]["trace"] == int(np.argmax(np.square(values).sum(axis=1))) + 1


def test_a_survey_that_is_dead() -> None:
    survey = MemorySurvey(make_gather(np.zeros((3, 10)), dead=np.ones(3, np.uint8)))
    samples = survey_statistics(survey)["samples"]
    assert (samples["dead_traces"], samples["live_samples"]) == (3, 0)
    assert samples["min"] is samples["rms"] is samples["weakest_trace"] is None
