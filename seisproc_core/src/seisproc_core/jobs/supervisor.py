"""The thread that looks after a job store for one process.

It notices what becomes of the process's jobs, whoever did it, and runs them when it is their turn (`attempt`); it leads
the store when nobody else does (`leader`), and hands over when the process ends.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence

from seisproc_core.errors import Cancelled, SeisprocError, StorageError
from seisproc_core.execution.executor import Executor
from seisproc_core.jobs import detached
from seisproc_core.jobs.attempt import Attempt, note_failure
from seisproc_core.jobs.control import CANCEL, PAUSE
from seisproc_core.jobs.events import EventBus, JobChanged, JobProgress, start_observers
from seisproc_core.jobs.handle import JobHandle
from seisproc_core.jobs.leader import Leader
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.prepare import prepare_stored
from seisproc_core.jobs.process import identity
from seisproc_core.jobs.resources import Resources
from seisproc_core.jobs.runner import probable_modules
from seisproc_core.jobs.scheduler import explain
from seisproc_core.jobs.states import FINAL, State
from seisproc_core.jobs.store import JobStore, Outline
from seisproc_core.plugins import Registry
from seisproc_core.processing.flow import Flow

LOOK_EVERY_S = 0.01  # at a store, while there is something to wait for, unless there is news
TELL_EVERY_S = 0.002  # progress, where somebody wants to hear of it
LEAD_EVERY_S = 0.1  # look whether somebody leads
OBSERVE_AFTER_S = 1.0  # a foreground job that is over sooner needs no alerts
EXPLAIN_EVERY_S = 1.0  # to those who wait, why, where another process leads
IDLE_S = 1.0  # a process that only leads stays so long without work
_UNDER_WAY = (State.RUNNING, State.PAUSING, State.CANCELLING)  # states that only an attempt leaves

logger = logging.getLogger(__name__)


class Supervisor:
    """Looks after the jobs of this process, and where nobody else does for the order of all.

    Parameters
    ----------
    capacity
        What all jobs of the store together may use, as long as this process leads.
    """

    def __init__(self, store: JobStore, registry: Registry, events: EventBus, capacity: Resources) -> None:
        self.flows: dict[str, Flow] = {}  # of jobs that are planned when they start
        self.closing = False
        self._store, self._registry, self._events, self._capacity = store, registry, events, capacity
        self._me = identity()
        self._handles: dict[str, JobHandle] = {}
        self._attempts: dict[str, JobHandle] = {}  # under way in this process
        self._given_up: set[str] = set()  # jobs of this process that failed without the store's knowledge
        self._executors: dict[str, Executor] = {}
        self._leader: Leader | None = None
        self._leads_since = 0.0
        self._explained: Callable[[str], str] | None = None
        self._explained_at = 0.0
        self._looked_for_leader = float("-inf")
        self._idle_since: float | None = None
        self._serving = False
        self._close_observers: Callable[[], None] | None = None
        self._told: dict[str, int] = {}  # progress published
        self._version = -1  # of the store, as far as it was noticed; -1: not at all
        self._published = -1  # likewise, as far as it was told
        self._changed = threading.Condition()
        self._news = False
        self._nudged = True  # there was news when it last waited
        self._looked = float("-inf")  # at the store
        self._thread: threading.Thread | None = None

    def find(self, job_id: str) -> JobHandle | None:
        return self._handles.get(job_id)

    @property
    def noticed(self) -> int:
        """The version of the store up to which changes were noticed."""
        return self._version

    def look_after(self, handles: Sequence[JobHandle], since: int) -> None:
        """Jobs of this process, or such that are to be followed.

        Parameters
        ----------
        since
            What `noticed` was before the jobs were stored, or looked at: what became of them meanwhile counts.
        """
        with self._changed:
            self._handles |= {handle.id: handle for handle in handles}
            self._version = min(self._version, since)
            if self._thread is None:
                self._thread = threading.Thread(target=self._tend, name="seisproc-engine", daemon=True)
                self._thread.start()
        self.nudge()

    def nudge(self) -> None:
        """Have changes of the store noticed at once."""
        with self._changed:
            self._news = True
            self._changed.notify()

    def obey_now(self, handle: JobHandle) -> None:
        """Have a change of one job's state noticed before this returns."""
        job = self._store.get(handle.id)
        if job.finished and not handle.running:
            self._finish(handle)
        self._obey(handle, job.state)
        self.nudge()

    def why_waiting(self, job_id: str) -> str:
        """What a queued job waits for; "" when it waits for nothing."""
        leader = self._leader
        if leader is not None:
            return leader.waiting(job_id)
        now = time.monotonic()
        if self._explained is None or now - self._explained_at > EXPLAIN_EVERY_S:
            self._explained, self._explained_at = explain(self._store.unfinished(), self._capacity), now
        return self._explained(job_id)

    def close(self, *, cancel: bool) -> None:
        """Wait for the end of this process's jobs (or cancel them), then stop."""
        self.closing = True
        for handle in list(self._handles.values()):
            if not handle.own:
                self._forget(handle)
            elif cancel:
                handle.cancel()
        self.nudge()
        if self._thread is not None:
            self._thread.join()
        for executor in self._executors.values():
            getattr(executor, "close", lambda: None)()
        if self._close_observers is not None:
            self._close_observers()

    def serve(self) -> None:
        """Lead the store from this thread as long as there are detached jobs to run; return if another does."""
        self._serving = True
        self._tend()

    # -- the loop

    def _tend(self) -> None:
        while not self._done():
            try:
                if self._nudged or time.monotonic() - self._looked >= LOOK_EVERY_S:
                    self._looked = time.monotonic()
                    if self._attend():
                        return
                self._tell()
            except StorageError as error:  # the store is busy, or its disk full: it may get better
                logger.warning("the job store: %s", error)
                time.sleep(0.5)
            except Exception:
                logger.exception("the engine met an error of its own")
                time.sleep(0.5)
            self._wait()
        if self._version >= 0:  # else nothing was ever looked at, and everything would be read
            with contextlib.suppress(SeisprocError):
                self._look()  # subscribers hear of the end of the last job, too
        self._stop_leading()

    def _attend(self) -> bool:
        """See to the store: lead it if nobody does, note what changed, do what is due. Whether there is no more to do
        here: another process leads, or all is done."""
        if self._lead() and self._may_leave():
            return True
        if self._serving and self._leader is None:
            return True
        if self._version < 0:  # nor did becoming the leader catch up
            self._catch_up()
        self._look()
        if self._leader is not None:
            self._leader.act()
            self._look()  # at what it just did
        return False

    def _done(self) -> bool:
        with self._changed:
            return self.closing and not self._handles

    def _wait(self) -> None:
        with self._changed:
            if not self._news and not self._done():
                self._changed.wait(self._patience())
            self._nudged, self._news = self._news, False

    def _patience(self) -> float | None:
        """How long to wait for a nudge: only a shared store changes without one."""
        if self._handles and self._events.heard:
            return TELL_EVERY_S
        if self._store.shared and (self._handles or self._leader is not None):
            return LOOK_EVERY_S
        return 0.2 if self._handles else None

    # -- leading

    def _lead(self) -> bool:
        """Lead the store if nobody else does; whether this process leads."""
        now = time.monotonic()
        if self._leader is None and now - self._looked_for_leader > LEAD_EVERY_S:
            self._looked_for_leader = now
            if not self._store.leader() and self._store.lead(self._me):
                leader = Leader(self._store, self._me, self._capacity, self._give_up)
                leader.note(self._catch_up())
                self._leader, self._leads_since = leader, now
        return self._leader is not None

    def _may_leave(self) -> bool:
        """Whether a process that only leads has had nothing to do for a while, and has given it up."""
        if not self._serving or self._leader is None:
            return False
        now = time.monotonic()
        self._idle_since = (self._idle_since or now) if self._leader.idle else None
        if self._idle_since is None or now - self._idle_since < IDLE_S or not self._store.leave(self._me):
            return False
        self._leader = None
        return True

    def _stop_leading(self) -> None:
        """Hand over what detached jobs there are to a process of its own."""
        if self._leader is None:
            return
        self._leader = None
        with contextlib.suppress(SeisprocError):
            if not self._store.leave(self._me):
                self._store.leave(self._me, force=True)
                detached.ensure_leader(self._store)

    def _give_up(self, job_id: str, error: StorageError) -> None:
        """The store cannot note that a job starts: one of this process fails, any other waits for better times."""
        logger.warning("job %s cannot be started: %s", job_id, error)
        handle = self._handles.get(job_id)
        if handle is not None and handle.own:
            self._fail(handle, error)

    # -- noticing

    def _catch_up(self) -> list[Outline]:
        """See how everything stands, instead of what changed."""
        unfinished = self._store.unfinished()
        self._version = max([self._version, 0, *(outline.version for outline in unfinished)])
        if self._leader is not None:
            self._leader.note(unfinished)
        for outline in sorted(unfinished, key=lambda outline: outline.version):
            self._pass_on(outline, self._notice(outline))
        waiting = self._handles.keys() - {outline.id for outline in unfinished}
        for handle in [self._handles[job_id] for job_id in waiting]:
            if self._store.get(handle.id).finished and not handle.running:
                self._finish(handle)
        return unfinished

    def _look(self) -> None:
        """Take note of what changed in the store."""
        outlines = self._store.changes(self._version)
        if not outlines:
            return
        self._version = outlines[-1].version  # first: whoever joins from here on has it read again
        if self._leader is not None:
            self._leader.note(outlines)
        for outline in outlines:
            known = self._notice(outline)
            self._pass_on(outline, known or self._leader is not None)

    def _pass_on(self, outline: Outline, concerned: bool) -> None:
        """Publish a change, once, if it concerns this process."""
        if self._events.heard and outline.version > self._published and (concerned or outline.driver == self._me):
            self._events.publish(JobChanged(self._store.get(outline.id), time.time()))
        self._published = max(self._published, outline.version)

    def _notice(self, outline: Outline) -> bool:
        """A job changed; whether it is one of those looked after."""
        handle = self._handles.get(outline.id)
        if outline.state in FINAL:
            self._given_up.discard(outline.id)
            if handle is not None and not handle.running:
                self._finish(handle)
        elif outline.id in self._given_up:
            if outline.state is State.RUNNING:
                self._store.move(outline.id, State.FAILED, "its process had given it up", error="given up")
        elif handle is not None:
            self._obey(handle, outline.state)
            if outline.state in _UNDER_WAY and outline.attached and outline.driver == self._me:
                self.start(handle)
        return handle is not None

    def _obey(self, handle: JobHandle, state: State) -> None:
        """Pass a command on to the workers; the one who gave it may have come too early for the control file."""
        if handle.prepared is not None and state in (State.CANCELLING, State.PAUSING):
            handle.prepared.run.control.raise_command(CANCEL if state is State.CANCELLING else PAUSE)

    def _tell(self) -> None:
        """Publish the progress of this process's jobs; where it leads, have the installed observers told of all."""
        if self._leader is not None and self._close_observers is None and self._store.shared:
            led_for = time.monotonic() - self._leads_since
            if self._serving or led_for > OBSERVE_AFTER_S:
                self._close_observers = start_observers(self._events, self._store, self._registry)
        if not self._events.heard:
            return
        for handle in list(self._attempts.values()):
            if handle.prepared is not None:
                run = handle.prepared.run
                done = min(run.committed + run.control.in_flight(), run.total - 1)
                if done > self._told.get(handle.id, -1):
                    self._told[handle.id] = done
                    self._events.publish(JobProgress(handle.id, done, run.total, handle.rate(done), time.time()))

    # -- the end of a job

    def _finish(self, handle: JobHandle) -> None:
        """A job ended that does not run here, or not any more."""
        with self._changed:
            if handle.prepared is not None:
                handle.prepared.release()
        if not handle.ended:
            handle.end_as(self._store.get(handle.id))
        self._forget(handle)

    def _fail(self, handle: JobHandle, problem: BaseException) -> None:
        """A job of this process ends with an error, unless it can go on later."""
        error = note_failure(handle.id, handle.prepared.run if handle.prepared else None, self._store, problem)
        if error is not None:
            if handle.prepared is not None:
                with contextlib.suppress(Exception):
                    handle.prepared.release()
            if not self._knows_the_end(handle.id):
                self._given_up.add(handle.id)
            handle.end(error=error)
            self._forget(handle)

    def _knows_the_end(self, job_id: str) -> bool:
        with contextlib.suppress(SeisprocError):
            return self._store.get(job_id).finished
        return False

    def _forget(self, handle: JobHandle) -> None:
        with self._changed:
            self._handles.pop(handle.id, None)
            self.flows.pop(handle.id, None)
            self._told.pop(handle.id, None)
        self.nudge()

    # -- running a job of this process

    def start(self, handle: JobHandle) -> None:
        """Run a job whose turn it is in a thread of its own, unless it does already."""
        with self._changed:
            if handle.running or handle.ended:
                return
            handle.running = True
            self._attempts[handle.id] = handle
        threading.Thread(target=self._attempt, args=(handle,), name=f"seisproc-job-{handle.id}", daemon=True).start()

    def _attempt(self, handle: JobHandle) -> None:
        """In a thread of its own: prepare the job if need be, run it, see what became of it."""
        try:
            job = handle.job  # news may be old: by now it may have been told to stop, or stand in the queue again
            if job.state in (State.PAUSING, State.CANCELLING):
                raise Cancelled
            if job.state is State.RUNNING:
                self._make_ready(handle, job)
                if not handle.ended:
                    Attempt(handle, self._store, self._executor_of(job.executor)).run()
        except BaseException as problem:
            self._fail(handle, problem)
        with self._changed:
            handle.running = False
            self._attempts.pop(handle.id, None)
        self._after_attempt(handle)

    def warm(self, job: Job, flow: Flow) -> None:
        """Let the executor get ready for a job of this process while it is planned; a guess, and never an error."""
        with contextlib.suppress(Exception):
            executor = self._executor_of(job.executor)
            if hasattr(executor, "warm"):
                executor.warm(job.threads, probable_modules(flow, self._registry))

    def _make_ready(self, handle: JobHandle, job: Job) -> None:
        if handle.prepared is None:
            self.warm(job, self.flows.get(handle.id) or Flow.from_json(job.config))
            handle.prepared = prepare_stored(job, self.flows.get(handle.id), self._store, self._registry)
            handle.notes = handle.prepared.notes
            if handle.prepared.result is not None:
                handle.end(result=handle.prepared.result)
        assert handle.prepared is not None
        handle.prepared.run.control.go_on()
        self._obey(handle, handle.job.state)
        handle.begin()

    def _executor_of(self, kind: str) -> Executor:
        """The one executor of its kind, kept from job to job: what it has started is warm."""
        with self._changed:
            if kind not in self._executors:
                self._executors[kind] = self._registry.load("executors", kind)()
            return self._executors[kind]

    def _after_attempt(self, handle: JobHandle) -> None:
        """Forget a job that ended; keep one that is paused, unless it can go on in another process."""
        if not handle.ended:
            job = handle.job
            if job.attached and not job.finished:
                if job.state in _UNDER_WAY:  # resumed in this very moment
                    self.start(handle)
                return
            if handle.prepared is not None:
                handle.prepared.release()
            handle.end_as(job)
        self._forget(handle)
