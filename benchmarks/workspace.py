"""The folder benchmarks work in, and the files and surveys they share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from benchmarks.segy_peers.environment import Peers, PeersMissing, environment
from seisproc.demo.segy_file import ibm_words
from seisproc_core.data.words import STANDARD
from seisproc_core.jobs.engine import Engine
from seisproc_core.processing.flow import Flow, Source, Step, Target

INTERVAL_US = 4000
FILE_HEADER, TRACE_HEADER = 3600, 240
GATHER = 50  # traces per shot record
BLOCK = 2000  # traces written at once
MDIO_TRACES = 150_000  # of files that go through MDIO, which takes a minute for half a million
WORDS = (
    "trace_sequence_line", "trace_sequence_file", "field_record", "channel", "source_station", "cdp", "trace_type",
    "offset", "elevation_scalar", "coordinate_scalar", "source_x", "source_y", "receiver_x", "receiver_y",
    "sample_count", "sample_interval", "cdp_x", "cdp_y", "inline", "crossline", "shotpoint",
)  # fmt: skip
VELOCITY = {"time_ms": [0.0, 3000.0, 6000.0], "rms_m_per_s": [1600.0, 2400.0, 3200.0]}
FLOW_FILE = """
[source]
survey = "{survey}"

[[step]]
use = "agc"

[[step]]
use = "bandpass"
low_hz = 8.0
high_hz = 60.0

[sink]
survey = "{out}"
"""


class Workspace:
    """Where benchmarks run, and how large.

    Parameters
    ----------
    folder
        An empty folder on the disk to measure.
    quick
        A tenth of the traces.
    rounds
        Repetitions of each measurement, at least 3.
    peer_python
        Interpreter that the environment of the peers is made of.
    steps
        Processors to measure; all where none is named.
    """

    def __init__(
        self,
        folder: Path,
        *,
        quick: bool,
        rounds: int = 3,
        peer_python: str = sys.executable,
        steps: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.quick = quick
        self.rounds = rounds
        self._peer_python = peer_python
        self.steps = steps

    def size(self, full: int) -> int:
        """A number of traces, in quick runs a tenth."""
        return full // 10 if self.quick else full

    @cached_property
    def peers(self) -> Peers | str:
        """The peers' libraries; or why they are not there, in one line."""
        try:
            return Peers(environment(self._peer_python))
        except PeersMissing as error:
            return str(error)

    def close(self) -> None:
        """End what runs beside this process."""
        peers = self.__dict__.get("peers")
        if isinstance(peers, Peers):
            peers.close()

    @property
    def file_a(self) -> Path:
        """500,000 traces of 1,000 samples (quick: 50,000)."""
        return self.segy(self.size(500_000), 1000)

    def segy(self, traces: int, samples: int) -> Path:
        """A SEG-Y file of that size, made when first asked for."""
        path = self.folder / f"shots-{traces}x{samples}.sgy"
        if not path.exists():
            write_segy(path, traces, samples)
        return path

    def survey(self, traces: int, samples: int) -> Path:
        """The same as a survey; the file is not kept for it."""
        path = self.folder / f"shots-{traces}x{samples}.seis"
        if not path.exists():
            had = (self.folder / f"shots-{traces}x{samples}.sgy").exists()
            file = self.segy(traces, samples)
            with Engine(executor="in-process", workers=1) as engine:
                engine.submit(import_flow(file, path), type="import").result()
            if not had:
                file.unlink()
        return path

    def mdio_store(self, file: Path) -> Path:
        """A SEG-Y file of these as an MDIO store, made by MDIO when first asked for."""
        store = file.with_suffix(".mdio")
        if not store.exists() and isinstance(self.peers, Peers):
            run_command(self.peers.command("mdio_import", file, store, "2"))
        return store

    def fresh(self, name: str) -> Path:
        """A path with nothing there and nothing left to write back to the disk."""
        path = self.folder / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        os.sync()
        return path


