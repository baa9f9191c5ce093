"""What every storage format must do, as tests: subclass `StorageSuite`, say how a survey is made, and run pytest."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np
import pytest

from seisproc_core.data.checksums import crc32c
from seisproc_core.data.gather import Gather
from seisproc_core.data.survey import OutputPlan, Piece, Sink, Storage, Survey, SurveyInfo
from seisproc_core.errors import ParameterError, SeisprocError, UsageError
from seisproc_core.testing import make_gather

TRACES, SAMPLES = 300, 20


def line() -> Gather:
    """300 traces of 20 samples, 2 ms, in shots of 12; whole numbers, which every sample format holds."""
    rows = np.arange(TRACES)
    samples = np.random.default_rng(11).integers(-1000, 1000, (TRACES, SAMPLES))
    return make_gather(samples, interval_ms=2, field_record=rows // 12 + 1, channel=rows % 12 + 1, offset=25 * rows)


def output_plan(gather: Gather, **options: Any) -> OutputPlan:
    """The plan of an output that is this gather."""
    words = {name: gather.headers.dtype(name).str for name in gather.headers}
    return OutputPlan(
        n_traces=gather.n_traces, sampling=gather.sampling, words=words, info=SurveyInfo(), options=options
    )  # fmt: skip


def write(path: Path, sink: Sink, gather: Gather) -> None:
    """What the commit code does with a sink, without its precautions."""
    if sink.file_bytes is None:
        path.mkdir()
    else:
        path.write_bytes(bytes(sink.file_bytes))
    for first in range(0, gather.n_traces, sink.shard_rows):
        rows = gather.rows(first, min(first + sink.shard_rows, gather.n_traces))
        _put(path, sink.encode(first, rows))
    _put(path, sink.finish(path))


def _put(path: Path, pieces: list[Piece]) -> None:
    for piece in pieces:
        if piece.key:
            target = path / piece.key
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(piece.data)
        else:
            with path.open("r+b") as file:
                file.seek(piece.offset)
                file.write(piece.data)


class StorageSuite:
    """Subclass it as ``Test...`` and fill in what follows.

    Attributes
    ----------
    storage
        The format.
    name
        What an output is called.
    open_options, sink_options
        Options under which what was written by hand is opened, and shards are small.
    words
        Header words that the format keeps.
    """

    storage: Storage
    name: str
    open_options: ClassVar[dict[str, Any]] = {}
    sink_options: ClassVar[dict[str, Any]] = {}
    words: tuple[str, ...] = ("field_record", "channel", "offset")

    def _written(self, folder: Path) -> tuple[Gather, Path]:
        gather = line()
        path = folder / self.name
        write(path, self.storage.sink(output_plan(gather, **self.sink_options)), gather)
        return gather, path

    def _open(self, path: Path) -> Survey:
        return self.storage.open([str(path)], self.open_options)

    def test_what_is_written_is_read(self, tmp_path: Path) -> None:
        gather, path = self._written(tmp_path)
        survey = self._open(path)
        assert survey.n_traces == TRACES
        assert survey.sampling == gather.sampling
        found = survey.read(slice(0, TRACES))
        assert found.traces.dtype == np.float32 and found.traces.flags.c_contiguous
        assert np.array_equal(found.traces, gather.traces)
        for word in self.words:
            assert np.array_equal(found.headers.column(word), gather.headers.column(word))
            assert np.array_equal(survey.headers().column(word), gather.headers.column(word))

    def test_rows_come_in_the_order_asked_for(self, tmp_path: Path) -> None:
        gather, path = self._written(tmp_path)
        survey = self._open(path)
        rng = np.random.default_rng(1)
        for rows in (rng.permutation(TRACES), np.array([7]), np.array([299, 0, 0, 150]), np.arange(290, 100, -3)):
            found = survey.read(rows)
            assert np.array_equal(found.traces, gather.traces[rows])
            for word in self.words:
                assert np.array_equal(found.headers.column(word), gather.headers.column(word)[rows])
        assert survey.read(slice(5, 5)).n_traces == 0

    def test_several_threads_read_at_once(self, tmp_path: Path) -> None:
        gather, path = self._written(tmp_path)
        survey = self._open(path)
        wrong: list[int] = []

        def look(seed: int) -> None:
            rng = np.random.default_rng(seed)
            for _ in range(20):
                rows = rng.integers(0, TRACES, 30)
                if not np.array_equal(survey.read(rows).traces, gather.traces[rows]):
                    wrong.append(seed)

        threads = [threading.Thread(target=look, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong

    def test_identity_is_that_of_the_content(self, tmp_path: Path) -> None:
        _, path = self._written(tmp_path)
        assert self._open(path).identity() == self._open(path).identity()

    def test_equal_rows_give_equal_bytes_and_no_two_shards_meet(self) -> None:
        gather = line()
        plan = output_plan(gather, **self.sink_options)
        sink, again = self.storage.sink(plan), self.storage.sink(OutputPlan.from_json(plan.to_json()))
        assert sink.shard_rows == again.shard_rows >= 1
        taken: set[tuple[str, int]] = set()
        for first in range(0, TRACES, sink.shard_rows):
            rows = gather.rows(first, min(first + sink.shard_rows, TRACES))
            pieces = sink.encode(first, rows)
            assert [_sum(piece) for piece in pieces] == [_sum(piece) for piece in again.encode(first, rows)]
            for piece in pieces:
                place = {(piece.key, at) for at in (range(piece.offset, piece.offset + _length(piece)))}
                whole = {(piece.key, -1)} if piece.key else place
                assert not taken & whole
                taken |= whole

    def test_what_is_no_such_survey_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "text").write_text("not a survey\n" * 50)
        (tmp_path / "folder").mkdir()
        for name in ("text", "folder", "nothing"):
            with pytest.raises(SeisprocError) as caught:
                self._open(tmp_path / name)
            assert "\n" not in str(caught.value)

    def test_unknown_options_are_refused(self, tmp_path: Path) -> None:
        gather, path = self._written(tmp_path)
        with pytest.raises((ParameterError, UsageError)):
            self.storage.open([str(path)], {**self.open_options, "no_such_option": 1})
        with pytest.raises((ParameterError, UsageError)):
            self.storage.sink(attrs.evolve(output_plan(gather), options={"no_such_option": 1}))


def _length(piece: Piece) -> int:
    return memoryview(piece.data).nbytes


def _sum(piece: Piece) -> tuple[str, int, int, int]:
    return piece.key, piece.offset, _length(piece), crc32c(piece.data)
