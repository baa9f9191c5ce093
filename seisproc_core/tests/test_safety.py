"""Jobs on disk when things go wrong around them: stores that fail, engines that close, outputs half exchanged, edited
plugins. Nothing hangs, nothing is lost, nothing is called whole that is not."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from seisproc_core import Engine, Flow, MemorySurvey, Source, State, Step, plugins
from seisproc_core.errors import (
    Cancelled,
    Damaged,
    Incomplete,
    OutputBusy,
    OutputExists,
    StepError,
    StorageError,
    UsageError,
)
from seisproc_core.execution.remote import error_from_json, error_to_json
from seisproc_core.jobs import durable, provenance, workfolder
from seisproc_core.jobs.journal import Journal
from seisproc_core.jobs.lock import OutputLock
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.resources import Resources
from seisproc_core.jobs.store import MemoryStore, Query
from seisproc_core.jobs.workfolder import WorkFolder
from seisproc_core.processing.context import BufferPool
from seisproc_core.processing.flow import Target
from seisproc_core.testing import make_gather

PLUGIN = """
    import numpy as np
    from seisproc_core import Processor, hookimpl, param, processor
    from seisproc_core.data.survey import Piece
    from seisproc_core.specs import StorageSpec

    class Sink:
        shard_rows = 4
        file_bytes = None
        def __init__(self, plan): self.row_bytes = 4 * plan.sampling.count
        def encode(self, first, rows): return [Piece(f"{first:04d}", rows.traces.tobytes())]
        def finish(self, data): return []

    class FileSink(Sink):
        def __init__(self, plan):
            super().__init__(plan)
            self.file_bytes = plan.n_traces * self.row_bytes
        def encode(self, first, rows): return [Piece("", rows.traces.tobytes(), first * self.row_bytes)]

    class Folder:
        def sink(self, plan): return Sink(plan)

    class File:
        def sink(self, plan): return FileSink(plan)

    @processor("stop", scope="trace")
    class Stop(Processor):
        \"\"\"Stops the disk at some trace.\"\"\"
        def apply(self, batch, context):
            if BROKEN and batch.headers["channel"].max() >= 8:
                raise MemoryError("no memory")
            return batch

    @processor("wrap", scope="trace")
    class Wrap(Processor):
        \"\"\"Writes what its planned type cannot hold.\"\"\"
        def apply(self, batch, context):
            big = np.full(batch.n_traces, 1 << 40)
            return batch.with_headers(batch.headers.with_columns(channel=big))

    @processor("shift", scope="trace")
    class Shift(Processor):
        \"\"\"Keeps the number of traces, but not of those in a gather.\"\"\"
        def apply(self, batch, context):
            import attrs
            starts = batch.gather_starts.copy()
            starts[1:-1] += 1
            return attrs.evolve(batch, gather_starts=starts)

    BROKEN = True

    @hookimpl
    def seisproc_processors():
        return [Stop, Wrap, Shift]

    @hookimpl
    def seisproc_storage():
        return [StorageSpec(id="folder", suffixes=(), impl="test_disk_format.plugin:Folder"),
                StorageSpec(id="file", suffixes=(), impl="test_disk_format.plugin:File")]
