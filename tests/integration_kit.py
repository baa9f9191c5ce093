"""What these tests share: a made-up line as SEG-Y, flows over it, the `seisproc` command, and outputs as bytes."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from seisproc_core import Engine, Flow
from seisproc_core.plugins import registry
from seisproc_terminal import main as terminal

EARLIEST_MS = -100.0  # where the modelled time axis begins; records are cut from it
UNCOMPARED = "provenance.json"  # host, times, and other facts about the run rather than the data

STACKING: list[dict[str, Any]] = [
    {"use": "gain", "t_power": 1.0},
    {"use": "mute", "time_ms": 150.0, "velocity_m_per_s": 2500.0, "taper_ms": 20.0},
    {"use": "bandpass", "low_hz": 8.0, "high_hz": 45.0},
    {"use": "agc", "window_ms": 200.0},
    {"use": "sort", "gather": ["cdp"], "sort": ["offset"]},
    {
        "use": "nmo",
        "velocity": {"time_ms": [0.0, 300.0, 600.0], "rms_m_per_s": [1800.0, 2000.0, 2300.0]},
        "max_stretch_percent": 60.0,
    },
    {"use": "stack"},
]


@attrs.frozen(eq=False)
class Line:
    """A modelled 2-D line: samples, and header words by name."""

    traces: np.ndarray = attrs.field(repr=False)
    words: Mapping[str, np.ndarray] = attrs.field(repr=False)
    start_ms: float = 0.0
    interval_ms: float = 4.0

    def reordered(self, order: np.ndarray) -> Line:
        return attrs.evolve(self, traces=self.traces[order], words={k: v[order] for k, v in self.words.items()})


def model_line(
    shots: int = 8, channels: int = 12, *, start_ms: float = 0.0, end_ms: float = 600.0, seed: int = 3
) -> Line:
    """Three hyperbolas in noise, the same at every absolute time wherever the record starts.

    Parameters
    ----------
    start_ms, end_ms
        First and one past the last time since the source; multiples of 4 ms from -100 ms on.
    """
    shot, channel = (values.ravel() for values in np.mgrid[:shots, :channels])
    source, receiver = 50 * shot, 50 * shot + 50 + 25 * channel
    offset = receiver - source
    times = np.arange(EARLIEST_MS, end_ms, 4.0) / 1000
    traces = np.random.default_rng(seed).normal(0, 0.05, (len(offset), len(times)))
    for zero_offset, velocity in ((0.2, 1850.0), (0.32, 2010.0), (0.46, 2160.0)):
        arrival = np.hypot(zero_offset, offset / velocity)[:, None]
        phase = (np.pi * 25.0 * (times - arrival)) ** 2
        traces += (1 - 2 * phase) * np.exp(-phase)
    skipped = round((start_ms - EARLIEST_MS) / 4.0)
    words = {
        "field_record": shot + 1, "channel": channel + 1, "cdp": (source + receiver) // 25 + 100,
        "offset": offset, "source_x": source, "receiver_x": receiver,
    }  # fmt: skip
    return Line(np.ascontiguousarray(traces[:, skipped:], np.float32), words, start_ms)


_PLACES = {"field_record": 9, "channel": 13, "cdp": 21, "offset": 37, "source_x": 73, "receiver_x": 81}


def write_segy(
    path: Path, line: Line, *, binary_us: int | None = None, trace_us: np.ndarray | int | None = None
) -> Path:
    """Write IEEE SEG-Y rev 1 with nothing but NumPy.

    Parameters
    ----------
    binary_us, trace_us
        Sample interval in the binary header and the trace headers where it is not the line's.
    """
    count, n_samples = line.traces.shape
    interval = round(line.interval_ms * 1000)
    binary_us, trace_us = (interval if us is None else us for us in (binary_us, trace_us))
    head = np.zeros(3600, np.uint8)
    head[:3200] = np.frombuffer("C 1 A MODELLED LINE".ljust(3200).encode("cp037"), np.uint8)
    for byte, value in ((3217, binary_us), (3221, n_samples), (3225, 5), (3255, 1), (3501, 0x100), (3503, 1)):
        head[byte - 1 : byte + 1] = np.frombuffer(np.array(value, ">u2").tobytes(), np.uint8)
    rows = np.zeros(count, [("header", "u1", 240), ("samples", ">f4", n_samples)])
    for name, values in line.words.items():
        byte = _PLACES[name]
        rows["header"][:, byte - 1 : byte + 3] = values.astype(">i4").view(np.uint8).reshape(count, 4)
    for byte, values in ((29, 1), (109, round(line.start_ms)), (115, n_samples), (117, trace_us)):
        column = np.broadcast_to(np.asarray(values), count).astype(">i2")
        rows["header"][:, byte - 1 : byte + 1] = column.view(np.uint8).reshape(count, 2)
    rows["samples"] = line.traces
    path.write_bytes(head.tobytes() + rows.tobytes())
    return path


def flow(source: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], sink: Mapping[str, Any]) -> Flow:
    """A flow as a flow file would give it."""
    return Flow.parse({"source": dict(source), "step": list(steps), "sink": dict(sink)})


def write_flow(path: Path, source: Path, sink: Path, steps: Sequence[Mapping[str, Any]], **sink_options: int) -> Path:
    """The flow file for the command."""

    def toml(value: Any) -> str:
        if isinstance(value, Mapping):
            return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
        return f'"{value}"' if isinstance(value, str) else str(value)  # a list of words or numbers is TOML as it is

    tables = ["\n".join(f"{key} = {toml(value)}" for key, value in step.items()) for step in steps]
    options = "".join(f"{key} = {value}\n" for key, value in sink_options.items())
    text = f'[source]\nsurvey = "{source}"\n' + "".join(f"\n[[step]]\n{table}\n" for table in tables)
    path.write_text(f'{text}\n[sink]\nsurvey = "{sink}"\n{options}')
    return path


def run(wanted: Flow, *, executor: str = "in-process", workers: int = 1, **how: Any) -> Path:
    """Run a flow to its output on disk."""
    with Engine(executor=executor, workers=workers) as engine:
        return engine.submit(wanted, **how).result(120).path


def open_output(path: Path) -> Any:
    """A finished survey or file."""
    storage = "survey" if path.is_dir() else "segy"
    return registry().load("storage", storage)().open([str(path)], {})


def values(path: Path) -> np.ndarray:
    """All samples of a finished output."""
    survey = open_output(path)
    traces: np.ndarray = survey.read(slice(0, survey.n_traces)).traces
    return traces


def assert_close(made: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    """Equal shapes, and values equal to a fraction of the largest."""
    assert made.shape == expected.shape
    assert expected.any(), "nothing to compare"
    assert np.abs(made - expected).max() <= tolerance * np.abs(expected).max()


def contents(path: Path) -> dict[str, str]:
    """What is compared between runs: a checksum of every file of an output, but for its provenance record."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file() and p.name != UNCOMPARED]
    return {p.relative_to(path).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(files)}


def shards(survey: Path) -> list[Path]:
    """The files that hold a survey's samples, whatever the layout calls them."""
    return sorted(path for path in (survey / "traces").rglob("*") if path.is_file() and path.suffix != ".json")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@attrs.frozen
class Ran:
    """What a run of the command ended with."""

    code: int
    out: str
    err: str


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "seisproc_terminal.main", *map(str, arguments)]


def seisproc(*arguments: object, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 120) -> Ran:
    """The command as a child process."""
    done = subprocess.run(
        command(*arguments),
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def seisproc_here(*arguments: object) -> Ran:
    """The command in this process: the same code without the time a start takes."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = terminal.run([str(argument) for argument in arguments])
    return Ran(code, out.getvalue(), err.getvalue())
