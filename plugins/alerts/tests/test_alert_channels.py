"""Channels: each says it its own way, and one that fails or hangs stops no other."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from alerts_kit import make_alert

from seisproc_alerts.channels import Channels, Desktop, Terminal
from seisproc_alerts.log import recent
from seisproc_core.errors import PluginError
from seisproc_core.plugins import registry, resolve


def test_the_terminal_gets_one_clean_line(capsys: pytest.CaptureFixture[str]) -> None:
    import seisproc_terminal.output

    assert seisproc_terminal.output
    Terminal().send(make_alert("a\x1b[31m\nb"))
    assert capsys.readouterr().err == "seisproc: warning: a\\x1b[31m\\nb\n"


def test_in_a_program_of_somebody_else_the_terminal_is_left_alone(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "seisproc_terminal.output", raising=False)
    Terminal().send(make_alert())
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def notify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A notify-send that writes its arguments to a file, one a line."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "notify-send"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/said\nexit $NOTIFY_EXIT\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin:/usr/bin")
    monkeypatch.setenv("DISPLAY", ":7")
    monkeypatch.setenv("NOTIFY_EXIT", "0")
    return tmp_path / "said"


def test_the_desktop_is_told_without_markup(notify: Path) -> None:
    Desktop().send(make_alert("--x <b>&\n\x1bz"))
    *_, title, body = notify.read_text().splitlines()
    assert (title, body) == ("seisproc: warning", "--x &lt;b&gt;&amp;  z")
    assert "--urgency=normal" in notify.read_text()


def test_a_desktop_that_cannot_be_told_says_why(notify: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_EXIT", "3")
    with pytest.raises(PluginError, match="notify-send failed: .* exit status 3"):
        Desktop().send(make_alert())
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(PluginError, match="there is no desktop in this session"):
        Desktop().send(make_alert())
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(PluginError, match="there is no notify-send here"):
        Desktop().send(make_alert())


CHANNELS = """
    import threading
    from seisproc_core.hookspecs import hookimpl
    from seisproc_core.specs import AlertChannelSpec

    gate, sent = threading.Event(), []

    class Hanging:
        def send(self, alert):
            gate.wait(30)

    class Raising:
        def send(self, alert):
            raise RuntimeError("the pager is broken")

    class Unmakeable:
        def __init__(self):
            raise OSError

    class Pager:
        def send(self, alert):
            sent.append(alert)

    @hookimpl
    def seisproc_alert_channels():
        names = ("Hanging", "Raising", "Unmakeable", "Pager")
        return [AlertChannelSpec(id=n.lower(), impl=f"{__name__}:{n}", summary="", default=n == "Pager") for n in names]
"""


def test_a_channel_that_fails_or_hangs_stops_no_other(
    state: Path, install: Callable[[str, str], None], caplog: pytest.LogCaptureFixture
) -> None:
    install("pagers", CHANNELS)
    gate: threading.Event = resolve("pagers.plugin:gate")
    channels = Channels(registry(), ("hanging", "raising", "unmakeable", "log", "pager"))
    alerts = [make_alert(f"{n}", at=float(n)) for n in range(5)]
    for alert in alerts:
        channels.send(alert)
    assert not channels.close(timeout_s=0.5)
    gate.set()
    assert resolve("pagers.plugin:sent") == alerts
    assert recent(10) == alerts[::-1]
    assert caplog.text.count("RuntimeError: the pager is broken") == 1
    assert "alert channel 'raising' failed" in caplog.text
    assert "no alerts through 'unmakeable'" in caplog.text


def test_a_channel_of_a_plugin_is_used_as_its_spec_says(state: Path, install: Callable[[str, str], None]) -> None:
    from seisproc_alerts.settings import load

    install("pagers", CHANNELS)
    assert load(registry()).channels == ("log", "pager", "terminal")
