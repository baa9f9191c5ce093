"""The survey store: import, export, sweeps, sorts, and gathers from anywhere in it."""

from __future__ import annotations

import filecmp
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import segyio

from benchmarks.harness import Row, Work, against, at_least, at_most, interleave, number, rate_row
from benchmarks.segy_peers.environment import Peers
from benchmarks.workspace import GATHER, MDIO_TRACES, Workspace, copy, run_program
from seisproc_core.data.browsing import GatherBrowser
from seisproc_core.plugins import registry

# MDIO 1.2.3 imported file A in 29 times the time of `cp` and exported it at 11,000 traces/s, 20 times that of `cp`
# (measured once beside both, November 2026): these goals hold where MDIO cannot be run; `mdio` compares with it.
IMPORT_GOAL, EXPORT_GOAL = 29 / 5, 20 / 5
SWEPT = 2048  # traces read at once
FEW = 50  # gathers read with MDIO, which is slow across the stored order


def transfer(space: Workspace) -> Iterator[Row]:
    """File A into a survey and back, by the command a user types; start-up included."""
    file, survey, back = space.file_a, space.folder / "line.seis", space.folder / "back.sgy"
    survey_1 = space.folder / "line-1.seis"
    target = space.folder / "copy.sgy"
    alone = ("--executor", "in-process", "--workers", "1")
    both = ("--executor", "processes", "--workers", "2")
    works = {
        "import": Work(lambda: run_program("import", file, survey_1, *alone), lambda: space.fresh(survey_1.name)),
        "import2": Work(lambda: run_program("import", file, survey, *both), lambda: space.fresh(survey.name)),
        "export": Work(lambda: run_program("export", survey, back, *alone), lambda: space.fresh(back.name)),
        "export2": Work(lambda: run_program("export", survey, back, *both), lambda: space.fresh(back.name)),
        "cp": Work(lambda: copy(file, target), lambda: space.fresh(target.name)),
        "synced": Work(lambda: _copy_durably(file, target), lambda: space.fresh(target.name)),
    }
    # The first round makes the survey that exports read. A warm-up would take a minute and change nothing.
    seconds = interleave(works, space.rounds, warm_up=False)
    traces = (file.stat().st_size // (240 + 4 * 1000), "traces")
    size = number(file.stat().st_size / 1e6)
    for name, title, goal in (
        ("import", f"import of {size} MB, 1 worker in process", IMPORT_GOAL),
        ("import2", "import, 2 worker processes", None),
        ("export", "export, 1 worker in process", EXPORT_GOAL),
        ("export2", "export, 2 worker processes", None),
    ):
        limit = None if goal is None else at_most(goal)
        yield against(title, seconds[name], "cp", seconds["cp"], goal=limit, amount=traces)
        yield against(title, seconds[name], "cp, then fsync", seconds["synced"], amount=traces)
    same = filecmp.cmp(file, back, shallow=False)
    yield Row(
        what="export of the untouched import", ours="equal to the byte" if same else "DIFFERS", peer="the file",
        values=(float(same),), unit="equal", goal=at_least(1),
    )  # fmt: skip
    for name in (survey.name, survey_1.name, target.name, back.name):
        space.fresh(name)


def _copy_durably(source: Path, target: Path) -> None:
    copy(source, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())


def gathers(space: Workspace) -> Iterator[Row]:
    """Gathers of 50 traces of three tenths of file A at random: neighbours in the store, and from all over it."""
    traces, peers = space.size(MDIO_TRACES), space.peers
    path, survey_path = space.segy(traces, 1000), space.survey(traces, 1000)
    survey = registry().load("storage", "survey")().open([str(survey_path)], {})
    rng = np.random.default_rng(2)
    count = 100 if space.quick else 300
    near = [np.arange(first, first + GATHER) for first in rng.integers(0, traces // GATHER, count) * GATHER]
    stride = traces // GATHER
    far = [np.arange(first, traces, stride)[:GATHER] for first in rng.integers(0, stride, count)]
    for title, rows, least in (("contiguous", near, 1000), ("across the stored order", far, 40)):
        calls: dict[str, Callable[[], Any]] = {
            "ours": partial(_read, survey, rows),
            "segyio": partial(_read_segyio, path, rows),
        }
        if isinstance(peers, Peers):
            asked = [gather.tolist() for gather in rows]
            calls["MDIO"] = partial(peers, "gathers_mdio", space.mdio_store(path), asked[:FEW])
            calls["Zarr + zarrs, samples only"] = partial(peers, "gathers_zarrs", survey_path, asked)
            last = float(survey.read(rows[FEW - 1]).traces.sum(dtype="f8"))
            _same(calls["MDIO"](), last)
        seconds = interleave({name: Work(call) for name, call in calls.items()}, space.rounds)
        rates = {name: (FEW if name == "MDIO" else count) / float(np.median(seconds[name])) for name in calls}
        beside = [f"{name} {number(rate)}/s" for name, rate in rates.items() if name != "ours"]
        if isinstance(peers, str):
            beside.append(f"MDIO, Zarr + zarrs: not installed ({peers})")
        yield rate_row(
            f"gathers of {GATHER}, {title}", seconds["ours"], count, "gathers", goal=at_least(least),
            peer="; ".join(beside),
        )  # fmt: skip


def _same(found: float, expected: float) -> None:
    """Whether a peer read the same samples, going by their sum."""
    if not np.isclose(found, expected, rtol=1e-6, atol=1e-3):
        raise AssertionError(f"samples of a gather add up to {found} elsewhere, here to {expected}")


def _read(survey: Any, gathers_: list[np.ndarray]) -> None:
    for rows in gathers_:
        survey.read(rows)


def _read_segyio(path: Path, gathers_: list[np.ndarray]) -> None:
    with segyio.open(path, ignore_geometry=True) as file:
        for rows in gathers_:
            if rows[-1] - rows[0] == len(rows) - 1:
                file.trace.raw[rows[0] : rows[-1] + 1]
                _ = [file.header[int(row)] for row in rows]
            else:
                _ = [(file.trace.raw[int(row)], file.header[int(row)]) for row in rows]


def sweep(space: Workspace) -> Iterator[Row]:
    """All traces of a survey once, in order, against a copy of its bytes in memory: what checksums and headers cost."""
    path = space.survey(space.size(500_000), 1000)
    survey = registry().load("storage", "survey")().open([str(path)], {})
    held = np.ones((min(survey.n_traces, 100 * SWEPT), 1000), np.float32)  # larger than the processor's caches
    seconds = interleave(
        {
            "ours": Work(partial(_sweep, survey)),
            "copy": Work(lambda: _copy_in_memory(held, survey.n_traces)),
        },
        space.rounds,
    )
    size = (4e-6 * 1000 * survey.n_traces, "MB")
    yield against(
        "sweep over a survey, 1 thread", seconds["ours"], "copy in memory", seconds["copy"], goal=at_most(1 / 0.7),
        amount=size,
    )  # fmt: skip


def _copy_in_memory(held: np.ndarray, traces: int) -> None:
    spare = np.empty_like(held[:SWEPT])
    for first in range(0, traces, SWEPT):
        part = held[first % len(held) :][:SWEPT]
        np.copyto(spare[: len(part)], part)


def _sweep(survey: Any) -> None:
    for first in range(0, survey.n_traces, SWEPT):
        survey.read(slice(first, first + SWEPT))


def sort(space: Workspace) -> Iterator[Row]:
    """Shots to common midpoints, near each other in the store, and to channels, which are all over it; by the command a
    user types. The survey is not in memory when it begins."""
    path = space.survey(space.size(500_000), 1000)
    target, traces = space.folder / "copy.seis", (space.size(500_000), "traces")
    outs = {keys: space.folder / f"by-{keys[0]}.seis" for keys in (("cdp", "offset"), ("channel", "field_record"))}
    works = {"cp": Work(lambda: _copy_folder(path, target), lambda: _cold(space, path, target))}
    for keys, out in outs.items():
        flow = space.folder / f"{out.stem}.toml"
        flow.write_text(
            f'[source]\nsurvey = "{path}"\ngather = ["{keys[0]}"]\nsort = ["{keys[1]}"]\n\n[sink]\nsurvey = "{out}"\n',
            "utf-8",
        )
        run = partial(run_program, "run", flow, "--workers", "2")
        works[keys[0]] = Work(run, partial(_cold, space, path, out))
    seconds = interleave(works, space.rounds, warm_up=False)
    for keys, title in zip(outs, ("to CDP", "to channels"), strict=True):
        yield against(
            f"sort of a survey {title}, 2 workers", seconds[keys[0]], "cp -r", seconds["cp"], goal=at_most(1 / 0.4),
            amount=traces,
        )  # fmt: skip
    for name in (target.name, *(out.name for out in outs.values())):
        space.fresh(name)


def _cold(space: Workspace, source: Path, target: Path) -> None:
    """Nothing at the target, and nothing of the source in the system's memory."""
    space.fresh(target.name)
    for path in source.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _copy_folder(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-r", str(source), str(target)], check=True)


def browsing(space: Workspace) -> Iterator[Row]:
    """The next gather, for somebody who looks at each for a moment; and opening a survey."""
    path = space.survey(space.size(500_000), 1000)
    storage = registry().load("storage", "survey")()
    seconds = interleave({"open": Work(lambda: storage.open([str(path)], {}))}, 20)
    yield Row(
        what="opening a survey", ours="headers are not read", peer="", values=tuple(1e3 * seconds["open"]), unit="ms",
        goal=at_most(100),
    )  # fmt: skip
    survey = storage.open([str(path)], {})
    starts = np.arange(0, survey.n_traces + 1, GATHER)
    waits = []
    with GatherBrowser(survey, np.arange(survey.n_traces), starts) as shots:
        for number in range(1000 if space.quick else 4000, 0, -4):
            began = time.perf_counter()
            _ = shots[number // 4]
            waits.append(1e3 * (time.perf_counter() - began))
            time.sleep(0.005)
        counts = shots.statistics
    yield Row(
        what="next gather when browsing, 95th percentile",
        ours=f"{counts.hits} kept, {counts.waits} under way, {counts.misses} neither", peer="",
        values=(float(np.percentile(waits, 95)),), unit="ms", goal=at_most(10),
    )  # fmt: skip
