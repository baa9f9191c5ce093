"""Adaptive subtraction of a modelled part (multiples, noise) from data."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from seisproc_core.data.gather import Gather, Layout, mute_outside
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import SurveyRef, param
from seisproc_core.processing.processor import Processor, processor
from seisproc_denoise.multichannel import claims
from seisproc_denoise.multichannel.windows import live_traces, windows


@processor("adaptive_subtract", scope="gather", claims=claims.ADAPTIVE_SUBTRACT)
class AdaptiveSubtract(Processor):
    """Subtract a model of multiples or noise after matching it to the data, window by window.

    In overlapping windows of time and traces a filter f of `filter_ms`, centred on zero lag, has the least
    |d - f * m|^2 + damping c |f|^2 over the live samples d of the data, m the model and c its mean energy. It may scale
    the model, change its wavelet and shift it by up to half its length. The matched models of all windows are blended
    with weights that sum to 1, and subtracted.

    The model is a survey of the same traces: `match` says by which header words, trace_id by default. The step leaves
    no other output than the data without the matched model; what was taken away is the difference of its input and its
    output. Look at it.

    Not with long filters in small windows, which match primaries too; nor where primaries and the model cross
    everywhere, as least squares then bends the model towards the primaries.

    Source: Verschuur, Berkhout and Wapenaar, Adaptive surface-related multiple elimination, Geophysics 57 (1992),
    1166-1177.
    """

    model: SurveyRef = param(help="Survey with the modelled part of every trace.")
    filter_ms: float = param(80.0, help="Length of the matching filter.", unit="ms", above=0)
    window_ms: float = param(1000.0, help="Length of a window in time.", unit="ms", above=0)
    window_traces: int = param(20, help="Traces in a window.", minimum=2)
    damping_percent: float = param(0.1, help="Damping of the filter, of the model's energy.", unit="%", minimum=0)

    def _sizes(self, layout: Layout) -> tuple[int, int]:
        """Samples of the filter, odd, and of a window."""
        interval_ms = 1000 * layout.sampling.interval_s
        return 2 * int(self.filter_ms / interval_ms / 2) + 1, max(2, round(self.window_ms / interval_ms))

    def check(self, layout: Layout) -> None:
        taps, window = self._sizes(layout)
        if taps > min(window, layout.n_samples):
            raise self.bad("filter_ms", "must not be longer than window_ms and the trace")

    def apply_gather(self, gather: Gather, context: Context) -> Gather:
        if not gather.n_traces:
            return gather
        taps, window = self._sizes(gather)
        first, end = gather.live_window
        left = adaptive_subtract(
            live_traces(gather),
            live_traces(context.input("model")),
            filter_samples=taps,
            window_samples=window,
            window_traces=self.window_traces,
            damping=self.damping_percent / 100,
            live=(first, end),
            check=context.check,
        )
        mute_outside(left, first, end)
        return gather.with_traces(left)


def adaptive_subtract(
    data: np.ndarray,
    model: np.ndarray,
    *,
    filter_samples: int = 21,
    window_samples: int = 250,
    window_traces: int = 20,
    damping: float = 1e-3,
    live: tuple[np.ndarray, np.ndarray] | None = None,
    check: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Subtract a model after matching it to the data with short filters, window by window.

    In overlapping windows of time and traces (neighbours share half), the filter f of `filter_samples` coefficients,
    centred on zero lag, minimises ``sum (d - f * m)^2 + damping c sum f^2`` with c the mean energy of the shifted
    model. It may scale the model, change its wavelet and shift it by up to half its length. The matched models of all
    windows are blended with weights that sum to 1, and subtracted. Long filters in small windows match primaries too.

    Parameters
    ----------
    data, model
        Float32 ``(n_traces, n_samples)``, the same traces in the same order; zeros where nothing is live.
    filter_samples
        Odd, at least 1.
    window_samples, window_traces
        Size of a window; the whole axis where it is shorter.
    damping
        At least 0.
    live
        First sample of each trace that counts, and one past the last, int64 each; all by default.
    check
        Called once a window of time; may raise to stop.

    Returns
    -------
    numpy.ndarray
        Data without the matched model, float32, same shape.

    Raises
    ------
    ValueError
        Shapes differ, or a size or the damping is out of range.

    Notes
    -----
    Verschuur, Berkhout and Wapenaar, Geophysics 57(9), 1992, on adaptive surface-related multiple elimination;
    windowed least squares: Robinson and Treitel, Geophysical Signal Analysis (Prentice-Hall, 1980), chapter 7.
    """
    if data.ndim != 2 or data.shape != model.shape:
        raise ValueError(f"data and model must have the same 2-D shape, not {data.shape} and {model.shape}")
    if filter_samples < 1 or filter_samples % 2 == 0 or min(window_samples, window_traces) < 2 or damping < 0:
        raise ValueError("filter_samples must be odd, windows at least 2, damping at least 0")
    half, (n_traces, n_samples) = filter_samples // 2, data.shape
    first, end = live or (np.zeros(n_traces, np.int64), np.full(n_traces, n_samples))
    padded = np.pad(np.asarray(model, np.float64), ((0, 0), (half, half)))
    across = windows(n_traces, window_traces, window_traces // 2)
    matched = np.zeros(data.shape)
    for down in windows(n_samples, window_samples, window_samples // 2):
        check()
        part = padded[:, down.start : down.stop + 2 * half]
        begin, stop = (np.clip(edge, down.start, down.stop) - down.start for edge in (first, end))
        auto, cross = _correlations(part, data[:, down.points], begin, stop)
        rows = [window.points for window in across]
        right = np.stack([cross[some].sum(axis=0) for some in rows])
        found = _matching_filters(_normal(part, auto, begin, stop, rows), right, damping)
        # A trace gets the filters of all windows that it is in, blended.
        filters = np.zeros((n_traces, filter_samples))
        for window, own in zip(across, found, strict=True):
            filters[window.points] += window.weight[:, None] * own
        matched[:, down.points] += down.weight * _filtered(part, filters)
    return (data - matched).astype(np.float32)


def _at_lag(part: np.ndarray, lag: int, taps: int, length: int) -> np.ndarray:
    """What coefficient number `lag` of a filter is multiplied with at each of `length` samples."""
    return part[:, taps - 1 - lag : taps - 1 - lag + length]


def _filtered(part: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """The model of each trace after its filter, float32."""
    taps = filters.shape[1]
    length = part.shape[1] - taps + 1
    single, fitted = part.astype(np.float32), np.zeros((len(part), length), np.float32)
    share = np.empty_like(fitted)
    for lag, factor in enumerate(filters.T.astype(np.float32)):
        fitted += np.multiply(factor[:, None], _at_lag(single, lag, taps, length), out=share)
    return fitted


def _correlations(
    part: np.ndarray, data: np.ndarray, begin: np.ndarray, stop: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of each trace the first row of its normal equations, and their right side: ``(n_traces, taps)`` each.

    `part` is the model over a window and half a filter to either side; samples of `data` in ``[begin, stop)`` count.
    """
    length = data.shape[1]
    taps = part.shape[1] - length + 1
    sample = np.arange(length)
    counts = (sample >= begin[:, None]) & (sample < stop[:, None])
    model, wanted = np.where(counts, _at_lag(part, 0, taps, length), 0), np.where(counts, data, 0.0)
    lags = [_at_lag(part, lag, taps, length) for lag in range(taps)]
    auto, cross = (np.stack([np.vecdot(one, lag) for lag in lags], axis=1) for one in (model, wanted))
    return auto, cross


def _normal(
    part: np.ndarray, auto: np.ndarray, begin: np.ndarray, stop: np.ndarray, rows: Sequence[slice]
) -> np.ndarray:
    """Matrices of the normal equations of some traces together, ``(len(rows), taps, taps)``.

    Element (k + 1, l + 1) sums the products of element (k, l), one sample earlier: what enters at the begin of the live
    samples is added, what leaves at their end taken off.
    """
    taps = auto.shape[1]
    behind = taps - 2 - np.arange(taps - 1)
    entering, leaving = (np.take_along_axis(part, edge[:, None] + behind, axis=1) for edge in (begin, stop))
    normal = np.empty((len(rows), taps, taps))
    normal[:, 0] = normal[:, :, 0] = [auto[some].sum(axis=0) for some in rows]
    change = np.stack([entering[some].T @ entering[some] - leaving[some].T @ leaving[some] for some in rows])
    for row in range(taps - 1):
        normal[:, row + 1, 1:] = normal[:, row, :-1] + change[:, row]
    return normal


def _matching_filters(normal: np.ndarray, right: np.ndarray, damping: float) -> np.ndarray:
    """Damped least-squares filters of some windows, ``(n, taps)``; zero where the model is."""
    taps = right.shape[1]
    energy = np.trace(normal, axis1=1, axis2=2) / taps
    # Never singular: noise-free models of narrow band would be.
    added = np.where(energy > 0, max(damping, 1e-12) * energy, 1.0)
    filters = np.linalg.solve(normal + added[:, None, None] * np.eye(taps), right[:, :, None])[:, :, 0]
    return np.where((energy > 0)[:, None], filters, 0)
