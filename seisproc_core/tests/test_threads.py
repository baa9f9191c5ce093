"""Segments in threads: each is done once with the same bytes, and what cannot be killed is named."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seisproc_core import Flow, MemorySurvey, Source, Step, plugins
from seisproc_core.data.survey import MemorySink
from seisproc_core.errors import Cancelled, DataError, StepError
from seisproc_core.execution.executor import Executor, InProcess, Receipt, Task
from seisproc_core.execution.runners import StageRunners
from seisproc_core.execution.stage import StageRunner
from seisproc_core.execution.threads import Threads
from seisproc_core.jobs.control import CANCEL, PAUSE, Control
from seisproc_core.processing.planning import plan_flow
from seisproc_core.testing import make_gather


def task(run: Callable[[int, int], object], workers: int = 3) -> Task:
    def compute(segment: int, slot: int) -> Callable[[], Receipt]:
        run(segment, slot)
        return lambda: Receipt(segment=segment, pieces=(), traces_in=1, traces_out=1)

    return Task(folder=None, stage=0, compute=compute, control=Control(), workers=workers)


def worker_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("seisproc-")]


@pytest.fixture(autouse=True)
def no_thread_stays(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("NUMBA_THREADING_LAYER", "default")  # so that none of this is left in the environment
    yield
    assert not worker_threads()


def test_every_segment_is_done_once_and_reported_here() -> None:
    here, busy, seen, got = threading.get_ident(), set(), set(), []

    def run(segment: int, slot: int) -> None:
        assert slot not in busy
        busy.add(slot)
        seen.add(threading.get_ident())
        time.sleep(0.002)
        busy.discard(slot)

    def done(receipt: Receipt) -> None:
        assert threading.get_ident() == here
        got.append(receipt.segment)

    Threads().run(task(run), range(50), done)
    assert sorted(got) == list(range(50))
    assert len(seen) == 3 and here not in seen


def test_segments_run_side_by_side() -> None:
    meeting = threading.Barrier(3, timeout=20)
    Threads().run(task(lambda segment, slot: meeting.wait()), range(3), lambda receipt: None)


def test_no_more_threads_than_segments() -> None:
    slots = set()
    Threads().run(task(lambda segment, slot: slots.add(slot), workers=200), range(2), lambda receipt: None)
    assert slots <= {1, 2}
    Threads().run(task(lambda segment, slot: None), [], lambda receipt: None)


def test_the_first_error_is_raised_as_it_is_and_ends_the_rest() -> None:
    begun = []

    def run(segment: int, slot: int) -> None:
        begun.append(segment)
        if segment == 4:
            raise DataError("NaN in trace 4")
        time.sleep(0.01)

    with pytest.raises(DataError, match="NaN in trace 4"):
        Threads().run(task(run), range(1000), lambda receipt: None)
    assert len(begun) < 20


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_what_would_end_the_program_ends_the_job(error: BaseException) -> None:
    def run(segment: int, slot: int) -> None:
        raise error

    with pytest.raises(StepError, match=f"segment 0: {type(error).__name__}"):
        Threads().run(task(run, workers=1), [0], lambda receipt: None)


def test_an_error_in_done_waits_for_the_threads() -> None:
    def done(receipt: Receipt) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        Threads().run(task(lambda segment, slot: time.sleep(0.01)), range(1000), done)


@pytest.mark.parametrize("command", [PAUSE, CANCEL])
def test_cancel_between_segments_keeps_what_is_done(command: int) -> None:
    got, ended = [], []

    def run(segment: int, slot: int) -> None:
        time.sleep(0.005)
        ended.append(segment)

    def done(receipt: Receipt) -> None:
        got.append(receipt.segment)
        if len(got) == 5:
            wanted.control.raise_command(command)

    wanted = task(run)
    with pytest.raises(Cancelled, match="paused" if command == PAUSE else "cancelled"):
        Threads().run(wanted, range(1000), done)
    assert sorted(got) == sorted(ended)
    assert 5 <= len(got) <= 9


def test_a_command_after_the_last_segment_changes_nothing() -> None:
    wanted = task(lambda segment, slot: None)
    Threads().run(wanted, range(1), lambda receipt: wanted.control.raise_command(CANCEL))


@pytest.mark.parametrize("executor", [Threads(grace_s=0.1), InProcess(grace_s=0.1)])
def test_cancel_names_what_it_waits_for(executor: Executor, caplog: pytest.LogCaptureFixture) -> None:
    finish = threading.Event()

    def run(segment: int, slot: int) -> None:
        wanted.control.raise_command(CANCEL)
        assert finish.wait(20)

    wanted = task(run, workers=1)
    waiting = threading.Timer(0.6, finish.set)
    waiting.start()
    with pytest.raises(Cancelled):
        executor.run(wanted, [17, 18], lambda receipt: None)
    told = [record.getMessage() for record in caplog.records]
    assert 1 <= len(told) <= 3  # at 0.1, 0.2 and 0.4 s
    assert all(message.startswith("segment 17 goes on 0.") for message in told)


STEP = """
    import numpy as np
    from seisproc_core import Processor, hookimpl, processor

    @processor("smear", scope="gather")
    class Smear(Processor):
        '''Uses the pool's arrays again and again.'''
        def apply_gather(self, gather, context):
            out = context.empty(gather.traces.shape)
            for _ in range(20):
                scratch = context.empty(gather.traces.shape)
                np.multiply(gather.traces, 0.5, out=scratch)
                np.cumsum(scratch, axis=1, out=out)
            return gather.with_traces(out)

    @hookimpl
    def seisproc_processors():
        return [Smear]
