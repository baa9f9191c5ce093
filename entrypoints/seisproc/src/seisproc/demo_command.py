"""``seisproc demo``: what a user does, from SEG-Y to a checked stack, in one command."""

from __future__ import annotations

from pathlib import Path

import click

from seisproc_core.errors import UsageError
from seisproc_terminal import output
from seisproc_terminal.options import How, json_option, worker_options


@click.command(short_help="Process a line from SEG-Y to a checked stack.")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--data", multiple=True, type=click.Path(path_type=Path), metavar="FILES...",
              help="Process these SEG-Y files instead of a modelled line.")  # fmt: skip
@click.option("--flow", type=click.Path(path_type=Path),
              help="The flow to process them with.  [default: that of the documented field line]")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), default=Path("seisproc-demo"), show_default=True,
              help="Folder for everything the demo makes; an earlier demo's is replaced.")  # fmt: skip
@click.option("--keep", is_flag=True, help="Keep the surveys made for comparison too.")
@worker_options
@json_option
def demo(
    files: tuple[Path, ...],
    data: tuple[Path, ...],
    flow: Path | None,
    out: Path,
    keep: bool,
    how: How,
    as_json: bool,
) -> None:
    """Model a 2-D land line (or take your files), import it, process it to a stack, export it, draw pictures, and hold
    the result to what is known about it. Exit code 1 when a check fails.

    The flow's [import] table says how to read the files. A file NAME.checks.toml beside the flow NAME.toml says what
    the stack must show.

    \b
    Examples:
      seisproc demo
      seisproc demo --out /tmp/demo --keep
      seisproc demo --data line_*.sgy
      seisproc demo --data line_*.sgy --flow stack.toml
    """
    from seisproc.demo.session import Session, prepare_folder
    from seisproc.demo.story import field_story, modelled_story

    given = (*data, *files)
    if flow is not None and not given:
        raise UsageError("--flow needs the files to process: --data FILES")
    missing = [path for path in (*given, *([flow] if flow else [])) if not path.is_file()]
    if missing:
        raise UsageError(f"{missing[0]}: there is no such file")
    prepare_folder(out)
    session = Session(out, how, as_json=as_json)
    checks = field_story(session, given, flow) if given else modelled_story(session)
    if not keep:
        session.drop_comparisons()
    session.finish(checks)
    if not all(check.ok for check in checks):
        output.remark("a check failed: the result is not what it should be")
        raise click.exceptions.Exit(1)
