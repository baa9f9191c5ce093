"""``seisproc alerts``: what was told lately, the rules in force, and whether a channel works."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from seisproc_core.errors import PluginError
from seisproc_terminal import output
from seisproc_terminal.options import json_option

if TYPE_CHECKING:
    from seisproc_alerts.settings import Settings


@click.group(invoke_without_command=True, short_help="List alerts and their rules, or test a channel.")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List alerts and their rules, or test a channel. Without a sub-command: list the latest alerts.

    \b
    Examples:
      seisproc alerts
      seisproc alerts rules
      seisproc alerts test desktop
    """
    if ctx.invoked_subcommand is None:
        _list(20, as_json)


@command.command("list")
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many, at most.")
@json_option
def list_alerts(limit: int, as_json: bool) -> None:
    """List the latest alerts, newest first.

    \b
    Examples:
      seisproc alerts list
      seisproc alerts list --limit 200 --json
    """
    _list(limit, as_json)


@command.command()
@json_option
def rules(as_json: bool) -> None:
    """List the rules and channels in force, and the file that changes them.

    \b
    Examples:
      seisproc alerts rules
      seisproc alerts rules --json
    """
    import attrs

    from seisproc_alerts.settings import settings_path

    settings, described, channels = _settings(), _described("alert_rules"), _described("alert_channels")
    listed = [{"id": name, **described[name], "settings": attrs.asdict(rule)} for name, rule in settings.rules.items()]
    used = [{"id": name, **facts, "used": name in settings.channels} for name, facts in channels.items()]
    if as_json:
        file = {"path": str(settings_path()), "exists": settings_path().exists()}
        output.document({"rules": listed, "channels": used, "file": file, "problems": settings.problems})
        return
    output.table(("rule", "severity", "settings", "from", "what"), [_rule_row(rule) for rule in listed])
    output.show()
    rows = [(facts["id"], "yes" if facts["used"] else "no", facts["from"], facts["summary"]) for facts in used]
    output.table(("channel", "used", "from", "what"), rows)
    output.show()
    output.show(f"{settings_path()}{'' if settings_path().exists() else ' (not there: all as delivered)'}")
    for problem in settings.problems:
        output.remark(problem)


@command.command()
@click.argument("channel")
@json_option
def test(channel: str, as_json: bool) -> None:
    """Send a test through CHANNEL, used or not.

    \b
    Examples:
      seisproc alerts test terminal
      seisproc alerts test desktop
    """
    from seisproc_alerts.rules import MACHINE, Alert, Severity
    from seisproc_core.plugins import registry

    made = registry().load("alert_channels", channel)()
    message = "this is a test, asked for with: seisproc alerts test"
    alert = Alert(rule="test", severity=Severity.INFO, key=MACHINE, message=message, at=time.time())
    try:
        made.send(alert)
    except Exception as error:
        raise PluginError(f"channel '{channel}' does not work: {error}") from error
    if as_json:
        output.document({"channel": channel, "sent": True})
    else:
        output.show(f"sent through {channel}")


def _list(limit: int, as_json: bool) -> None:
    import attrs

    from seisproc_alerts.log import recent

    found = recent(limit)
    if as_json:
        output.document({"alerts": [attrs.asdict(alert) for alert in found]})
        return
    head = ("when", "severity", "rule", "message")
    rows = [(_local(alert.at), str(alert.severity), alert.rule, alert.message) for alert in found]
    output.table(head, rows)


def _settings() -> Settings:
    from seisproc_alerts.settings import load
    from seisproc_core.plugins import registry

    return load(registry())


def _described(kind: str) -> dict[str, dict[str, str]]:
    from seisproc_core.plugins import registry

    return {
        entry.id: {"summary": str(entry.spec["summary"]), "from": entry.distribution} for entry in registry().of(kind)
    }


def _rule_row(rule: dict[str, Any]) -> tuple[str, ...]:
    """A rule in a row: thresholds of its own first, then those that every rule has."""
    settings = dict(rule["settings"])
    severity, enabled, _ = (settings.pop(name) for name in ("severity", "enabled", "message"))
    settings["cooldown_s"] = settings.pop("cooldown_s")
    if repeat_s := settings.pop("repeat_s"):
        settings["repeat_s"] = repeat_s
    texts = [
        f"{name} = {value:g}" if isinstance(value, float) else f"{name} = {value}" for name, value in settings.items()
    ]
    return (rule["id"], str(severity), ", ".join(texts) if enabled else "off", rule["from"], rule["summary"])


def _local(at: float) -> str:
    """A moment in local time."""
    try:
        return time.strftime("%F %T", time.localtime(at))
    except (ValueError, OverflowError, OSError):
        return "?"
