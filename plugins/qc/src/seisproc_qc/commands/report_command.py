"""``seisproc report``: what every step of a flow does to chosen gathers, as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from seisproc_core.errors import UsageError
from seisproc_qc.commands.places import gathers
from seisproc_terminal import output
from seisproc_terminal.options import axis_option, clip_option, json_option, variables_option


@click.command(short_help="Show what every step of a flow does to chosen gathers.")
@click.argument("flow", type=click.Path(path_type=Path))
@click.option("--at", "places", multiple=True, required=True, metavar="WORD=VALUE,...",
              help="Gathers to look at; FIRST:LAST is a range. May be repeated: all words must match.")  # fmt: skip
@click.option(
    "--steps", metavar="STEP,...", help="Steps to look at; STEP#2 is the second of that name.  [default: all]"
)
@click.option("--stack", type=click.Path(path_type=Path), metavar="FLOW",
              help="A flow with NMO and stack, run on the gathers before and after the steps.")  # fmt: skip
@click.option("--window", metavar="FIRST:LAST", help="Look at the samples between these times only, ms.")
@variables_option
@click.option("--out", type=click.Path(path_type=Path), help="The report.  [default: FLOW_report.html here]")
@axis_option
@clip_option
@click.option("--replace", is_flag=True, help="Replace an existing report.")
@json_option
def command(
    flow: Path,
    places: tuple[str, ...],
    steps: str | None,
    stack: Path | None,
    window: str | None,
    variables: tuple[str, ...],
    out: Path | None,
    axis: str | None,
    clip: float,
    replace: bool,
    as_json: bool,
) -> None:
    """Run the flow file FLOW on chosen gathers and report what each step changes.

    The report is one HTML file: for every step the gathers before and after it and their difference at one gain,
    amplitude spectra and autocorrelations, and a table of figures with the leakage of signal; then the same for all
    steps together, and with --stack for stacks. Only the traces that those gathers need are read; nothing else is
    written. With variables in the flow (--var) it is one report per line.

    \b
    Examples:
      seisproc report line.toml --at cdp=400,900
      seisproc report line.toml --at field_record=31 --steps decon,fx_decon --window 300:1500
      seisproc report line.toml --at cdp=380:420 --steps decon --stack stack.toml
      seisproc report line.toml --var line=L12 --at cdp=400 --out L12.html
    """
    from seisproc_core.processing.flow import Flow, load_typed
    from seisproc_qc.chain import follow_chain
    from seisproc_qc.chain_report import check_report, save_report

    loaded = load_typed(flow, variables=variables)
    report = out or Path(f"{loaded.name}_report.html")
    check_report(report, replace=replace)
    names = [name.strip() for name in steps.split(",")] if steps else []
    chain = follow_chain(
        loaded, gathers(places), steps=names, window_ms=_window(window), stack=Flow.load(stack) if stack else None
    )
    save_report(chain, report, word=axis, clip_percent=clip)
    shown = [*chain.links, chain.whole, *([chain.stacks] if chain.stacks else [])]
    if as_json:
        facts: list[dict[str, Any]] = [{"step": link.title, **link.figures} for link in shown]
        output.document({"flow": str(flow), "report": str(report), "steps": facts})
        return
    columns = ("traces_after", "rms_before", "rms_after", "dominant_hz_after", "change_percent", "leakage")
    output.table(["step", *columns], [[link.title, *(link.figures[name] for name in columns)] for link in shown])
    output.show(f"{report}: {len(chain.links)} steps on {chain.whole.before.n_traces} traces")


def _window(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    first, _, last = text.partition(":")
    try:
        made = float(first), float(last)
    except ValueError:
        raise UsageError(f"--window {text}: write first:last in ms, e.g. 300:1500") from None
    if made[0] >= made[1]:
        raise UsageError(f"--window {text}: {first} must lie before {last}")
    return made
