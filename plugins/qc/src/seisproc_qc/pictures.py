"""Files of pictures: made whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.errors import OutputExists, StorageError, UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def check_picture(path: Path, *, replace: bool) -> None:
    """Refuse a name that is not a picture's, or one that is taken."""
    if path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise UsageError(f"{path}: a picture's name ends in .png, .pdf or .svg")
    if os.path.lexists(path) and not replace:
        raise OutputExists(f"{path} exists; choose another --out, or --replace it")


@contextmanager
def picture_of(path: Path, width_in: float, height_in: float) -> Iterator[Figure]:
    """A figure to draw on, written to `path` at the end: beside it first, then renamed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError("pictures need matplotlib: pip install 'seisproc-qc[commands]'") from error
    figure = Figure(figsize=(width_in, height_in), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    yield figure
    fresh = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        figure.savefig(fresh)
        os.replace(fresh, path)
    except BaseException as error:
        with suppress(OSError):
            fresh.unlink()
        if isinstance(error, OSError):
            raise StorageError.from_os(error, f"cannot write {path}") from error
        raise


_AXES = ("offset", "cdp", "channel", "field_record", "crossline", "inline", "trace_sequence_file")


def axis_of(gather: Gather) -> str:
    """The first of the usual words that tells the traces apart."""
    present = [word for word in _AXES if word in gather.headers]
    varies = [word for word in present if 2 * len(np.unique(gather.headers.column(word))) >= gather.n_traces]
    if not present:
        raise UsageError("name a header word for the horizontal axis with --axis")
    return (varies or present)[0]
