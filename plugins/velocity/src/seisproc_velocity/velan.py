"""Processors of velocity analysis: panels of semblance and of constant-velocity stacks."""

from __future__ import annotations

from typing import Literal

import attrs
import numpy as np

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.data.headers import Headers
from seisproc_core.data.sampling import Sampling
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_velocity import claims
from seisproc_velocity.moveout import Moveout
from seisproc_velocity.semblance import Measure, trial
from seisproc_velocity.sinc import operators

VELOCITY = "velocity_m_per_s"  # header word of the rows of a panel
MOST_VELOCITIES = 1000


@attrs.frozen(kw_only=True)
class _Panels(Processor):
    """What panels over trial velocities share: the velocities, and one row of each gather per velocity."""

    # `param` declares a field, it makes no value.
    first_m_per_s: float = param(help="lowest trial velocity", unit="m/s", above=0)
    last_m_per_s: float = param(help="highest trial velocity", unit="m/s", above=0)
    step_m_per_s: float = param(help="from one trial velocity to the next", unit="m/s", above=0)

    @property
    def velocities(self) -> np.ndarray:
        """Trial velocities, m/s."""
        count = int(np.floor((self.last_m_per_s - self.first_m_per_s) / self.step_m_per_s + 1e-9)) + 1
        return self.first_m_per_s + self.step_m_per_s * np.arange(count)

    def check(self, layout: Layout) -> None:
        if self.last_m_per_s < self.first_m_per_s:
            raise self.bad("last_m_per_s", f"must be at least first_m_per_s = {self.first_m_per_s:g} m/s")
        if (self.last_m_per_s - self.first_m_per_s) / self.step_m_per_s >= MOST_VELOCITIES:
            raise self.bad("step_m_per_s", f"gives more than {MOST_VELOCITIES} velocities: take a larger one")
        layout.headers.column("offset")
        if layout.sampling.domain != "time":
            raise self.bad("first_m_per_s", f"needs traces in time, these are in {layout.sampling.domain}")

    def _panels(self, layout: Layout, sampling: Sampling) -> Layout:
        """A row per velocity of every non-empty gather, all samples live."""
        combined = layout.headers.combine(layout.gather_starts)
        velocities = self.velocities
        headers = combined.take(np.repeat(np.arange(combined.count), len(velocities)))
        made = {VELOCITY: np.tile(velocities, combined.count)}
        if "offset" in headers:
            made["offset"] = np.zeros(headers.count, headers.dtype("offset"))
        headers = headers.with_columns(**made)
        headers = headers.with_live_window(np.zeros(headers.count), np.full(headers.count, sampling.count))
        rows = np.where(np.diff(layout.gather_starts) > 0, len(velocities), 0)
        starts = np.append(0, np.cumsum(rows))
        return Layout(headers=headers, sampling=sampling, gather_starts=starts)


