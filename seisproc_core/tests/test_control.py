"""The control file: a layout others can rely on, readers that nothing can crash, counters that say what happens."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisproc_core.errors import Cancelled, StorageError, UsageError
from seisproc_core.jobs.control import CANCEL, PAUSE, SLOTS, Control

SIZE = SLOTS * 64


def slot_of(path: Path, slot: int) -> tuple[int, ...]:
    """The eight numbers of a slot, read as the documentation says and not by the class."""
    return struct.unpack_from("=8q", path.read_bytes(), 64 * slot)


def test_the_layout_is_as_documented(tmp_path: Path) -> None:
    control = Control(tmp_path / "control", create=True)
    control.begin(3, 41)
    control.beat(3, 7, bytes_in=700, bytes_out=70)
    control.raise_command(PAUSE)
    assert (tmp_path / "control").stat().st_size == SIZE
    assert (tmp_path / "control").read_bytes()[0] == PAUSE
    nothing, traces, segment, beat, pid, bytes_in, bytes_out, spare = slot_of(tmp_path / "control", 3)
    assert (nothing, traces, segment, pid, bytes_in, bytes_out, spare) == (0, 7, 42, os.getpid(), 700, 70, 0)
    assert beat > 0
    assert not any(slot_of(tmp_path / "control", 2))


def test_workers_tell_what_they_do() -> None:
    control = Control()
    assert control.workers() == []
    control.begin(1, 0)
    control.begin(2, 5)
    for _ in range(3):
        control.beat(2, 10, bytes_in=1000)
    control.beat(2, bytes_out=500)
    first, second = control.workers()
    assert (first.slot, first.segment, first.traces, first.pid) == (1, 0, 0, os.getpid())
    assert (second.slot, second.segment, second.traces) == (2, 5, 30)
    assert (second.bytes_in, second.bytes_out) == (3000, 500)
    assert 0 <= second.idle_s < 60
    assert control.in_flight() == 30


def test_a_segment_that_ends_leaves_bytes_and_no_traces() -> None:
    control = Control()
    control.begin(1, 4)
    control.beat(1, 9, bytes_in=90)
    control.begin(1, -1)
    (worker,) = control.workers()
    assert (worker.segment, worker.traces, worker.bytes_in) == (None, 0, 90)


def test_the_half_done_work_of_a_dead_worker_does_not_count_and_its_bytes_do() -> None:
    control = Control()
    control.begin(1, 4)
    control.beat(1, 9, bytes_in=90)
    control.vacate(1)
    assert control.workers() == []
    assert control.in_flight() == 0
    assert control.traffic() == (90, 0)
    control.begin(1, 4)
    control.beat(1, 1, bytes_in=10, bytes_out=3)
    assert control.traffic() == (100, 3)


def test_kernels_count_into_the_same_number() -> None:
    control = Control()
    control.begin(2, 0)
    control.progress(2)[0] += 12
    assert control.workers()[0].traces == control.in_flight() == 12


def test_another_process_sees_the_workers_and_raises_the_command(tmp_path: Path) -> None:
    control = Control(tmp_path / "control", create=True)
    control.begin(2, 5)
    control.beat(2, 3, bytes_in=12)
    code = """
import json, sys
from pathlib import Path
import attrs
from seisproc_core.jobs.control import CANCEL, Control
control = Control(Path(sys.argv[1]))
control.raise_command(CANCEL)
print(json.dumps([attrs.asdict(worker) for worker in control.workers()]))
"""
    told = subprocess.run([sys.executable, "-c", code, tmp_path / "control"], capture_output=True, check=True)
    (worker,) = json.loads(told.stdout)
    assert (worker["pid"], worker["segment"], worker["traces"], worker["bytes_in"]) == (os.getpid(), 5, 3, 12)
    assert 0 <= worker["idle_s"] < 60  # one clock for all processes
    with pytest.raises(Cancelled, match="cancelled"):
        control.check()


def test_a_pause_does_not_take_back_a_cancel() -> None:
    control = Control()
    control.raise_command(CANCEL)
    control.raise_command(PAUSE)
    assert control.command == CANCEL


@given(st.binary(max_size=400), st.integers(0, SIZE - 400))
def test_whatever_the_file_holds_readers_go_on(tmp_path_factory: pytest.TempPathFactory, junk: bytes, at: int) -> None:
    path = tmp_path_factory.getbasetemp() / "mutated"
    control = Control(path, create=True)
    for slot in range(1, SLOTS):
        control.begin(slot, slot)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(junk)
    reader = Control(path)
    for worker in reader.workers():
        assert worker.pid > 0
        assert worker.segment is None or worker.segment >= 0
        assert min(worker.traces, worker.idle_s, worker.bytes_in, worker.bytes_out) >= 0
    assert reader.in_flight() >= 0
    assert min(reader.traffic()) >= 0
    assert 0 <= reader.command < 256
    if reader.command:
        with pytest.raises(Cancelled):
            reader.check()


@pytest.mark.parametrize("size", [0, 1, 64, SIZE - 1, SIZE + 1])
def test_a_file_of_another_size_is_refused(tmp_path: Path, size: int) -> None:
    (tmp_path / "control").write_bytes(bytes(size))
    with pytest.raises(UsageError, match="is not a control file"):
        Control(tmp_path / "control")


def test_a_file_that_cannot_be_had_is_an_error(tmp_path: Path) -> None:
    for path, create in ((tmp_path / "absent", False), (tmp_path, False), (tmp_path / "no" / "folder", True)):
        with pytest.raises(StorageError, match="control file"):
            Control(path, create=create)
    assert not list(tmp_path.iterdir())


def test_a_new_attempt_leaves_those_who_look_at_the_last_one_alone(tmp_path: Path) -> None:
    old = Control(tmp_path / "control", create=True)
    old.begin(1, 8)
    new = Control(tmp_path / "control", create=True)
    new.raise_command(CANCEL)
    assert old.workers()[0].segment == 8  # a file cut short under its map would end this process by SIGBUS
    assert old.command == 0
    assert new.workers() == []
    assert [path.name for path in tmp_path.iterdir()] == ["control"]
