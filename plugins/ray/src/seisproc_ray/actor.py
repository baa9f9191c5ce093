"""A worker: an actor of Ray, one process, one segment at a time. Only strings and numbers cross its border.

This module imports nothing that imports NumPy: `SegmentActor.warm` says first how many threads it may start.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import platform
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from seisproc_core import errors

CONTROL = "control"
_PATIENCE_S = 5.0  # network file systems show a new folder late
_POLL_S = 0.2  # how often the memory held is looked at


class SegmentActor:
    """What Ray makes an actor of. `watch` and `mirror` are called beside a running segment, the others in turn."""

    def __init__(self) -> None:
        self._memory_limit = 0

    def warm(self, environment: str) -> None:
        """Import what every job needs, with the numerical libraries held to what the environment (JSON) says."""
        os.environ.update(json.loads(environment))
        from seisproc_core.execution import surroundings, worker  # noqa: F401
        from seisproc_core.execution.remote import die_with
        from seisproc_core.plugins import registry

        die_with(os.getppid())  # of Ray's daemon on this node
        registry()
        self._cpu = cpu_features()

    def begin(self, job: str) -> str:
        """Take up a job: ``{"ready": ...}``, or ``{"error": ...}`` where this node cannot do its work.

        Parameters
        ----------
        job
            JSON of `folder`, `target`, `versions`, `memory_limit` and `control_file` (see `identity`).
        """
        from seisproc_core.execution.remote import error_to_json, in_words

        try:
            return json.dumps({"ready": self._begin(json.loads(job))})
        except errors.SeisprocError as error:
            return json.dumps({"error": error_to_json(error)})
        except BaseException as error:
            plain = errors.PluginError(f"node {platform.node()} cannot take up the job: {in_words(error)}")
            return json.dumps({"error": error_to_json(plain)})

    def _begin(self, job: dict[str, Any]) -> dict[str, Any]:
        from seisproc_core.execution.surroundings import Surroundings
        from seisproc_core.jobs.control import Control
        from seisproc_core.specs import resolve

        folder = Path(job["folder"])
        await_folder(folder)
        shares_memory = identity(folder / CONTROL) == job["control_file"]
        self._log = "log.txt" if shares_memory else f"log-{platform.node()}.txt"
        _write_to(folder / self._log)
        refuse_other_versions(job["versions"])
        # Where the control file is not the engine's own memory, the driver passes on what it says.
        self._control = None if shares_memory else Control()
        self._target = resolve(job["target"])
        self._surroundings = Surroundings()
        self._memory_limit = job["memory_limit"]
        return {"pid": os.getpid(), "mirrored": not shares_memory, "log": self._log, "cpu": self._cpu}

    def run(self, folder: str, stage: int, segment: int, slot: int) -> str:
        """Run one segment: ``{"receipt": ...}`` or ``{"error": ...}``, with ``"worn"`` where this process had better be
        replaced, because the segment changed what cannot be put back."""
        from seisproc_core.execution.remote import error_to_json

        more = {} if self._control is None else {"control": self._control}
        answer: dict[str, Any] = {}
        try:
            answer["receipt"] = self._target(folder, stage, segment, slot, **more).to_json()
        except BaseException as error:  # whatever it is, SystemExit too, it is the segment's and not this process's
            if not isinstance(error, errors.Cancelled):
                sys.stderr.write(f"segment {segment}:\n{traceback.format_exc()}\n")
                sys.stderr.flush()
            answer["error"] = error_to_json(error)
        answer["worn"] = not self._restored()
        return json.dumps(answer)

    def _restored(self) -> bool:
        try:
            return self._surroundings.restore()
        except ValueError:  # a signal handler, which only the main thread may put back; Ray runs us in another
            return False

    def mirror(self, command: int, slot: int) -> int:
        """Set the command byte; returns the traces done in the segment under way."""
        if self._control is None:
            return 0
        self._control.raise_command(command)
        return int(self._control.progress(slot)[0])

    def watch(self) -> int:
        """Returns the bytes of memory held once they are more than the job allows. Otherwise this call fails when the
        actor ends, however it does."""
        forever = threading.Event()
        while not forever.wait(_POLL_S):
            if self._memory_limit:
                from seisproc_core.execution.remote import anonymous_memory

                held = anonymous_memory(os.getpid())
                if held > self._memory_limit:
                    return held
        raise AssertionError("nobody sets that event")


def identity(path: Path) -> list[Any]:
    """Equal for two processes exactly when mapping `path` gives them the same memory."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        boot = platform.node()
    status = path.stat()
    return [boot, status.st_dev, status.st_ino]


def await_folder(folder: Path, patience_s: float = _PATIENCE_S) -> None:
    """Raise `StorageError` unless this node sees the job's working folder, soon at the latest."""
    deadline = time.monotonic() + patience_s
    while not (folder / CONTROL).is_file():
        if time.monotonic() > deadline:
            raise errors.StorageError(
                f"node {platform.node()} does not see {folder}: the output and all inputs must lie on a file system "
                "that every node mounts under the same path"
            )
        with contextlib.suppress(OSError):
            list(folder.parent.iterdir())  # makes a network file system look again
        time.sleep(0.1)


def refuse_other_versions(versions: dict[str, str]) -> None:
    """Raise `PluginError` unless this node has the distributions that the job was planned with."""
    from seisproc_core.plugins import registry

    known = registry()
    for name, wanted in versions.items():
        here = known.code_of(name)
        if here != wanted:
            raise errors.PluginError(
                f"node {platform.node()} has {name} {here or '(not installed)'}, the job was planned with "
                f"{wanted or 'none'}; install the same on every node, then run: seisproc resume"
            )


def cpu_features() -> str:
    """What the exact bytes of results may depend on."""
    from seisproc_core.jobs.runner import machine

    return str(machine()["cpu_features"])


def _write_to(log: Path) -> None:
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
    faulthandler.enable()
