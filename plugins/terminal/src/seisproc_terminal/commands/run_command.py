"""``seisproc run``: a flow file, carried out or only planned."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seisproc_core.data.formats import format_named, implied_options
from seisproc_core.errors import UsageError
from seisproc_terminal import output
from seisproc_terminal.delivering import deliver, report_option
from seisproc_terminal.options import How, job_options, json_option, variables_option

if TYPE_CHECKING:
    from seisproc_core.processing.flow import Flow
    from seisproc_core.processing.plan import Plan, StagePlan


@click.command(short_help="Run a flow.")
@click.argument("flow", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="STEP.PARAMETER=VALUE",
              help="Change a parameter of a step (or of source or sink). May be repeated.")  # fmt: skip
@variables_option
@click.option("--lines", type=click.Path(path_type=Path), metavar="TABLE.csv",
              help="Run the flow once per row of a table, whose columns are variables.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="Write here, instead of where the flow says.")
@click.option("--dry-run", is_flag=True, help="Check the flow and show its plan; write nothing.")
@report_option
@job_options
@json_option
def command(
    flow: Path,
    overrides: tuple[str, ...],
    variables: tuple[str, ...],
    lines: Path | None,
    out: Path | None,
    dry_run: bool,
    report: Path | None,
    how: How,
    as_json: bool,
) -> None:
    """Run the flow file FLOW (TOML: a source, steps, a sink).

    Everything is checked before the first sample is read. The output appears when it is whole; after a Ctrl-C, a
    crash or a full disk, `seisproc resume OUT` (or the same command with --resume) goes on where it stopped.

    \b
    Examples:
      seisproc run stack.toml
      seisproc run stack.toml --set agc.window_ms=300 --out stack300.seis
      seisproc run stack.toml --dry-run
      seisproc run stack.toml --detach --priority 7
      seisproc run stack.toml --var line=L12
      seisproc run stack.toml --lines lines.csv
      seisproc run deliver.toml --report delivered.txt
    """
    if lines is not None:
        if report is not None:
            raise UsageError("--report is for one output; leave out --lines")
        _run_lines(flow, overrides, variables, lines, out, dry_run, how, as_json)
        return
    loaded = _load(flow, overrides, variables, out)
    if dry_run:
        _show_plan(loaded, how, as_json)
        return
    deliver(loaded, how, report, as_json=as_json)


def _run_lines(
    flow: Path,
    overrides: tuple[str, ...],
    variables: tuple[str, ...],
    lines: Path,
    out: Path | None,
    dry_run: bool,
    how: How,
    as_json: bool,
) -> None:
    from seisproc_terminal.lines import load_lines, run_lines, show_plans

    if out is not None:
        raise UsageError("--out names one output: with --lines, write variables into the path of [sink]")
    table = load_lines(flow, overrides, variables, lines)
    if dry_run:
        show_plans(table, how, as_json=as_json)
    else:
        run_lines(table, flow.stem, how, as_json=as_json)


def _load(path: Path, overrides: tuple[str, ...], variables: tuple[str, ...], out: Path | None) -> Flow:
    import attrs

    from seisproc_core.processing.flow import load_typed

    flow = load_typed(path, overrides, variables)
    if out is not None:
        entry = format_named(out)  # a bare name means the format of the flow
        storage = entry.id if entry else flow.sink.storage
        options = {**flow.sink.options, **(implied_options(entry, out) if entry else {})}
        sink = attrs.evolve(flow.sink, storage=storage, path=os.path.abspath(out), options=options)
        flow = attrs.evolve(flow, sink=sink)
    if flow.sink.storage == "memory":
        raise UsageError(f"flow {flow.name}: [sink] needs a format on disk, or give --out NAME.seis")
    return flow


def _show_plan(flow: Flow, how: How, as_json: bool) -> None:
    from seisproc_core.jobs.checks import checked_plan, open_source
    from seisproc_core.plugins import registry

    known = registry()
    plan = checked_plan(flow, known, open_source(flow, known), replace=how.replace, resume=how.resume)
    content = _plan_facts(flow, plan)
    if as_json:
        output.document(content)
        return
    output.show(f"{flow.name}: {', '.join(flow.source.paths)} -> {flow.sink.path}")
    if flow.variables:
        output.show(f"with {', '.join(f'{name} = {_short(value)}' for name, value in flow.variables.items())}")
    for note in plan.notes:
        output.remark(f"note: {note}")
    for number, stage in enumerate(content["stages"], 1):
        output.show(
            f"stage {number} of {len(content['stages'])}: {stage['traces_in']:,} traces in, "
            f"{stage['traces_out']:,} out of {stage['samples']} samples; {stage['segments']} "
            f"{'segment' if stage['segments'] == 1 else 'segments'}, "
            f"about {output.size(stage['bytes_per_worker'])} per worker"
        )
        rows = [(step["use"], step["backend"], step["text"]) for step in stage["steps"]]
        output.table(("step", "runs as", "parameters"), rows, indent="  ")
        for path in stage["saves"]:
            output.show(f"  saves {path}")


def _plan_facts(flow: Flow, plan: Plan) -> dict[str, Any]:
    return {
        "name": flow.name,
        "inputs": list(flow.source.paths),
        "output": flow.sink.path,
        "variables": dict(flow.variables),
        "notes": list(plan.notes),
        "stages": [_stage_facts(stage) for stage in plan.stages],
    }


def _stage_facts(stage: StagePlan) -> dict[str, Any]:
    from seisproc_core.processing.plan import bytes_per_worker

    sampling = stage.output.sampling
    steps = [
        {
            "use": step.use,
            "parameters": dict(step.parameters),
            "backend": ", ".join(sorted(set(step.kernels.values()))) or "reference",
            "text": " ".join(f"{key}={_short(value)}" for key, value in step.parameters.items()),
        }
        for step in stage.steps
    ]
    return {
        "steps": steps,
        "saves": [side.path for side in stage.sides],
        "traces_in": stage.traces_in,
        "traces_out": stage.output.n_traces,
        "samples": sampling.count,
        "interval_ms": sampling.interval_s * 1e3,
        "start_ms": sampling.start_s * 1e3,
        "segments": stage.n_segments,
        "segment_rows": stage.segment_rows,
        "bytes_per_worker": bytes_per_worker(stage),
    }


def _short(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(value, Mapping):
        columns = (f"{name}: {' '.join(map(_short, column))}" for name, column in value.items())
        text = f"[{', '.join(columns)}]"
    return text if len(text) <= 60 else f"{text[:57]}..."
