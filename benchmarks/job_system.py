"""The job system's latencies: submitting, beginning, telling, withdrawing; and a crowd of jobs at once."""

from __future__ import annotations

import contextlib
import importlib.util
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks import peers
from benchmarks.children import measured, resident_mb
from benchmarks.harness import Goal, Row, at_most, duration, number
from benchmarks.one_trace import Gate, Trace, disk_flow, flow_of, gone
from benchmarks.victims import BEAT_TIMES, BEATS, beating
from benchmarks.workspace import Workspace
from seisproc_core.errors import UsageError
from seisproc_core.execution.executor import Executor, Receipt, Task
from seisproc_core.jobs.control import Control
from seisproc_core.jobs.engine import Engine
from seisproc_core.jobs.events import JobProgress
from seisproc_core.jobs.handle import JobHandle
from seisproc_core.jobs.resources import Resources
from seisproc_core.jobs.states import FINAL, State
from seisproc_core.jobs.store import JobStore, MemoryStore
from seisproc_jobstore.store import SqliteStore
from seisproc_processes.executor import Processes

IN_FLIGHT = 1000
COLD_STARTS = 5
LONG_S = 60.0
_POLL_S = 0.0003


def tail(what: str, seconds: list[float], goal: Goal | None, *, share: float = 99, peer: str = "") -> Row:
    """A row whose value is a percentile, in ms."""
    ms = 1e3 * float(np.percentile(seconds, share))
    ours = f"median {duration(float(np.median(seconds)))} of {len(seconds)}, largest {duration(max(seconds))}"
    return Row(what=f"{what}, p{share:g}", ours=ours, peer=peer, values=(ms,), unit="ms", goal=goal)


# -- submitting


def submitting(space: Workspace) -> Iterator[Row]:
    """How long `Engine.submit` takes until the job is durable: alone, and with 1,000 jobs in flight."""
    count = 300 if space.quick else 3000
    others = {name: times.submitted for name, times in peers.all_peers(count).items()}
    others["SQLite commit"] = peers.commits(space.fresh("peer.sqlite"), count)
    survey = space.survey(100, 500)
    kinds: dict[str, Callable[[Engine, int], JobHandle]] = {
        "planned when it starts": lambda engine, k: engine.submit(flow_of(Trace()), check=False),
        "planned": lambda engine, k: engine.submit(flow_of(Trace())),
    }
    for how, submit in kinds.items():
        for crowded in (False, True):
            what = f"submit, durable, {how}, {f'{IN_FLIGHT:,} in flight' if crowded else 'alone'}"
            with _durable(space) as store, Engine(store=store, executor="in-process") as engine:
                seconds = (_among_others if crowded else _alone)(engine, submit, count)
            yield tail(what, seconds, at_most(1), share=50, peer=peers.said(others))
            yield tail(what, seconds, at_most(10), peer=peers.said(others, 99))
    with _durable(space) as store, Engine(store=store, executor="in-process") as engine:
        few = count // 10
        copies = [disk_flow(survey, space.folder / f"copy-{k}.seis") for k in range(few)]
        seconds = _alone(engine, lambda engine, k: engine.submit(copies[k]), few)
    for k in range(few):
        gone(space.folder / f"copy-{k}.seis")
    yield tail("submit, durable, planned, its output's working folder made and synced, alone", seconds, None, share=50)


@contextlib.contextmanager
def _durable(space: Workspace) -> Iterator[JobStore]:
    for suffix in ("", "-wal", "-shm"):
        gone(space.folder / f"jobs.sqlite{suffix}")
    with SqliteStore(space.folder / "jobs.sqlite") as store:
        yield store


def _alone(engine: Engine, submit: Callable[[Engine, int], JobHandle], count: int) -> list[float]:
    engine.submit(flow_of(Trace())).result(LONG_S)
    seconds = []
    for k in range(count):
        began = time.perf_counter()
        handle = submit(engine, k)
        seconds.append(time.perf_counter() - began)
        handle.result(LONG_S)
    return seconds


def _among_others(engine: Engine, submit: Callable[[Engine, int], JobHandle], count: int) -> list[float]:
    """While the engine works them off: a job is submitted whenever one has ended."""
    room = threading.Semaphore(IN_FLIGHT)
    seconds = []
    for k in range(IN_FLIGHT + count):
        room.acquire()
        began = time.perf_counter()
        handle = submit(engine, k)
        seconds.append(time.perf_counter() - began)
        handle.call_at_end(room.release)
    return seconds[IN_FLIGHT:]


# -- beginning


