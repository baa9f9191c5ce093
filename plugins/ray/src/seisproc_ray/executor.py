"""The executor: hands out segments to actors, collects receipts, survives the deaths of actors and of Ray itself."""

from __future__ import annotations

import contextlib
import heapq
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

import attrs

from seisproc_core import errors
from seisproc_core.execution.channel import Channel, Message
from seisproc_core.execution.executor import Receipt, Task
from seisproc_core.execution.remote import MAX_DEATHS, error_from_json
from seisproc_core.jobs.control import SLOTS
from seisproc_core.jobs.workfolder import WorkFolder
from seisproc_ray import bridge, session
from seisproc_ray.actor import CONTROL, cpu_features, identity
from seisproc_ray.settings import Settings

RUN_SEGMENT = "seisproc_core.execution.worker:run_segment"
_POLL_S = 0.02  # how often the control byte is looked at
_START_S = 90.0  # a Ray that takes longer to start or to join is given up
_KILL_S = 0.3  # an actor that Ray has not killed by then is killed by us, where it is ours
_EXIT_S = 3.0  # how long the ends of killed actors are waited for
_PATIENCE_S = 10.0  # without any worker, before the user is told what is waited for

logger = logging.getLogger(__name__)


class LostDriver(Exception):
    """Ray, or the process that talks to it, is gone."""


@attrs.define(eq=False)
class _Worker:
    """An actor as the engine knows it. `segment` is None while it is idle, `pid` 0 before it is ready; a `worn` one
    was told to make room for a fresh one."""

    number: int
    slot: int
    segment: int | None = None
    pid: int = 0
    worn: bool = False
    log: str = "log.txt"


class RayActors:
    """Runs segments in actors of Ray; see `seisproc_core.execution.executor.Executor`.

    Every call of `run` has actors of its own, which are gone when it returns or raises. Ray itself, joined or started
    with the first `run`, is shared by all objects of the process. A local one ends some seconds after the last of
    them was closed, and with the process at the latest.

    Parameters
    ----------
    grace_s
        Seconds between the control byte and the kill of workers that have not stopped by themselves.
    target
        The function ``(folder, stage, segment, slot) -> Receipt`` that actors run, as ``"module:name"``. Actors that
        share no memory with the engine give it ``control`` too.
    settings
        How to start or join Ray; from environment variables by default (`seisproc_ray.settings`).
    """

    def __init__(self, *, grace_s: float = 2.0, target: str = RUN_SEGMENT, settings: Settings | None = None) -> None:
        self.grace_s = grace_s
        self.target = target
        self.settings = settings or Settings.from_environment()
        self._holds: tuple[bridge.Bridge, Channel] | None = None
        self._lock = threading.Lock()

    def run(self, task: Task, segments: Sequence[int], done: Callable[[Receipt], None]) -> None:
        """Run all segments; `done` is called in this thread, as soon as a receipt arrives.

        Raises
        ------
        Cancelled
            The control byte left "run" before all segments were done.
        WorkerDied
            Three workers died on the same segment, or before they began one, or Ray ended three times in a row.
        StorageError, PluginError
            A node does not see the working folder, or has other versions than the job was planned with.
        UsageError
            The job has no working folder, or Ray could not be started or joined.
        SeisprocError
            As raised inside a segment; any other exception there becomes a `StepError`.
        """
        if task.folder is None:
            raise errors.UsageError("a job in memory cannot run in a cluster; use the executor 'in-process'")
        stage = _Stage(self, task, task.folder, segments, done)
        try:
            stage.run()
        finally:
            stage.end()

    def hold(self, started: bridge.Bridge) -> None:
        """Keep Ray until `close`."""
        with self._lock:
            if self._holds is None or self._holds[0] is not started:
                self._let_go()
                self._holds = (started, started.connect(()))

    def close(self) -> None:
        """Ray is needed no more, as far as this object goes; another `run` would start or join it again."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        if self._holds is not None:
            self._holds[1].close()
            self._holds = None

    def __enter__(self) -> RayActors:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Crew:
    """A job's actors and the conversation with the driver about them."""

    def __init__(self, settings: Settings, task: Task) -> None:
        self.settings = settings
        self.bridge, self.channel = bridge.connect(settings, task.keep_open)
        self.workers: dict[int, _Worker] = {}
        self.spawned = 0
        self.processes: set[int] = set()  # of all actors there were
        self.free_slots = list(range(1, SLOTS))
        try:
            self._await_hello(task)
        except BaseException:
            self.channel.close()
            raise

    def _await_hello(self, task: Task) -> None:
        deadline = time.monotonic() + _START_S
        while True:
            task.control.check()
            try:
                messages = self.hear(_POLL_S)
            except LostDriver:
                messages = [{"failed": _last_line(self.bridge.log)}]
            if not messages and time.monotonic() > deadline:
                messages = [{"failed": f"it took longer than {_START_S:.0f} s"}]
            for message in messages:
                if "failed" in message:
                    bridge.drop(self.settings, self.bridge)
                    what = "start Ray" if self.settings.local else f"join the Ray cluster at {self.settings.address}"
                    raise errors.UsageError(f"cannot {what}: {message['failed']}")
                if message["dashboard"]:
                    logger.warning("Ray's dashboard: http://%s", message["dashboard"])
                return

    def hear(self, timeout_s: float) -> list[Message]:
        """What the driver says within so many seconds."""
        if not self.channel.waits(timeout_s):
            return []
        try:
            return self.channel.receive()
        except EOFError:
            raise LostDriver from None

    def kill(self, workers: Sequence[_Worker]) -> None:
        self.channel.tell({"kill": [worker.number for worker in workers]})

    def forget(self, number: int) -> _Worker | None:
        worker = self.workers.pop(number, None)
        if worker is not None:
            heapq.heappush(self.free_slots, worker.slot)
        return worker

    def end(self) -> None:
        """Kill all actors; they are gone when this returns, or `_EXIT_S` has passed."""
        self.kill(list(self.workers.values()))
        deadline = time.monotonic() + (_KILL_S if self.settings.local else _EXIT_S)
        with contextlib.suppress(LostDriver):
            while self.workers and time.monotonic() < deadline:
                for message in self.hear(_POLL_S):
                    if "exited" in message:
                        self.forget(message["exited"])
        self.channel.close()
        if self.settings.local and self.processes:  # Ray says that they are gone before they are
            session.end(self.bridge.pid, only=self.processes, patience_s=_EXIT_S)


