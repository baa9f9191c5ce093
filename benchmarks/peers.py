"""What a task without work costs elsewhere: pools of the standard library, loky, Ray, dask, a commit of SQLite."""

from __future__ import annotations

import importlib.util
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import attrs
import numpy as np

from benchmarks.harness import duration

WORKERS = 2

# Ray in a process of its own: what it leaves in environment and memory is not ours. Prints the columns of `Times`.
_RAY = """
import json, os, shutil, sys, tempfile, time
os.environ.update(RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0", RAY_USAGE_STATS_ENABLED="0", RAY_AUTH_MODE="token")
os.environ["RAY_AUTH_TOKEN"] = os.urandom(32).hex()
import ray
folder = tempfile.mkdtemp(prefix="rt-", dir="/tmp")
ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=80 << 20,
         log_to_driver=False, logging_level="ERROR", _temp_dir=folder)
task = ray.remote(lambda: time.monotonic_ns())
count = int(sys.argv[1])
ray.get([task.remote() for _ in range(100)])
submitted, begun, ended = [], [], []
for _ in range(count):
    began = time.monotonic_ns()
    reference = task.remote()
    submitted.append((time.monotonic_ns() - began) / 1e9)
    begun.append((ray.get(reference) - began) / 1e9)
    ended.append((time.monotonic_ns() - began) / 1e9)
began = time.monotonic_ns()
ray.get([task.remote() for _ in range(count)])
each = (time.monotonic_ns() - began) / 1e9 / count
print(json.dumps([submitted, begun, ended, each]))
ray.shutdown()
shutil.rmtree(folder, ignore_errors=True)
"""

# Likewise a dask cluster of two worker processes on this machine.
_DASK = """
import json, sys, time
from distributed import Client, LocalCluster
def now(number):
    return time.monotonic_ns()
def main(count):
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None,
                           silence_logs=50)
    with cluster, Client(cluster) as client:
        client.gather([client.submit(now, k, pure=False) for k in range(100)])
        submitted, begun, ended = [], [], []
        for k in range(count):
            began = time.monotonic_ns()
            future = client.submit(now, k, pure=False)
            submitted.append((time.monotonic_ns() - began) / 1e9)
            begun.append((future.result() - began) / 1e9)
            ended.append((time.monotonic_ns() - began) / 1e9)
        began = time.monotonic_ns()
        client.gather([client.submit(now, k, pure=False) for k in range(count)])
        print(json.dumps([submitted, begun, ended, (time.monotonic_ns() - began) / 1e9 / count]))
if __name__ == "__main__":
    main(int(sys.argv[1]))
"""


@attrs.frozen
class Times:
    """Of tasks one by one: seconds from the call until it returns, the task begins, its result is there; and seconds
    per task of very many at once."""

    submitted: list[float]
    begun: list[float]
    ended: list[float]
    each: float


def all_peers(count: int) -> dict[str, Times]:
    """The pools that are installed, by name."""
    found = {}
    for name, make in (("thread pool", ThreadPoolExecutor), ("process pool", ProcessPoolExecutor), ("loky", _loky)):
        with make(WORKERS) as pool:
            found[name] = _pool(pool, count)
    if importlib.util.find_spec("ray") is not None:
        found["Ray"] = _elsewhere(_RAY, count)
    if importlib.util.find_spec("distributed") is not None:
        found["dask"] = _elsewhere(_DASK, min(count, 500))  # 11 ms each
    return found


def _loky(workers: int) -> Executor:
    from joblib.externals.loky import ProcessPoolExecutor as Loky

    pool: Executor = Loky(workers)
    return pool


def _pool(pool: Executor, count: int) -> Times:
    for future in [pool.submit(time.monotonic_ns) for _ in range(100)]:
        future.result()
    submitted, begun, ended = [], [], []
    for _ in range(count):
        began = time.monotonic_ns()
        future = pool.submit(time.monotonic_ns)
        submitted.append((time.monotonic_ns() - began) / 1e9)
        begun.append((future.result() - began) / 1e9)
        ended.append((time.monotonic_ns() - began) / 1e9)
    each = _timed(lambda: _drain([pool.submit(time.monotonic_ns) for _ in range(count)])) / count
    return Times(submitted, begun, ended, each)


def _drain(futures: list[Future[int]]) -> None:
    for future in futures:
        future.result()


def _elsewhere(program: str, count: int) -> Times:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "peer.py")  # a file: its workers import it again
        script.write_text(program, "utf-8")
        command = [sys.executable, str(script), str(count)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    return Times(*json.loads(done.stdout.splitlines()[-1]))


@contextmanager
def _database(path: Path) -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, config TEXT)")
    try:
        yield database
    finally:
        database.close()


def commits(path: Path, count: int) -> list[float]:
    """Seconds of each durable insertion of one row of 500 bytes into a SQLite file."""
    with _database(path) as database:
        rows = [(f"{k:012x}", "x" * 500) for k in range(count)]
        return [_timed(partial(database.execute, "INSERT INTO jobs VALUES (?, ?)", row)) for row in rows]


def bulk_commit(path: Path, count: int) -> float:
    """Seconds of the durable insertion of very many such rows in one transaction."""

    def insert(database: sqlite3.Connection) -> None:
        database.execute("BEGIN IMMEDIATE")
        database.executemany("INSERT INTO jobs VALUES (?, ?)", ((f"{k:012x}", "x" * 500) for k in range(count)))
        database.execute("COMMIT")

    with _database(path) as database:
        return _timed(lambda: insert(database))


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def said(peers: dict[str, list[float]], share: float = 50) -> str:
    """Percentiles of peers, for the table."""
    return ", ".join(f"{name} {duration(float(np.percentile(seconds, share)))}" for name, seconds in peers.items())
