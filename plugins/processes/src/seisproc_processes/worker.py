"""A worker: one process, one segment at a time."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from seisproc_core.errors import Cancelled
from seisproc_core.execution.remote import error_to_json
from seisproc_core.specs import resolve
from seisproc_processes.wire import Channel

if TYPE_CHECKING:
    from seisproc_core.execution.executor import Receipt


def serve(channel: Channel, target: str) -> None:
    """Run segments as they are asked for, until the engine hangs up."""
    run: Callable[[str, int, int, int], Receipt] | None = None
    while True:
        try:
            requests = channel.receive()
        except EOFError:
            return
        for request in requests:
            try:
                run = run or resolve(target)
                receipt = run(request["folder"], request["stage"], request["segment"], request["slot"])
                channel.send({"receipt": receipt.to_json()})
            except BaseException as error:  # whatever it is, SystemExit too, it is the segment's and not this loop's
                if not isinstance(error, Cancelled):
                    sys.stderr.write(f"segment {request['segment']}:\n{traceback.format_exc()}\n")
                channel.send({"error": error_to_json(error)})


def volunteer_for_oom() -> None:
    """When memory runs out the kernel should take a worker, whose segment is retried, rather than the engine."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
