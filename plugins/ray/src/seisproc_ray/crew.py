"""The workers of one job, on the driver's side: what the engine asks of them, and what becomes of them.

Messages in: ``{"spawn": number, "threads": n, "job": {...}}`` (`actor.SegmentActor.begin`), ``{"run": number, ...}``
with folder, stage, segment and slot, ``{"kill": [numbers]}``. Messages out: ``{"ready": number, ...}`` or
``{"refused": number, "error": ...}``, ``{"answer": number, "receipt": ...}`` or with ``"error"``, ``{"exited": number,
"cause": ..., "memory": whether it took too much}`` once per worker that was spawned.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import attrs

from seisproc_core.errors import SeisprocError, UsageError
from seisproc_core.execution.channel import Channel, Message
from seisproc_core.execution.remote import error_to_json, thread_environment
from seisproc_core.jobs.control import Control
from seisproc_ray.actor import SegmentActor
from seisproc_ray.settings import Settings

_TICK_S = 0.02  # how often the command byte is looked at for workers that cannot see it
_COUNT_EVERY = 12  # ticks between two looks at their counters
_OUT_OF_MEMORY = re.compile(r"low on memory|out of memory|memory pressure|OutOfMemory", re.IGNORECASE)
_END_S = 2.0  # how long the deaths of a job's workers are waited for


@attrs.define(eq=False)
class Member:
    """An actor. `exited` is set when Ray says that it is gone."""

    actor: Any
    kill: Callable[[Any], None]
    exited: threading.Event = attrs.field(factory=threading.Event)
    cause: str = ""
    memory: bool = False
    on_exit: Callable[[], None] | None = None
    mirrored: bool = False
    slot: int = 0
    segment: int | None = None

    def call(self, method: str, then: Callable[[Any], None], *arguments: str | int | bool, group: str = "") -> None:
        """Call a method; `then` gets the answer, in a thread of Ray's. A call that an actor's end cut short has none:
        `exited` tells."""
        bound = getattr(self.actor, method)
        ref = (bound.options(concurrency_group=group) if group else bound).remote(*arguments)

        def arrived(future: Future[Any]) -> None:
            if future.exception() is None:
                then(future.result())

        ref.future().add_done_callback(arrived)

    def watch(self) -> None:
        """Learn of the actor's end, and end it when it takes more memory than it may."""
        self.actor.watch.options(concurrency_group="watch").remote().future().add_done_callback(self._watched)

    def _end(self) -> None:
        self.kill(self.actor)
        self.watch()

    def _watched(self, future: Future[Any]) -> None:
        if future.exception() is None:
            self.memory = True
            self.cause = f"it held {future.result() / 1e6:,.0f} MB, more than the job allows a worker"
            threading.Thread(target=self._end, daemon=True).start()  # killing from a thread of Ray's would block it
            return
        self.cause = self.cause or cause_of_death(str(future.exception()))
        self.memory = self.memory or bool(_OUT_OF_MEMORY.search(self.cause))
        self.exited.set()
        if self.on_exit is not None:
            self.on_exit()


class Spares:
    """Makes actors. A local Ray keeps as many ready, without a job yet, as the last job had: starting one takes longer
    than many a job."""

    def __init__(self, settings: Settings) -> None:
        self.ray: Any = None
        self._settings = settings
        self._ready: dict[int, deque[Member]] = {}
        self._lock = threading.Lock()

    def take(self, threads: int) -> Member:
        """A fresh actor for a job of so many threads per worker."""
        with self._lock:
            ready = self._ready.get(threads, deque())
            while ready:
                member = ready.popleft()
                if not member.exited.is_set():
                    return member
        return self._make(threads)

    def refill(self, threads: int, count: int) -> None:
        if not self._settings.local or not self._settings.keep_s:
            return
        with self._lock:
            for others in [key for key in self._ready if key != threads]:
                for member in self._ready.pop(others):
                    self.kill(member.actor)
            ready = self._ready.setdefault(threads, deque())
            ready.extend(self._make(threads) for _ in range(count - len(ready)))

    def _make(self, threads: int) -> Member:
        resources = dict(self._settings.resources)
        gpus = resources.pop("GPU", 0)
        make = self.ray.remote(
            num_cpus=threads,
            num_gpus=gpus,
            resources=resources,
            max_restarts=0,
            max_task_retries=0,
            concurrency_groups={"watch": 1, "mirror": 1},
        )(SegmentActor)
        member = Member(actor=make.remote(), kill=self.kill)
        member.watch()
        member.call("warm", lambda _: None, json.dumps(thread_environment(threads)))
        return member

    def check_room(self) -> None:
        """Raise `UsageError` where a local Ray will never have what each worker is to be given."""
        if not (self._settings.local and self._settings.resources):
            return
        there = self.ray.cluster_resources()
        for name, amount in self._settings.resources:
            if there.get(name, 0) < amount:
                raise UsageError(
                    f"SEISPROC_RAY_RESOURCES asks for {name} {amount:g}, this machine has {there.get(name, 0):g}; join "
                    "a cluster that has it, or ask for less"
                )

    def kill(self, actor: Any) -> None:
        with contextlib.suppress(Exception):  # it may be dead already
            self.ray.kill(actor, no_restart=True)


