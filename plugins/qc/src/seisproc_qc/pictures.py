"""Files of pictures: made whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from seisproc_core.errors import OutputExists, UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def check_picture(path: Path, *, replace: bool) -> None:
    """Refuse a name that is not a picture's, or one that is taken."""
    from seisproc_terminal.figures import check_suffix

    check_suffix(path)
    if os.path.lexists(path) and not replace:
        raise OutputExists(f"{path} exists; choose another --out, or --replace it")


@contextmanager
def picture_of(path: Path, width_in: float, height_in: float) -> Iterator[Figure]:
    """A figure to draw on, written to `path` at the end: beside it first, then renamed."""
    from seisproc_terminal.figures import whole_picture

    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError("pictures need matplotlib: pip install 'seisproc-qc[commands]'") from error
    figure = Figure(figsize=(width_in, height_in), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    yield figure
    with whole_picture(path) as fresh:
        figure.savefig(fresh)
