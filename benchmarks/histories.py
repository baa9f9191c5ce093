"""Job stores and journals with very much in them: queues of 100,000 jobs, restart, history, a million segments."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks import peers
from benchmarks.children import measured, resident_mb
from benchmarks.committing import appended
from benchmarks.harness import Row, at_least, at_most, duration
from benchmarks.job_system import LONG_S, tail
from benchmarks.one_trace import Gate, Trace, flow_of, gone
from benchmarks.workspace import Workspace
from seisproc_core.jobs.engine import Engine
from seisproc_core.jobs.journal import Journal
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.process import identity
from seisproc_core.jobs.resources import Resources
from seisproc_core.jobs.scheduler import Scheduler, Start
from seisproc_core.jobs.states import State
from seisproc_core.jobs.store import JobStore, MemoryStore, Query
from seisproc_jobstore.store import SqliteStore

QUEUED = 100_000
AT_ONCE = 64
PEER_TASKS = 1000  # enough for what one takes: dask needs 11 ms for each
SEGMENTS = 1_000_000


# -- queues


def queues(space: Workspace) -> Iterator[Row]:
    """Submit very many jobs at once, work them off, start again with all of them waiting."""
    count = space.size(QUEUED)
    for store, goal in (("memory", None), ("durable", at_least(QUEUED / 3))):
        rates = tuple(count / _child(space, "bulk", store, count)["seconds"] for _ in range(space.rounds))
        bare = count / peers.bulk_commit(gone(space.folder / "peer.sqlite"), count)
        yield Row(
            what=f"submit_all of {count:,} jobs, {store} store", ours=duration(count / float(np.median(rates))),
            peer=f"rows of 500 bytes in one SQLite commit: {bare:,.0f}/s", values=rates, unit="jobs/s", goal=goal,
        )  # fmt: skip
    for store, limit in (("memory", 5000), ("durable", 2000)):
        some = count if store == "memory" else count // 5
        rates = tuple(some / _child(space, "drain", store, some)["seconds"] for _ in range(space.rounds))
        yield Row(
            what=f"queue of {some:,} jobs through scheduler and store, {store}", ours=f"{AT_ONCE} at once", peer="",
            values=rates, unit="jobs/s", goal=at_least(limit),
        )  # fmt: skip
    waiting = [_child(space, "restart", "durable", count)["seconds"] for _ in range(space.rounds)]
    yield Row(
        what=f"restart with {count:,} jobs queued, to the first decision", ours=duration(float(np.median(waiting))),
        peer="", values=tuple(waiting), unit="s", goal=at_most(2 * count / QUEUED),
    )  # fmt: skip


def end_to_end(space: Workspace) -> Iterator[Row]:
    """Flows of one trace through the engine, from submission to result."""
    count = 1000 if space.quick else 10_000
    each = {name: times.each for name, times in peers.all_peers(PEER_TASKS).items()}
    said = ", ".join(f"{name} {1 / seconds:,.0f}" for name, seconds in each.items())
    for store in ("memory", "durable"):
        some = count if store == "memory" else count // 4
        rates = tuple(some / _child(space, "flows", store, some)["seconds"] for _ in range(space.rounds))
        yield Row(
            what=f"flows of one trace, submission to result, {store} store", ours=f"{some:,} jobs",
            peer=f"calls without work/s: {said}", values=rates, unit="jobs/s",
        )  # fmt: skip


def growth(space: Workspace) -> Iterator[Row]:
    """Memory that a job leaves behind in the program that ran it: slope over the second half of many."""
    count = 2000 if space.quick else 10_000
    for store in ("memory", "durable"):
        found = _child(space, "grown", store, count)
        yield Row(
            what=f"memory growth over {count:,} jobs, {store} store",
            ours=f"{found['first_mb']:.0f} to {found['last_mb']:.0f} MB", peer="", values=(found["kb"],), unit="KB/job",
            goal=at_most(1),
        )  # fmt: skip


def _child(space: Workspace, what: str, store: str, count: int) -> dict[str, float]:
    return measured(f"histories:{what}", store, str(space.folder / "queue.sqlite"), str(count))


def _store(kind: str, path: str) -> JobStore:
    return MemoryStore() if kind == "memory" else SqliteStore(gone(Path(path)))


def bulk(kind: str, path: str, count: str) -> dict[str, float]:
    """In a process of its own: seconds of one `Engine.submit_all`, while another job holds the CPU."""
    engine = Engine(store=_store(kind, path), executor="in-process", capacity=Resources(1, 10**12))
    engine.submit(flow_of(Gate()), priority=9)
    flows = [flow_of(Trace())] * int(count)
    began = time.perf_counter()
    engine.submit_all(flows)
    return {"seconds": time.perf_counter() - began}


def drain(kind: str, path: str, count: str) -> dict[str, float]:
    """In a process of its own: jobs from created to completed, by a driver that does nothing for them."""
    store, scheduler = _store(kind, path), Scheduler(Resources(AT_ONCE, 10**12))
    jobs = _jobs(int(count))
    began, version, left = time.perf_counter(), 0, len(jobs)
    store.add(*jobs)
    while left:
        version = _note(store, scheduler, version)
        decided = scheduler.decide(time.monotonic())
        assert all(isinstance(action, Start) for action in decided)
        for state in (State.RUNNING, State.SEALING, State.COMPLETED):
            moved = store.move_all([action.id for action in decided], state)
            assert len(moved) == len(decided)
        left -= len(decided)
    seconds = time.perf_counter() - began
    if store.unfinished():
        raise AssertionError("some jobs are not completed")
    return {"seconds": seconds}


def _note(store: JobStore, scheduler: Scheduler, version: int) -> int:
    outlines = store.changes(version)
    for outline in outlines:
        scheduler.update(outline, time.monotonic())
    return outlines[-1].version if outlines else version


def _jobs(count: int) -> list[Job]:
    config = flow_of(Trace()).to_json()
    return [Job(name="one trace", type="flow", config=config, driver=identity()) for _ in range(count)]


def restart(kind: str, path: str, count: str) -> dict[str, float]:
    """In a process of its own: from opening a store with queued jobs to the first decision of who starts."""
    with SqliteStore(gone(Path(path))) as store:
        store.add(*_jobs(int(count)))
    began = time.perf_counter()
    with SqliteStore(Path(path)) as store:
        store.lead(identity())
        scheduler = Scheduler(Resources(1, 10**12))
        for outline in store.unfinished():
            scheduler.update(outline, time.monotonic())
        decided = scheduler.decide(time.monotonic())
    if len(decided) != 1:
        raise AssertionError(f"{len(decided)} jobs would start on one CPU")
    return {"seconds": time.perf_counter() - began}


def flows(kind: str, path: str, count: str) -> dict[str, float]:
    """In a process of its own: seconds from the first submission to the last result, all at once."""
    with Engine(store=_store(kind, path), executor="in-process") as engine:
        engine.submit(flow_of(Trace())).result(LONG_S)
        began = time.perf_counter()
        for handle in [engine.submit(flow_of(Trace()), check=False) for _ in range(int(count))]:
            handle.result(10 * LONG_S)
        return {"seconds": time.perf_counter() - began}


def grown(kind: str, path: str, count: str) -> dict[str, float]:
    """In a process of its own: memory as jobs come and go, one after the other; KB a job over the second half."""
    done, mb = [], []
    with Engine(store=_store(kind, path), executor="in-process") as engine:
        for k in range(int(count)):
            engine.submit(flow_of(Trace()), check=False).result(LONG_S)
            if k % 20 == 0:
                done.append(k)
                mb.append(resident_mb())
    half = len(done) // 2
    return {"kb": 1e3 * float(np.polyfit(done[half:], mb[half:], 1)[0]), "first_mb": mb[0], "last_mb": mb[-1]}


# -- history


def history(space: Workspace) -> Iterator[Row]:
    """Questions to a history of 100,000 jobs."""
    count, repeats = space.size(QUEUED), 50
    path = gone(space.folder / "history.sqlite")
    with SqliteStore(path) as store:
        _fill(store, count)
        questions = {
            "the latest 50": Query(),
            "the latest 50 that failed": Query(states=frozenset({State.FAILED})),
            "50 after 1,000 newer ones": Query(offset=1000),
            "a word in the name, found in every tenth": Query(text="line 7"),
            "a word that is nowhere": Query(text="nowhere"),
        }
        for what, query in questions.items():
            seconds = [_timed_find(store, query) for _ in range(repeats)]
            limit = 10 if query == Query() else 100
            yield tail(f"history of {count:,} jobs: {what}", seconds, at_most(limit))


def _fill(store: SqliteStore, count: int) -> None:
    """Finished jobs of ten names: of ten, eight completed, one failed, one was cancelled."""
    config = flow_of(Trace()).to_json()
    ran = State.QUEUED, State.RUNNING
    lives = [(*ran, State.SEALING, State.COMPLETED)] * 8 + [(*ran, State.FAILED), (State.QUEUED, State.CANCELLED)]
    jobs = []
    for k in range(count):
        job = Job(name=f"line {k % 10}", type="flow", config=config)
        for state in lives[k // 10 % 10]:
            job = job.moved(state)
        jobs.append(job)
    store.add(*jobs)


def _timed_find(store: SqliteStore, query: Query) -> float:
    began = time.perf_counter()
    store.find(query)
    return time.perf_counter() - began


# -- journals


def journals(space: Workspace) -> Iterator[Row]:
    """Opening the journal of a job of a million segments, one record each."""
    count = space.size(SEGMENTS)
    path = space.fresh("long-journal")
    with path.open("wb") as file:
        file.writelines(appended(segment) for segment in range(count))
    seconds = []
    for _ in range(space.rounds):
        began = time.perf_counter()
        with Journal(path) as journal:
            seconds.append(time.perf_counter() - began)
            if len(journal.done[0]) != count:
                raise AssertionError(f"{len(journal.done[0])} of {count} segments were read")
    found = measured("histories:opened", str(path))
    path.unlink()
    rate = tuple(count / s for s in seconds)
    yield Row(
        what=f"journal of {count:,} segments, opened", ours=duration(float(np.median(seconds))), peer="", values=rate,
        unit="segments/s", goal=at_least(SEGMENTS / 5),
    )  # fmt: skip
    yield Row(
        what=f"journal of {count:,} segments, memory it takes", ours=f"{found['mb']:.0f} MB", peer="",
        values=(1e6 * found["mb"] / count,), unit="bytes/segment", goal=at_most(1000),
    )  # fmt: skip


def opened(path: str) -> dict[str, float]:
    """In a process of its own: MB that an open journal adds to the program."""
    before = resident_mb()
    with Journal(Path(path)) as journal:
        if not journal.done[0].missing(len(journal.done[0]) + 1):
            raise AssertionError("more segments than there are")
        return {"mb": resident_mb() - before}
