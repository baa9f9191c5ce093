"""What maps of a survey show: positions, fold, offsets, azimuths and header words by place; counted, not drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs
import numpy as np

from seisproc_core.data.headers import Headers
from seisproc_core.data.words import DEAD
from seisproc_core.errors import UsageError
from seisproc_geometry.bins import midpoints
from seisproc_geometry.positions import azimuth_deg

Place = Literal["midpoint", "source", "receiver", "cdp"]
SECTORS = 36
RINGS = 12
OFFSET_CLASSES = 100


@attrs.frozen(eq=False)
class MapData:
    """Columns of equal length, and a sentence of numbers.

    Attributes
    ----------
    title
        What it shows, with extremes.
    columns
        Values by name; lengths in metres.
    """

    title: str
    columns: Mapping[str, np.ndarray]


def live(headers: Headers) -> Headers:
    """The traces that are not dead."""
    if DEAD not in headers:
        return headers
    rows = np.flatnonzero(headers.column(DEAD) == 0)
    if not rows.size:
        raise UsageError("all traces are dead")
    return headers.take(rows)


def places(headers: Headers, at: Place) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which place each trace belongs to (0, 1, ...), and x and y of the places, metres.

    Sources and receivers are told apart by their keys where geometry has given them, else by position.
    """
    if at == "cdp":
        if not headers["cdp"].any():
            raise UsageError("all CDP numbers are 0; run the step bin_line or bin_grid first")
        x, y = _bin_positions(headers)
        key = headers.column("cdp")
    elif at == "midpoint":
        x, y = midpoints(headers)
        key = None
    else:
        x, y = headers[f"{at}_x"], headers[f"{at}_y"]
        key = headers.column(at) if at in headers and headers.column(at).all() else None
    if not x.any() and not y.any():
        raise UsageError(f"all coordinates of {at}s are 0; run the step geometry first")
    values = np.stack([x, y], axis=1) if key is None else key
    _, first, place = np.unique(values, axis=0, return_index=True, return_inverse=True)
    return place.reshape(-1), x[first], y[first]


def _bin_positions(headers: Headers) -> tuple[np.ndarray, np.ndarray]:
    if "cdp_x" in headers and (headers["cdp_x"].any() or headers["cdp_y"].any()):
        return headers["cdp_x"], headers["cdp_y"]
    return midpoints(headers)


def is_3d(headers: Headers) -> bool:
    """Whether bins lie on a grid: both inline and crossline vary."""
    return all(word in headers and len(np.unique(headers.column(word))) > 1 for word in ("inline", "crossline"))


def base(headers: Headers) -> MapData:
    """Every source and receiver once."""
    held = [places(headers, end) for end in ("source", "receiver")]
    kind = np.repeat(["source", "receiver"], [len(x) for _, x, _ in held])
    columns = {
        "kind": kind,
        "x_m": np.concatenate([x for _, x, _ in held]),
        "y_m": np.concatenate([y for *_, y in held]),
    }
    return MapData(f"{len(held[0][1]):,} sources, {len(held[1][1]):,} receivers", columns)


def fold(headers: Headers) -> MapData:
    """Live traces in every CDP."""
    headers = binned(headers)
    place, x, y = places(headers, "cdp")
    count = np.bincount(place)
    first = np.unique(place, return_index=True)[1]
    columns = {"cdp": headers.column("cdp")[first], "x_m": x, "y_m": y, "fold": count}
    if is_3d(headers):
        columns |= {word: headers.column(word)[first] for word in ("inline", "crossline")}
    return MapData(f"{len(count):,} CDPs, fold {count.min()} to {count.max()}, mean {count.mean():.1f}", columns)


def binned(headers: Headers) -> Headers:
    """The traces that lie in a bin."""
    rows = np.flatnonzero(headers.column("cdp") != 0)
    if not rows.size:
        raise UsageError("all CDP numbers are 0; run the step bin_line or bin_grid first")
    return headers.take(rows)


def offsets(headers: Headers) -> MapData:
    """Offset of every trace, with its CDP where it has one."""
    offset = headers["offset"]
    columns = {"cdp": headers.column("cdp"), "offset_m": offset.astype(np.float64)}
    if not offset.any():
        raise UsageError("all offsets are 0; run the step geometry or offsets first")
    low, high = float(np.abs(offset).min()), float(np.abs(offset).max())
    return MapData(f"{len(offset):,} traces, |offset| {low:g} to {high:g} m", columns)


def azimuths(headers: Headers) -> MapData:
    """Traces by azimuth from source to receiver (sectors of 10 degrees) and offset (12 rings)."""
    dx, dy = (headers[f"receiver_{axis}"] - headers[f"source_{axis}"] for axis in ("x", "y"))
    offset = np.hypot(dx, dy)
    if not offset.any():
        raise UsageError("sources and receivers have the same coordinates; run the step geometry first")
    sector = np.floor(azimuth_deg(dx, dy) / (360 / SECTORS)).astype(np.int64)
    ring = np.minimum((offset / offset.max() * RINGS).astype(np.int64), RINGS - 1)
    count = np.bincount(sector * RINGS + ring, minlength=SECTORS * RINGS)
    columns = {
        "azimuth_deg": np.repeat((np.arange(SECTORS) + 0.5) * 360 / SECTORS, RINGS),
        "offset_m": np.tile((np.arange(RINGS) + 0.5) * offset.max() / RINGS, SECTORS),
        "traces": count,
    }
    return MapData(f"{len(offset):,} traces, offset to {offset.max():g} m", columns)


def attribute(headers: Headers, values: np.ndarray, name: str, at: Place) -> MapData:
    """Mean of a value over the traces of every place."""
    place, x, y = places(headers, at)
    count = np.bincount(place)
    mean = np.bincount(place, values.astype(np.float64)) / count
    title = f"{name} by {at}: {mean.min():g} to {mean.max():g} at {len(mean):,} places"
    return MapData(title, {"x_m": x, "y_m": y, "mean": mean, "traces": count})


def attribute_by_offset(headers: Headers, values: np.ndarray, name: str) -> MapData:
    """Mean of a value, and what lies below and above a tenth of it, over the traces of every class of |offset|.

    A class is an offset where there are at most 100 different ones, else a hundredth of their range.
    """
    offset = np.abs(headers["offset"].astype(np.float64))
    if not offset.any():
        raise UsageError("all offsets are 0; run the step geometry or offsets first")
    centre, place = np.unique(offset, return_inverse=True)
    if len(centre) > OFFSET_CLASSES:
        width = (centre[-1] - centre[0]) / OFFSET_CLASSES
        number = np.minimum(((offset - centre[0]) / width).astype(np.int64), OFFSET_CLASSES - 1)
        kept, place = np.unique(number, return_inverse=True)
        centre = centre[0] + (kept + 0.5) * width
    order = np.argsort(place, kind="stable")
    parts = np.split(values.astype(np.float64)[order], np.flatnonzero(np.diff(place[order])) + 1)
    mean = np.array([part.mean() for part in parts])
    low, high = np.array([np.percentile(part, (10, 90)) for part in parts]).T
    title = f"{name} by offset: {mean.min():g} to {mean.max():g} in {len(mean):,} classes"
    columns = {"offset_m": centre, "mean": mean, "p10": low, "p90": high, "traces": np.bincount(place)}
    return MapData(title, columns)
