"""Velocity volumes: traces of velocities, in SEG-Y or any other installed format, to and from tables."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from seisproc_core.data.formats import format_for, implied_options
from seisproc_core.data.gather import Gather
from seisproc_core.data.headers import Headers
from seisproc_core.data.sampling import Sampling
from seisproc_core.data.survey import MemorySurvey, Survey
from seisproc_core.data.tables import Table
from seisproc_core.data.words import TRACE_ID, word
from seisproc_core.errors import DataError, UsageError
from seisproc_velocity.fields import LEAST_ETA, field_of, functions_at
from seisproc_velocity.tables import quantity_of

BLOCK_BYTES = 16 << 20
MOST_BYTES = 2 << 30
MOST_KNOTS = 20_000_000


def read_volume(
    survey: Survey,
    *,
    quantity: str = "rms_m_per_s",
    keys: tuple[str, ...] = ("cdp",),
    tolerance: float = 1.0,
) -> Table:
    """The functions of a velocity volume, with as few knots as describe them.

    Parameters
    ----------
    survey
        Traces of velocities (m/s) or eta; dead traces and samples outside live windows are left out.
    keys
        Header words of the table: ``("cdp",)`` or ``("inline", "crossline")``. Where several traces have the same,
        the first live one counts.
    tolerance
        Largest difference between the trace and the lines between its knots, in the unit of the quantity.

    Raises
    ------
    DataError
        No live trace, or velocities that are not positive.
    """
    headers = survey.headers()
    places = np.stack([headers[key].astype(np.float64) for key in keys], axis=1)
    live = np.flatnonzero(np.subtract(*headers.live_window(survey.sampling.count)[::-1]) > 0)
    rows = live[np.unique(places[live], axis=0, return_index=True)[1]]
    parts: list[np.ndarray] = []
    count, block = 0, max(1, BLOCK_BYTES // (4 * survey.sampling.count))
    for start in range(0, len(rows), block):
        chosen = rows[start : start + block]
        gather = survey.read(np.sort(chosen))
        back = np.searchsorted(np.sort(chosen), chosen)
        for row, at in zip(chosen, back, strict=True):
            knots = _knots(gather, int(at), quantity, tolerance, f"trace {row}")
            parts.append(np.concatenate([np.repeat(places[row][:, None], knots.shape[1], axis=1), knots]))
            count += knots.shape[1]
        if count > MOST_KNOTS:
            raise UsageError(f"more than {MOST_KNOTS} knots: take a larger tolerance than {tolerance:g}")
    if not parts:
        raise DataError("the volume has no live trace")
    axis = "depth_m" if survey.sampling.domain == "depth" else "time_ms"
    return Table(dict(zip((*keys, axis, quantity), np.concatenate(parts, axis=1), strict=True)))


def _knots(gather: Gather, row: int, quantity: str, tolerance: float, name: str) -> np.ndarray:
    """Axis (ms or m) and value of the knots of one trace, ``(2, n)``."""
    first, end = (int(edge[row]) for edge in gather.live_window)
    values = gather.traces[row, first:end].astype(np.float64)
    least = LEAST_ETA if quantity == "eta" else 0.0
    wrong = np.flatnonzero(~(values > least))
    if wrong.size:
        raise DataError(f"{name} of the volume holds {values[wrong[0]]:g} at sample {first + wrong[0]}: not {quantity}")
    sampling = gather.sampling
    scale = 1.0 if sampling.domain == "depth" else 1000.0
    kept = _simplified(values, tolerance)
    return np.stack([(sampling.start_s + (first + kept) * sampling.interval_s) * scale, values[kept]])


def _simplified(values: np.ndarray, tolerance: float) -> np.ndarray:
    """Samples between which straight lines stay within `tolerance` (Douglas and Peucker, Cartographica 10, 1973)."""
    last = len(values) - 1
    if last < 1 or np.ptp(values) <= tolerance:
        return np.zeros(1, np.int64)
    kept, open_ = {0, last}, [(0, last)]
    while open_:
        a, b = open_.pop()
        if b - a < 2:
            continue
        line = values[a] + (values[b] - values[a]) * np.arange(b - a + 1) / (b - a)
        error = np.abs(values[a : b + 1] - line)
        worst = int(np.argmax(error))
        if error[worst] > tolerance:
            kept.add(a + worst)
            open_ += [(a, a + worst), (a + worst, b)]
    return np.array(sorted(kept), np.int64)


def volume(table: Table, sampling: Sampling, words: dict[str, np.ndarray] | None = None) -> Gather:
    """Traces of the functions of a table.

    Parameters
    ----------
    sampling
        In the domain of the table.
    words
        Header words of the traces wanted, each ``(n_traces,)``; the table's own positions when left out.

    Raises
    ------
    UsageError
        Too large, another domain, or positions that a header word cannot hold.
    """
    field = field_of(table, quantity_of(table))
    if (sampling.domain == "depth") != field.depth:
        raise UsageError(f"a table in {'depth' if field.depth else 'time'} makes no volume in {sampling.domain}")
    given = words or {key: field.positions[:, k] for k, key in enumerate(field.keys)}
    count = len(next(iter(given.values()))) if given else 1
    if 4 * count * sampling.count > MOST_BYTES:
        raise UsageError(f"{count} traces of {sampling.count} samples are more than {MOST_BYTES >> 30} GiB")
    headers = Headers({TRACE_ID: np.arange(count, dtype=np.int64)}, count)
    for name, values in given.items():
        if not np.array_equal(values, np.rint(values)):
            raise UsageError(
                f"'{name}' must be whole numbers in a volume, not {values[values != np.rint(values)][0]:g}"
            )
        headers = headers.with_columns(**{name: np.zeros(count, word(name).dtype)}).with_values(name, values)
    rows, row = functions_at(field, sampling.times(), given)
    traces = np.broadcast_to(rows.astype(np.float32)[row], (count, sampling.count))
    return Gather(headers=headers, sampling=sampling, traces=np.ascontiguousarray(traces))


def write_volume(made: Gather, out: Path, *, replace: bool = False) -> None:
    """Write a volume to any installed format, by the suffix of `out`; a job like any other, whole or not at all."""
    from seisproc_core.jobs.engine import Engine
    from seisproc_core.processing.flow import Flow, Source, Target

    entry = format_for(out, working=True)
    sink = Target(storage=entry.id, path=os.path.abspath(out), options=implied_options(entry, out))
    flow = Flow(source=Source(storage="memory", survey=MemorySurvey(made)), sink=sink, name=f"velocities {out.name}")
    with Engine() as engine:
        engine.submit(flow, type="export", replace=replace).result()
