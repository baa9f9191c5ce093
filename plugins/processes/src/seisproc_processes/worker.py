"""A worker: one process, one segment at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from seisproc_core.errors import Cancelled
from seisproc_core.execution.channel import Channel, Message
from seisproc_core.execution.remote import error_to_json
from seisproc_core.execution.surroundings import Surroundings
from seisproc_core.specs import resolve

if TYPE_CHECKING:
    from seisproc_core.execution.executor import Receipt

_HIGH = 100  # descriptors from here on are less likely to be closed by a step that tidies up


def serve(fd: int, target: str) -> None:
    """Run segments as they are asked for over socket `fd`, until the engine hangs up.

    Plugins are not trusted with the process: what they raise is an answer, what they change around them is put back,
    a process that they forked never comes back here, and where nothing helps this one ends after its segment, with
    ``"last": true`` in the answer.
    """
    channel = Channel(socket.socket(fileno=fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HIGH)))
    os.close(fd)
    me, surroundings = os.getpid(), Surroundings()
    while True:
        try:
            requests = channel.receive()
        except EOFError:
            return
        for request in requests:
            answer = _answer(request, target)
            if os.getpid() != me:
                os._exit(0)
            fit = surroundings.restore()
            last = {} if fit else {"last": True}
            try:
                channel.send(answer | last)
            except (TypeError, ValueError) as error:  # a receipt that is no JSON; nothing of it was sent
                channel.send({"error": error_to_json(error)} | last)
            if not fit:
                return


def _answer(request: Message, target: str) -> Message:
    try:
        run: Callable[[str, int, int, int], Receipt] = resolve(target)
        receipt = run(request["folder"], request["stage"], request["segment"], request["slot"]).to_json()
        return {"receipt": receipt}
    except BaseException as error:  # whatever it is, SystemExit too, it is the segment's and not the worker's
        if not isinstance(error, Cancelled):
            with contextlib.suppress(Exception):  # a step may have closed the stream
                sys.stderr.write(f"segment {request['segment']}:\n{traceback.format_exc()}\n")
        return {"error": error_to_json(error)}


def volunteer_for_oom() -> None:
    """When memory runs out the kernel should take a worker, whose segment is retried, rather than the engine."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
