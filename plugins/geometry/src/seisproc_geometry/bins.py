"""The steps `bin_line` and `bin_grid`: CDP numbers from midpoints."""

from __future__ import annotations

from typing import Literal

import attrs
import numpy as np

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.data.headers import Headers
from seisproc_core.errors import HeaderError, UsageError
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_geometry.grids import Grid
from seisproc_geometry.lines import MOST_KNOTS, Line, smooth, straight
from seisproc_geometry.remembering import once


def midpoints(headers: Headers) -> tuple[np.ndarray, np.ndarray]:
    """x and y of midpoints in metres: the words of that name, else from coordinates of sources and receivers."""
    if "midpoint_x" in headers and "midpoint_y" in headers:
        return headers["midpoint_x"], headers["midpoint_y"]
    x, y = ((headers[f"source_{axis}"] + headers[f"receiver_{axis}"]) / 2 for axis in ("x", "y"))
    return x, y


def placed(headers: Headers) -> np.ndarray:
    """Traces that have a midpoint, bool: all but those that the step `geometry` left without (``shot`` 0)."""
    if "shot" not in headers or not (shot := headers.column("shot")).any():
        return np.ones(len(headers), bool)
    found: np.ndarray = shot != 0
    return found


class _Bins(Processor):
    """What both steps share: traces without a bin, and the position of bins."""

    def _written(self, headers: Headers) -> Headers:
        raise NotImplementedError

    def plan(self, layout: Layout) -> Layout:
        return attrs.evolve(layout, headers=self._planned(layout.headers))

    def apply(self, batch: Gather, context: Context) -> Gather:
        return batch.with_headers(self._written(batch.headers))

    def check(self, layout: Layout) -> None:
        if not any(np.abs(values).any() for values in midpoints(layout.headers)):
            raise UsageError(f"step '{self.id}': all midpoints are 0; run the step geometry first")

    def notes(self, layout: Layout) -> list[str]:
        outside = int((self._planned(layout.headers).column("cdp") == 0).sum())
        return [f"{outside} of {layout.n_traces} traces lie in no bin: cdp 0"] if outside else []

    def _planned(self, headers: Headers) -> Headers:
        return once(self, "written", headers, lambda: self._written(headers))

    def _with(self, headers: Headers, inside: np.ndarray, words: dict[str, np.ndarray]) -> Headers:
        """Numbers as they are, positions to the resolution of the coordinate scalar; 0 outside all bins."""
        inside = inside & placed(headers)
        try:
            for name, values in words.items():
                chosen = np.where(inside, values, 0)
                headers = headers.with_values(name, chosen) if name.startswith("cdp_") else headers.assign(name, chosen)
        except HeaderError as error:
            raise UsageError(f"step '{self.id}': {error}") from None
        return headers


@processor("bin_line", scope="trace", headers_only=True)
class BinLine(_Bins):
    """Number CDPs along a straight or crooked line.

    The line is given by its knots `x_m`, `y_m`, or fitted to the midpoints: ``fit = "straight"`` by least squares,
    ``fit = "smooth"`` through the mean midpoints of every `order` word, averaged over `smooth_m`. A midpoint belongs
    to the nearest point of the line; bins are centred at multiples of `bin_m` from the first knot, or from the first
    midpoint of a fitted line. Midpoints more than half of `width_m` away lie in no bin: ``cdp`` 0.

    Writes ``cdp``, ``cdp_x`` and ``cdp_y`` (the bin's centre on the line) and ``line_distance`` (metres to the right of
    the line). The plan keeps the knots of a fitted line, so that they can be seen and used again. With s the length
    along the line up to the nearest point, cdp = `first_cdp` + floor((s - `start_m`) / `bin_m` + 1/2).

    Not with midpoints spread far to both sides of a sharply bent line where layers dip across it: traces of one bin
    then come from different depth points. Look at ``line_distance``, narrow `width_m`, or bin on a grid.

    Source: Larner, Gibson, Chambers and Wiggins, Geophysics 44 (1979), 1175-1192, on bins along crooked lines and what
    dip across them does.
    """

    bin_m: float = param(unit="m", above=0, help="Length of a bin along the line.")
    width_m: float | None = param(
        None, unit="m", above=0, help="Width of the bins, across the line; unlimited if left out."
    )
    first_cdp: int = param(1, minimum=1, help="Number of the first bin.")
    x_m: tuple[float, ...] | None = param(None, unit="m", help="Knots of the line, x.")
    y_m: tuple[float, ...] | None = param(None, unit="m", help="Knots of the line, y; 0 if left out.")
    fit: Literal["straight", "smooth"] = param("straight", help="How to find the line, where no knots are given.")
    order: str = param("field_record", help='Header word that grows along the line, for fit = "smooth".')
    smooth_m: float | None = param(None, unit="m", above=0, help="Averaging length for smooth; 20 bins if left out.")
    start_m: float = param(0.0, unit="m", help="Centre of the first bin, along the line from its first knot.")

    def resolve(self, layout: Layout) -> BinLine:
        """Fit the line, where it is not given."""
        if self.x_m is not None:
            return self.replaced(y_m=self.y_m or (0.0,) * len(self.x_m))
        super().check(layout)
        rows = placed(layout.headers)
        x, y = (values[rows] for values in midpoints(layout.headers))
        try:
            if self.fit == "straight":
                line = straight(x, y)
            else:
                line = smooth(x, y, layout.headers.column(self.order)[rows], self.smooth_m or 20 * self.bin_m)
        except ValueError as error:
            raise self.bad("fit", f"is not possible: {error}") from None
        along, _ = line.project(x, y)
        return self.replaced(x_m=tuple(line.x.tolist()), y_m=tuple(line.y.tolist()), start_m=float(along.min()))

    def check(self, layout: Layout) -> None:
        super().check(layout)
        assert self.x_m is not None and self.y_m is not None
        if len(self.x_m) != len(self.y_m) or not 2 <= len(self.x_m) <= MOST_KNOTS:
            raise self.bad("x_m", f"and y_m need the same number of knots, 2 to {MOST_KNOTS}")
        if (np.diff(self._line.at) <= 0).any():
            raise self.bad("x_m", "and y_m name the same knot twice in a row")
        number = self._numbers(layout.headers)[0][placed(layout.headers)]
        if number.min() < 1:
            raise self.bad(
                "first_cdp", f"is too small: bins before the first knot would be numbered from {number.min()}"
            )

    @property
    def _line(self) -> Line:
        return Line(np.array(self.x_m), np.array(self.y_m))

    def _numbers(self, headers: Headers) -> tuple[np.ndarray, np.ndarray]:
        """Bin numbers and distances from the line."""

        def find() -> tuple[np.ndarray, np.ndarray]:
            along, distance = self._line.project(*midpoints(headers))
            number = np.floor((along - self.start_m) / self.bin_m + 0.5).astype(np.int64) + self.first_cdp
            return number, distance

        return once(self, "numbers", headers, find)

    def _written(self, headers: Headers) -> Headers:
        number, distance = self._numbers(headers)
        inside = np.ones(len(headers), bool) if self.width_m is None else np.abs(distance) <= self.width_m / 2
        x, y = self._line.position(self.start_m + (number - self.first_cdp) * self.bin_m)
        headers = self._with(headers, inside, {"cdp": number, "cdp_x": x, "cdp_y": y})
        return headers.assign("line_distance", np.where(placed(headers), distance, 0.0))


