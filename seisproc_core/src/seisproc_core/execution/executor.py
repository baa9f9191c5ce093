"""The protocol between the engine and whatever runs its segments."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import attrs

from seisproc_core.execution.overdue import told_when_overdue
from seisproc_core.jobs.control import Control


@attrs.frozen(kw_only=True)
class Receipt:
    """What a worker reports once a segment's bytes are durable. Plain JSON values only.

    Attributes
    ----------
    segment
        Its number.
    pieces
        ``(key, offset, length, CRC-32C)`` of everything written for it.
    traces_in, traces_out
        Input traces read and output traces written.
    """

    segment: int
    pieces: tuple[tuple[str, int, int, int], ...]
    traces_in: int
    traces_out: int

    def to_json(self) -> dict[str, Any]:
        return attrs.asdict(self)

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Receipt:
        """`ValueError`, `TypeError` or `KeyError` when it is none."""
        pieces = tuple(map(tuple, plain["pieces"]))
        segment, traces_in, traces_out = plain["segment"], plain["traces_in"], plain["traces_out"]
        for key, offset, length, crc in pieces:
            if type(key) is not str or not type(offset) is type(length) is type(crc) is int:
                raise TypeError("a piece is a key and three whole numbers")
        if not type(segment) is type(traces_in) is type(traces_out) is int:
            raise TypeError("segments and traces are whole numbers")
        return cls(segment=segment, pieces=pieces, traces_in=traces_in, traces_out=traces_out)


@attrs.frozen(kw_only=True)
class Task:
    """One stage of a job, as an executor sees it.

    Attributes
    ----------
    folder
        The working folder: a worker needs nothing else (`seisproc_core.execution.worker.run_segment`). None for a
        job in memory, which only executors in the same process can run.
    stage
        Stage number.
    compute
        Runs one segment in this process, ``compute(segment, slot)``, and returns what is left to do: a function, for
        any thread, that makes its bytes durable and returns its receipt. `run` does both.
    control
        The job's control file: slot 0 belongs to the engine, from 1 on each segment under way has one.
    workers, threads
        How many workers, and how many threads each may use.
    keep_open
        File descriptors that every worker must inherit, so that the output's lock lives as long as the last of them.
    preload
        Modules the work needs; an executor may import them ahead.
    memory_limit
        Bytes of anonymous memory that a worker may hold; 0: no limit. Only executors with worker processes hold to it.
    """

    folder: Path | None
    stage: int
    compute: Callable[[int, int], Callable[[], Receipt]]
    control: Control
    workers: int
    threads: int = 1
    keep_open: tuple[int, ...] = ()
    preload: tuple[str, ...] = ()
    memory_limit: int = 0

    def run(self, segment: int, slot: int) -> Receipt:
        """Run one segment in this process, from its first trace to its receipt."""
        return self.compute(segment, slot)()


class Executor(Protocol):
    """Runs segments.

    `run` returns when every segment is done. It calls `done` in the calling thread, once per segment, in any order.
    When the control byte leaves "run" it stops its workers - asks, waits for the grace period, then kills where it
    can, or else says what it waits for - and raises `Cancelled`. An exception inside a segment is raised as it is
    (a `SeisprocError` with the same message where it crossed a process border); a worker's death costs its segment a
    retry, and the third death on the same segment raises `WorkerDied`. Deaths for lack of memory, the machine's or
    of `Task.memory_limit`, count only where one worker runs alone; before that they halve the number of workers.

    One object may run the stages of several jobs, one after the other and at the same time from several threads. An
    executor with a `close` method has it called when its user needs it no more; one with a method
    ``warm(threads, modules)`` is told, before a job is planned, which modules it will probably need.
    """

    def run(self, task: Task, segments: Sequence[int], done: Callable[[Receipt], None]) -> None: ...


class InProcess:
    """Runs segments one after the other in the calling thread: for debugging and embedding. It cannot be killed.

    While a second thread waits until a segment is on the disk, the next one is computed; so two are under way, each in
    a slot of its own.

    Parameters
    ----------
    grace_s
        Seconds between the control byte and the first warning that names the segment being waited for.
    """

    def __init__(self, *, grace_s: float = 2.0) -> None:
        self._grace_s = grace_s

    def run(self, task: Task, segments: Sequence[int], done: Callable[[Receipt], None]) -> None:
        under_way: dict[int, int] = {}
        writing: deque[tuple[int, Future[Receipt]]] = deque()  # at most one, by its slot

        def await_write() -> None:
            if writing:
                slot, receipt = writing.popleft()
                try:
                    done(receipt.result())
                finally:
                    del under_way[slot]

        with (
            told_when_overdue(task.control, under_way, self._grace_s),
            ThreadPoolExecutor(1, "seisproc-writer") as pool,
        ):
            try:
                for segment, slot in zip(segments, itertools.cycle((1, 2))):
                    task.control.check()
                    under_way[slot] = segment
                    write = task.compute(segment, slot)
                    await_write()
                    writing.append((slot, pool.submit(write)))
            finally:  # what is computed is kept, whatever became of the next
                await_write()
