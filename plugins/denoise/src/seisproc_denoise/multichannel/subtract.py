"""Adaptive subtraction of a modelled part (multiples, noise) from data."""

from __future__ import annotations

from collections.abc import Callable

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
        sample = np.arange(gather.n_samples)
        left = adaptive_subtract(
            live_traces(gather),
            live_traces(context.input("model")),
            filter_samples=taps,
            window_samples=window,
            window_traces=self.window_traces,
            damping=self.damping_percent / 100,
            live=(sample >= first[:, None]) & (sample < end[:, None]),
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
    live: np.ndarray | None = None,
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
        Boolean, of that shape: samples of the data that count; all by default.
    check
        Called once a window; may raise to stop.

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
    half = filter_samples // 2
    padded = np.pad(np.asarray(model, np.float64), ((0, 0), (half, half)))
    # shifted[j, i, k] is the model of trace j at sample i + half - k.
    shifted = np.lib.stride_tricks.sliding_window_view(padded, filter_samples, axis=1)[:, :, ::-1]
    matched = np.zeros(data.shape)
    for across in windows(data.shape[0], window_traces, window_traces // 2):
        for down in windows(data.shape[1], window_samples, window_samples // 2):
            check()
            columns = shifted[across.points, down.points].reshape(-1, filter_samples)
            wanted = data[across.points, down.points].reshape(-1).astype(np.float64)
            weight = np.multiply.outer(across.weight, down.weight)
            counts = slice(None) if live is None else live[across.points, down.points].reshape(-1)
            fitted = columns @ _matching_filter(columns[counts], wanted[counts], damping)
            matched[across.points, down.points] += weight * fitted.reshape(weight.shape)
    return (data - matched).astype(np.float32)


def _matching_filter(columns: np.ndarray, wanted: np.ndarray, damping: float) -> np.ndarray:
    """Damped least-squares filter; zero where the model is."""
    normal = columns.T @ columns
    energy = np.trace(normal) / len(normal)
    if energy == 0:
        return np.zeros(len(normal))
    # Never singular: noise-free models of narrow band would be.
    normal[np.diag_indices_from(normal)] += max(damping, 1e-12) * energy
    return np.asarray(np.linalg.solve(normal, columns.T @ wanted))
