"""``seisproc export``: a survey into a file for other programs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seisproc_core.errors import UsageError
from seisproc_terminal.delivering import deliver, report_option
from seisproc_terminal.options import How, errors_as_typed, job_options, json_option, place_of, words_of

if TYPE_CHECKING:
    from seisproc_core.delivery import Delivery

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"(\w+)\s*=\s*({_NUMBER})(?::({_NUMBER}))?")
_ORDER = (
    click.option("--gather", metavar="WORD,WORD", help="Order traces by these header words first; -WORD descends."),
    click.option("--sort", metavar="WORD,WORD", help="... and by these inside each gather."),
    click.option("--where", "wheres", multiple=True, metavar="CONDITION",
                 help="Write these traces only: WORD=LOW:HIGH, or an expression. May be repeated."),
    click.option("--mute", type=click.Path(path_type=Path), metavar="TABLE",
                 help="Mute on the way out: a CSV or TOML table with columns offset_m and time_ms."),
    click.option("--pad", metavar="WORD[,WORD]",
                 help="Fill the grid of these words with dead traces: inline,crossline, or cdp, or cdp,offset."),
)  # fmt: skip
_HEADERS = (
    click.option("--word", "places", multiple=True, metavar="NAME=BYTE:TYPE",
                 help="Write a header word there: its name, first byte and type. May be repeated."),
    click.option("--header-map", metavar="MAP", help="Where words are written: petrel-3d, su, ..., or a .toml file."),
    click.option("--text", type=click.Path(path_type=Path), metavar="FILE",
                 help="Make a new text header: from fields in a .toml file, or from a template of at most 40 lines."),
    click.option("--text-encoding", type=click.Choice(["ebcdic", "ascii"]),
                 help="Encoding of the text header.  [default: as it came, else ebcdic]"),
    click.option("--renumber", is_flag=True, help="Count trace sequence numbers anew."),
)  # fmt: skip
_PROOF = (
    click.option("--sidecar", is_flag=True, help="Write the provenance record beside the file."),
    report_option,
)  # fmt: skip


def _delivery_options(command: Any) -> Any:
    for option in reversed((*_ORDER, *_HEADERS, *_PROOF)):
        command = option(command)
    return command


@click.command(short_help="Write a survey to a SEG-Y or SU file.")
@click.argument("survey", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--format", type=int, metavar="CODE", help="Sample format code (1 IBM float, 5 IEEE float, ...).")
@click.option("--scaling", metavar="survey|trace|N",
              help="Of integer formats: one power of two for all, one a trace, or 2^N; recorded.")  # fmt: skip
@click.option("--endian", type=click.Choice(["big", "little"]), help="Byte order.  [default: as it came]")
@click.option("--revision", type=click.IntRange(0, 2), help="SEG-Y revision.  [default: as it came, else 1]")
@_delivery_options
@job_options
@json_option
@errors_as_typed
def command(
    survey: Path,
    out: Path,
    places: tuple[str, ...],
    scaling: str | None,
    renumber: bool,
    report: Path | None,
    how: How,
    as_json: bool,
    **choices: Any,
) -> None:
    """Write SURVEY to the file OUT (.sgy, .segy or .su).

    A survey that no step has changed becomes the file it was imported from, byte for byte. After processing,
    headers are the original ones with the changed words written in. OUT appears when it is whole.

    \b
    Examples:
      seisproc export stack.seis stack.sgy
      seisproc export stack.seis stack.sgy --format 5 --endian little --replace
      seisproc export stack.seis final.sgy --text header.toml --pad cdp --renumber --report final.txt
    """
    from seisproc_core.delivery import export_flow

    delivery = _delivery(choices)
    options = choices | {
        "scaling": _scaling(scaling), "words": dict(map(place_of, places)) or None, "renumber": renumber or None,
    }  # fmt: skip
    deliver(export_flow(survey, out, options, delivery), how, report, as_json=as_json, type="export")


def _delivery(choices: dict[str, Any]) -> Delivery:
    """What the options say of order and selection; takes them out of `choices`."""
    from seisproc_core.delivery import Delivery

    mute = choices.pop("mute")
    return Delivery(
        gather=_keys(choices.pop("gather")),
        sort=_keys(choices.pop("sort")),
        where=tuple(map(_condition, choices.pop("wheres"))),
        mute=None if mute is None else str(mute),
        pad=_keys(choices.pop("pad")),
        sidecar=choices.pop("sidecar"),
    )


def _keys(text: str | None) -> tuple[str, ...]:
    return () if text is None else words_of(text)


def _condition(text: str) -> dict[str, list[float]] | str:
    """``offset=0:45`` or ``cdp=100`` as word and [lowest, highest]; anything else is an expression."""
    found = _RANGE.fullmatch(text.strip())
    if found is None:
        return text
    return {found[1]: [float(found[2]), float(found[3] or found[2])]}


def _scaling(text: str | None) -> int | str | None:
    if text is None or text in ("survey", "trace"):
        return text
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"--scaling {text}: write survey, trace or a whole number") from None
