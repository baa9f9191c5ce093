"""What should happen next: which job starts, and which never can. News in, actions out; no thread, clock or store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import attrs

from seisproc_core.errors import UsageError
from seisproc_core.jobs.dependencies import Dependencies, Lost
from seisproc_core.jobs.queue import Entry, JobQueue, Policy, QueueStatistics, by_priority, fifo
from seisproc_core.jobs.resources import Ledger, Resources
from seisproc_core.jobs.states import ACTIVE, FINAL, State
from seisproc_core.jobs.store import Outline

__all__ = ["Action", "Cancel", "Fail", "Policy", "Scheduler", "Start", "Statistics", "by_priority", "explain", "fifo"]


@attrs.frozen
class Start:
    """Let a queued job run."""

    id: str


@attrs.frozen
class Fail:
    """A job can never run."""

    id: str
    reason: str


@attrs.frozen
class Cancel:
    """A job waits for one that was cancelled."""

    id: str
    reason: str


Action = Start | Fail | Cancel


@attrs.frozen
class Statistics:
    """Unfinished jobs by state, those that could start, and what they could use."""

    states: Mapping[State, int]
    queue: QueueStatistics
    free: Resources
    capacity: Resources


class Scheduler:
    """Decides, from what a store tells of its jobs, which of them start.

    A queued job is *ready* when all jobs it comes after are completed. Ready jobs stand in a line: those that have been
    ready for `patience_s` come first, in the order in which they became ready, whatever their priority; the others as
    the policy says, equals in the order of submission. Then:

    1. The first of the line that fits into what is free starts, again and again until none fits. So no job is overtaken
       by a later one that needs as much or more.
    2. When a job starts while the very first of the line does not fit, that one is overtaken. `patience_s` after it
       happened for the first time, what it waits for is reserved: only jobs start that take nothing of the kinds
       (CPUs, memory, GPUs) it lacks, and leave it what it needs of the others. They cannot delay it.

    Nobody starves: with R the longest time that a job runs, a ready job with k others before it in the line when it has
    waited for `patience_s` starts at the latest ``patience_s + (k + 1) (patience_s + 2 R)`` after it became ready. Each
    of those that is first lets others pass for `patience_s`, at the most R after it became first (when all that ran
    then has ended), and is started R after that at the latest.

    Memory, CPUs and GPUs are held from the decision to start a job until news say that it does not run any more.

    Not safe from several threads. Actions are to be carried out, or `refused`, before news that are read from the store
    after `decide` are passed on.

    Parameters
    ----------
    capacity
        What all running jobs together may hold.
    policy
        Sorts those that have waited for less than `patience_s`.
    patience_s
        Seconds.
    """

    def __init__(self, capacity: Resources, *, policy: Policy = by_priority, patience_s: float = 600.0) -> None:
        self._ledger = Ledger(capacity)
        self._queue = JobQueue(policy, patience_s=patience_s)
        self._graph = Dependencies()
        self._patience = patience_s
        self._jobs: dict[str, Outline] = {}  # not finished
        self._ended: set[str] = set()
        self._starting: dict[str, Entry] = {}  # decided, and no news since
        self._verdicts: dict[str, Fail | Cancel] = {}
        self._overtaken: dict[str, float] = {}  # since when, of those that were first and did not fit
        self._now = 0.0

    @property
    def free(self) -> Resources:
        """What is not held; less than nothing when jobs run that another engine began with a larger capacity."""
        return self._ledger.free

    @property
    def held(self) -> Mapping[str, Resources]:
        """What each job holds that runs, or was decided to."""
        return self._ledger.held

    def unknown(self) -> list[str]:
        """Jobs that others come after and of which nothing was heard: they ended before this scheduler was made, or
        were purged. Look them up in the store before each `decide`, which takes those that are left for completed."""
        return self._graph.unknown()

    def update(self, outline: Outline, now: float) -> None:
        """News of a job: that there is one, that it moved or was changed. Older news than known already are ignored."""
        known = self._jobs.get(outline.id)
        if outline.id in self._ended or (known is not None and outline.version < known.version):
            return
        if outline.id in self._starting and known is not None and outline.version == known.version:
            return  # the state that the decision was made upon
        self._jobs[outline.id] = outline
        if outline.state in FINAL:
            self._end(outline, now)
            return
        if known is None:
            self._add(outline)
        if outline.state in ACTIVE:
            if known is None or known.state not in ACTIVE:
                self._withdraw(outline.id)
            self._ledger.admit(outline.id, outline.resources)
            return
        self._ledger.give(outline.id)
        if outline.state is State.QUEUED:
            self._starting.pop(outline.id, None)
            self._line_up(outline, now)
        else:
            self._withdraw(outline.id)
        self._judge(outline.id)

    def decide(self, now: float) -> list[Action]:
        """What should happen now. A job that is to fail or to be cancelled is named once, unless `refused`."""
        self._now = now
        for parent in self._graph.unknown():
            self._release(self._graph.completed(parent), now)
        actions: list[Action] = list(self._verdicts.values())
        self._verdicts.clear()
        while entry := self._choose(now):
            self._queue.take(entry.id, now)
            self._overtaken.pop(entry.id, None)
            self._ledger.take(entry.id, entry.resources)
            self._starting[entry.id] = entry
            actions.append(Start(entry.id))
        return actions

    def refused(self, job: str, now: float) -> None:
        """An action was not carried out: the store refused it, because news are on the way, or failed itself. Without
        news the same is decided again."""
        entry = self._starting.pop(job, None)
        if entry is not None:
            self._ledger.give(job)
            self._line_up(self._jobs[job], entry.since)
        self._judge(job)

    def waiting(self, job: str) -> str:
        """Why a queued job has not started, for people; "" when it is not queued or about to start."""
        outline = self._jobs.get(job)
        if outline is None or outline.state is not State.QUEUED or job in self._starting:
            return ""
        lost = self._graph.lost(job)
        if lost is not None:
            return lost.reason
        parents = self._graph.waits_for(job)
        if parents:
            others = f", and {len(parents) - 1} more" if len(parents) > 1 else ""
            parent = self._jobs.get(parents[0])
            return f"after job {parents[0]}, which is {parent.state if parent else 'not known'}{others}"
        short = self._ledger.short(outline.resources)
        needs = f"needs {short}" if short else ""
        head = self._queue.first(self._now)
        if head is None or head.id == job:
            return needs
        behind = f"behind job {head.id} (priority {head.priority})"
        return f"{behind}; {needs}" if needs else behind

    def statistics(self, now: float) -> Statistics:
        """Counts and waiting times."""
        states = Counter(outline.state for outline in self._jobs.values())
        return Statistics(states, self._queue.statistics(now), self.free, self._ledger.capacity)

    # -- news

    def _add(self, outline: Outline) -> None:
        # One that runs already has all it waited for, whether the jobs it came after are still known or not.
        parents = () if outline.state in ACTIVE else outline.after
        after = [parent for parent in parents if parent not in self._ended or self._graph.lost(parent)]
        try:
            self._spread(self._graph.add(outline.id, after))
        except UsageError as cycle:
            self._graph.add(outline.id)
            self._condemn(outline.id, str(cycle))

    def _line_up(self, outline: Outline, now: float) -> None:
        """A queued job stands in line when it is ready, with its present priority and needs."""
        impossible = _impossible(outline.resources, self._ledger.capacity)
        if impossible:
            self._queue.remove(outline.id)
            self._condemn(outline.id, impossible)
        elif self._graph.is_ready(outline.id):
            self._queue.put(outline.id, outline.priority, now=now, number=outline.number, resources=outline.resources)

    def _withdraw(self, job: str) -> None:
        self._queue.remove(job)
        self._starting.pop(job, None)
        self._verdicts.pop(job, None)
        self._overtaken.pop(job, None)

    def _end(self, outline: Outline, now: float) -> None:
        del self._jobs[outline.id]
        self._ended.add(outline.id)
        self._withdraw(outline.id)
        self._ledger.give(outline.id)
        if outline.state is State.COMPLETED:
            self._release(self._graph.completed(outline.id), now)
        elif outline.state is State.FAILED:
            self._spread(self._graph.failed(outline.id))
        else:
            self._spread(self._graph.cancelled(outline.id))

    def _release(self, ready: Iterable[str], now: float) -> None:
        for job in ready:
            if self._jobs[job].state is State.QUEUED:
                self._line_up(self._jobs[job], now)

    def _condemn(self, job: str, reason: str) -> None:
        """Have a job fail, and all that wait for it."""
        lost = self._graph.failed(job, reason)
        self._judge(job)
        self._spread(lost)

    def _spread(self, lost: Iterable[Lost]) -> None:
        for each in lost:
            self._judge(each.id)

    def _judge(self, job: str) -> None:
        """Have a job that can never start fail or be cancelled; any other is left alone."""
        lost = self._graph.lost(job)
        outline = self._jobs.get(job)
        if lost is not None and outline is not None and outline.state not in ACTIVE:
            self._verdicts[job] = (Fail if lost.state is State.FAILED else Cancel)(job, lost.reason)

    # -- decisions

    def _choose(self, now: float) -> Entry | None:
        """The next job to start; see the rule above."""
        head = self._queue.first(now)
        if head is None or head.resources.within(self.free):
            return head
        overtaken = self._overtaken.get(head.id, now)
        if now - overtaken >= self._patience:
            return self._queue.first(now, within=_beside(self.free, head.resources))
        chosen = self._queue.first(now, within=self.free)
        if chosen is not None and not chosen.resources.within(_beside(self.free, head.resources)):
            self._overtaken[head.id] = overtaken
        return chosen


def explain(outlines: Iterable[Outline], capacity: Resources) -> Callable[[str], str]:
    """Why each queued job of a store waits, for processes that do not lead it: `Scheduler.waiting` from the unfinished
    jobs."""
    scheduler = Scheduler(capacity)
    for outline in outlines:
        scheduler.update(outline, 0.0)
    scheduler.decide(0.0)
    return scheduler.waiting


def _beside(free: Resources, reserved: Resources) -> Resources:
    """What may be taken without delay for a job that does not fit yet: of what it lacks, nothing."""
    return Resources(
        free.cpus - reserved.cpus if reserved.cpus <= free.cpus else min(0, free.cpus),
        free.memory - reserved.memory if reserved.memory <= free.memory else min(0, free.memory),
        free.gpus - reserved.gpus if reserved.gpus <= free.gpus else min(0, free.gpus),
    )


def _impossible(wanted: Resources, capacity: Resources) -> str:
    """Why a job can never start; "" when it can."""
    if not Resources(0).within(wanted):
        return f"asks for less than nothing: {wanted.cpus} CPUs, {wanted.memory} bytes of memory, {wanted.gpus} GPUs"
    lacking = wanted.lacking(capacity)
    return lacking and f"needs {lacking}"
