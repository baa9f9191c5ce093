"""Segments in a loky process pool, the one that Joblib brings with it."""

from __future__ import annotations

import heapq
import os
import re
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from joblib.externals.loky import ProcessPoolExecutor

from seisproc_core import errors
from seisproc_core.execution.executor import Receipt, Task
from seisproc_core.execution.remote import (
    MAX_DEATHS,
    die_with,
    error_from_json,
    error_to_json,
    thread_environment,
)
from seisproc_core.jobs.control import SLOTS
from seisproc_core.specs import resolve

RUN_SEGMENT = "seisproc_core.execution.worker:run_segment"
LOG = "log.txt"
_POLL_S = 0.02  # how often the control byte is looked at


class Loky:
    """Runs segments in a loky pool of its own; see `seisproc_core.execution.executor.Executor`.

    One death breaks the whole pool, so every death makes a new one and counts against all segments that were under
    way; a segment that has seen two runs alone, so that the third names the right one. Workers do not hold the
    descriptors of `Task.keep_open`; they end with the engine because the kernel kills them (Linux). Two small helper
    processes of loky, its resource trackers, stay until the engine's process ends.

    Parameters
    ----------
    grace_s
        Seconds between the control byte and the kill of workers that have not stopped by themselves.
    target
        The function ``(folder, stage, segment, slot) -> Receipt`` that workers run, as ``"module:name"``.
    """

    def __init__(self, *, grace_s: float = 2.0, target: str = RUN_SEGMENT) -> None:
        self._grace_s = grace_s
        self._target = target

    def run(self, task: Task, segments: Sequence[int], done: Callable[[Receipt], None]) -> None:
        """Run all segments; `done` is called in this thread.

        Raises
        ------
        Cancelled
            The control byte left "run" before all segments were done.
        WorkerDied
            Workers died three times on the same segment.
        UsageError
            The job has no working folder.
        SeisprocError
            As raised inside a segment; any other exception there becomes a `StepError`.
        """
        if task.folder is None:
            raise errors.UsageError("a job in memory cannot run in worker processes; use the executor 'in-process'")
        stage = _Stage(task, task.folder, segments, done, self._target)
        while stage.unfinished():
            task.control.check()
            workers = max(1, min(task.workers, stage.unfinished(), SLOTS - 1))
            pool = ProcessPoolExecutor(
                max_workers=workers,
                initializer=_begin_worker,
                initargs=(os.getpid(), str(task.folder / LOG)),
                env=thread_environment(task.threads),
            )
            try:
                stage.run(pool, workers, self._grace_s)
            except BrokenProcessPool as error:
                stage.count_deaths(error)
            finally:
                pool.shutdown(wait=True, kill_workers=True)


class _Stage:
    """The segments of one `Loky.run`, over all its pools."""

    def __init__(
        self, task: Task, folder: Path, segments: Sequence[int], done: Callable[[Receipt], None], target: str
    ) -> None:
        self.task, self.folder, self.done, self.target = task, folder, done, target
        self.deaths: Counter[int] = Counter()
        self.pending = [(0, segment) for segment in sorted(segments)]  # a heap: most deaths first, then lowest number
        self.under_way: dict[Future[Any], tuple[int, int]] = {}  # segment and slot

    def unfinished(self) -> int:
        return len(self.pending) + len(self.under_way)

    def run(self, pool: Any, workers: int, grace_s: float) -> None:
        free_slots = list(range(1, workers + 1))
        deadline = 0.0
        while self.unfinished():
            if self.task.control.command:
                deadline = deadline or time.monotonic() + grace_s
                if not self.under_way or time.monotonic() > deadline:
                    self.task.control.check()
            else:
                self.hand_out(pool, free_slots)
            finished, _ = wait(self.under_way, _POLL_S, FIRST_COMPLETED)
            for future in finished:
                answer = future.result()  # BrokenProcessPool: the segment stays under way, to be counted
                segment, slot = self.under_way.pop(future)
                free_slots.append(slot)
                self.answered(segment, answer)

    def hand_out(self, pool: Any, free_slots: list[int]) -> None:
        # No more than there are workers, so that "under way" is what may have killed one, and slots are never shared.
        while self.pending and free_slots and not self.suspect_under_way():
            if self.under_way and -self.pending[0][0] == MAX_DEATHS - 1:
                return  # a suspect waits until it can run alone
            segment, slot = self.pending[0][1], free_slots[-1]
            future = pool.submit(_run, self.target, str(self.folder), self.task.stage, segment, slot)
            self.under_way[future] = (segment, slot)  # only now: submitting to a broken pool raises
            heapq.heappop(self.pending)
            free_slots.pop()

    def suspect_under_way(self) -> bool:
        return any(self.deaths[segment] == MAX_DEATHS - 1 for segment, _ in self.under_way.values())

    def answered(self, segment: int, answer: dict[str, Any]) -> None:
        if "receipt" in answer:
            self.done(Receipt.from_json(answer["receipt"]))
        elif self.task.control.command:  # it stopped because it was told to
            self.put_back(segment)
        else:
            raise error_from_json(answer["error"], segment, self.folder / LOG)

    def put_back(self, segment: int) -> None:
        heapq.heappush(self.pending, (-self.deaths[segment], segment))

    def count_deaths(self, error: BrokenProcessPool) -> None:
        lost = [segment for segment, _ in self.under_way.values()]
        self.under_way.clear()
        for segment in lost:
            self.deaths[segment] += 1
            if self.deaths[segment] == MAX_DEATHS:
                codes = re.search(r"\{.+?\}", str(error))  # "{SIGSEGV(-11)}"
                raise errors.WorkerDied(
                    f"segment {segment} of stage {self.task.stage}: {MAX_DEATHS} workers died on it, the last of "
                    f"{codes[0].strip('{}') if codes else 'an unknown cause'}; where they were is at the end of "
                    f"{self.folder / LOG}"
                ) from None
            self.put_back(segment)


def _begin_worker(engine: int, log: str) -> None:
    """In a new worker: end with the engine, leave Ctrl-C to it, write to the job's log instead of the terminal."""
    import faulthandler

    die_with(engine)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
    faulthandler.enable()


def _run(target: str, folder: str, stage: int, segment: int, slot: int) -> dict[str, Any]:
    """In a worker: run one segment. Only JSON values come back: an exception might not survive pickling."""
    try:
        receipt: Receipt = resolve(target)(folder, stage, segment, slot)
        return {"receipt": receipt.to_json()}
    except BaseException as error:
        if not isinstance(error, errors.Cancelled):
            sys.stderr.write(f"segment {segment}:\n{traceback.format_exc()}\n")
            sys.stderr.flush()
        return {"error": error_to_json(error)}
