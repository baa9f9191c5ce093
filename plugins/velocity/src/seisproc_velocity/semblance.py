"""Semblance: how alike the traces of a gather are, along flat events or along hyperbolas of trial velocities."""

from __future__ import annotations

from typing import Literal

import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_velocity.windows import live_samples


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
        made[row] = _ratio(np.where(live, one.traces, 0.0).astype(np.float64), live, half, half + 1)
    return made


def velocity_spectrum(
    gather: Gather,
    velocities_m_per_s: np.ndarray,
    *,
    window_ms: float = 40.0,
    step: int = 1,
    max_stretch_percent: float = 50.0,
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
    mode
        ``su``: windows one sample shorter at the end, as `suvelan` of Seismic Unix has them; samples equal to 0 are
        not counted, and the stretch mute is rounded down.

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
    su = mode == "su"
    half = _half_window(window_ms, gather.sampling.interval_s)
    offset = np.abs(gather.headers["offset"]).astype(np.float64)[:, None]
    return np.stack(
        [
            _ratio(*_flattened(gather, offset / v, max_stretch_percent, su), half, half if su else half + 1)[::step]
            for v in velocities
        ]
    )


def _half_window(window_ms: float, interval_s: float) -> int:
    return int(window_ms / 1000 / interval_s / 2 + 1e-6)


def _flattened(gather: Gather, delay: np.ndarray, stretch: float, su: bool) -> tuple[np.ndarray, np.ndarray]:
    """Traces after NMO and which of their samples count; `delay` is x/v in seconds, ``(n_traces, 1)``."""
    sampling = gather.sampling
    first, end = gather.live_window
    t0 = sampling.times()
    position = (np.sqrt(t0**2 + delay**2) - sampling.start_s) / sampling.interval_s
    # t0/t, which is dt/dt0 where v is constant, reaches its limit here:
    mute_s = delay / np.sqrt(max((1 + stretch / 100) ** 2 - 1, 1e-12))
    top = (mute_s - sampling.start_s) / sampling.interval_s
    top = np.floor(top) if su else np.maximum(top, -sampling.start_s / sampling.interval_s) - 1e-6
    live = (position >= first[:, None] - 1e-6) & (position <= end[:, None] - 1 + 1e-6) & (np.arange(len(t0)) >= top)
    low = np.clip(position.astype(np.int64), 0, len(t0) - 1)
    high = np.minimum(low + 1, np.maximum(end - 1, 0)[:, None])
    part = position - low
    values = np.take_along_axis(gather.traces, low, 1) * (1 - part) + np.take_along_axis(gather.traces, high, 1) * part
    values = np.where(live, values, 0.0)
    return values, live & (values != 0) if su else live


def _ratio(values: np.ndarray, live: np.ndarray, before: int, after: int) -> np.ndarray:
    """Semblance over windows ``[i - before, i + after)``; values are 0 where not live."""
    n = values.shape[1]
    box = np.ones(max(1, before + after))

    def windowed(terms: np.ndarray) -> np.ndarray:
        total: np.ndarray = np.convolve(terms, box)
        return total[max(after, 1) - 1 :][:n]

    coherent = windowed(values.sum(axis=0) ** 2)
    power = windowed(live.sum(axis=0) * (values**2).sum(axis=0))
    ratio = np.zeros(n)
    np.divide(coherent, power, out=ratio, where=power > 0)
    return ratio
