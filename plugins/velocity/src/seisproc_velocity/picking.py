"""Velocity functions from spectra: the path of most coherence that changes little, and its events as knots."""

from __future__ import annotations

import attrs
import numpy as np

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.data.headers import Headers
from seisproc_core.data.tables import Table
from seisproc_core.data.words import DEAD
from seisproc_core.errors import UsageError
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_velocity import claims
from seisproc_velocity.fields import KEYS, field_of, functions_at
from seisproc_velocity.velan import VELOCITY


def best_path(spectrum: np.ndarray, cost: float | np.ndarray) -> np.ndarray:
    """The path through a spectrum that gathers most of it and pays for its changes.

    Dynamic programming finds the row r_i of every column that maximises
    ``sum_i S[r_i, i] - cost sum_i abs(x[r_i] - x[r_(i-1)])`` exactly (Viterbi, IEEE Trans. Inf. Theory 13, 1967): a
    running maximum from either side replaces the search over all pairs of rows.

    Parameters
    ----------
    spectrum
        ``(n_rows, n_times)``; minus infinity forbids a place.
    cost
        Of a step from one row to the next: a number, or one per step, ``(n_rows - 1,)``; not negative.

    Returns
    -------
    path
        int64 ``(n_times,)``, rows.
    """
    n_rows, n_times = spectrum.shape
    way = np.append(0.0, np.cumsum(np.broadcast_to(np.asarray(cost, np.float64), n_rows - 1)))
    came_from = np.zeros((n_times, n_rows), np.int64)
    score = spectrum[:, 0].astype(np.float64)
    for i in range(1, n_times):
        lower, lower_from = _running_best(score + way)
        upper, upper_from = _running_best((score - way)[::-1])
        from_below, from_above = lower - way, upper[::-1] + way
        below = from_below >= from_above
        came_from[i] = np.where(below, lower_from, n_rows - 1 - upper_from[::-1])
        score = np.where(below, from_below, from_above) + spectrum[:, i]
    path = np.empty(n_times, np.int64)
    path[-1] = int(np.argmax(score))
    for i in range(n_times - 1, 0, -1):
        path[i - 1] = came_from[i, path[i]]
    return path


