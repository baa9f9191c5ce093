"""``seisproc replay``: make a survey again from its own record, and compare."""

from __future__ import annotations

from pathlib import Path

import attrs
import click

from seisproc_core.errors import UsageError
from seisproc_core.plugins import registry
from seisproc_terminal import output
from seisproc_terminal.options import How, json_option, worker_options


@click.command(short_help="Make a survey again from its record, and compare.")
@click.argument("survey", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="Keep the replay here.  [default: compared and thrown away]"
)
@click.option("--check", is_flag=True, help="Only say whether all is as it was; make nothing.")
@click.option("--source", "sources", multiple=True, type=click.Path(), metavar="PATH",
              help="Where an input is now, if it was moved. May be repeated.")  # fmt: skip
@click.option("--despite-differences", is_flag=True, help="Go on where inputs, versions or CPU features have changed.")
@worker_options
@json_option
def command(
    survey: Path,
    out: Path | None,
    check: bool,
    sources: tuple[str, ...],
    despite_differences: bool,
    how: How,
    as_json: bool,
) -> None:
    """Make SURVEY again from its provenance: the same inputs, parameters, tables and backends; then compare.

    Tables are taken from the record, whatever versions there are today; where these differ, that is said.

    With the same inputs, versions, backends and CPU features the bytes are equal. Whatever has changed is listed and
    stops the replay, unless --despite-differences is given; then results agree within a relative rms of 1e-5, where
    the inputs are the same. Exit code 1 where they do not.

    \b
    Examples:
      seisproc replay stack.seis
      seisproc replay stack.seis --out again.seis
      seisproc replay stack.seis --check
    """
    from seisproc_core.jobs.replay import compare, prepare_replay
    from seisproc_terminal.jobs import run_job

    target = out or survey.with_name(f"{survey.stem}.replay{survey.suffix}")
    replay = prepare_replay(survey, target, registry(), sources)
    facts = {"survey": str(survey), "differences": list(replay.differences), "notes": list(replay.notes)}
    if not as_json:
        for line in replay.notes:
            output.remark(line)
        for line in replay.differences:
            output.remark(f"differs: {line}")
    if check:
        if as_json:
            output.document(facts)
        else:
            output.show(f"{survey}: {_changed(len(replay.differences))}")
        raise click.exceptions.Exit(1 if replay.differences else 0)
    if replay.differences and not despite_differences:
        raise UsageError(
            f"{survey}: {_changed(len(replay.differences))}, first: {replay.differences[0]}; "
            "--despite-differences replays it all the same"
        )
    run_job(lambda engine: engine.submit(replay.flow, type="replay"), how, as_json=as_json)
    try:
        found = compare(survey, target)
    finally:
        if out is None:
            _remove(target)
    if as_json:
        output.document({**facts, **attrs.asdict(found), "agrees": found.agrees, "out": str(out) if out else None})
    elif found.same_bytes:
        output.show(f"{survey}: replayed to the same bytes")
    else:
        what = found.problem or f"relative rms of the difference {found.relative_rms:.1e}"
        output.show(f"{survey}: the replay {'agrees' if found.agrees else 'differs'}: {what}")
    if not found.agrees:
        raise click.exceptions.Exit(1)


def _changed(count: int) -> str:
    return "all is as it was" if not count else f"{count} thing{'s' if count > 1 else ''} changed since it was made"


def _remove(target: Path) -> None:
    from seisproc_core.jobs.workfolder import remove

    remove(target)
