"""The peer of a job: the same kernels on the same batches in a plain loop, reading and writing the same bytes.

Run as a program it does a share of the loop: ``python -m benchmarks.plain SURVEY FOLDER INDEX COUNT``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.workspace import gain_and_filter
from seisproc_core.data.checksums import crc32c
from seisproc_core.data.gather import Gather
from seisproc_core.data.headers import Headers
from seisproc_core.data.survey import Piece, Sink, Survey
from seisproc_core.jobs.durable import put_folder
from seisproc_core.plugins import registry
from seisproc_core.processing import kernels
from seisproc_core.processing.context import Context
from seisproc_core.processing.flow import Flow, Step
from seisproc_core.processing.params import build
from seisproc_core.processing.plan import BATCH_BYTES, StagePlan
from seisproc_core.processing.planning import plan_flow

Put = Callable[[Path, Iterable[Piece]], object]


def prepared(step: Step) -> Callable[[Gather], Gather]:
    """A processor with the kernels a plan would choose, outputs from a pool, on one thread."""
    known = registry()
    cls = known.load("processors", step.use)
    chosen = kernels.choose(known, cls.kernels, step.backend, step.use)
    instance, context = build(cls, step.use, step.parameters), Context(kernels.load(known, chosen))

    def apply(batch: Gather) -> Gather:
        made: Gather = instance.apply(batch, context)
        return made

    return apply


class PlainLoop:
    """A flow of trace steps over a survey, without job, engine, checks or journal.

    Parameters
    ----------
    flow
        From one survey to another; its sink's path is where pieces go.
    put
        How the pieces of a segment are written.
    """

    def __init__(self, flow: Flow, put: Put = put_folder) -> None:
        known = registry()
        self.survey: Survey = known.load("storage", "survey")().open(list(flow.source.paths), {})
        self.stage: StagePlan = plan_flow(flow, known, self.survey).stages[0]
        self.sink: Sink = known.load("storage", "survey")().sink(self.stage.output)
        self.steps = [prepared(step) for step in flow.steps]
        self.out = Path(flow.sink.path)
        self.put = put

    def run(self, segments: Sequence[int] | None = None) -> None:
        """Process some segments, all by default."""
        sampling = self.survey.sampling
        block = np.empty((self.stage.segment_rows, sampling.count), np.float32)
        for segment in range(self.stage.n_segments) if segments is None else segments:
            first, end = self.stage.segment(segment)
            headers = self._fill(block, first, end)
            rows = Gather(headers=headers, sampling=sampling, traces=block[: end - first])
            self.put(self.out, self.sink.encode(first, rows))

    def _fill(self, block: np.ndarray, first: int, end: int) -> Headers:
        step = BATCH_BYTES // (4 * block.shape[1])
        parts = []
        for start in range(first, end, step):
            stop = min(start + step, end)
            batch = self.survey.read(slice(start, stop))
            for apply in self.steps:
                batch = apply(batch)
            block[start - first : stop - first] = batch.traces
            parts.append(batch.headers)
        return Headers.concatenate(parts)


def put_unsynced(root: Path, pieces: Iterable[Piece]) -> None:
    """What `put_folder` does - temporary file, rename, checksum - without waiting for the disk."""
    for piece in pieces:
        path = root / piece.key
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".tmp-{path.name}")
        data: Any = memoryview(piece.data).cast("B")
        with temporary.open("wb") as file:
            file.write(data)
        os.replace(temporary, path)
        crc32c(data)


def main(survey: str, folder: str, index: str, count: str) -> None:
    """Every `count`-th segment from `index` on."""
    loop = PlainLoop(gain_and_filter(Path(survey), Path(folder)))
    loop.run(range(int(index), loop.stage.n_segments, int(count)))


if __name__ == "__main__":
    main(*sys.argv[1:])
