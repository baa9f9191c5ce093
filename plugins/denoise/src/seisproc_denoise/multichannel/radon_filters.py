"""Processors that separate events by their moveout: multiples by Radon transforms, dips in tau-p."""

from __future__ import annotations

from typing import Literal

import attrs
import numpy as np

from seisproc_core.data.gather import Gather, Layout, mute_outside
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_denoise.multichannel import claims
from seisproc_denoise.multichannel.radon import Radon, moveout, project
from seisproc_denoise.multichannel.windows import live_traces

MAX_CURVES = 2000
LEAST_TRACES = 3  # fewer hold no moveout to tell events apart by
BAND = 0.6  # of Nyquist: highest frequency transformed, unless one is given


@attrs.frozen(eq=False)
class _Split:
    """How a gather is split: the curves of the transform, and the share of each that is modelled."""

    curves: np.ndarray
    share: np.ndarray
    band_hz: tuple[float, float]
    damping: float
    sparse: int


class _RadonFilter(Processor):
    """What the processors here share: the part of each gather that lies on chosen curves is modelled."""

    def split(self, layout: Layout, g: np.ndarray) -> _Split:
        """The transform for traces with these moveouts."""
        raise NotImplementedError

    def moveouts(self, layout: Layout) -> np.ndarray:
        """g of every trace."""
        raise NotImplementedError

    def finish(self, traces: np.ndarray, modelled: np.ndarray) -> np.ndarray:
        """The output from input and modelled part."""
        raise NotImplementedError

    def untouched(self, traces: np.ndarray) -> np.ndarray:
        """The output of gathers that have too few traces."""
        return traces

    def apply(self, batch: Gather, context: Context) -> Gather:
        out = context.empty(batch.traces.shape)
        first, end = batch.live_window
        alive, g = end > first, self.moveouts(batch)
        traces = live_traces(batch)
        out[...] = self.untouched(traces)
        for rows in _same_geometry(batch, alive, g):
            context.check()
            split = self.split(batch, g[rows[0]])
            radon = Radon(g[rows[0]], split.curves, batch.n_samples, batch.sampling.interval_s)
            data = traces[rows]
            modelled = project(radon, data, split.share, split.band_hz, split.damping, split.sparse, context.check)
            out[rows] = self.finish(data, modelled)
        mute_outside(out, first, end)
        return batch.with_traces(out)

    def check_band(self, layout: Layout, low_hz: float, high_hz: float) -> None:
        """Refuse a band that the data cannot hold."""
        nyquist = layout.sampling.nyquist_hz
        if high_hz > nyquist:
            raise self.bad("high_hz", f"must not be above the Nyquist frequency of {nyquist:g} Hz, not {high_hz:g} Hz")
        if low_hz >= high_hz:
            raise self.bad("low_hz", f"must be below high_hz ({high_hz:g} Hz), not {low_hz:g} Hz")


def _same_geometry(batch: Layout, alive: np.ndarray, g: np.ndarray) -> list[np.ndarray]:
    """Live rows of gathers with enough of them, those of the same moveouts together: ``(n_gathers, n_traces)`` each."""
    groups: dict[bytes, list[np.ndarray]] = {}
    for start, stop in zip(batch.gather_starts[:-1], batch.gather_starts[1:], strict=True):
        rows = start + np.flatnonzero(alive[start:stop])
        if len(rows) >= LEAST_TRACES:
            groups.setdefault(g[rows].tobytes(), []).append(rows)
    return [np.array(rows) for rows in groups.values()]


def _curves(low: float, high: float, g: np.ndarray, high_hz: float, count: int | None) -> np.ndarray:
    """Evenly spaced curves, dense enough for the highest frequency over the spread of the gather."""
    spread = float(np.ptp(g)) if len(g) else 0.0
    needed = 1 + int(np.ceil((high - low) * spread * high_hz))
    return np.linspace(low, high, count or max(2, min(needed, MAX_CURVES)))


