"""How soon a running segment stops when it is told to, and how soon one starts: by executor and by what it is doing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import victims
from benchmarks.harness import Goal, Row, at_most, number
from benchmarks.workspace import Workspace
from seisproc_core.errors import Cancelled
from seisproc_core.execution.executor import Executor, InProcess, Receipt, Task
from seisproc_core.execution.threads import Threads
from seisproc_core.jobs.control import CANCEL, Control
from seisproc_processes.executor import Processes

REPEATS, FORCED_REPEATS, STARTS, BUSY = 30, 8, 200, 20
APART_S = 0.3  # the cancels of jobs that run at once, so that most of them run on beside each
GRACE_S = 0.2
PRELOAD = ("seisproc_core.execution.worker", "seisproc_signal.kernels_numba", "seisproc_segy.storage")


def cancelling(space: Workspace) -> Iterator[Row]:
    """From the control byte to the executor's return, two workers busy."""
    space.fresh("shots.sgy").symlink_to(space.segy(victims.TRACES, victims.SAMPLES))
    limits = {"python_loop": ("Python loop", 50), "numba_kernel": ("Numba kernel", 50), "reader": ("SEG-Y reader", 20)}
    for name, (what, limit) in limits.items():
        for executor, title in ((InProcess(), "in-process"), (Threads(), "threads"), (_processes(name), "processes")):
            ms = [1e3 * _latency(space.folder, executor, name) for _ in range(REPEATS)]
            goal = at_most(200 if title == "processes" else limit)
            yield _row(f"cancel: {what}, {title}", ms, "ms", goal)
            getattr(executor, "close", lambda: None)()
    for name, what in (("sleeping", "sleeping plugin"), ("spinning", "plugin spinning in C")):
        with _processes(name) as executor:
            ms = [1e3 * (_latency(space.folder, executor, name) - GRACE_S) for _ in range(FORCED_REPEATS)]
        yield _row(f"cancel: {what}, processes, after {GRACE_S:g} s of grace", ms, "ms", at_most(100))
    for executor, title in ((InProcess(grace_s=GRACE_S), "in-process"), (Threads(grace_s=GRACE_S), "threads")):
        ms = [1e3 * (_told_after(space.folder, executor) - GRACE_S) for _ in range(FORCED_REPEATS)]
        yield _row(f"cancel says what it waits for, {title}, after {GRACE_S:g} s of grace", ms, "ms", at_most(200))


def busy(space: Workspace) -> Iterator[Row]:
    """The same beside 20 other jobs on the same CPUs, each cancelled on its own; other jobs go on."""
    (space.folder / "shots.sgy").unlink(missing_ok=True)
    space.fresh("shots.sgy").symlink_to(space.segy(victims.TRACES, victims.SAMPLES))
    limits = {
        "python_loop": ("Python loop", 200),
        "numba_kernel": ("Numba kernel", 200),
        "reader": ("SEG-Y reader", 200),
    }
    for name, (what, limit) in limits.items():
        yield _row(
            f"cancel: {what}, processes, {BUSY} jobs at once", _crowded(space.folder, name, 0.0), "ms", at_most(limit)
        )
    for name, what in (("sleeping", "sleeping plugin"), ("spinning", "plugin spinning in C")):
        title = f"cancel: {what}, processes, {BUSY} jobs at once, after {GRACE_S:g} s of grace"
        yield _row(title, _crowded(space.folder, name, GRACE_S), "ms", at_most(100))


