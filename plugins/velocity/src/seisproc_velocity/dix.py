"""Rms, interval and average velocity of one function, depth and time, and smoothing.

All velocities belong to knots at two-way times t_0 < t_1 < ... (s). An interval velocity is that of the layer which
ends at its knot; the first layer begins at time 0. With layers of constant velocity v_k between knots,

    t_n V_n^2 = sum_k v_k^2 (t_k - t_(k-1))        (rms velocity V)
    t_n A_n   = sum_k v_k   (t_k - t_(k-1))        (average velocity A; depth z = A t / 2)

and the first equation solved for v_n is Dix's (Geophysics 20, 1955).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from seisproc_core.errors import UsageError

Kind = Literal["rms_m_per_s", "interval_m_per_s", "average_m_per_s"]


def interval_from_rms(times_s: np.ndarray, rms_m_per_s: np.ndarray) -> np.ndarray:
    """Interval velocities, m/s: ``v_n^2 = (V_n^2 t_n - V_(n-1)^2 t_(n-1)) / (t_n - t_(n-1))``.

    Parameters
    ----------
    times_s
        Two-way times of the knots, ascending, not negative, ``(n,)``. At a first knot at time 0, rms and interval
        velocity are the same.
    rms_m_per_s
        Positive, ``(n,)``.

    Raises
    ------
    UsageError
        ``V^2 t`` falls: no layer has such a velocity. Names the knots, and the least rms velocity that is possible.
    """
    times, rms = _checked(times_s, rms_m_per_s)
    travelled = rms**2 * times
    squared = _slopes(times, travelled, rms[0] ** 2)
    wrong = np.flatnonzero(squared <= 0)
    if wrong.size:
        n = int(wrong[0])
        least = rms[n - 1] * np.sqrt(times[n - 1] / times[n])
        raise UsageError(
            f"no interval velocity gives rms velocities of {rms[n - 1]:g} m/s at {times[n - 1] * 1000:g} ms and "
            f"{rms[n]:g} m/s at {times[n] * 1000:g} ms: the latter must exceed {least:.6g} m/s; edit or smooth them"
        )
    interval: np.ndarray = np.sqrt(squared)
    return interval


def rms_from_interval(times_s: np.ndarray, interval_m_per_s: np.ndarray) -> np.ndarray:
    """Rms velocities of layers that end at the knots, m/s; parameters as for `interval_from_rms`."""
    times, interval = _checked(times_s, interval_m_per_s)
    rms: np.ndarray = np.sqrt(_means(times, interval**2))
    return rms


def average_from_interval(times_s: np.ndarray, interval_m_per_s: np.ndarray) -> np.ndarray:
    """Average velocities of layers that end at the knots, m/s; parameters as for `interval_from_rms`."""
    return _means(*_checked(times_s, interval_m_per_s))


def interval_from_average(times_s: np.ndarray, average_m_per_s: np.ndarray) -> np.ndarray:
    """Interval velocities from average velocities, m/s.

    Raises
    ------
    UsageError
        Depth ``A t / 2`` falls with time.
    """
    times, average = _checked(times_s, average_m_per_s)
    interval = _slopes(times, average * times, average[0])
    wrong = np.flatnonzero(interval <= 0)
    if wrong.size:
        raise UsageError(
            f"average velocities give a depth that falls with time at {times[wrong[0]] * 1000:g} ms: edit them"
        )
    return interval


def converted(times_s: np.ndarray, velocities_m_per_s: np.ndarray, given: Kind, wanted: Kind) -> np.ndarray:
    """Velocities of one kind as another, at the same knots, m/s.

    Raises
    ------
    UsageError
        As `interval_from_rms` and `interval_from_average`.
    """
    times, velocities = _checked(times_s, velocities_m_per_s)
    if given == wanted:
        return velocities
    if given == "rms_m_per_s":
        velocities = interval_from_rms(times, velocities)
    elif given == "average_m_per_s":
        velocities = interval_from_average(times, velocities)
    if wanted == "rms_m_per_s":
        return rms_from_interval(times, velocities)
    return average_from_interval(times, velocities) if wanted == "average_m_per_s" else velocities


def depth_of_time(times_s: np.ndarray, interval_m_per_s: np.ndarray, at_s: np.ndarray) -> np.ndarray:
    """Depth at any two-way time, m: ``z = 1/2 integral v dt``, the last layer going on below its knot.

    Parameters
    ----------
    times_s, interval_m_per_s
        Knots, as for `interval_from_rms`.
    at_s
        Two-way times, any shape; negative times give depth above the datum, in the first layer's velocity.
    """
    times, depths, interval = _layers(times_s, interval_m_per_s)
    return _extended(np.asarray(at_s, np.float64), times, depths, interval[0] / 2, interval[-1] / 2)


def time_of_depth(times_s: np.ndarray, interval_m_per_s: np.ndarray, at_m: np.ndarray) -> np.ndarray:
    """Two-way time at any depth, s: the inverse of `depth_of_time`."""
    times, depths, interval = _layers(times_s, interval_m_per_s)
    return _extended(np.asarray(at_m, np.float64), depths, times, 2 / interval[0], 2 / interval[-1])


def smoothed(axis: np.ndarray, values: np.ndarray, width: float, *, power: float = 1.0) -> np.ndarray:
    """Values at unevenly spaced knots, smoothed by a Gaussian that keeps straight lines.

    At every knot a line is fitted to all knots with weights ``exp(-4 ln 2 (d / width)^2)``, d the distance
    (local linear regression; Cleveland, J. Am. Stat. Assoc. 74, 1979): unlike an average it bends neither a
    trend nor the ends.

    Parameters
    ----------
    axis
        Ascending, ``(n,)``; seconds, metres or CDPs.
    values
        ``(n,)`` or ``(n, m)``: every column by itself.
    width
        Full width of the weights at half their height, in the unit of `axis`; 0 changes nothing.
    power
        The `power` of the values is smoothed: -2 keeps mean squared slowness.
    """
    axis, values = np.asarray(axis, np.float64), np.asarray(values, np.float64)
    if width <= 0 or len(axis) < 2:
        return values.copy()
    distance = axis - axis[:, None]
    weight = np.exp(-4 * np.log(2) * (distance / width) ** 2)
    moments = [np.sum(weight * distance**k, axis=1, keepdims=True) for k in range(3)]
    spread = moments[0] * moments[2] - moments[1] ** 2
    alone = spread <= 1e-12 * moments[0] ** 2 * width**2  # no neighbour within reach: nothing to fit a line to
    line = weight * (moments[2] - moments[1] * distance) / np.where(alone, 1.0, spread)
    operator = np.where(alone, weight / moments[0], line)
    made: np.ndarray = operator @ (values if power == 1 else values**power)
    return made if power == 1 else made ** (1 / power)


def _checked(times_s: np.ndarray, velocities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    times, velocities = np.asarray(times_s, np.float64), np.asarray(velocities, np.float64)
    if times.ndim != 1 or times.shape != velocities.shape or not times.size:
        raise UsageError(f"one velocity per knot, please: got {times.shape} times and {velocities.shape} velocities")
    if times[0] < 0 or (np.diff(times) <= 0).any() or (velocities <= 0).any():
        raise UsageError("a velocity function needs increasing times from 0 on and positive velocities")
    return times, velocities


def _slopes(times: np.ndarray, integral: np.ndarray, first: float) -> np.ndarray:
    """Rates of growth from knot to knot, and from time 0 to the first."""
    if times[0] == 0:
        return np.append(first, np.diff(integral) / np.diff(times))
    return np.diff(integral, prepend=0.0) / np.diff(times, prepend=0.0)


def _means(times: np.ndarray, layers: np.ndarray) -> np.ndarray:
    """Mean over time from 0 to each knot of a quantity that is constant in layers."""
    integral = np.cumsum(layers * np.diff(times, prepend=0.0))
    means: np.ndarray = np.divide(integral, times, out=layers.copy(), where=times > 0)
    return means


def _layers(times_s: np.ndarray, interval_m_per_s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times and depths of the layers' ends, time and depth 0 among them, and velocities."""
    times, interval = _checked(times_s, interval_m_per_s)
    depths = np.cumsum(interval * np.diff(times, prepend=0.0)) / 2
    if times[0] > 0:
        times, depths = np.append(0.0, times), np.append(0.0, depths)
    return times, depths, interval


def _extended(at: np.ndarray, x: np.ndarray, y: np.ndarray, before: float, after: float) -> np.ndarray:
    """Linear interpolation, going on with the given slopes beyond the ends."""
    made: np.ndarray = np.interp(at, x, y) + before * np.minimum(at - x[0], 0) + after * np.maximum(at - x[-1], 0)
    return made