@processor("radon_demultiple", scope="gather", claims=claims.RADON_DEMULTIPLE)
class RadonDemultiple(_RadonFilter):
    """Multiple attenuation: model what has more moveout than primaries, and subtract it.

    For gathers after NMO with the primaries' velocity, sorted by offset: primaries are flat, multiples curve down as
    t + q g(x). Each frequency is fitted with curves q between `min_ms` and `max_ms`, m = L^H (L L^H + damping I)^-1 d;
    the part with q above `cut_ms` (rising as sin^2 over `taper_ms` from there) is transformed back and subtracted, so
    that what the transform cannot represent stays as it is. ``parabolic``: g = (x / x_ref)^2; ``hyperbolic``, for long
    offsets: g = (sqrt(x^2 + z^2) - z) / (same at x_ref) with the `reference_depth_m` z. q is the moveout in ms at
    x_ref, `reference_offset_m`. With ``sparse_iterations`` the curves are weighted by the amplitude found on them and
    fitted again: sharper, and able to undo spatial aliasing, at many times the cost. Frequencies outside
    [low_hz, high_hz] are left alone.

    Not before NMO, nor where primaries and multiples differ by less than a period of moveout at far offsets: near
    offsets hold no difference, and far stretch zones must be muted. Muted samples count as zero. Gathers with fewer
    than three live traces pass unchanged.

    Source: Hampson, Canadian Journal of Exploration Geophysics 22(1), 1986; hyperbolas: Foster and Mosher, Geophysics
    57(3), 1992; weights: Sacchi and Ulrych, Geophysics 60(4), 1995, one per curve as in Herrmann et al., SEG Expanded
    Abstracts 19 (2000), 1953-1956.
    """

    cut_ms: float = param(help="Moveout at the reference offset from which events are multiples.", unit="ms")
    curve: Literal["parabolic", "hyperbolic"] = param("parabolic", help="Family of curves.")
    min_ms: float = param(-100.0, help="Least moveout of the transform.", unit="ms")
    max_ms: float = param(600.0, help="Largest moveout of the transform.", unit="ms")
    taper_ms: float = param(20.0, help="Width of the taper above the cut.", unit="ms", minimum=0)
    curves: int | None = param(
        None, help="Number of curves; enough for high_hz if left out.", minimum=2, maximum=MAX_CURVES
    )
    reference_offset_m: float = param(help="Offset that moveouts refer to: about the largest.", unit="m", above=0)
    reference_depth_m: float | None = param(None, help="Depth z of hyperbolic curves.", unit="m", above=0)
    low_hz: float = param(0.0, help="Lowest frequency transformed.", unit="Hz", minimum=0)
    high_hz: float | None = param(
        None, help="Highest frequency transformed; 0.6 Nyquist if left out.", unit="Hz", above=0
    )
    damping_percent: float = param(1.0, help="Damping of the least squares.", unit="%", minimum=1e-4, maximum=100)
    sparse_iterations: int = param(0, help="Times the curves are weighted anew.", minimum=0, maximum=20)
    output: Literal["primaries", "multiples"] = param("primaries", help="What the step gives.")

    def check(self, layout: Layout) -> None:
        self.check_band(layout, self.low_hz, self._high_hz(layout))
        if not self.min_ms < self.cut_ms < self.max_ms:
            raise self.bad("cut_ms", f"must lie between min_ms ({self.min_ms:g} ms) and max_ms ({self.max_ms:g} ms)")
        if self.curve == "hyperbolic" and self.reference_depth_m is None:
            raise self.bad("reference_depth_m", "is required for hyperbolic curves")
        layout.headers.column("offset")

    def _high_hz(self, layout: Layout) -> float:
        return BAND * layout.sampling.nyquist_hz if self.high_hz is None else self.high_hz

    def moveouts(self, layout: Layout) -> np.ndarray:
        offset = layout.headers["offset"]
        return moveout(self.curve, offset, self.reference_offset_m, self.reference_depth_m or 0.0)

    def split(self, layout: Layout, g: np.ndarray) -> _Split:
        high_hz = self._high_hz(layout)
        q = _curves(self.min_ms / 1000, self.max_ms / 1000, g, high_hz, self.curves)
        rise = (1000 * q - self.cut_ms) / self.taper_ms if self.taper_ms else (1000 * q > self.cut_ms).astype(float)
        share = np.sin(np.pi / 2 * np.clip(rise, 0, 1)) ** 2
        return _Split(q, share, (self.low_hz, high_hz), self.damping_percent / 100, self.sparse_iterations)

    def finish(self, traces: np.ndarray, modelled: np.ndarray) -> np.ndarray:
        return modelled if self.output == "multiples" else np.subtract(traces, modelled)

    def untouched(self, traces: np.ndarray) -> np.ndarray:
        return np.zeros_like(traces) if self.output == "multiples" else traces


