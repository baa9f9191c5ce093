"""Which process is meant, and whether it still lives: a process id alone is given to others after a while."""

from __future__ import annotations

import functools
import os
import socket
from pathlib import Path


def identity(pid: int | None = None) -> str:
    """``host:boot:pid:start`` of a process of this machine, this one by default; "" when it is gone."""
    pid = os.getpid() if pid is None else pid
    started = _started(pid)
    return "" if started is None else f"{socket.gethostname()}:{_boot()}:{pid}:{started}"


def lives(who: str) -> bool:
    """Whether the process with this identity still runs. One on another machine is believed to."""
    host, boot, pid, started = _parts(who)
    if not host:
        return False
    if host != socket.gethostname():
        return True
    return boot == _boot() and _started(pid) == started


def pid_of(who: str) -> int:
    """The process id in an identity; 0 when it is none of this machine."""
    host, _, pid, _ = _parts(who)
    return pid if host == socket.gethostname() else 0


def _parts(who: str) -> tuple[str, str, int, str]:
    host, _, rest = who.partition(":")
    parts = rest.split(":")
    if len(parts) != 3 or not parts[1].isdigit():
        return "", "", 0, ""
    return host, parts[0], int(parts[1]), parts[2]


@functools.lru_cache(maxsize=1)
def _boot() -> str:
    """What distinguishes this start of the machine from the last one."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return "unknown"


def _started(pid: int) -> str | None:
    """When a process started, in the kernel's ticks; None when it is gone or only waits to be reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else _answers(pid)
    except (OSError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def _answers(pid: int) -> str | None:
    """Without ``/proc`` only whether there is such a process can be told."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return "0"
    return "0"
