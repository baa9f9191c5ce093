"""Exports made to be handed over: order, selection, mute and padding on the way out, and a check by re-reading."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from seisproc_core.data.formats import format_for, format_of, function_of, implied_options, open_survey
from seisproc_core.data.gather import Gather
from seisproc_core.data.survey import MemorySink, OutputPlan, blocks
from seisproc_core.data.words import canonical
from seisproc_core.errors import DataError, OutputExists, UsageError
from seisproc_core.jobs.durable import whole_file
from seisproc_core.plugins import registry
from seisproc_core.processing.flow import Flow, Source, Step, Target

if TYPE_CHECKING:
    from seisproc_core.data.survey import Survey
    from seisproc_core.processing.plan import StagePlan


@attrs.frozen(kw_only=True)
class Delivery:
    """What happens to traces on their way into a file.

    Attributes
    ----------
    gather, sort
        Order of the traces, by header words; ``-word`` sorts descending. As they are stored when empty.
    where
        Which traces are written, all of it must hold: lowest and highest value by header word in SI units, or an
        expression, as the parameter of that name of `select` takes it.
    mute
        Parameters of the step `mute`, or the file of its table.
    pad
        One or two header words whose grid is filled with dead traces: ``("inline", "crossline")``, ``("cdp",)``.
    sidecar
        Whether a provenance record is written beside the file.
    """

    gather: tuple[str, ...] = ()
    sort: tuple[str, ...] = ()
    where: tuple[Mapping[str, Sequence[float]] | str, ...] = ()
    mute: Mapping[str, Any] | str | None = None
    pad: tuple[str, ...] = ()
    sidecar: bool = False


def export_flow(survey: Path, out: Path, options: Mapping[str, Any], delivery: Delivery | None = None) -> Flow:
    """The flow that writes `survey` to the file `out`; `options` of its format that are None are left out."""
    how = delivery or Delivery()
    entry = format_for(out, working=False)
    if entry.spec["working"]:
        raise UsageError(f"{out} names a survey; an exported file is called NAME.sgy, NAME.segy or NAME.su")
    given = {name: value for name, value in options.items() if value is not None}
    complete = function_of(entry, "export_options")
    if complete is not None:
        given = complete(given, lambda: open_survey(survey))
    gather, sort = (tuple(map(canonical_key, words)) for words in (how.gather, how.sort))
    return Flow(
        source=Source(
            storage=format_of(survey).id,
            paths=(os.path.abspath(survey),),
            gather=gather or tuple(map(canonical, how.pad[:1])),
            sort=sort or tuple(map(canonical, how.pad[1:])),
        ),
        steps=tuple(_steps(how)),
        sink=Target(
            storage=entry.id,
            path=os.path.abspath(out),
            options={**implied_options(entry, out), **given},
            sidecar=how.sidecar,
        ),
        name=f"export {out.name}",
        base=Path.cwd(),
    )


def canonical_key(word: str) -> str:
    """The one name of a sort key, with its ``-``."""
    return ("-" if word.startswith("-") else "") + canonical(word.removeprefix("-"))


def _steps(how: Delivery) -> Iterator[Step]:
    for where in how.where:
        ranges = None if isinstance(where, str) else {canonical(word): list(ends) for word, ends in where.items()}
        yield Step(use="select", parameters={"where": ranges or where})
    if how.mute is not None:
        yield Step(use="mute", parameters={"table": how.mute} if isinstance(how.mute, str) else dict(how.mute))
    if how.pad:
        if len(how.pad) > 2:
            raise UsageError(f"a grid has one or two words, not {len(how.pad)}: inline and crossline, or cdp")
        words = dict(zip(("line", "at"), map(canonical, how.pad), strict=False))
        yield Step(use="pad", parameters=words)


def expected_rows(
    flow: Flow, *, executor: str | None = None, workers: int | None = None
) -> tuple[OutputPlan, Iterator[Gather]]:
    """What a flow gives its sink: the plan, with the options of the flow's own sink, and the rows, block by block.

    Rows of a flow of one stage are computed here, a few thousand at a time. One of several stages is run once more, on
    the executor and workers given, into a survey beside the flow's own output, which is removed after the last row.
    """
    from seisproc_core.processing.planning import plan_flow

    source = flow.source
    survey = registry().load("storage", source.storage)().open(source.paths, source.options)
    plan = plan_flow(attrs.evolve(flow, sink=Target(storage="memory")), registry(), survey)
    last = plan.stages[-1]
    rows = _computed(last, survey) if len(plan.stages) == 1 else _made_again(flow, executor, workers)
    return attrs.evolve(last.output, options=flow.sink.options), rows


def _computed(stage: StagePlan, survey: Survey) -> Iterator[Gather]:
    from seisproc_core.execution.stage import StageRunner
    from seisproc_core.jobs.control import Control

    runner = StageRunner(stage, survey, MemorySink(), registry(), Control())
    for segment in range(stage.n_segments):
        yield runner.run(segment, 0)[0][0].data


def _made_again(flow: Flow, executor: str | None, workers: int | None) -> Iterator[Gather]:
    from seisproc_core.jobs.engine import Engine

    out = Path(flow.sink.path)
    working = format_for(Path(out.stem), working=True).id
    with (
        tempfile.TemporaryDirectory(prefix=f".{out.name}.check-", dir=out.parent) as folder,
        Engine(executor=executor, workers=workers) as engine,
    ):
        sink = Target(storage=working, path=os.path.join(folder, f"{out.stem}.seis"))
        made = engine.submit(attrs.evolve(flow, sink=sink)).result().open()
        yield from blocks(made)


def check_report(flow: Flow, report: Path, *, replace: bool) -> None:
    """Refuse a report that exists, or cannot be made of what the flow writes, before the job begins."""
    _check_of(flow)
    for path in report_files(report):
        if os.path.lexists(path) and not replace:
            raise OutputExists(f"the report {path} exists; choose another name, or --replace to replace it")
    if not report.parent.is_dir():
        raise UsageError(f"the folder {report.parent} does not exist; create it first")


def _check_of(flow: Flow) -> Callable[..., dict[str, Any]]:
    """The function that re-reads a file of the flow's sink; `UsageError` where its format has none."""
    entry = None if flow.sink.storage == "memory" else registry().find("storage", flow.sink.storage)
    check = None if entry is None else function_of(entry, "check_export")
    if check is None:
        what = "surveys in memory" if entry is None else f"outputs of format {entry.id}"
        raise UsageError(f"there is no check report for {what}; it is for SEG-Y and SU files")
    return check


