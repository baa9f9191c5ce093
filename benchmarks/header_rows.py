"""Header words of ten million traces: expressions, joins, and the assignment of geometry."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from benchmarks.harness import Row, Work, against, at_most, interleave, rate_row
from benchmarks.workspace import Workspace
from seisproc_core.data.expressions import Expression
from seisproc_core.data.gather import Layout
from seisproc_core.data.headers import Headers
from seisproc_core.data.sampling import Sampling
from seisproc_core.processing.params import build
from seisproc_core.processing.processor import Processor
from seisproc_geometry.bins import BinGrid
from seisproc_geometry.geometry_step import Geometry

CHANNELS = 1000
STATIONS = 400  # a square grid of 20 x 20 stations holds the sources
TEXT = "abs(offset) < 2000 and cdp % 2 == 0 and hypot(source_x - receiver_x, source_y - receiver_y) > 10"


def header_rows(space: Workspace) -> Iterator[Row]:
    """Selection by an expression against NumPy as one would write it; geometry and bins in traces per second."""
    count = space.size(10_000_000)
    headers = _headers(count)
    expression = Expression.parse(TEXT)
    works = {"": Work(partial(expression.condition, headers)), "NumPy": Work(partial(_by_numpy, headers))}
    seconds = interleave(works, space.rounds)
    amount = (count, "traces")
    yield against("expression", seconds[""], "NumPy", seconds["NumPy"], goal=at_most(3), amount=amount)
    layout = Layout(headers=headers, sampling=Sampling(0.0, 0.004, 10))
    step = build(Geometry, "geometry", _tables(count)).resolve(layout)
    made = step.plan(layout)
    grid = {"origin_x_m": 0.0, "origin_y_m": 0.0, "azimuth_deg": 90.0, "inline_step_m": 25.0, "crossline_step_m": 25.0}
    bins = build(BinGrid, "bin_grid", grid | {"handed": "left"}).resolve(made)
    works = {"geometry": Work(partial(_planned, step, layout)), "bins": Work(partial(_planned, bins, made))}
    seconds = interleave(works, space.rounds)
    yield rate_row("geometry from tables", seconds["geometry"], count, "traces")
    yield rate_row("bins of a 3-D grid", seconds["bins"], count, "traces")


def _headers(count: int) -> Headers:
    random = np.random.default_rng(5)
    columns = {"field_record": np.arange(count) // CHANNELS + 1, "channel": np.arange(count) % CHANNELS + 1}
    for name in ("source_x", "source_y", "receiver_x", "receiver_y", "offset", "cdp"):
        columns[name] = random.integers(1, 5000, count)
    made = {name: values.astype(np.int32) for name, values in columns.items()}
    return Headers(made | {"trace_id": np.arange(count)}, count)


def _by_numpy(headers: Headers) -> np.ndarray:
    distance = np.hypot(headers["source_x"] - headers["receiver_x"], headers["source_y"] - headers["receiver_y"])
    chosen: np.ndarray = (np.abs(headers["offset"]) < 2000) & (headers["cdp"] % 2 == 0) & (distance > 10)
    return chosen


def _tables(count: int) -> dict[str, dict[str, list[float]]]:
    """Every record shot at one of 400 stations and heard by all receivers of a line."""
    records = np.arange(1, count // CHANNELS + 1)
    station, receiver = np.arange(STATIONS), np.arange(CHANNELS)
    tables = {
        "sources": {"point": station + 1, "x": station % 20 * 250, "y": station // 20 * 250, "elevation": station % 7},
        "receivers": {"point": receiver + 1, "x": receiver * 5, "y": receiver % 3, "elevation": receiver % 11},
        "relations": {
            "field_record": records, "source": records % STATIONS + 1, "channel_first": 0 * records + 1,
            "channel_last": 0 * records + CHANNELS, "receiver_first": 0 * records + 1,
            "receiver_last": 0 * records + CHANNELS,
        },
    }  # fmt: skip
    return {name: {column: list(map(float, values)) for column, values in t.items()} for name, t in tables.items()}


def _planned(step: Processor, layout: Layout) -> None:
    step.plan(layout)
