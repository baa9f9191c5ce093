"""A result is a function of the data and the flow: not of who computes it, in which pieces, or how the file says it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from integration_kit import (
    STACKING,
    Line,
    assert_close,
    contents,
    flow,
    model_line,
    open_output,
    run,
    values,
    write_segy,
)

from seisproc_core.execution import stage
from seisproc_core.plugins import registry

# Every installed executor; a process pool takes seconds to start, so only the default one runs with every number.
_DEFAULT = registry().best("executors").id
EXECUTORS = [
    pytest.param(entry.id, workers, marks=pytest.mark.xdist_group(entry.id))
    for entry in registry().of("executors")
    for workers in ((1, 2, 3) if entry.id == _DEFAULT else (1,) if entry.id == "in-process" else (1, 3))
]
GENERATE = (Phase.explicit, Phase.generate)  # an example takes too long to shrink it


def import_stack_export(segy: Path, folder: Path, **how: object) -> dict[str, dict[str, str]]:
    """The bytes of a survey, of a stack of it and of a file made of that."""
    line = run(flow({"segy": str(segy)}, [], {"survey": str(folder / "line.seis"), "shard_traces": 16}), **how)
    sink = {"survey": str(folder / "stack.seis"), "shard_traces": 8, "index": [["cdp"]]}
    stack = run(flow({"survey": str(line)}, STACKING, sink), **how)
    file = run(flow({"survey": str(stack)}, [], {"segy": str(folder / "stack.sgy")}), **how)
    return {path.name: contents(path) for path in (line, stack, file)}


def stacked(segy: Path, folder: Path, **options: object) -> Path:
    return run(flow({"segy": str(segy), **options}, STACKING, {"survey": str(folder / "stack.seis")}))


@pytest.fixture(scope="module")
def undisturbed(segy: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    return import_stack_export(segy, tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture(scope="module")
def reference(segy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stacked(segy, tmp_path_factory.mktemp("reference"))


@pytest.mark.parametrize(("executor", "workers"), EXECUTORS)
def test_executor_and_number_of_workers(
    executor: str, workers: int, segy: Path, tmp_path: Path, undisturbed: dict[str, dict[str, str]]
) -> None:
    assert len(undisturbed["line.seis"]) > 20, "several shards, or there is nothing to divide"
    assert import_stack_export(segy, tmp_path, executor=executor, workers=workers) == undisturbed


@settings(max_examples=8, phases=GENERATE)
@given(batch_traces=st.integers(1, 96), shard_traces=st.integers(1, 96), input_shard=st.integers(1, 96))
def test_batch_and_shard_size(
    batch_traces: int, shard_traces: int, input_shard: int, segy: Path, line: Line, reference: Path
) -> None:
    expected = values(reference)
    with TemporaryDirectory() as folder:
        survey = flow({"segy": str(segy)}, [], {"survey": f"{folder}/line.seis", "shard_traces": input_shard})
        sink = {"survey": f"{folder}/stack.seis", "shard_traces": shard_traces}
        with patch.object(stage, "BATCH_BYTES", 4 * line.traces.shape[1] * batch_traces):
            made = run(flow({"survey": str(run(survey))}, STACKING, sink))
        assert_close(values(made), expected, 1e-6)


@pytest.mark.parametrize("start_ms", [-100.0, 100.0])
def test_start_time(start_ms: float, tmp_path: Path, reference: Path) -> None:
    made = stacked(write_segy(tmp_path / "late.sgy", model_line(start_ms=start_ms)), tmp_path)
    sampling = open_output(made).sampling
    assert sampling.start_s == pytest.approx(start_ms / 1000)
    ours, theirs = values(made), values(reference)
    shared = min(ours.shape[1], theirs.shape[1])
    assert not ours[:, :-shared].any() and not theirs[:, :-shared].any(), "muted where only one record reaches"
    assert_close(ours[:, -shared:], theirs[:, -shared:], 1e-5)


@pytest.mark.parametrize(
    ("binary_us", "trace_us", "options"),
    [(4000, 0, {}), (0, 4000, {}), (0, 0, {"interval_us": 4000}), (8000, 8000, {"interval_us": 4000.0})],
)
def test_where_the_sample_interval_is_stored(
    binary_us: int, trace_us: int, options: dict[str, float], line: Line, tmp_path: Path, reference: Path
) -> None:
    file = write_segy(tmp_path / "line.sgy", line, binary_us=binary_us, trace_us=trace_us)
    assert np.array_equal(values(stacked(file, tmp_path, **options)), values(reference))


@settings(max_examples=6, phases=GENERATE)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_of_traces_in_the_file(seed: int, line: Line, reference: Path) -> None:
    order = np.random.default_rng(seed).permutation(len(line.traces))
    with TemporaryDirectory() as folder:
        made = stacked(write_segy(Path(folder, "shuffled.sgy"), line.reordered(order)), Path(folder))
        expected = values(reference)
        assert open_output(made).headers()["cdp"].tolist() == open_output(reference).headers()["cdp"].tolist()
        assert_close(values(made), expected, 1e-5)
