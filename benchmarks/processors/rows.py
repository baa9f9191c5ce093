"""The table of processors: traces per second on one core and on all, peers, and the share of the machine's limit."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from typing import Any, ClassVar
from unittest.mock import patch

import attrs
import numpy as np

from benchmarks.harness import NOISY, number
from benchmarks.processors import worker
from benchmarks.processors.case import Case
from benchmarks.processors.catalogue import cases, without_case
from benchmarks.processors.limits import Limits
from benchmarks.processors.worker import OURS, Amount
from benchmarks.workspace import Workspace

AHEAD_S = 0.02  # between telling all processes to begin, and their beginning together
ALONE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


@attrs.frozen(kw_only=True)
class ProcessorRow:
    """One line of the table.

    Attributes
    ----------
    values, everywhere
        Traces per second of every round, on one core and on all; empty where there is no case.
    peers
        The same of every peer, by name; a text where it could not be run.
    share, binding
        Of the limit of one core, and which limit that is.
    """

    titles: ClassVar[tuple[str, ...]] = (
        "processor",
        "traces/s, one core",
        "all cores",
        "best peer",
        "x peer",
        "of the limit",
        "goal",
        "met",
    )

    what: str
    case: Case | None = None
    values: tuple[float, ...] = ()
    everywhere: tuple[float, ...] = ()
    peers: dict[str, tuple[float, ...] | str] = attrs.field(factory=dict)
    share: float = 0.0
    binding: str = ""

    @property
    def goal(self) -> Case | None:
        return self.case

    @property
    def best(self) -> str | None:
        """The fastest peer that could be run."""
        ran = {name: float(np.median(speed)) for name, speed in self.peers.items() if not isinstance(speed, str)}
        return max(ran, key=lambda name: ran[name]) if ran else None

    @property
    def ratio(self) -> float | None:
        """Our speed over the best peer's: the median over rounds."""
        speed = self.peers[self.best] if self.best else ""
        return None if isinstance(speed, str) else float(np.median(np.array(self.values) / np.array(speed)))

    @property
    def met(self) -> bool | None:
        if self.case is None or not self.values:
            return None
        reached = self.case.goal is None or float(np.median(self.values)) >= self.case.goal
        if self.ratio is None or self.case.times is None:
            return reached if self.case.goal else None
        return reached and self.ratio >= self.case.times

    def cells(self) -> tuple[str, ...]:
        if self.case is None or not self.values:
            return (self.what, "no row", *[""] * (len(self.titles) - 2))
        one, all_ = float(np.median(self.values)), float(np.median(self.everywhere))
        noisy = " noisy" if max(self.values) > NOISY * min(self.values) else ""
        goals = [f">= {number(self.case.goal)}"] if self.case.goal else []
        if self.peers and self.case.times:
            goals.append(f">= {number(self.case.times)} x")
        return (
            self.what, number(one) + noisy, f"{number(all_)} ({all_ / one:.2f} x)", self._peers(),
            "" if self.ratio is None else f"{number(self.ratio)} x",
            f"{100 * self.share:.0f} % {self.binding}" if self.binding else "",
            ", ".join(goals), {None: "", True: "yes", False: "NO"}[self.met],
        )  # fmt: skip

    def _peers(self) -> str:
        best = self.best
        if best is None:
            return "; ".join(f"{name}: {why}" for name, why in self.peers.items())
        speed = self.peers[best]
        return f"{best}: {number(float(np.median(np.array(speed, float))))}"


def processors(space: Workspace) -> Iterator[ProcessorRow]:
    """Every registered processor: in memory, batches of 8 MiB, gathers of 50, 1,500 samples, one thread a process."""
    wrong: list[str] = []
    with crew(os.cpu_count() or 1) as workers:
        machine: Limits = workers[0].submit(worker.machine).result()
        for name, case in cases().items():
            if not space.steps or case.use in space.steps:
                try:
                    yield measured(name, case, workers, machine, space.rounds)
                except Differs as error:
                    wrong.append(str(error))
    for use in without_case():
        if not space.steps or use in space.steps:
            yield ProcessorRow(what=use)
    if wrong:
        raise Differs("; ".join(wrong))


class Differs(Exception):
    """A processor and its peer do not give the same samples: figures would compare nothing."""


@contextmanager
def crew(size: int) -> Iterator[list[ProcessPoolExecutor]]:
    """Processes that each run on one thread, as executors of one worker each."""
    with ExitStack() as stack, patch.dict(os.environ, ALONE):
        spawn = get_context("spawn")
        yield [stack.enter_context(ProcessPoolExecutor(1, mp_context=spawn)) for _ in range(size)]


def measured(
    name: str, case: Case, workers: Sequence[ProcessPoolExecutor], machine: Limits, rounds: int
) -> ProcessorRow:
    """Ours on one core and on all, and the peers, in turn, every second round backwards."""
    first = workers[0]
    amounts: dict[str, Amount] = {OURS: first.submit(worker.amount, name, OURS).result()}
    absent_: dict[str, str] = {}
    for peer in case.peers:
        try:
            if case.same is not None:
                _agree(name, peer, case.same, first)
            amounts[peer] = first.submit(worker.amount, name, peer).result()
        except ImportError as error:
            absent_[peer] = f"not installed ({error.name})"
    for other in workers[1:]:
        other.submit(worker.run, name, OURS, Amount(amounts[OURS].gathers, 1), 0.0).result()
    speeds: dict[str, list[float]] = {who: [] for who in amounts}
    everywhere: list[float] = []
    for turn in range(rounds):
        for who in reversed(amounts) if turn % 2 else amounts:
            speeds[who].append(_speed(name, who, amounts[who], [first]))
        everywhere.append(_speed(name, OURS, amounts[OURS], workers))
    read, written = first.submit(worker.flow_bytes, name).result()
    least, binding = machine.seconds(case, read, written)
    return ProcessorRow(
        what=name, case=case, values=tuple(case.each * speed for speed in speeds[OURS]),
        everywhere=tuple(case.each * speed for speed in everywhere),
        peers={p: tuple(case.each * s for s in speeds[p]) if p in speeds else absent_[p] for p in case.peers},
        share=least * float(np.median(speeds[OURS])), binding=binding if least else "",
    )  # fmt: skip


def _agree(name: str, peer: str, most: float, first: ProcessPoolExecutor) -> None:
    differs = first.submit(worker.difference, name, peer).result()
    if not differs <= most:  # nor is what is no number
        raise Differs(f"{name} differs from {peer} by {differs:.3g} of the largest sample")


def _speed(name: str, who: str, given: Amount, workers: Sequence[ProcessPoolExecutor]) -> float:
    """Traces per second of some processes that begin together, until the last of them ends."""
    at = time.monotonic() + AHEAD_S
    runs: list[Any] = [w.submit(worker.run, name, who, given, at) for w in workers]
    began, ended, counts = zip(*(run.result() for run in runs), strict=True)
    return float(sum(counts) / (max(ended) - min(began)))
