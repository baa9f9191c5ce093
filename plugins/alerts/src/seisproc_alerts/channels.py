"""The ways alerts take: each is used alone, in a thread of its own, so that one that fails or hangs stops no other."""

from __future__ import annotations

import html
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Protocol

from seisproc_alerts import log
from seisproc_alerts.rules import Alert, Severity
from seisproc_core.errors import PluginError, SeisprocError
from seisproc_core.jobs.events import EventBus
from seisproc_core.plugins import Registry

logger = logging.getLogger(__name__)


class Channel(Protocol):
    """Tells people. Raises `PluginError` where it cannot work, saying why."""

    def send(self, alert: Alert) -> None: ...


class Log:
    """A line of JSON in ``alerts.log`` of the state folder."""

    def send(self, alert: Alert) -> None:
        log.append(alert)


class Terminal:
    """A line on stderr of the seisproc command that runs; in other programs, which have their own ways, nothing."""

    def send(self, alert: Alert) -> None:
        output = sys.modules.get("seisproc_terminal.output")
        if output is not None:
            output.remark(f"{alert.severity}: {alert.message}")


class Desktop:
    """A notification of the desktop, through ``notify-send``."""

    def send(self, alert: Alert) -> None:
        program = shutil.which("notify-send")
        if program is None:
            raise PluginError("there is no notify-send here; install libnotify")
        if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise PluginError("there is no desktop in this session (DISPLAY and WAYLAND_DISPLAY are not set)")
        urgency = {Severity.INFO: "low", Severity.WARNING: "normal", Severity.CRITICAL: "critical"}[alert.severity]
        # The body may hold markup, so nothing in the message may be any.
        body = html.escape("".join(c if c.isprintable() else " " for c in alert.message))
        command = [program, "--app-name=seisproc", f"--urgency={urgency}", "--", f"seisproc: {alert.severity}", body]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=5, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.SubprocessError) as error:
            raise PluginError(f"notify-send failed: {error}") from error


class Channels:
    """The channels in use. They are made at the first alert: most jobs give no cause for any.

    Parameters
    ----------
    names
        Ids of the channels.
    """

    def __init__(self, known: Registry, names: tuple[str, ...]) -> None:
        self._known = known
        self._names = names
        self._bus: EventBus | None = None

    def send(self, alert: Alert, *, but: str = "") -> None:
        """Hand an alert to every channel `but` one, without waiting for any."""
        if self._bus is None:
            self._bus = EventBus()
            for name in self._names:
                try:
                    channel: Channel = self._known.load("alert_channels", name)()
                except Exception as error:
                    logger.warning("no alerts through '%s': %s: %s", name, type(error).__name__, error)
                    continue
                self._bus.subscribe(_sender(name, channel))
        self._bus.publish((alert, but))

    def close(self, timeout_s: float = 5.0) -> bool:
        """Wait until everything is sent; False when some channel has not come back in time."""
        return self._bus is None or self._bus.close(timeout_s=timeout_s)


def _sender(name: str, channel: Channel) -> Callable[[tuple[Alert, str]], None]:
    def send(event: tuple[Alert, str]) -> None:
        alert, but = event
        if name == but:
            return
        try:
            channel.send(alert)
        except (SeisprocError, OSError) as error:  # reasons for people; anything else is logged with its traceback
            logger.warning("an alert did not go through '%s': %s", name, error)

    send.__qualname__ = f"alert channel '{name}'"  # what the log calls it
    return send
