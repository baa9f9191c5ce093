"""The executor ``ray``: what starting, handing out segments and stopping cost, against Ray's own tasks."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial

import numpy as np

from benchmarks.harness import Goal, Row, against, at_most, duration
from benchmarks.ray_segments import no_op
from benchmarks.workspace import Workspace
from seisproc_core.errors import Cancelled
from seisproc_core.execution.executor import Task
from seisproc_core.jobs.control import CANCEL, Control

SEGMENTS, REPEATS, WORKERS, GRACE_S = 1000, 10, 2, 0.5
_SETTLE_S = 5.0  # in which a local Ray makes actors ready for the next job

# Ray's own tasks, in a process and a Ray of their own; one line asked for, one line of seconds given.
_RAW = """
import os, shutil, sys, tempfile, time
os.environ.update(RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0", RAY_USAGE_STATS_ENABLED="0", RAY_AUTH_MODE="token")
os.environ["RAY_AUTH_TOKEN"] = os.urandom(32).hex()
import ray
folder = tempfile.mkdtemp(prefix="rt-", dir="/tmp")
ray.init(address="local", num_cpus=int(sys.argv[1]), include_dashboard=False, object_store_memory=80 << 20,
         log_to_driver=False, logging_level="ERROR", _temp_dir=folder)
def no_op(folder, stage, segment, slot):
    return '{"segment": 0, "pieces": [], "traces_in": 0, "traces_out": 0}'
task = ray.remote(no_op)
print("ready", flush=True)
for line in sys.stdin:
    began = time.perf_counter()
    ray.get([task.remote("/a/folder", 0, segment, 1) for segment in range(int(line))])
    print(time.perf_counter() - began, flush=True)
ray.shutdown()
shutil.rmtree(folder, ignore_errors=True)
"""


def ray_jobs(space: Workspace) -> Iterator[Row]:
    """A local Ray: cold and warm start, segments without work against Ray's own tasks, cancel."""
    missing = [name for name in ("ray", "seisproc_ray") if importlib.util.find_spec(name) is None]
    if missing:
        yield Row(
            what="jobs on Ray", ours=f"not run: {missing[0]} is not installed", peer="", values=(0.0,), unit="runs"
        )
        return
    os.environ["SEISPROC_RAY_KEEP_S"] = "300"
    from seisproc_ray import bridge

    try:
        yield _latency("cold start of Ray to the first segment done", [_first(space, "cold")], at_most(5.0))
        time.sleep(_SETTLE_S)
        yield _latency("warm: job to its first segment done, Ray", _settled(space, "warm"), at_most(0.030))
        yield from _against_tasks(space)
        for what, limit in (("polls", 0.3), ("deaf", GRACE_S + 0.5)):
            yield _latency(f"cancel on Ray, segments that {what}", _cancels(space, what), at_most(limit))
    finally:
        bridge.close()


def _latency(what: str, seconds: list[float], goal: Goal | None) -> Row:
    """A row whose value is the worst but one in a hundred."""
    worst = float(np.percentile(seconds, 99))
    values = (worst,)
    return Row(
        what=what, ours=f"p99 {duration(worst)}, median {duration(float(np.median(seconds)))}", peer="",
        values=values, unit="s", goal=goal,
    )  # fmt: skip


def _task(space: Workspace, name: str) -> Task:
    folder = space.folder / f"ray-{name}-{time.monotonic_ns()}"
    folder.mkdir()
    control = Control(folder / "control", create=True)
    return Task(folder=folder, stage=0, compute=partial(partial, no_op, "", 0), control=control, workers=WORKERS)


def _run(task: Task, what: str, segments: int) -> list[float]:
    """Run a stage of such segments; seconds from its start to each receipt."""
    from seisproc_ray.executor import RayActors

    seconds: list[float] = []
    began = time.perf_counter()
    executor = RayActors(target=f"benchmarks.ray_segments:{what}", grace_s=GRACE_S)
    try:
        executor.run(task, range(segments), lambda receipt: seconds.append(time.perf_counter() - began))
    finally:
        executor.close()
    return seconds


def _first(space: Workspace, name: str) -> float:
    return _run(_task(space, name), "no_op", WORKERS)[0]


def _settled(space: Workspace, name: str) -> list[float]:
    seconds = []
    for _ in range(max(REPEATS, space.rounds)):
        seconds.append(_first(space, name))
        time.sleep(_SETTLE_S)
    return seconds


def _against_tasks(space: Workspace) -> Iterator[Row]:
    """Both in turn, each with workers that are at work already: from the first result to the last."""
    raw = subprocess.Popen(
        [sys.executable, "-c", _RAW, str(WORKERS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert raw.stdin is not None and raw.stdout is not None
    while raw.stdout.readline().strip() != "ready":
        if raw.poll() is not None:
            raise RuntimeError("Ray did not start")
    ours, tasks = [], []
    try:
        for number in range(-1, max(5, space.rounds)):
            receipts = _run(_task(space, "many"), "no_op", SEGMENTS)
            print(SEGMENTS, file=raw.stdin, flush=True)
            raw_seconds = float(raw.stdout.readline())
            if number >= 0:  # the first round warms up
                ours.append((receipts[-1] - receipts[0]) * SEGMENTS / (SEGMENTS - 1))
                tasks.append(raw_seconds)
    finally:
        raw.stdin.close()
        raw.wait(60)
    yield against(
        "segments without work on Ray", np.array(ours), "Ray's own tasks", np.array(tasks),
        goal=at_most(1.5), amount=(SEGMENTS, "segments"),
    )  # fmt: skip


def _cancels(space: Workspace, what: str) -> list[float]:
    seconds = []
    for _ in range(max(REPEATS, space.rounds)):
        task = _task(space, what)
        raised: list[float] = []

        def cancel(task: Task = task, raised: list[float] = raised) -> None:
            while task.control.in_flight() < WORKERS:
                time.sleep(0.005)
            time.sleep(0.1)
            raised.append(time.perf_counter())
            task.control.raise_command(CANCEL)

        thread = threading.Thread(target=cancel)
        thread.start()
        try:
            _run(task, what, 2 * WORKERS)
        except Cancelled:
            seconds.append(time.perf_counter() - raised[0])
        thread.join()
    return seconds
