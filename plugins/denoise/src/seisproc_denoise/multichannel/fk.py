"""Dip and velocity filters in frequency and wavenumber."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import attrs
import numpy as np
import scipy

from seisproc_core.data.gather import Gather, Layout, mute_outside
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_denoise.multichannel import claims
from seisproc_denoise.multichannel.fans import Fan, gain_of_slope
from seisproc_denoise.multichannel.windows import Line, line_of, line_problem, live_traces, windows

SPACE_PAD = 8  # least number of empty positions behind a panel
EDGE_FLOOR = 0.1  # of the mean gain: no component of a trace is amplified beyond that


@processor("fk_filter", scope="gather", claims=claims.FK_FILTER)
class FkFilter(Processor):
    """Pass or reject fans of apparent velocity or dip.

    Each panel is transformed to frequency f and wavenumber k, multiplied with a gain that depends on the slope
    p = -k/f alone, and transformed back. The fan is given by apparent velocities (``min_m_per_s <= 1/|p| <=
    max_m_per_s``; without a maximum it includes flat events, without a minimum the steepest ones), or by two dips
    (``dips_ms_per_m = [low, high]``, signed: positive is later with increasing position). Inside the fan the gain is 1
    (pass) or 0 (reject); outside, over `taper_percent` of each edge's slope, it changes as cos^2. Dips with as many
    `amplitudes` are knots of a gain that is linear between them and constant beyond.

    Flat events pass untouched if the gain at p = 0 is 1: dead traces, gaps in the position word and the ends of the
    gather count as missing, not as zero, because the result is divided, frequency by frequency, by what the filter
    makes of a flat event on the same traces. Padding in time and space keeps panels from wrapping round. AGC (`agc_ms`)
    is divided out of the result sample by sample. `moveout_ms_per_m` flattens that slope first and restores it after,
    against spatial aliasing; the fan stays where it is, and what was said of flat events holds for events of that
    slope. Muted zones are zero before, and muted again.

    ``padding = "su"`` reproduces Seismic Unix `sudipfilt`: its FFT lengths, wrap-around included, nothing divided.

    Not on traces with irregular spacing, nor for dips aliased in space (p f dx > 1/2), which appear with another
    slope. Broad fans with narrow tapers smear events along the edges of the fan.

    Source: Yilmaz, Seismic Data Analysis (SEG, 2001), section 6.2, on frequency-wavenumber filtering; March and Bailey,
    First Break 1(1), 1983; division by the filtered weights: Knutsson and Westin, CVPR 1993, on normalised convolution.
    """

    kind: Literal["reject", "pass"] = param("reject", help="What happens to events inside the fan.")
    min_m_per_s: float | None = param(None, help="Lowest apparent velocity of the fan.", unit="m/s", above=0)
    max_m_per_s: float | None = param(None, help="Highest apparent velocity of the fan.", unit="m/s", above=0)
    side: Literal["both", "positive", "negative"] = param("both", help="Sign of the dips of a velocity fan.")
    dips_ms_per_m: tuple[float, ...] = param((), help="Edges of a fan of dips, or knots of `amplitudes`.", unit="ms/m")
    amplitudes: tuple[float, ...] = param((), help="Gain at each of the dips, in place of a fan.")
    taper_percent: float = param(
        20.0, help="Width of the taper, in % of the edge's slope.", unit="%", minimum=0, maximum=100
    )
    moveout_ms_per_m: float = param(0.0, help="Slope that is flattened before, restored after.", unit="ms/m")
    position: str = param("offset", help="Header word with the position along the line, m.")
    spacing_m: float | None = param(
        None, help="Distance of neighbouring traces, if not from headers.", unit="m", above=0
    )
    panel_traces: int | None = param(None, help="Positions per overlapping sub-panel; all when left out.", minimum=8)
    agc_ms: float | None = param(None, help="Window of an AGC for the time of the filter.", unit="ms", above=0)
    padding: Literal["full", "su"] = param("full", help="Against wrap-around, or that of Seismic Unix.")

    def check(self, layout: Layout) -> None:
        if (wrong := self.fan.problem()) is not None:
            raise self.bad(*wrong)
        if (problem := line_problem(layout, self.position, self.spacing_m)) is not None:
            raise self.bad("position", problem)
        if self.agc_ms is not None and self.agc_ms < 2000 * layout.sampling.interval_s:
            raise self.bad("agc_ms", f"must span two samples ({2000 * layout.sampling.interval_s:g} ms) at least")

    @property
    def fan(self) -> Fan:
        return Fan(
            kind=self.kind,
            min_m_per_s=self.min_m_per_s,
            max_m_per_s=self.max_m_per_s,
            side=self.side,
            dips_ms_per_m=self.dips_ms_per_m,
            amplitudes=self.amplitudes,
            taper_percent=self.taper_percent,
        )

    def apply(self, batch: Gather, context: Context) -> Gather:
        out = context.empty(batch.traces.shape)
        for gather, start in zip(batch.split(), batch.gather_starts, strict=False):
            context.check()
            if gather.n_traces:
                out[start : start + gather.n_traces] = self._filtered(gather)
        mute_outside(out, *batch.live_window)
        return batch.with_traces(out)

    def _filtered(self, gather: Gather) -> np.ndarray:
        first, end = gather.live_window
        line = line_of(gather, self.position, self.spacing_m)
        traces = live_traces(gather)
        gain = None if self.agc_ms is None else agc_gain(traces, first, end, self.agc_ms / 1000, gather)
        if gain is not None:
            traces = traces * gain
        result = self._panels(traces, line, end > first, gather.sampling.interval_s)
        return result if gain is None else result / gain

    def _panels(self, traces: np.ndarray, line: Line, alive: np.ndarray, interval_s: float) -> np.ndarray:
        length = self.panel_traces or line.count
        parts = windows(line.count, length, length // 2)
        if len(parts) == 1:
            return panel_operator(self, line, alive, traces.shape[1], interval_s).apply(traces)
        result = np.zeros_like(traces)
        for part in parts:
            rows = slice(*np.searchsorted(line.index, (part.start, part.stop)))
            if rows.start < rows.stop:
                index = line.index[rows] - line.index[rows.start]
                operator = panel_operator(self, Line(line.spacing_m, index), alive[rows], traces.shape[1], interval_s)
                weight = part.weight[line.index[rows] - part.start, None].astype(np.float32)
                result[rows] += weight * operator.apply(traces[rows])
        return result


@attrs.frozen(eq=False)
class PanelOperator:
    """The filter made ready for panels of one shape and geometry: a linear operator.

    Attributes
    ----------
    gain
        Real gain at each wavenumber and frequency, float32 ``(positions padded, frequencies)``.
    edges
        What each trace is multiplied with at each frequency, complex64 ``(n_traces, frequencies)``; None for nothing.
    shear
        Phase that flattens the moveout, complex64 ``(n_traces, frequencies)``; None without moveout.
    index
        Position of each trace.
    length
        Samples of the FFT in time.
    """

    gain: np.ndarray
    edges: np.ndarray | None
    shear: np.ndarray | None
    index: np.ndarray
    length: int

    def apply(self, traces: np.ndarray) -> np.ndarray:
        """Filter one panel, float32 ``(n_traces, n_samples)``."""
        spectra = scipy.fft.rfft(traces, self.length, axis=1, workers=1)
        if self.shear is not None:
            spectra *= self.shear
        spectra = self._across(spectra)
        if self.edges is not None:
            spectra *= self.edges
        return self._back(spectra, traces.shape[1])

    def adjoint(self, traces: np.ndarray) -> np.ndarray:
        """The adjoint of `apply`: ``dot(apply(x), y) == dot(x, adjoint(y))``."""
        spectra = scipy.fft.rfft(traces, self.length, axis=1, workers=1)
        if self.shear is not None:
            spectra *= self.shear
        if self.edges is not None:
            spectra *= self.edges.conj()
        return self._back(self._across(spectra), traces.shape[1])

    def _across(self, spectra: np.ndarray) -> np.ndarray:
        """Multiply in the wavenumber domain; a real gain makes this its own adjoint."""
        positions, n_traces = len(self.gain), len(self.index)
        gaps = n_traces and self.index[-1] >= n_traces
        if gaps:
            grid = np.zeros((positions, spectra.shape[1]), spectra.dtype)
            grid[self.index] = spectra
            spectra = grid
        waves = scipy.fft.fft(spectra, positions, axis=0, workers=1)
        waves *= self.gain
        waves = scipy.fft.ifft(waves, axis=0, workers=1, overwrite_x=True)
        kept: np.ndarray = waves[self.index] if gaps else waves[:n_traces]
        return kept

    def _back(self, spectra: np.ndarray, n_samples: int) -> np.ndarray:
        if self.shear is not None:
            spectra = spectra * self.shear.conj()
        traces: np.ndarray = scipy.fft.irfft(spectra, self.length, axis=1, workers=1)[:, :n_samples]
        return traces


def panel_operator(
    settings: FkFilter, line: Line, alive: np.ndarray, n_samples: int, interval_s: float
) -> PanelOperator:
    """The filter for one panel; equal panels share it."""
    return _operator(settings, line.spacing_m, line.index.tobytes(), alive.tobytes(), n_samples, interval_s)


@lru_cache(maxsize=4)
def _operator(
    settings: FkFilter, spacing_m: float, index_bytes: bytes, alive_bytes: bytes, n_samples: int, interval_s: float
) -> PanelOperator:
    index, alive = np.frombuffer(index_bytes, np.int64), np.frombuffer(alive_bytes, bool)
    fan, count = settings.fan, int(index[-1]) + 1
    if settings.padding == "su":
        length, positions = su_length(n_samples, (2, 4, 8, 16, 32)), su_length(count, (1, 2, 4, 8, 16))
    else:
        reach = int(fan.steepest * abs(spacing_m) * count / interval_s)
        length = scipy.fft.next_fast_len(n_samples + min(reach, n_samples) + 1, real=True)
        positions = scipy.fft.next_fast_len(count + max(SPACE_PAD, count // 2))
    frequency = scipy.fft.rfftfreq(length, interval_s)
    flattened = settings.moveout_ms_per_m / 1000
    slope = flattened + slopes(scipy.fft.fftfreq(positions, spacing_m)[:, None], frequency)
    gain = gain_of_slope(fan, slope).astype(np.float32)
    shear = None
    if flattened:
        shear = np.exp(2j * np.pi * frequency * flattened * spacing_m * index[:, None]).astype(np.complex64)
    operator = PanelOperator(gain=gain, edges=None, shear=shear, index=index, length=length)
    if settings.padding == "full" and gain_of_slope(fan, np.full(1, flattened))[0] == 1 and alive.any():
        operator = attrs.evolve(operator, edges=_edges(operator, alive, gain))
    return operator


def slopes(wavenumber: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """Slope ``-k/f`` in s/m of each component; 0 where both are 0, infinite where f alone is."""
    k, f = np.broadcast_arrays(wavenumber, frequency)
    slope = np.where(k == 0, 0.0, np.where(k > 0, -np.inf, np.inf))
    np.divide(-k, f, out=slope, where=f != 0)
    return slope


def _edges(operator: PanelOperator, alive: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """One over what the filter makes of a flat event on the live traces."""
    flat = np.repeat(alive[:, None].astype(np.complex64), gain.shape[1], axis=1)
    kept = operator._across(flat)
    floor = np.maximum(EDGE_FLOOR * gain.mean(axis=0), 1e-3)
    size = np.abs(kept)
    kept = np.where(size >= floor, kept, floor * np.where(size > 0, kept / np.where(size > 0, size, 1), 1))
    inverse: np.ndarray = np.where(alive[:, None], 1 / kept, 0).astype(np.complex64)
    return inverse


def agc_gain(traces: np.ndarray, first: np.ndarray, end: np.ndarray, window_s: float, layout: Layout) -> np.ndarray:
    """Positive gain that evens out the amplitude of the live samples along each trace, float32, same shape."""
    half = max(1, int(window_s / layout.sampling.interval_s / 2))
    sample = np.arange(traces.shape[1])
    total = np.zeros((len(traces), traces.shape[1] + 1))
    np.cumsum(np.square(traces, dtype=np.float64), axis=1, out=total[:, 1:])
    low = np.maximum(sample - half, first[:, None])
    high = np.minimum(sample + half + 1, end[:, None])
    high = np.maximum(high, low)
    sums = np.take_along_axis(total, high.clip(max=traces.shape[1]), 1)
    sums -= np.take_along_axis(total, low.clip(max=traces.shape[1]), 1)
    power = sums / np.maximum(high - low, 1)
    # A floor keeps quiet zones from being blown up beyond what float32 can divide out again.
    floor = 1e-8 * power.max(axis=1, keepdims=True)
    gain = 1 / np.sqrt(np.maximum(power, np.where(floor > 0, floor, 1.0)))
    typical = np.median(gain, axis=None) if gain.size else 1.0
    scaled: np.ndarray = np.maximum((gain / typical).astype(np.float32), np.float32(1e-30))
    return scaled


def su_length(least: int, powers_of_two: tuple[int, ...]) -> int:
    """Shortest FFT length from `least` on that is a product of mutually prime factors up to 16."""
    lengths = {
        a * b * c * d * e * f
        for a in powers_of_two
        for b in (1, 3, 9)
        for c in (1, 5)
        for d in (1, 7)
        for e in (1, 11)
        for f in (1, 13)
    }
    fitting = [length for length in lengths if length >= least]
    return min(fitting) if fitting else scipy.fft.next_fast_len(least, real=True)
