"""What starting costs: imports, help, and the smallest job."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.harness import Row, Work, at_most, duration, interleave
from benchmarks.workspace import FLOW_FILE, Workspace, program, run_program

REPEATS = 10
HEAVY = ("numpy", "scipy", "numba", "zarr", "pyarrow", "ray", "PySide6", "matplotlib")
TRACES, SAMPLES = 100, 1500
_TELL = "import atexit, json, sys; atexit.register(lambda: print(json.dumps([*sys.modules]), file=sys.stderr)); "
_HELP = "import sys; from seisproc_terminal.main import main; sys.argv = ['seisproc', '--help']; main()"


def startup(space: Workspace) -> Iterator[Row]:
    """Importing the core and showing help, over a bare interpreter."""
    works = {
        "bare": Work(lambda: _python("pass")),
        "core": Work(lambda: _python("import seisproc_core")),
        "api": Work(lambda: _python("import seisproc_core.api")),
        "help": Work(lambda: _quiet(program(), "--help")),
    }
    seconds = interleave(works, max(REPEATS, space.rounds))
    for name, what, limit in (
        ("core", "import seisproc_core", 0.15),
        ("api", "import seisproc_core.api", 0.15),
        ("help", "seisproc --help", 0.3),
    ):
        yield _over(what, seconds[name], "bare interpreter", seconds["bare"], limit)
    yield _loaded("import seisproc_core", "import seisproc_core")
    yield _loaded("seisproc --help", _HELP)


def job(space: Workspace) -> Iterator[Row]:
    """AGC and band-pass over 100 traces by the command, minus showing help: what every job pays."""
    survey, out, file = space.survey(TRACES, SAMPLES), space.folder / "tiny.seis", space.folder / "tiny.toml"
    file.write_text(FLOW_FILE.format(survey=survey, out=out))
    works = {"help": Work(lambda: _quiet(program(), "--help"))}
    for executor in ("in-process", "processes"):
        run = ("run", file, "--executor", executor)
        works[executor] = Work(partial(run_program, *run), partial(space.fresh, out.name))
    seconds = interleave(works, max(5, space.rounds))
    space.fresh(out.name)
    for executor in ("in-process", "processes"):
        yield _over(f"job of {TRACES} traces, {executor}", seconds[executor], "seisproc --help", seconds["help"], 1.0)


def _over(what: str, ours: np.ndarray, peer_name: str, peer: np.ndarray, limit: float) -> Row:
    """What one thing takes longer than another."""
    mine, other = (duration(float(np.median(t))) for t in (ours, peer))
    more = tuple(ours - peer)
    return Row(what=what, ours=mine, peer=f"{peer_name}: {other}", values=more, unit="s more", goal=at_most(limit))


def _loaded(what: str, code: str) -> Row:
    """Which of the heavy packages a child process has loaded at its end."""
    done = subprocess.run([sys.executable, "-c", _TELL + code], capture_output=True, text=True, check=True)
    found = sorted(set(json.loads(done.stderr.splitlines()[-1])) & set(HEAVY))
    return Row(
        what=f"heavy packages loaded by {what}", ours=", ".join(found) or "none", peer=f"of {', '.join(HEAVY)}",
        values=(float(len(found)),), unit="packages", goal=at_most(0),
    )  # fmt: skip


def _python(code: str) -> None:
    _quiet(sys.executable, "-c", code)


def _quiet(*command: str | Path) -> None:
    subprocess.run(list(map(str, command)), stdout=subprocess.DEVNULL, check=True)
