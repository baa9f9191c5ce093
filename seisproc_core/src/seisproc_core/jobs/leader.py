"""The leader of a job store: asks the scheduler what should happen, and makes it happen.

A thin shell around pure decisions. It runs no job itself: an attached job is run by the process that it belongs to,
which sees in the store that its turn has come; for a detached one a process of its own is started.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable

from seisproc_core.errors import IllegalTransition, SeisprocError, StorageError, UsageError
from seisproc_core.jobs import client, detached
from seisproc_core.jobs.process import identity, lives, pid_of
from seisproc_core.jobs.recovery import is_interrupted, recover
from seisproc_core.jobs.resources import Resources
from seisproc_core.jobs.scheduler import Action, Cancel, Fail, Scheduler, Start
from seisproc_core.jobs.states import FINAL, State
from seisproc_core.jobs.store import JobStore, Outline, outline

LOOK_EVERY_S = 0.3  # for processes that died
REST_S = 1.0  # after the store refused a write
DEAF_AFTER_S = 8.0  # a cancelled job's process that has not ended by then is killed

logger = logging.getLogger(__name__)


class Leader:
    """Leads a store from the moment it is made; whoever makes it has the store's consent.

    Parameters
    ----------
    me
        Identity of this process.
    give_up
        Told of a job that cannot be started because the store cannot be written.
    """

    def __init__(
        self,
        store: JobStore,
        me: str,
        capacity: Resources,
        give_up: Callable[[str, StorageError], None],
    ) -> None:
        self._scheduler = Scheduler(capacity)
        self._deciding = threading.Lock()  # the scheduler is asked by others why a job waits
        self._store, self._me, self._give_up = store, me, give_up
        self._rests_until = float("-inf")
        self._known: dict[str, Outline] = {}  # not finished
        self._children: list[subprocess.Popen[bytes]] = []
        self._cancelled_at: dict[str, float] = {}
        self._looked = float("-inf")

    def note(self, outlines: list[Outline]) -> None:
        """News from the store."""
        now = time.monotonic()
        with self._deciding:
            for job in outlines:
                self._scheduler.update(job, now)
        for job in outlines:
            if job.state in FINAL:
                self._known.pop(job.id, None)
                self._cancelled_at.pop(job.id, None)
            else:
                self._known[job.id] = job
                if job.state is State.CANCELLING:
                    self._cancelled_at.setdefault(job.id, now)

    def act(self) -> None:
        """Do what is due: deal with the dead, start what may start."""
        now = time.monotonic()
        if now - self._looked > LOOK_EVERY_S:
            self._looked = now
            self._children = [child for child in self._children if child.poll() is None]
            self._look_for_the_dead()
            self._end_the_deaf(now)
        decided = self._decided(now)
        begun = self._grant_attached([action.id for action in decided if isinstance(action, Start)], now)
        for action in decided:
            try:
                if isinstance(action, Start):
                    if action.id not in begun:
                        self._grant(action.id)
                elif isinstance(action, Fail):
                    self._store.move(action.id, State.FAILED, action.reason, error=action.reason)
                elif isinstance(action, Cancel):
                    client.cancel(self._store, action.id, action.reason)
            except (IllegalTransition, UsageError):  # its user was faster: the news will tell
                self._refused(action.id, now)
            except StorageError as error:  # busy, or its disk full: it may get better
                self._refused(action.id, now)
                self._rests_until = now + REST_S
                self._give_up(action.id, error)

    def waiting(self, job_id: str) -> str:
        """What a queued job waits for, for people."""
        with self._deciding:
            return self._scheduler.waiting(job_id)

    def _decided(self, now: float) -> list[Action]:
        if now < self._rests_until:
            return []
        with self._deciding:
            for parent in self._scheduler.unknown():  # it ended before this process led
                with contextlib.suppress(UsageError):  # and was purged: that is no obstacle
                    self._scheduler.update(outline(self._store.get(parent), number=0, version=0), now)
            return self._scheduler.decide(now)

    def _refused(self, job_id: str, now: float) -> None:
        with self._deciding:
            self._scheduler.refused(job_id, now)

    @property
    def idle(self) -> bool:
        """Whether no detached job is left that could run."""
        return not any(not job.attached and job.state is not State.PAUSED for job in self._known.values())

    def _grant_attached(self, job_ids: list[str], now: float) -> set[str]:
        """Let jobs of living processes run, many at the cost of one; those that do."""
        mine = [
            job.id for job_id in job_ids
            if (job := self._known.get(job_id)) is not None
            and job.attached and (job.driver == self._me or lives(job.driver))
        ]  # fmt: skip
        if len(mine) < 2:
            return set()
        try:
            return {job.id for job in self._store.move_all(mine, State.RUNNING)}
        except StorageError:  # each by itself, then, and told why not
            return set()

    def _grant(self, job_id: str) -> None:
        job = self._known.get(job_id)
        if job is None:
            raise UsageError(f"job {job_id} is no longer there")
        if job.attached:
            if job.driver == self._me or lives(job.driver):
                self._store.move(job_id, State.RUNNING)
            else:
                recover(self._store, self._store.get(job_id))
            return
        self._store.move(job_id, State.RUNNING, driver=self._me)
        try:
            child = detached.start("run", self._store.address, job_id, job_id=job_id)
        except OSError as error:
            message = f"cannot start a process for it: {error.strerror}"
            self._store.move(job_id, State.FAILED, message, error=message)
            return
        self._children.append(child)
        with contextlib.suppress(SeisprocError):  # it was cancelled, and ended, in this very moment
            self._store.edit(job_id, driver=identity(child.pid))

    def _look_for_the_dead(self) -> None:
        dead: dict[str, bool] = {}
        for job in list(self._known.values()):
            if job.driver == self._me:
                continue
            if job.driver not in dead:
                dead[job.driver] = not lives(job.driver)
            if dead[job.driver] and is_interrupted(job.state, job.driver, attached=job.attached):
                now = recover(self._store, self._store.get(job.id))
                logger.info("job %s: its process is gone; it is %s now", now.id, now.state)

    def _end_the_deaf(self, now: float) -> None:
        """Kill the process of a detached job that does not end though it was cancelled: it hangs in a plugin."""
        for job_id, since in self._cancelled_at.items():
            job = self._known[job_id]
            if now - since > DEAF_AFTER_S and not job.attached and job.driver != self._me:
                logger.info("job %s does not end: killing its process", job_id)
                kill(job.driver)


def kill(who: str) -> None:
    """SIGKILL to the process with this identity, and never to another that got its number meanwhile."""
    with contextlib.suppress(OSError):
        if not hasattr(os, "pidfd_open"):  # only Linux can hold on to a process
            if lives(who):
                os.kill(pid_of(who), signal.SIGKILL)
            return
        handle = os.pidfd_open(pid_of(who))
        try:
            if lives(who):  # checked with the descriptor in hand: the number cannot be given away any more
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)
