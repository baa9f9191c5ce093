"""Memory follows the size of a batch and a shard, not that of the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from integration_kit import Line, write_segy

MB = 1 << 20
SAMPLES = 1000

# The peak of anonymous memory: pages of mapped files are the system's to take back.
SCRIPT = """
import sys, threading
from seisproc_core import Engine, Flow

def anonymous():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) * 1024

peak, ended = 0, threading.Event()
def watch():
    global peak
    while not ended.wait(0.002):
        peak = max(peak, anonymous())

source, folder = sys.argv[1:]
watcher = threading.Thread(target=watch)
watcher.start()
line, agc = f"{folder}/line.seis", f"{folder}/agc.seis"
with Engine(executor="in-process", workers=1) as engine:
    shards = {"shard_traces": 1024}
    engine.submit(Flow.parse({"source": {"segy": source}, "sink": {"survey": line} | shards})).result()
    steps = [{"use": "bandpass", "low_hz": 10, "high_hz": 60}, {"use": "agc"}]
    engine.submit(Flow.parse({"source": {"survey": line}, "step": steps, "sink": {"survey": agc} | shards})).result()
ended.set()
watcher.join()
print(peak)
"""


def peak(folder: Path, size: int) -> int:
    """Peak memory of importing and processing a file of `size` bytes, in bytes."""
    folder.mkdir()
    count = size // (4 * SAMPLES + 240)
    numbers = np.arange(count, dtype=np.int32)
    traces = np.broadcast_to(np.random.default_rng(1).normal(size=SAMPLES).astype(np.float32), (count, SAMPLES))
    source = write_segy(folder / "line.sgy", Line(traces, {"cdp": numbers, "offset": numbers % 3000}))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(source), str(folder)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_peak_does_not_grow_with_the_file(tmp_path: Path) -> None:
    small, large = peak(tmp_path / "small", 20 * MB), peak(tmp_path / "large", 200 * MB)
    assert large - small < 64 * MB, f"{small / MB:.0f} MiB for 20 MB, {large / MB:.0f} MiB for 200 MB"
