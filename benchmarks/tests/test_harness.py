from __future__ import annotations

import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import segyio

from benchmarks.__main__ import SUBJECTS
from benchmarks.harness import Goal, Row, Work, against, at_least, at_most, duration, interleave, number, summary, table
from benchmarks.memory import peak_mb
from benchmarks.plain import put_unsynced
from benchmarks.reading import EIGHT, _columns, _columns_memmap
from benchmarks.workspace import FILE_HEADER, GATHER, WORDS, Workspace, trace_record, write_segy
from seisproc_core.data.survey import Piece
from seisproc_core.data.words import STANDARD


def test_rounds_alternate_after_the_warm_up_and_before_is_run_each_time() -> None:
    log: list[str] = []
    works = {name: Work(partial(log.append, name), partial(log.append, f"({name})")) for name in "ab"}
    seconds = interleave(works, 3)
    expected = ["a", "b"] * 2 + ["b", "a"] + ["a", "b"]
    assert log == [part for name in expected for part in (f"({name})", name)]
    assert all(len(times) == 3 and (times >= 0).all() for times in seconds.values())


def test_what_comes_before_is_not_timed() -> None:
    seconds = interleave({"w": Work(lambda: None, lambda: time.sleep(0.05))}, 3, warm_up=False)
    assert seconds["w"].max() < 0.04


def test_ratios_are_of_the_same_round() -> None:
    row = against("w", np.array([1.0, 4.0, 3.0]), "p", np.array([2.0, 4.0, 1.0]), goal=at_most(0.9), amount=(6, "MB"))
    assert row.values == (0.5, 1.0, 3.0)
    assert row.value == 1.0
    assert row.met is False
    assert row.noisy
    assert row.cells() == ("w", "3 s (2 MB/s)", "p: 2 s (3 MB/s)", "1 x", "0.5-3 noisy", "<= 0.9 x", "NO")


@pytest.mark.parametrize(
    ("goal", "met"), [(at_most(2), True), (at_most(1.9), False), (at_least(2), True), (None, None)]
)
def test_goals(goal: Goal | None, met: bool | None) -> None:
    assert Row(what="w", ours="", peer="", values=(2.0,), goal=goal).met is met


def test_table_and_summary_name_what_was_missed() -> None:
    rows = [
        Row(what="fast", ours="1 s", peer="p: 2 s", values=(0.5, 0.5), goal=at_most(1)),
        Row(what="slow", ours="4 s", peer="p: 2 s", values=(2.0, 2.0), goal=at_most(1)),
        Row(what="told", ours="4 s", peer="", values=(2.0,)),
    ]
    lines = table(rows).splitlines()
    assert len(lines) == 5
    assert len({len(line) for line in lines}) == 1
    assert summary(rows) == "1 of 2 goals met; missed: slow"


def test_numbers_for_reading() -> None:
    assert [number(v) for v in (12345.6, 0.12345, 45.67)] == ["12,346", "0.123", "45.7"]
    assert [duration(v) for v in (2.0, 0.0021, 3.4e-6)] == ["2 s", "2.1 ms", "3.4 us"]


def test_the_made_file_is_what_others_read(tmp_path: Path) -> None:
    path = tmp_path / "made.sgy"
    write_segy(path, 2 * GATHER + 7, 30)
    with segyio.open(path, ignore_geometry=True) as file:
        assert (file.tracecount, len(file.samples), int(file.format)) == (2 * GATHER + 7, 30, 1)
        assert file.bin[segyio.BinField.Interval] == 4000
        assert file.trace.raw[:].std() > 100
        mapped = np.memmap(path, trace_record(30), "r", FILE_HEADER)
        for name in WORDS:
            np.testing.assert_array_equal(file.attributes(STANDARD[name].byte)[:], mapped[name])
        np.testing.assert_array_equal(file.attributes(9)[:], np.arange(2 * GATHER + 7) // GATHER + 1)


def test_header_columns_equal_those_of_the_memory_map(tmp_path: Path) -> None:
    space = Workspace(tmp_path, quick=True)
    path = space.segy(120, 20)
    for name, ours, mapped in zip(EIGHT, _columns(path), _columns_memmap(path), strict=True):
        np.testing.assert_array_equal(ours, mapped, name)


def test_the_plain_writer_writes_the_pieces(tmp_path: Path) -> None:
    put_unsynced(tmp_path, [Piece("a/b", b"bytes"), Piece("c", np.arange(3, dtype=np.uint8))])
    assert (tmp_path / "a" / "b").read_bytes() == b"bytes"
    assert (tmp_path / "c").read_bytes() == b"\0\1\2"
    assert not list(tmp_path.rglob(".tmp-*"))


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs /proc/PID/smaps_rollup")
def test_peak_memory_counts_children() -> None:
    hold = "import time; b = b'x' * 100_000_000; time.sleep(0.3)"
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}], check=True)"
    assert 100 < peak_mb([sys.executable, "-c", nested]) < 160
    with pytest.raises(RuntimeError, match="ended with 3"):
        peak_mb([sys.executable, "-c", "raise SystemExit(3)"])


def test_every_subject_is_there_and_the_command_cleans_up(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "benchmarks", "--quick", "--dir", str(tmp_path), "--out", str(tmp_path / "t.md")]
    done = subprocess.run([*command, "--only", "commit"], cwd=root, capture_output=True, text=True, check=True)
    assert "journal append, p99" in done.stdout
    assert "journal append, p99" in (tmp_path / "t.md").read_text("utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["t.md"]
    refused = subprocess.run([*command, "--only", "nothing"], cwd=root, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert all(name in refused.stderr for name in SUBJECTS)
