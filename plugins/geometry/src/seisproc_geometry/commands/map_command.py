"""``seisproc map``: where sources, receivers and bins lie, and how they are covered."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seisproc_core.data.formats import open_survey
from seisproc_core.errors import OutputExists, UsageError
from seisproc_terminal import output
from seisproc_terminal.options import json_option

if TYPE_CHECKING:
    from seisproc_core.data.headers import Headers
    from seisproc_geometry.maps import MapData


@click.command(short_help="Draw maps: positions, fold, offsets, azimuths, header words.")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--kind", type=click.Choice(["base", "fold", "offset", "azimuth", "attribute"]), default="base",
              show_default=True, help="What to show.")  # fmt: skip
@click.option(
    "--value", metavar="EXPRESSION", help="What an attribute map shows: a header word, or an expression of some."
)
@click.option("--at", type=click.Choice(["midpoint", "source", "receiver", "cdp", "offset"]), default="midpoint",
              show_default=True, help="Where an attribute map shows it: means over the traces there.")  # fmt: skip
@click.option("--where", metavar="EXPRESSION", help="Only traces for which this holds, as 'abs(offset) < 500'.")
@click.option("--out", type=click.Path(path_type=Path),
              help="The picture: .png, .pdf or .svg.  [default: NAME.KIND.png here]")  # fmt: skip
@click.option("--csv", "table", type=click.Path(path_type=Path), help="Write the numbers to this table too.")
@click.option("--replace", is_flag=True, help="Replace an existing picture or table.")
@json_option
def command(
    path: Path,
    kind: str,
    value: str | None,
    at: str,
    where: str | None,
    out: Path | None,
    table: Path | None,
    replace: bool,
    as_json: bool,
) -> None:
    """Draw a map of the file or survey PATH.

    base: sources and receivers. fold: live traces per CDP, along the line or over the grid. offset: offsets by CDP, and
    their histogram. azimuth: a rose of azimuths and offsets. attribute: means of a header word by midpoint, source,
    receiver, CDP or offset. Dead traces count on the base map only. With --json the numbers are printed, and a picture
    is drawn only with --out.

    \b
    Examples:
      seisproc map line.seis
      seisproc map line.seis --kind fold --csv fold.csv
      seisproc map line.seis --kind attribute --value source_static --at source
      seisproc map line.seis --kind offset --where "cdp > 0"
    """
    if (kind == "attribute") != (value is not None):
        raise UsageError("--value names what an attribute map shows, and belongs to --kind attribute")
    picture = out if out is not None or as_json else Path(f"{path.stem}.{kind}.png")
    for wanted in (picture, table):
        if wanted is not None and os.path.lexists(wanted) and not replace:
            raise OutputExists(f"{wanted} exists; choose another name, or --replace it")
    headers = _headers(path, where, only_live=kind != "base")
    data = _counted(headers, kind, value, at)
    if picture is not None:
        _draw(picture, kind, data, value or "")
    if table is not None:
        _write(table, data)
    if as_json:
        output.document(
            {"path": None if picture is None else str(picture), "title": data.title, "columns": data.columns}
        )
        return
    output.show(f"{picture}: {data.title}")


def _headers(path: Path, where: str | None, *, only_live: bool) -> Headers:
    import numpy as np

    from seisproc_core.data.expressions import Expression
    from seisproc_geometry.maps import live

    headers = open_survey(path).headers()
    if only_live:
        headers = live(headers)
    if where is None:
        return headers
    rows = np.flatnonzero(Expression.parse(where).condition(headers))
    if not rows.size:
        kind = "live trace" if only_live else "trace"
        raise UsageError(f"no {kind} of {path} has {where}")
    return headers.take(rows)


def _counted(headers: Headers, kind: str, value: str | None, at: str) -> MapData:
    from seisproc_core.data.expressions import Expression
    from seisproc_geometry import maps

    if kind == "attribute":
        assert value is not None
        if at == "cdp":
            headers = maps.binned(headers)
        values = Expression.parse(value).evaluate(headers)
        if at == "offset":
            return maps.attribute_by_offset(headers, values, value)
        return maps.attribute(headers, values, value, at)  # type: ignore[arg-type]
    counted = {"base": maps.base, "fold": maps.fold, "offset": maps.offsets, "azimuth": maps.azimuths}
    return counted[kind](headers)


def _draw(picture: Path, kind: str, data: MapData, label: str) -> None:
    from seisproc_geometry import map_pictures as pictures

    drawn: dict[str, Any] = {
        "base": pictures.draw_base, "fold": pictures.draw_fold, "offset": pictures.draw_offsets,
        "azimuth": pictures.draw_azimuths,
    }  # fmt: skip
    if kind == "attribute":
        draw = pictures.draw_attribute if "x_m" in data.columns else pictures.draw_by_offset
        pictures.save(picture, lambda figure: draw(figure, data, label))
    else:
        pictures.save(picture, lambda figure: drawn[kind](figure, data))


def _write(path: Path, data: MapData) -> None:
    from seisproc_core.jobs.durable import whole_file

    with whole_file(path) as fresh, fresh.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(data.columns)
        writer.writerows(zip(*(column.tolist() for column in data.columns.values()), strict=True))
