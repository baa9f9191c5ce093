"""Starting processes that outlive the shell: one that leads a job store, and one for every detached job (`service`)."""

from __future__ import annotations

import subprocess
import sys
import time

from seisproc_core.errors import PluginError, SeisprocError
from seisproc_core.jobs.store import JobStore
from seisproc_core.places import state_folder

START_S = 20.0  # for a process to come up on a busy machine


def start(*arguments: str, job_id: str = "") -> subprocess.Popen[bytes]:
    """Start such a process, in a session of its own; what it prints goes to a log in the state folder."""
    logs = state_folder() / "logs"
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (logs / f"{job_id or 'engine'}.txt").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "seisproc_core.jobs.service", *arguments],
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