@processor("semblance", scope="gather", kernels=("semblance",), claims=claims.SEMBLANCE)
class Semblance(_Panels):
    """Velocity spectra: how coherent each gather is along hyperbolas of trial velocities.

    Every gather becomes a panel with one row per velocity, the header word ``velocity_m_per_s`` telling which. At
    each zero-offset time t0, over the traces j whose sample at ``t = sqrt(t0^2 + x_j^2 / v^2)`` is live and not
    stretched more than the mute allows, n of them with values a_j, and a window w of ``window_ms`` centred on t0:

    - ``semblance``: ``sum_w (sum_j a_j)^2 / sum_w n sum_j a_j^2`` , 1 for
      equal traces, about 1/n for noise.
    - ``ab``: ``a_j = A + B sin^2(theta_j)`` is fitted at each time, and coherent is what the fit explains; for
      reflections that change their sign with offset. theta is
      that of straight rays, ``sin^2 = x^2 / (x^2 + v^2 t0^2)``. Its peaks are wider and noise scores about 2/n.
    - ``stack_power``: ``mean_w (sum_j a_j / n)^2``: keeps amplitudes, so that strong reflections stand out.

    Times with less than ``least_traces`` give 0: one trace alone would be perfectly coherent. Samples between two live
    samples are interpolated linearly. Balance traces first (agc), mute noise: semblance weighs traces by their energy.

    Not for data with dips that vary inside a gather, or with residual statics. Not ``semblance`` where reflections
    change their sign with offset.

    Sources: Taner and Koehler, Geophysics 34 (1969), 859-881; Neidell and Taner, Semblance and other coherency measures
    for multichannel data, Geophysics 36 (1971), 482-497; Sarkar, Castagna and Lamb, Geophysics 66 (2001), 1284-1293.
    """

    window_ms: float = param(40.0, help="length of the window", unit="ms", minimum=0)
    every: int = param(1, help="every how many-th time sample becomes an output", minimum=1, maximum=1000)
    max_stretch_percent: float = param(50.0, help="leave out samples stretched more than this", unit="%", minimum=0)
    least_traces: int = param(5, help="leave out times with fewer live traces", minimum=1)
    measure: Measure = param("semblance", help="what is measured along the hyperbolas")
    power: float = param(1.0, help="exponent of the result: above 1 sharpens peaks", above=0)
    mode: Literal["default", "su"] = param(
        "default",
        help="su: as suvelan of Seismic Unix: windows lack their last sample, zeros do not count, mute rounded down, "
        "one trace is enough",
    )

    def plan(self, layout: Layout) -> Layout:
        given = layout.sampling
        sampling = Sampling(given.start_s, given.interval_s * self.every, -(-given.count // self.every))
        return self._panels(layout, sampling)

    def apply(self, batch: Gather, context: Context) -> Gather:
        planned = self.plan(batch.layout)
        out = context.empty((planned.n_traces, planned.n_samples))
        sampling = batch.sampling
        options = trial(
            self.velocities, sampling.start_s, sampling.interval_s, window_ms=self.window_ms, every=self.every,
            max_stretch_percent=self.max_stretch_percent, least_traces=self.least_traces, measure=self.measure,
            su=self.mode == "su",
        )  # fmt: skip
        first, end = batch.live_window
        offset = np.abs(batch.headers["offset"]).astype(np.float64)
        context.kernel("semblance")(batch.traces, first, end, offset, batch.gather_starts, options, out, context.flag)
        if self.power != 1:
            np.power(out, np.float32(self.power), out=out)
        return Gather(
            headers=planned.headers, sampling=planned.sampling, gather_starts=planned.gather_starts, traces=out
        )


@processor("velocity_stacks", scope="gather", kernels=("nmo", "stack"), claims=claims.VELOCITY_STACKS)
class VelocityStacks(_Panels):
    """Constant-velocity stacks: every gather stacked after NMO with each of many velocities.

    Every gather becomes a panel with one row per velocity, the header word ``velocity_m_per_s`` telling which: a row
    is what `nmo` with that constant velocity and `stack` (mean of live samples) give. Sorted by velocity and CDP
    (``use = "sort"``, ``gather = ["velocity_m_per_s"]``, ``sort = ["cdp"]``) the panels of neighbouring CDPs
    are sections to pick velocities from, by the continuity of reflections instead of their coherence over offsets.

    Row k is s_k(t0) = mean over live x of d(x, sqrt(t0^2 + x^2 / v_k^2)).

    Not on whole surveys: the output has as many traces per gather as there are velocities. Choose a few CDPs first
    (`select`). Not where velocity grows fast with depth and events are wanted at their full strength: no constant
    velocity flattens a long offset range then.

    Source: Yilmaz, Seismic Data Analysis (SEG, 2001), section 3.2, on constant-velocity stacks.
    """

    max_stretch_percent: float = param(50.0, help="mute samples stretched more than this", unit="%", minimum=0)
    taper_ms: float = param(20.0, help="linear taper under the stretch mute", unit="ms", minimum=0)

    def plan(self, layout: Layout) -> Layout:
        panels = self._panels(layout, layout.sampling)
        none = np.zeros(panels.n_traces, np.int64)
        return attrs.evolve(panels, headers=_folded(panels.headers, none, none, none))

    def apply(self, batch: Gather, context: Context) -> Gather:
        panels = self._panels(batch.layout, batch.sampling)
        velocities, count = self.velocities, int(np.count_nonzero(np.diff(batch.gather_starts)))
        shape = (count, len(velocities), batch.n_samples)
        out, flat = context.empty(shape), context.empty(batch.traces.shape)
        windows = np.zeros((3, count, len(velocities)), np.int64)
        offset = np.abs(batch.headers["offset"]).astype(np.float64)
        moveout, weight = self._moveout(batch.sampling), np.ones(batch.n_traces)
        for number in range(len(velocities)):
            function = np.full(batch.n_traces, number)
            first, end = context.kernel("nmo")(
                batch.traces, *batch.live_window, offset, function, moveout, flat, context.flag
            )
            one = context.empty((count, batch.n_samples))
            windows[:, :, number] = context.kernel("stack")(
                flat, first, end, weight, batch.gather_starts, 1.0, one, context.flag
            )
            out[:, number] = one
        headers = _folded(panels.headers, *windows.reshape(3, -1))
        traces = out.reshape(-1, batch.n_samples)
        return Gather(headers=headers, sampling=batch.sampling, gather_starts=panels.gather_starts, traces=traces)

    def _moveout(self, sampling: Sampling) -> Moveout:
        rows = np.repeat(self.velocities[:, None] ** -2.0, sampling.count + 2, axis=1)
        return Moveout(
            slowness_squared=rows,
            eta=np.zeros((0, 0)),
            start_s=sampling.start_s,
            interval_s=sampling.interval_s,
            weights=operators(),
            lowest_rate=1.0 / (1.0 + self.max_stretch_percent / 100) - 1e-9,
            scan_up=False,
            ramp=round(self.taper_ms / 1000 / sampling.interval_s),
            scale=False,
            inverse=False,
            su=False,
        )


def _folded(headers: Headers, fold: np.ndarray, first: np.ndarray, end: np.ndarray) -> Headers:
    """Headers with the fold and live windows of stacks."""
    most = np.iinfo(np.int16).max
    return headers.with_columns(fold=np.minimum(fold, most).astype(np.int16)).with_live_window(first, end)
