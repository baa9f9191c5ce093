"""Random noise attenuation by prediction along space, one frequency at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import scipy

from seisproc_core.data.gather import Gather, Layout, mute_outside
from seisproc_core.errors import Cancelled
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_denoise.multichannel import claims
from seisproc_denoise.multichannel.fx_su import su_fx_decon
from seisproc_denoise.multichannel.windows import Window, live_traces, windows

BAND = 0.6  # of Nyquist: highest frequency predicted, unless one is given


@processor("fx_decon", scope="gather", kernels=("fx_predict",), claims=claims.FX_DECON)
class FxDecon(Processor):
    """f-x prediction ("f-x decon"): keep of each trace what its neighbours predict.

    In overlapping windows of time and space, at each frequency, a complex filter of `filter_traces` coefficients p is
    found that best predicts every trace from those before it and, conjugated, from those after it (least squares over
    both directions, nothing assumed outside the window). A trace becomes the mean of its two predictions, sum_k p_k
    x[n-k] and sum_k conj(p_k) x[n+k], or the only one there is at an end or beside a dead trace. Events that are
    straight inside a window are kept; what no neighbour predicts is lost. Windows are blended with weights that sum
    to 1. Frequencies outside [low_hz, high_hz] pass unchanged, or are removed with ``outside = "zero"``. Fewer than
    three traces pass unchanged. Traces count as equally spaced in the order of the gather.

    `su_length` reproduces Seismic Unix `sufxdecon` at the FFT length it chose: windows of `window_traces` without
    overlap, Toeplitz autocorrelation without prewhitening, first and last trace repeated beyond the ends, frequencies
    outside removed (`window_ms` is then its `twlen`, `taper_ms` its `taper`).

    Not for amplitudes of single traces, curved events in wide windows, or noise that is itself coherent (use
    `fk_filter`); more coefficients keep more dips and more noise.

    Source: Canales, SEG Expanded Abstracts 3 (1984), 525-527; Gulunay, SEG Expanded Abstracts 5 (1986), 279-281;
    both directions at once: Marple, IEEE Transactions ASSP 28(4), 1980.
    """

    filter_traces: int = param(4, help="Coefficients of the prediction filter.", minimum=1, maximum=64)
    window_traces: int = param(20, help="Traces of a window; neighbours overlap by half.", minimum=3)
    window_ms: float | None = param(
        1000.0, help="Length of a time window; whole traces when left out.", unit="ms", above=0
    )
    taper_ms: float = param(200.0, help="Overlap of time windows.", unit="ms", minimum=0)
    low_hz: float = param(0.0, help="Lowest frequency predicted.", unit="Hz", minimum=0)
    high_hz: float | None = param(
        None, help="Highest frequency predicted; 0.6 Nyquist if left out.", unit="Hz", above=0
    )
    outside: Literal["pass", "zero"] = param("pass", help="What becomes of all other frequencies.")
    prewhitening_percent: float = param(
        0.1, help="Added to the diagonal of the equations.", unit="%", minimum=1e-4, maximum=100
    )
    su_length: int | None = param(None, help="FFT length of a Seismic Unix run to reproduce.", minimum=2)

    def check(self, layout: Layout) -> None:
        nyquist = layout.sampling.nyquist_hz
        high = BAND * nyquist if self.high_hz is None else self.high_hz
        if high > nyquist:
            raise self.bad("high_hz", f"must not be above the Nyquist frequency of {nyquist:g} Hz, not {high:g} Hz")
        if self.low_hz >= high:
            raise self.bad("low_hz", f"must be below high_hz ({high:g} Hz), not {self.low_hz:g} Hz")
        if self.window_traces <= 2 * self.filter_traces:
            least = 2 * self.filter_traces + 1
            raise self.bad("window_traces", f"must be {least} at least for {self.filter_traces} filter traces")
        length, overlap = self._time_window(layout)
        if length < layout.n_samples and (length < 16 or 2 * overlap > length):
            raise self.bad("window_ms", "must hold 16 samples and twice taper_ms at least")
        longest = min(layout.n_samples, length + overlap + 2)
        if self.su_length is not None and self.su_length < longest:
            raise self.bad("su_length", f"must be {longest} samples at least, not {self.su_length}")

    def _time_window(self, layout: Layout) -> tuple[int, int]:
        """Samples of a time window, and of its overlap with the next."""
        interval_s = layout.sampling.interval_s
        length = layout.n_samples if self.window_ms is None else round(self.window_ms / 1000 / interval_s)
        return length, round(self.taper_ms / 1000 / interval_s)

    def apply(self, batch: Gather, context: Context) -> Gather:
        out = context.empty(batch.traces.shape)
        for gather, start in zip(batch.split(), batch.gather_starts, strict=False):
            out[start : start + gather.n_traces] = self._predicted(gather, context)
        mute_outside(out, *batch.live_window)
        return batch.with_traces(out)

    def _predicted(self, gather: Gather, context: Context) -> np.ndarray:
        traces, interval_s = live_traces(gather), gather.sampling.interval_s
        high_hz = BAND * gather.sampling.nyquist_hz if self.high_hz is None else self.high_hz
        if self.su_length is not None:
            twlen_s = (gather.n_samples - 1) * interval_s if self.window_ms is None else self.window_ms / 1000
            band = (self.low_hz, high_hz)
            sizes = (self.window_traces, self.filter_traces, self.su_length)
            return su_fx_decon(traces, interval_s, band, sizes, twlen_s, self.taper_ms / 1000)
        order = min(self.filter_traces, (gather.n_traces - 1) // 2)
        if order < 1:
            return traces
        first, end = gather.live_window
        across = windows(gather.n_traces, self.window_traces, self.window_traces // 2)
        down = windows(gather.n_samples, *self._time_window(gather))
        length = scipy.fft.next_fast_len(down[0].stop + min(64, down[0].stop // 4), real=True)
        frequency = scipy.fft.rfftfreq(length, interval_s)
        inside = slice(*np.searchsorted(frequency, (self.low_hz - 1e-9, high_hz + 1e-9)))
        spectra = scipy.fft.rfft(cut(traces, down), length, axis=2, workers=1)
        band_shape = (gather.n_traces, len(down) * len(frequency[inside]))
        columns = np.ascontiguousarray(spectra[:, :, inside]).reshape(band_shape)
        result = context.empty(columns.shape, np.complex64)
        context.kernel("fx_predict")(
            columns, end > first, *_tables(across), order, self.prewhitening_percent / 100, result, context.flag
        )
        if self.outside == "zero":
            spectra[:] = 0
        spectra[:, :, inside] = result.reshape(gather.n_traces, len(down), -1)
        return joined(scipy.fft.irfft(spectra, length, axis=2, workers=1), down, gather.n_samples)


def cut(traces: np.ndarray, down: Sequence[Window]) -> np.ndarray:
    """Weighted time windows of all traces, float32 ``(n_traces, windows, samples)``."""
    pieces = np.empty((len(traces), len(down), down[0].stop - down[0].start), np.float32)
    for k, window in enumerate(down):
        np.multiply(traces[:, window.points], window.weight.astype(np.float32), out=pieces[:, k])
    return pieces


def joined(pieces: np.ndarray, down: Sequence[Window], n_samples: int) -> np.ndarray:
    """The sum of all windows in their places."""
    traces = np.zeros((len(pieces), n_samples), np.float32)
    for k, window in enumerate(down):
        traces[:, window.points] += pieces[:, k, : window.stop - window.start]
    return traces


def _tables(across: Sequence[Window]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows as arrays for kernels: starts, stops, weights ``(windows, traces of a window)``."""
    starts, stops = np.array([(window.start, window.stop) for window in across], np.int64).T.copy()
    return starts, stops, np.array([window.weight for window in across])


