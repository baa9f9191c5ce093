"""Semblance: how alike the traces of a gather are, along flat events or along hyperbolas of trial velocities."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import attrs
import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.errors import Cancelled
from seisproc_velocity.windows import live_samples

Measure = Literal["semblance", "ab", "stack_power"]
EDGE = 1e-6  # samples: what rounding may cost at the ends of a live window
LEAST_TRACES = 3  # below, the two constants of an AB fit explain everything


@attrs.frozen(kw_only=True, eq=False)
class Trial:
    """What velocity spectra of a batch share.

    Attributes
    ----------
    velocities
        Trial velocities, m/s, float64 ``(n_velocities,)``.
    start_s, interval_s
        The sample axis of the traces.
    before, after
        The window of sample i is ``[i - before, i + after)``.
    every
        Every how many-th sample is an output.
    mute_ratio
        Samples at zero-offset times before ``mute_ratio x / v`` are stretched too much.
    least_traces
        Times with fewer live traces count for nothing.
    measure
        See `Semblance`.
    su
        Seismic Unix's differences: samples equal to 0 do not count, the mute is rounded down to a sample.
    """

    velocities: np.ndarray
    start_s: float
    interval_s: float
    before: int
    after: int
    every: int
    mute_ratio: float
    least_traces: int
    measure: Measure
    su: bool


def trial(
    velocities: np.ndarray,
    start_s: float,
    interval_s: float,
    *,
    window_ms: float,
    every: int,
    max_stretch_percent: float,
    least_traces: int,
    measure: Measure,
    su: bool,
) -> Trial:
    """A `Trial` from the parameters of `velocity_spectrum`."""
    half = _half_window(window_ms, interval_s)
    return Trial(
        velocities=np.asarray(velocities, np.float64),
        start_s=start_s,
        interval_s=interval_s,
        before=half,
        after=half if su else half + 1,
        every=every,
        # t0/t, which is dt/dt0 where v is constant, reaches its limit here:
        mute_ratio=1 / float(np.sqrt(max((1 + max_stretch_percent / 100) ** 2 - 1, 1e-12))),
        least_traces=1 if su else least_traces,
        measure=measure,
        su=su,
    )


def semblance(gather: Gather, *, window_ms: float = 40.0) -> np.ndarray:
    """Semblance of flat (NMO-corrected) gathers.

    ``S(t) = sum_w (sum_j a_j)^2 / sum_w n sum_j a_j^2`` over the traces j live at each time, n of them, and a window w
    of ``window_ms`` centred on t (Neidell and Taner, Geophysics 36, 1971): 1 where all live traces are equal, about
    1/n for noise, 0 where nothing is live or all is zero.

    Parameters
    ----------
    gather
        One gather or a batch of them; only live samples count.
    window_ms
        Length of the window, milliseconds; its two halves are rounded down to whole samples.

    Returns
    -------
    semblance
        float64 ``(n_gathers, n_samples)``, 0 to 1; rows of empty gathers are 0.
    """
    half = _half_window(window_ms, gather.sampling.interval_s)
    made = np.zeros((gather.n_gathers, gather.n_samples))
    for row, one in enumerate(gather.split()):
        live = live_samples(*one.live_window, one.n_samples)
        values = np.where(live, one.traces, 0.0).astype(np.float64)
        coherent, power = _energies(values, live)
        made[row] = _ratio(_windowed(coherent, half, half + 1), _windowed(power, half, half + 1))
    return made


def velocity_spectrum(
    gather: Gather,
    velocities_m_per_s: np.ndarray,
    *,
    window_ms: float = 40.0,
    step: int = 1,
    max_stretch_percent: float = 50.0,
    least_traces: int = 5,
    measure: Measure = "semblance",
    mode: Literal["default", "su"] = "default",
) -> np.ndarray:
    """Semblance along hyperbolas ``t^2 = t0^2 + x^2/v^2`` of one gather.

    Samples are interpolated linearly between live samples, which is accurate enough for picking.

    Parameters
    ----------
    gather
        One gather with header word ``offset``.
    velocities_m_per_s
        Trial velocities, ``(n_velocities,)``, positive.
    window_ms
        See `semblance`.
    step
        Every `step`-th time sample is an output.
    max_stretch_percent
        Leave out samples stretched by NMO more than this.
    least_traces
        Leave out times with fewer live traces: one trace alone is perfectly coherent.
    measure
        See the processor `semblance`.
    mode
        ``su``: windows one sample shorter at the end, as `suvelan` of Seismic Unix has them; samples equal to 0 are
        not counted, the stretch mute is rounded down, and a single trace will do.

    Returns
    -------
    semblance
        float64 ``(n_velocities, ceil(n_samples / step))``.

    Raises
    ------
    HeaderError
        No word ``offset``.
    ValueError
        More than one gather, a velocity that is not positive, or a step below 1.
    """
    velocities = np.asarray(velocities_m_per_s, np.float64)
    if gather.n_gathers != 1 or step < 1 or not (velocities > 0).all():
        raise ValueError("velocity_spectrum needs one gather, positive velocities and a step of at least 1")
    sampling = gather.sampling
    options = trial(
        velocities, sampling.start_s, sampling.interval_s, window_ms=window_ms, every=step,
        max_stretch_percent=max_stretch_percent, least_traces=least_traces, measure=measure, su=mode == "su",
    )  # fmt: skip
    offset = np.abs(gather.headers["offset"]).astype(np.float64)
    return np.stack([_along(gather.traces, *gather.live_window, offset / v, options) for v in velocities])


def spectra(
    traces: np.ndarray,
    first: np.ndarray,
    end: np.ndarray,
    offset: np.ndarray,
    gather_starts: np.ndarray,
    options: Trial,
    out: np.ndarray,
    flag: np.ndarray,
) -> None:
    """Velocity spectra of every non-empty gather: reference form.

    Parameters
    ----------
    traces
        float32 ``(n_traces, n_samples)``.
    first, end
        Live window of each trace, samples; nothing outside it is used.
    offset
        Metres, not negative, float64 ``(n_traces,)``.
    gather_starts
        int64 ``(n_gathers + 1,)``.
    options
        See `Trial`.
    out
        float32 ``(n_non_empty_gathers * n_velocities, ceil(n_samples / every))``, every sample is written: gather by
        gather, velocity by velocity.
    flag
        Not 0 means stop.

    Raises
    ------
    Cancelled
        `flag` was raised.
    """
    row = 0
    for a, b in pairwise(gather_starts):
        for v in options.velocities if b > a else ():
            if flag[0]:
                raise Cancelled
            out[row] = _along(traces[a:b], first[a:b], end[a:b], offset[a:b] / v, options)
            row += 1


def _half_window(window_ms: float, interval_s: float) -> int:
    return int(window_ms / 1000 / interval_s / 2 + 1e-6)


def _along(traces: np.ndarray, first: np.ndarray, end: np.ndarray, delay: np.ndarray, options: Trial) -> np.ndarray:
    """The measure along hyperbolas of one velocity; `delay` is x/v in seconds, ``(n_traces,)``."""
    start, dt = options.start_s, options.interval_s
    t0 = start + np.arange(traces.shape[1]) * dt
    first, end, squared = first[:, None], end[:, None], delay[:, None] ** 2
    position = (np.sqrt(t0**2 + squared) - start) / dt
    top = (options.mute_ratio * delay[:, None] - start) / dt
    top = np.floor(top) if options.su else np.maximum(top, -start / dt) - EDGE
    live = (position >= first - EDGE) & (position <= end - 1 + EDGE) & (np.arange(len(t0)) >= top)
    low = np.clip(position.astype(np.int64), np.minimum(first, len(t0) - 1), np.maximum(end - 1, 0))
    part = np.clip(position - low, 0.0, 1.0)
    high = np.minimum(low + 1, np.maximum(end - 1, 0))
    values = np.take_along_axis(traces, low, 1) * (1 - part) + np.take_along_axis(traces, high, 1) * part
    values = np.where(live, values, 0.0)
    if options.su:
        live &= values != 0
    sine_squared = np.divide(squared, t0**2 + squared, out=np.zeros(live.shape), where=squared > 0)
    coherent, power = _energies(values, live, options.least_traces, options.measure, np.where(live, sine_squared, 0.0))
    window = (options.before, options.after)
    return _ratio(_windowed(coherent, *window), _windowed(power, *window))[:: options.every]


def _energies(
    values: np.ndarray,
    live: np.ndarray,
    least_traces: int = 1,
    measure: Measure = "semblance",
    sine_squared: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Coherent and total power at each time, both times the fold; values are 0 where not live."""
    enough = live.sum(axis=0) >= least_traces
    values, live = values * enough, live & enough
    n, total = live.sum(axis=0), values.sum(axis=0)
    if measure == "stack_power":
        stacked: np.ndarray = np.divide(total, n, out=np.zeros(len(n)), where=n > 0)
        return stacked**2, (n > 0).astype(np.float64)
    coherent, power = total**2, n * (values**2).sum(axis=0)
    if measure == "ab" and sine_squared is not None:
        p, pp, pa = sine_squared.sum(axis=0), (sine_squared**2).sum(axis=0), (sine_squared * values).sum(axis=0)
        spread = n * pp - p**2
        fits = (n >= LEAST_TRACES) & (spread > 1e-9 * n**2)
        gradient = np.divide((n * pa - p * total) ** 2, spread, out=np.zeros(len(n)), where=fits)
        coherent = coherent + gradient
    return coherent, power


def _windowed(terms: np.ndarray, before: int, after: int) -> np.ndarray:
    """Sums over windows ``[i - before, i + after)``."""
    total: np.ndarray = np.convolve(terms, np.ones(max(1, before + after)))
    return total[max(after, 1) - 1 :][: len(terms)]


def _ratio(coherent: np.ndarray, power: np.ndarray) -> np.ndarray:
    ratio: np.ndarray = np.divide(coherent, power, out=np.zeros(len(power)), where=power > 0)
    return ratio
