"""The executor ``threads``: segments in threads of this process, for kernels that release the GIL."""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from seisproc_core.errors import StepError
from seisproc_core.execution.executor import Receipt, Task
from seisproc_core.execution.overdue import told_when_overdue
from seisproc_core.execution.remote import in_words
from seisproc_core.jobs.control import SLOTS

logger = logging.getLogger(__name__)


class Threads:
    """Runs segments in threads; see `seisproc_core.execution.executor.Executor`.

    A thread cannot be killed: a cancel waits for the segments under way, and says so. What a step does to the process
    - its working directory, its environment, a crash - it does to the whole program, and numerical libraries keep
    the number of threads that they were started with.

    Parameters
    ----------
    grace_s
        Seconds between the control byte and the first warning that names the segments being waited for.
    """

    def __init__(self, *, grace_s: float = 2.0) -> None:
        self._grace_s = grace_s

    def run(self, task: Task, segments: Sequence[int], done: Callable[[Receipt], None]) -> None:
        """Run all segments; `done` is called in this thread.

        Raises
        ------
        Cancelled
            The control byte left "run" before all segments were done.
        Exception
            As raised inside a segment; what is no `Exception`, ``SystemExit`` for instance, as `StepError`.
        """
        work = _Work(task, segments)
        slots = range(1, _safe_number(min(task.workers, len(segments), SLOTS - 1)) + 1)
        threads = [
            threading.Thread(target=work.take_segments, args=(slot,), name=f"seisproc-worker-{slot}", daemon=True)
            for slot in slots
        ]
        failures = []
        with told_when_overdue(task.control, work.under_way, self._grace_s):
            try:
                for thread in threads:
                    thread.start()
                for answer in work.answers(len(threads)):
                    if isinstance(answer, Receipt):
                        done(answer)
                    else:
                        failures.append(answer)
            finally:  # also when `done` raises
                work.todo.clear()
                for thread in threads:
                    if thread.ident is not None:
                        thread.join()
        if failures:
            task.control.check()
            raise failures[0]


class _Work:
    """The segments of one `Threads.run`, shared by its threads."""

    def __init__(self, task: Task, segments: Sequence[int]) -> None:
        self.task = task
        self.todo = deque(sorted(segments))
        self.under_way: dict[int, int] = {}
        self._queue: queue.SimpleQueue[Receipt | Exception | None] = queue.SimpleQueue()

    def answers(self, threads: int) -> Iterator[Receipt | Exception]:
        """What comes of the segments, until so many threads have ended."""
        while threads:
            answer = self._queue.get()
            if answer is None:
                threads -= 1
            else:
                yield answer

    def take_segments(self, slot: int) -> None:
        """What a thread does; after a failure no segment is begun."""
        while (segment := self._next(slot)) is not None:
            try:
                self.task.control.check()
                self._queue.put(self.task.run(segment, slot))
            except Exception as error:
                self.todo.clear()
                self._queue.put(error)
            except BaseException as error:  # raised in the caller's thread it would end more than the job
                self.todo.clear()
                self._queue.put(StepError(f"segment {segment}: {in_words(error)}"))
        self.under_way.pop(slot, None)
        self.task.control.vacate(slot)
        self._queue.put(None)

    def _next(self, slot: int) -> int | None:
        try:
            self.under_way[slot] = self.todo.popleft()
        except IndexError:
            return None
        return self.under_way[slot]


def _safe_number(threads: int) -> int:
    """So many threads, or one where kernels must not run side by side.

    Numba's own thread pool, "workqueue", ends the process when a second thread enters a parallel kernel. So Numba is
    told to take a pool that is safe (OpenMP, TBB) or to refuse such kernels; where "workqueue" was chosen by the user,
    or runs already, there is no second thread.
    """
    layer = os.environ.setdefault("NUMBA_THREADING_LAYER", "threadsafe")
    numba: Any = sys.modules.get("numba")
    if numba is not None:
        if numba.config.THREADING_LAYER == "default":
            numba.config.THREADING_LAYER = layer
        try:
            layer = numba.threading_layer()
        except ValueError:  # none runs yet
            layer = str(numba.config.THREADING_LAYER)
    if threads > 1 and layer == "workqueue":
        logger.warning("Numba uses its workqueue, which allows one thread only: segments run one after the other")
        return 1
    return threads
