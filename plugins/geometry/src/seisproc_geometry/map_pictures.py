"""Maps as pictures. matplotlib is imported when one is drawn, and draws without a screen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seisproc_core.errors import UsageError
from seisproc_geometry.maps import RINGS, SECTORS, MapData

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1b1b1b"
_RED, _BLUE = "#c0392b", "#2471a3"
_MOST_LONG = 12  # a map longer than this in one direction is stretched in the other


def save(picture: Path, draw: Callable[[Figure], None], width_in: float = 10.0, height_in: float = 7.0) -> None:
    """Draw beside the picture and rename, so that a failure leaves no half of one."""
    from seisproc_terminal.figures import check_suffix, whole_picture

    check_suffix(picture)
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError("pictures need matplotlib: pip install 'seisproc-terminal[plot]'") from error
    figure = Figure(figsize=(width_in, height_in), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure)
    with whole_picture(picture) as fresh:
        figure.savefig(fresh)


def draw_base(figure: Figure, data: MapData) -> None:
    """Receivers as blue triangles, sources as red stars on top."""
    axis = figure.subplots()
    for kind, marker, colour, size in (("receiver", "v", _BLUE, 1.0), ("source", "*", _RED, 2.0)):
        rows = data.columns["kind"] == kind
        axis.scatter(
            data.columns["x_m"][rows],
            data.columns["y_m"][rows],
            s=size * _marker(rows.sum()),
            marker=marker,
            c=colour,
            linewidths=0,
            label=f"{kind}s",
            rasterized=True,
        )
    axis.legend(loc="upper right", framealpha=0.9)
    _as_map(axis, data)


def _marker(count: int) -> float:
    """Size of a marker, so that many do not hide each other."""
    return float(np.clip(20_000 / max(count, 1), 4, 40))


def draw_fold(figure: Figure, data: MapData) -> None:
    """Fold along a line as bars, over a grid as an image of inlines and crosslines."""
    axis = figure.subplots()
    if "inline" in data.columns:
        image = axis.imshow(_gridded(data), origin="lower", aspect="auto", cmap="viridis", extent=_edges(data))
        figure.colorbar(image, ax=axis, label="fold")
        axis.set_xlabel("crossline")
        axis.set_ylabel("inline")
    else:
        cdp = data.columns["cdp"]
        axis.fill_between(cdp, data.columns["fold"], step="mid", color=_BLUE, linewidth=0)
        axis.set_xlim(cdp.min() - 0.5, cdp.max() + 0.5)
        axis.set_ylim(0, None)
        axis.set_xlabel("CDP")
        axis.set_ylabel("fold")
    axis.set_title(data.title, fontsize=11, color=INK)


def _gridded(data: MapData) -> np.ndarray:
    """Fold by inline and crossline; empty bins are NaN, which is drawn white."""
    rows = [data.columns[word] - data.columns[word].min() for word in ("inline", "crossline")]
    grid = np.full((int(rows[0].max()) + 1, int(rows[1].max()) + 1), np.nan)
    if grid.size > 1 << 26:
        raise UsageError("inline and crossline numbers are too far apart for a picture")
    grid[rows[0], rows[1]] = data.columns["fold"]
    return grid


def _edges(data: MapData) -> tuple[float, float, float, float]:
    inline, crossline = data.columns["inline"], data.columns["crossline"]
    left, right = float(crossline.min()) - 0.5, float(crossline.max()) + 0.5
    return left, right, float(inline.min()) - 0.5, float(inline.max()) + 0.5


def draw_offsets(figure: Figure, data: MapData) -> None:
    """A stacking chart - offsets by CDP - and a histogram beside it."""
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(4, 1))
    offset, cdp = data.columns["offset_m"], data.columns["cdp"]
    if len(offset) > 20_000:
        left.hist2d(cdp, offset, bins=(300, 150), cmap="Blues", cmin=1)
    else:
        left.scatter(cdp, offset, s=3, c=_BLUE, linewidths=0, rasterized=True)
    left.set_xlabel("CDP")
    left.set_ylabel("offset (m)")
    right.hist(offset, bins=_even_bins(offset), orientation="horizontal", color=_BLUE)
    right.set_xlabel("traces")
    figure.suptitle(data.title, fontsize=11, color=INK)


def _even_bins(values: np.ndarray) -> np.ndarray:
    """Edges of about 60 bins that hold the same number of different values each, where those are evenly spaced."""
    different = np.unique(np.round(values, 3))
    spacing = float(np.median(np.diff(different))) if len(different) > 1 else 1.0
    low, high = float(different[0]) - spacing / 2, float(different[-1]) + spacing / 2
    width = spacing * max(1.0, np.ceil((high - low) / (60 * spacing)))
    edges: np.ndarray = low + width * np.arange(np.ceil(round((high - low) / width, 6)) + 1)
    return edges


def draw_azimuths(figure: Figure, data: MapData) -> None:
    """A rose: traces by azimuth and offset, north up."""
    axis: Any = figure.subplots(subplot_kw={"projection": "polar"})
    axis.set_theta_zero_location("N")
    axis.set_theta_direction(-1)
    count = data.columns["traces"].reshape(SECTORS, RINGS).T
    theta = np.linspace(0, 2 * np.pi, SECTORS + 1)
    radius = np.linspace(0, float(data.columns["offset_m"].max()) / (RINGS - 0.5) * RINGS, RINGS + 1)
    image = axis.pcolormesh(theta, radius, np.where(count == 0, np.nan, count), cmap="viridis")
    figure.colorbar(image, ax=axis, label="traces", shrink=0.7)
    axis.set_title(f"{data.title} (m, from source to receiver)", fontsize=11, color=INK)


def draw_attribute(figure: Figure, data: MapData, label: str) -> None:
    """Places coloured by the mean of a value."""
    axis = figure.subplots()
    drawn = axis.scatter(
        data.columns["x_m"],
        data.columns["y_m"],
        s=_marker(len(data.columns["x_m"])),
        c=data.columns["mean"],
        cmap="viridis",
        linewidths=0,
        rasterized=True,
    )
    figure.colorbar(drawn, ax=axis, label=label)
    _as_map(axis, data)


def draw_by_offset(figure: Figure, data: MapData, label: str) -> None:
    """Mean of a value over offset, in the band that holds four fifths of the traces."""
    axis = figure.subplots()
    offset = data.columns["offset_m"]
    axis.fill_between(offset, data.columns["p10"], data.columns["p90"], color=_BLUE, alpha=0.2, linewidth=0)
    axis.plot(offset, data.columns["mean"], color=_BLUE, linewidth=1.2, marker="." if len(offset) < 2 else None)
    axis.set_xlabel("|offset| (m)")
    axis.set_ylabel(label)
    axis.set_title(data.title, fontsize=11, color=INK)


def _as_map(axis: Axes, data: MapData) -> None:
    """Axes in metres, to scale unless the map is very long."""
    axis.set_xlabel("x (m)")
    axis.set_ylabel("y (m)")
    axis.ticklabel_format(useOffset=False, style="plain")
    width, height = (float(np.ptp(data.columns[name])) for name in ("x_m", "y_m"))
    if max(width, height) <= _MOST_LONG * min(width, height):
        axis.set_aspect("equal", adjustable="datalim")
    axis.set_title(data.title, fontsize=11, color=INK)
