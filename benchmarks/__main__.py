"""The one command: run the benchmarks, print the table."""

from __future__ import annotations

import argparse
import datetime
import importlib
import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from benchmarks.harness import NOISY, Line, summary, table
from benchmarks.workspace import Workspace

SUBJECTS = {
    "decode": "reading:decode",
    "headers": "reading:headers",
    "transfer": "storing:transfer",
    "mdio": "exchanging:mdio",
    "header-copy": "exchanging:header_copy",
    "gathers": "storing:gathers",
    "codecs": "codecs:codecs",
    "sweep": "storing:sweep",
    "sort": "storing:sort",
    "browse": "storing:browsing",
    "flow": "flows:flow",
    "chain": "flows:chain",
    "memory": "memory:memory",
    "startup": "startup:startup",
    "job": "startup:job",
    "commit": "committing:commit",
    "submit": "job_system:submitting",
    "begin": "job_system:beginning",
    "start": "cancelling:starting",
    "progress": "job_system:telling",
    "withdraw": "job_system:withdrawing",
    "cancel": "cancelling:cancelling",
    "busy": "cancelling:busy",
    "crowd": "job_system:crowd",
    "queue": "histories:queues",
    "flows": "histories:end_to_end",
    "growth": "histories:growth",
    "history": "histories:history",
    "journal": "histories:journals",
    "resume": "resuming:resuming",
    "ray": "ray_jobs:ray_jobs",
    "geometry": "header_rows:header_rows",
    "processors": "processors.rows:processors",
}

GROUPS = {
    "storage": (
        "decode", "headers", "transfer", "mdio", "header-copy", "gathers", "sweep", "sort", "browse", "codecs",
        "memory",
    ),
    "jobs": (
        "submit", "begin", "start", "progress", "withdraw", "cancel", "busy", "crowd", "queue", "flows", "growth",
        "history", "journal", "commit", "resume", "ray", "job", "startup", "flow",
    ),
}  # fmt: skip


def main() -> int:
    """Run what was asked for; 1 when a benchmark failed, 0 otherwise, whatever the goals say."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="seisproc-bench-", dir=options.dir) as folder:
        # Jobs of benchmarks do not belong in the user's list.
        os.environ["SEISPROC_STATE_DIR"] = str(Path(folder) / "state")
        # Python keeps what it compiled, where nobody forbids it: commands start as they do for most.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        space = Workspace(
            Path(folder), quick=options.quick, rounds=options.rounds, peer_python=options.peer_python,
            steps=options.steps,
        )  # fmt: skip
        heading = _heading(options.quick, options.rounds, options.dir)
        print(heading, flush=True)
        rows: list[Line] = []
        failed: list[str] = []
        for name in _chosen(options.only):
            try:
                rows.extend(_run(name, space))  # those before a failure too
            except Exception:
                traceback.print_exc()
                failed.append(name)
        space.close()
    lines = [heading, table(rows), "", summary(rows)]
    if failed:
        lines.append(f"failed: {', '.join(failed)}")
    print("\n" + "\n".join(lines[1:]))
    if options.out:
        Path(options.out).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 1 if failed else 0


def _chosen(names: list[str] | None) -> list[str]:
    """Benchmarks by name, groups resolved; all where none is named."""
    return [name for asked in names or SUBJECTS for name in GROUPS.get(asked, (asked,))]


def _run(name: str, space: Workspace) -> Iterator[Line]:
    """One benchmark; its rows are shown as they come, on stderr."""
    module, _, function = SUBJECTS[name].partition(":")
    for row in getattr(importlib.import_module(f"benchmarks.{module}"), function)(space):
        print(f"{name}: " + " | ".join(filter(None, row.cells())), file=sys.stderr, flush=True)
        yield row


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Ratios against named peers, measured side by side; medians of interleaved repetitions.",
        epilog=f"Full sizes need about 40 GB of disk and an hour. Benchmarks: {', '.join(SUBJECTS)}.",
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the traces: a few minutes, 4 GB")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=[*GROUPS, *SUBJECTS],
        metavar="NAME",
        help="only these benchmarks, or the groups `storage` and `jobs`",
    )
    parser.add_argument("--steps", nargs="+", default=(), metavar="ID", help="of `processors`, only these")
    parser.add_argument("--rounds", type=_rounds, default=3, help="repetitions of each measurement, at least 3")
    parser.add_argument("--dir", help="where to make the temporary folder: the disk that is measured")
    parser.add_argument(
        "--peer-python", default=sys.executable, help="Python to make the environment of segfast, segy and MDIO of"
    )
    parser.add_argument("--out", help="write the table to this file too")
    return parser.parse_args()


def _rounds(text: str) -> int:
    if int(text) < 3:
        raise argparse.ArgumentTypeError("a median needs at least 3 repetitions")
    return int(text)


def _heading(quick: bool, rounds: int, folder: str | None) -> str:
    """Date, machine, versions, and how to read the table."""
    names = ("seisproc", "numpy", "scipy", "numba", "segyio")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    sizes = "a tenth of the traces (goals are for full sizes)" if quick else "full sizes"
    release = ".".join(platform.release().split(".")[:2])
    return (
        f"# Benchmarks, {datetime.date.today()}\n\n"
        f"{_processor()}, {os.cpu_count()} CPUs, {platform.system()} {release}, "
        f"Python {platform.python_version()}, {versions}. "
        f"Files in {folder or tempfile.gettempdir()}; load at the start {os.getloadavg()[0]:.1f}. "
        f"{sizes.capitalize()}, "
        f"medians of {rounds} or more interleaved repetitions; `x` is our time over the peer's in the same repetition; "
        f"`noisy`: repetitions differ by more than {NOISY:g} times.\n"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    sys.exit(main())
