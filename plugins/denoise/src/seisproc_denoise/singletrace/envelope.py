"""Rejection of traces that are too strong for a while, against their neighbours in three dimensions."""

from __future__ import annotations

from typing import Literal

import numpy as np

from seisproc_core.data.gather import Gather, Layout, mute_outside
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_denoise.singletrace import claims
from seisproc_denoise.singletrace.aperture import CLIP, HARD, MEDIAN, chunks, nearest_in_plane
from seisproc_denoise.singletrace.bands import Block

REMEDIES = {"hard": HARD, "soft": CLIP, "scaled": MEDIAN}


@processor("mad_denoise", scope="gather", version=2, kernels=("aperture_reject",), claims=claims.MAD_DENOISE)
class MadDenoise(Processor):
    """Attenuate what is far stronger than its surroundings in space and time (3-D median and MAD).

    In windows of `window_ms` that begin every half window, counted from time 0, the rms amplitude a over live samples
    is compared with the median m and the median absolute deviation d of the same window over the `aperture_traces`
    nearest traces in the plane of two header words. Where a > L = m + `threshold` 1.4826 d, the samples are multiplied
    with 0 (hard), L / a (soft) or m / a (scaled); between the centres of windows the factor is interpolated linearly,
    outside the first and last it is theirs. Polarity and frequency content stay. Windows less than half live and dead
    traces do not count; with fewer than 3 traces left nothing changes.

    For bursts and noisy traces in cubes, cross-spreads and offset classes (a gather holds all traces that may be
    neighbours).

    Not for weak noise below the signal, which `tf_reject` finds in its own frequencies, nor where amplitudes change
    across the aperture by geometry: correct spreading first.

    Sources: Hampel, J. American Statistical Association 69 (1974), 383-393 (median and MAD); Anderson and McMechan,
    Geophysical Prospecting 37 (1989), 875-892 (editing by the amplitude of windows).
    """

    window_ms: float = param(200.0, help="Length of the windows.", unit="ms", above=0)
    aperture_traces: int = param(9, help="Traces compared with each, itself included.", minimum=3)
    plane: tuple[str, ...] = param(("inline", "crossline"), help="Two header words in which neighbours are near.")
    threshold: float = param(3.0, help="Standard deviations (1.4826 MAD) above the median that are allowed.", minimum=0)
    mode: Literal["hard", "soft", "scaled"] = param("scaled", help="What becomes of a window beyond it.")

    def check(self, layout: Layout) -> None:
        if not 2 <= 2 * self._half(layout) <= layout.n_samples:
            interval_ms = 1000 * layout.sampling.interval_s
            whole = layout.n_samples * interval_ms
            raise self.bad(
                "window_ms", f"must be {2 * interval_ms:g} ms to the trace's {whole:g} ms, not {self.window_ms:g} ms"
            )
        if len(self.plane) != 2:
            raise self.bad("plane", f"must be two header words, not {list(self.plane)}")
        for name in self.plane:
            layout.headers.column(name)

    def _half(self, layout: Layout) -> int:
        return round(self.window_ms / 2000 / layout.sampling.interval_s)

    def apply_gather(self, gather: Gather, context: Context) -> Gather:
        out = context.empty(gather.traces.shape)
        x, y = (gather.headers[name].astype(np.float64) for name in self.plane)
        half, reject = self._half(gather), context.kernel("aperture_reject")
        # Windows count from time 0, and the first is centred on the first sample or before it.
        lead = half + round(gather.sampling.start_s / gather.sampling.interval_s) % half
        for chunk in chunks(nearest_in_plane(x, y, self.aperture_traces), context):
            block = Block.of(gather, chunk.needed, together=True)
            size, first, end = _amplitudes(block, half, lead)
            kept = size.copy()
            near, remedy = block.only_usable(chunk.aperture), REMEDIES[self.mode]
            reject(kept, 1, first, end, near, self.threshold, True, remedy, context.flag)
            factor = np.divide(kept, size, out=np.ones_like(size), where=size > 0)
            inside = np.clip(np.arange(factor.shape[1]), first[:, None], np.maximum(end - 1, first)[:, None])
            factor = np.take_along_axis(factor, inside, axis=1)
            spread, mine, rows = _spread(factor[chunk.mine], half), chunk.mine, out[chunk.rows]
            np.multiply(gather.traces[chunk.rows], spread[:, lead : lead + gather.n_samples], out=rows)
            rows[block.broken[mine]] = np.nan
            mute_outside(rows, block.first[mine], block.end[mine])
        return gather.with_traces(out)


def _amplitudes(block: Block, half: int, lead: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rms over live samples of windows, and which windows ``[first, end)`` are half live.

    Window k is ``[k half - lead, (k + 2) half - lead)``.
    """
    count, n_samples = block.traces.shape
    pieces = max(-(-(lead + n_samples) // half), 2)
    padded = np.zeros((count, pieces, half), np.float32)
    padded.reshape(count, -1)[:, lead : lead + n_samples] = block.traces
    power = np.einsum("ijk,ijk->ij", padded, padded).astype(np.float64)  # samples near 1 have squares near 1
    begin = np.arange(pieces - 1) * half - lead
    reach = np.minimum(begin + 2 * half, block.end[:, None]) - np.maximum(begin, block.first[:, None])
    live = 2 * np.maximum(reach, 0) >= np.minimum(2 * half, n_samples - begin)
    size = np.sqrt((power[:, :-1] + power[:, 1:]) / np.maximum(reach, 1)).astype(np.float32)
    first = np.where(live.any(axis=1), live.argmax(axis=1), 0)
    return size, first, first + live.sum(axis=1)


def _spread(factor: np.ndarray, half: int) -> np.ndarray:
    """Factors of windows at every sample: linear between their centres, level before the first and after the last.

    From the first sample of the first window on, float32 ``(n_traces, (n_windows + 1) half)``.
    """
    edges = np.concatenate([factor[:, :1], factor, factor[:, -1:]], axis=1)
    weight = ((np.arange(half) + 0.5) / half).astype(np.float32)
    spread = edges[:, :-1, None] * (1 - weight)
    spread += edges[:, 1:, None] * weight
    return spread.reshape(len(factor), -1)