def _crowded(folder: Path, name: str, grace_s: float) -> list[float]:
    """Milliseconds, beyond the grace period, of jobs that run at once on one executor and are cancelled one by one."""
    seconds: dict[int, float] = {}
    with _processes(name) as executor:

        def run(number: int) -> None:
            own = folder / f"busy-{number}"
            own.mkdir(exist_ok=True)
            if not (own / "shots.sgy").exists():
                (own / "shots.sgy").symlink_to(folder / "shots.sgy")
            seconds[number] = _latency(own, executor, name, workers=1, all_busy=everyone)

        everyone = threading.Barrier(BUSY)
        threads = [threading.Thread(target=run, args=(number,)) for number in range(BUSY)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if len(seconds) < BUSY:
        raise RuntimeError(f"{BUSY - len(seconds)} of {BUSY} jobs did not end as cancelled")
    return [1e3 * (taken - grace_s) for taken in seconds.values()]


def starting(space: Workspace) -> Iterator[Row]:
    """From the call of an executor to the first segment under way."""
    ms = [1e3 * _start(space.folder, Threads()) for _ in range(STARTS)]
    yield _row("start, threads", ms, "ms", at_most(10))
    with _processes("starting_only") as executor:
        _start(space.folder, executor)
        ms = [1e3 * _start(space.folder, executor) for _ in range(STARTS)]
        yield _row("start, processes, what the job needs imported before", ms, "ms", at_most(20))
    ms = []
    for _ in range(FORCED_REPEATS):
        with _processes("starting_only") as executor:
            ms.append(1e3 * _start(space.folder, executor, preload=()))
    yield _row("start, first job of a program, processes, the core alone imported", ms, "ms", at_most(400))


def _row(what: str, values: list[float], unit: str, goal: Goal) -> Row:
    """The 99th percentile counts: with few repetitions that is about the largest."""
    ours = f"median {number(float(np.median(values)))} {unit} of {len(values)}"
    return Row(what=what, ours=ours, peer="", values=(float(np.percentile(values, 99)),), unit=unit, goal=goal)


def _processes(name: str) -> Processes:
    return Processes(grace_s=GRACE_S, target=f"benchmarks.victims:{name}")


def _task(folder: Path, name: str, preload: tuple[str, ...] = PRELOAD, workers: int = 2) -> Task:
    victim = getattr(victims, name)
    return Task(
        folder=folder,
        stage=0,
        compute=partial(_compute, victim, str(folder)),
        control=Control(folder / "control", create=True),
        workers=workers,
        preload=preload,
    )


def _compute(victim: Callable[..., Receipt], folder: str, segment: int, slot: int) -> Callable[[], Receipt]:
    receipt = victim(folder, 0, segment, slot)
    return lambda: receipt


def _latency(
    folder: Path, executor: Executor, name: str, *, workers: int = 2, all_busy: threading.Barrier | None = None
) -> float:
    """Seconds from the cancel, at some moment while all workers are busy, to the executor's return."""
    task, raised = _task(folder, name, workers=workers), []
    wanted = 1 if isinstance(executor, InProcess) else workers

    def cancel() -> None:
        while len([worker for worker in task.control.workers() if worker.segment is not None]) < wanted:
            time.sleep(0.002)
        if all_busy is not None:
            time.sleep(APART_S * all_busy.wait())
        time.sleep(np.random.default_rng().uniform(0.01, 0.06))
        raised.append(time.monotonic())
        task.control.raise_command(CANCEL)

    thread = threading.Thread(target=cancel)
    thread.start()
    try:
        executor.run(task, range(8), lambda receipt: None)
    except Cancelled:
        ended = time.monotonic()
        thread.join()
        return ended - raised[0]
    raise RuntimeError(f"{name} was cancelled and ended as if it had not been")


def _told_after(folder: Path, executor: Executor) -> float:
    """Seconds from the cancel to the warning that names the segment."""
    told: list[float] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(time.monotonic())

    task, raised, ear = _task(folder, "napping"), [], Ear()
    logger = logging.getLogger("seisproc_core.execution.overdue")
    logger.addHandler(ear)
    logger.propagate = False

    def cancel() -> None:
        raised.append(time.monotonic())
        task.control.raise_command(CANCEL)

    threading.Timer(0.05, cancel).start()
    try:
        executor.run(task, range(8), lambda receipt: None)
    except Cancelled:
        return told[0] - raised[0]
    finally:
        logger.removeHandler(ear)
        logger.propagate = True
    raise RuntimeError("a job was cancelled and ended as if it had not been")


def _start(folder: Path, executor: Executor, preload: tuple[str, ...] = PRELOAD) -> float:
    """Seconds from the call to the beginning of the first segment, by the clock that all processes share."""
    task, receipts = _task(folder, "starting_only", preload), list[Receipt]()
    called = time.monotonic_ns()
    executor.run(task, range(2), receipts.append)
    return float(min(receipt.pieces[0][1] for receipt in receipts) - called) / 1e9
