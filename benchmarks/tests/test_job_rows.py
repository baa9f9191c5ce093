from __future__ import annotations

import importlib
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from benchmarks import histories, job_system, peers, resuming
from benchmarks.__main__ import SUBJECTS
from benchmarks.adapters.load_adapter import Adapter
from benchmarks.children import measured
from benchmarks.committing import _receipt, appended
from benchmarks.harness import at_most
from benchmarks.one_trace import Gate, flow_of, gone
from seisproc_core.errors import Cancelled
from seisproc_core.jobs.engine import Engine
from seisproc_core.jobs.journal import Journal


@pytest.mark.parametrize("subject", SUBJECTS.values())
def test_every_subject_is_a_function(subject: str) -> None:
    module, _, function = subject.partition(":")
    assert callable(getattr(importlib.import_module(f"benchmarks.{module}"), function))


def test_percentiles_are_in_milliseconds() -> None:
    row = job_system.tail("w", [0.001] * 98 + [0.5, 0.5], at_most(10))
    assert row.value == pytest.approx(500)
    assert row.met is False
    assert job_system.tail("w", [0.001] * 98 + [0.5, 0.5], at_most(10), share=50).met is True


def test_a_gate_holds_its_job_until_it_is_opened_or_the_job_cancelled() -> None:
    with Engine(executor="in-process") as engine:
        gates = [Gate(), Gate()]
        kept, dropped = (engine.submit(flow_of(gate)) for gate in gates)
        assert not kept.wait(0.1)
        dropped.cancel()
        with pytest.raises(Cancelled):
            dropped.result(20)
        gates[0].opened.set()
        assert kept.result(20).open().n_traces == 1


@pytest.mark.parametrize("kind", ["memory", "durable"])
def test_a_small_crowd(kind: str, tmp_path: Path) -> None:
    found = job_system.crowd_of(kind, str(tmp_path), "20")
    assert (found["lost"], found["wrong"], found["at_once"]) == (0, 0, 20)
    assert (found["completed"], found["cancelled"]) == (16, 4)


@pytest.mark.parametrize("kind", ["memory", "durable"])
def test_a_queue_is_drained_and_found_again(kind: str, tmp_path: Path) -> None:
    assert histories.drain(kind, str(tmp_path / "jobs.sqlite"), "70")["seconds"] > 0
    if kind == "durable":
        assert histories.restart(kind, str(tmp_path / "jobs.sqlite"), "30")["seconds"] > 0


def test_a_measurement_in_a_process_of_its_own(tmp_path: Path) -> None:
    assert measured("histories:drain", "memory", "", "10")["seconds"] > 0
    with pytest.raises(RuntimeError, match="not-a-number"):
        measured("histories:drain", "memory", "", "not-a-number")


def test_journal_lines_made_without_the_disk_are_those_of_a_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal") as journal:
        for segment in range(3):
            journal.append(0, [_receipt(segment)])
    assert (tmp_path / "journal").read_bytes() == b"".join(map(appended, range(3)))


def test_peers_commit_what_they_are_timed_for(tmp_path: Path) -> None:
    assert len(peers.commits(tmp_path / "one", 5)) == 5
    assert peers.bulk_commit(tmp_path / "many", 7) > 0
    for name, rows in (("one", 5), ("many", 7)):
        with sqlite3.connect(tmp_path / name) as database:
            assert database.execute("SELECT count(*) FROM jobs").fetchone() == (rows,)


def test_differences_between_outputs() -> None:
    assert resuming._different({"a": 1, "b": 2}, {"a": 1, "b": 2}) == 0
    assert resuming._different({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 0, "d": 3}) == 3


def test_gone_takes_what_lies_beside(tmp_path: Path) -> None:
    for name in ("x.seis", "x.seis.lock", "y.seis"):
        (tmp_path / name).touch()
    (tmp_path / "x.seis.part").mkdir()
    gone(tmp_path / "x.seis")
    assert [path.name for path in tmp_path.iterdir()] == ["y.seis"]


@pytest.mark.parametrize("kind", ["memory", "durable"])
def test_the_adapter_for_load_generators(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEISPROC_LOAD_STORE", kind)
    before = threading.active_count()
    adapter = Adapter(str(tmp_path))
    assert (tmp_path / "jobs.sqlite").exists() == (kind == "durable")
    jobs = [adapter.submit(number) for number in range(20)]
    adapter.cancel(jobs[-1])
    deadline = time.monotonic() + 60
    while (states := [adapter.state(job) for job in jobs]) and time.monotonic() < deadline:
        if all(state in ("COMPLETED", "CANCELLED") for state in states):
            break
        time.sleep(0.01)
    assert set(states[:-1]) == {"COMPLETED"}
    assert adapter.pids()
    adapter.close()
    assert threading.active_count() == before
