"""Header words only: no sample is looked at."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.processors.case import Case
from benchmarks.processors.data import FOLD, SPACING_M
from seisproc_core.data.gather import Gather

RECORDS = 220  # shots of the line
STATIONS = list(range(1, RECORDS + FOLD + 1))
ELEVATIONS = {"receiver_station": STATIONS, "elevation": [90.0 + k % 7 for k in STATIONS]}


def _positions(batch: Gather) -> tuple[np.ndarray, ...]:
    words = ("source_x", "source_y", "receiver_x", "receiver_y")
    return tuple(batch.headers[word].astype(np.float64) for word in words)


def _offsets(batch: Gather) -> Any:
    sx, sy, rx, ry = _positions(batch)
    return np.hypot(rx - sx, ry - sy), np.degrees(np.arctan2(rx - sx, ry - sy)), (sx + rx) / 2, (sy + ry) / 2


def _on_grid(batch: Gather) -> Any:
    sx, sy, rx, ry = _positions(batch)
    turn = np.deg2rad(30)
    x, y = (sx + rx) / 2, (sy + ry) / 2
    along, across = x * np.sin(turn) + y * np.cos(turn), x * np.cos(turn) - y * np.sin(turn)
    return np.rint(along / SPACING_M), np.rint(across / SPACING_M)


def _on_line(batch: Gather) -> Any:
    sx, _, rx, _ = _positions(batch)
    return np.rint((sx + rx) / SPACING_M)


def _computed(batch: Gather) -> Any:
    return np.rint((batch.headers["source_x"] + batch.headers["receiver_x"]) / 25.0).astype(np.int32)


def _joined(batch: Gather) -> Any:
    import pandas as pd

    rows = pd.DataFrame({"receiver_station": batch.headers["receiver_station"]})
    return rows.merge(pd.DataFrame(ELEVATIONS), on="receiver_station", how="left")


def _located(batch: Gather) -> Any:
    """Points of sources and receivers merged into the traces by pandas."""
    import pandas as pd

    h = batch.headers
    rows = pd.DataFrame({"field_record": h["field_record"], "point": h["field_record"] - 99 + h["channel"]})
    sources = pd.DataFrame({"field_record": np.arange(100, 100 + RECORDS), "x": SPACING_M * np.arange(RECORDS)})
    points = pd.DataFrame({"point": STATIONS, "x": SPACING_M * np.array(STATIONS), "elevation": 90.0})
    return rows.merge(sources, on="field_record").merge(points, on="point")


_ORIGIN = {"origin_x_m": 0.0, "origin_y_m": 0.0, "azimuth_deg": 30.0}
_SOURCES = {
    "field_record": list(range(100, 100 + RECORDS)), "x": [SPACING_M * k for k in range(RECORDS)],
    "y": [0.0] * RECORDS, "elevation": [90.0] * RECORDS,
}  # fmt: skip
_RECEIVERS = {
    "channel": list(range(1, FOLD + 1)), "x": [SPACING_M * k for k in range(1, FOLD + 1)], "y": [0.0] * FOLD,
    "elevation": [90.0] * FOLD,
}  # fmt: skip
CASES = (
    Case(
        use="header_math", parameters={"compute": ["cdp = round((source_x + receiver_x) / 25)"]},
        peers={"NumPy": _computed},
    ),
    Case(use="offsets", peers={"NumPy": _offsets}),
    Case(use="bin_line", parameters={"bin_m": SPACING_M / 2}, peers={"NumPy": _on_line}),
    Case(
        use="bin_grid", peers={"NumPy": _on_grid},
        parameters={**_ORIGIN, "inline_step_m": SPACING_M, "crossline_step_m": SPACING_M},
    ),
    Case(
        use="join", peers={"pandas merge": _joined},
        parameters={
            "table": ELEVATIONS, "on": {"receiver_station": "receiver_station"},
            "words": {"receiver_elevation": "elevation"},
        },
    ),
    Case(
        use="geometry", parameters={"sources": _SOURCES, "receivers": _RECEIVERS}, peers={"pandas merge": _located},
    ),
)  # fmt: skip
