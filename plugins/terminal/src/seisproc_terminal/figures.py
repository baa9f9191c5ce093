"""Pictures of gathers and sections in PNG files: density and wiggle plots.

matplotlib is imported when a picture is drawn, not before, and draws without a screen.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.errors import UsageError
from seisproc_core.jobs.durable import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Style = Literal["density", "wiggle"]
MOST_WIGGLES = 400
INK = "#1b1b1b"
_AXES = ("offset", "cdp", "channel", "field_record", "crossline", "inline", "trace_sequence_file")


def check_suffix(picture: Path) -> None:
    """`UsageError` for a name that is not a picture's."""
    if picture.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise UsageError(f"{picture}: a picture's name ends in .png, .pdf or .svg")


@contextmanager
def whole_picture(picture: Path) -> Iterator[Path]:
    """A path beside `picture` to draw into, renamed to it at the end, so that a failure leaves no half of one.

    Raises
    ------
    UsageError
        The name is not a picture's.
    StorageError
        It cannot be written.
    """
    check_suffix(picture)
    with whole_file(picture) as fresh:
        yield fresh


def save_figure(
    panels: Sequence[tuple[str, Gather]],
    path: str | os.PathLike[str],
    *,
    word: str = "cdp",
    style: Style = "density",
    colours: str = "gray_r",
    clip_percent: float = 98.0,
    equalise: bool = False,
    width_in: float = 12.0,
    height_in: float = 7.0,
    dpi: int = 120,
) -> None:
    """Draw gathers side by side into one picture; each has its own amplitude scale.

    Parameters
    ----------
    panels
        Title and gather of each panel.
    path
        The file; its suffix chooses the format (``.png``, ``.pdf``, ``.svg``).
    word
        Header word along the horizontal axis.
    style
        ``density`` (grey or coloured) or ``wiggle`` with filled peaks, for up to 400 traces.
    colours
        Name of a matplotlib colour map; ``gray_r`` makes peaks black, ``RdBu_r`` makes them red.
    clip_percent
        This share of the live samples lies inside the colour scale.
    equalise
        Divide every trace by its rms, for the picture only.
    width_in, height_in, dpi
        Size of the picture in inches, and dots per inch.

    Raises
    ------
    UsageError
        matplotlib is not installed, there is nothing to draw, or too many traces for wiggles.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError("pictures need matplotlib: pip install 'seisproc-terminal[plot]'") from error
    if not panels:
        raise UsageError("there is no gather to draw")
    figure = Figure(figsize=(width_in, height_in), dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=len({g.sampling for _, g in panels}) == 1)[0]
    for number, (axis, (title, gather)) in enumerate(zip(axes, panels, strict=True)):
        shown = gather.with_traces(_equalised(gather.traces)) if equalise else gather
        draw(axis, shown, word=word, style=style, colours=colours, clip_percent=clip_percent)
        axis.set_title(title, fontsize=11, color=INK)
        if number:
            axis.set_ylabel("")
    try:
        figure.savefig(path)
    except ValueError as error:  # an unknown suffix
        raise UsageError(f"cannot draw {os.fspath(path)}: {error}") from error


def draw(
    axis: Axes,
    gather: Gather,
    *,
    word: str = "cdp",
    style: Style = "density",
    colours: str = "gray_r",
    clip_percent: float = 98.0,
    level: float | None = None,
) -> None:
    """Draw a gather, or several laid end to end, on matplotlib axes: time downwards in ms, a header word across.

    Parameters are those of `save_figure`; `level` is the amplitude at the end of the scale, instead of `clip_percent`.
    """
    if not gather.n_traces:
        raise UsageError("there is no trace to draw")
    level = clip_level(gather, clip_percent) if level is None else level
    sampling = gather.sampling
    scale, unit = (1000.0, "time (ms)") if sampling.domain == "time" else (1.0, "depth (m)")
    half = sampling.interval_s / 2
    top, bottom = (sampling.start_s - half) * scale, (sampling.end_s + half) * scale
    if style == "wiggle":
        _wiggles(axis, gather.traces, sampling.times() * scale, level)
    else:
        axis.imshow(
            gather.traces.T,
            aspect="auto",
            cmap=colours,
            vmin=-level,
            vmax=level,
            extent=(-0.5, gather.n_traces - 0.5, bottom, top),
            interpolation="bilinear" if gather.n_traces > 100 else "nearest",
        )
    axis.set_xlim(-0.5, gather.n_traces - 0.5)
    axis.set_ylim(bottom, top)
    axis.set_ylabel(unit)
    _label_traces(axis, gather, word)
    if gather.n_gathers * 4 <= gather.n_traces:  # a section is all gathers of one: no lines there
        for start in gather.gather_starts[1:-1]:
            axis.axvline(start - 0.5, color="#c0392b", linewidth=0.8)


def axis_of(gather: Gather) -> str:
    """The first of the usual words that tells the traces apart; `UsageError` where there is none of them."""
    present = [word for word in _AXES if word in gather.headers]
    varies = [word for word in present if 2 * len(np.unique(gather.headers.column(word))) >= gather.n_traces]
    if not present:
        raise UsageError("name a header word for the horizontal axis with --axis")
    return (varies or present)[0]


def clip_level(gather: Gather, percent: float) -> float:
    """The absolute amplitude that `percent` of the live, non-zero samples do not exceed; 1 where all are zero."""
    first, end = gather.live_window
    sample = np.arange(gather.n_samples)
    live = (sample >= first[:, None]) & (sample < end[:, None]) & (gather.traces != 0) & np.isfinite(gather.traces)
    amplitudes = np.abs(gather.traces[live])
    return float(np.percentile(amplitudes, percent)) if amplitudes.size else 1.0


def _equalised(traces: np.ndarray) -> np.ndarray:
    """Traces of unit rms; silent ones stay silent."""
    rms = np.sqrt(np.mean(traces.astype(np.float64) ** 2, axis=1, keepdims=True))
    return np.ascontiguousarray(np.divide(traces, rms, out=np.zeros(traces.shape), where=rms > 0), np.float32)


def _wiggles(axis: Axes, traces: np.ndarray, times: np.ndarray, level: float) -> None:
    """Traces as lines, peaks filled; neighbours may overlap by half a trace spacing."""
    if len(traces) > MOST_WIGGLES:
        raise UsageError(f"{len(traces)} traces are too many for wiggles (at most {MOST_WIGGLES}): use density")
    for position, trace in enumerate(np.clip(traces / level, -1.5, 1.5)):
        line = position + trace
        axis.plot(line, times, color=INK, linewidth=0.4)
        axis.fill_betweenx(times, position, line, where=list(trace > 0), color=INK, linewidth=0, interpolate=True)


def _label_traces(axis: Axes, gather: Gather, word: str) -> None:
    """Tick the traces with round values of the header word where it runs evenly, else with whatever they have."""
    axis.set_xlabel(word.replace("_", " ") + (" (m)" if word == "offset" else ""))
    values = np.asarray(gather.headers[word], np.float64)
    steps = np.diff(values)
    if len(values) > 2 and (np.all(steps > 0) or np.all(steps < 0)):
        from matplotlib.ticker import MaxNLocator

        ticks = MaxNLocator(8, integer=True).tick_values(values.min(), values.max())
        ticks = ticks[(ticks >= values.min()) & (ticks <= values.max())]
        order = np.argsort(values)
        positions = np.interp(ticks, values[order], np.arange(len(values))[order])
    else:
        positions = np.unique(np.linspace(0, len(values) - 1, min(len(values), 8)).astype(int))
        ticks = values[positions]
    axis.set_xticks(list(positions), [f"{tick:g}" for tick in ticks])
