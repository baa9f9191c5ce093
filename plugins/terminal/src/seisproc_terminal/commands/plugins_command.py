"""``seisproc plugins``: what is installed, and what is wrong with it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import click

from seisproc_core.errors import PluginError
from seisproc_core.plugins import Described, PluginStatus, Registry, registry
from seisproc_terminal import output
from seisproc_terminal.options import json_option

_KINDS = ("processors", "kernels", "backends", "storage", "executors", "job_stores", "commands")


@click.group(invoke_without_command=True, short_help="List installed plugins, or find broken ones.")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List installed plugins, or find out what is wrong with them.

    A plugin that cannot be used is set aside whole; the others work.

    \b
    Examples:
      seisproc plugins
      seisproc plugins doctor
    """
    if ctx.invoked_subcommand is None:
        _list(as_json)


@command.command("list")
@json_option
def list_plugins(as_json: bool) -> None:
    """List installed plugins and what each provides.

    \b
    Examples:
      seisproc plugins list
      seisproc plugins list --json
    """
    _list(as_json)


def _list(as_json: bool) -> None:
    known = registry()
    facts = [_facts(known, status) for status in known.plugins]
    if as_json:
        output.document({"plugins": facts})
        return
    rows = [(f["distribution"], f["version"], f["error"] or _provided(f["provides"])) for f in facts]
    output.table(("distribution", "version", "provides"), rows)


def _provided(ids: Mapping[str, list[str]]) -> str:
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in ids.items())


def _facts(known: Registry, status: PluginStatus) -> dict[str, Any]:
    provides = {
        kind: [entry.id for entry in known.of(kind) if entry.distribution == status.distribution] for kind in _KINDS
    }
    return {
        "name": status.name,
        "distribution": status.distribution,
        "version": status.version,
        "module": status.module,
        "error": status.error,
        "provides": {kind: ids for kind, ids in provides.items() if ids},
    }


@command.command()
@json_option
def doctor(as_json: bool) -> None:
    """Load everything that plugins describe and say what does not work; exit code 1 if anything does not.

    \b
    Examples:
      seisproc plugins doctor
      seisproc plugins doctor --json
    """
    known = registry()
    broken = [
        {"distribution": status.distribution, "what": status.module, "problem": status.error}
        for status in known.plugins
        if status.error
    ]
    remarks = []
    for entry in (entry for kind in _KINDS for entry in known.of(kind)):
        try:
            remarks += _try(known, entry)
        except PluginError as error:
            broken.append(_finding(entry, str(error)))
        except Exception as error:  # whatever a third party's module raises is a finding
            broken.append(_finding(entry, f"{type(error).__name__}: {error}"))
    if as_json:
        output.document({"python": platform.python_version(), "broken": broken, "remarks": remarks})
    else:
        _print(known, broken, remarks)
    if broken:
        raise click.exceptions.Exit(1)


def _try(known: Registry, entry: Described) -> list[dict[str, str]]:
    """Load what is described; a backend is also asked whether it can run here, which is a remark, not a fault."""
    made = known.load(entry.kind, entry.id)
    if entry.kind != "backends":
        return []
    try:
        return [_finding(entry, f"usable: {made()}")]
    except PluginError as error:
        return [_finding(entry, f"not usable here: {error}")]


def _finding(entry: Described, problem: str) -> dict[str, str]:
    what = f"{entry.kind.removesuffix('s').replace('_', ' ')} {entry.id}"
    return {"distribution": entry.distribution, "what": what, "problem": problem}


def _print(known: Registry, broken: list[dict[str, str]], remarks: list[dict[str, str]]) -> None:
    output.show(f"Python {platform.python_version()} on {platform.platform()}")
    for finding in remarks:
        output.show(f"{finding['distribution']}: {finding['what']}: {finding['problem']}")
    for finding in broken:
        output.show(f"BROKEN {finding['distribution']}: {finding['what']}: {finding['problem']}")
    output.show(f"{len(known.plugins)} plugins, {len(known.entries)} descriptions, {len(broken)} problems")
