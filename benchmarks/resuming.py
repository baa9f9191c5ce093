"""What it costs that a job can be resumed, and what resuming costs: journal, checksums, verification, redone work."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from benchmarks.harness import Row, at_least, at_most, duration
from benchmarks.job_system import LONG_S
from benchmarks.one_trace import gone
from benchmarks.workspace import FLOW_FILE, Workspace, gain_and_filter, program
from seisproc_core.data.checksums import crc32c
from seisproc_core.jobs.control import Control
from seisproc_core.jobs.engine import Engine
from seisproc_core.jobs.journal import Journal
from seisproc_core.jobs.runner import FolderRun
from seisproc_core.jobs.workfolder import WorkFolder

SAMPLES, WORKERS = 1500, 2
_TIMES = ("manifest.json", "provenance.json")  # hold times and the job's id


def resuming(space: Workspace) -> Iterator[Row]:
    """A job of AGC and band-pass that is killed half-way and resumed, against one that was not."""
    survey = space.survey(space.size(100_000), SAMPLES)
    whole, out = gone(space.folder / "whole.seis"), gone(space.folder / "killed.seis")
    yield from _shares(space, survey, whole)
    under_way = _killed(space, survey, out)
    with Engine(executor="processes", workers=WORKERS) as engine:
        yield from _verified(out, space.rounds)
        handle = engine.resume(out)
        assert handle is not None and handle.prepared is not None
        run = handle.prepared.run
        assert isinstance(run, FolderRun)
        before, lost = run.committed, run.redone
        handle.result(10 * LONG_S)
        yield Row(
            what="segments done again after a kill", ours=f"{before:,} of {run.total:,} traces were journalled",
            peer=f"segments under way: at most {WORKERS}", values=(under_way + lost,), unit="segments",
            goal=at_most(WORKERS),
        )  # fmt: skip
        differ = _different(_bytes_of(whole), _bytes_of(out))
        yield Row(
            what="resumed output against an uninterrupted one", ours=f"{len(_bytes_of(whole))} files", peer="",
            values=(differ,), unit="files differ", goal=at_most(0),
        )  # fmt: skip
        stamps = _stamps(out)
        again = engine.resume(out)
        assert again is None
    changed = _different(stamps, _stamps(out))
    yield Row(
        what="resuming a finished job", ours=f"{len(stamps)} files", peer="", values=(changed,), unit="files touched",
        goal=at_most(0),
    )  # fmt: skip
    for path in (whole, out):
        gone(path)


def _shares(space: Workspace, survey: Path, out: Path) -> Iterator[Row]:
    """What journal and checksums take of the run time of one worker."""
    journal, append = [], Journal.append
    sums = []

    def timed_append(self: Journal, *arguments: object) -> None:
        began = time.perf_counter()
        append(self, *arguments)  # type: ignore[arg-type]
        journal.append(time.perf_counter() - began)

    with Engine(executor="in-process", workers=1) as engine, patch.object(Journal, "append", timed_append):
        began = time.perf_counter()
        engine.submit(gain_and_filter(survey, out)).result(10 * LONG_S)
        wall = time.perf_counter() - began
    for path in (path for path in out.rglob("*") if path.is_file()):
        data = path.read_bytes()
        began = time.perf_counter()
        crc32c(data)
        sums.append(time.perf_counter() - began)
    for what, seconds, limit in (("journal", journal, 1), ("checksums of what is written", sums, 3)):
        yield Row(
            what=f"{what}, share of the run time of AGC + band-pass", ours=duration(sum(seconds)),
            peer=f"{len(seconds)} times in {duration(wall)}", values=(100 * sum(seconds) / wall,), unit="%",
            goal=at_most(limit),
        )  # fmt: skip


def _killed(space: Workspace, survey: Path, out: Path) -> int:
    """Run the job as a user does, kill it when half of its segments are journalled; how many were under way."""
    file = space.folder / "killed.toml"
    file.write_text(FLOW_FILE.format(survey=survey, out=out))
    command = [program(), "run", str(file), "--set", "agc.window_ms=500.0", "--workers", str(WORKERS)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 10 * LONG_S
    while time.monotonic() < deadline and child.poll() is None:
        for folder in WorkFolder.find(out):
            with_journal = folder / "journal"
            wanted = max(1, WorkFolder(folder).stages[-1].n_segments // 2)
            if with_journal.exists() and with_journal.read_bytes().count(b"\n") >= wanted:
                under_way = sum(worker.segment is not None for worker in Control(folder / "control").workers())
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                return under_way
        time.sleep(0.002)
    message = child.stderr.read().decode() if child.stderr is not None and child.poll() is not None else ""
    raise RuntimeError(f"the job was to be killed, and ended before: {message}")


def _verified(out: Path, rounds: int) -> Iterator[Row]:
    """Holding journalled bytes to their checksums, file cache warm."""
    work, rates = WorkFolder(WorkFolder.find(out)[0]), []
    for _ in range(rounds):
        with Journal(work.path / "journal") as journal:
            receipts = [receipt for done in journal.done.values() for receipt in done.values()]
            size = sum(length for receipt in receipts for _, _, length, _ in receipt.pieces)
            began = time.perf_counter()
            work.verify(journal)
            rates.append(size / (time.perf_counter() - began) / 1e9)
    yield Row(
        what="verifying what is journalled, one core", ours=f"{size / 1e6:,.0f} MB", peer="", values=tuple(rates),
        unit="GB/s", goal=at_least(1),
    )  # fmt: skip


def _bytes_of(out: Path) -> dict[str, object]:
    """What a survey's files hold, but for those that tell when it was made."""
    files = [path for path in out.rglob("*") if path.is_file() and path.name not in _TIMES]
    return {path.relative_to(out).as_posix(): crc32c(path.read_bytes()) for path in files}


def _stamps(out: Path) -> dict[str, object]:
    """When each file was last changed, and what it holds."""
    files = [path for path in out.rglob("*") if path.is_file()]
    return {path.as_posix(): (path.stat().st_mtime_ns, crc32c(path.read_bytes())) for path in files}


def _different(one: dict[str, object], other: dict[str, object]) -> int:
    return sum(one.get(name) != other.get(name) for name in one.keys() | other.keys())
