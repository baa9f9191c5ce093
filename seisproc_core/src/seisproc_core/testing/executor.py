"""What every executor must do, as tests: subclass `ExecutorSuite`, say how one is made, and run pytest."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs
import numpy as np
import pytest

from seisproc_core.data.survey import MemorySurvey
from seisproc_core.errors import Cancelled, SeisprocError, UsageError, WorkerDied
from seisproc_core.execution.executor import Executor, Receipt, Task
from seisproc_core.jobs.control import CANCEL, PAUSE, Control
from seisproc_core.jobs.engine import Engine
from seisproc_core.plugins import registry
from seisproc_core.processing.flow import Flow, Source, Target
from seisproc_core.specs import resolve
from seisproc_core.testing import make_gather, segments
from seisproc_core.testing.segments import POISONED, RAISED, begun, receipt_of

STAGE = 1
SOON_S = 20.0  # nothing here takes a tenth of it, but for machines that do much else
LIMIT = 200_000_000


class ExecutorSuite:
    """Subclass it as ``Test...`` and fill in what follows.

    Attributes
    ----------
    id
        What the executor is called in the registry.
    workers
        How many workers the tests ask for.
    in_process
        Whether segments run in this process, by `Task.compute`. Such an executor cannot kill them: the tests of deaths
        and memory are left out, and a cancel has to say what it waits for.
    """

    id: str
    workers = 2
    in_process = False

    def make(self, target: str, grace_s: float) -> Executor:
        """A new executor.

        Parameters
        ----------
        target
            ``"module:function"`` that workers run in place of `seisproc_core.execution.worker.run_segment`. An
            executor in this process needs none.
        grace_s
            Seconds between a cancel and the end of its patience.
        """
        raise NotImplementedError

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Iterator[Path]:
        """A working folder; afterwards no process that ran one of its segments is left."""
        Control(tmp_path / "control", create=True)
        yield tmp_path
        (tmp_path / "enough").touch()
        if not self.in_process:
            workers = {pid for pids in begun(tmp_path).values() for pid in pids}
            _eventually(lambda: not any(map(_lives, workers)), "a worker is left")

    def task(self, folder: Path, what: str) -> Task:
        function = getattr(segments, what)

        def compute(segment: int, slot: int) -> Callable[[], Receipt]:
            assert self.in_process, "segments must not run in the engine's process"
            receipt: Receipt = function(str(folder), STAGE, segment, slot)
            return lambda: receipt

        return Task(folder=folder, stage=STAGE, compute=compute, control=Control(folder / "control"),
                    workers=self.workers)  # fmt: skip

    def run(
        self, folder: Path, what: str, numbers: Sequence[int], grace_s: float = 5.0, task: Task | None = None
    ) -> list[int]:
        """Run segments; those that were reported, in that order."""
        got: list[int] = []
        here = threading.get_ident()

        def done(receipt: Receipt) -> None:
            assert threading.get_ident() == here, "done is called in another thread than run"
            assert receipt == receipt_of(receipt.segment), f"the receipt has changed on its way: {receipt}"
            got.append(receipt.segment)

        executor = self.make(_target(what), grace_s)
        try:
            executor.run(task or self.task(folder, what), numbers, done)
        finally:
            _close(executor)
        return got

    def test_it_is_installed_under_its_name(self) -> None:
        assert hasattr(registry().load("executors", self.id)(), "run")

    def test_every_segment_is_done_once_and_reported_here(self, folder: Path) -> None:
        assert sorted(self.run(folder, "nap", range(20))) == list(range(20))
        assert {segment: len(pids) for segment, pids in begun(folder).items()} == dict.fromkeys(range(20), 1)

    def test_only_the_segments_that_are_asked_for_are_run(self, folder: Path) -> None:
        assert sorted(self.run(folder, "nap", [3, 11, 4])) == [3, 4, 11]
        assert set(begun(folder)) == {3, 4, 11}
        assert self.run(folder, "nap", []) == []

    def test_one_object_runs_one_stage_after_the_other(self, folder: Path) -> None:
        executor = self.make(_target("nap"), 5.0)
        for numbers in (range(4), range(4, 6)):
            got: list[int] = []
            executor.run(self.task(folder, "nap"), numbers, lambda receipt, got=got: got.append(receipt.segment))  # type: ignore[misc]
            assert sorted(got) == list(numbers)
        _close(executor)

    def test_one_object_runs_two_jobs_at_once(self, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        other = tmp_path_factory.mktemp("other")
        Control(other / "control", create=True)
        executor = self.make(_target("nap"), 5.0)
        made: dict[Path, list[int]] = {folder: [], other: []}

        def work(where: Path) -> None:
            executor.run(self.task(where, "nap"), range(8), lambda receipt: made[where].append(receipt.segment))

        threads = [threading.Thread(target=work, args=(where,)) for where in made]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        _close(executor)
        assert [sorted(got) for got in made.values()] == [list(range(8))] * 2
        assert set(begun(folder)) == set(begun(other)) == set(range(8))

    @pytest.mark.parametrize("segment", range(len(RAISED)))
    def test_errors_arrive_with_their_message(self, folder: Path, segment: int) -> None:
        expected = RAISED[segment]
        with pytest.raises(Exception) as raised:
            self.run(folder, "raises", [segment])
        if isinstance(expected, SeisprocError):
            assert (type(raised.value), str(raised.value)) == (type(expected), str(expected))
        else:  # what crosses a process border does so as a `SeisprocError` that names it
            assert isinstance(raised.value, (SeisprocError, type(expected)))
            assert isinstance(raised.value, type(expected)) or "ZeroDivisionError" in str(raised.value)
        assert len(begun(folder)[segment]) == 1, (
            "a segment that raised an error is no lost worker: it must not be repeated"
        )

    def test_an_error_in_done_ends_the_run(self, folder: Path) -> None:
        def done(receipt: Receipt) -> None:
            raise OSError("the journal is full")

        executor = self.make(_target("nap"), 5.0)
        with pytest.raises(OSError, match="the journal is full"):
            executor.run(self.task(folder, "nap"), range(200), done)
        _close(executor)
        assert len(begun(folder)) < 200

    @pytest.mark.parametrize("command", [CANCEL, PAUSE])
    def test_segments_that_listen_stop_soon(self, folder: Path, command: int) -> None:
        task = self.task(folder, "cooperative")
        raised_at = _once_begun(folder, lambda: task.control.raise_command(command))
        with pytest.raises(Cancelled):
            self.run(folder, "cooperative", range(8), 30.0, task)
        assert time.monotonic() - raised_at[0] < SOON_S
        assert len(begun(folder)) < 8

    def test_a_cancelled_job_runs_nothing(self, folder: Path) -> None:
        task = self.task(folder, "nap")
        task.control.raise_command(CANCEL)
        with pytest.raises(Cancelled):
            self.run(folder, "nap", range(4), task=task)
        assert not begun(folder)

    def test_what_does_not_listen_is_killed_or_named(self, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        task = self.task(folder, "deaf")

        def cancel() -> None:
            task.control.raise_command(CANCEL)
            if self.in_process:
                _came_true(lambda: caplog.text != "")
                (folder / "enough").touch()

        with caplog.at_level(logging.WARNING):
            raised_at = _once_begun(folder, cancel)
            with pytest.raises(Cancelled):
                self.run(folder, "deaf", range(4), 0.2, task)
        assert time.monotonic() - raised_at[0] < SOON_S
        if self.in_process:
            assert str(min(begun(folder))) in caplog.text, "nothing says which segment the cancel waits for"

    def test_a_death_costs_a_retry(self, folder: Path) -> None:
        self._only_with_processes()
        assert sorted(self.run(folder, "dies_once", range(8))) == list(range(8))
        assert len(begun(folder)[3]) >= 2

    def test_the_third_death_is_blamed_on_its_segment(self, folder: Path) -> None:
        self._only_with_processes()
        with pytest.raises(WorkerDied, match=rf"segment {POISONED} .*(?s:.*)"):
            self.run(folder, "poison", range(12))
        assert len(begun(folder)[POISONED]) == 3

    def test_too_much_memory_is_named(self, folder: Path) -> None:
        self._only_with_processes()
        task = attrs.evolve(self.task(folder, "greedy"), memory_limit=LIMIT, workers=1)
        with pytest.raises(WorkerDied, match="memory"):
            self.run(folder, "greedy", range(2), task=task)

    def test_a_job_in_memory_is_run_or_refused(self, folder: Path) -> None:
        task = attrs.evolve(self.task(folder, "nap"), folder=None)
        if self.in_process:
            assert self.run(folder, "nap", [0], task=task) == [0]
        else:
            with pytest.raises(UsageError):
                self.run(folder, "nap", [0], task=task)
            assert not begun(folder)

    def test_a_job_has_the_same_bytes_as_in_process(self, tmp_path: Path) -> None:
        storage = next((entry.id for entry in registry().of("storage") if entry.spec["working"]), None)
        if storage is None:
            pytest.skip("no format is installed that jobs can be written to; install seisproc-zarr")
        rows = np.arange(9000)
        traces = np.random.default_rng(5).standard_normal((len(rows), 8))
        line = MemorySurvey(make_gather(traces, cdp=rows % 97, offset=rows))
        whole = str(tmp_path / "line.out")
        self._write(Source(storage="memory", survey=line), Target(storage=storage, path=whole), "in-process")
        made = []
        for name, executor in (("expected", "in-process"), ("made", self.id)):
            source = Source(storage=storage, paths=(whole,), gather=("cdp",))
            target = Target(storage=storage, path=str(tmp_path / name))
            self._write(source, target, executor)
            made.append(_contents(Path(target.path)))
        assert made[0] == made[1]

    def _write(self, source: Source, target: Target, executor: str) -> None:
        with Engine(executor=executor, workers=self.workers) as engine:
            engine.submit(Flow(source=source, sink=target)).result(280)

    def _only_with_processes(self) -> None:
        if self.in_process:
            pytest.skip("segments of this executor run in the engine's process, and die with it")


def _target(what: str) -> str:
    function = f"{segments.__name__}:{what}"
    resolve(function)
    return function


def _close(executor: Executor) -> None:
    getattr(executor, "close", lambda: None)()


def _once_begun(folder: Path, action: Callable[[], object]) -> list[float]:
    """Act from another thread once a segment was begun; the moment of it comes into the list."""
    at: list[float] = []

    def act() -> None:
        _eventually(lambda: bool(begun(folder)), "no segment was begun")
        at.append(time.monotonic())
        action()

    threading.Thread(target=act, daemon=True).start()
    return at


def _eventually(condition: Callable[[], bool], otherwise: str) -> None:
    assert _came_true(condition), otherwise


def _came_true(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 2 * SOON_S
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return met


def _lives(pid: int) -> bool:
    """Whether a process exists and is no zombie; where nothing tells, it does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _contents(output: Path) -> dict[str, bytes]:
    """All files of an output but its provenance, which holds times and the job."""
    files = [output] if output.is_file() else [path for path in output.rglob("*") if path.is_file()]
    return {str(path.relative_to(output)): path.read_bytes() for path in files if path.name != "provenance.json"}
