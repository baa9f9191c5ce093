"""The command in processes that need no second to start: each is a fork of this one, which has everything imported.

A trial of a loop starts `seisproc` four or five times, and its worker processes as often. What is killed is the same as
ever but for that: the command's own process, its nursery and its workers, each a process of its own. All of them are
descendants of this one, which adopts orphans, so that none can hide.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from seisproc_core.execution.channel import Channel
from seisproc_core.execution.remote import adopt_orphans, thread_environment
from seisproc_core.plugins import registry
from seisproc_processes import handle, nursery
from seisproc_terminal import main as terminal

_new_nursery = handle.Nursery.__init__


def prepare() -> None:
    """Import what commands and workers need; call this once, before any thread is started."""
    adopt_orphans()
    os.environ.update(thread_environment(1))
    known = registry()
    for kind in ("storage", "processors", "commands", "executors"):
        for entry in known.of(kind):
            with contextlib.suppress(Exception):  # what is not installed is not needed either
                known.load(kind, entry.id)
    for name in ("seisproc_core.execution.worker", "seisproc_core.jobs.engine", "seisproc_core.jobs.runner"):
        importlib.import_module(name)
    handle.Nursery.__init__ = _begin_nursery  # type: ignore[method-assign]


def learn(work: Callable[[], None], folder: Path) -> None:
    """Import here what some work in a child of its own finds to import, without the threads that it starts."""
    found = folder / "modules.txt"

    def note() -> int:
        work()
        found.write_text("\n".join(sys.modules))
        return 0

    assert fork(note).wait() == 0
    for name in found.read_text().split():
        if name != "__main__":
            with contextlib.suppress(Exception):
                importlib.import_module(name)


class Forked:
    """A child process with what the engine asks of one."""

    def __init__(self, pid: int) -> None:
        self.pid, self.code = pid, None

    def poll(self) -> int | None:
        return self._ended(os.WNOHANG)

    def wait(self, timeout: float | None = None) -> int | None:
        """The exit code, or None when the time is over."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._ended(os.WNOHANG if deadline else 0) is None and deadline and time.monotonic() < deadline:
            time.sleep(0.002)
        return self.code

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def _ended(self, how: int) -> int | None:
        if self.code is None:
            with contextlib.suppress(ChildProcessError):
                pid, status = os.waitpid(self.pid, how)
                self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code


def fork(work: Callable[[], int | None]) -> Forked:
    """Run `work` in a child; what it returns is the exit code."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return Forked(pid)
    code = 70
    try:
        code = work() or 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


_waiting: list[tuple[Forked, socket.socket]] = []  # a nursery, forked while its parent had one thread


def command(arguments: Sequence[str], folder: Path, log: Path, *, before: Callable[[], None] = lambda: None) -> Forked:
    """Start `seisproc ARGUMENTS` in `folder`; its output goes to `log`. `before` is called in its process."""

    def work() -> int:
        os.setsid()
        os.chdir(folder)
        null, out = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        for fd, source in enumerate((null, out, out)):
            os.dup2(source, fd)
        os.environ["SEISPROC_STATE_DIR"] = str(folder / "state")
        before()
        if "in-process" not in arguments:
            ours, theirs = socket.socketpair()
            _waiting.append((fork(lambda: _serve(ours, theirs)), ours))
            theirs.close()
        code = terminal.run(arguments)
        atexit._run_exitfuncs()
        return code

    return fork(work)


def _serve(engine: socket.socket, own: socket.socket) -> NoReturn:
    engine.close()
    nursery.main(own.detach())


def _begin_nursery(self: handle.Nursery, threads: int, folder: Path | None = None) -> None:
    """In place of the constructor that starts a new Python; where the one that waits was killed, that does."""
    if not _waiting:
        _new_nursery(self, threads, folder)
        return
    self.origin = handle.origin(threads)
    self.ready = False
    self._process, ours = _waiting.pop()  # type: ignore[assignment]
    self.channel = Channel(ours)


def descendants(of: int = 0) -> list[int]:
    """All live processes that came of this one, or of another."""
    of = of or os.getpid()
    found, look = [], [of]
    while look:
        with contextlib.suppress(OSError):
            pid = look.pop()
            for thread in Path(f"/proc/{pid}/task").iterdir():
                look += map(int, (thread / "children").read_text().split())
            if pid != of and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
                found.append(pid)
    return found


def kill(pids: Sequence[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_all() -> None:
    """Kill every descendant, and reap what this process adopted."""
    while left := descendants():
        kill(left)
        time.sleep(0.001)


def reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
