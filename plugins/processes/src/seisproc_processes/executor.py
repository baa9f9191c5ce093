"""The executor: hands out segments to worker processes, collects receipts, survives the workers' deaths."""

from __future__ import annotations

import contextlib
import heapq
import logging
import os
import selectors
import signal
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from seisproc_core import errors
from seisproc_core.execution.channel import Message
from seisproc_core.execution.executor import Receipt, Task
from seisproc_core.execution.remote import MAX_DEATHS, MEMORY_POLL_S, anonymous_memory, error_from_json, over_limit
from seisproc_core.jobs.control import SLOTS
from seisproc_processes.handle import LOG, Nursery, Worker, origin

RUN_SEGMENT = "seisproc_core.execution.worker:run_segment"
_POLL_S = 0.02  # how often the control byte is looked at
_EXIT_S = 5.0  # a killed process that takes longer hangs in the kernel, on a dead file server for instance

logger = logging.getLogger(__name__)


class Processes:
    """Runs segments in supervised worker processes; see `seisproc_core.execution.executor.Executor`.

    One object may serve several jobs, at once too. Each `run` has a nursery to itself; afterwards the nursery rests,
    with all that was imported, until another `run` takes it or `close`, or leaving the ``with`` block, ends it. When
    `run` returns or raises, no worker is left, and no nursery after any exception but `Cancelled`.

    Parameters
    ----------
    grace_s
        Seconds between the control byte and the kill of workers that have not stopped by themselves.
    target
        The function ``(folder, stage, segment, slot) -> Receipt`` that workers run, as ``"module:name"``.
    """

    def __init__(self, *, grace_s: float = 2.0, target: str = RUN_SEGMENT) -> None:
        self.grace_s = grace_s
        self.target = target
        self._idle: list[Nursery] = []
        self._lock = threading.Lock()
        weakref.finalize(self, _close_all, self._idle)

    def run(self, task: Task, segments: Sequence[int], done: Callable[[Receipt], None]) -> None:
        """Run all segments; `done` is called in this thread, as soon as a receipt arrives.

        Raises
        ------
        Cancelled
            The control byte left "run" before all segments were done.
        WorkerDied
            Three workers died on the same segment.
        UsageError
            The job has no working folder.
        SeisprocError
            As raised inside a segment; any other exception there becomes a `StepError`.
        """
        if task.folder is None:
            raise errors.UsageError("a job in memory cannot run in worker processes; use the executor 'in-process'")
        stage = _Stage(self, task, task.folder, segments, done)
        healthy = False
        try:
            try:
                stage.run()
            finally:
                stage.stop()
            healthy = True
        except errors.Cancelled:
            healthy = True
            raise
        finally:
            if stage.nursery is not None:
                self._give_back(stage.nursery, healthy)

    def warm(self, threads: int, modules: Sequence[str]) -> None:
        """Have a nursery import what a job will need while it is still being planned."""
        wanted = origin(threads)
        with self._lock:
            if not any(nursery.alive and nursery.origin == wanted for nursery in self._idle):
                self._idle.append(Nursery(threads))
            self._idle[-1].preload([self.target.partition(":")[0], *modules])

    def nursery(self, task: Task, folder: Path) -> Nursery:
        """A nursery that serves this task: one that rests, if it would start now as it did, or a new one."""
        wanted = origin(task.threads)
        with self._lock:
            rested = [nursery for nursery in self._idle if nursery.alive and nursery.origin == wanted]
            stale = [n for n in self._idle if not n.alive or n.origin[1:] != wanted[1:]]
            self._idle[:] = [n for n in self._idle if n not in rested[:1] and n not in stale]
        _close_all(stale)
        nursery = rested[0] if rested else Nursery(task.threads, folder)
        nursery.begin(folder, task.keep_open, [self.target.partition(":")[0], *task.preload])
        return nursery

    def _give_back(self, nursery: Nursery, healthy: bool) -> None:
        if healthy and nursery.rest():
            with self._lock:
                self._idle.append(nursery)
        else:
            nursery.close()

    def close(self) -> None:
        """End what rests; another `run` starts anew."""
        with self._lock:
            _close_all(self._idle)

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _close_all(nurseries: list[Nursery]) -> None:
    while nurseries:
        nurseries.pop().close()


