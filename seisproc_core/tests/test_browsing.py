"""Paging through gathers: right ones, read ahead in the direction of travel, within the memory given."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from seisproc_core.data.browsing import GatherBrowser
from seisproc_core.data.gather import Gather
from seisproc_core.data.survey import MemorySurvey
from seisproc_core.errors import ChunkCorrupt, UsageError
from seisproc_core.testing import make_gather

GATHERS, FOLD, SAMPLES = 40, 6, 50


class Slow(MemorySurvey):
    """Notes which gathers are read, and reads only while `go` is set."""

    def __init__(self) -> None:
        count = GATHERS * FOLD
        super().__init__(make_gather(np.arange(count * SAMPLES).reshape(count, SAMPLES), cdp=np.arange(count) // FOLD))
        self.reads: list[int] = []
        self.go = threading.Event()
        self.go.set()
        self.broken: set[int] = set()

    def read(self, rows: np.ndarray | slice, *, flag: np.ndarray | None = None) -> Gather:
        number = int(np.asarray(rows)[0]) // FOLD
        self.reads.append(number)
        self.go.wait(10)
        if number in self.broken:
            raise ChunkCorrupt("a chunk is damaged")
        return super().read(rows)


def browse(survey: Slow, **how: int) -> GatherBrowser:
    return GatherBrowser(survey, np.arange(GATHERS * FOLD), np.arange(GATHERS + 1) * FOLD, **how)


def settle(browser: GatherBrowser) -> None:
    deadline = time.monotonic() + 10
    while (browser._wanted or browser._reading) and time.monotonic() < deadline:
        time.sleep(0.001)


def test_every_gather_is_the_right_one() -> None:
    survey = Slow()
    with browse(survey) as gathers:
        for number in np.random.default_rng(1).integers(0, GATHERS, 200).tolist():
            assert (gathers[number].headers["cdp"] == number).all()
        with pytest.raises(IndexError, match="no gather 40"):
            gathers[GATHERS]
    assert len(gathers) == GATHERS


@pytest.mark.parametrize(("start", "step"), [(5, 1), (30, -1)])
def test_what_comes_next_is_there(start: int, step: int) -> None:
    survey = Slow()
    with browse(survey, depth=3) as gathers:
        gathers[start]
        for k in range(1, 8):
            settle(gathers)
            hits = gathers.statistics.hits
            gathers[start + k * step]
            settle(gathers)
            if k > 1:  # the direction is known
                assert gathers.statistics.hits == hits + 1
        ahead = {start + step * k for k in range(8, 11)}
        assert ahead <= set(survey.reads)
        assert len(survey.reads) == len(set(survey.reads)) or step == -1


def test_requests_of_the_past_are_dropped() -> None:
    survey = Slow()
    with browse(survey, depth=5, threads=1) as gathers:
        survey.go.clear()
        asked = [threading.Thread(target=gathers.__getitem__, args=(k,)) for k in (0, 20)]
        for thread in asked:
            thread.start()
            time.sleep(0.05)
        survey.go.set()
        for thread in asked:
            thread.join()
        settle(gathers)
        assert gathers.statistics.dropped >= 3
        assert {21, 22, 23, 24, 25} <= set(survey.reads) and 5 not in survey.reads


def test_memory_is_bounded() -> None:
    survey = Slow()
    each = FOLD * SAMPLES * 4
    with browse(survey, depth=2, max_bytes=5 * each) as gathers:
        for number in range(GATHERS):
            gathers[number]
        settle(gathers)
        assert gathers.statistics.kept_bytes <= 5 * each


def test_damage_is_told_to_whoever_asks_for_it() -> None:
    survey = Slow()
    survey.broken = {3}
    with browse(survey) as gathers:
        for number in (1, 2):
            gathers[number]
        settle(gathers)
        with pytest.raises(ChunkCorrupt):
            gathers[3]
        assert gathers[4].n_traces == FOLD


def test_depth_is_checked() -> None:
    with pytest.raises(UsageError, match="0 to 5"):
        browse(Slow(), depth=6)
