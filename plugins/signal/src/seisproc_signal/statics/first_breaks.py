"""First breaks: where the first arrival begins, found on every trace by itself."""

from __future__ import annotations

import numpy as np

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_signal import claims
from seisproc_signal.windows import whole_samples

ROWS = 64  # traces at a time: what is made of their corridors stays in cache
QUIET = 1e-3  # of the largest energy of a trace: what counts as noise where there is none


@processor("first_breaks", scope="trace", headers_only=True, claims=claims.FIRST_BREAKS)
class FirstBreaks(Processor):
    """Pick first breaks: the time of the largest rise of an energy ratio, in a corridor of velocities.

    For every sample the energy of the `window_ms` before and including it is divided by all energy since the start of
    the corridor, e = E1 / (E2 + beta). The ratio jumps where the first arrival begins. An edge-preserving filter of the
    same length (the mean of that one of all windows around a sample which varies least) takes noise out and leaves
    the jump; the pick is its largest rise. The corridor runs from `start_ms` + |offset| / `fastest_m_per_s` to `end_ms`
    + |offset| / `slowest_m_per_s`; without velocities all of the live trace, but for a window at its begin.

    Words: `first_break_ms`, time since the source, and `first_break_quality`, the ratio of rms amplitudes in the window
    behind and before the pick. A trace without a pick, because it is dead or the ratio is below `min_ratio`, has 0 in
    both. Samples stay as they are. Edits: `header_math`, or `join` with a table of times by trace.

    Picks are good to a few samples where wavelets begin at once.

    Not for vibroseis records, whose zero-phase wavelets begin before they arrive (`phase_convert` to minimum phase
    first), nor after gains that lift the noise before the arrival.

    Source: Sabbione and Velis, Automatic first-breaks picking: New strategies and algorithms, Geophysics 75 (2010),
    V67-V76, after Coppens, Geophysical Prospecting 33 (1985), 1212-1231.
    """

    window_ms: float = param(24.0, help="Length of the window, about a period of the arrival.", unit="ms", above=0)
    start_ms: float = param(-20.0, help="Begin of the corridor at offset 0.", unit="ms")
    end_ms: float = param(100.0, help="End of the corridor at offset 0.", unit="ms")
    fastest_m_per_s: float | None = param(
        None, help="Velocity of its begin; else all of the trace.", unit="m/s", above=0
    )
    slowest_m_per_s: float | None = param(None, help="Velocity of its end; else all of the trace.", unit="m/s", above=0)
    min_ratio: float = param(2.0, help="Least ratio of amplitudes behind and before a pick.", minimum=0)

    def check(self, layout: Layout) -> None:
        samples = whole_samples(self.window_ms, layout.sampling)
        if not 3 <= samples <= layout.n_samples // 4:
            raise self.bad("window_ms", "must be at least 3 samples, and at most a quarter of the trace")
        if self.start_ms >= self.end_ms:
            raise self.bad("start_ms", f"must lie before end_ms ({self.end_ms:g} ms)")
        if self.fastest_m_per_s and self.slowest_m_per_s and self.fastest_m_per_s < self.slowest_m_per_s:
            raise self.bad("fastest_m_per_s", f"must not be less than slowest_m_per_s ({self.slowest_m_per_s:g})")
        self._corridor(layout)

    def plan(self, layout: Layout) -> Layout:
        zeros = np.zeros(layout.n_traces, np.float32)
        headers = layout.headers.with_columns(first_break_ms=zeros, first_break_quality=zeros)
        return Layout(headers=headers, sampling=layout.sampling, gather_starts=layout.gather_starts)

    def _corridor(self, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
        """First sample of every trace that may be a pick, and one past the last."""
        first, end = layout.live_window
        sampling, found = layout.sampling, [first, end]
        sides = ((self.start_ms, self.fastest_m_per_s), (self.end_ms, self.slowest_m_per_s))
        for k, (time_ms, velocity) in enumerate(sides):
            if velocity is not None:
                seconds = time_ms / 1000 + np.abs(layout.headers["offset"].astype(np.float64)) / velocity
                at = np.floor((seconds - sampling.start_s) / sampling.interval_s)
                found[k] = np.clip(at.astype(np.int64), first, end)
        width = whole_samples(self.window_ms, sampling)
        start = np.minimum(np.maximum(found[0], first + width), end)
        return start, np.maximum(found[1], start)

    def apply(self, batch: Gather, context: Context) -> Gather:
        width = whole_samples(self.window_ms, batch.sampling)
        first, end = self._corridor(batch)
        at, quality = np.zeros(batch.n_traces, np.int64), np.zeros(batch.n_traces)
        for low in range(0, batch.n_traces, ROWS):
            context.check()
            rows = slice(low, low + ROWS)
            at[rows], quality[rows] = pick(batch.traces[rows], first[rows], end[rows], width)
        good = (quality >= self.min_ratio) & (quality > 0)
        times = 1000 * (batch.sampling.start_s + batch.sampling.interval_s * at)
        return batch.with_headers(
            batch.headers.with_columns(
                first_break_ms=np.where(good, times, 0).astype(np.float32),
                first_break_quality=np.where(good, quality, 0).astype(np.float32),
            )
        )


def pick(traces: np.ndarray, first: np.ndarray, end: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Sample at which the first arrival begins, and how much louder it is behind than before; 0 for none.

    Parameters
    ----------
    traces
        Float32 ``(n_traces, n_samples)``.
    first, end
        Corridor of each trace.
    width
        Of the windows, samples.
    """
    # Smoothing looks two windows ahead and behind; what lies farther from all corridors counts nowhere.
    low, high = max(int(first.min(initial=traces.shape[1])) - 3 * width, 0), int(end.max(initial=0)) + 3 * width
    at, quality = _pick(traces[:, low:high], first - low, end - low, width)
    return np.where(at > 0, at + low, 0), quality


def _pick(traces: np.ndarray, first: np.ndarray, end: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    count = traces.shape[1]
    sample = np.arange(count)
    inside = (sample >= first[:, None]) & (sample < end[:, None])
    heard = (sample >= first[:, None] - width) & (sample < end[:, None])  # noise before the corridor counts
    since = np.zeros((len(traces), count + 1))
    np.cumsum(np.where(heard, np.square(traces, dtype=np.float64), 0), axis=1, out=since[:, 1:])
    recent = since[:, 1:].copy()
    recent[:, width:] -= since[:, 1 : count - width + 1]
    most = recent.max(axis=1, initial=0)
    ratio = recent / np.where(most > 0, since[:, 1:].T + QUIET * most, 1).T
    smooth = edge_preserving(ratio, width)
    rise = np.where(inside[:, 1:] & inside[:, :-1], smooth[:, 1:] - smooth[:, :-1], -np.inf)
    at = np.where((most > 0) & (end - first > 1), rise.argmax(axis=1) + 1, 0)
    before = since[np.arange(len(at)), at] - since[np.arange(len(at)), np.maximum(at - width, 0)]
    behind = since[np.arange(len(at)), np.minimum(at + width, count)] - since[np.arange(len(at)), at]
    quality = np.sqrt(behind / np.maximum(before, QUIET * np.where(most > 0, most, 1)))
    return at, np.where((most > 0) & (at > 0), quality, 0)


def edge_preserving(rows: np.ndarray, width: int) -> np.ndarray:
    """For every sample the mean of that window of `width` samples, of all that hold it, which varies least."""
    padded = np.concatenate([np.repeat(rows[:, :1], width - 1, 1), rows, np.repeat(rows[:, -1:], width - 1, 1)], axis=1)
    mean = _window_sums(padded, width) / width
    variance = _window_sums(np.square(padded), width) / width - np.square(mean)
    # The best of 1, 2, 4 ... windows side by side, and of `width` by two such that overlap; the earlier of equal ones.
    size = 1
    while size < width:
        step = min(size, width - size)
        better = variance[:, step:] < variance[:, :-step]
        mean = np.where(better, mean[:, step:], mean[:, :-step])
        variance = np.where(better, variance[:, step:], variance[:, :-step])
        size += step
    return mean


def _window_sums(rows: np.ndarray, width: int) -> np.ndarray:
    """Sums of `width` samples that follow each other, from sums of 1, 2, 4 ...: ``n - width + 1`` a row."""
    count = rows.shape[1] - width + 1
    total, start, size = np.zeros((len(rows), count)), 0, 1
    while start < width:
        if width & size:
            total += rows[:, start : start + count]
            start += size
        if start < width:
            rows = rows[:, :-size] + rows[:, size:]
        size *= 2
    return total
