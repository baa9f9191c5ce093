"""``seisproc velocity``: velocity tables and volumes from one form to another, and a look at semblance."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seisproc_core.errors import OutputExists, UsageError
from seisproc_terminal import output
from seisproc_terminal.options import json_option

if TYPE_CHECKING:
    from seisproc_core.data.sampling import Sampling
    from seisproc_core.data.tables import Table

_FORMATS = ("csv", "json", "su", "columns", "handvel", "dix")
_KINDS = {"rms": "rms_m_per_s", "interval": "interval_m_per_s", "average": "average_m_per_s"}
_path = click.Path(path_type=Path)
_replace = click.option("--replace", is_flag=True, help="Replace an existing output.")
_from = click.option("--from", "given", type=click.Choice(_FORMATS), help="Format of a text input, where its name and "
                     "content do not tell.")  # fmt: skip
_to_format = click.option("--format", "wanted", type=click.Choice(_FORMATS), help="Format of a text output, where its "
                          "name does not tell.")  # fmt: skip
_time_unit = click.option("--time-unit", type=click.Choice(["ms", "s"]), default="ms", show_default=True,
                          help="Of times in a text that does not name its columns.")  # fmt: skip
_quantity = click.option("--quantity", type=click.Choice([*_KINDS, "eta"]), default="rms", show_default=True,
                         help="What the traces of a volume hold.")  # fmt: skip
_keys = click.option("--keys", type=click.Choice(["cdp", "inline,crossline"]), default="cdp", show_default=True,
                     help="Header words that key the functions of a volume.")  # fmt: skip
_tolerance = click.option("--tolerance", type=click.FloatRange(0), default=1.0, show_default=True,
                          help="How far the lines between knots may leave a volume, m/s.")  # fmt: skip


@click.group(short_help="Convert, smooth and invert velocity tables; draw semblance.")
@json_option
def command(as_json: bool) -> None:
    """Convert, smooth and invert velocity tables and volumes; draw the semblance of a gather.

    \b
    Examples:
      seisproc velocity convert picks.par velocity.csv
      seisproc velocity dix velocity.csv interval.csv --to interval
      seisproc velocity smooth velocity.csv smooth.csv --time-ms 300 --positions 40
      seisproc velocity semblance line.seis --gather cdp=400 --first 1400 --last 3500
    """


@command.command()
@click.argument("source", type=_path)
@click.argument("out", type=_path)
@_from
@_to_format
@_time_unit
@_quantity
@_keys
@_tolerance
@click.option("--interval-ms", type=click.FloatRange(0, min_open=True), default=4.0, show_default=True,
              help="Sample interval of a volume that is made.")  # fmt: skip
@click.option("--end-ms", type=click.FloatRange(0), help="Last time of a volume that is made.  [default: last knot]")
@click.option("--like", type=_path, help="Make the volume for the positions and samples of this survey.")
@_replace
@json_option
def convert(
    source: Path,
    out: Path,
    given: str | None,
    wanted: str | None,
    time_unit: str,
    quantity: str,
    keys: str,
    tolerance: float,
    interval_ms: float,
    end_ms: float | None,
    like: Path | None,
    replace: bool,
    as_json: bool,
) -> None:
    """Convert the velocity table or volume SOURCE into OUT.

    Tables are text (CSV, JSON, Seismic Unix parameters, columns, HANDVEL, Dix listing); volumes are traces of
    velocities in SEG-Y or any other installed format, such as velocity_pick makes them. The name of OUT says which.

    \b
    Examples:
      seisproc velocity convert picks.par velocity.csv
      seisproc velocity convert picks.seis velocity.csv --tolerance 5
      seisproc velocity convert velocity.csv velocity.sgy --like stack.seis
      seisproc velocity convert old.txt velocity.json --from handvel --time-unit s
    """
    from seisproc_core.data.formats import format_named
    from seisproc_velocity.volumes import volume, write_volume

    table = _table(source, given, time_unit, quantity, keys, tolerance)
    if format_named(out) is None or wanted:
        _save(table, out, wanted, replace)
    else:
        if os.path.lexists(out) and not replace:
            raise OutputExists(f"{out} exists; choose another name, or --replace it")
        words, sampling = _like(like, table) if like else (None, _sampling(table, interval_ms, end_ms))
        write_volume(volume(table, sampling, words), out, replace=replace)
    _report(table, out, as_json)


@command.command()
@click.argument("source", type=_path)
@click.argument("out", type=_path, required=False)
@click.option("--to", "kind", type=click.Choice([*_KINDS, "depth"]), default="interval", show_default=True,
              help="Kind of velocity to make; depth: interval velocities over depth.")  # fmt: skip
@_from
@_to_format
@_time_unit
@_replace
@json_option
def dix(
    source: Path,
    out: Path | None,
    kind: str,
    given: str | None,
    wanted: str | None,
    time_unit: str,
    replace: bool,
    as_json: bool,
) -> None:
    """Turn the velocities of SOURCE into rms, interval or average velocities OUT; without OUT, list all of them.

    Inversions that no layer could cause are refused, with the knot and the least velocity that is possible there.

    \b
    Examples:
      seisproc velocity dix velocity.csv
      seisproc velocity dix velocity.csv interval.csv --to interval
      seisproc velocity dix velocity.csv depth.csv --to depth
    """
    from seisproc_velocity.tables import converted, in_depth, in_time, listing

    table = _table(source, given, time_unit)
    if "depth_m" in table:
        table = in_time(table)
    if out is None:
        whole = listing(table)
        if as_json:
            output.document({"columns": whole.to_json()})
        else:
            output.table(list(whole.columns), zip(*whole.columns.values(), strict=True))
        return
    made = in_depth(table) if kind == "depth" else converted(table, _KINDS[kind])  # type: ignore[arg-type]
    _save(made, out, wanted, replace)
    _report(made, out, as_json)


@command.command()
@click.argument("source", type=_path)
@click.argument("out", type=_path)
@click.option("--time-ms", type=click.FloatRange(0), default=0.0, help="Width of the smoothing along time.")
@click.option("--depth-m", type=click.FloatRange(0), default=0.0, help="Width along depth, for tables in depth.")
@click.option("--positions", type=click.FloatRange(0), default=0.0, help="Width from position to position, in CDPs.")
@_from
@_to_format
@_time_unit
@_replace
@json_option
def smooth(
    source: Path,
    out: Path,
    time_ms: float,
    depth_m: float,
    positions: float,
    given: str | None,
    wanted: str | None,
    time_unit: str,
    replace: bool,
    as_json: bool,
) -> None:
    """Smooth the velocities of SOURCE into OUT; widths are those at half the height of a Gaussian.

    \b
    Examples:
      seisproc velocity smooth velocity.csv smooth.csv --time-ms 300
      seisproc velocity smooth velocity.csv smooth.csv --time-ms 200 --positions 40
    """
    from seisproc_velocity.tables import smoothed

    if not (time_ms or depth_m or positions):
        raise UsageError("give a width: --time-ms, --depth-m or --positions")
    made = smoothed(_table(source, given, time_unit), time_ms=time_ms, depth_m=depth_m, positions=positions)
    _save(made, out, wanted, replace)
    _report(made, out, as_json)


@command.command()
@click.argument("survey", type=_path)
@click.option("--gather", "where", required=True, metavar="WORD=VALUE[,...]", help="Header values of the gather.")
@click.option("--first", type=click.FloatRange(0, min_open=True), required=True, help="Lowest trial velocity, m/s.")
@click.option("--last", type=click.FloatRange(0, min_open=True), required=True, help="Highest trial velocity, m/s.")
@click.option("--step", type=click.FloatRange(0, min_open=True), default=25.0, show_default=True,
              help="From one trial velocity to the next, m/s.")  # fmt: skip
@click.option("--window-ms", type=click.FloatRange(0), default=40.0, show_default=True, help="Length of the window.")
@click.option("--measure", type=click.Choice(["semblance", "ab", "stack_power"]), default="semblance",
              show_default=True, help="What is measured.")  # fmt: skip
@click.option("--least", type=click.FloatRange(0), default=0.2, show_default=True, help="Least value of a pick.")
@click.option("--out", type=_path, help="The picture: .png, .pdf or .svg.  [default: NAME_semblance.png here]")
@_replace
@json_option
def semblance(
    survey: Path,
    where: str,
    first: float,
    last: float,
    step: float,
    window_ms: float,
    measure: Any,
    least: float,
    out: Path | None,
    replace: bool,
    as_json: bool,
) -> None:
    """Draw the velocity spectrum of one gather of SURVEY with its automatic picks, beside the gather.

    For a whole line run a flow with the steps semblance and velocity_pick, and convert its output.

    \b
    Examples:
      seisproc velocity semblance line.seis --gather cdp=400 --first 1400 --last 3500
      seisproc velocity semblance line.seis --gather cdp=400 --first 150 --last 600 --step 5 --measure ab
    """
    from seisproc_velocity.pictures import analysed, save_picture

    picture = out or Path(f"{survey.stem}_semblance.png")
    if os.path.lexists(picture) and not replace:
        raise OutputExists(f"{picture} exists; choose another --out, or --replace it")
    found = analysed(survey, where, (first, last, step), window_ms=window_ms, measure=measure, least=least)
    save_picture(found, picture)
    picks = {
        "time_ms": (1000 * found.picks.times_s).tolist(),
        "rms_m_per_s": found.picks.rms_m_per_s.tolist(),
        measure: found.picks.strength.tolist(),
    }
    if as_json:
        output.document({"path": str(picture), "traces": found.gather.n_traces, "picks": picks})
        return
    output.table(list(picks), zip(*picks.values(), strict=True))
    output.show(f"{picture}: {found.gather.n_traces} traces with {where}")


def _table(
    source: Path, given: str | None, time_unit: Any, quantity: str = "rms", keys: str = "cdp", tolerance: float = 1.0
) -> Table:
    """A table from a text, or from a volume where the name is that of a survey."""
    from seisproc_core.data.formats import format_named, open_survey
    from seisproc_velocity.files import read_velocities
    from seisproc_velocity.volumes import read_volume

    if given is None and (source.is_dir() or format_named(source) is not None):
        words = tuple(keys.split(","))
        return read_volume(
            open_survey(source), quantity=_KINDS.get(quantity, quantity), keys=words, tolerance=tolerance
        )
    return read_velocities(source, given, time_unit=time_unit)


def _save(table: Table, out: Path, wanted: str | None, replace: bool) -> None:
    from seisproc_velocity.files import write_velocities

    write_velocities(table, out, wanted, replace=replace)


def _report(table: Table, out: Path, as_json: bool) -> None:
    from seisproc_velocity.fields import field_of
    from seisproc_velocity.tables import quantity_of

    quantity = quantity_of(table)
    functions = len(field_of(table, quantity).rows)
    if as_json:
        output.document(
            {"path": str(out), "functions": functions, "knots": len(table), "quantity": quantity,
             "checksum": table.checksum}
        )  # fmt: skip
    else:
        output.show(f"{out}: {functions} functions, {len(table)} knots of {quantity}")


def _sampling(table: Table, interval_ms: float, end_ms: float | None) -> Sampling:
    """From time (depth) 0 to the last knot, or the end asked for; at least two samples."""
    import math

    from seisproc_core.data.sampling import Sampling

    depth = "depth_m" in table
    end = end_ms if end_ms is not None else float(table["depth_m" if depth else "time_ms"].max())
    count = max(2, math.ceil(end / interval_ms - 1e-9) + 1)
    return Sampling(0.0, interval_ms if depth else interval_ms / 1000, count, "depth" if depth else "time")


def _like(survey: Path, table: Table) -> tuple[dict[str, Any], Sampling]:
    """The different positions of a survey, and its samples."""
    import numpy as np

    from seisproc_core.data.formats import open_survey
    from seisproc_velocity.fields import KEYS

    opened = open_survey(survey)
    keys = [key for key in KEYS if key in table]
    if not keys:
        raise UsageError("--like needs a table keyed by cdp, or by inline and crossline")
    headers = opened.headers()
    places = np.unique(np.stack([headers[key] for key in keys], axis=1), axis=0)
    return {key: places[:, k] for k, key in enumerate(keys)}, opened.sampling
