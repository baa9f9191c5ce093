"""What all benchmarks share: interleaved timing, rows with goals, the table."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import ClassVar, Literal, Protocol

import attrs
import numpy as np

NOISY = 1.3  # largest over smallest of a row's repetitions from which the row is marked


@attrs.frozen
class Work:
    """Something to time; `before` runs ahead of every repetition and is not counted."""

    run: Callable[[], object]
    before: Callable[[], object] | None = None


def interleave(
    works: Mapping[str, Work], rounds: int, *, warm_up: bool = True, clock: Callable[[], float] = time.perf_counter
) -> dict[str, np.ndarray]:
    """Time works in turn, so that a disturbance of the machine hits all of them alike.

    Parameters
    ----------
    works
        What to time, by name. Every second round runs them backwards.
    rounds
        Repetitions.
    warm_up
        Run each once beforehand, uncounted: caches filled, code compiled.
    clock
        In seconds; `time.thread_time` for what one thread computes without waiting for anything.

    Returns
    -------
    dict
        Seconds of each repetition, float64 ``(rounds,)``, by name; element k of all of them is from the same round.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(-1 if warm_up else 0, rounds):
        names = list(works)
        for name in reversed(names) if number > 0 and number % 2 else names:
            taken = _timed(works[name], clock)
            if number >= 0:
                seconds[name].append(taken)
    return {name: np.array(values) for name, values in seconds.items()}


def _timed(work: Work, clock: Callable[[], float]) -> float:
    if work.before is not None:
        work.before()
    gc.collect()
    began = clock()
    work.run()
    return clock() - began


@attrs.frozen
class Goal:
    """``<=`` or ``>=`` a limit."""

    sign: Literal["<=", ">="]
    limit: float

    def met(self, value: float) -> bool:
        return value <= self.limit if self.sign == "<=" else value >= self.limit


def at_most(limit: float) -> Goal:
    return Goal("<=", limit)


def at_least(limit: float) -> Goal:
    return Goal(">=", limit)


@attrs.frozen(kw_only=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    what, ours, peer
        What was measured; our figure and the peer's, as text.
    values
        The measured quantity, one per repetition: a ratio to the peer where `unit` is ``x``. The median counts. Empty
        where the peer could not be run.
    unit
        Of `values` and of the goal.
    goal
        None for rows that only inform.
    """

    titles: ClassVar[tuple[str, ...]] = ("what", "ours", "peer or limit", "measured", "min-max", "goal", "met")

    what: str
    ours: str
    peer: str
    values: tuple[float, ...]
    unit: str = "x"
    goal: Goal | None = None

    @property
    def value(self) -> float:
        return float(np.median(self.values))

    @property
    def met(self) -> bool | None:
        return None if self.goal is None or not self.values else self.goal.met(self.value)

    @property
    def noisy(self) -> bool:
        return bool(self.values) and min(self.values) > 0 and max(self.values) > NOISY * min(self.values)

    def cells(self) -> tuple[str, ...]:
        """what, ours, peer, measured, min-max, goal, met."""
        measured = f"{number(self.value)} {self.unit}" if self.values else "not measured"
        spread = f"{number(min(self.values))}-{number(max(self.values))}" if len(self.values) > 1 else ""
        goal = "" if self.goal is None else f"{self.goal.sign} {number(self.goal.limit)} {self.unit}"
        verdict = {None: "", True: "yes", False: "NO"}[self.met]
        return self.what, self.ours, self.peer, measured, spread + (" noisy" if self.noisy else ""), goal, verdict


def against(
    what: str,
    ours: np.ndarray,
    peer_name: str,
    peer: np.ndarray,
    *,
    goal: Goal | None = None,
    amount: tuple[float, str] | None = None,
) -> Row:
    """A row with the ratio of our seconds to the peer's, round by round.

    Parameters
    ----------
    ours, peer
        Seconds from the same call of `interleave`.
    amount
        How much was done and in which unit, to show rates beside seconds: ``(500_000, "traces")``.
    """
    mine, other = (duration(float(np.median(t))) + _rate(t, amount) for t in (ours, peer))
    return Row(what=what, ours=mine, peer=f"{peer_name}: {other}", values=tuple(ours / peer), goal=goal)


def absent(what: str, peer: str, why: str, *, goal: Goal | None = None) -> Row:
    """A row that says that the peer is not there."""
    return Row(what=what, ours="", peer=f"{peer}: not installed ({why})", values=(), goal=goal)


def rate_row(
    what: str, seconds: np.ndarray, count: float, unit: str, *, peer: str = "", goal: Goal | None = None
) -> Row:
    """A row with a rate: `count` things of `unit` in so many seconds."""
    ours = duration(float(np.median(seconds)))
    return Row(what=what, ours=ours, peer=peer, values=tuple(count / seconds), unit=f"{unit}/s", goal=goal)


def _rate(seconds: np.ndarray, amount: tuple[float, str] | None) -> str:
    return "" if amount is None else f" ({number(amount[0] / float(np.median(seconds)))} {amount[1]}/s)"


def duration(seconds: float) -> str:
    """Seconds for reading: ``1.23 s``, ``45.6 ms``, ``7.8 us``."""
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if abs(seconds) * factor >= 1:
            return f"{number(seconds * factor)} {unit}"
    return f"{number(seconds * 1e6)} us"


def number(value: float) -> str:
    """Three significant figures; thousands separated."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


class Line(Protocol):
    """What a table can show and a summary count."""

    titles: ClassVar[tuple[str, ...]]

    @property
    def what(self) -> str: ...

    @property
    def values(self) -> tuple[float, ...]: ...

    @property
    def goal(self) -> object: ...

    @property
    def met(self) -> bool | None: ...

    def cells(self) -> tuple[str, ...]: ...


def table(rows: Sequence[Line]) -> str:
    """The rows as Markdown, one table for every kind of columns."""
    return "\n\n".join(_table(titles, list(some)) for titles, some in groupby(rows, lambda row: row.titles))


def _table(titles: tuple[str, ...], rows: Sequence[Line]) -> str:
    """One table, with aligned columns."""
    lines = [titles, *(row.cells() for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(titles))]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def summary(rows: Sequence[Line]) -> str:
    """How many goals were met, and which were not."""
    judged = [row for row in rows if row.met is not None]
    missed = [row.what for row in judged if not row.met]
    unknown = [row.what for row in rows if row.goal is not None and not row.values]
    return (
        f"{len(judged) - len(missed)} of {len(judged)} goals met"
        + (f"; missed: {'; '.join(missed)}" if missed else "")
        + (f"; not measured: {'; '.join(unknown)}" if unknown else "")
    )