@processor("tau_p_filter", scope="gather", claims=claims.TAU_P_FILTER)
class TauPFilter(_RadonFilter):
    """Pass or reject slopes in the tau-p domain (linear Radon transform), on irregular offsets too.

    Each frequency is fitted with plane waves of slopes p between `min_ms_per_m` and `max_ms_per_m`, m = L^H (L L^H +
    damping I)^-1 d. The part with p inside [low_ms_per_m, high_ms_per_m] (with cos^2 tapers of `taper_ms_per_m`
    outside) is transformed back, and kept (pass) or subtracted (reject). Rejecting leaves alone what the transform
    cannot represent. Slopes are positive where events get later with increasing `position`. Frequencies outside
    [low_hz, high_hz] count as outside the fan.

    Prefer `fk_filter` on regular spacing: it is faster.

    Not with dips outside the range of the transform, which appear at its edges. Gathers with fewer than three live
    traces pass unchanged.

    Source: Yilmaz, Seismic Data Analysis (SEG, 2001), section 6.3; least squares: Thorson and Claerbout, Geophysics
    50(12), 1985; per frequency: Beylkin, IEEE Transactions ASSP 35(2), 1987.
    """

    low_ms_per_m: float = param(help="Least slope of the fan.", unit="ms/m")
    high_ms_per_m: float = param(help="Largest slope of the fan.", unit="ms/m")
    kind: Literal["reject", "pass"] = param("reject", help="What happens to events inside the fan.")
    min_ms_per_m: float = param(help="Least slope of the transform.", unit="ms/m")
    max_ms_per_m: float = param(help="Largest slope of the transform.", unit="ms/m")
    taper_ms_per_m: float = param(0.0, help="Width of the tapers outside the fan.", unit="ms/m", minimum=0)
    slopes: int | None = param(
        None, help="Number of slopes; enough for high_hz if left out.", minimum=2, maximum=MAX_CURVES
    )
    position: str = param("offset", help="Header word with the position along the line, m.")
    low_hz: float = param(0.0, help="Lowest frequency transformed.", unit="Hz", minimum=0)
    high_hz: float | None = param(None, help="Highest frequency transformed; Nyquist if left out.", unit="Hz", above=0)
    damping_percent: float = param(0.1, help="Damping of the least squares.", unit="%", minimum=1e-4, maximum=100)

    def check(self, layout: Layout) -> None:
        self.check_band(layout, self.low_hz, self._high_hz(layout))
        if not self.low_ms_per_m < self.high_ms_per_m:
            raise self.bad("low_ms_per_m", f"must be below high_ms_per_m ({self.high_ms_per_m:g} ms/m)")
        if not self.min_ms_per_m < self.max_ms_per_m:
            raise self.bad("min_ms_per_m", f"must be below max_ms_per_m ({self.max_ms_per_m:g} ms/m)")
        layout.headers.column(self.position)

    def _high_hz(self, layout: Layout) -> float:
        return layout.sampling.nyquist_hz if self.high_hz is None else self.high_hz

    def moveouts(self, layout: Layout) -> np.ndarray:
        # Counted from the first trace of each gather: large coordinates would only add delay.
        position = np.asarray(layout.headers[self.position], np.float64)
        full = np.diff(layout.gather_starts) > 0
        first = position[layout.gather_starts[:-1][full]]
        away: np.ndarray = position - np.repeat(first, np.diff(layout.gather_starts)[full])
        return away

    def split(self, layout: Layout, g: np.ndarray) -> _Split:
        high_hz = self._high_hz(layout)
        p = _curves(self.min_ms_per_m / 1000, self.max_ms_per_m / 1000, g, high_hz, self.slopes)
        outside = np.maximum(self.low_ms_per_m - 1000 * p, 1000 * p - self.high_ms_per_m)
        if self.taper_ms_per_m:
            share = np.cos(np.pi / 2 * np.clip(outside / self.taper_ms_per_m, 0, 1)) ** 2
        else:
            share = (outside <= 0).astype(np.float64)
        return _Split(p, share, (self.low_hz, high_hz), self.damping_percent / 100, 0)

    def finish(self, traces: np.ndarray, modelled: np.ndarray) -> np.ndarray:
        return modelled if self.kind == "pass" else np.subtract(traces, modelled)
