"""A view as text: for a live terminal, and as plain lines for anything else."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from seisproc_alerts.sampling import Sample, WorkerSample
from seisproc_alerts.top import JobView, View
from seisproc_terminal.output import clean, size

_WORKERS = ("slot", "pid", "CPU", "memory", "segment", "traces", "idle", "read", "written")


def machine_lines(sample: Sample) -> Iterator[str]:
    """CPU, memory, traffic and GPUs, a line each."""
    cores = " ".join(f"{core:.0f}" for core in sample.cores)
    yield f"CPU     {sample.cpu_percent:3.0f} %   cores {cores}"
    swap = f"   swap {size(sample.swap_used)} of {size(sample.swap_total)}" if sample.swap_total else ""
    yield f"memory  {sample.memory_percent:3.0f} %   {size(sample.memory_used)} of {size(sample.memory_total)}{swap}"
    disk = f"read {size(sample.disk_read)}/s, written {size(sample.disk_write)}/s"
    yield f"disk    {disk}   network in {size(sample.net_in)}/s, out {size(sample.net_out)}/s"
    for gpu in sample.gpus:
        load = "?" if gpu.percent is None else f"{gpu.percent:3.0f}"
        memory = [size(count) if count is not None else "?" for count in (gpu.memory_used, gpu.memory_total)]
        yield f"GPU     {load} %   {memory[0]} of {memory[1]}   {clean(gpu.name)}"
    if not sample.gpus:
        yield "GPU     none"


def job_line(view: JobView) -> str:
    """A job in a line."""
    job = view.job
    rate = "" if view.rate is None else f"  {view.rate:,.0f} traces/s"
    left = f"  {_time(view.eta_s)} left" if view.eta_s is not None else ""
    percent = 100 * view.done / max(job.total, 1)
    what = f"{job.id}  {clean(job.name)}  {view.state}"
    return f"{what}  {percent:.0f} %  {view.done:,} of {job.total:,} traces{rate}{left}"


def worker_cells(worker: WorkerSample) -> tuple[str, ...]:
    """The cells of a worker's row, in the order of the columns."""
    state = worker.state
    gone = worker.memory is None
    return (
        str(state.slot),
        str(state.pid),
        "gone" if gone else f"{worker.cpu_percent or 0:.0f} %",
        "" if worker.memory is None else size(worker.memory),
        "" if state.segment is None else str(state.segment),
        f"{state.traces:,}",
        f"{state.idle_s:.0f} s",
        size(state.bytes_in),
        size(state.bytes_out),
    )


def plain(view: View) -> str:
    """Everything as lines of text."""
    lines = list(machine_lines(view.sample))
    for job in view.jobs:
        lines += ["", job_line(job)]
        if job.workers:
            rows = [_WORKERS, *map(worker_cells, job.workers)]
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
            lines += ["  " + "  ".join(map(str.rjust, row, widths)) for row in rows]
    return "\n".join([*lines, *_remarks(view)])


def live(view: View, silent_s: float = 0.0) -> RenderableType:
    """Everything for a live display; with how long there has been no answer, if that is too long."""
    parts: list[RenderableType] = [Text(line) for line in machine_lines(view.sample)]
    for job in view.jobs:
        parts += [Text(), Text(job_line(job), style="bold red" if job.interrupted else "bold")]
        parts.append(ProgressBar(total=max(job.job.total, 1), completed=job.done, width=60))
        if job.workers:
            table = Table(*_WORKERS, box=box.SIMPLE_HEAD, pad_edge=False)
            for column in table.columns:
                column.justify = "right"
            for worker in job.workers:
                table.add_row(*map(Text, worker_cells(worker)))
            parts.append(table)
    if silent_s:
        parts += [Text(), Text(f"no answer for {silent_s:.0f} s from a file system or device", style="red")]
    parts += [Text(line, style="dim") for line in [*_remarks(view), "", "q ends"]]
    return Group(*parts)


def _remarks(view: View) -> list[str]:
    if view.problem:
        return ["", f"jobs are not shown: {clean(view.problem)}"]
    return [] if view.jobs else ["", "no job is running"]


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(min(seconds, 1e9)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
