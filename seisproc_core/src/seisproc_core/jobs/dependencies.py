"""Which job waits for which: what is ready when one completes, and what is lost when one does not."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import attrs

from seisproc_core.errors import UsageError
from seisproc_core.jobs.states import State


@attrs.frozen
class Lost:
    """A job that can never start.

    Attributes
    ----------
    state
        What should become of it: failed or cancelled.
    reason
        For people: names the job it waited for, and the one where the trouble began.
    """

    id: str
    state: State
    reason: str


class Dependencies:
    """A directed acyclic graph of jobs. Work grows with the number of edges, not with that of jobs times changes.

    A job may be named as a parent before it is added itself: until then, or until `completed` is told of it, it is
    waited for and listed by `unknown`. Jobs that completed are forgotten; those that ended badly are remembered,
    so that a child which comes later is lost too.
    """

    def __init__(self) -> None:
        self._waits: dict[str, int] = {}  # jobs that have not ended: how many parents each still waits for
        self._parents: dict[str, tuple[str, ...]] = {}
        self._children: dict[str, list[str]] = {}
        self._unknown: dict[str, None] = {}
        self._lost: dict[str, tuple[State, str, str]] = {}  # state, reason, and where the trouble began

    def __contains__(self, job: object) -> bool:
        return job in self._waits

    def add(self, job: str, after: Iterable[str] = ()) -> list[Lost]:
        """A new job, which waits for the jobs in `after`.

        Returns
        -------
        The job itself and those that wait for it, when it comes after one that failed or was cancelled; else nothing.

        Raises
        ------
        UsageError
            Jobs would wait for each other; names them. The job is not added then.
        """
        if job in self._waits or job in self._lost:
            return []
        parents = tuple(dict.fromkeys(after))
        self._refuse_cycle(job, parents)
        self._waits[job] = len(parents)
        self._unknown.pop(job, None)
        if parents:
            self._parents[job] = parents
        for parent in parents:
            self._children.setdefault(parent, []).append(job)
            if parent not in self._waits and parent not in self._lost:
                self._unknown[parent] = None
        bad = next((parent for parent in parents if parent in self._lost), None)
        return [] if bad is None else self._spread(bad)

    def ready(self) -> Iterator[str]:
        """The jobs that wait for no other and have not ended."""
        return (job for job, count in self._waits.items() if count == 0)

    def is_ready(self, job: str) -> bool:
        return self._waits.get(job) == 0

    def waits_for(self, job: str) -> list[str]:
        """The jobs that this one still waits for."""
        return [parent for parent in self._parents.get(job, ()) if parent in self._waits or parent in self._unknown]

    def unknown(self) -> list[str]:
        """Jobs that others wait for and that have neither been added nor ended."""
        return list(self._unknown)

    def lost(self, job: str) -> Lost | None:
        """What is known of a job that failed, was cancelled or can never start."""
        return Lost(job, *self._lost[job][:2]) if job in self._lost else None

    def completed(self, job: str) -> list[str]:
        """A job has completed. Returns the jobs that are ready because of it, in the order in which they came."""
        self._forget(job)
        self._lost.pop(job, None)
        freed = []
        for child in self._children.pop(job, ()):
            if child in self._waits:
                self._waits[child] -= 1
                if self._waits[child] == 0:
                    freed.append(child)
        return freed

    def failed(self, job: str, reason: str = "") -> list[Lost]:
        """A job has failed, or will. Returns all that wait for it, directly or through others, nearest first."""
        return self._end(job, State.FAILED, reason)

    def cancelled(self, job: str, reason: str = "") -> list[Lost]:
        """A job was cancelled. Returns all that wait for it, directly or through others, nearest first."""
        return self._end(job, State.CANCELLED, reason)

    def _end(self, job: str, state: State, reason: str) -> list[Lost]:
        if job in self._lost:
            return []
        said = "failed" if state is State.FAILED else "was cancelled"
        self._lose(job, state, reason, f"job {job} {said}{reason and f': {reason}'}")
        return self._spread(job)

    def _spread(self, start: str) -> list[Lost]:
        """Lose everything that waits for a lost job."""
        lost = []
        queue = deque([start])
        while queue:
            parent = queue.popleft()
            state, _, root = self._lost[parent]
            for child in self._children.pop(parent, ()):
                if child in self._waits:
                    # One parent and the first cause are said: a whole chain could be as long as the graph.
                    reason = root if root.startswith(f"job {parent} ") else f"it comes after job {parent}, and {root}"
                    self._lose(child, state, reason, root)
                    lost.append(Lost(child, state, reason))
                    queue.append(child)
        return lost

    def _lose(self, job: str, state: State, reason: str, root: str) -> None:
        self._forget(job)
        self._lost[job] = state, reason, root

    def _forget(self, job: str) -> None:
        self._waits.pop(job, None)
        self._parents.pop(job, None)
        self._unknown.pop(job, None)

    def _refuse_cycle(self, job: str, parents: tuple[str, ...]) -> None:
        """Look whether one of the parents waits for the job: only one that has parents can, and only for one that
        was named before it came."""
        if job in parents:
            raise UsageError(f"job {job} should come after itself")
        if job not in self._children:
            return
        came_by = {parent: job for parent in parents if parent in self._parents}
        stack = list(came_by)
        while stack:
            near = stack.pop()
            for far in self._parents.get(near, ()):
                if far == job:
                    raise UsageError(f"jobs would wait for each other: {' after '.join(_path(job, near, came_by))}")
                if far in self._parents and far not in came_by:
                    came_by[far] = near
                    stack.append(far)


def _path(job: str, near: str, came_by: dict[str, str]) -> list[str]:
    path = [job]
    while near != job:
        path.append(near)
        near = came_by[near]
    return [job, *reversed(path[1:]), job]
