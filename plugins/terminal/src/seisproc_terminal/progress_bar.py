"""The progress bar on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from seisproc_core.jobs.engine import Progress


class Bar:
    """Traces done, their rate, the time left and the stage of one job."""

    def __init__(self, bar: RichProgress, task: TaskID) -> None:
        self._bar = bar
        self._task = task

    def update(self, progress: Progress) -> None:
        if progress.why:
            self._bar.update(self._task, what=f"{progress.state}: {progress.why}", rate="")
            return
        what = f"stage {progress.stage + 1}/{progress.stages}" if progress.stages > 1 else str(progress.state)
        rate = f"{progress.rate:,.0f} traces/s"
        self._bar.update(self._task, completed=progress.done, total=max(progress.total, 1), what=what, rate=rate)

    def say(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False)


@contextmanager
def progress_bar() -> Iterator[Bar]:
    """A bar on stderr that vanishes at the end."""
    columns = (
        TextColumn("{task.fields[what]}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} traces", markup=False),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield Bar(bar, bar.add_task("", total=1, what="starting", rate=""))


@contextmanager
def reading_bar(total: int, *, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """A bar on stderr for a pass over `total` traces; gives what is called with the number done.

    Nothing is drawn where stderr is no terminal.
    """
    columns = (BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    drawn = shown and sys.stderr.isatty()
    with RichProgress(*columns, console=Console(stderr=True), transient=True, disable=not drawn) as bar:
        task = bar.add_task("", total=max(total, 1))
        yield lambda done: bar.update(task, completed=done)
