"""What ``seisproc top`` shows: the machine, the jobs that run, their workers."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

import attrs

from seisproc_alerts.sampling import Sample, Sampler, WorkerSample
from seisproc_alerts.workers import in_flight, worker_states
from seisproc_core.errors import SeisprocError
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.process import lives
from seisproc_core.jobs.states import ACTIVE
from seisproc_core.jobs.store import JobStore, Query

RATE_OVER_S = 10.0
MOST_JOBS = 50


@attrs.frozen(kw_only=True)
class JobView:
    """A job that runs: input traces done and planned, traces/s of late, seconds left (None: unknown), its workers.
    `interrupted`: its process is gone."""

    job: Job
    interrupted: bool
    done: int
    rate: float | None
    workers: tuple[WorkerSample, ...]

    @property
    def state(self) -> str:
        return "interrupted" if self.interrupted else str(self.job.state)

    @property
    def eta_s(self) -> float | None:
        return (self.job.total - self.done) / self.rate if self.rate else None

    def to_json(self) -> dict[str, Any]:
        facts = {name: getattr(self.job, name) for name in ("id", "name", "type", "output", "total")}
        own = {"state": self.state, "done": self.done, "rate": self.rate, "eta_s": self.eta_s}
        return {**facts, **own, "workers": [worker.to_json() for worker in self.workers]}


@attrs.frozen(kw_only=True)
class View:
    """All of it at a moment (`taken`, on the monotonic clock). `problem`: why the jobs are not known."""

    taken: float
    sample: Sample
    jobs: tuple[JobView, ...]
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        machine = {**self.sample.to_json(), "gpus": [attrs.asdict(gpu) for gpu in self.sample.gpus]}
        return {"machine": machine, "jobs": [job.to_json() for job in self.jobs], "problem": self.problem}


class Collector:
    """Looks at the machine, the job store and control files; without a store at the machine alone."""

    def __init__(self, store: JobStore | None, problem: str = "") -> None:
        self._store = store
        self._problem = problem
        self._sampler = Sampler()
        self._progress: dict[str, deque[tuple[float, int]]] = {}

    def look(self) -> View:
        """Everything now. Rates need an earlier look."""
        sample = self._sampler.sample()
        jobs: tuple[JobView, ...] = ()
        problem = self._problem
        try:
            jobs = tuple(self._view(job) for job in self._running())
        except SeisprocError as error:
            problem = str(error)
        self._sampler.forget_workers(worker.state.pid for job in jobs for worker in job.workers)
        return View(taken=time.monotonic(), sample=sample, jobs=jobs, problem=problem)

    def _running(self) -> list[Job]:
        found = [] if self._store is None else self._store.find(Query(states=ACTIVE, limit=MOST_JOBS))
        self._progress = {job.id: self._progress.get(job.id, deque()) for job in found}
        return found

    def _view(self, job: Job) -> JobView:
        interrupted = not lives(job.driver)
        states = [] if interrupted else worker_states(job)
        done = min(job.total, job.done + (0 if interrupted else in_flight(job)))
        rate = None if interrupted else self._rate(job.id, done)
        workers = tuple(self._sampler.workers(states))
        return JobView(job=job, interrupted=interrupted, done=done, rate=rate, workers=workers)

    def _rate(self, job_id: str, done: int) -> float | None:
        seen, now = self._progress[job_id], time.monotonic()
        seen.append((now, done))
        while now - seen[0][0] > RATE_OVER_S and len(seen) > 2:
            seen.popleft()
        passed = now - seen[0][0]
        return max(0, done - seen[0][1]) / passed if passed > 0 else None


class Background:
    """Looks again and again in a thread of its own: a file system that does not answer holds up nobody else."""

    def __init__(self, collector: Collector, every_s: float) -> None:
        self._collector = collector
        self._every_s = every_s
        self._changed = threading.Condition()
        self._views = 0
        self._latest: View | None = None
        self._error: Exception | None = None
        self._closing = threading.Event()
        threading.Thread(target=self._work, name="seisproc-top", daemon=True).start()

    def latest(self, looks: int = 1, timeout_s: float = 0.0) -> View | None:
        """The latest view, once there were so many looks; None when there were fewer in the time given."""
        with self._changed:
            self._changed.wait_for(lambda: self._views >= looks or self._error is not None, timeout_s)
            if self._error is not None:
                raise self._error
            return self._latest if self._views >= looks else None

    def close(self) -> None:
        """Look no more; does not wait for a look that goes on."""
        self._closing.set()

    def _work(self) -> None:
        while not self._closing.is_set():
            view, error = None, None
            try:
                view = self._collector.look()
            except Exception as problem:  # for the thread that shows it
                error = problem
            with self._changed:
                self._latest, self._error = view, error
                self._views += 1
                self._changed.notify_all()
            if error is not None:
                return
            self._closing.wait(self._every_s)
