"""Segments are run, each is done once, and their errors and words come back."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from pathlib import Path

import pytest
from worker_stage import Stage, children

from seisproc_core.errors import DataError, ParameterError, SeisprocError, StepError, StorageError, UsageError
from seisproc_core.execution.executor import Receipt
from seisproc_core.specs import resolve
from seisproc_processes.executor import Processes
from seisproc_processes.handle import LOG
from seisproc_processes.nursery import LOG_CAP


def test_the_plugin_names_the_executor() -> None:
    [spec] = resolve("seisproc_processes.plugin:seisproc_executors")()
    assert spec.id == "processes"
    assert resolve(spec.impl) is Processes


def test_every_segment_is_done_once_in_this_thread(stage: Stage) -> None:
    here = threading.get_ident()
    with stage.executor("nap") as executor:

        def done(receipt: Receipt) -> None:
            assert threading.get_ident() == here
            stage.done(receipt)

        executor.run(stage.task(), range(20), done)
    assert sorted(stage.got) == list(range(20))
    assert all(r.pieces == (("a/b", 0, 10 + r.segment, 7),) for r in stage.receipts)
    assert all(len(stage.runs(k)) == 1 for k in range(20))
    assert len(stage.pids()) == 2


def test_one_worker_takes_segments_in_ascending_order(stage: Stage) -> None:
    stage.workers = 1
    with stage.executor("quick") as executor:
        executor.run(stage.task(), [7, 3, 11, 5], stage.done)
    assert stage.got == [3, 5, 7, 11]


def test_no_more_workers_than_segments(stage: Stage) -> None:
    stage.workers = 16
    stage.run("nap", 3)
    assert len(stage.pids()) <= 3


def test_no_segments_start_no_process(stage: Stage) -> None:
    stage.run("quick", 0)
    assert not (stage.folder / LOG).exists()


def test_large_receipts_come_whole(stage: Stage) -> None:
    stage.run("long_receipt", 4)
    assert [len(receipt.pieces) for receipt in stage.receipts] == [50_000] * 4
    assert stage.receipts[0].pieces[49_999] == ("c/49999", 0, 49_999, 1)


def test_the_nursery_is_kept_between_stages_but_no_worker_is(stage: Stage) -> None:
    before = children()
    with stage.executor("nap") as executor:
        executor.run(stage.task(), range(4), stage.done)
        nursery = children() - before
        executor.run(stage.task(stage=2), range(4, 8), stage.done)
        assert len(nursery) == 1
        assert children() - before == nursery
        assert {p for pid in nursery for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()} == set()
    assert children() == before
    assert sorted(stage.got) == list(range(8))
    assert len(stage.pids()) == 4


def test_a_forgotten_executor_ends_its_nursery(stage: Stage) -> None:
    executor = stage.executor("quick")
    executor.run(stage.task(), range(2), stage.done)
    del executor  # the fixture looks for what is left


def test_what_workers_find_around_them(stage: Stage) -> None:
    lock = os.open(stage.folder / "lock", os.O_CREAT | os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    private = os.open(stage.folder / "private", os.O_CREAT | os.O_RDWR)
    stage.run("surroundings", 2, threads=3, keep_open=(lock,), preload=("colorsys", "no_such_module"))
    os.close(lock)
    os.close(private)
    found = [json.loads((stage.folder / f"surroundings-{k}").read_text()) for k in range(2)]
    for one in found:
        assert (one["threads"], one["numba"], one["stage"]) == ("3", "3", 1)
        assert one["preloaded"] and one["sigint_ignored"] and one["faulthandler"] and one["child"] == 0
        assert "lock" in one["files"] and "private" not in one["files"]
        assert len(one["fds"]) == 6  # 0, 1, 2, the socket, the lock, and the listing itself
    assert {one["slot"] for one in found} == {1, 2}
    assert "no_such_module" in stage.log()


def test_workers_hold_the_lock(stage: Stage) -> None:
    lock = os.open(stage.folder / "lock", os.O_CREAT | os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    other = os.open(stage.folder / "lock", os.O_RDWR)
    held = []

    def close_and_try() -> None:
        os.close(lock)  # as if the engine had died
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.append(True)
        stage.control.raise_command(2)

    thread = stage.once_begun(2, close_and_try)
    with pytest.raises(SeisprocError):
        stage.run("cooperative", 2, keep_open=(lock,))
    thread.join()
    assert held
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)  # free now that the workers are gone
    os.close(other)


@pytest.mark.parametrize(
    ("segment", "kind", "message", "exit_code"),
    [
        (0, DataError, r"^NaN in trace 0$", 1),
        (1, ParameterError, r"^agc: parameter 'window_ms' is negative$", 2),
        (2, StepError, r"^segment 2: ZeroDivisionError: one by none \(traceback in .*log\.txt\)$", 1),
        (3, StepError, r"^segment 3: SystemExit: 4 \(", 1),
        (4, DataError, r"^more special$", 65),
    ],
)
def test_errors_cross_by_class_message_and_exit_code(
    stage: Stage, segment: int, kind: type[SeisprocError], message: str, exit_code: int
) -> None:
    with stage.executor("raises") as executor, pytest.raises(kind, match=message) as raised:
        executor.run(stage.task(), [segment], stage.done)
    assert type(raised.value) is kind
    assert raised.value.exit_code == exit_code
    assert "Traceback (most recent call last)" in stage.log()


def test_a_receipt_that_is_no_json_is_an_error(stage: Stage) -> None:
    with pytest.raises(StepError, match=r"TypeError: .*bytes"):
        stage.run("not_json", 1)


def test_a_function_that_is_not_there_is_an_error(stage: Stage) -> None:
    with pytest.raises(SeisprocError, match="cannot load worker_segments:no_such"):
        stage.run("no_such", 1)


def test_output_goes_to_the_log_and_not_to_the_terminal(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    (stage.folder / LOG).write_text("from the engine\n")
    stage.workers = 1  # two could write into each other's lines
    stage.run("chatty", 3)
    log = stage.log()
    assert log.startswith("from the engine\n")
    for segment in range(3):
        assert f"hello from segment {segment}\n" in log
        assert f"a program of segment {segment}\n" in log
    assert log.count("careful\n") == 3
    assert capfd.readouterr() == ("", "")


def test_the_log_is_capped_and_workers_go_on(stage: Stage) -> None:
    stage.run("flood", 2)
    assert sorted(stage.got) == [0, 1]
    assert LOG_CAP <= (stage.folder / LOG).stat().st_size < LOG_CAP + 1000
    assert "the log is full" in stage.log()[-200:]


def test_an_error_in_done_ends_the_run_at_once(stage: Stage) -> None:
    def done(receipt: Receipt) -> None:
        raise KeyboardInterrupt

    begun = time.monotonic()
    with stage.executor("nap") as executor, pytest.raises(KeyboardInterrupt):
        executor.run(stage.task(), range(1000), done)
    assert time.monotonic() - begun < 5


def test_a_job_in_memory_is_refused(stage: Stage) -> None:
    with pytest.raises(UsageError, match="in-process"):
        stage.run("quick", 1, folder=None)


def test_a_folder_that_is_gone_is_an_error(stage: Stage) -> None:
    with pytest.raises(StorageError, match="log"):
        stage.run("quick", 1, folder=stage.folder / "gone")
