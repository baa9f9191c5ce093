"""``seisproc resume``: go on with what was interrupted."""

from __future__ import annotations

import re
from pathlib import Path

import click

from seisproc_terminal import output
from seisproc_terminal.options import How, again_options, json_option


@click.command(short_help="Go on with an unfinished output.")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--trust", is_flag=True, help="Do not verify the checksums of what is already written.")
@again_options
@json_option
def command(out: Path, trust: bool, how: How, as_json: bool) -> None:
    """Finish the output OUT of an import, a flow or an export that was interrupted.

    Needs nothing but the unfinished output beside OUT (OUT.xxxxxxxx.part) and the unchanged input. What is already
    written is verified and kept; the result has the same bytes as that of an uninterrupted job.

    \b
    Examples:
      seisproc resume stack.seis
      seisproc resume stack.seis --workers 4
    """
    from seisproc_terminal.jobs import carry_out

    target = out.with_name(re.sub(r"\.[0-9a-f]{8}\.part$", "", out.name))
    begun = carry_out(lambda engine: engine.resume(target, trust=trust, detach=how.detach), how, as_json=as_json)
    if begun:
        return
    if as_json:
        output.document({"path": str(target), "state": "completed", "already_complete": True})
    else:
        output.show(f"{target}: already complete")