@processor("bin_grid", scope="trace", headers_only=True)
class BinGrid(_Bins):
    """Number inlines, crosslines and CDPs on a 3-D grid.

    The grid begins at the centre of its first bin, `origin_x_m`, `origin_y_m`. `azimuth_deg`, clockwise from north, is
    the direction of an inline: crossline numbers grow along it, every `crossline_step_m`. Inline numbers grow to the
    right of that direction, every `inline_step_m`, or to the left with ``handed = "left"``. With `inlines` and
    `crosslines` the grid ends there, and midpoints outside lie in no bin (``cdp`` 0); without, it reaches as far as the
    midpoints do, and those before the origin are refused.

    Writes ``inline``, ``crossline``, ``cdp`` (counted along inlines, one after the other) and the bin's centre,
    ``cdp_x`` and ``cdp_y``. With d the vector from the origin to a midpoint and a, c unit vectors along and across
    inlines: inline = `first_inline` + floor(d.c / `inline_step_m` + 1/2), crossline = `first_crossline` +
    floor(d.a / `crossline_step_m` + 1/2).

    Not for 2-D lines, crooked ones above all: `bin_line`. Bins smaller than half the spacing of stations leave gaps.

    Source: UKOOA, P6/98 Data Exchange Format 3D Seismic Binning Grids (1998): origin, bearing, bin sizes and handedness
    of a grid.
    """

    origin_x_m: float = param(unit="m", help="Centre of the first bin, x.")
    origin_y_m: float = param(unit="m", help="Centre of the first bin, y.")
    azimuth_deg: float = param(unit="deg", help="Direction in which crossline numbers grow, clockwise from north.")
    inline_step_m: float = param(unit="m", above=0, help="Distance between inlines.")
    crossline_step_m: float = param(unit="m", above=0, help="Distance between crosslines.")
    handed: Literal["right", "left"] = param("right", help="Side of an inline on which inline numbers grow.")
    first_inline: int = param(1, help="Number of the first inline.")
    first_crossline: int = param(1, help="Number of the first crossline.")
    inlines: int | None = param(None, minimum=1, help="Number of inlines; as the midpoints need if left out.")
    crosslines: int | None = param(None, minimum=1, help="Number of crosslines; as the midpoints need if left out.")
    first_cdp: int = param(1, minimum=1, help="CDP number of the first bin.")

    def resolve(self, layout: Layout) -> BinGrid:
        """Fix the size of the grid."""
        if self.inlines is not None and self.crosslines is not None:
            return self
        super().check(layout)
        rows = placed(layout.headers)
        number = [values[rows] for values in self._grid.numbers(*midpoints(layout.headers))]
        for count, found in zip((self.inlines, self.crosslines), number, strict=True):
            if count is None and found.min() < 0:
                raise self.bad(
                    "origin_x_m", f"lies inside the survey: {int((found < 0).sum())} midpoints lie before the first bin"
                )
        sizes = [int(found.max()) + 1 if count is None else count
                 for count, found in zip((self.inlines, self.crosslines), number, strict=True)]  # fmt: skip
        return self.replaced(inlines=sizes[0], crosslines=sizes[1])

    @property
    def _grid(self) -> Grid:
        return Grid(
            x=self.origin_x_m, y=self.origin_y_m, azimuth_deg=self.azimuth_deg, inline_m=self.inline_step_m,
            crossline_m=self.crossline_step_m, left=self.handed == "left",
        )  # fmt: skip

    def _written(self, headers: Headers) -> Headers:
        assert self.inlines is not None and self.crosslines is not None
        i, j = self._grid.numbers(*midpoints(headers))
        inside = (i >= 0) & (i < self.inlines) & (j >= 0) & (j < self.crosslines)
        x, y = self._grid.centre(i, j)
        cdp = i * self.crosslines + j + self.first_cdp
        words = {"inline": i + self.first_inline, "crossline": j + self.first_crossline, "cdp": cdp}
        return self._with(headers, inside, words | {"cdp_x": x, "cdp_y": y})
