"""Travel times in a stack of flat layers: exact rays, found by Newton's method and by Fermat's principle.

Nothing here is an approximation for small offsets: the times do not know of normal moveout, so that they can judge it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Depth = Callable[[np.ndarray], np.ndarray]  # depth of an interface at x


class Ray(NamedTuple):
    """One-way rays: time (s), horizontal slowness, vertical slowness at the lower end (s/m), shape ``(n,)`` each."""

    time: np.ndarray
    horizontal: np.ndarray
    vertical: np.ndarray


class FlatLayers:
    """Homogeneous layers between flat interfaces, the lowest one a half-space.

    Parameters
    ----------
    interfaces
        Depths of the interfaces, m, increasing from the surface at 0, shape ``(layers - 1,)``.
    velocities
        Interval velocities from the top down, m/s, shape ``(layers,)``.
    """

    def __init__(self, interfaces: np.ndarray, velocities: np.ndarray) -> None:
        if len(velocities) != len(interfaces) + 1:
            raise ValueError(f"{len(interfaces)} interfaces and {len(velocities)} velocities: one more was wanted")
        self.tops = np.concatenate(([0.0], np.asarray(interfaces, np.float64)))
        self.velocities = np.asarray(velocities, np.float64)
        if (np.diff(self.tops) <= 0).any() or (self.velocities <= 0).any():
            raise ValueError("interfaces must deepen and velocities be positive")

    def thicknesses(self, depth: np.ndarray) -> np.ndarray:
        """Thickness of each layer above points at `depth` m: shape ``(layers, n)``."""
        bottoms = np.append(self.tops[1:], np.inf)
        return np.asarray(np.maximum(np.minimum(depth, bottoms[:, None]) - self.tops[:, None], 0.0))

    def ray(self, distance: np.ndarray, depth: np.ndarray) -> Ray:
        """Rays from the surface to points at horizontal `distance` and `depth`, m, shape ``(n,)`` each.

        With u the tangent of the ray's angle in the fastest layer crossed, of velocity V, the distance covered is
        ``x(u) = sum h_i r_i u / sqrt(1 + (1 - r_i^2) u^2)`` with ``r_i = v_i / V``: increasing and concave, so Newton's
        method started at u = 0 climbs to the root without overshooting (cf. Tian and Chen, BSSA 95, 2005).
        """
        distance, depth = np.broadcast_arrays(np.abs(np.asarray(distance, np.float64)), np.asarray(depth, np.float64))
        thickness = self.thicknesses(depth)
        fastest = np.max(np.where(thickness > 0, self.velocities[:, None], 0.0), axis=0)
        ratio = np.minimum(self.velocities[:, None] / fastest, 1.0)  # layers below the point have no thickness
        defect = 1.0 - ratio**2
        weight = thickness * ratio
        u = np.zeros_like(distance)
        for _ in range(60):
            root = np.sqrt(1.0 + defect * u**2)
            step = (distance - (weight * u / root).sum(axis=0)) / (weight / root**3).sum(axis=0)
            u += step
            if np.all(np.abs(step) <= 1e-13 * (1.0 + u)):
                break
        slowness = u / (fastest * np.sqrt(1.0 + u**2))
        sine = np.where(thickness > 0, slowness * self.velocities[:, None], 0.0)
        cosine = np.sqrt(1.0 - sine**2)
        time = (thickness / (self.velocities[:, None] * cosine)).sum(axis=0)
        last = np.searchsorted(self.tops, depth, side="left") - 1  # the layer that the ray ends in
        vertical = np.take_along_axis(cosine, last[None], axis=0)[0] / self.velocities[last]
        return Ray(time, slowness, vertical)

    def reflection(self, offset: np.ndarray, depth: float) -> np.ndarray:
        """Two-way time (s) from a flat reflector at `depth` m: the ray is the same down and up."""
        return 2.0 * self.ray(np.asarray(offset) / 2, np.full(np.shape(offset), depth)).time

    def rms_velocity(self, depth: float) -> tuple[float, float]:
        """Two-way vertical time (s) to `depth` m, and the rms velocity (m/s) down to it (Dix, Geophysics 20, 1955)."""
        times = self.thicknesses(np.array([depth]))[:, 0] / self.velocities
        return 2.0 * float(times.sum()), float(np.sqrt((times * self.velocities**2).sum() / times.sum()))


def reflection_by_fermat(
    layers: FlatLayers, source: np.ndarray, receiver: np.ndarray, depth: Depth, slope: float
) -> tuple[np.ndarray, np.ndarray]:
    """Reflections from a plane that dips in the lowest layer: the point that makes the time stationary.

    The time is convex in the position of the reflection point, so the zero of its derivative ``sum of (+-p + slope q)``
    over both legs, p and q the slownesses at the point, is found by bisection.

    Parameters
    ----------
    layers
        What lies above the reflector.
    source, receiver
        Positions at the surface, m, shape ``(n,)``.
    depth, slope
        Depth of the plane at x, m, and its change with x.

    Returns
    -------
    time, point
        Two-way time (s) and position of the reflection point (m), shape ``(n,)`` each.
    """
    middle = (source + receiver) / 2
    reach = np.abs(receiver - source) / 2 + np.abs(slope) * 2 * depth(middle) + 1.0
    low, high = middle - reach, middle + reach
    for _ in range(44):  # halves some km to under a nanometre
        point = (low + high) / 2
        down, up = (layers.ray(point - end, depth(point)) for end in (source, receiver))
        rate = np.sign(point - source) * down.horizontal + np.sign(point - receiver) * up.horizontal
        rising = rate + slope * (down.vertical + up.vertical) > 0
        low, high = np.where(rising, low, point), np.where(rising, point, high)
    point = (low + high) / 2
    time = layers.ray(point - source, depth(point)).time + layers.ray(point - receiver, depth(point)).time
    return time, point
