"""``seisproc plot``: traces as a picture."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seisproc_core.data.formats import open_survey
from seisproc_core.errors import OutputExists, UsageError
from seisproc_terminal import output
from seisproc_terminal.options import axis_option, clip_option, json_option, rows_of

if TYPE_CHECKING:
    from seisproc_core.data.gather import Gather
    from seisproc_core.data.survey import Survey

_MOST_TRACES = 2000


@click.command(short_help="Draw traces into a picture.")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--gather", "gathers", multiple=True, metavar="WORD=VALUE[,...]",
              help="Draw the traces with these header values. May be repeated: one panel each.")  # fmt: skip
@click.option("--rows", metavar="FIRST:END", help="Traces to draw, from 0.  [default: the first 2000]")
@click.option("--out", type=click.Path(path_type=Path),
              help="The picture: .png, .pdf or .svg.  [default: NAME.png here]")  # fmt: skip
@click.option("--style", type=click.Choice(["density", "wiggle"]), default="density", show_default=True)
@clip_option
@axis_option
@click.option("--replace", is_flag=True, help="Replace an existing picture.")
@json_option
def command(
    path: Path,
    gathers: tuple[str, ...],
    rows: str | None,
    out: Path | None,
    style: str,
    clip: float,
    axis: str | None,
    replace: bool,
    as_json: bool,
) -> None:
    """Draw traces of the file or survey PATH: time downwards, one column per trace.

    \b
    Examples:
      seisproc plot stack.seis
      seisproc plot line.seis --gather cdp=400 --gather cdp=410 --style wiggle
      seisproc plot shots.sgy --rows 0:96 --out first.png
    """
    from seisproc_terminal.figures import axis_of

    if gathers and rows:
        raise UsageError("give --gather or --rows, not both")
    picture = out or Path(f"{path.stem}.png")
    if os.path.lexists(picture) and not replace:
        raise OutputExists(f"{picture} exists; choose another --out, or --replace it")
    survey = open_survey(path)
    panels = _panels(survey, path.name, gathers, rows)
    word = axis or axis_of(panels[0][1])
    panels = [(title, _ordered(gather, word) if gathers else gather) for title, gather in panels]
    _save(panels, picture, word=word, style=style, clip_percent=clip)
    count = sum(gather.n_traces for _, gather in panels)
    if as_json:
        output.document({"path": str(picture), "traces": count, "axis": word})
    else:
        output.show(f"{picture}: {count} traces along {word}")


def _panels(survey: Survey, name: str, gathers: tuple[str, ...], rows: str | None) -> list[tuple[str, Gather]]:
    """Title and traces of each panel."""
    if gathers:
        return [(output.clean(text), survey.read(_matching(survey, text))) for text in gathers]
    chosen = rows_of(rows or f"0:{_MOST_TRACES}", survey.n_traces)
    if rows is None and chosen.stop < survey.n_traces:
        output.remark(f"drawing {chosen.stop - chosen.start:,} of {survey.n_traces:,} traces; --rows chooses others")
    return [(output.clean(name), survey.read(chosen))]


def _matching(survey: Survey, text: str) -> Any:
    """Rows whose header words have the values of ``word=value,word=value``."""
    import numpy as np

    headers = survey.headers()
    keep = np.ones(survey.n_traces, bool)
    for condition in text.split(","):
        word, equals, value = condition.partition("=")
        try:
            wanted = float(value)
        except ValueError:
            raise UsageError(f"--gather {text}: write word=value, e.g. cdp=400") from None
        if not equals:
            raise UsageError(f"--gather {text}: write word=value, e.g. cdp=400")
        keep &= headers.column(word.strip()) == wanted
    found = np.flatnonzero(keep)
    if not found.size:
        raise UsageError(f"no trace has {text} (seisproc headers --stats shows the ranges)")
    if found.size > _MOST_TRACES:
        raise UsageError(f"{found.size} traces have {text}; at most {_MOST_TRACES} are drawn: name more words")
    return found


def _ordered(gather: Gather, word: str) -> Gather:
    """The traces by increasing header word."""
    import attrs
    import numpy as np

    order = np.argsort(gather.headers[word], kind="stable")
    return attrs.evolve(gather, headers=gather.headers.take(order), traces=gather.traces[order], raw_samples=None)


def _save(panels: list[tuple[str, Gather]], picture: Path, **how: Any) -> None:
    """Draw beside the picture and rename, so that a failure leaves no half of one."""
    from seisproc_terminal.figures import save_figure, whole_picture

    with whole_picture(picture) as fresh:
        save_figure(panels, fresh, **how)
