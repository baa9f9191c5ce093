"""Velocity filter on gathers with two spatial axes."""

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
from seisproc_denoise.multichannel.windows import MAX_GAPS, OFF_GRID, live_traces

SPACE_PAD = 8  # least number of empty positions behind each axis
BLOCK_ELEMENTS = 1 << 22  # wavenumbers and frequencies in memory at once
EDGE_FLOOR = 0.1  # of the mean gain: no component of a trace is amplified beyond that


@attrs.frozen(eq=False)
class Grid:
    """Traces on a regular grid; spacings in metres, ``x`` and ``y`` the place of each trace, int64 ``(n_traces,)``."""

    x: np.ndarray
    y: np.ndarray
    x_spacing_m: float
    y_spacing_m: float

    @property
    def shape(self) -> tuple[int, int]:
        """Places along y and x."""
        return int(self.y.max()) + 1, int(self.x.max()) + 1


def grid_of(layout: Layout, words: tuple[str, str], spacings_m: tuple[float | None, float | None]) -> Grid:
    """The grid on which the traces of one gather stand.

    Raises
    ------
    ValueError
        Values of a word are no multiples of one step, two traces share a place, or most places are empty.
    """
    (x, dx), (y, dy) = (
        _axis(np.asarray(layout.headers[word], np.float64), word, spacing)
        for word, spacing in zip(words, spacings_m, strict=True)
    )
    grid = Grid(x, y, dx, dy)
    rows, columns = grid.shape
    if rows * columns > MAX_GAPS * MAX_GAPS * len(x):
        raise ValueError(f"{len(x)} traces are too few for a grid of {rows} x {columns} places")
    if len(np.unique(y * columns + x)) < len(x):
        raise ValueError(f"two traces have the same {words[0]} and {words[1]}")
    return grid


def _axis(values: np.ndarray, word: str, spacing_m: float | None) -> tuple[np.ndarray, float]:
    levels = np.unique(values)
    if len(levels) == 1:
        return np.zeros(len(values), np.int64), spacing_m or 1.0
    steps = np.diff(levels)
    step = float(steps.sum() / np.rint(steps / steps.min()).sum())
    places = (values - levels[0]) / step
    index = np.rint(places).astype(np.int64)
    if np.abs(places - index).max() > OFF_GRID:
        raise ValueError(f"'{word}' is not regular (steps of {steps.min():g} to {steps.max():g})")
    return index, spacing_m or step


