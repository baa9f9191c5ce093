"""3-D bin grids: bin numbers of positions, and positions of bins."""

from __future__ import annotations

import attrs
import numpy as np

from seisproc_geometry.positions import direction


@attrs.frozen(kw_only=True)
class Grid:
    """A rectangular grid of bins.

    Attributes
    ----------
    x, y
        Centre of bin (0, 0), metres.
    azimuth_deg
        Direction in which crossline numbers grow, clockwise from north (y).
    inline_m, crossline_m
        Distance between neighbouring inlines, and crosslines, metres.
    left
        Inline numbers grow to the left of that direction, not to the right.
    """

    x: float
    y: float
    azimuth_deg: float
    inline_m: float
    crossline_m: float
    left: bool = False

    @property
    def _axes(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Unit vectors in which inline and crossline numbers grow."""
        return direction(self.azimuth_deg + (-90.0 if self.left else 90.0)), direction(self.azimuth_deg)

    def numbers(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inline and crossline of positions, int64 from 0; a position on a border belongs to the bin that follows."""
        across, along = self._axes
        dx, dy = x - self.x, y - self.y
        i = np.floor((dx * across[0] + dy * across[1]) / self.inline_m + 0.5)
        j = np.floor((dx * along[0] + dy * along[1]) / self.crossline_m + 0.5)
        return i.astype(np.int64), j.astype(np.int64)

    def centre(self, i: np.ndarray, j: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x and y of bin centres, metres."""
        across, along = self._axes
        east = self.x + i * self.inline_m * across[0] + j * self.crossline_m * along[0]
        north = self.y + i * self.inline_m * across[1] + j * self.crossline_m * along[1]
        return east, north
