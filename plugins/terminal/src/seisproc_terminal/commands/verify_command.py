"""``seisproc verify``: is an output whole, and are its bytes those that were written?"""

from __future__ import annotations

import os
import re
from pathlib import Path

import click

from seisproc_core.data.formats import format_of, function_of, open_survey, unfinished
from seisproc_core.errors import Damaged, DataError, Incomplete, UsageError
from seisproc_terminal import output
from seisproc_terminal.options import json_option

_MAX_SHOWN = 50


@click.command(short_help="Check that an output is whole and undamaged.")
@click.argument("path", type=click.Path(path_type=Path))
@json_option
def command(path: Path, as_json: bool) -> None:
    """Check the survey or file PATH: exit code 0 only if it is finished and undamaged, 3 if it is unfinished, 4 if it
    is damaged.

    Of a survey every file is read and held to the checksums in its manifest; of a SEG-Y or SU file the structure is
    checked. Nothing is changed.

    \b
    Examples:
      seisproc verify stack.seis
      seisproc verify stack.sgy --json
    """
    problems: list[str] = []
    state = "whole"
    if not os.path.lexists(path) or re.search(r"\.[0-9a-f]{8}\.part$", path.name):
        target = path.with_name(re.sub(r"\.[0-9a-f]{8}\.part$", "", path.name))
        if not unfinished(target):
            raise UsageError(f"{path}: there is no such file or folder")
        state, problems = "unfinished", [f"{target} is not finished; go on with: seisproc resume {target}"]
    else:
        state, problems = _examine(path)
    if as_json:
        output.document({"path": str(path), "state": state, "problems": problems})
    else:
        for problem in problems[:_MAX_SHOWN]:
            output.show(problem)
        if len(problems) > _MAX_SHOWN:
            output.show(f"... and {len(problems) - _MAX_SHOWN} more")
        way_on = f"; try: seisproc repair {path}" if state == "damaged" and path.is_dir() else ""
        output.show(f"{path}: {state}{way_on}")
    if state != "whole":
        raise click.exceptions.Exit({"unfinished": 3, "damaged": 4}[state])


def _examine(path: Path) -> tuple[str, list[str]]:
    """State of an existing output, and what is wrong with it."""
    entry = format_of(path)
    verify = function_of(entry, "verify")
    try:
        if verify is not None:
            problems = [str(problem) for problem in verify(path)]
        else:
            open_survey(path).headers()
            problems = []
    except Incomplete as error:
        if unfinished(path):
            return "unfinished", [str(error)]
        problems = [f"{path} was never finished or lost its manifest, and there is nothing to resume it from"]
    except (DataError, Damaged) as error:
        # How to read the file all the same is no advice on whether it is whole.
        problems = [re.sub(r"(; the file may be cut short): pass .*", r"\1", str(error))]
    return ("damaged" if problems else "whole"), problems
