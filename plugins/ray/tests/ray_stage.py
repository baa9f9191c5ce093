"""A stage whose segments are the functions of `ray_segments`, and a look at what processes are left."""

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
from seisproc_ray import bridge
from seisproc_ray.executor import RayActors


@attrs.define
class Stage:
    """Runs functions of `ray_segments` and records what came of it."""

    folder: Path
    control: Control
    workers: int = 2
    got: list[int] = attrs.field(factory=list)

    def run(self, what: str, segments: int, grace_s: float = 2.0, **changes: object) -> None:
        def never(segment: int, slot: int) -> Callable[[], Receipt]:
            raise AssertionError("segments must not run in the engine")

        here = threading.get_ident()

        def done(receipt: Receipt) -> None:
            assert threading.get_ident() == here
            assert receipt.pieces == (("a/b", 0, 10 + receipt.segment, 7),)
            self.got.append(receipt.segment)

        task = Task(folder=self.folder, stage=1, compute=never, control=self.control, workers=self.workers)
        with RayActors(grace_s=grace_s, target=f"ray_segments:{what}") as executor:
            executor.run(attrs.evolve(task, **changes), range(segments), done)  # type: ignore[arg-type]

    def runs(self, segment: int) -> list[int]:
        """The pids of the processes that began a segment."""
        file = self.folder / f"runs-{segment}"
        return [int(pid) for pid in file.read_text().split()] if file.exists() else []

    def pids(self) -> set[int]:
        return {int(pid) for file in self.folder.glob("runs-*") for pid in file.read_text().split()}

    def log(self) -> str:
        return "".join(path.read_text(errors="replace") for path in self.folder.glob("log*.txt"))

    def once_begun(self, workers: int, action: Callable[[], None]) -> threading.Thread:
        """Do something from another thread when so many workers have begun a segment."""

        def act() -> None:
            eventually(lambda: len(self.pids()) >= workers)
            action()

        thread = threading.Thread(target=act)
        thread.start()
        return thread


def the_driver() -> bridge.Bridge:
    """The one driver process of this one."""
    (only,) = bridge._bridges.values()
    return only


def name_of(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def eventually(condition: Callable[[], object], within_s: float = 40.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def listening(pids: list[int]) -> set[tuple[int, str]]:
    """Address family and local address, as the kernel writes it, of every TCP socket on which the processes listen."""
    inodes = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    inodes.add(os.readlink(f"/proc/{pid}/fd/{fd}").removeprefix("socket:[").removesuffix("]"))
    found = set()
    for family, table in ((4, "/proc/net/tcp"), (6, "/proc/net/tcp6")):
        for line in Path(table).read_text().splitlines()[1:] if Path(table).exists() else ():
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                found.add((family, fields[1].rpartition(":")[0]))
    return found
