"""``seisproc test``: a flow on chosen gathers with several values of its parameters, and the choice among them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seisproc_core.errors import UsageError
from seisproc_qc.commands.places import gathers
from seisproc_terminal import output
from seisproc_terminal.options import axis_option, json_option, variables_option

if TYPE_CHECKING:
    from seisproc_core.processing.flow import Flow
    from seisproc_qc.trials import Against, Trial


@click.command(short_help="Compare values of parameters on chosen gathers, and choose one.")
@click.argument("flow", type=click.Path(path_type=Path))
@click.option("--vary", "varied", multiple=True, required=True, metavar="STEP.PARAMETER=VALUE,...",
              help="Values to try. May be repeated: all combinations. STEP#2 is the second of that name.")  # fmt: skip
@click.option("--at", "places", multiple=True, metavar="WORD=VALUE,...",
              help="Gathers to look at; FIRST:LAST is a range. May be repeated: all words must match.")  # fmt: skip
@variables_option
@click.option("--until", metavar="STEP", help="Look at the traces after this step instead of after the last.")
@click.option("--against", type=click.Choice(["first", "base"]), default="first", show_default=True,
              help="What differences are taken against: the first value, or the flow as it stands.")  # fmt: skip
@click.option("--choose", "choices", multiple=True, metavar="[STEP.PARAMETER=]VALUE",
              help="Write this value into the flow file. One for each --vary.")  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path), help="The picture: .png, .pdf or .svg.  [default: FLOW_test.png here]"
)
@axis_option
@click.option("--clip", default=98.0, show_default=True, type=click.FloatRange(1, 100), metavar="PERCENT",
              help="Share of the samples inside the amplitude scale, which all panels share.")  # fmt: skip
@click.option("--replace", is_flag=True, help="Replace an existing picture.")
@json_option
def command(
    flow: Path,
    varied: tuple[str, ...],
    places: tuple[str, ...],
    variables: tuple[str, ...],
    until: str | None,
    against: Against,
    choices: tuple[str, ...],
    out: Path | None,
    axis: str | None,
    clip: float,
    replace: bool,
    as_json: bool,
) -> None:
    """Try values of parameters of the flow file FLOW on chosen gathers, and see the results side by side.

    Only the traces that those gathers need are read; steps before the first varied one are computed once. Below each
    panel stand its difference from the first one and its amplitude spectrum; all panels share one gain. With --choose
    the value is written into the flow file, whose comments and layout stay; without --at nothing else is done.

    \b
    Examples:
      seisproc test line.toml --vary decon.gap_ms=8,16,24,32 --at cdp=400,900
      seisproc test line.toml --vary nmo.velocity=vel_a.csv,vel_b.csv --at cdp=400:440 --until nmo
      seisproc test line.toml --vary agc.window_ms=250,500 --vary agc.kind=rms,gaussian --at cdp=400
      seisproc test line.toml --vary decon.gap_ms=8,16,24,32 --choose 16
    """
    from seisproc_core.processing.flow import load_typed

    if not places and not choices:
        raise UsageError("say where to look, as --at cdp=400,900, or what to --choose")
    vary = dict(_values(text) for text in varied)
    if len(vary) != len(varied):
        raise UsageError("a parameter is varied twice: put its values into one --vary")
    loaded = load_typed(flow, variables=variables)
    text = _edited(flow, loaded, vary, choices) if choices else None
    document: dict[str, Any] = {"flow": str(flow)}
    if places:
        document |= _look(loaded, vary, gathers(places), until, against, out, axis, clip, replace, as_json)
    if text is not None:
        document |= _write(flow, text, as_json)
    if as_json:
        output.document(document)


def _look(
    flow: Flow,
    vary: dict[str, list[Any]],
    at: dict[str, list[Any]],
    until: str | None,
    against: Against,
    out: Path | None,
    axis: str | None,
    clip: float,
    replace: bool,
    as_json: bool,
) -> dict[str, Any]:
    from seisproc_qc.pictures import check_picture
    from seisproc_qc.trial_pictures import save_trials
    from seisproc_qc.trials import parameter_test, shown
    from seisproc_terminal.figures import axis_of

    picture = out or Path(f"{flow.name}_test.png")
    check_picture(picture, replace=replace)
    trials = parameter_test(flow, vary, at, until=until, against=against)
    save_trials(trials, picture, word=axis or axis_of(trials[0].gather), clip_percent=clip)
    if not as_json:
        figures = list(trials[0].figures)
        rows = [[*map(shown, trial.values.values()), *trial.figures.values()] for trial in trials]
        output.table([*trials[0].values, *figures], rows)
        output.show(f"{picture}: {len(trials)} panels of {trials[0].gather.n_traces} traces")
    return {"picture": str(picture), "against": against, "panels": [_facts(trial) for trial in trials]}


def _facts(trial: Trial) -> dict[str, Any]:
    return {"values": dict(trial.values), **trial.figures}


def _values(text: str) -> tuple[str, list[Any]]:
    """``step.parameter`` and the values of a --vary: as TOML writes them, or bare words and paths."""
    name, equals, right = text.partition("=")
    if not equals or not right.strip() or not all(name.strip().partition(".")):
        raise UsageError(f"--vary {text}: write step.parameter=value,value, e.g. agc.window_ms=250,500")
    return name.strip(), _parsed(right)


def _parsed(text: str) -> list[Any]:
    try:
        values = tomllib.loads(f"values = [{text}]")["values"]
    except (ValueError, RecursionError):
        values = [_one(part.strip()) for part in text.split(",")]
    return list(values)


def _one(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def _edited(path: Path, flow: Flow, vary: dict[str, list[Any]], choices: tuple[str, ...]) -> str:
    """The flow file's text with the chosen values."""
    from seisproc_qc.flowfile import edited
    from seisproc_qc.trials import find_step

    chosen: dict[str, Any] = {}
    for text in choices:
        name, equals, right = text.partition("=")
        if not equals or name.strip() not in vary:
            if len(vary) > 1:
                raise UsageError(f"--choose {text}: say which of {', '.join(vary)}, as {next(iter(vary))}=VALUE")
            name, right = next(iter(vary)), text
        values = _parsed(right)
        whole = _one(right.strip())  # a list, a text with commas
        chosen[name.strip()] = values[0] if len(values) == 1 else whole
    places = {}
    for name, value in chosen.items():
        owner, _, parameter = name.partition(".")
        places[find_step(flow, owner), parameter] = value
    return edited(path, places)


def _write(path: Path, text: str, as_json: bool) -> dict[str, Any]:
    from seisproc_qc.flowfile import difference, write

    changed = difference(path, text)
    if not changed:
        if not as_json:
            output.show(f"{path}: has that value already")
        return {"changed": False}
    backup = write(path, text)
    if not as_json:
        for line in changed.splitlines():
            output.show(line)
        output.show(f"{path}: changed; as it was: {backup}")
    return {"changed": True, "backup": str(backup), "diff": changed}
