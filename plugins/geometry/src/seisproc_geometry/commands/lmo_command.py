"""``seisproc lmo``: a record before and after linear moveout, to see whether its offsets are right."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from seisproc_core.data.formats import open_survey
from seisproc_core.errors import OutputExists, UsageError
from seisproc_terminal import output
from seisproc_terminal.options import json_option

if TYPE_CHECKING:
    from seisproc_core.data.gather import Gather

_MOST_TRACES = 2000


@click.command(short_help="Draw a record after linear moveout, to check offsets.")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--velocity", type=click.FloatRange(0, min_open=True), required=True, metavar="M/S",
              help="Velocity at which events become flat.")  # fmt: skip
@click.option("--at", required=True, metavar="EXPRESSION", help="The traces to draw, as field_record=7 or 'shot == 3'.")
@click.option("--end-ms", type=float, help="Last time to draw.  [default: all]")
@click.option(
    "--out", type=click.Path(path_type=Path), help="The picture: .png, .pdf or .svg.  [default: NAME.lmo.png here]"
)
@click.option("--replace", is_flag=True, help="Replace an existing picture.")
@json_option
def command(
    path: Path, velocity: float, at: str, end_ms: float | None, out: Path | None, replace: bool, as_json: bool
) -> None:
    """Draw traces of PATH by offset, as recorded and with every trace shifted up by |offset| / velocity.

    With right offsets, first breaks of that velocity lie on one level, on both sides of the source. A wrong station
    shows as a step, a wrong sign or spacing as a kink.

    \b
    Examples:
      seisproc lmo line.seis --velocity 1600 --at field_record=7
      seisproc lmo line.seis --velocity 400 --at "shot == 3" --end-ms 500
    """
    picture = out or Path(f"{path.stem}.lmo.png")
    if os.path.lexists(picture) and not replace:
        raise OutputExists(f"{picture} exists; choose another --out, or --replace it")
    gather = _read(path, at)
    reduced = _reduced(gather, velocity)
    _draw(picture, gather, reduced, f"{output.clean(at)}", velocity, end_ms)
    if as_json:
        output.document({"path": str(picture), "traces": gather.n_traces, "velocity_m_per_s": velocity})
    else:
        output.show(f"{picture}: {gather.n_traces} traces at {velocity:g} m/s")


def _read(path: Path, at: str) -> Gather:
    """The chosen traces by increasing offset."""
    import numpy as np

    from seisproc_core.data.expressions import Expression

    # field_record=7, as other commands take it, means ==.
    text = (
        " and ".join(f"{w} == {v}" for w, _, v in (part.partition("=") for part in at.split(",")))
        if _is_plain(at)
        else at
    )
    survey = open_survey(path)
    headers = survey.headers()
    rows = np.flatnonzero(Expression.parse(text).condition(headers))
    if not 0 < rows.size <= _MOST_TRACES:
        raise UsageError(f"{rows.size} traces have {at}; 1 to {_MOST_TRACES} can be drawn")
    offset = headers.take(rows)["offset"]
    if not offset.any():
        raise UsageError(f"all offsets of {at} are 0; run the step geometry or offsets first")
    return survey.read(rows[np.argsort(offset, kind="stable")])


def _is_plain(at: str) -> bool:
    return all(part.count("=") == 1 and part.partition("=")[0].strip().isidentifier() for part in at.split(","))


def _reduced(gather: Gather, velocity: float) -> Gather:
    """The gather at reduced time t - |offset| / velocity, linear between samples, 0 outside the trace; it begins a
    twentieth of the trace early, to show events that come out before its start."""
    import numpy as np

    from seisproc_core.data.gather import Gather
    from seisproc_core.data.sampling import Sampling

    sampling = gather.sampling
    early = sampling.count // 20
    begun = Sampling(sampling.start_s - early * sampling.interval_s, sampling.interval_s, sampling.count + early)
    out = np.empty((gather.n_traces, begun.count), np.float32)
    for row, offset in enumerate(np.abs(gather.headers["offset"])):
        wanted = begun.times() + offset / velocity
        out[row] = np.interp(wanted, sampling.times(), gather.traces[row], left=0.0, right=0.0)
    whole = gather.headers.with_live_window(np.zeros(gather.n_traces), np.full(gather.n_traces, begun.count))
    return Gather(headers=whole, sampling=begun, traces=out)


def _draw(picture: Path, gather: Gather, reduced: Gather, title: str, velocity: float, end_ms: float | None) -> None:
    import numpy as np
    from matplotlib.figure import Figure

    from seisproc_geometry.map_pictures import save
    from seisproc_terminal.figures import draw

    def panels(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, sharey=True)
        rms = np.sqrt(np.mean(np.square(gather.traces, dtype=np.float64), axis=1, keepdims=True))
        scale = np.where(rms > 0, rms, 1).astype(np.float32)
        draw(left, gather.with_traces(np.ascontiguousarray(gather.traces / scale)), word="offset")
        draw(right, reduced.with_traces(np.ascontiguousarray(reduced.traces / scale)), word="offset")
        left.set_title(title)
        right.set_title(f"reduced by |offset| / {velocity:g} m/s")
        right.set_ylabel("")
        if end_ms is not None:
            left.set_ylim(end_ms, reduced.sampling.start_s * 1000)

    save(picture, panels, width_in=12.0)