def _running_best(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Largest value up to each place, and where it is."""
    best = np.maximum.accumulate(values)
    new = np.append(True, best[1:] > best[:-1])
    return best, np.maximum.accumulate(np.where(new, np.arange(len(values)), 0))


@attrs.frozen(eq=False)
class Picks:
    """Knots of one velocity function: times in s, velocities in m/s, and the spectrum there."""

    times_s: np.ndarray
    rms_m_per_s: np.ndarray
    strength: np.ndarray


def pick_velocities(
    spectrum: np.ndarray,
    velocities_m_per_s: np.ndarray,
    times_s: np.ndarray,
    *,
    least: float = 0.2,
    separation_ms: float = 100.0,
    change_ms: float = 60.0,
) -> Picks:
    """Pick a velocity function from a spectrum.

    First the path v(t) of `best_path` is found, then its strongest times become knots, strongest first, none nearer to
    another than `separation_ms`; a parabola through the spectrum above and below refines their velocities.

    Parameters
    ----------
    spectrum
        Semblance or another measure, ``(n_velocities, n_times)``; where it is minus infinity nothing is picked.
    velocities_m_per_s
        Ascending, ``(n_velocities,)``.
    times_s
        Evenly spaced, ``(n_times,)``.
    least
        A knot needs at least this much.
    separation_ms
        Least distance of knots.
    change_ms
        A change of velocity by 1000 m/s must be paid by this time at a semblance of 1. Larger: smoother.

    Returns
    -------
    Picks
        Ascending in time; none where nothing reaches `least`.
    """
    velocities = np.asarray(velocities_m_per_s, np.float64)
    interval = times_s[1] - times_s[0] if len(times_s) > 1 else 1.0
    path = best_path(spectrum, change_ms / 1000 / interval * np.diff(velocities) / 1000)
    strength = spectrum[path, np.arange(len(times_s))]
    peak = (strength >= np.append(-np.inf, strength[:-1])) & (strength >= np.append(strength[1:], -np.inf))
    candidates = np.flatnonzero(peak & (strength >= least) & np.isfinite(strength))
    chosen: list[int] = []
    for i in candidates[np.argsort(-strength[candidates], kind="stable")]:
        if all(abs(times_s[i] - times_s[j]) >= separation_ms / 1000 - 1e-9 for j in chosen):
            chosen.append(int(i))
    knots = np.array(sorted(chosen), np.int64)
    picked = np.array([_refined(spectrum[:, i], velocities, path[i]) for i in knots])
    return Picks(times_s[knots], picked, strength[knots])


def _refined(column: np.ndarray, velocities: np.ndarray, row: int) -> float:
    """The velocity at the top of the parabola through a row and its neighbours, if it tops them."""
    if not 0 < row < len(column) - 1:
        return float(velocities[row])
    before, at, after = column[row - 1 : row + 2]
    bend = before - 2 * at + after
    if not (np.isfinite(bend) and bend < 0 and at >= max(before, after)):
        return float(velocities[row])
    shift = 0.5 * (before - after) / bend
    step = velocities[row + 1] - velocities[row] if shift > 0 else velocities[row] - velocities[row - 1]
    return float(velocities[row] + shift * step)


@processor("velocity_pick", scope="gather", claims=claims.VELOCITY_PICK)
class VelocityPick(Processor):
    """Pick velocity functions from panels of semblance, one trace of rms velocities (m/s) per gather.

    The path v(t0) with the largest sum of semblance, minus a price for every change of velocity, is found by dynamic
    programming; its strongest times become knots. The trace holds velocities interpolated linearly between knots,
    constant outside them, and so makes a velocity volume: ``seisproc velocity convert picks.seis picks.csv`` turns it
    into a table for `nmo`. Where no time reaches ``least``, the trace is dead.

    With ``guide``, a table as for `nmo`, only velocities within ``guide_percent`` of it count. Follow `semblance` with
    it. With S the semblance at times t_i = i dt, the path maximises sum_i S(v_i, t_i) - c sum_i |v_i - v_(i-1)|, where
    c is ``change_ms`` / dt for 1000 m/s.

    Not unseen: multiples are coherent too, and no program knows the geology. Not on spectra of raw gathers with linear
    noise, nor for interval velocities of thin layers, for which these knots are too far apart.

    Sources: velocity spectra: Taner and Koehler, Geophysics 34 (1969), 859-881; the path: Viterbi, IEEE Transactions on
    Information Theory 13 (1967), 260-269.
    """

    least: float = param(0.2, help="semblance that a knot needs at least", minimum=0)
    separation_ms: float = param(100.0, help="least time between knots", unit="ms", above=0)
    change_ms: float = param(
        60.0, help="a change by 1000 m/s must be paid by this time at semblance 1", unit="ms", minimum=0
    )
    guide: Table | None = param(
        None, help="rms velocities to stay close to", columns=("time_ms", "rms_m_per_s"), keys=KEYS
    )
    guide_percent: float = param(20.0, help="how close", unit="%", above=0, maximum=100)

    def check(self, layout: Layout) -> None:
        velocities = layout.headers.column(VELOCITY)
        change = np.diff(velocities) <= 0
        change[layout.gather_starts[1:-1][layout.gather_starts[1:-1] < len(velocities)] - 1] = False
        if change.any():
            raise self.bad("least", f"needs panels of ascending {VELOCITY}, as semblance makes them")
        if self.guide is None:
            return
        for key in KEYS:
            if key in self.guide:
                layout.headers.column(key)
        try:
            field_of(self.guide)
        except UsageError as error:
            raise self.bad("guide", str(error)) from error

    def plan(self, layout: Layout) -> Layout:
        none = np.zeros(int(np.count_nonzero(np.diff(layout.gather_starts))), bool)
        return layout.one_trace_per_gather(_picked_headers(layout, none))

    def apply(self, batch: Gather, context: Context) -> Gather:
        gathers = [gather for gather in batch.split() if gather.n_traces]
        out = context.empty((len(gathers), batch.n_samples))
        times = batch.sampling.times()
        for row, gather in enumerate(gathers):
            context.check()
            picks = pick_velocities(
                self._allowed(gather, times), gather.headers[VELOCITY], times,
                least=self.least, separation_ms=self.separation_ms, change_ms=self.change_ms,
            )  # fmt: skip
            out[row] = np.interp(times, picks.times_s, picks.rms_m_per_s) if len(picks.times_s) else 0.0
        picked = np.array([row.any() for row in out], bool)
        planned = batch.layout.one_trace_per_gather(_picked_headers(batch.layout, picked))
        return Gather(headers=planned.headers, sampling=batch.sampling, gather_starts=planned.gather_starts, traces=out)

    def _allowed(self, gather: Gather, times: np.ndarray) -> np.ndarray:
        """The spectrum, minus infinity where the guide forbids a velocity."""
        first, end = gather.live_window
        spectrum = np.where((end > first)[:, None], gather.traces, 0.0).astype(np.float64)
        if self.guide is None:
            return spectrum
        rows, row = functions_at(field_of(self.guide), times, gather.headers.take(slice(0, 1)))
        velocities = gather.headers[VELOCITY].astype(np.float64)[:, None]
        distance = np.abs(velocities / rows[row[0]] - 1)
        # Where no trial velocity is near enough, the nearest one stands in.
        allowed = distance <= np.maximum(self.guide_percent / 100, distance.min(axis=0))
        return np.where(allowed, spectrum, -np.inf)


def _picked_headers(layout: Layout, picked: np.ndarray) -> Headers:
    """One row per panel; rows without a pick are not live."""
    headers = layout.headers.combine(layout.gather_starts).without(VELOCITY)
    if DEAD in headers:
        dead = headers.column(DEAD)
        headers = headers.with_columns(**{DEAD: np.where(~picked & (dead == 0), 1, dead).astype(dead.dtype)})
    return headers.with_live_window(np.zeros(len(picked)), np.where(picked, layout.n_samples, 0))
