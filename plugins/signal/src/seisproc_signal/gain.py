"""Gains that follow a formula, trace balancing, and spherical divergence."""

from __future__ import annotations

from typing import Literal

import numpy as np

from seisproc_core.data.gather import Gather, Layout, mute_outside
from seisproc_core.data.tables import Table
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_signal import claims
from seisproc_signal.windows import Curves, energy, key_of, key_problem, source_times

KEYS = ("cdp", "field_record", "inline", "crossline")

ROWS = 256  # traces balanced at a time: they stay in cache between measuring and scaling


@processor("gain", scope="trace", claims=claims.GAIN)
class Gain(Processor):
    """Gain by a formula, the same for all traces: constant, time power, exponential, amplitude power, clip.

    In this order: y = x + bias; y *= t^t_power; y *= exp(exponential_per_s t^exponential_power);
    y = sign(y) |y|^power; samples beyond `trap` become 0; samples are limited to +-clip, from above to
    `clip_above`, from below to `clip_below`, then to the quantile `clip_quantile` of the live |y| of their trace; y *=
    scale. t is the time since the source in seconds, whatever the recording delay. With a t_power, samples at or
    before the source time become 0. With `reduction_m_per_s` the time of t_power is t + |offset| / velocity, as of data
    shown in reduced time.

    Not a correction of amplitudes by physics: for geometrical spreading with known velocities use `spreading`.

    Source: Claerbout, Imaging the Earth's Interior (Blackwell, 1985), section 1.4, on t-power gain and its balance.
    """

    scale: float = param(1.0, help="Factor applied last.")
    bias: float = param(0.0, help="Value added first.")
    t_power: float = param(0.0, help="Exponent of time since the source, in seconds.")
    reduction_m_per_s: float | None = param(
        None, help="Velocity of reduced time: t_power counts from |offset| / velocity before.", unit="m/s", above=0
    )
    exponential_per_s: float = param(0.0, help="Rate of the exponential gain.", unit="1/s")
    exponential_power: float = param(1.0, help="Exponent of time inside the exponential.", above=0)
    power: float = param(1.0, help="Exponent of the absolute amplitude; the sign stays.", above=0)
    trap: float | None = param(None, help="Samples larger than this become 0.", above=0)
    clip: float | None = param(None, help="Limit of the absolute amplitude.", above=0)
    clip_above: float | None = param(None, help="Largest value of a sample, as for peaks alone.")
    clip_below: float | None = param(None, help="Smallest value of a sample, as for troughs alone.")
    clip_quantile: float | None = param(
        None, help="Limit of the absolute amplitude as a quantile of the trace's live samples.", above=0, maximum=1
    )

    def check(self, layout: Layout) -> None:
        if self.reduction_m_per_s is not None:
            layout.headers["offset"]

    def apply(self, batch: Gather, context: Context) -> Gather:
        first, end = batch.live_window
        out = context.empty(batch.traces.shape)
        np.multiply(batch.traces + np.float32(self.bias) if self.bias else batch.traces, self._by_time(batch), out=out)
        mute_outside(out, first, end)
        if self.power != 1:
            np.copysign(np.abs(out) ** np.float32(self.power), out, out=out)
        if self.trap is not None:
            out[np.abs(out) > self.trap] = 0
        if self.clip is not None:
            np.clip(out, -self.clip, self.clip, out=out)
        if self.clip_above is not None or self.clip_below is not None:
            np.clip(out, self.clip_below, self.clip_above, out=out)
            mute_outside(out, first, end)  # 0 may lie beyond a limit
        if self.clip_quantile is not None:
            limit = _quantile(out, first, end, self.clip_quantile, context)[:, None]
            np.clip(out, -limit, limit, out=out)
        if self.scale != 1:
            out *= np.float32(self.scale)
        return batch.with_traces(out)

    def _by_time(self, layout: Layout) -> np.ndarray:
        """Factor of every sample, float32 ``(n_samples,)``, or ``(n_traces, n_samples)`` in reduced time."""
        times = source_times(layout.sampling)
        factor: np.ndarray = np.exp(
            self.exponential_per_s * np.copysign(np.abs(times) ** self.exponential_power, times)
        )
        if self.t_power:
            if self.reduction_m_per_s is not None:
                times = times + np.abs(layout.headers["offset"].astype(np.float64))[:, None] / self.reduction_m_per_s
            factor = factor * np.where(times > 0, np.where(times > 0, times, 1) ** self.t_power, 0)
        return factor.astype(np.float32)