def import_flow(file: Path, out: Path) -> Flow:
    """From SEG-Y to a survey."""
    return Flow(source=Source(storage="segy", paths=(str(file),)), sink=Target(storage="survey", path=str(out)))


def gain_and_filter(survey: Path, out: Path) -> Flow:
    """AGC over 500 ms and an 8-60 Hz band-pass."""
    steps = (
        Step(use="agc", parameters={"window_ms": 500.0}),
        Step(use="bandpass", parameters={"low_hz": 8.0, "high_hz": 60.0}),
    )
    source = Source(storage="survey", paths=(str(survey),))
    return Flow(source=source, steps=steps, sink=Target(storage="survey", path=str(out)), name="gain and filter")


def run_program(*arguments: str | Path) -> None:
    """Run ``seisproc`` as a user does; raises with its message when it fails."""
    run_command([program(), *map(str, arguments)])


def run_command(command: Sequence[str]) -> None:
    """Run a command line; raises with its last words when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        named = " ".join(Path(part).name for part in command[:3])
        raise RuntimeError(f"{named} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")


def program() -> str:
    """The installed command of the environment that runs this."""
    return str(Path(sys.executable).parent / "seisproc")


def copy(source: Path, target: Path) -> None:
    """Copy with the system's own tool."""
    subprocess.run(["cp", str(source), str(target)], check=True)


def write_segy(path: Path, traces: int, samples: int) -> None:
    """Band-limited noise as SEG-Y rev 1: IBM floats, big-endian, 21 header words set, shot records of 50 traces."""
    noise = np.random.default_rng(1).standard_normal((BLOCK, samples + 8)).cumsum(axis=1)
    words = ibm_words(1000 * (noise[:, 8:] - noise[:, :-8]))
    record = trace_record(samples)
    with path.open("wb") as file:
        file.write(("C" + " " * 79).encode("cp037") * 40 + _binary_header(samples))
        for start in range(0, traces, BLOCK):
            rows = np.arange(start, min(start + BLOCK, traces))
            block = np.zeros(len(rows), record)
            for name, values in _header_words(rows, samples).items():
                block[name] = values
            # Rolled, so that no two blocks are the same.
            block["samples"] = np.roll(words, start // BLOCK, axis=1)[: len(rows)]
            file.write(block.tobytes())


def trace_record(samples: int) -> np.dtype:
    """A trace of such a file: the header words that are set, by name, and the samples."""
    names = [*WORDS, "samples"]
    formats = [*(f">{STANDARD[name].type}" for name in WORDS), (">u4", (samples,))]
    offsets = [*(STANDARD[name].byte - 1 for name in WORDS), TRACE_HEADER]
    size = TRACE_HEADER + 4 * samples
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": size})


def _header_words(rows: np.ndarray, samples: int) -> dict[str, np.ndarray | int]:
    record, channel = rows // GATHER + 1, rows % GATHER + 1
    return {
        "trace_sequence_line": rows + 1, "trace_sequence_file": rows + 1, "field_record": record, "channel": channel,
        "source_station": 2 * record, "cdp": 2 * record + channel, "trace_type": 1, "offset": 25 * channel,
        "elevation_scalar": -100, "coordinate_scalar": -10, "source_x": 500 * record, "source_y": 1000,
        "receiver_x": 500 * record + 250 * channel, "receiver_y": 1000, "sample_count": samples,
        "sample_interval": INTERVAL_US, "cdp_x": 500 * record + 125 * channel, "cdp_y": 1000, "inline": 1,
        "crossline": 2 * record + channel, "shotpoint": record,
    }  # fmt: skip


def _binary_header(samples: int) -> bytes:
    header = bytearray(400)
    for byte, value in ((3213, GATHER), (3217, INTERVAL_US), (3221, samples), (3225, 1), (3501, 0x0100), (3503, 1)):
        header[byte - 3201 : byte - 3199] = value.to_bytes(2, "big")
    return bytes(header)
