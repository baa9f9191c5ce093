"""The journal: whatever happens to its bytes, it loads whole records or nothing."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seisproc_core.errors import Damaged
from seisproc_core.execution.executor import Receipt
from seisproc_core.jobs import journal as module
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


def test_records_of_many_receipts_and_odd_names(tmp_path: Path) -> None:
    odd = Receipt(segment=3, pieces=(('{"segment":9}', 0, 1, 2), ('na\\"ve\n', 3, 4, 5)), traces_in=1, traces_out=1)
    with Journal(tmp_path / "j") as journal:
        journal.append(0, [receipt(0), receipt(1), receipt(2)])
        journal.append(0, [odd])
        journal.append(0, [])
        before = dict(journal.done[0])
    with Journal(tmp_path / "j") as journal:
        assert journal.done[0] == before == {**{s: receipt(s) for s in range(3)}, 3: odd}
        assert journal.done[0].traces_in == 22


STEPS = st.lists(
    st.tuples(st.sampled_from(["append", "forget", "reopen"]), st.integers(0, 9), st.integers(1, 100)), max_size=30
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_it_is_a_dictionary_whatever_was_loaded_and_what_came_later(
    tmp_path: Path, steps: list[tuple[str, int, int]]
) -> None:
    path = tmp_path / "j"
    path.unlink(missing_ok=True)
    journal, model, forgotten = Journal(path), dict[int, Receipt](), set[int]()
    for what, segment, traces in steps:
        if what == "append":
            made = Receipt(segment=segment, pieces=((f"c/{segment}", 0, traces, 1),), traces_in=traces, traces_out=1)
            journal.append(0, [made])
            model[segment] = made
            forgotten.discard(segment)
        elif what == "forget" and segment in model.keys() - forgotten:
            del journal.done[0][segment]
            forgotten.add(segment)
        elif what == "reopen":  # what was only forgotten is in the file
            journal.close()
            journal = Journal(path)
            forgotten.clear()
        expected = {segment: made for segment, made in model.items() if segment not in forgotten}
        found = journal.of(0)
        assert dict(found) == expected and len(found) == len(expected)
        assert found.traces_in == sum(made.traces_in for made in expected.values())
        assert found.missing(10) == [segment for segment in range(10) if segment not in expected]
        assert all((segment in found) == (segment in expected) for segment in range(-1, 11))
    journal.close()


@pytest.mark.parametrize("number", ["-1", "1.5", "true", '"0"', "null", str(2**70), "1" * 5000])
def test_numbers_that_cannot_be_are_no_record(tmp_path: Path, number: str) -> None:
    whole = written(tmp_path / "j", 1)
    body = '{"stage":0,"receipts":[{"segment":N,"pieces":[],"traces_in":7,"traces_out":5}]}'.replace("N", number)
    (tmp_path / "j").write_bytes(whole + b"%08x %s\n" % (zlib.crc32(body.encode()), body.encode()) + whole)
    with Journal(tmp_path / "j") as journal:
        assert journal.done == {0: {0: receipt(0)}}
    assert (tmp_path / "j").read_bytes() == whole


def test_a_record_altered_under_our_eyes_is_a_clean_refusal(tmp_path: Path) -> None:
    written(tmp_path / "j")
    with Journal(tmp_path / "j") as journal:
        raw = (tmp_path / "j").read_bytes()
        (tmp_path / "j").write_bytes(raw.replace(b"12345", b"12346"))
        with pytest.raises(Damaged, match="was altered at byte"):
            dict(journal.done[0])


def test_records_longer_than_what_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", 16)
    with Journal(tmp_path / "j") as journal:
        journal.append(0, [receipt(segment) for segment in range(50)])
        journal.append(1, [receipt(50)])
    with Journal(tmp_path / "j") as journal:
        assert len(journal.done[0]) == 50 and journal.done[1] == {50: receipt(50)}


def test_an_unreadable_place_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="journal"):
        Journal(tmp_path / "missing" / "j")
