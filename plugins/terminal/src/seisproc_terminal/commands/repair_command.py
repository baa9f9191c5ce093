"""``seisproc repair``: make the damaged files of a survey again."""

from __future__ import annotations

from pathlib import Path

import click

from seisproc_terminal import output
from seisproc_terminal.options import How, again_options, json_option


@click.command(short_help="Make the damaged files of a survey again.")
@click.argument("survey", type=click.Path(path_type=Path))
@again_options
@json_option
def command(survey: Path, how: How, as_json: bool) -> None:
    """Make the damaged and missing files of SURVEY again, from the inputs it was made from.

    Every file is held to the manifest; those that are whole are kept. What is made again must have the checksums that
    the manifest lists, and only then replaces the damaged survey, which until then stays as it is. Needs the unchanged
    inputs and the same versions of what made it; an interrupted repair goes on with `seisproc resume SURVEY`.

    \b
    Examples:
      seisproc repair line.seis
      seisproc repair line.seis --detach
    """
    from seisproc_terminal.jobs import carry_out

    begun = carry_out(lambda engine: engine.repair(survey, detach=how.detach), how, as_json=as_json)
    if begun:
        return
    if as_json:
        output.document({"path": str(survey), "state": "whole"})
    else:
        output.show(f"{survey}: whole")
