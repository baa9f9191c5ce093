"""Offsets, azimuths and midpoints from coordinates of sources and receivers."""

from __future__ import annotations

import numpy as np

from seisproc_core.data.headers import Headers


def azimuth_deg(dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Direction of a vector in degrees clockwise from north (y), 0 <= azimuth < 360; 0 for a vector of no length."""
    found = np.degrees(np.arctan2(dx, dy)) % 360.0
    # A tiny negative angle rounds up to 360 itself.
    return np.where(found == 360.0, 0.0, found)


def direction(azimuth: float) -> tuple[float, float]:
    """Unit vector (x, y) of an azimuth in degrees."""
    angle = np.radians(azimuth)
    return float(np.sin(angle)), float(np.cos(angle))


def with_positions(
    headers: Headers,
    source: tuple[np.ndarray, np.ndarray],
    receiver: tuple[np.ndarray, np.ndarray],
    along_deg: float | None,
    rows: np.ndarray | None = None,
) -> Headers:
    """Write offset, azimuth and midpoint.

    Parameters
    ----------
    source, receiver
        x and y in metres, float64 ``(n_traces,)`` each.
    along_deg
        Azimuth of a 2-D line: offsets of receivers behind the source, against this direction, are negative. None for
        offsets without sign.
    rows
        Traces to write, bool; others keep what they have (0 in new words).
    """
    dx, dy = receiver[0] - source[0], receiver[1] - source[1]
    offset = np.hypot(dx, dy)
    if along_deg is not None:
        east, north = direction(along_deg)
        # A receiver beside the source is not behind it, whatever is left by rounding.
        offset = np.where(dx * east + dy * north < -1e-9 * offset, -offset, offset)
    made = {
        "offset": offset,
        "azimuth": azimuth_deg(dx, dy),
        "midpoint_x": (source[0] + receiver[0]) / 2,
        "midpoint_y": (source[1] + receiver[1]) / 2,
    }
    for name, values in made.items():
        headers = write(headers, name, values, rows)
    return headers


def write(headers: Headers, name: str, values: np.ndarray, rows: np.ndarray | None = None) -> Headers:
    """Assign a word for some traces; others keep their value, 0 where the word is new."""
    if rows is not None and not rows.all():
        before = headers[name] if name in headers else np.zeros(len(headers))
        values = np.where(rows, values, before)
    return headers.assign(name, values)
