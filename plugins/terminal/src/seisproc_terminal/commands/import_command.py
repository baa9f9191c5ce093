"""``seisproc import``: field files into a survey."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from seisproc_terminal.options import How, given, job_options, json_option, reading_options, words_of


@click.command(short_help="Read SEG-Y, SU or SEG-2 files into a survey.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--gather", "gathers", multiple=True, metavar="WORD[,WORD]",
              help="Build an index of these gathers in the survey. May be repeated.")  # fmt: skip
@click.option("--compute", "computed", multiple=True, metavar="WORD=EXPRESSION",
              help="Compute a header word from others, as the step header_math does. May be repeated.")  # fmt: skip
@reading_options
@click.option("--set", "fixed", multiple=True, metavar="WORD=VALUE",
              help="One value of a word for all traces, where headers are wrong. May be repeated.")  # fmt: skip
@click.option("--delays", type=click.Choice(["same", "pad"]),
              help="Traces that start at different times: refuse them, or pad them.  [default: same]")  # fmt: skip
@click.option("--delay-ms", type=float, help="Time of the first sample in ms, whatever the file says.")
@click.option("--length-unit", type=click.Choice(["m", "ft", "us_ft"]), help="Unit of coordinates and offsets.")
@click.option("--nan", type=click.Choice(["error", "zero", "kill"]),
              help="What to do with NaN and infinite samples.  [default: error]")  # fmt: skip
@click.option("--field-record", type=click.Choice(["shot_sequence_number", "raw_record", "file_name", "position"]),
              help="Where field record numbers of SEG-2 files come from.  [default: as the files say]")  # fmt: skip
@click.option("--descale", is_flag=True, help="Multiply samples of SEG-2 files with their DESCALING_FACTOR.")
@click.option("--shard-traces", type=click.IntRange(1), help="Traces per file of the survey.  [default: by size]")
@click.option("--codec", type=click.Choice(["none", "fast", "archive"]),
              help="How the survey is compressed: see the processing guide.  [default: none]")  # fmt: skip
@job_options
@json_option
def command(
    files: tuple[Path, ...],
    out: Path,
    gathers: tuple[str, ...],
    computed: tuple[str, ...],
    shard_traces: int | None,
    codec: str | None,
    how: How,
    as_json: bool,
    **overrides: Any,
) -> None:
    """Read one or more FILES into the survey OUT (a folder NAME.seis).

    Several files become one survey when they are sampled alike. The input is only read. Every header byte and
    every sample is kept: exporting an untouched survey gives the same file again. OUT appears when it is whole; an
    interrupted import goes on with `seisproc resume OUT`.

    \b
    Examples:
      seisproc import shots.sgy line.seis
      seisproc import rec*.sgy line.seis --gather cdp --gather field_record,channel
      seisproc import field.sgy line.seis --word polarity=233:i2 --nan zero
      seisproc import field.sgy line.seis --compute "cdp = field_record + channel" --gather cdp
      seisproc import 10*.dat line.seis --field-record file_name
      seisproc import cube.sgy cube.seis --header-map petrel-3d
      seisproc import field.sgy line.seis --lengths pad --delays pad
      seisproc import field.sgy line.seis --set coordinate_scalar=-100
    """
    from seisproc_core.transfers import import_flow
    from seisproc_terminal.jobs import carry_out

    options = given(overrides)
    sink = {"shard_traces": shard_traces, "codec": codec}
    flow = import_flow(files, out, options, tuple(words_of(text) for text in gathers), sink, computed)
    carry_out(lambda engine: engine.submit(flow, type="import", **how.submitted()), how, as_json=as_json)
