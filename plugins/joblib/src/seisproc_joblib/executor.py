"""Segments in a loky process pool, the one that Joblib brings with it."""

from __future__ import annotations

import contextlib
import heapq
import logging
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
from multiprocessing.context import get_spawning_popen
from pathlib import Path
from typing import Any

from joblib.externals.loky import ProcessPoolExecutor

from seisproc_core import errors
from seisproc_core.execution.executor import Receipt, Task
from seisproc_core.execution.remote import (
    MAX_DEATHS,
    MEMORY_POLL_S,
    anonymous_memory,
    die_with,
    error_from_json,
    error_to_json,
    over_limit,
    thread_environment,
)
from seisproc_core.execution.surroundings import Surroundings
from seisproc_core.jobs.control import SLOTS
from seisproc_core.specs import resolve

RUN_SEGMENT = "seisproc_core.execution.worker:run_segment"
LOG = "log.txt"
_POLL_S = 0.02  # how often the control byte is looked at

logger = logging.getLogger(__name__)


class Loky:
    """Runs segments in a loky pool of its own; see `seisproc_core.execution.executor.Executor`.

    One death breaks the whole pool, so every death makes a new one and counts against all segments that were under
    way; a segment that has seen two runs alone, so that the third names the right one. Workers end with the engine
    because the kernel kills them (Linux). Two small helper processes of loky, its resource trackers, stay until the
    engine's process ends.

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
            pool = ProcessPoolExecutor(
                max_workers=stage.limit,
                initializer=_begin_worker,
                initargs=(os.getpid(), str(task.folder / LOG), [_Inherited(fd) for fd in task.keep_open]),
                env=thread_environment(task.threads),
            )
            try:
                stage.run(pool, self._grace_s)
            except BrokenProcessPool as error:
                stage.count_deaths(error)
            finally:
                pool.shutdown(wait=True, kill_workers=True)
                for slot in range(1, stage.limit + 1):
                    task.control.vacate(slot)


class _Stage:
    """The segments of one `Loky.run`, over all its pools."""

    def __init__(
        self, task: Task, folder: Path, segments: Sequence[int], done: Callable[[Receipt], None], target: str
    ) -> None:
        self.task, self.folder, self.done, self.target = task, folder, done, target
        self.deaths: Counter[int] = Counter()
        self.pending = [(0, segment) for segment in sorted(segments)]  # a heap: most deaths first, then lowest number
        self.under_way: dict[Future[Any], tuple[int, int]] = {}  # segment and slot
        self.limit = max(1, min(task.workers, len(self.pending), SLOTS - 1))
        self.next_look = 0.0  # at the workers' memory
        self.killed_for = ""  # why a worker of this pool was killed, in words

    def unfinished(self) -> int:
        return len(self.pending) + len(self.under_way)

    def run(self, pool: Any, grace_s: float) -> None:
        free_slots = list(range(1, self.limit + 1))
        deadline = 0.0
        while self.unfinished():
            if self.task.control.command:
                deadline = deadline or time.monotonic() + grace_s
                if not self.under_way or time.monotonic() > deadline:
                    self.task.control.check()
            else:
                self.hand_out(pool, free_slots)
            if self.task.memory_limit and time.monotonic() > self.next_look:
                self.next_look = time.monotonic() + MEMORY_POLL_S
                self.hold_to_memory_limit(pool)
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

    def hold_to_memory_limit(self, pool: Any) -> None:
        limit = self.task.memory_limit
        for process in list(pool._processes.values()):  # there is no public way to know them
            held = anonymous_memory(process.pid)
            if held > limit and not self.killed_for and process.is_alive():
                self.killed_for = over_limit(held, limit)
                os.kill(process.pid, signal.SIGKILL)

    def put_back(self, segment: int) -> None:
        heapq.heappush(self.pending, (-self.deaths[segment], segment))

    def count_deaths(self, error: BrokenProcessPool) -> None:
        lost = [segment for segment, _ in self.under_way.values()]
        self.under_way.clear()
        killed_for, self.killed_for = self.killed_for, ""
        if killed_for and self.limit > 1:
            self.limit //= 2
            logger.warning("%s: going on with half the workers", killed_for)
            for segment in lost:
                self.put_back(segment)
            return
        for segment in lost:
            self.deaths[segment] += 1
            if self.deaths[segment] == MAX_DEATHS:
                codes = re.search(r"\{.+?\}", str(error))  # "{SIGSEGV(-11)}"
                raise errors.WorkerDied(
                    f"segment {segment} of stage {self.task.stage}: {MAX_DEATHS} workers died on it, the last of "
                    f"{killed_for or (codes[0].strip('{}') if codes else 'an unknown cause')}; where they were is at "
                    f"the end of {self.folder / LOG}"
                ) from None
            self.put_back(segment)


class _Inherited:
    """A descriptor that a worker has under the same number: pickled while the worker is started, it is passed on."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __reduce__(self) -> tuple[type[_Inherited], tuple[int]]:
        starting: Any = get_spawning_popen()
        starting.duplicate_for_child(self.fd)
        os.set_inheritable(self.fd, False)  # for that child only
        return _Inherited, (self.fd,)


_surroundings: list[Surroundings] = []  # of this worker, once it is one


def _begin_worker(engine: int, log: str, held: list[_Inherited]) -> None:
    """In a new worker: end with the engine, leave Ctrl-C to it, write to the job's log instead of the terminal."""
    import faulthandler

    die_with(engine)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
    for inherited in held:
        os.set_inheritable(inherited.fd, False)
    faulthandler.enable()
    _surroundings.append(Surroundings())


def _run(target: str, folder: str, stage: int, segment: int, slot: int) -> dict[str, Any]:
    """In a worker: run one segment. Only JSON values come back: an exception might not survive pickling."""
    try:
        receipt: Receipt = resolve(target)(folder, stage, segment, slot)
        return {"receipt": receipt.to_json()}
    except BaseException as error:
        if not isinstance(error, errors.Cancelled):
            with contextlib.suppress(Exception):  # a step may have closed the stream
                sys.stderr.write(f"segment {segment}:\n{traceback.format_exc()}\n")
                sys.stderr.flush()
        return {"error": error_to_json(error)}
    finally:
        _surroundings[0].restore()
