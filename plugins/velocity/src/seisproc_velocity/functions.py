"""Velocity functions: knots of a table, interpolated in time and between CDPs."""

from __future__ import annotations

from typing import Literal

import numpy as np

from seisproc_core.data.tables import Table
from seisproc_core.errors import UsageError

Lateral = Literal["velocity", "slowness_squared"]


def knots(table: Table) -> tuple[np.ndarray, list[slice], np.ndarray, np.ndarray]:
    """The velocity functions of a table, in ascending order of CDP.

    Returns
    -------
    cdps
        CDP of each function, ``(n_functions,)``; one zero where the table is not keyed.
    rows
        Where each function lies in the next two.
    times, velocities
        Knots, seconds and m/s.

    Raises
    ------
    UsageError
        Times that do not increase, or velocities that are not positive.
    """
    cdp = table["cdp"] if "cdp" in table else np.zeros(len(table))
    order = np.argsort(cdp, kind="stable")
    cdps, starts = np.unique(cdp[order], return_index=True)
    times, velocities = table["time_ms"][order] / 1000, table["rms_m_per_s"][order]
    ends = np.append(starts[1:], len(table))
    steps = np.diff(times)
    steps[starts[1:] - 1] = 1.0  # from one function to the next
    for wrong, problem in (
        (np.flatnonzero(steps <= 0), "time_ms must increase within a function"),
        (np.flatnonzero(velocities <= 0), "rms_m_per_s must be positive"),
    ):
        if wrong.size:
            where = f" (cdp {cdp[order][wrong[0]]:g})" if "cdp" in table else ""
            raise UsageError(f"{problem}: see time_ms = {times[wrong[0]] * 1000:g}{where}")
    return cdps, [slice(a, b) for a, b in zip(starts, ends, strict=True)], times, velocities


def slowness_squared(
    table: Table, times: np.ndarray, cdp: np.ndarray | None = None, lateral: Lateral = "velocity"
) -> tuple[np.ndarray, np.ndarray]:
    """``1/v^2`` on a time grid for every trace: v is linear in time between knots and constant outside them.

    Parameters
    ----------
    table
        Columns ``time_ms``, ``rms_m_per_s`` and optionally ``cdp``.
    times
        Seconds, ``(n,)``.
    cdp
        CDP of each trace, needed where the table is keyed.
    lateral
        What is linear between the functions of two CDPs; outside the first and last CDP the function is constant.

    Returns
    -------
    rows
        s^2/m^2, float64 ``(n_distinct, n)``.
    row_of_trace
        int64 ``(n_traces,)``; a single zero where the table is not keyed.
    """
    cdps, slices, knot_times, velocities = knots(table)
    if cdp is None or "cdp" not in table:
        return np.interp(times, knot_times, velocities)[None] ** -2, np.zeros(1, np.int64)
    distinct, row_of_trace = np.unique(cdp, return_inverse=True)
    place = np.interp(distinct, cdps, np.arange(len(cdps)))
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, len(cdps) - 1)
    needed = np.unique(np.concatenate([below, above]))
    made = np.stack([np.interp(times, knot_times[slices[i]], velocities[slices[i]]) for i in needed])
    power = 1.0 if lateral == "velocity" else -2.0
    made **= power
    weight = (place - below)[:, None]
    mixed = (1 - weight) * made[np.searchsorted(needed, below)] + weight * made[np.searchsorted(needed, above)]
    return mixed ** (-2.0 / power), row_of_trace.astype(np.int64)
