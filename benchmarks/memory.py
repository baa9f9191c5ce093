"""Peak memory of an import and of a flow, for file A and for half of it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Row, at_most, number
from benchmarks.workspace import FLOW_FILE, Workspace, program

SAMPLES = 1000
LIMIT_MB = 512
GROWTH = 1.1  # one tenth for chance
_LOOK_S = 0.02


def memory(space: Workspace) -> Iterator[Row]:
    """The command's own processes: 1 worker in process, and 2 worker processes."""
    if not Path("/proc/self/smaps_rollup").exists():
        raise RuntimeError("peak memory is read from /proc/PID/smaps_rollup, which this system does not have")
    # Below 1 GiB of samples, shards and so the buffers for them shrink with the survey.
    small, large = space.size(270_000), space.size(500_000)
    for executor, workers in (("in-process", 1), ("processes", 2)):
        peaks = {traces: _peaks(space, traces, executor, workers) for traces in (small, large)}
        for k, what in enumerate(("import", "AGC + band-pass")):
            one, two = peaks[small][k], peaks[large][k]
            title = f"peak memory, {what}, {executor} x {workers}"
            sizes = f"{number(small)} traces: {number(one)} MB"
            two_mb = f"{number(large)} traces: {number(two)} MB"
            yield Row(what=title, ours=two_mb, peer="", values=(two,), unit="MB", goal=at_most(LIMIT_MB))
            yield Row(what=f"{title}: growth", ours=two_mb, peer=sizes, values=(two / one,), goal=at_most(GROWTH))


def _peaks(space: Workspace, traces: int, executor: str, workers: int) -> tuple[float, float]:
    """Peaks in MB of an import and of a flow on what it made."""
    file, survey, out = space.segy(traces, SAMPLES), space.fresh("memory.seis"), space.fresh("memory-out.seis")
    flow = space.folder / "memory.toml"
    flow.write_text(FLOW_FILE.format(survey=survey, out=out))
    how = ("--executor", executor, "--workers", str(workers))
    peaks = (
        peak_mb([program(), "import", str(file), str(survey), *how]),
        peak_mb([program(), "run", str(flow), *how]),
    )
    for path in (survey, out):
        space.fresh(path.name)
    return peaks


def peak_mb(command: list[str]) -> float:
    """Largest memory over time of a command and its descendants, MB; looked at every 20 ms.

    Proportional set sizes are added: resident pages, those that processes share counted once altogether.
    """
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    peak = 0
    while child.poll() is None:
        peak = max(peak, sum(_resident(pid) for pid in _family(child.pid)))
        time.sleep(_LOOK_S)
    if child.returncode:
        message = child.stderr.read().strip() if child.stderr else ""
        raise RuntimeError(f"{' '.join(command[:2])} ended with {child.returncode}: {message}")
    return peak / 1e6


def _family(root: int) -> set[int]:
    """A process and its descendants."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _read(entry / "stat").rpartition(")")[2].split()
            if fields:
                parents[int(entry.name)] = int(fields[1])
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def _resident(pid: int) -> int:
    """Proportional set size in bytes; 0 for a process that has ended."""
    lines = _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines()
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError:  # the process ended meanwhile
        return ""