class _Stage:
    """One call of `Processes.run`."""

    def __init__(
        self, owner: Processes, task: Task, folder: Path, segments: Sequence[int], done: Callable[[Receipt], None]
    ) -> None:
        self.owner, self.task, self.folder, self.done = owner, task, folder, done
        self.pending = sorted(segments)  # a sorted list is a heap: the lowest number goes first
        self.limit = max(1, min(task.workers, len(self.pending), SLOTS - 1))
        self.free_slots = list(range(1, self.limit + 1))
        self.workers: dict[int, Worker] = {}
        self.spawned = 0
        self.deaths: Counter[int] = Counter()
        self.nursery_deaths = 0
        self.oom_kills = oom_kills()
        self.news: deque[Message] = deque()  # from the nursery, not yet dealt with
        self.selector = selectors.DefaultSelector()
        self.nursery: Nursery | None = None
        self.next_look = 0.0  # at the workers' memory

    # -- the loop

    def run(self) -> None:
        deadline = 0.0
        if self.pending:
            self.start_nursery()
        while self.pending or self.busy():
            if self.task.control.command:
                deadline = deadline or time.monotonic() + self.owner.grace_s
                if not self.busy() or time.monotonic() > deadline:
                    self.task.control.check()
            else:
                self.hand_out()
            if self.task.memory_limit and time.monotonic() > self.next_look:
                self.next_look = time.monotonic() + MEMORY_POLL_S
                self.hold_to_memory_limit()
            for key, _ in self.selector.select(_POLL_S):
                # An earlier event of this round may have ended this one's worker or nursery.
                if isinstance(key.data, Worker) and key.data.number in self.workers:
                    self.hear_worker(key.data)
                elif isinstance(key.data, Nursery) and key.data is self.nursery:
                    self.hear_nursery(key.data)

    def busy(self) -> list[Worker]:
        return [worker for worker in self.workers.values() if worker.segment is not None]

    def start_nursery(self) -> None:
        self.nursery = self.owner.nursery(self.task, self.folder)
        self.selector.register(self.nursery.channel, selectors.EVENT_READ, self.nursery)

    def drop_nursery(self) -> None:
        """End it, and with it its workers."""
        if self.nursery is not None:
            self.selector.unregister(self.nursery.channel)
            self.nursery.close()
            self.nursery = None
        self.news.clear()

    def hand_out(self) -> None:
        assert self.nursery is not None
        idle = [worker for worker in self.workers.values() if worker.segment is None and worker.usable]
        while self.pending and (idle or len(self.workers) < self.limit):
            if idle:
                worker = idle.pop()
            else:
                self.spawned += 1
                worker = self.nursery.spawn(self.spawned, heapq.heappop(self.free_slots), self.owner.target)
                self.workers[worker.number] = worker
                self.selector.register(worker.channel, selectors.EVENT_READ, worker)
            worker.segment = heapq.heappop(self.pending)
            request = {"folder": str(self.folder), "stage": self.task.stage, "segment": worker.segment}
            with contextlib.suppress(ConnectionError):  # dead already: the nursery will tell
                worker.channel.send(request | {"slot": worker.slot})

    # -- what workers say

    def hear_worker(self, worker: Worker) -> None:
        try:
            for message in worker.channel.receive():
                self.answered(worker, message)
        except EOFError:
            # It is dying, and the nursery will say of what; or a step closed its socket, and it can be of no more use.
            worker.usable = False
            self.selector.unregister(worker.channel)
            if self.nursery is not None:
                self.nursery.kill([worker.number])

    def answered(self, worker: Worker, message: Message) -> None:
        segment, worker.segment = worker.segment, None
        assert segment is not None, "a worker answers once per request"
        worker.usable = worker.usable and "last" not in message
        if "receipt" in message:
            self.nursery_deaths = 0  # only deaths in a row, without any progress, mean that it is no use
            self.done(Receipt.from_json(message["receipt"]))
        elif self.task.control.command:  # it stopped because it was told to
            heapq.heappush(self.pending, segment)
        else:
            raise error_from_json(message["error"], segment, self.folder / LOG)

    def hold_to_memory_limit(self) -> None:
        limit = self.task.memory_limit
        for worker in self.busy():
            worker.peak = max(worker.peak, anonymous_memory(worker.pid) if worker.pid else 0)
            if worker.peak > limit and self.nursery is not None and not worker.killed_for:
                worker.killed_for = over_limit(worker.peak, limit)
                self.nursery.kill([worker.number])

    def forget(self, worker: Worker) -> None:
        self.workers.pop(worker.number, None)
        self.task.control.vacate(worker.slot)
        heapq.heappush(self.free_slots, worker.slot)
        with contextlib.suppress(KeyError):
            self.selector.unregister(worker.channel)
        worker.channel.close()

    # -- what the nursery says

    def hear_nursery(self, nursery: Nursery) -> None:
        try:
            self.news.extend(nursery.channel.receive())
        except EOFError:
            self.nursery_died()
            return
        while self.news:
            message = self.news.popleft()
            if "ready" in message:
                nursery.ready = True
            elif "started" in message:
                self.workers[message["started"]].pid = message["pid"]
            elif "refused" in message:
                self.take_back(self.workers[message["exited"]])
                raise errors.WorkerDied(
                    f"the system gives no further worker process ({message['refused']}); use fewer workers"
                )
            else:
                self.exited(self.workers[message["exited"]], message["status"])

    def exited(self, worker: Worker, status: int) -> None:
        worker.channel.socket.setblocking(False)
        try:
            with contextlib.suppress(EOFError, BlockingIOError):
                while True:  # a receipt may have come just before the death
                    for message in worker.channel.receive():
                        self.answered(worker, message)
        finally:
            self.forget(worker)
        if worker.segment is None:
            return
        heapq.heappush(self.pending, worker.segment)
        if self.task.control.command:
            return
        cause, last_oom_kills = worker.killed_for or cause_of_death(status), self.oom_kills
        self.oom_kills = oom_kills()
        out_of_memory = bool(worker.killed_for) or ("SIGKILL" in cause and self.oom_kills > last_oom_kills)
        logger.warning("a worker ended on segment %d: %s", worker.segment, cause)
        if out_of_memory and self.limit > 1:
            self.limit //= 2
            logger.warning("out of memory: going on with %d workers", self.limit)
            self.stop_workers()
            if self.nursery is None:
                self.start_nursery()
            return
        self.deaths[worker.segment] += 1
        if self.deaths[worker.segment] == MAX_DEATHS:
            hint = ", the system being out of memory" if out_of_memory and not worker.killed_for else ""
            raise errors.WorkerDied(
                f"segment {worker.segment} of stage {self.task.stage}: {MAX_DEATHS} workers died on it, the last of "
                f"{cause}{hint}; where they were is at the end of {self.folder / LOG}"
            )

    def nursery_died(self) -> None:
        """Its workers are being killed by the kernel; once they are gone, start again with another one."""
        self.await_ends()
        self.nursery_deaths += 1
        if self.nursery_deaths == MAX_DEATHS:
            raise errors.WorkerDied(
                f"the process that starts the workers died {MAX_DEATHS} times in a row in stage {self.task.stage}; "
                f"see the end of {self.folder / LOG}"
            )
        logger.warning("the process that starts the workers died: starting another")
        self.start_nursery()

    # -- the end

    def stop_workers(self) -> None:
        """Kill all workers and wait for their deaths, which do not count against their segments."""
        if self.nursery is not None and self.nursery.ready and self.workers:
            self.nursery.kill(list(self.workers))
            self.nursery.channel.socket.settimeout(_EXIT_S)
            try:
                self.await_deaths(self.nursery)
                self.nursery.channel.socket.settimeout(None)
            except (EOFError, TimeoutError):  # it is dead or stuck itself
                self.await_ends()
        elif self.workers or (self.nursery is not None and not self.nursery.ready):
            self.await_ends()  # an import that hangs is not waited for

    def await_deaths(self, nursery: Nursery) -> None:
        while self.workers:
            if not self.news:
                self.news.extend(nursery.channel.receive())
            while self.news:
                message = self.news.popleft()
                if "exited" in message:
                    self.take_back(self.workers[message["exited"]])

    def await_ends(self) -> None:
        """End the nursery and wait until its workers have closed their sockets: nothing of them runs any more."""
        self.drop_nursery()
        for worker in list(self.workers.values()):
            worker.channel.socket.settimeout(_EXIT_S)
            try:
                while True:
                    worker.channel.receive()
            except EOFError:
                self.take_back(worker)
            except TimeoutError:
                raise errors.WorkerDied(
                    f"a worker on segment {worker.segment} of stage {self.task.stage} was killed and does not end; "
                    "is a disk that it uses gone?"
                ) from None

    def take_back(self, worker: Worker) -> None:
        self.forget(worker)
        if worker.segment is not None:
            heapq.heappush(self.pending, worker.segment)

    def stop(self) -> None:
        """Leave no worker, whatever happened."""
        try:
            self.stop_workers()
        finally:
            for worker in list(self.workers.values()):
                self.forget(worker)
            self.selector.close()


def cause_of_death(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"signal {-code}"


def oom_kills() -> int:
    """How often this machine's kernel killed a process for lack of memory since it started; 0 where it does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
