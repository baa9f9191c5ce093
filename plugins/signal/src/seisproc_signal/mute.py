"""Mutes: they zero samples and write the live windows that later steps honour."""

from __future__ import annotations

from typing import Literal

import numpy as np

from seisproc_core.data.gather import Gather, Layout, mute_outside
from seisproc_core.data.sampling import Sampling
from seisproc_core.data.tables import Table
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_signal import claims
from seisproc_signal.windows import Curves, key_of, key_problem, nearest_sample, scale_samples, with_live_words

KEYS = (
    "cdp", "field_record", "source_station", "inline", "crossline", "channel", "cdp_trace", "shotpoint",
    "trace_sequence_line", "trace_sequence_file",
)  # fmt: skip


@processor("mute", scope="trace", claims=claims.MUTE)
class Mute(Processor):
    """Top or bottom mute along a curve of time over offset.

    The curve is a table, linear between its offsets and constant beyond them, or the line t = time_ms + |offset| /
    velocity_m_per_s. A top mute zeroes the samples before t, a bottom mute those from t on; t is rounded to the nearest
    sample and counts from the source. A taper sin^2((k + 1) pi / 2n) over n samples lies inside
    the part that stays. Offsets count by magnitude unless ``signed``. A table keyed by a header word is linear in
    that word between its values, constant beyond. ``extrapolation = "su"``: left of the first offset nothing
    is muted from the top, all from the bottom, as Seismic Unix `sumute` does.

    The live window shrinks accordingly: gains, balances and stacks leave muted samples out, filters are followed by
    the same mute. Muting twice tapers twice.

    Not the tool against noise inside the record: see `surgical_mute`.

    Source: Yilmaz, Seismic Data Analysis (SEG, 2001), section 3.1, on muting stretch; `sumute` of Seismic Unix, modes 0
    and 1.
    """

    where: Literal["top", "bottom"] = param("top", help="Which end of the trace is muted.")
    table: Table | None = param(None, help="Mute time over offset.", columns=("offset_m", "time_ms"), keys=KEYS)
    velocity_m_per_s: float | None = param(None, help="Mute along a line of this velocity.", unit="m/s", above=0)
    time_ms: float = param(0.0, help="Time of that line at offset 0.", unit="ms")
    taper_ms: float = param(0.0, help="Length of the taper.", unit="ms", minimum=0)
    signed: bool = param(False, help="Use offsets with their sign.")
    extrapolation: Literal["constant", "su"] = param("constant", help="The curve left of the first offset.")

    def check(self, layout: Layout) -> None:
        if (self.table is None) == (self.velocity_m_per_s is None):
            raise self.bad("table", "or 'velocity_m_per_s' must be given, and only one of them")
        if self.table is not None and (problem := key_problem(self.table, KEYS, "offset_m")):
            raise self.bad("table", problem)
        self._times(layout)

    def plan(self, layout: Layout) -> Layout:
        return with_live_words(layout)

    def apply(self, batch: Gather, context: Context) -> Gather:
        first, end = batch.live_window
        ramp = _ramp(self.taper_ms, batch.sampling)
        edge = _sample_of(self._times(batch), batch.sampling)
        out = context.empty(batch.traces.shape)
        np.copyto(out, batch.traces)
        if self.where == "top":
            scale_samples(out, edge, ramp)
            first = np.maximum(first, edge)
        else:
            scale_samples(out, edge - len(ramp), ramp[::-1])
            end = np.minimum(end, edge)
        first = np.minimum(first, batch.n_samples)
        end = np.maximum(end, first)
        mute_outside(out, first, end)
        return batch.with_live_window(out, first, end)

    def _times(self, layout: Layout) -> np.ndarray:
        """Mute time of every trace, float64 ``(n_traces,)``, s."""
        offset = layout.headers["offset"].astype(np.float64)
        if not self.signed:
            offset = np.abs(offset)
        if self.velocity_m_per_s is not None:
            return self.time_ms / 1000 + np.abs(offset) / self.velocity_m_per_s
        assert self.table is not None
        left = None if self.extrapolation == "constant" else 1000 * layout.sampling.start_s
        return _picked(self.table, layout, offset, left)


def _picked(table: Table, layout: Layout, offset: np.ndarray, left: float | None = None) -> np.ndarray:
    """Time of a table of curves for every trace, float64 ``(n_traces,)``, s; `left` of the first offset, ms."""
    key = key_of(table, KEYS)
    at = layout.headers[key] if key else np.zeros(len(offset))
    curves = Curves.of(table, key, lambda part: np.interp(offset, part["offset_m"], part["time_ms"], left=left))
    return curves.own_point(at) / 1000