def beginning(space: Workspace) -> Iterator[Row]:
    """From the call of `Engine.submit` to the first segment under way, by executor; durable store."""
    count = 100 if space.quick else 500
    times = peers.all_peers(count)
    begun = {name: found.begun for name, found in times.items()}
    survey = space.survey(100, 500)
    for executor in ("in-process", "threads"):
        with _durable(space) as store, Engine(store=store, executor=executor) as engine:
            seconds = [_to_reading(engine) for _ in range(count)]
        only = peers.said({"thread pool": begun["thread pool"]}, 99)
        yield tail(f"submit to running, {executor}, warm", seconds[1:], at_most(10), peer=only)
    peer = peers.said({name: begun[name] for name in ("process pool", "loky")}, 99)
    with _durable(space) as store, Engine(store=store, executor="processes", workers=1) as engine:
        warm = [_to_segment(space, engine, survey) for _ in range(max(10, count // 5) + 1)][1:]
    after = [acknowledged for _, acknowledged in warm]
    yield tail("submit to running, processes, warm, from the acknowledgement", after, at_most(20), peer=peer)
    yield tail("submit to running, processes, warm, from the call", [s for s, _ in warm], None, peer=peer)
    if importlib.util.find_spec("seisproc_ray") is not None:
        with _durable(space) as store, Engine(store=store, executor="ray", workers=1) as engine:
            warm = [_to_segment(space, engine, survey) for _ in range(max(10, count // 25) + 1)][1:]
        peer = peers.said({name: begun[name] for name in ("Ray", "dask") if name in begun}, 99)
        what = "submit to running, ray, jobs that follow one another at once, from the call"
        yield tail(what, [s for s, _ in warm], None, peer=peer)  # each waits for a worker of its own; warm: `ray`
    cold = []
    for _ in range(COLD_STARTS):
        with _durable(space) as store, Engine(store=store, executor="processes", workers=1) as engine:
            cold.append(_to_segment(space, engine, survey)[1])
    yield tail("submit to running, processes, cold", cold, at_most(400))


def _to_reading(engine: Engine) -> float:
    survey, began = Trace(), time.monotonic_ns()
    engine.submit(flow_of(survey), check=False).result(LONG_S)
    return (survey.read_ns - began) / 1e9


def _to_segment(space: Workspace, engine: Engine, survey: Path) -> tuple[float, float]:
    """Seconds from the call, and from its return, to a worker's first sign of life in a segment."""
    out = gone(space.folder / "begun.seis")
    called = time.monotonic()
    handle = engine.submit(disk_flow(survey, out))
    submitted = time.monotonic()
    assert handle.prepared is not None
    control = handle.prepared.run.control
    while not (workers := control.workers()) and not handle.ended:
        time.sleep(_POLL_S)
    begun = time.monotonic() - (workers[0].idle_s if workers else 0.0)
    handle.result(LONG_S)
    return begun - called, begun - submitted


# -- telling


def telling(space: Workspace) -> Iterator[Row]:
    """What progress costs the worker, and how soon it is heard of: in process, across processes, beside a sleeper."""
    beats = 20_000 if space.quick else 200_000
    control = Control(space.folder / "beats", create=True)
    seconds = _beats(control, beats)
    yield Row(
        what="progress event, in the worker", ours=f"of {beats:,} beats", peer="", values=tuple(1e6 * seconds),
        unit="us", goal=at_most(20),
    )  # fmt: skip
    survey = space.survey(2 * BEATS, 500)
    for executor, limit in (("in-process", 5.0), ("processes", 50.0)):
        for sleeper in (False, True):
            delays, beating_s = _delays(space, survey, executor, sleeper=sleeper)
            beside = ", beside a subscriber that sleeps" if sleeper else ""
            yield tail(f"progress delivered, {executor}{beside}", delays, at_most(limit))
            if sleeper:
                yield Row(
                    what=f"progress event in the worker, {executor}{beside}", ours=f"of {len(beating_s)}", peer="",
                    values=(1e6 * float(np.median(beating_s)),), unit="us", goal=at_most(20),
                )  # fmt: skip


def _beats(control: Control, count: int) -> np.ndarray:
    """Seconds per beat, of five series."""
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(count // 5):
            control.beat(1, 1)
        seconds.append((time.perf_counter() - began) / (count // 5))
    return np.array(seconds)


class _Beating:
    """An executor whose one segment beats, in the calling thread."""

    def run(self, task: Task, segments: Sequence[int], done: Callable[[Receipt], None]) -> None:
        for segment in segments:
            done(beating(str(task.folder), task.stage, segment, 1))


def _delays(space: Workspace, survey: Path, executor: str, *, sleeper: bool) -> tuple[list[float], list[float]]:
    """Seconds from a beat in the worker to its report to a subscriber, and seconds that each beat took."""
    out, heard = gone(space.folder / "beaten.seis"), list[tuple[int, int]]()
    with Engine(store=MemoryStore(), executor=executor, workers=1) as engine:
        made: Executor = _Beating() if executor == "in-process" else Processes(target="benchmarks.victims:beating")
        engine._supervisor._executors[executor] = made  # the engine makes its own from a name
        engine.events.subscribe(lambda event: heard.append((event.done, time.monotonic_ns())), only=JobProgress)
        if sleeper:
            engine.events.subscribe(lambda event: time.sleep(0.2), only=JobProgress)
        handle = engine.submit(disk_flow(survey, out))
        handle.wait(LONG_S)
    begun, ended = np.load(space.folder / BEAT_TIMES).tolist()
    if not heard:
        raise RuntimeError("no progress was reported")
    delays = [(at - ended[done - 1]) / 1e9 for done, at in heard if 0 < done <= len(ended)]
    return delays, [(end - begin) / 1e9 for begin, end in zip(begun, ended, strict=True)]


# -- withdrawing


def withdrawing(space: Workspace) -> Iterator[Row]:
    """Cancel of queued and of paused jobs, and how many of them began all the same."""
    count = 200 if space.quick else 2000
    for name, make in (("memory", MemoryStore), ("durable", lambda: SqliteStore(gone(space.folder / "cancel.sqlite")))):
        store: JobStore = make()
        for paused in (False, True):
            seconds, began = _withdrawn(store, count, paused=paused)
            state = "paused" if paused else "queued"
            yield tail(f"cancel, {state}, {name} store", seconds, at_most(10))
            what = f"jobs that began after their cancel, {state}, {name} store"
            yield Row(what=what, ours=f"of {count}", peer="", values=(began,), unit="jobs", goal=at_most(0))
        store.close()


def _withdrawn(store: JobStore, count: int, *, paused: bool) -> tuple[list[float], int]:
    """Seconds that each cancel took, of jobs behind one that holds the only CPU; and how many began after that."""
    gate = Gate()
    with Engine(store=store, executor="in-process", capacity=Resources(1, 10**12)) as engine:
        engine.submit(flow_of(gate), priority=9)
        handles = engine.submit_all([flow_of(Trace())] * count)
        if paused:
            for handle in handles:
                handle.pause()
        seconds = [_timed_cancel(handle) for handle in handles]
        gate.opened.set()
        engine.submit(flow_of(Trace())).result(LONG_S)  # by now the others would have had their turn
        histories = [{event.state for event in handle.job.events} for handle in handles]
    return seconds, sum(State.RUNNING in states or State.CANCELLED not in states for states in histories)


def _timed_cancel(handle: JobHandle) -> float:
    began = time.perf_counter()
    handle.cancel()
    return time.perf_counter() - began


# -- a crowd


def crowd(space: Workspace) -> Iterator[Row]:
    """1,000 jobs running at once, a fifth cancelled at random moments; in a program of its own."""
    for store in ("memory", "durable"):
        found = measured("job_system:crowd_of", store, str(space.folder), str(IN_FLIGHT))
        what = f"{IN_FLIGHT:,} concurrent jobs, {store} store"
        ours = f"{found['completed']:.0f} completed, {found['cancelled']:.0f} cancelled, {duration(found['seconds'])}"
        for title, name, unit, goal in (
            ("lost", "lost", "jobs", at_most(0)), ("ended twice, or otherwise than told", "wrong", "jobs", at_most(0)),
            ("memory of the program", "rss_mb", "MB", at_most(300)),
        ):  # fmt: skip
            yield Row(what=f"{what}: {title}", ours=ours, peer="", values=(found[name],), unit=unit, goal=goal)
        ours = f"so many at once: {number(found['at_once'])}"
        yield Row(what=f"{what}: begun", ours=ours, peer="", values=(found["at_once"],), unit="jobs")


def crowd_of(kind: str, folder: str, count: str) -> dict[str, float]:
    """In a process of its own: jobs that wait at gates, opened one by one or cancelled; what became of them."""
    total, random = int(count), np.random.default_rng(7)
    store: JobStore = MemoryStore() if kind == "memory" else SqliteStore(gone(Path(folder, "crowd.sqlite")))
    began, peak, at_once = time.perf_counter(), 0.0, 0
    with Engine(store=store, executor="in-process", capacity=Resources(total, 10**15)) as engine:
        gates = [Gate(0.1) for _ in range(total)]
        handles = engine.submit_all([flow_of(gate) for gate in gates])
        deadline = time.monotonic() + LONG_S
        while at_once < total and time.monotonic() < deadline:
            at_once = sum(outline.state is State.RUNNING for outline in store.unfinished())
            time.sleep(0.05)
        peak = resident_mb()
        told = set(random.choice(total, total // 5, replace=False).tolist())
        for k in random.permutation(total).tolist():
            if k in told:
                with contextlib.suppress(UsageError):
                    engine.cancel(handles[k].id)
            else:
                gates[k].opened.set()
        ended = [handle.wait(LONG_S) for handle in handles]
        peak = max(peak, resident_mb())
        jobs = [handle.job for handle in handles]
    wanted = [State.CANCELLED if k in told else State.COMPLETED for k in range(total)]
    finals = [sum(event.state in FINAL for event in job.events) for job in jobs]
    wrong = sum(n > 1 or job.state is not want for n, job, want in zip(finals, jobs, wanted, strict=True) if n)
    states = [job.state for job in jobs]
    found = {
        "lost": sum(n == 0 for n in finals) + ended.count(False), "wrong": wrong, "rss_mb": peak, "at_once": at_once,
        "completed": states.count(State.COMPLETED), "cancelled": states.count(State.CANCELLED),
        "seconds": time.perf_counter() - began,
    }  # fmt: skip
    store.close()
    return found
