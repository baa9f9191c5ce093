"""The observer that an engine runs: hears of jobs, looks at the machine while some run, tells what rules find."""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from typing import Any

from seisproc_alerts import log, settings
from seisproc_alerts.channels import Channels
from seisproc_alerts.rules import Alert, Remembered, Situation, fire
from seisproc_alerts.settings import Settings
from seisproc_alerts.watch import Watch
from seisproc_alerts.workers import in_flight
from seisproc_core.errors import SeisprocError
from seisproc_core.jobs.events import JobChanged
from seisproc_core.jobs.process import pid_of
from seisproc_core.jobs.states import ACTIVE
from seisproc_core.jobs.store import JobStore, Query
from seisproc_core.plugins import Registry, registry

logger = logging.getLogger(__name__)

EVERY_S = 2.0
_SILENT_S = 10.0


class AlertObserver:
    """Watches the jobs that an engine tells of, and those that run already when it is made.

    It costs nothing until a job starts, and the libraries that look at the machine are not imported for jobs that
    take less than `EVERY_S`.

    Parameters
    ----------
    store
        The engine's.
    known
        Where rules and channels come from.
    every_s
        Time between looks at the machine.
    """

    def __init__(self, store: JobStore, *, known: Registry | None = None, every_s: float = EVERY_S) -> None:
        self._store = store
        self._known = known or registry()
        self._every_s = every_s
        self._watch = Watch(began_at=time.time())
        self._due = 0.0  # of the next look at the machine, on the monotonic clock
        self._closing = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        for job in store.find(Query(states=ACTIVE, limit=None)):
            self(JobChanged(job, time.time()))

    def __call__(self, event: Any) -> None:
        with self._changed:
            now, idle = time.monotonic(), not self._watch.active
            self._watch.note(event, now)
            if idle and self._watch.active:
                self._due = now + self._every_s
            if self._thread is None and (self._watch.active or self._watch.has_ended):
                self._thread = threading.Thread(target=self._work, name="seisproc-alerts", daemon=True)
                self._thread.start()
            if self._watch.has_ended or idle:
                self._changed.notify()

    def close(self) -> None:
        """Tell what is still to be told, then stop."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(10.0)

    def _work(self) -> None:
        look = _Look(self._store, self._known)
        while self._wait():
            try:
                look.evaluate(self._situation(look))
            except Exception:
                logger.exception("a look at the machine and its jobs failed")
        look.close()

    def _wait(self) -> bool:
        """Wait for the next time to look; False when there is none any more."""
        with self._changed:
            while not self._watch.has_ended:
                if self._closing:
                    return False
                left = self._due - time.monotonic() if self._watch.active else None
                if left is not None and left <= 0:
                    break
                self._changed.wait(left)
        return True

    def _situation(self, look: _Look) -> Situation:
        if self._watch.active and time.monotonic() >= self._due:
            self._due = time.monotonic() + self._every_s
            look.sample()
            self._follow_silent()
        with self._changed:
            return Situation(
                now=time.monotonic(),
                at=time.time(),
                sample=look.latest if self._watch.active else None,
                active=dict(self._watch.active),
                ended=self._watch.take_ended(),
                store=self._store,
            )

    def _follow_silent(self) -> None:
        """Events come with each segment that is done, and only of this process's jobs: look for smaller steps."""
        with self._changed:
            now = time.monotonic()
            silent = [watched.job.id for watched in self._watch.active.values() if now - watched.since > _SILENT_S]
        for job_id in silent:
            try:
                job = self._store.get(job_id)
            except SeisprocError:
                continue
            done = job.done + in_flight(job)
            with self._changed:
                if job.state in ACTIVE:
                    self._watch.advance(job_id, done, job.total, time.monotonic())
                else:  # it ended while this observer was being made
                    self._watch.note(JobChanged(job, time.time()), time.monotonic())


class _Look:
    """Rules with what they remember, and the channels; belongs to the observer's thread."""

    def __init__(self, store: JobStore, known: Registry) -> None:
        self.latest: Any = None
        self._sampler: Any = None
        self._settings = _settings(known)
        self._channels = Channels(known, self._settings.channels)
        self._remembered: dict[str, Remembered] = {}
        self._broken: set[str] = set()
        self._who = secrets.token_hex(4)

    def sample(self) -> None:
        """Look at the machine; where that fails it is logged once, and rules do without."""
        try:
            if self._sampler is None:
                from seisproc_alerts.sampling import Sampler  # psutil: not for jobs that are over at once

                self._sampler = Sampler()
            self.latest = self._sampler.sample()
        except Exception:
            self.latest = None
            self._complain("looking at the machine")

    def _complain(self, what: str) -> None:
        if what not in self._broken:
            self._broken.add(what)
            logger.exception("%s failed", what)

    def evaluate(self, situation: Situation) -> None:
        """Ask every rule; one that raises is logged once, and asked again next time."""
        for name, rule in self._settings.rules.items():
            if not rule.enabled:
                continue
            try:
                self._remembered[name], alerts = fire(name, rule, self._remembered.get(name, {}), situation)
            except Exception:
                self._complain(f"alert rule '{name}'")
                continue
            for alert in alerts:
                if log.claim(alert, rule.cooldown_s, self._who):
                    self._channels.send(alert, but=_told_anyhow(alert, situation))

    def close(self) -> None:
        self._channels.close()


def _told_anyhow(alert: Alert, situation: Situation) -> str:
    """``terminal`` for the failure of a job of this very command, which ends with that error; "" otherwise."""
    mine = (job for job in situation.ended if job.id == alert.key and job.attached)
    return "terminal" if alert.rule == "job-failed" and any(pid_of(job.driver) == os.getpid() for job in mine) else ""


def _settings(known: Registry) -> Settings:
    """The user's settings; the defaults, said so, where these cannot be used."""
    try:
        found = settings.load(known)
    except SeisprocError as error:
        logger.warning("alerts go by the defaults: %s", error)
        found = settings.defaults(known)
    for problem in found.problems:
        logger.warning("%s", problem)
    return found
