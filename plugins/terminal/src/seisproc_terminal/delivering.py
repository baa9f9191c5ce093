"""Running a job whose output is a file, and checking it by reading it again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seisproc_core.errors import UsageError
from seisproc_terminal import output
from seisproc_terminal.options import How

if TYPE_CHECKING:
    from seisproc_core.jobs.engine import Engine, JobHandle
    from seisproc_core.processing.flow import Flow

report_option = click.option(
    "--report", type=click.Path(path_type=Path), metavar="FILE",
    help="Read the file again, compare it with what it was made of, and write what was found (text and JSON).",
)  # fmt: skip


def deliver(flow: Flow, how: How, report: Path | None, *, as_json: bool, **submitted: Any) -> None:
    """Run a flow, and write the check report of its output where one is asked for.

    Parameters
    ----------
    submitted
        Further arguments for `Engine.submit`.
    """
    from seisproc_terminal.jobs import carry_out, run_job

    def start(engine: Engine) -> JobHandle:
        return engine.submit(flow, **how.submitted(), **submitted)

    if report is None:
        carry_out(start, how, as_json=as_json)
        return
    from seisproc_core.delivery import check_report, refuse_problems, write_report

    if how.detach:
        raise UsageError("--report reads the file when it is whole; leave out --detach")
    check_report(flow, report, replace=how.replace)
    outcome = run_job(start, how, as_json=True) if as_json else None
    if outcome is None:
        carry_out(start, how, as_json=False)
    found = write_report(flow, report, executor=how.executor, workers=how.workers)
    refuse_problems(found, report)
    if outcome is not None:  # one document, whatever happens
        output.document({**outcome.to_json(), "report": found})
    else:
        output.show(f"{report}: no problem found in {found['traces']:,} traces")
