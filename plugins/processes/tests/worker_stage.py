"""A stage whose segments are the functions of `worker_segments`, and a look at what processes are left."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import attrs

from seisproc_core.execution.executor import Receipt, Task
from seisproc_core.jobs.control import Control
from seisproc_processes.executor import Processes


@attrs.define
class Stage:
    """Runs functions of `worker_segments` and records what came of it."""

    folder: Path
    control: Control
    workers: int = 2
    got: list[int] = attrs.field(factory=list)
    receipts: list[Receipt] = attrs.field(factory=list)

    def task(self, **changes: object) -> Task:
        def never(segment: int, slot: int) -> Callable[[], Receipt]:
            raise AssertionError("segments must not run in the engine")

        task = Task(folder=self.folder, stage=1, compute=never, control=self.control, workers=self.workers)
        return attrs.evolve(task, **changes)  # type: ignore[arg-type]

    def executor(self, what: str, grace_s: float = 2.0) -> Processes:
        return Processes(grace_s=grace_s, target=what if ":" in what else f"worker_segments:{what}")

    def done(self, receipt: Receipt) -> None:
        self.got.append(receipt.segment)
        self.receipts.append(receipt)

    def run(self, what: str, segments: int, grace_s: float = 2.0, **changes: object) -> None:
        with self.executor(what, grace_s) as executor:
            executor.run(self.task(**changes), range(segments), self.done)

    def runs(self, segment: int) -> list[int]:
        """The pids of the processes that began a segment."""
        file = self.folder / f"runs-{segment}"
        return [int(pid) for pid in file.read_text().split()] if file.exists() else []

    def pids(self) -> set[int]:
        return {int(pid) for file in self.folder.glob("runs-*") for pid in file.read_text().split()}

    def left(self) -> set[int]:
        """Live processes of those that segments said they started."""
        started = {int(pid) for file in self.folder.glob("started-*") for pid in file.read_text().split()}
        return {pid for pid in started if alive(pid)}

    def log(self) -> str:
        return (self.folder / "log.txt").read_text(errors="replace")

    def once_begun(self, segments: int, action: Callable[[], None]) -> threading.Thread:
        """Do something from another thread when so many segments have been begun."""

        def act() -> None:
            eventually(lambda: len(self.pids()) >= segments)
            action()

        thread = threading.Thread(target=act)
        thread.start()
        return thread


def alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def eventually(condition: Callable[[], bool], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def children() -> set[int]:
    """Pids of this process's children, zombies included."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread that has just ended
            found.update(map(int, (task / "children").read_text().split()))
    return found


def open_channels() -> set[str]:
    """Sockets, pipes and pollers that this process has open."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            found.add(os.readlink(f"/proc/self/fd/{fd}"))
    return {name for name in found if not name.startswith("/")}
