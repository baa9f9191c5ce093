"""Segments in the calling thread: the next one is computed while one is written, and no segment gets lost."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisproc_core.errors import Cancelled, DataError, StorageError
from seisproc_core.execution.executor import InProcess, Receipt, Task
from seisproc_core.jobs.control import CANCEL, Control


def receipt(segment: int) -> Receipt:
    return Receipt(segment=segment, pieces=(), traces_in=1, traces_out=1)


def task(compute: Callable[[int, int], Callable[[], Receipt]]) -> Task:
    return Task(folder=None, stage=0, compute=compute, control=Control(), workers=1)


def test_the_next_segment_is_computed_while_one_is_written() -> None:
    second_begun, here, got = threading.Event(), threading.get_ident(), []

    def compute(segment: int, slot: int) -> Callable[[], Receipt]:
        assert threading.get_ident() == here
        if segment == 1:
            second_begun.set()

        def write() -> Receipt:
            assert threading.get_ident() != here
            assert segment != 0 or second_begun.wait(20)
            return receipt(segment)

        return write

    def done(made: Receipt) -> None:
        assert threading.get_ident() == here
        got.append(made.segment)

    InProcess().run(task(compute), range(5), done)
    assert got == [0, 1, 2, 3, 4]


@given(st.integers(0, 9), st.sampled_from(["compute", "write", "cancel", "done", ""]), st.integers(0, 9))
def test_at_most_two_are_under_way_and_what_is_written_is_reported(count: int, fails: str, where: int) -> None:
    busy: dict[int, int] = {}  # segment by slot, from its beginning to its receipt
    written, got = set(), []

    def compute(segment: int, slot: int) -> Callable[[], Receipt]:
        assert slot not in busy
        busy[slot] = segment
        if segment == where and fails == "compute":
            raise DataError("NaN")
        if segment == where and fails == "cancel":
            wanted.control.raise_command(CANCEL)

        def write() -> Receipt:
            if segment == where and fails == "write":
                raise StorageError("disk full")
            written.add(segment)
            return receipt(segment)

        return write

    def done(made: Receipt) -> None:
        got.append(made.segment)
        busy.pop(next(slot for slot, segment in busy.items() if segment == made.segment))
        if made.segment == where and fails == "done":
            raise OSError("no journal")

    wanted = task(compute)
    error = {"compute": DataError, "write": StorageError, "cancel": Cancelled, "done": OSError, "": None}[fails]
    if error is None or where >= count or (fails == "cancel" and where == count - 1):
        InProcess().run(wanted, range(count), done)
        assert got == list(range(count))
    else:
        with pytest.raises(error):
            InProcess().run(wanted, range(count), done)
        assert set(got) == written
        last = {"compute": where, "write": where, "cancel": where + 1, "done": where + 1}[fails]
        assert got == list(range(min(last, count)))
