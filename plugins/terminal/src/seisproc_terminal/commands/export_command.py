"""``seisproc export``: a survey into a file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from seisproc_terminal.options import How, errors_as_typed, job_options, json_option


@click.command(short_help="Write a survey to a SEG-Y or SU file.")
@click.argument("survey", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--format", type=int, metavar="CODE", help="Sample format code (1 IBM float, 5 IEEE float, ...).")
@click.option("--endian", type=click.Choice(["big", "little"]), help="Byte order.  [default: as it came]")
@click.option("--revision", type=click.IntRange(0, 2), help="SEG-Y revision.  [default: as it came, else 1]")
@job_options
@json_option
@errors_as_typed
def command(
    survey: Path,
    out: Path,
    how: How,
    as_json: bool,
    **choices: Any,
) -> None:
    """Write SURVEY to the file OUT (.sgy, .segy or .su).

    A survey that no step has changed becomes the file it was imported from, byte for byte. After processing,
    headers are the original ones with the changed words written in. OUT appears when it is whole.

    \b
    Examples:
      seisproc export stack.seis stack.sgy
      seisproc export stack.seis stack.sgy --format 5 --endian little --replace
    """
    from seisproc_core.transfers import export_flow
    from seisproc_terminal.jobs import carry_out

    flow = export_flow(survey, out, choices)
    carry_out(lambda engine: engine.submit(flow, type="export", **how.submitted()), how, as_json=as_json)