class _Stage:
    """One call of `RayActors.run`."""

    def __init__(
        self, owner: RayActors, task: Task, folder: Path, segments: Sequence[int], done: Callable[[Receipt], None]
    ) -> None:
        self.owner, self.task, self.folder, self.done = owner, task, folder, done
        self.pending = sorted(segments)  # a sorted list is a heap: the lowest number goes first
        self.limit = max(1, min(task.workers, len(self.pending), SLOTS - 1))
        self.deaths: Counter[int] = Counter()
        self.crew: _Crew | None = None
        self.stillborn = 0  # actors in a row that died before they began a segment
        self.losses = 0  # of Ray in a row
        self.lonely_since = 0.0
        self.job = {
            "folder": str(folder),
            "target": owner.target,
            "versions": versions_of(folder) if owner.target == RUN_SEGMENT else {},
            "memory_limit": task.memory_limit,
            "control_file": identity(folder / CONTROL),
        }

    def run(self) -> None:
        deadline = 0.0
        while self.pending or self.busy():
            if self.task.control.command:
                deadline = deadline or time.monotonic() + self.owner.grace_s
                if not self.busy() or time.monotonic() > deadline:
                    self.task.control.check()
            try:
                if not self.task.control.command:
                    self.hand_out()
                for message in self.ready().hear(_POLL_S):
                    self.heard(message)
            except LostDriver:
                self.lost()

    def end(self) -> None:
        """No actor is left when this returns."""
        if self.crew is not None:
            for worker in self.crew.workers.values():
                self.task.control.vacate(worker.slot)
            self.crew.end()

    def ready(self) -> _Crew:
        """The conversation with the driver, begun when first needed."""
        if self.crew is None:
            try:
                self.crew = _Crew(self.owner.settings, self.task)
            except errors.UsageError as error:
                if not self.losses:
                    raise
                raise errors.WorkerDied(f"Ray ended in stage {self.task.stage}, and {error}") from error
            self.owner.hold(self.crew.bridge)
        return self.crew

    def busy(self) -> list[_Worker]:
        return [w for w in self.crew.workers.values() if w.segment is not None] if self.crew else []

    def hand_out(self) -> None:
        crew = self.ready()
        while len(crew.workers) < min(self.limit, len(self.pending) + len(self.busy())):
            self.spawn(crew)
        idle = [w for w in crew.workers.values() if w.pid and w.segment is None and not w.worn]
        for worker in idle[: len(self.pending)]:
            worker.segment = heapq.heappop(self.pending)
            where = {"folder": str(self.folder), "stage": self.task.stage, "slot": worker.slot}
            crew.channel.tell({"run": worker.number, "segment": worker.segment, **where})
        self.mind_loneliness(crew)

    def spawn(self, crew: _Crew) -> None:
        crew.spawned += 1
        worker = _Worker(crew.spawned, heapq.heappop(crew.free_slots))
        crew.workers[worker.number] = worker
        what = {"threads": self.task.threads, "slot": worker.slot, "control": str(self.folder / CONTROL)}
        crew.channel.tell({"spawn": worker.number, "job": self.job, **what})

    def mind_loneliness(self, crew: _Crew) -> None:
        """Say what is waited for when no actor comes up: a cluster may be full, or never have had what is asked for."""
        if any(worker.pid for worker in crew.workers.values()):
            self.lonely_since = 0.0
        elif not self.lonely_since:
            self.lonely_since = time.monotonic()
        elif 0 < self.lonely_since < time.monotonic() - _PATIENCE_S:
            asked = {"CPU": self.task.threads, **dict(self.owner.settings.resources)}
            logger.warning("still waiting for Ray to give the first of %d workers, each with %s", self.limit, asked)
            self.lonely_since = float("inf")  # once is enough

    # -- what the driver says

    def heard(self, message: Message) -> None:
        if "exited" in message:
            self.exited(message)
            return
        number = message.get("ready") or message.get("refused") or message.get("answer")
        worker = self.ready().workers.get(int(number or 0))
        if worker is None:  # its end was told already
            return
        if "ready" in message:
            worker.pid, worker.log = message["pid"], message["log"]
            self.ready().processes.add(worker.pid)
            self.mind_processor(message)
        elif "refused" in message:
            raise error_from_json(message["error"], -1, self.folder / worker.log)
        else:
            self.answered(worker, message)

    def answered(self, worker: _Worker, message: Message) -> None:
        segment, worker.segment = worker.segment, None
        assert segment is not None, "an actor answers once per request"
        if message["worn"]:
            worker.worn = True
            self.ready().kill([worker])
        if "receipt" in message:
            self.stillborn = self.losses = 0
            self.done(Receipt.from_json(message["receipt"]))
        elif self.task.control.command:  # it stopped because it was told to
            heapq.heappush(self.pending, segment)
        else:
            raise error_from_json(message["error"], segment, self.folder / worker.log)

    def exited(self, message: Message) -> None:
        worker, cause = self.ready().forget(message["exited"]), message["cause"].rstrip(".")
        if worker is None:
            return
        self.task.control.vacate(worker.slot)
        if worker.segment is None:
            self.stillborn += not worker.pid
            if self.stillborn == MAX_DEATHS:
                raise errors.WorkerDied(f"{MAX_DEATHS} workers in a row ended before they began: {cause}")
            return
        heapq.heappush(self.pending, worker.segment)
        if self.task.control.command:
            return
        logger.warning("a worker ended on segment %d: %s", worker.segment, cause)
        if message["memory"] and self.limit > 1:
            self.halve()
            return
        self.deaths[worker.segment] += 1
        if self.deaths[worker.segment] == MAX_DEATHS:
            raise errors.WorkerDied(
                f"segment {worker.segment} of stage {self.task.stage}: {MAX_DEATHS} workers died on it, the last of "
                f"this: {cause}; where they were is at the end of {self.folder / worker.log}"
            )

    def halve(self) -> None:
        """Too little memory is nobody's fault as long as workers share it: stop all, go on with half as many."""
        self.limit //= 2
        logger.warning("out of memory: going on with %d workers", self.limit)
        self.take_back()
        self.end()
        self.crew = None

    def take_back(self) -> None:
        for worker in self.busy():
            heapq.heappush(self.pending, worker.segment or 0)
            worker.segment = None

    def lost(self) -> None:
        """Ray ended under our feet, and its actors with it: go on with another one. No segment is to blame."""
        crew = self.crew
        if crew is None:  # it was just being started
            return
        self.take_back()
        for worker in crew.workers.values():
            self.task.control.vacate(worker.slot)
        self.crew = None
        last = _last_line(crew.bridge.log)  # before the log goes, with its driver
        crew.channel.close()
        bridge.drop(crew.settings, crew.bridge)
        self.losses += 1
        if self.losses == MAX_DEATHS:
            raise errors.WorkerDied(f"Ray ended {MAX_DEATHS} times in a row in stage {self.task.stage} ({last})")
        logger.warning("Ray ended, or the process that talks to it (%s): starting again", last)

    def mind_processor(self, message: Message) -> None:
        if message["cpu"] != cpu_features():
            logger.warning("a node has another kind of processor: results may differ in their last digits")


def versions_of(folder: Path) -> dict[str, str]:
    """The distributions that a job was planned with; every node must have the same."""
    return dict(WorkFolder(folder).record["versions"])


def _last_line(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 2000))
            lines = file.read().decode("utf-8", "replace").split("\n")
    except OSError:
        lines = []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it ended without a word")