def report_files(report: Path) -> tuple[Path, ...]:
    """The files of a report: JSON, and text unless only JSON was asked for."""
    if report.suffix.lower() == ".json":
        return (report,)
    return (report, report.with_name(f"{report.name}.json"))


def write_report(
    flow: Flow, report: Path, *, executor: str | None = None, workers: int | None = None
) -> dict[str, Any]:
    """Re-read the file that a flow wrote, compare it with what it should hold, and write down what was found.

    Parameters
    ----------
    executor, workers
        What a flow of several stages runs on once more; see `expected_rows`.

    Returns
    -------
    dict
        The report; its ``problems`` is empty when all is well.

    Raises
    ------
    UsageError
        The format of the file has no check.
    """
    path, check = Path(flow.sink.path), _check_of(flow)
    plan, rows = expected_rows(flow, executor=executor, workers=workers)
    found: dict[str, Any] = {"survey": flow.source.paths[0], **check(str(path), plan, rows)}
    text = "\n".join(found.pop("text_report")) + "\n"
    files = report_files(report)
    contents = [json.dumps(found, indent=1, sort_keys=True) + "\n", text][: len(files)]
    for name, content in zip(reversed(files), contents, strict=True):
        with whole_file(name) as fresh:
            fresh.write_text(content, "utf-8", "backslashreplace")
    return found


def refuse_problems(found: Mapping[str, Any], report: Path) -> None:
    """Raise `DataError` where a report names problems."""
    problems = found["problems"]
    if problems:
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise DataError(f"the check of {found['file']} found: {problems[0]}{more}; see {report}")
