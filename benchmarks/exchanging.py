"""SEG-Y into a store and back out of it, against MDIO; and what a trace header costs on its way out."""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import segyio

from benchmarks.harness import Row, Work, absent, against, at_most, interleave, number
from benchmarks.memory import LIMIT_MB, peak_mb
from benchmarks.segy_peers.environment import Peers
from benchmarks.workspace import MDIO_TRACES, Workspace, program, run_command
from seisproc_core.data.gather import Gather
from seisproc_core.data.survey import OutputPlan
from seisproc_core.plugins import registry
from seisproc_segy.backend import default_backend
from seisproc_segy.sink import SegySink

WORKERS = "2"
GOALS = {"import": 1 / 6, "import, --codec fast": 1 / 5, "export": 1 / 5}
SHORT = 8  # samples of a trace that is nearly all header
BLOCK = 2000  # traces read and encoded at once


def mdio(space: Workspace) -> Iterator[Row]:
    """Three tenths of file A into a survey and back, into an MDIO store and back: whole commands, start-up included."""
    traces = space.size(MDIO_TRACES)
    what = f"{number(traces)} traces, {WORKERS} workers"
    if not isinstance(space.peers, Peers):
        for work, goal in GOALS.items():
            yield absent(f"{work}, {what}", "MDIO", space.peers, goal=at_most(goal))
        return
    file = space.segy(traces, 1000)
    jobs = _jobs(space.folder, file, space.peers)
    peaks = {}
    for name, (command, target) in jobs.items():  # the warm-up, too
        space.fresh(target.name)
        peaks[name] = peak_mb(command)
    works = {
        name: Work(partial(run_command, command), partial(space.fresh, target.name))
        for name, (command, target) in jobs.items()
    }
    # Exports read what the imports of their round or of the one before made.
    seconds = interleave(works, space.rounds, warm_up=False)
    peer = f"MDIO {space.peers.versions['multidimio']}"
    for work, goal in GOALS.items():
        theirs = "MDIO export" if work == "export" else "MDIO import"
        yield against(
            f"{work}, {what}", seconds[work], peer, seconds[theirs], goal=at_most(goal), amount=(traces, "traces")
        )
        yield Row(
            what=f"{work}, {what}: peak memory", ours=f"{number(peaks[work])} MB",
            peer=f"{peer}: {number(peaks[theirs])} MB", values=(peaks[work],), unit="MB", goal=at_most(LIMIT_MB),
        )  # fmt: skip
    for name, whose in (("export", "ours"), ("MDIO export", peer)):
        same = filecmp.cmp(file, jobs[name][1], shallow=False)
        yield Row(
            what=f"import and export, {whose}", ours="equal to the byte" if same else "differs", peer="the file",
            values=(float(same),), unit="equal",
        )  # fmt: skip
    for _, target in jobs.values():
        if target.suffix != ".mdio":  # gathers are read from it
            space.fresh(target.name)


def _jobs(folder: Path, file: Path, peers: Peers) -> dict[str, tuple[list[str], Path]]:
    """Command lines and what they write, by name; exports come after what they read."""
    survey, packed, back = folder / "whole.seis", folder / "packed.seis", folder / "whole.sgy"
    store, returned = file.with_suffix(".mdio"), folder / "mdio.sgy"
    how = ("--executor", "processes", "--workers", WORKERS)
    return {
        "import": ([program(), "import", str(file), str(survey), *how], survey),
        "import, --codec fast": ([program(), "import", str(file), str(packed), "--codec", "fast", *how], packed),
        "MDIO import": (peers.command("mdio_import", file, store, WORKERS), store),
        "export": ([program(), "export", str(survey), str(back), *how], back),
        "MDIO export": (peers.command("mdio_export", store, returned, WORKERS), returned),
    }


def header_copy(space: Workspace) -> Iterator[Row]:
    """Headers of a survey to those of a file: traces of a few samples, so that headers are all there is to do."""
    traces = space.size(50_000)
    file, target = space.segy(traces, SHORT), space.folder / "copied.sgy"
    survey = registry().load("storage", "survey")().open([str(space.survey(traces, SHORT))], {})
    sink = SegySink(_plan(survey), default_backend())
    _copy_headers(survey, sink, target)
    if not filecmp.cmp(file, target, shallow=False):
        raise AssertionError(f"the headers of {target} differ from those of {file}")
    block = survey.read(slice(0, BLOCK))
    works = {
        "ours": Work(lambda: _copy_headers(survey, sink, target)),
        "made": Work(lambda: _make_headers(sink, block, traces)),
        "segyio": Work(lambda: _copy_segyio(file, target), lambda: shutil.copy(file, target)),
    }
    seconds = interleave(works, space.rounds)
    theirs = 1e6 * float(np.median(seconds["segyio"])) / traces
    yield Row(
        what="headers copied on export", ours="read from the survey, encoded, written",
        peer=f"segyio: {number(theirs)} us/trace", values=tuple(1e6 * seconds["ours"] / traces), unit="us/trace",
        goal=at_most(1),
    )  # fmt: skip
    yield Row(
        what="headers copied on export: of that, encoding", ours=f"with {SHORT} samples, from memory",
        peer="", values=tuple(1e6 * seconds["made"] / traces), unit="us/trace",
    )  # fmt: skip
    space.fresh(target.name)


def _plan(survey: Any) -> OutputPlan:
    columns = survey.headers().columns
    return OutputPlan(
        n_traces=survey.n_traces, sampling=survey.sampling, info=survey.info,
        words={name: columns[name].dtype.str for name in columns},
        raw_header_bytes=survey.raw_header_bytes, raw_sample_bytes=survey.raw_sample_bytes,
    )  # fmt: skip


def _copy_headers(survey: Any, sink: SegySink, target: Path) -> None:
    with target.open("wb") as file:
        for first in range(0, survey.n_traces, BLOCK):
            for piece in sink.encode(first, survey.read(slice(first, first + BLOCK))):
                file.seek(piece.offset)
                file.write(piece.data)
        for piece in sink.finish(target):
            file.seek(piece.offset)
            file.write(piece.data)


def _make_headers(sink: SegySink, block: Gather, traces: int) -> None:
    for _ in range(0, traces, BLOCK):
        sink.encode(0, block)


def _copy_segyio(file: Path, target: Path) -> None:
    with segyio.open(file, ignore_geometry=True) as source, segyio.open(target, "r+", ignore_geometry=True) as copied:
        copied.header = source.header
