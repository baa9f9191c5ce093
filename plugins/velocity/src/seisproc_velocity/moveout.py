"""The arithmetic of normal moveout, and its reference kernel in NumPy."""

from __future__ import annotations

import attrs
import numpy as np

from seisproc_core.errors import Cancelled
from seisproc_velocity.sinc import PHASES, TAPS

PAD = 8  # zeros around a trace, so that operators need no test for its ends
EDGE = 1e-6  # samples: what rounding may cost at the ends of a live window


@attrs.frozen(kw_only=True, eq=False)
class Moveout:
    """What all traces of an NMO share.

    Attributes
    ----------
    slowness_squared
        ``1/v^2`` at one sample before the first, every sample, and one after the last: float64
        ``(n_functions, n_samples + 2)``, s^2/m^2.
    eta
        Anellipticity at the same places and times, of the same shape; no rows where all is isotropic.
    start_s, interval_s
        The sample axis.
    weights
        Interpolation operators, float32 ``(513, 8)``.
    lowest_rate
        Samples with ``dt/dt0`` below this are stretched too much.
    scan_up
        Look for the mute from the bottom of the trace instead of the top.
    ramp
        Length of the linear taper under the mute, samples.
    scale
        Multiply by ``dt/dt0`` (divide, for the inverse).
    inverse
        Undo NMO instead of applying it.
    su
        Seismic Unix's differences: stretch as a backward difference, a ramp on every trace, operators that reach
        outside the trace.
    """

    slowness_squared: np.ndarray
    eta: np.ndarray
    start_s: float
    interval_s: float
    weights: np.ndarray
    lowest_rate: float
    scan_up: bool
    ramp: int
    scale: bool
    inverse: bool
    su: bool


