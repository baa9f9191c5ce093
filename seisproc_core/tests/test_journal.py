"""The journal: whatever happens to its bytes, it loads whole records or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seisproc_core.execution.executor import Receipt
from seisproc_core.jobs.journal import Journal


def receipt(segment: int) -> Receipt:
    return Receipt(segment=segment, pieces=((f"c/{segment}", 0, 100, 12345),), traces_in=7, traces_out=5)


def written(path: Path, count: int = 5) -> bytes:
    with Journal(path) as journal:
        for segment in range(count):
            journal.append(segment % 2, [receipt(segment)])
    return path.read_bytes()


def test_what_was_appended_is_there(tmp_path: Path) -> None:
    written(tmp_path / "j")
    with Journal(tmp_path / "j") as journal:
        assert journal.done == {0: {s: receipt(s) for s in (0, 2, 4)}, 1: {s: receipt(s) for s in (1, 3)}}


def test_torn_at_any_byte_gives_the_last_whole_state(tmp_path: Path) -> None:
    data = written(tmp_path / "j")
    ends = [i + 1 for i, byte in enumerate(data) if byte == ord("\n")]
    for cut in range(len(data) + 1):
        path = tmp_path / "torn"
        path.write_bytes(data[:cut])
        with Journal(path) as journal:
            assert sum(map(len, journal.done.values())) == sum(end <= cut for end in ends)
            journal.append(0, [receipt(99)])
        with Journal(path) as journal:
            assert journal.done[0][99] == receipt(99)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_altered_bytes_never_invent_work(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "j"
    path.unlink(missing_ok=True)
    raw = bytearray(written(path))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(raw))
    with Journal(path) as journal:
        for done in journal.done.values():
            for segment, found in done.items():
                assert found == receipt(segment)


def test_a_later_record_wins(tmp_path: Path) -> None:
    again = Receipt(segment=0, pieces=(("c/0", 0, 100, 999),), traces_in=7, traces_out=5)
    with Journal(tmp_path / "j") as journal:
        journal.append(0, [receipt(0)])
        journal.append(0, [again])
    with Journal(tmp_path / "j") as journal:
        assert journal.done[0][0] == again


def test_an_unreadable_place_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="journal"):
        Journal(tmp_path / "missing" / "j")