@processor("surgical_mute", scope="trace", claims=claims.SURGICAL_MUTE)
class SurgicalMute(Processor):
    """Zero a zone along a line, a hyperbola or picked times: ground roll, air wave, a multiple.

    The zone is centred on t = time_ms + |offset| / velocity (``linear``) or sqrt(time_ms^2 + (offset / velocity)^2)
    (``hyperbolic``), times from the source, or on the times of a `table` that was picked, as in `mute`: linear between
    its offsets and the values of its key, constant beyond. It has w samples, the nearest whole number to its width,
    beginning w // 2 before the centre. Tapers sin^2((k + 1) pi / 2n) over n samples grow away from it on both sides.

    ``mode = "su"`` reproduces modes 2 and 3 of Seismic Unix `sumute`: of an odd zone one sample less is zeroed, and the
    upper taper begins one sample inside the zone.

    The live window stays: the zone lies inside it, so that gains and stacks still count its zeros.

    Not for a first-break mute: use `mute`. Not where reflections cross the zone and are wanted: `fk_filter`,
    `slant_median` or `adaptive_subtract` spare them.

    Source: `sumute` of Seismic Unix, modes 2 (linear) and 3 (hyperbolic).
    """

    velocity_m_per_s: float | None = param(None, help="Apparent velocity of the event.", unit="m/s", above=0)
    time_ms: float = param(0.0, help="Time of the event at offset 0.", unit="ms")
    table: Table | None = param(
        None, help="Time of the event over absolute offset.", columns=("offset_m", "time_ms"), keys=KEYS
    )
    shape: Literal["linear", "hyperbolic"] = param("linear", help="Curve along which to mute.")
    width: Table = param(help="Length of the zone over absolute offset.", columns=("offset_m", "width_ms"))
    taper_ms: float = param(0.0, help="Length of the taper on each side.", unit="ms", minimum=0)
    mode: Literal["centred", "su"] = param("centred", help="Equal tapers on both sides, or as Seismic Unix.")

    def check(self, layout: Layout) -> None:
        if (self.table is None) == (self.velocity_m_per_s is None):
            raise self.bad("table", "or 'velocity_m_per_s' must be given, and only one of them")
        if self.table is not None and (problem := key_problem(self.table, KEYS, "offset_m")):
            raise self.bad("table", problem)
        if problem := key_problem(self.width, (), "offset_m"):
            raise self.bad("width", problem)
        if np.any(self.width["width_ms"] < 0):
            raise self.bad("width", "needs widths of at least 0 ms")
        self._centre(layout)

    def _centre(self, layout: Layout) -> np.ndarray:
        """Time of the event on every trace, float64 ``(n_traces,)``, s."""
        offset = np.abs(layout.headers["offset"].astype(np.float64))
        if self.velocity_m_per_s is None:
            assert self.table is not None
            return _picked(self.table, layout, offset)
        at_zero, delay = self.time_ms / 1000, offset / self.velocity_m_per_s
        along: np.ndarray = at_zero + delay if self.shape == "linear" else np.hypot(at_zero, delay)
        return along

    def apply(self, batch: Gather, context: Context) -> Gather:
        offset, time = np.abs(batch.headers["offset"].astype(np.float64)), self._centre(batch)
        width = np.interp(offset, self.width["offset_m"], self.width["width_ms"]) / 1000 / batch.sampling.interval_s
        length = nearest_sample(width)
        start = _sample_of(time, batch.sampling) - length // 2
        ramp = _ramp(self.taper_ms, batch.sampling)
        inside = 0
        if self.mode == "su":
            length, inside = length // 2 * 2, 1
        out = context.empty(batch.traces.shape)
        np.copyto(out, batch.traces)
        scale_samples(out, start - len(ramp) + inside, ramp[::-1])
        scale_samples(out, start + length, ramp)
        sample = np.arange(batch.n_samples)
        out[(sample >= start[:, None]) & (sample < (start + length)[:, None])] = 0
        mute_outside(out, *batch.live_window)
        return batch.with_traces(out)


def _sample_of(times: np.ndarray, sampling: Sampling) -> np.ndarray:
    """Sample nearest to each time in seconds since the source, int64; may lie outside the trace."""
    return nearest_sample((times - sampling.start_s) / sampling.interval_s)


def _ramp(taper_ms: float, sampling: Sampling) -> np.ndarray:
    """Rising sin^2 taper that ends in 1, float32."""
    count = int(nearest_sample(np.array(taper_ms / 1000 / sampling.interval_s)))
    return (np.sin(np.pi / 2 * np.arange(1, count + 1) / max(count, 1)) ** 2).astype(np.float32)
