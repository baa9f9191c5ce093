"""What this distribution offers to seisproc."""

from __future__ import annotations

from seisproc_core.hookspecs import hookimpl
from seisproc_core.specs import AlertChannelSpec, AlertRuleSpec, CommandSpec, ObserverSpec

_RULES = {
    "memory-high": ("MemoryHigh", "most of the machine's memory is in use"),
    "memory-critical": ("MemoryCritical", "nearly all of the machine's memory is in use"),
    "job-stuck": ("JobStuck", "a job makes no progress"),
    "job-failed": ("JobFailed", "a job failed"),
    "repeated-failures": ("RepeatedFailures", "jobs of one name fail again and again"),
}


@hookimpl
def seisproc_observers() -> list[ObserverSpec]:
    return [ObserverSpec(id="alerts", impl="seisproc_alerts.observer:AlertObserver")]


@hookimpl
def seisproc_alert_rules() -> list[AlertRuleSpec]:
    return [
        AlertRuleSpec(id=name, impl=f"seisproc_alerts.standard:{rule}", summary=text)
        for name, (rule, text) in _RULES.items()
    ]


@hookimpl
def seisproc_alert_channels() -> list[AlertChannelSpec]:
    where = "seisproc_alerts.channels"
    return [
        AlertChannelSpec(id="log", impl=f"{where}:Log", summary="a line in the log of alerts", default=True),
        AlertChannelSpec(
            id="terminal", impl=f"{where}:Terminal", summary="a line under the command that runs", default=True
        ),
        AlertChannelSpec(id="desktop", impl=f"{where}:Desktop", summary="a notification of the desktop (notify-send)"),
    ]


@hookimpl
def seisproc_commands() -> list[CommandSpec]:
    return [
        CommandSpec(
            name="alerts",
            impl="seisproc_alerts.commands.alerts_command:command",
            help="List alerts and their rules, or test a channel.",
        ),
        CommandSpec(
            name="top", impl="seisproc_alerts.commands.top_command:command", help="Watch the machine and running jobs."
        ),
    ]