"""


@pytest.fixture(autouse=True)
def package(install: Callable[[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEISPROC_STATE_DIR", str(tmp_path / "state"))
    return install("test-disk-format", PLUGIN)


def survey() -> MemorySurvey:
    return MemorySurvey(make_gather(np.arange(60.0).reshape(20, 3), channel=np.arange(20), cdp=np.arange(20) // 5))


def flow(target: Path, *steps: str, storage: str = "folder", gather: tuple[str, ...] = ()) -> Flow:
    source = Source(storage="memory", survey=survey(), gather=gather)
    return Flow(
        source=source, steps=tuple(Step(use=use) for use in steps), sink=Target(storage=storage, path=str(target))
    )


class Flaky(MemoryStore):
    """A store whose disk is full whenever `fails` says so."""

    def __init__(self, fails: Callable[[str, State | None], bool]) -> None:
        super().__init__()
        self.fails = fails

    def move(self, job_id: str, state: State, reason: str = "", **changes: Any) -> Job:
        if self.fails("move", state):
            raise StorageError("the store's disk is full")
        return super().move(job_id, state, reason, **changes)

    def report(self, job_id: str, done: int, total: int) -> None:
        if self.fails("report", None):
            raise StorageError("the store's disk is full")
        super().report(job_id, done, total)


def unfinished(target: Path) -> None:
    """Leave an output of which two segments are done."""
    with Engine() as engine, pytest.raises(MemoryError):
        engine.submit(flow(target, "stop")).result(30)
    assert len(WorkFolder.find(target)) == 1


def mend() -> None:
    import test_disk_format.plugin  # type: ignore[import-not-found]

    test_disk_format.plugin.BROKEN = False


def test_a_store_that_cannot_note_progress_or_the_end_costs_no_job(tmp_path: Path) -> None:
    fails = lambda what, state: what == "report" or state is State.COMPLETED  # noqa: E731
    with Engine(store=Flaky(fails)) as engine:
        for name in ("a", "b"):
            handle = engine.submit(flow(tmp_path / name))
            assert handle.result(30).path.is_dir()
            assert handle.job.state is State.SEALING
            assert not WorkFolder.find(tmp_path / name)


@pytest.mark.parametrize("state", [State.RUNNING, State.SEALING, State.FAILED])
def test_a_store_that_fails_ends_the_job_and_not_the_engine(state: State, tmp_path: Path) -> None:
    store = Flaky(lambda what, wanted: wanted in (state, State.FAILED))
    with Engine(store=store) as engine:
        with pytest.raises((StorageError, StepError)):
            engine.submit(flow(tmp_path / "a", "wrap")).result(30)
        store.fails = lambda what, wanted: False
        assert engine.submit(flow(tmp_path / "b")).result(30)
        OutputLock(tmp_path / "a", "next", patience_s=0).release(remove=True)


def test_jobs_cancelled_by_another_process_while_they_run_and_wait(tmp_path: Path) -> None:
    store, begun, go_on = MemoryStore(), threading.Event(), threading.Event()
    stop = patch("seisproc_core.jobs.runner.FolderRun.execute", lambda *_: (begun.set(), go_on.wait(30)))
    with stop, Engine(store=store) as engine:
        running, waiting = engine.submit(flow(tmp_path / "a")), engine.submit(flow(tmp_path / "b"))
        assert begun.wait(30)
        store.move(running.id, State.CANCELLING)
        store.move(waiting.id, State.CANCELLED)
        go_on.set()
        for handle in (running, waiting):
            with pytest.raises(Cancelled):
                handle.result(30)
            assert handle.job.state is State.CANCELLED
    assert not (tmp_path / "a").exists()


def test_a_closed_engine_refuses_and_leaves_nothing_locked(tmp_path: Path) -> None:
    store = MemoryStore()
    engine = Engine(store=store)
    engine.close()
    with pytest.raises(UsageError, match="closed"):
        engine.submit(flow(tmp_path / "a"))
    assert store.find(Query()) == []
    with Engine(store=store) as other:
        assert other.submit(flow(tmp_path / "a")).result(30)


def test_a_second_run_with_replace_goes_on_and_replaces(tmp_path: Path) -> None:
    target = tmp_path / "out"
    unfinished(target)
    mend()
    target.mkdir()
    (target / "manifest.json").write_text("{}")
    with Engine() as engine:
        with pytest.raises(OutputExists):
            engine.submit(flow(target, "stop"))
        path = engine.submit(flow(target, "stop"), replace=True).result(30).path
    assert sorted(p.name for p in path.iterdir()) == [
        "0000", "0004", "0008", "0012", "0016", "manifest.json", "provenance.json",
    ]  # fmt: skip


def test_an_edited_plugin_does_not_mix_into_an_unfinished_output(tmp_path: Path, package: Path) -> None:
    target = tmp_path / "out"
    unfinished(target)
    before = plugins.registry().code_of("test-disk-format")
    with (package / "helper.py").open("w") as file:
        file.write("gain = 2\n")
    after = plugins.registry().code_of("test-disk-format")
    assert before != after and before.startswith("1.0 (code ")
    with Engine() as engine, pytest.raises(Incomplete, match="another flow"):
        engine.submit(flow(target, "stop"))


@pytest.mark.parametrize("trust", [True, False])
def test_a_plan_without_its_arrays_is_damaged(trust: bool, tmp_path: Path) -> None:
    target = tmp_path / "out"
    with Engine() as engine, pytest.raises(MemoryError):
        engine.submit(flow(target, "stop", gather=("cdp",))).result(30)
    (work,) = WorkFolder.find(target)
    (work / "stage0-in_starts.npy").unlink()
    with Engine() as engine, pytest.raises(Damaged, match=r"in_starts\.npy"):
        engine.resume(target, trust=trust)


def test_a_replaced_output_of_the_same_flow_does_not_end_the_job_that_replaces_it(tmp_path: Path) -> None:
    target = tmp_path / "out"
    unfinished(target)
    (work,) = WorkFolder.find(target)
    target.mkdir()
    fingerprint = json.loads((work / "job.json").read_text())["fingerprint"]
    (target / workfolder.MANIFEST).write_text(json.dumps({"fingerprint": fingerprint}))
    (target / provenance.PROVENANCE).write_text(json.dumps({"job": "another"}))
    assert not workfolder.is_committed(work)
    mine = json.loads((work / "job.json").read_text())["job"]
    (target / provenance.PROVENANCE).write_text(json.dumps({"job": mine}))
    assert workfolder.is_committed(work)


def test_discarding_gives_an_old_version_back_that_had_stepped_aside(tmp_path: Path) -> None:
    work = tmp_path / "out.01234567.part"
    (work / "replaced").mkdir(parents=True)
    workfolder.remove(work)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("out")] == ["out"]


@pytest.mark.parametrize("before", ["folder", "file"])
@pytest.mark.parametrize("after", ["folder", "file"])
@pytest.mark.parametrize("can_exchange", [True, False])
def test_any_output_replaces_any_other(before: str, after: str, can_exchange: bool, tmp_path: Path) -> None:
    target = tmp_path / "out"
    real = durable.exchange
    with patch.object(durable, "exchange", lambda *names: can_exchange and real(*names)), Engine() as engine:
        engine.submit(flow(target, storage=before)).result(30)
        engine.submit(flow(target, storage=after), replace=True).result(30)
    assert target.is_file() == (after == "file")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("out")] == ["out"]


def test_an_output_is_whole_even_if_the_working_folder_cannot_be_removed(tmp_path: Path) -> None:
    with patch.object(WorkFolder, "remove", side_effect=StorageError("busy")), Engine() as engine:
        handle = engine.submit(flow(tmp_path / "out"))
        assert handle.result(30).path.is_dir()
    assert handle.job.state is State.COMPLETED


def test_a_resumed_run_takes_a_file_of_another_size_for_another_flow(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"something else")
    with Engine() as engine:
        with pytest.raises(UsageError, match="another flow"):
            engine.submit(flow(target, storage="file"), resume=True)
        engine.submit(flow(target, storage="file"), replace=True, resume=True).result(30)
        assert engine.submit(flow(target, storage="file"), resume=True).job.state is State.COMPLETED


def test_a_cancelled_waiting_job_frees_its_output_at_once(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()
    stop = patch("seisproc_core.jobs.runner.FolderRun.execute", lambda *_: (begun.set(), go_on.wait(30)))
    with stop, Engine(capacity=Resources(1, 10**12)) as engine:
        running, waiting = engine.submit(flow(tmp_path / "a")), engine.submit(flow(tmp_path / "b"))
        assert begun.wait(30)
        with pytest.raises(OutputBusy):
            OutputLock(tmp_path / "b", "other", patience_s=0)
        waiting.cancel()
        OutputLock(tmp_path / "b", "other", patience_s=0).release(remove=True)
        running.cancel()
        go_on.set()


def test_headers_that_do_not_fit_their_planned_type_are_refused(tmp_path: Path) -> None:
    with Engine() as engine, pytest.raises(StepError, match="'channel' as int64.*int32, which cannot hold"):
        engine.submit(flow(tmp_path / "a", "wrap")).result(30)


def test_gathers_of_another_size_than_planned_are_refused(tmp_path: Path) -> None:
    with Engine() as engine, pytest.raises(StepError, match="every gather must have its planned size"):
        engine.submit(flow(tmp_path / "a", "shift", gather=("cdp",))).result(30)


def test_the_name_of_the_journal_is_durable(tmp_path: Path) -> None:
    synced: list[Path] = []
    with patch.object(durable, "sync_folder", synced.append):
        Journal(tmp_path / "journal").close()
    assert synced == [tmp_path]


def test_a_full_disk_does_not_keep_a_lock(tmp_path: Path) -> None:
    with patch.object(os, "pwrite", side_effect=OSError(28, "No space left")):
        OutputLock(tmp_path / "out", "a").release(remove=True)
    OutputLock(tmp_path / "out", "b", patience_s=0).release(remove=True)


def test_messages_with_names_that_are_not_utf8_reach_the_log(tmp_path: Path) -> None:
    problem = StorageError("cannot read \udcff")
    with patch("seisproc_core.jobs.runner.FolderRun.execute", side_effect=problem), Engine() as engine:
        handle = engine.submit(flow(tmp_path / "out"))
        with pytest.raises(StorageError):
            handle.result(30)
    assert "\\udcff" in Path(handle.job.log).read_text()


def test_what_the_machine_refused_a_worker_is_not_the_steps_fault() -> None:
    for error, kind in ((MemoryError(), StorageError), (OSError(5, "EIO"), StorageError), (ValueError(), StepError)):
        assert type(error_from_json(error_to_json(error), 3, Path("log"))) is kind


def test_surveys_in_memory_are_told_apart_by_all_they_hold() -> None:
    traces = np.zeros((2, 3))
    made = [make_gather(traces), make_gather(traces, interval_ms=2), make_gather(traces, start_ms=8)]
    made += [make_gather(traces, cdp=1), make_gather(traces, cdp=2), make_gather(traces.reshape(3, 2))]
    assert len({MemorySurvey(g).identity()[0]["sha256"] for g in made}) == len(made)


def test_pooled_arrays_are_used_again_only_when_nobody_holds_any_part_of_them() -> None:
    pool = BufferPool()
    first = pool.empty((10, 10))
    corner = first[3:, 2:].T
    address = first.ctypes.data
    del first
    assert all(pool.empty((10, 10)).ctypes.data != address for _ in range(3))
    del corner
    assert address in {array.ctypes.data for array in [pool.empty((10, 10)) for _ in range(3)]}
