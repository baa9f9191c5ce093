"""What the demonstration's stories are told with: its folder, timed steps, and the tables at the end."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from seisproc_core.errors import OutputExists, StorageError
from seisproc_core.processing.flow import Flow
from seisproc_terminal import output
from seisproc_terminal.jobs import Outcome, run_job
from seisproc_terminal.options import How

if TYPE_CHECKING:
    from seisproc.demo.checks import Row

MARKER = "made-by-seisproc-demo.txt"
COMPARISONS = "comparisons"


@attrs.frozen
class Step:
    """One step of the demonstration: input traces (None where there are none), seconds, where the result lies."""

    name: str
    traces: int | None
    seconds: float
    result: str

    @property
    def rate(self) -> float | None:
        return None if self.traces is None else self.traces / max(self.seconds, 1e-9)


def prepare_folder(folder: Path) -> None:
    """Make the demonstration's folder, or empty that of an earlier demonstration; any other is refused."""
    try:
        if folder.is_dir() and any(folder.iterdir()):
            marker = folder / MARKER
            if not marker.is_file():
                raise OutputExists(f"{folder} is not empty and not from an earlier demo; choose another --out")
            _remove_own(folder, set(marker.read_text("utf-8").splitlines()))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / COMPARISONS).mkdir()
        _note(folder, COMPARISONS)
    except OSError as error:
        raise StorageError.from_os(error, f"cannot use {folder}") from error


def _remove_own(folder: Path, own: set[str]) -> None:
    """Remove what an earlier demonstration noted; refuse before removing anything where there is more."""
    mine = [path for path in folder.iterdir() if path.name == MARKER or _belongs(path.name, own)]
    foreign = sorted(path.name for path in folder.iterdir() if path not in mine)
    if foreign:
        raise OutputExists(f"{folder / foreign[0]} was not made by the demo; move it away or choose another --out")
    for path in mine:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _belongs(name: str, own: set[str]) -> bool:
    """True for a noted result, and for the lock and working folder an interrupted job left beside it."""
    return name in own or any(name.startswith(f"{result}.") for result in own)


def _note(folder: Path, name: str) -> None:
    """Note, before it is made, that something in the folder is the demonstration's own."""
    with (folder / MARKER).open("a", encoding="utf-8") as file:
        file.write(f"{name}\n")


class Session:
    """Runs jobs as the command line does, times everything, and reports at the end.

    Parameters
    ----------
    folder
        Where results go; `prepare_folder` made it.
    """

    def __init__(self, folder: Path, how: How, *, as_json: bool) -> None:
        self.folder = Path(os.path.abspath(folder))
        self.steps: list[Step] = []
        self._how = how
        self._as_json = as_json

    def path(self, name: str) -> Path:
        """Where a result of that name goes."""
        _note(self.folder, name)
        return self.folder / name

    def comparison(self, name: str) -> Path:
        """Where a survey goes that is only needed to check the result."""
        return self.folder / COMPARISONS / name

    def drop_comparisons(self) -> None:
        """Remove the surveys made for comparison."""
        shutil.rmtree(self.folder / COMPARISONS, ignore_errors=True)

    @contextmanager
    def step(self, name: str, result: str | Path, traces: int | None = None) -> Iterator[None]:
        """Time something that is not a job."""
        self._say(name)
        began = time.perf_counter()
        yield
        self.steps.append(Step(name, traces, time.perf_counter() - began, self._short(result)))

    def job(self, name: str, flow: Flow, type: str = "flow") -> Outcome:
        """Run a flow as ``seisproc run`` does."""
        self._say(name)
        outcome = run_job(
            lambda engine: engine.submit(flow, type=type),
            self._how,
            as_json=self._as_json,
        )
        assert outcome is not None
        self.steps.append(Step(name, outcome.traces_in, outcome.seconds, self._short(outcome.path)))
        return outcome

    def finish(self, checks: Sequence[Row]) -> None:
        """Print what was done, how long it took, where it lies, and what the checks measured."""
        kept = [path.name for path in sorted(self.folder.iterdir()) if path.name != MARKER]
        if self._as_json:
            steps = [{**attrs.asdict(step), "traces_per_s": step.rate} for step in self.steps]
            rows = [attrs.asdict(check) for check in checks]
            content: Mapping[str, Any] = {
                "folder": str(self.folder), "files": kept, "steps": steps, "checks": rows,
                "ok": all(check.ok for check in checks),
            }  # fmt: skip
            output.document(content)
            return
        output.show()
        told = [
            (s.name, s.traces, round(s.seconds, 2), None if s.rate is None else round(s.rate), s.result)
            for s in self.steps
        ]
        output.table(("step", "traces", "seconds", "traces/s", "result"), told)
        if checks:
            output.show()
            marks = [("ok" if check.ok else "FAILED", check.name, check.measured, check.wanted) for check in checks]
            output.table(("", "check", "measured", "wanted"), marks)
        output.show()
        output.show(f"In {self.folder}: {', '.join(kept)}")

    def _say(self, name: str) -> None:
        if not self._as_json:
            output.remark(f"demo: {name} ...")

    def _short(self, result: str | Path) -> str:
        if isinstance(result, Path) and result.is_relative_to(self.folder):
            return str(result.relative_to(self.folder))
        return str(result)