def fx_predict(
    spectra: np.ndarray,
    alive: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    weights: np.ndarray,
    order: int,
    damping: float,
    out: np.ndarray,
    flag: np.ndarray,
) -> None:
    """Predict each trace from its neighbours, each column by itself: reference form.

    Parameters
    ----------
    spectra, out
        Complex64 ``(n_traces, n_columns)``: any number of frequencies of any number of time windows.
    alive
        Which traces count, bool ``(n_traces,)``.
    starts, stops, weights
        Windows ``[start, stop)`` of traces, int64 ``(n_windows,)``, and their weights in the sum, float64
        ``(n_windows, traces of a window)``.
    order
        Coefficients L of the filter, at least 1.
    damping
        Added to the diagonal, as part of its mean.
    flag
        uint8 ``(1,)``, raised to cancel.

    Raises
    ------
    Cancelled
        When the flag was raised.
    """
    data = np.where(alive[:, None], spectra, 0).astype(np.complex128)
    made = np.zeros_like(data)
    whole = np.array([alive[n : n + order + 1].all() for n in range(len(alive) - order)])
    for start, stop, weight in zip(starts, stops, weights, strict=True):
        if flag[0]:
            raise Cancelled
        equations = order + start + np.flatnonzero(whole[start : stop - order])
        filter_ = prediction_filter(data, equations, order, damping)
        for n in range(start, stop):
            made[n] += weight[n - start] * _mean_prediction(data, alive, n, filter_)
    out[...] = made


def prediction_filter(data: np.ndarray, equations: np.ndarray, order: int, damping: float) -> np.ndarray | None:
    """Coefficients that predict forward and, conjugated, backward: complex128 ``(order, n_columns)``.

    Parameters
    ----------
    data
        Complex128 ``(n_traces, n_columns)``.
    equations
        Traces n whose predictions from n - order ... n - 1 (and of n - order from those after it) count.

    Returns
    -------
    filter
        None without equations.
    """
    if not len(equations):
        return None
    lagged = np.stack([data[equations - lag] for lag in range(order + 1)])
    c = np.einsum("inf,jnf->fij", lagged.conj(), lagged)
    both = c + c[:, ::-1, ::-1].transpose(0, 2, 1)
    matrix, right = both[:, 1:, 1:], both[:, 1:, 0]
    diagonal = np.trace(matrix, axis1=1, axis2=2).real / order
    matrix = matrix + (damping * diagonal + 1e-300)[:, None, None] * np.eye(order)
    solution: np.ndarray = np.linalg.solve(matrix, right[:, :, None])[:, :, 0].T
    return solution


def _mean_prediction(data: np.ndarray, alive: np.ndarray, n: int, filter_: np.ndarray | None) -> np.ndarray:
    """The mean of the predictions from both sides; the trace itself where neither side is complete."""
    found = []
    if filter_ is not None:
        order = len(filter_)
        lags = np.arange(1, order + 1)
        if n >= order and alive[n - lags].all():
            found.append((filter_ * data[n - lags]).sum(axis=0))
        if n + order < len(data) and alive[n + lags].all():
            found.append((filter_.conj() * data[n + lags]).sum(axis=0))
    mean: np.ndarray = np.mean(found, axis=0) if found else data[n]
    return mean
