"""Segments of the stages that measure a survey and solve: arrays in NumPy's own format, one piece each."""

from __future__ import annotations

import io
import re
import time
from pathlib import Path

import numpy as np

from seisproc_core.data.survey import Piece
from seisproc_core.errors import SeisprocError, StepError
from seisproc_core.execution.remote import in_words
from seisproc_core.execution.stage import RunningStep, StageRunner, described
from seisproc_core.processing.survey_scope import SurveyProcessor, Tables

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class MeasureRunner(StageRunner):
    """Measures the traces of a segment: one piece of records."""

    def run(self, segment: int, slot: int) -> tuple[list[Piece], int, int]:
        self.control.begin(slot, segment)
        began = time.thread_time_ns()
        first, end = self.plan.segment(segment)
        parts, traces_in = [], 0
        for low, high in self.batches(first, end):
            self.control.check()
            records, at = self._measured(low, high), self.plan.rows_in(low, high)[0]
            parts.append(records[max(first - at, 0) : end - at])
            traces_in += len(records)
            self.control.beat(slot, len(records), bytes_in=4 * self.source.sampling.count * len(records))
        pieces = [Piece(piece_key(segment), _encode(np.concatenate(parts)))]
        self.control.spent(slot, time.thread_time_ns() - began)
        return pieces, traces_in, end - first

    def _measured(self, low: int, high: int) -> np.ndarray:
        step, instance = _of_survey(self)
        batch = self._read(low, high)
        wanted = instance.measured(batch.layout)
        records = step.call(instance.measure, batch, low, high)
        if not isinstance(records, np.ndarray) or records.dtype != wanted or records.shape != (batch.n_traces,):
            got = f"{records.dtype} {records.shape}" if isinstance(records, np.ndarray) else type(records).__name__
            raise StepError(f"step '{instance.id}' measured {got}, declared {wanted} for {batch.n_traces} traces")
        return records


class SolveRunner(StageRunner):
    """Solves for what was measured: a piece for every column of every table."""

    def run(self, segment: int, slot: int) -> tuple[list[Piece], int, int]:
        self.control.begin(slot, segment)
        began = time.thread_time_ns()
        step, instance = _of_survey(self)
        measured = self.sources.arrays(int(self.plan.source["stage"]))
        records = np.concatenate([measured[key] for key in sorted(measured)])
        try:
            tables = instance.solve(records, step.context)
        except (SeisprocError, MemoryError, KeyboardInterrupt):
            raise
        except BaseException as error:  # a plugin may raise anything
            raise StepError(f"{described(instance)} cannot be solved: {in_words(error)}") from error
        pieces = [Piece(f"{name}.{column}.npy", _encode(v)) for name, column, v in _checked(instance, tables)]
        self.control.spent(slot, time.thread_time_ns() - began)
        return pieces, 0, 0


def _of_survey(runner: StageRunner) -> tuple[RunningStep, SurveyProcessor]:
    (step,) = runner.steps
    assert isinstance(step.instance, SurveyProcessor)  # planning saw to it
    return step, step.instance


def _checked(instance: SurveyProcessor, tables: Tables) -> list[tuple[str, str, np.ndarray]]:
    """Table, column and values of a solution that is what its processor declared."""
    found = []
    if set(tables) != set(instance.solves):
        raise StepError(f"step '{instance.id}' solved for {sorted(tables)}, declared {sorted(instance.solves)}")
    for name in sorted(tables):
        columns = {column: np.ascontiguousarray(values) for column, values in tables[name].items()}
        if len({len(values) for values in columns.values()}) > 1 or not all(map(_NAME.fullmatch, (name, *columns))):
            raise StepError(f"step '{instance.id}': columns of table '{name}' differ in length, or have no plain names")
        found += [(name, column, columns[column]) for column in sorted(columns)]
    return found


def piece_key(segment: int) -> str:
    return f"{segment:09d}.npy"


def arrays_in(folder: Path) -> dict[str, np.ndarray]:
    """The pieces that a stage wrote into its folder."""
    return {path.name: np.load(path, allow_pickle=False) for path in sorted(folder.glob("[a-z0-9]*.npy"))}


def decoded(pieces: list[Piece]) -> dict[str, np.ndarray]:
    """Pieces that were not written."""
    return {piece.key: np.load(io.BytesIO(piece.data), allow_pickle=False) for piece in pieces}


def _encode(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values, allow_pickle=False)
    return file.getvalue()