@processor("trace_balance", scope="trace", claims=claims.TRACE_BALANCE)
class TraceBalance(Processor):
    """Bring every trace to the same level, or to zero mean, from its live samples.

    ``rms``: y = level x / sqrt(mean x^2). ``max``: y = level x / max |x|. ``quantile``: y = level x / q, q the
    quantile of |x|, and larger samples are limited to +-level. ``mean``: y = x - mean x. Traces without energy
    stay as they are.

    Not before amplitude work: it removes differences between traces that may be geology.

    Source: Yilmaz, Seismic Data Analysis (SEG, 2001), section 1.4, "trace balancing".
    """

    kind: Literal["rms", "max", "quantile", "mean"] = param("rms", help="What is made equal.")
    level: float = param(1.0, help="Level that rms, maximum or quantile is brought to.", above=0)
    quantile: float = param(0.99, help="For kind quantile: which one, 1 is the maximum.", above=0, maximum=1)

    def apply(self, batch: Gather, context: Context) -> Gather:
        first, end = batch.live_window
        out = context.empty(batch.traces.shape)
        for row in range(0, batch.n_traces, ROWS):
            context.check()
            rows = slice(row, row + ROWS)
            if self.kind == "rms":  # measured without a copy
                rms = np.sqrt(energy(batch.traces[rows], first[rows], end[rows]) / np.maximum(end - first, 1)[rows])
                np.multiply(batch.traces[rows], self._factor(rms), out=out[rows])
                continue
            np.copyto(out[rows], batch.traces[rows])
            self._balance(out[rows], first[rows], end[rows], context)
        mute_outside(out, first, end)
        return batch.with_traces(out)

    def _factor(self, measured: np.ndarray) -> np.ndarray:
        factor: np.ndarray = np.divide(self.level, measured, out=np.ones(len(measured)), where=measured > 0)
        return factor.astype(np.float32)[:, None]

    def _balance(self, out: np.ndarray, first: np.ndarray, end: np.ndarray, context: Context) -> None:
        """Balance some traces in place."""
        mute_outside(out, first, end)
        if self.kind == "mean":
            out -= (out.sum(axis=1, dtype=np.float64) / np.maximum(end - first, 1)).astype(np.float32)[:, None]
            return
        if self.kind == "max":
            measured = np.maximum(out.max(axis=1), -out.min(axis=1))
        else:
            measured = _quantile(out, first, end, self.quantile, context)
        out *= self._factor(measured)
        if self.kind == "quantile":
            np.clip(out, -self.level, self.level, out=out, where=(measured > 0)[:, None])


@processor("spreading", scope="trace", claims=claims.SPREADING)
class Spreading(Processor):
    """Compensate spherical divergence: y(t) = x(t) t (v(t) / v0)^2.

    v(t) is the rms velocity of the table, linear between its times and constant outside, v0 the velocity near the
    surface: Newman's divergence t v(t)^2 / v0 for offset 0 in a layered earth, divided by v0. A table keyed by a header
    word is linear in that word between its values, constant beyond. Without a velocity the factor is t alone, right
    for a uniform earth. t is seconds since the source; samples at or before it become 0.

    Not after AGC, and not on data that had a t-power gain for the same purpose.

    Source: Newman, Divergence effects in a layered earth, Geophysics 38 (1973), 481-488.
    """

    velocity: Table | None = param(
        None, help="Rms velocity over two-way time.", columns=("time_ms", "rms_m_per_s"), keys=KEYS
    )
    v0_m_per_s: float | None = param(
        None, help="Velocity near the surface; the first of the table when left out.", unit="m/s", above=0
    )

    def check(self, layout: Layout) -> None:
        if self.velocity is None:
            return
        problem = key_problem(self.velocity, KEYS, "time_ms")
        if problem is None and np.any(self.velocity["rms_m_per_s"] <= 0):
            problem = "needs velocities above 0"
        if problem:
            raise self.bad("velocity", problem)
        if key := key_of(self.velocity, KEYS):
            layout.headers[key]

    def apply(self, batch: Gather, context: Context) -> Gather:
        first, end = batch.live_window
        times = np.maximum(source_times(batch.sampling), 0)
        factor, row = np.ones((1, len(times))), np.zeros(batch.n_traces, np.int64)
        if self.velocity is not None:
            key = key_of(self.velocity, KEYS)
            at, row = np.unique(batch.headers[key], return_inverse=True) if key else (np.zeros(1), row)
            factor = Curves.of(self.velocity, key, lambda part: self._squared(part, times)).whole(at)
        out = context.empty(batch.traces.shape)
        curves = (factor * times).astype(np.float32)
        np.multiply(batch.traces, curves[0] if len(curves) == 1 else curves[row], out=out)
        mute_outside(out, first, end)
        return batch.with_traces(out)

    def _squared(self, part: Table, times: np.ndarray) -> np.ndarray:
        """Squared velocity over that at the surface, float64 ``(n_samples,)``."""
        velocity = np.interp(times, part["time_ms"] / 1000, part["rms_m_per_s"])
        ratio: np.ndarray = velocity / (self.v0_m_per_s or part["rms_m_per_s"][0])
        return ratio**2


def _quantile(traces: np.ndarray, first: np.ndarray, end: np.ndarray, quantile: float, context: Context) -> np.ndarray:
    """The quantile of the absolute live samples of each trace, float64 ``(n_traces,)``; 0 for dead traces.

    Of n samples it is number int(quantile n - 0.5), counted from 0 in ascending order.
    """
    found = np.zeros(len(traces))
    for row, (start, stop) in enumerate(zip(first, end, strict=True)):
        if row % 256 == 0:
            context.check()
        if stop > start:
            rank = max(int(quantile * (stop - start) - 0.5), 0)
            found[row] = np.partition(np.abs(traces[row, start:stop]), rank)[rank]
    return found
