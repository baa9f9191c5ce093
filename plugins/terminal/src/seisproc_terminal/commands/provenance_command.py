"""``seisproc provenance``: how a survey was made, step by step, back to the field files."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from seisproc_core.plugins import registry
from seisproc_terminal import output
from seisproc_terminal.options import json_option
from seisproc_terminal.yaml_text import yaml_lines

_LONGEST = 100


@click.command(short_help="Show how a survey was made.")
@click.argument("survey", type=click.Path(path_type=Path))
@click.option("--verify", is_flag=True, help="Exit code 1 if an input of the chain has changed or is gone.")
@click.option("--yaml", "as_yaml", is_flag=True, help="Print the records as YAML.")
@json_option
def command(survey: Path, verify: bool, as_yaml: bool, as_json: bool) -> None:
    """Show the processing behind SURVEY: every flow with its parameters, back to the files it began with.

    Each input is compared with what it was: unchanged, changed, or gone. --json and --yaml print the whole records:
    parameters and tables, checksums of inputs, versions of software, CPU features, times.

    \b
    Examples:
      seisproc provenance stack.seis
      seisproc provenance stack.seis --json > stack.provenance.json
      seisproc provenance stack.seis --yaml
      seisproc provenance stack.seis --verify
    """
    from seisproc_core.jobs.replay import lineage

    chain = lineage(survey, registry())
    altered = [item for entry in chain for item in entry["inputs"] if item["state"] != "unchanged"]
    whole = {"survey": str(survey), "chain": chain, "unchanged": not altered}
    if as_json:
        output.document(whole)
    elif as_yaml:
        click.echo("\n".join(yaml_lines(output.plain(whole))))
    else:
        for entry in chain:
            _show(entry)
    if verify and altered:
        output.remark(f"{altered[0]['path']} is {altered[0]['state']}")
        raise click.exceptions.Exit(1)


def _show(entry: Mapping[str, Any]) -> None:
    record = entry["record"]
    finished = time.strftime("%Y-%m-%d %H:%M", time.localtime(record["times"]["finished"]))
    output.show(f"{entry['path']}")
    output.show(f"  made by {record['flow']['name']}, job {record['job']}, on {record['machine']['host']}, {finished}")
    if side := record.get("side_output"):
        output.show(f"  side output of {side['output']}: what step {side['step']} saves as {side['saved']}")
    if variables := record["flow"].get("variables"):
        output.show(f"  with variables {', '.join(f'{name} = {_short(value)}' for name, value in variables.items())}")
    for stage in record["steps"]:
        for step in stage:
            files = {key: f"{table['file']}@{table['sha256'][:8]}" for key, table in step["tables"].items()}
            given = " ".join(f"{key}={_short(files.get(key, value))}" for key, value in step["parameters"].items())
            backends = ", ".join(sorted(set(step["kernels"].values())))
            output.show(f"  {step['use']} {given}".rstrip() + (f"  [{backends}]" if backends else ""))
    for item in entry["inputs"]:
        output.show(f"  from {item['path']} ({item['state']})")
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    output.show(f"  with {versions}")


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
