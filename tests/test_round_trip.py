"""Real files through the engine: imported as independent readers describe them, exported byte for byte."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from integration_kit import flow, model_line, open_output, run, write_segy

from seisproc_core.data.words import canonical

_NAMES = {"sp": "shotpoint"}


@pytest.fixture(scope="session")
def facts(shared: Path) -> dict[str, dict[str, Any]]:
    """What other readers found in each SEG-Y and SU file, by relative path."""
    file = shared / "corpus" / "facts.json"
    if not file.is_file():
        pytest.skip(f"no facts about reference files at {file}")
    return {name: fact for name, fact in json.loads(file.read_text()).items() if fact["kind"] in ("segy", "su")}


def needs_native(fact: dict[str, Any]) -> bool:
    """What only the native reader reads."""
    return fact["format"] == 7 or fact.get("max_trhdr_ext", 0) > 0


def test_every_reference_file(facts: dict[str, dict[str, Any]], shared: Path, tmp_path: Path) -> None:
    native = _have_native()
    assert len(facts) > 90
    unlike, refused = [], []
    for number, (name, fact) in enumerate(facts.items()):
        if needs_native(fact) and not native:
            continue
        if not fact["dt_us"]:
            refused.append(name)
            continue
        folder = tmp_path / str(number)
        folder.mkdir()
        source = shared / "corpus" / name
        survey = run(flow({"segy": str(source)}, [], {"survey": str(folder / "line.seis")}))
        check_facts(survey, fact, name)
        options = {"kind": fact["kind"]}
        back = run(flow({"survey": str(survey)}, [], {"segy": str(folder / "back.sgy"), **options}))
        if hashlib.sha256(back.read_bytes()).hexdigest() != fact["sha256"]:
            unlike.append(name)
        shutil.rmtree(folder)
    assert not unlike
    assert len(refused) <= 1, "files without a sample interval"


def check_facts(path: Path, fact: dict[str, Any], name: str) -> None:
    survey = open_output(path)
    assert (survey.n_traces, survey.sampling.count) == (fact["n_traces"], fact["n_samples"]), name
    if fact["dt_us"] > 0:
        assert survey.sampling.interval_s == pytest.approx(fact["dt_us"] * 1e-6), name
    headers = survey.headers()
    for word, (first, last, low, high, different) in fact["headers_first_last_min_max_nunique"].items():
        column = headers.column(canonical(_NAMES.get(word, word)))
        found = [column[0], column[-1], column.min(), column.max(), len(np.unique(column))]
        assert found == [first, last, low, high, different], (name, word)
    traces = survey.read(slice(0, survey.n_traces)).traces.astype(np.float64)
    assert np.abs(traces).sum() == pytest.approx(fact["whole_file"]["abs_sum"], rel=1e-6), name


def test_several_files_are_one_survey(facts: dict[str, dict[str, Any]], shared: Path, tmp_path: Path) -> None:
    names = sorted(name for name in facts if "loma_blanca_sh_rec" in name)
    assert len(names) == 4
    paths = [str(shared / "corpus" / name) for name in names]
    survey = open_output(run(flow({"segy": paths}, [], {"survey": str(tmp_path / "line.seis")})))
    assert survey.n_traces == sum(facts[name]["n_traces"] for name in names) == 7200
    first = 0
    for name, path in zip(names, paths, strict=True):
        one = open_output(Path(path))
        gather = survey.read(slice(first, first + one.n_traces))
        assert np.array_equal(gather.traces, one.read(slice(0, one.n_traces)).traces), name
        first += one.n_traces
    ids = survey.headers()["trace_id"]
    assert len(np.unique(ids)) == 7200 and len(np.unique(ids >> 40)) == 4


def test_several_files_and_one_make_the_same_survey(tmp_path: Path) -> None:
    line = model_line()
    halves = [line.reordered(rows) for rows in np.split(np.arange(len(line.traces)), 2)]
    files = [str(write_segy(tmp_path / f"{k}.sgy", half)) for k, half in enumerate(halves)]
    parts = open_output(run(flow({"segy": files}, [], {"survey": str(tmp_path / "parts.seis")})))
    assert np.array_equal(parts.read(slice(0, parts.n_traces)).traces, line.traces)
    for word, values in line.words.items():
        assert np.array_equal(parts.headers().column(word), values), word


def _have_native() -> bool:
    from importlib.util import find_spec

    return find_spec("seisproc_native_segy") is not None
