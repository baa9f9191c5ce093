"""The suite for executors finds the faults that it is there for."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest

from seisproc_core.errors import Cancelled, DataError
from seisproc_core.execution.executor import InProcess, Receipt, Task
from seisproc_core.jobs.control import Control
from seisproc_core.testing.executor import ExecutorSuite

Done = Callable[[Receipt], None]


class Plain:
    """Right, but that it cannot be told to stop inside a segment."""

    def run(self, task: Task, segments: Sequence[int], done: Done) -> None:
        for segment in segments:
            task.control.check()
            done(task.run(segment, 1))


class Elsewhere(Plain):
    def run(self, task: Task, segments: Sequence[int], done: Done) -> None:
        thread = threading.Thread(target=super().run, args=(task, segments, lambda receipt: self._noted(done, receipt)))
        thread.start()
        thread.join()
        if self.problem:
            raise self.problem

    problem: BaseException | None = None

    def _noted(self, done: Done, receipt: Receipt) -> None:
        try:
            done(receipt)
        except BaseException as error:
            self.problem = error


class Twice(Plain):
    def run(self, task: Task, segments: Sequence[int], done: Done) -> None:
        super().run(task, segments, lambda receipt: done(task.run(receipt.segment, 1)))


class Forgetful(Plain):
    def run(self, task: Task, segments: Sequence[int], done: Done) -> None:
        super().run(task, segments[:-1], done)


class All(Plain):
    def run(self, task: Task, segments: Sequence[int], done: Done) -> None:
        super().run(task, range(max(segments, default=-1) + 1), done)


class OneSlot(Plain):
    def run(self, task: Task, segments: Sequence[int], done: Done) -> None:
        with ThreadPoolExecutor(4) as pool:
            for receipt in pool.map(lambda segment: task.run(segment, 1), segments):
                done(receipt)


class Wrapping(Plain):
    def run(self, task: Task, segments: Sequence[int], done: Done) -> None:
        try:
            super().run(task, segments, done)
        except Cancelled:
            raise
        except Exception as error:
            raise DataError(f"it failed: {error}") from error


class Retrying(Plain):
    def run(self, task: Task, segments: Sequence[int], done: Done) -> None:
        for segment in segments:
            with contextlib.suppress(Exception):
                done(task.run(segment, 1))
                continue
            super().run(task, [segment], done)


class Obstinate(Plain):
    def run(self, task: Task, segments: Sequence[int], done: Done) -> None:
        for segment in segments:
            done(task.run(segment, 1))


class Silent(Plain):
    """Says nothing of what a cancel waits for."""


class Changing(Plain):
    def run(self, task: Task, segments: Sequence[int], done: Done) -> None:
        super().run(task, segments, lambda receipt: done(attrs.evolve(receipt, pieces=())))


FAULTS = [
    (Elsewhere, "test_every_segment_is_done_once_and_reported_here", ()),
    (Twice, "test_every_segment_is_done_once_and_reported_here", ()),
    (OneSlot, "test_every_segment_is_done_once_and_reported_here", ()),
    (Changing, "test_every_segment_is_done_once_and_reported_here", ()),
    (Forgetful, "test_only_the_segments_that_are_asked_for_are_run", ()),
    (All, "test_only_the_segments_that_are_asked_for_are_run", ()),
    (Wrapping, "test_errors_arrive_with_their_message", (1,)),
    (Retrying, "test_errors_arrive_with_their_message", (1,)),
    (Obstinate, "test_a_cancelled_job_runs_nothing", ()),
]


def suite_of(cls: type[Plain]) -> ExecutorSuite:
    class Suite(ExecutorSuite):
        id = "planted"
        in_process = True

        def make(self, target: str, grace_s: float) -> Plain:
            return cls()

    return Suite()


@pytest.mark.parametrize(("cls", "test", "arguments"), FAULTS)
def test_each_fault_is_found(cls: type[Plain], test: str, arguments: tuple[int, ...], tmp_path: Path) -> None:
    Control(tmp_path / "control", create=True)
    with pytest.raises((AssertionError, pytest.fail.Exception, FileExistsError)):
        getattr(suite_of(cls), test)(tmp_path, *arguments)


def test_a_cancel_that_does_not_say_what_it_waits_for_is_found(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seisproc_core.testing.executor.SOON_S", 0.2)
    Control(tmp_path / "control", create=True)
    with pytest.raises(AssertionError):
        suite_of(Silent).test_what_does_not_listen_is_killed_or_named(tmp_path, caplog)


def test_what_is_right_passes(tmp_path: Path) -> None:
    Control(tmp_path / "control", create=True)

    class Suite(ExecutorSuite):
        id = "in-process"
        in_process = True

        def make(self, target: str, grace_s: float) -> InProcess:
            return InProcess(grace_s=grace_s)

    Suite().test_every_segment_is_done_once_and_reported_here(tmp_path)
