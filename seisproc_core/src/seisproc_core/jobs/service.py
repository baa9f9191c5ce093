"""Processes that outlive the shell: one that leads a job store, and one for every detached job it starts.

``python -m seisproc_core.jobs.service lead ADDRESS`` and ``... run ADDRESS JOB``; started by engines, not by people.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time

from seisproc_core.errors import PluginError, SeisprocError, UsageError
from seisproc_core.jobs.store import JobStore
from seisproc_core.places import state_folder
from seisproc_core.plugins import registry

START_S = 20.0  # for a process to come up on a busy machine


def open_store(address: str) -> JobStore:
    """The job store at this address, of the best installed kind."""
    best = registry().best("job_stores")
    if best is None:
        raise PluginError("there is no durable job store; install seisproc-jobstore")
    store: JobStore = registry().load("job_stores", best.id)(address)
    return store


def start(*arguments: str, job_id: str = "") -> subprocess.Popen[bytes]:
    """Start such a process, in a session of its own; what it prints goes to a log in the state folder."""
    logs = state_folder() / "logs"
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (logs / f"{job_id or 'engine'}.txt").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", __spec__.name if __spec__ else __name__, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )


def ensure_leader(store: JobStore) -> None:
    """Have a process lead the store: the one that does, or a new one.

    Raises
    ------
    PluginError
        The store cannot be opened by another process.
    SeisprocError
        The process does not come up.
    """
    if store.leader():
        return
    if not store.address:
        raise PluginError("detached jobs need a durable job store; install seisproc-jobstore")
    child = start("lead", store.address)
    deadline = time.monotonic() + START_S
    while not store.leader():
        if child.poll() is not None and not store.leader() and child.returncode:
            raise SeisprocError(f"the engine did not start; see {state_folder() / 'logs' / 'engine.txt'}")
        if child.returncode == 0:
            return  # another one was faster, and is done already
        if time.monotonic() > deadline:
            raise SeisprocError(f"the engine did not start within {START_S:g} s; is the machine overloaded?")
        time.sleep(0.01)


def lead(address: str) -> None:
    """Lead until no detached job is left to run."""
    from seisproc_core.jobs.engine import Engine

    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with contextlib.closing(open_store(address)) as store, Engine(store=store) as engine:
        engine.lead_until_idle()


def run(address: str, job_id: str) -> int:
    """Run one detached job to its end or its pause."""
    from seisproc_core.jobs.engine import Engine

    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with contextlib.closing(open_store(address)) as store, Engine(store=store) as engine:
        handle = engine.adopt(job_id)
        # A service manager that ends everything: what is in flight is lost, what is journalled is not.
        signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
        handle.wait()
    return 0


def main(arguments: list[str]) -> int:
    """Entry point; errors go to the log."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    try:
        match arguments:
            case ["lead", address]:
                lead(address)
                return 0
            case ["run", address, job_id]:
                return run(address, job_id)
        raise UsageError("usage: lead ADDRESS | run ADDRESS JOB")
    except SeisprocError as error:
        logging.getLogger(__name__).error("%s", error)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
