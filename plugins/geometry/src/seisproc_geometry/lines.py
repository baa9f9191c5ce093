"""CDPs along a line, straight or crooked: the line, its fit to midpoints, and projection onto it."""

from __future__ import annotations

import attrs
import numpy as np

MOST_KNOTS = 2000
_BLOCK = 1 << 16


@attrs.frozen(eq=False)
class Line:
    """A polyline of knots x and y (metres), float64; its first and last part go on straight beyond the ends."""

    x: np.ndarray
    y: np.ndarray

    @property
    def at(self) -> np.ndarray:
        """Length along the line up to each knot, metres."""
        return np.append(0.0, np.cumsum(np.hypot(np.diff(self.x), np.diff(self.y))))

    def project(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The nearest point of the line to each position.

        Returns
        -------
        along, distance
            Length along the line from the first knot (negative before it), and distance from it: positive to the
            right of the line's direction. Metres. Of two points equally near, the first along the line.
        """
        along, distance = np.empty(len(x)), np.empty(len(x))
        for start in range(0, len(x), _BLOCK):
            rows = slice(start, start + _BLOCK)
            along[rows], distance[rows] = self._project(x[rows], y[rows])
        return along, distance

    def _project(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        best = np.full(len(x), np.inf)
        along, distance = np.zeros(len(x)), np.zeros(len(x))
        at, last = self.at, len(self.x) - 2
        for part in range(last + 1):
            length = at[part + 1] - at[part]
            east, north = (self.x[part + 1] - self.x[part]) / length, (self.y[part + 1] - self.y[part]) / length
            dx, dy = x - self.x[part], y - self.y[part]
            inside = np.clip(dx * east + dy * north, -np.inf if part == 0 else 0, np.inf if part == last else length)
            square = (dx - inside * east) ** 2 + (dy - inside * north) ** 2
            nearer = square < best
            best[nearer] = square[nearer]
            along[nearer] = at[part] + inside[nearer]
            right = dx * north - dy * east
            distance[nearer] = np.copysign(np.sqrt(square[nearer]), right[nearer])
        return along, distance

    def position(self, along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x and y of points of the line, the inverse of `project`."""
        at = self.at
        part = np.clip(np.searchsorted(at, along, side="right") - 1, 0, len(at) - 2)
        share = (along - at[part]) / (at[part + 1] - at[part])
        return (
            self.x[part] + share * (self.x[part + 1] - self.x[part]),
            self.y[part] + share * (self.y[part + 1] - self.y[part]),
        )


def straight(x: np.ndarray, y: np.ndarray) -> Line:
    """The straight line through positions with the least squared distances, in the order in which they are given."""
    centre = np.array([x.mean(), y.mean()])
    spread = np.stack([x - centre[0], y - centre[1]])
    _, vectors = np.linalg.eigh(spread @ spread.T)
    axis = vectors[:, -1]
    along = axis @ spread
    trend = float(np.dot(along, np.arange(len(along)) - (len(along) - 1) / 2))
    if trend < 0 or (trend == 0 and tuple(axis) < (0.0, 0.0)):
        axis, along = -axis, -along
    if along.max() - along.min() <= 0:
        raise ValueError("all midpoints are the same")
    ends = centre[:, None] + axis[:, None] * np.array([along.min(), along.max()])
    return Line(ends[0], ends[1])


def smooth(x: np.ndarray, y: np.ndarray, order: np.ndarray, smooth_m: float) -> Line:
    """A crooked line that follows midpoints: their means for each value of a word, smoothed along the line.

    Parameters
    ----------
    order
        A header word that grows along the line, such as ``field_record``.
    smooth_m
        Length over which positions are averaged, metres.
    """
    _, group = np.unique(order, return_inverse=True)
    group = group.reshape(-1)
    count = np.bincount(group)
    means = [np.bincount(group, values) / count for values in (x, y)]
    at = np.append(0.0, np.cumsum(np.hypot(np.diff(means[0]), np.diff(means[1]))))
    if at[-1] <= 0:
        raise ValueError("all groups of midpoints lie at the same place")
    knots = np.linspace(0.0, at[-1], int(min(max(at[-1] / (smooth_m / 2), 1), MOST_KNOTS - 1)) + 1)
    moved = np.append(True, np.diff(at) > 0)
    fine = np.linspace(0.0, at[-1], min(20 * len(knots), 100_000))
    made = []
    for values in means:
        held = np.interp(fine, at[moved], values[moved])
        total = np.append(0.0, np.cumsum((held[1:] + held[:-1]) / 2 * np.diff(fine)))
        # Means over a window that shrinks towards the ends, so that the ends stay where they are.
        half = np.minimum(np.minimum(smooth_m / 2, knots), at[-1] - knots)
        low, high = (np.interp(knots + sign * half, fine, total) for sign in (-1, 1))
        made.append(np.where(half > 0, (high - low) / np.where(half > 0, 2 * half, 1), np.interp(knots, fine, held)))
    return Line(made[0], made[1])
