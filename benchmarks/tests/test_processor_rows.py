from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest

from benchmarks.harness import summary, table
from benchmarks.processors import catalogue, data, worker
from benchmarks.processors.case import Case
from benchmarks.processors.catalogue import cases, without_case
from benchmarks.processors.limits import Limits
from benchmarks.processors.rows import ProcessorRow
from benchmarks.processors.worker import OURS, Amount


def test_every_registered_processor_has_a_case_with_a_peer() -> None:
    assert without_case() == []
    assert [name for name, case in cases().items() if not case.peers] == []


def test_a_processor_without_a_case_is_found_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = {name: case for name, case in cases().items() if case.use != "nmo"}
    monkeypatch.setattr(catalogue, "cases", lambda: fewer)
    assert without_case() == ["nmo"]
    assert ProcessorRow(what="nmo").cells()[:2] == ("nmo", "no row")
    assert ProcessorRow(what="nmo").met is None


@pytest.mark.parametrize("family", catalogue.FAMILIES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_parameters_and_data_suit_the_processors(family: Any) -> None:
    for case in family.CASES:
        assert callable(worker._prepared(case)), case.name


@pytest.mark.parametrize("name", ["reverse", "stack: fold 50", "spreading", "select", "agc: 500 ms"])
def test_peers_that_are_said_to_agree_do(name: str) -> None:
    case = cases()[name]
    assert case.same is not None
    assert all(worker.difference(name, peer) <= case.same for peer in case.peers)


def test_a_difference_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = attrs.evolve(cases()["reverse"], use="kill")
    monkeypatch.setattr(worker, "cases", lambda: {"wrong": wrong})
    assert worker.difference("wrong", "NumPy") > 0.5
    worker._call.cache_clear()


@pytest.mark.parametrize("gathers", [1, data.GATHERS, data.GATHERS + 3])
def test_amounts_are_whole_gathers(gathers: int) -> None:
    batches = Amount(gathers, 1).batches(cases()["reverse"])
    assert sum(batch.n_gathers for batch in batches) == gathers
    assert sum(batch.n_traces for batch in batches) == gathers * data.FOLD
    assert len({int(record) for batch in batches for record in batch.headers["field_record"]}) == gathers


def test_a_run_tells_how_many_traces_went_in() -> None:
    began, ended, count = worker.run("reverse", OURS, Amount(2, 3), 0.0)
    assert ended > began
    assert count == 2 * 3 * data.FOLD


def test_a_survey_is_measured_solved_and_corrected_whole() -> None:
    name = "surface_consistent_amplitude"
    batch = Amount(5, 1).batches(cases()[name])[0]
    made = worker._call(name, OURS)(batch)
    for word in ("trace_id", "cdp", "offset"):
        np.testing.assert_array_equal(np.sort(made.headers[word]), np.sort(batch.headers[word]))
    assert made.traces.shape == batch.traces.shape
    assert np.abs(made.traces).sum() > 0


def test_what_binds() -> None:
    limits = Limits(read=1e9, write=2e9, transforms=1e5, multiplications=1e10)
    for case, samples, seconds, name in (
        (Case(use="x"), 1000, 2e-6, "memory"),
        (Case(use="x", transforms=2), 1000, 2e-5, "FFT"),
        (Case(use="x", multiplications=1e6), 0, 1e-4, "BLAS"),
    ):
        least, binding = limits.seconds(case, samples, 2 * samples)
        assert least == pytest.approx(seconds)
        assert binding == name


def test_rows_are_judged_against_the_fastest_peer_of_the_same_round() -> None:
    case = Case(use="x", goal=90, times=2)
    row = ProcessorRow(
        what="x", case=case, values=(100, 200, 100), everywhere=(150, 300, 150),
        peers={"slow": (10, 10, 10), "fast": (50, 90, 40), "gone": "not installed (gone)"}, share=0.25, binding="FFT",
    )  # fmt: skip
    assert row.best == "fast"
    assert row.ratio == pytest.approx(200 / 90)
    assert row.met is True
    assert row.cells()[1:] == (
        "100 noisy", "150 (1.50 x)", "fast: 50", "2.22 x", "25 % FFT", ">= 90, >= 2 x", "yes",
    )  # fmt: skip
    assert attrs.evolve(row, case=attrs.evolve(case, times=2.5)).met is False
    assert attrs.evolve(row, case=attrs.evolve(case, goal=101)).met is False
    without = attrs.evolve(row, peers={"gone": "not installed (gone)"})
    assert without.met is True
    assert attrs.evolve(row, case=Case(use="x", times=None)).met is None
    assert without.cells()[3:5] == ("gone: not installed (gone)", "")
    assert len(table([row, without]).splitlines()) == 4
    assert summary([row, attrs.evolve(row, case=attrs.evolve(case, goal=101))]) == "1 of 2 goals met; missed: x"