def path(moveout: Moveout, function: int, offset: float) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Where the samples of an output trace come from.

    Returns
    -------
    position
        Sample of the input (with fraction), float64 ``(n_samples,)``; of no meaning outside ``begin:end``.
    gain
        What the interpolated sample is multiplied with, float32 ``(n_samples,)``.
    begin, end
        Output samples allowed by the stretch mute.
    """
    delay = _delay_squared(moveout, function, offset)
    n = len(delay) - 2
    dt = moveout.interval_s
    t0 = moveout.start_s + np.arange(n) * dt
    t = np.sqrt(t0 * t0 + delay[1:-1])
    if moveout.su:
        rate = np.diff(t, prepend=2 * t[0] - t[1] if n > 1 else t[0] - dt) / dt
    else:
        half_gradient = (delay[2:] - delay[:-2]) / (4 * dt)
        rate = np.divide(t0 + half_gradient, t, out=np.ones(n), where=t > 0)
    source = min(n, int(np.sum(t0 < -EDGE * dt)))
    begin = _mute(rate, source, moveout)
    position = (t - moveout.start_s) / dt
    gain = rate if moveout.scale else np.ones(n)
    if moveout.inverse:
        return _inverse(position, rate, begin, moveout)
    if moveout.ramp > 1 and (moveout.su or begin > source):
        length = min(moveout.ramp, n - begin)
        gain[begin : begin + length] *= np.arange(1, length + 1) / moveout.ramp
    return position, gain.astype(np.float32), begin, n


def _delay_squared(moveout: Moveout, function: int, offset: float) -> np.ndarray:
    """``t^2 - t0^2`` at one sample before the first, every sample, and one after the last, s^2."""
    hyperbola: np.ndarray = offset * offset * moveout.slowness_squared[function]
    if not len(moveout.eta):
        return hyperbola
    eta = moveout.eta[function]
    t0 = moveout.start_s + np.arange(-1, len(eta) - 1) * moveout.interval_s
    far = t0 * t0 + (1 + 2 * eta) * hyperbola
    nearer: np.ndarray = hyperbola - np.divide(2 * eta * hyperbola**2, far, out=np.zeros(len(eta)), where=far > 0)
    return nearer


def _mute(rate: np.ndarray, source: int, moveout: Moveout) -> int:
    """First sample that survives the stretch mute."""
    passes = rate[source:] >= moveout.lowest_rate
    if moveout.scan_up:
        deepest = int(np.max(np.flatnonzero(~passes), initial=-1))
        return source + max(0, deepest if moveout.su else deepest + 1)
    return source + int(np.argmax(passes)) if passes.any() else len(rate)


def _inverse(
    position: np.ndarray, rate: np.ndarray, begin: int, moveout: Moveout
) -> tuple[np.ndarray, np.ndarray, int, int]:
    """`path` with input and output exchanged: the table of positions inverted by linear interpolation."""
    n = len(position)
    falling = np.flatnonzero(np.diff(position) <= 0)
    top = max(begin, int(falling[-1]) + 1 if falling.size else 0)  # from here on the table can be inverted
    if top >= n:
        return position, np.ones(n, np.float32), n, n
    begin = min(n, int(np.ceil(position[top] - EDGE)))
    end = max(begin, min(n, int(np.floor(position[-1] + EDGE)) + 1))
    undone = np.interp(np.arange(n), position[top:], np.arange(top, n))
    gain = np.ones(n)
    if moveout.scale and moveout.su:
        gain = np.diff(undone, prepend=0.0)
        gain[begin : begin + 1] = gain[begin + 1] if begin + 1 < end else 1.0
    elif moveout.scale:
        gain[begin:end] = 1.0 / np.interp(undone[begin:end], np.arange(n), rate)
    return undone, gain.astype(np.float32), begin, end


def nmo(
    traces: np.ndarray,
    first: np.ndarray,
    end: np.ndarray,
    offset: np.ndarray,
    function: np.ndarray,
    moveout: Moveout,
    out: np.ndarray,
    flag: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Apply or undo NMO.

    Parameters
    ----------
    traces, out
        Input and output, float32 ``(n_traces, n_samples)``; every sample of `out` is written.
    first, end
        Live window of each input trace, samples; nothing outside it is used.
    offset
        Metres, not negative, float64 ``(n_traces,)``.
    function
        Row of ``moveout.slowness_squared`` for each trace, int64.
    flag
        Not 0 means stop.

    Returns
    -------
    new_first, new_end
        Live windows of the output, int64 ``(n_traces,)``: samples that lie in the input's window and survive the
        stretch mute. Everything outside is zero.

    Raises
    ------
    Cancelled
        `flag` was raised.
    """
    n_traces, n = traces.shape
    new_first, new_end = np.zeros(n_traces, np.int64), np.zeros(n_traces, np.int64)
    margin = TAPS // 2 if moveout.su else EDGE
    padded = np.zeros(n + 2 * PAD)
    near = np.arange(TAPS) - (TAPS // 2 - 1) + PAD
    out[:] = 0
    for i in range(n_traces):
        if flag[0]:
            raise Cancelled
        if end[i] <= first[i]:
            continue
        position, gain, begin, stop = path(moveout, int(function[i]), float(offset[i]))
        inside = (position >= first[i] - margin) & (position <= end[i] - 1 + margin)
        inside[:begin] = inside[stop:] = False
        if not inside.any():
            continue
        begin, stop = int(np.argmax(inside)), n - int(np.argmax(inside[::-1]))
        padded[PAD:-PAD] = 0
        padded[PAD + first[i] : PAD + end[i]] = traces[i, first[i] : end[i]]
        place = np.clip(position[begin:stop], -5, n + 3)
        sample = np.floor(place).astype(np.int64)
        phase = ((place - sample) * PHASES + 0.5).astype(np.int64)
        values = np.einsum("ij,ij->i", padded[sample[:, None] + near], moveout.weights[phase])
        out[i, begin:stop] = values * gain[begin:stop]
        new_first[i], new_end[i] = begin, stop
    return new_first, new_end
