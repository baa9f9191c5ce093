"""Processes that outlive the shell: one that leads a job store, and one for every detached job it starts.

``python -m seisproc_core.jobs.service lead ADDRESS`` and ``... run ADDRESS JOB``; started by engines, not by people.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys

from seisproc_core.errors import PluginError, SeisprocError, UsageError
from seisproc_core.jobs.engine import Engine
from seisproc_core.jobs.store import JobStore
from seisproc_core.plugins import registry


def open_store(address: str) -> JobStore:
    """The job store at this address, of the best installed kind."""
    best = registry().best("job_stores")
    if best is None:
        raise PluginError("there is no durable job store; install seisproc-jobstore")
    store: JobStore = registry().load("job_stores", best.id)(address)
    return store


def lead(address: str) -> None:
    """Lead until no detached job is left to run."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with contextlib.closing(open_store(address)) as store, Engine(store=store) as engine:
        engine.lead_until_idle()


def run(address: str, job_id: str) -> int:
    """Run one detached job to its end or its pause."""
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
