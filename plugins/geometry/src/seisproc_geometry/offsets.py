"""The step `offsets`: offset, azimuth and midpoint from the coordinates in the headers, and classes of them."""

from __future__ import annotations

import attrs
import numpy as np

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.data.headers import Headers
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_geometry.positions import azimuth_deg, direction, with_positions


@processor("offsets", scope="trace", headers_only=True)
class Offsets(Processor):
    """Compute offset, azimuth and midpoint from the coordinates of source and receiver, and classes of them.

    ``offset`` is the distance, with a sign where `along_deg` gives the azimuth of the line: negative for receivers
    behind the source. ``azimuth`` points from source to receiver, degrees clockwise from north; ``midpoint_x`` and
    ``midpoint_y`` are written too.

    Classes, each only if asked for: ``offset_class`` (0, 1, ... by |offset| in steps of `class_m`); ``azimuth_sector``
    (0 ... `sectors` - 1, the first centred on north; `both_ways` counts a direction and its opposite as one);
    ``tile_inline`` and ``tile_crossline``, the offset vector tile: components of the offset vector across and along
    inlines (`tile_azimuth_deg`) in steps of `tile_m`, tile 0 reaching from 0 to one step.

    With dx, dy from source to receiver: offset = sqrt(dx^2 + dy^2), azimuth = atan2(dx, dy), midpoint = source + (dx,
    dy) / 2, offset_class = floor(offset / class_m), a tile = floor(component / tile_m).

    Not with coordinates that are still stations or degrees, nor before a wrong ``coordinate_scalar`` was mended:
    nothing tells. Not with `along_deg` on lines that bend by more than 90 degrees; signs then change on the way.

    Source: Vermeer, 3-D Seismic Survey Design (SEG, 2002), on offset vectors; tiles: Cary, SEG Expanded Abstracts 18
    (1999), 1496-1499.
    """

    along_deg: float | None = param(None, unit="deg", help="Azimuth of a 2-D line: offsets get a sign.")
    class_m: float | None = param(None, unit="m", above=0, help="Width of offset classes.")
    sectors: int | None = param(None, minimum=1, maximum=360, help="Number of azimuth sectors.")
    both_ways: bool = param(False, help="Azimuths of 10 and 190 degrees are one sector.")
    tile_m: tuple[float, ...] | None = param(None, unit="m", help="Offset vector tiles: size across and along inlines.")
    tile_azimuth_deg: float = param(0.0, unit="deg", help="Direction of inlines, for tiles.")

    def check(self, layout: Layout) -> None:
        words = [layout.headers[word] for word in ("source_x", "source_y", "receiver_x", "receiver_y")]
        if not any(values.any() for values in words):
            raise self.bad("along_deg", "does not help: all coordinates are 0; run the step geometry first")
        if self.tile_m is not None and (len(self.tile_m) != 2 or min(self.tile_m) <= 0):
            raise self.bad("tile_m", "must be two lengths above 0: across and along inlines")

    def plan(self, layout: Layout) -> Layout:
        return attrs.evolve(layout, headers=self._written(layout.headers))

    def apply(self, batch: Gather, context: Context) -> Gather:
        return batch.with_headers(self._written(batch.headers))

    def _written(self, headers: Headers) -> Headers:
        source, receiver = ((headers[f"{end}_x"], headers[f"{end}_y"]) for end in ("source", "receiver"))
        headers = with_positions(headers, source, receiver, self.along_deg)
        dx, dy = receiver[0] - source[0], receiver[1] - source[1]
        if self.class_m is not None:
            headers = headers.assign("offset_class", np.floor(np.hypot(dx, dy) / self.class_m).astype(np.int64))
        if self.sectors is not None:
            circle = 180.0 if self.both_ways else 360.0
            width = circle / self.sectors
            sector = np.floor((azimuth_deg(dx, dy) % circle + width / 2) / width).astype(np.int64) % self.sectors
            headers = headers.assign("azimuth_sector", sector)
        if self.tile_m is not None:
            axes = direction(self.tile_azimuth_deg + 90), direction(self.tile_azimuth_deg)
            for name, (east, north), size in zip(("tile_inline", "tile_crossline"), axes, self.tile_m, strict=True):
                headers = headers.assign(name, np.floor((dx * east + dy * north) / size).astype(np.int64))
        return headers
