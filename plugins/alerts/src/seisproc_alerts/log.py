"""The log of alerts, one JSON object a line, and the note of what was told lately: both shared by all processes of a
user."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from seisproc_alerts.rules import DAY_S, Alert, Severity
from seisproc_core.places import state_folder

MAX_BYTES = 1 << 20
KEPT = 3  # files beside the present one
_LONGEST = 4096  # characters of a message


def log_path() -> Path:
    return state_folder() / "alerts.log"


def append(alert: Alert, path: Path | None = None) -> None:
    """Add a line to the log; a full log becomes ``alerts.log.1``, and the oldest of these goes."""
    path = path or log_path()
    plain = attrs.asdict(attrs.evolve(alert, message=alert.message[:_LONGEST]))
    line = json.dumps(plain).encode("ascii") + b"\n"
    with _locked(path) as handle:
        if os.fstat(handle).st_size + len(line) > MAX_BYTES:
            for number in range(KEPT, 0, -1):
                older = _numbered(path, number - 1)
                if older.exists():
                    os.replace(older, _numbered(path, number))
            with _locked(path) as fresh:
                os.write(fresh, line)
        else:
            os.write(handle, line)


def recent(limit: int, path: Path | None = None) -> list[Alert]:
    """The latest alerts, newest first. Lines that are none are passed over."""
    path = path or log_path()
    found: list[Alert] = []
    for number in range(KEPT + 1):
        for line in reversed(_tail(_numbered(path, number))):
            alert = _alert(line)
            if alert is not None:
                found.append(alert)
            if len(found) == limit:
                return found
    return found


def claim(alert: Alert, cooldown_s: float, who: str, path: Path | None = None) -> bool:
    """Whether `who` is to tell this: False when another one did within the cooldown. One that cannot note it tells."""
    path = path or state_folder() / "alerts.told"
    name = f"{alert.rule} {alert.key}"
    try:
        with _locked(path) as handle:
            told = _until(os.read(handle, MAX_BYTES), alert.at)
            if name in told and told[name][1] != who:
                return False
            if cooldown_s > 0:
                told[name] = (alert.at + cooldown_s, who)
                os.ftruncate(handle, 0)
                os.pwrite(handle, json.dumps(told).encode("ascii"), 0)
    except OSError:
        return True
    return True


def _until(content: bytes, now: float) -> dict[str, tuple[float, str]]:
    """What was told: until when no other one tells it again, and by whom; nothing of what is damaged."""
    try:
        entries = json.loads(content).items()
    except (ValueError, RecursionError, AttributeError):
        return {}
    return {
        name: (float(entry[0]), str(entry[1]))
        for name, entry in entries
        if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], float)
        # A clock that was set back would keep alerts away for long.
        if now < entry[0] <= now + DAY_S
    }


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The file under this name, open for reading and appending, and ours alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        handle = os.open(path, flags, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), os.stat(path)):  # else it was renamed while we waited
                    yield handle
                    return
        finally:
            os.close(handle)


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}") if number else path


def _tail(path: Path) -> list[bytes]:
    try:
        if not path.is_file():
            return []
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 2 * MAX_BYTES))
            return file.read(2 * MAX_BYTES).splitlines()
    except OSError:
        return []


def _alert(line: bytes) -> Alert | None:
    try:
        plain: dict[str, Any] = json.loads(line)
        alert = Alert(**{**plain, "severity": Severity(plain["severity"])})
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    texts = all(isinstance(text, str) for text in (alert.rule, alert.key, alert.message))
    numbers = isinstance(alert.at, (int, float)) and math.isfinite(alert.at)
    return alert if texts and numbers else None