@processor("fkk_filter", scope="gather", claims=claims.FKK_FILTER)
class FkkFilter(Processor):
    """Pass or reject apparent velocities in three dimensions, optionally in a sector of azimuths.

    For gathers whose traces fill a grid of two header words: cross-spreads, inline-crossline blocks. The gain depends
    on the slope |p| = sqrt(kx^2 + ky^2) / f and, with `azimuth_deg`, on the direction towards which events get later:
    the fan holds ``min_m_per_s <= 1/|p| <= max_m_per_s`` within half of `azimuth_width_deg` to either side of the
    azimuth, which counts from the axis of `x_position` towards that of `y_position`. Tapers lie outside the fan, over
    `taper_percent` of each edge. Flat events pass untouched where the fan lets them, as in `fk_filter`; missing and
    dead traces count as missing.

    Not on traces off a grid, nor for dips aliased in space. Azimuths have no meaning for nearly flat events.

    Source: Galibert, Duval and Dupont, SEG Expanded Abstracts 21 (2002), on 3-D velocity filters; Yilmaz, Seismic Data
    Analysis (SEG, 2001), section 6.2.
    """

    kind: Literal["reject", "pass"] = param("reject", help="What happens to events inside the fan.")
    min_m_per_s: float | None = param(None, help="Lowest apparent velocity of the fan.", unit="m/s", above=0)
    max_m_per_s: float | None = param(None, help="Highest apparent velocity of the fan.", unit="m/s", above=0)
    azimuth_deg: float | None = param(None, help="Middle of a sector of azimuths; all when left out.", unit="degrees")
    azimuth_width_deg: float = param(60.0, help="Width of that sector.", unit="degrees", above=0, maximum=360)
    taper_percent: float = param(20.0, help="Width of the tapers, in % of each edge.", unit="%", minimum=0, maximum=100)
    x_position: str = param("receiver_x", help="Header word of the first axis, m, or numbers.")
    y_position: str = param("receiver_y", help="Header word of the second axis, m, or numbers.")
    x_spacing_m: float | None = param(
        None, help="Metres per step of the first axis, if it holds numbers.", unit="m", above=0
    )
    y_spacing_m: float | None = param(
        None, help="Metres per step of the second axis, if it holds numbers.", unit="m", above=0
    )

    def check(self, layout: Layout) -> None:
        if (problem := self._fan.problem()) is not None:
            raise self.bad(*problem)
        for word in (self.x_position, self.y_position):
            layout.headers.column(word)
        bounds = zip(layout.gather_starts[:-1], layout.gather_starts[1:], strict=True)
        for number, (start, stop) in enumerate(bounds):
            rows = layout.headers.take(slice(int(start), int(stop)))
            try:
                if len(rows):
                    self._grid(Layout(headers=rows, sampling=layout.sampling))
            except ValueError as error:
                raise self.bad("x_position", f"does not suit gather {number}: {error}") from error

    @property
    def _fan(self) -> Fan:
        """The fan of slopes without sign; its gain is that of the inside, whatever the kind."""
        return Fan(
            kind="pass", min_m_per_s=self.min_m_per_s, max_m_per_s=self.max_m_per_s, taper_percent=self.taper_percent
        )

    def _grid(self, layout: Layout) -> Grid:
        return grid_of(layout, (self.x_position, self.y_position), (self.x_spacing_m, self.y_spacing_m))

    def apply(self, batch: Gather, context: Context) -> Gather:
        out = context.empty(batch.traces.shape)
        for gather, start in zip(batch.split(), batch.gather_starts, strict=False):
            context.check()
            if gather.n_traces:
                first, end = gather.live_window
                out[start : start + gather.n_traces] = self.filtered(gather, live_traces(gather), end > first)
        mute_outside(out, *batch.live_window)
        return batch.with_traces(out)

    def filtered(self, gather: Layout, traces: np.ndarray, alive: np.ndarray) -> np.ndarray:
        """The filter on the traces of one gather: linear in them."""
        grid, interval_s = self._grid(gather), gather.sampling.interval_s
        rows, columns = grid.shape
        reach = int(self._fan.steepest * (rows * grid.y_spacing_m + columns * grid.x_spacing_m) / interval_s)
        length = scipy.fft.next_fast_len(gather.n_samples + min(reach, gather.n_samples) + 1, real=True)
        wide, long = (scipy.fft.next_fast_len(count + max(SPACE_PAD, count // 2)) for count in (columns, rows))
        padded = (long, wide)
        spectra = scipy.fft.rfft(traces, length, axis=1, workers=1)
        flat = alive.tobytes() if self.kind == "reject" or self.max_m_per_s is None else None
        shared = (self, grid.x.tobytes(), grid.y.tobytes(), grid.x_spacing_m, grid.y_spacing_m, flat, padded)
        count = spectra.shape[1]
        step = max(1, BLOCK_ELEMENTS // (padded[0] * padded[1]))
        # Gathers alike share what was made for one; of gathers too large for that every block is made anew.
        made = block_filter if count <= step else block_filter.__wrapped__
        for start in range(0, count, step):
            stop = min(start + step, count)
            spectra[:, start:stop] = made(*shared, length, interval_s, start, stop).apply(spectra[:, start:stop])
        back: np.ndarray = scipy.fft.irfft(spectra, length, axis=1, workers=1)[:, : gather.n_samples]
        return back

    def gain(self, grid: Grid, padded: tuple[int, int], frequency: np.ndarray) -> np.ndarray:
        """Gain at each wavenumber and frequency, float32 ``(y, x, frequencies)``."""
        ky = scipy.fft.fftfreq(padded[0], grid.y_spacing_m)[:, None, None]
        kx = scipy.fft.fftfreq(padded[1], grid.x_spacing_m)[None, :, None]
        # A wavenumber and its negative are as steep: a quarter of the plane tells the rest.
        k = np.hypot(kx[:, : padded[1] // 2 + 1], ky[: padded[0] // 2 + 1])
        slope = np.broadcast_to(np.where(k == 0, 0.0, np.inf), (*k.shape[:2], len(frequency))).copy()
        np.divide(k, frequency, out=slope, where=frequency > 0)
        inside = gain_of_slope(self._fan, slope).astype(np.float32)
        y, x = (np.minimum(np.arange(count), np.arange(count, 0, -1)) for count in padded)
        inside = inside[y[:, None], x]
        if self.azimuth_deg is not None:
            # Spectra of events that get later along x lie at negative kx.
            away = np.abs((np.degrees(np.arctan2(-ky, -kx)) - self.azimuth_deg + 180) % 360 - 180)
            half = self.azimuth_width_deg / 2
            width = max(half * self.taper_percent / 100, 1e-9)
            taper = np.cos(np.pi / 2 * np.clip((away - half) / width, 0, 1)) ** 2
            inside *= np.where(np.hypot(kx, ky) == 0, 1.0, taper).astype(np.float32)
        return inside if self.kind == "pass" else 1 - inside


@attrs.frozen(eq=False)
class BlockFilter:
    """The filter made ready for some frequencies of gathers of one geometry.

    Attributes
    ----------
    gain
        float32 ``(y, x, frequencies)``.
    edges
        What each trace is multiplied with at each frequency so that a flat event on the live traces stays, complex64
        ``(n_traces, frequencies)``; None for nothing.
    x, y
        Place of each trace.
    """

    gain: np.ndarray
    edges: np.ndarray | None
    x: np.ndarray
    y: np.ndarray

    def apply(self, spectra: np.ndarray) -> np.ndarray:
        """Multiply in the wavenumber domain."""
        volume = np.zeros(self.gain.shape, spectra.dtype)
        volume[self.y, self.x] = spectra
        waves = scipy.fft.fft2(volume, axes=(0, 1), workers=1, overwrite_x=True)
        waves *= self.gain
        kept: np.ndarray = scipy.fft.ifft2(waves, axes=(0, 1), workers=1, overwrite_x=True)[self.y, self.x]
        if self.edges is not None:
            kept *= self.edges
        return kept


@lru_cache(maxsize=2)
def block_filter(
    settings: FkkFilter, x: bytes, y: bytes, x_spacing_m: float, y_spacing_m: float, flat: bytes | None,
    padded: tuple[int, int], length: int, interval_s: float, start: int, stop: int,
) -> BlockFilter:  # fmt: skip
    """The filter for frequencies ``[start, stop)``; `flat` says which traces are live, if flat events shall stay."""
    grid = Grid(np.frombuffer(x, np.int64), np.frombuffer(y, np.int64), x_spacing_m, y_spacing_m)
    gain = settings.gain(grid, padded, scipy.fft.rfftfreq(length, interval_s)[start:stop])
    plain = BlockFilter(gain, None, grid.x, grid.y)
    if flat is None:
        return plain
    live = np.frombuffer(flat, bool)[:, None].astype(np.complex64)
    kept = plain.apply(np.repeat(live, stop - start, axis=1))
    floor = np.maximum(EDGE_FLOOR * gain.mean(axis=(0, 1)), 1e-3)
    return attrs.evolve(plain, edges=(1 / np.where(np.abs(kept) >= floor, kept, floor)).astype(np.complex64))
