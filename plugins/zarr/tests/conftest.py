"""A survey on disk for every test that wants one: pieces written as they are, and a manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seisproc_core.data.checksums import crc32c
from seisproc_core.data.gather import Gather
from seisproc_core.data.survey import OutputPlan, Piece, SurveyInfo
from seisproc_core.jobs import provenance
from seisproc_core.jobs.workfolder import MANIFEST, MANIFEST_FORMAT
from seisproc_core.testing import make_gather
from seisproc_zarr.check import BESIDE
from seisproc_zarr.storage import SurveyStorage


def _plan_of(gather: Gather, **changes: Any) -> OutputPlan:
    """The plan under which a gather is a whole survey."""
    raw = gather.headers.raw
    values: dict[str, Any] = {
        "n_traces": gather.n_traces,
        "sampling": gather.sampling,
        "words": {name: gather.headers.dtype(name).str for name in gather.headers},
        "info": SurveyInfo(),
        "raw_header_bytes": 0 if raw is None else raw.shape[1],
        "raw_sample_bytes": 0 if gather.raw_samples is None else gather.raw_samples.shape[1],
    }
    return OutputPlan(**{**values, **changes})


def _put(root: Path, pieces: list[Piece]) -> dict[str, list[int]]:
    for piece in pieces:
        path = root / piece.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(piece.data)
    return {piece.key: [len(piece.data), crc32c(piece.data)] for piece in pieces}


def _seal(root: Path, listed: dict[str, list[int]]) -> None:
    plain = {"format": MANIFEST_FORMAT, "pieces": listed}
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
    (root / MANIFEST).write_text(json.dumps({**plain, "root": digest}))
    (root / provenance.PROVENANCE).write_bytes(provenance.encode({"flow": {"name": "a test"}}))


def _reseal(root: Path) -> None:
    """A manifest that vouches for whatever is there: what an attacker would write."""
    files = [path for path in root.rglob("*") if path.is_file() and path.name not in BESIDE]
    _seal(
        root,
        {path.relative_to(root).as_posix(): [path.stat().st_size, crc32c(path.read_bytes())] for path in files},
    )


def _write_survey(root: Path, gather: Gather, *, sealed: bool = True, **changes: Any) -> Path:
    """Write a gather as a survey, one shard at a time."""
    sink = SurveyStorage().sink(_plan_of(gather, **changes))
    root.mkdir(parents=True)
    listed: dict[str, list[int]] = {}
    for first in range(0, gather.n_traces, sink.shard_rows):
        rows = gather.rows(first, min(first + sink.shard_rows, gather.n_traces))
        listed |= _put(root, sink.encode(first, rows))
    listed |= _put(root, sink.finish(root))
    if sealed:
        _seal(root, listed)
    return root


@pytest.fixture
def gather() -> Gather:
    """1,000 traces of 37 samples in 21 shots, with raw headers and a word in another script."""
    rng = np.random.default_rng(7)
    count = 1000
    made = make_gather(
        rng.standard_normal((count, 37)),
        start_ms=-8,
        field_record=rng.integers(100, 121, count),
        channel=np.arange(count) % 48,
        coordinate_scalar=-10,
        source_x=rng.integers(-(10**6), 10**6, count),
        **{"глубина/..": np.arange(count)},
    )
    made.headers.raw = rng.integers(0, 256, (count, 240)).astype(np.uint8)
    return made


@pytest.fixture
def survey(tmp_path: Path, gather: Gather) -> Path:
    """That gather on disk in six shards, with an index."""
    index = (("field_record",), ("field_record", "глубина/.."))
    return _write_survey(tmp_path / "line.seis", gather, options={"shard_traces": 190}, index=index)


@pytest.fixture(scope="session")
def plan_of() -> Callable[..., OutputPlan]:
    return _plan_of


@pytest.fixture(scope="session")
def write_survey() -> Callable[..., Path]:
    return _write_survey


@pytest.fixture(scope="session")
def reseal() -> Callable[[Path], None]:
    return _reseal