class Crew(threading.Thread):
    """One job's workers, and the thread that listens to its engine.

    Parameters
    ----------
    keep_open
        Descriptors to hold until the last worker is gone.
    """

    def __init__(self, channel: Channel, keep_open: list[int], settings: Settings, spares: Spares) -> None:
        super().__init__(daemon=True)
        self.channel = channel
        self.keep_open = keep_open
        self.settings = settings
        self.spares = spares
        self.members: dict[int, Member] = {}
        self.threads = 1
        self.most = 0  # workers at once
        self.control: Control | None = None

    def run(self) -> None:
        try:
            with contextlib.suppress(EOFError):
                self.listen()
        finally:
            self.disband()
            for fd in self.keep_open:
                os.close(fd)
            self.channel.close()
        with contextlib.suppress(Exception):  # Ray may be gone by now
            self.spares.refill(self.threads, self.most)

    def listen(self) -> None:
        """Obey until the engine hangs up; meanwhile pass on the command byte to workers that cannot see it."""
        passed_on, ticks = 0, 0
        while True:
            mirrored = [member for member in self.members.copy().values() if member.mirrored]
            if self.channel.waits(_TICK_S if mirrored else None):
                for message in self.channel.receive():
                    self.obey(message)
            ticks += 1
            command = self.control.command if self.control else 0
            if command != passed_on or ticks % _COUNT_EVERY == 0:
                passed_on = command
                for member in mirrored:
                    self.mirror(member, command)

    def obey(self, message: Message) -> None:
        if "run" in message:
            self.run_segment(message["run"], message)
        elif "spawn" in message:
            try:
                self.spawn(message["spawn"], message)
            except SeisprocError as error:
                self.tell(refused=message["spawn"], error=error_to_json(error))
        elif "kill" in message:
            for number in message["kill"]:
                if number in self.members:
                    self.spares.kill(self.members[number].actor)

    def spawn(self, number: int, message: Message) -> None:
        self.spares.check_room()
        self.threads = message["threads"]
        self.control = self.control or Control(message["control"])
        member = self.spares.take(self.threads)
        member.slot = message["slot"]
        self.members[number] = member
        self.most = max(self.most, len(self.members))

        def exited() -> None:
            if self.members.pop(number, None):  # it is told once
                self.tell(exited=number, cause=member.cause, memory=member.memory)

        member.on_exit = exited
        if member.exited.is_set():  # between taking it and now
            exited()

        def begun(answer: str) -> None:
            told = json.loads(answer)
            if "error" in told:
                self.tell(refused=number, error=told["error"])
            else:
                member.mirrored = told["ready"].pop("mirrored")
                if member.mirrored:
                    self.mirror(member, self.control.command if self.control else 0)
                self.tell(ready=number, **told["ready"])

        member.call("begin", begun, json.dumps(message["job"]))

    def run_segment(self, number: int, message: Message) -> None:
        member = self.members.get(number)
        if member is None:  # it has died: the engine will read of it
            return
        member.segment = message["segment"]

        def answered(answer: str) -> None:
            member.segment = None
            if member.mirrored and self.control:
                self.control.progress(member.slot)[0] = 0
            self.tell(answer=number, **json.loads(answer))

        member.call("run", answered, message["folder"], message["stage"], message["segment"], message["slot"])

    def mirror(self, member: Member, command: int) -> None:
        """Pass the command byte on to a worker that shares no memory with us, and take its counter."""
        segment = member.segment

        def counted(traces: int) -> None:
            if self.control and segment is not None and member.segment == segment:
                self.control.progress(member.slot)[0] = traces

        member.call("mirror", counted, command, member.slot, group="mirror")

    def disband(self) -> None:
        """Kill all workers; returns when they are gone, or after `_END_S`."""
        left = list(self.members.values())
        for member in left:
            self.spares.kill(member.actor)
        deadline = time.monotonic() + _END_S
        for member in left:
            member.exited.wait(max(0.0, deadline - time.monotonic()))

    def tell(self, **message: Any) -> None:
        self.channel.tell(message)


def cause_of_death(error: str) -> str:
    """The one sentence that matters in what Ray says about an actor's end."""
    text = " ".join(error.split())
    for pattern in (
        r"Worker exit detail: (.*?)(?: Some common causes|$)",
        r"(ModuleNotFoundError: .*?)(?: During handling|$)",
        r"The actor (?:is dead|died) because (.*?\.)",
        r"([^.]*(?:memory|OOM)[^.]*\.)",
    ):
        if found := re.search(pattern, text):
            return found[1].strip()[:300]
    return text[:300] or "an unknown cause"