"""


def test_the_bytes_are_those_of_one_thread(
    install: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    install("smear-plugin", STEP)
    monkeypatch.setattr(MemorySink, "shard_rows", 64)
    traces = np.random.default_rng(3).standard_normal((2000, 200))
    survey = MemorySurvey(make_gather(traces, field_record=np.arange(2000) // 7))
    flow = Flow(
        source=Source(storage="memory", paths=(), survey=survey, gather=("field_record",)), steps=(Step(use="smear"),)
    )
    registry = plugins.registry()
    (stage,) = plan_flow(flow, registry, survey).stages
    alone = StageRunner(stage, survey, MemorySink(), registry, Control())
    expected = [alone.run(k, 1)[0][0].data.traces for k in range(stage.n_segments)]
    assert stage.n_segments > 10

    control = Control()
    runners = StageRunners(stage, survey, MemorySink(), registry, control)
    got = {}

    def compute(segment: int, slot: int) -> Callable[[], Receipt]:
        pieces, traces_in, traces_out = runners.run(segment, slot)
        got[segment] = pieces[0].data.traces
        return lambda: Receipt(segment=segment, pieces=(), traces_in=traces_in, traces_out=traces_out)

    work = Task(folder=None, stage=0, compute=compute, control=control, workers=4)
    receipts: list[Receipt] = []
    Threads().run(work, range(stage.n_segments), receipts.append)
    assert all(np.array_equal(got[k], expected[k]) for k in range(stage.n_segments))
    assert control.traffic()[0] == 4 * 200 * sum(receipt.traces_in for receipt in receipts)
    assert control.workers() == []


QUITTER = """
    from seisproc_core import Processor, hookimpl, processor

    class Speechless(BaseException):
        def __str__(self):
            raise RuntimeError

    @processor("quitter", scope="gather")
    class Quitter(Processor):
        def apply_gather(self, gather, context):
            if gather.headers.column("field_record")[0] == 5:
                raise SystemExit("enough")
            if gather.headers.column("field_record")[0] == 6:
                raise Speechless
            return gather

    @hookimpl
    def seisproc_processors():
        return [Quitter]
"""


@pytest.mark.parametrize(
    ("record", "message"), [(5, "SystemExit: enough"), (6, r"Speechless: \(it cannot say what is wrong\)")]
)
def test_a_step_that_raises_anything_is_named(install: Callable[[str, str], Path], record: int, message: str) -> None:
    install("quitter-plugin", QUITTER)
    survey = MemorySurvey(make_gather(np.ones((30, 20)), field_record=np.repeat([1, 2, record], 10)))
    source = Source(storage="memory", survey=survey, gather=("field_record",))
    (stage,) = plan_flow(Flow(source=source, steps=(Step(use="quitter"),)), plugins.registry(), survey).stages
    runner = StageRunner(stage, survey, MemorySink(), plugins.registry(), Control())
    with pytest.raises(StepError, match=rf"step 'quitter' .*failed on gather 2 \(field_record {record}\): {message}"):
        runner.run(0, 1)


NUMBA = """
import logging, sys, numba, numpy as np
from pathlib import Path
from seisproc_core.execution.executor import Receipt, Task
from seisproc_core.execution.threads import Threads
from seisproc_core.jobs.control import Control
logging.basicConfig(level=logging.WARNING, format="%(message)s")

@numba.njit(parallel=True, nogil=True)
def kernel(x):
    for i in numba.prange(x.shape[0]):
        for k in range(20000):
            x[i] += np.sin(x[i])

def compute(segment, slot):
    kernel(np.ones(200))
    return lambda: Receipt(segment=segment, pieces=(), traces_in=1, traces_out=1)

if "begun" in sys.argv:
    compute(0, 1)
task = Task(folder=None, stage=0, compute=compute, control=Control(), workers=2)
try:
    Threads().run(task, range(20), lambda receipt: None)
    print("done with", numba.threading_layer())
except ValueError as error:
    print("refused:", str(error).splitlines()[0])
"""


@pytest.mark.parametrize(("layer", "begun"), [("", ""), ("workqueue", ""), ("workqueue", "begun")])
def test_parallel_kernels_of_numba_do_not_end_the_process(layer: str, begun: str) -> None:
    pytest.importorskip("numba")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    if layer:
        environment["NUMBA_THREADING_LAYER"] = layer
    command = [sys.executable, "-c", NUMBA, begun]
    told = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert told.returncode == 0, told.stderr
    if layer:
        assert "done with workqueue" in told.stdout
        assert "one thread only" in told.stderr
    else:  # whichever safe one there is, or a clean refusal
        assert "workqueue" not in told.stdout and ("done" in told.stdout or "refused" in told.stdout)
