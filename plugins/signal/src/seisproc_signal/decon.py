"""Deconvolution by prediction error: spiking and predictive, trace by trace or with operators shared in a gather."""

from __future__ import annotations

from typing import Literal

import attrs
import numpy as np

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_signal import claims
from seisproc_signal.windows import (
    check_window,
    guided_window,
    whole_samples,
    window_end,
    window_start,
    window_velocity,
    with_live_words,
)

KERNELS = ("autocorrelate", "levinson", "convolve")


@attrs.frozen(kw_only=True)
class _PredictionError(Processor):
    """What both forms share: parameters, operators from autocorrelations, their application."""

    operator_ms: float = param(160.0, help="Length of the prediction operator.", unit="ms", above=0)
    gap_ms: float | None = param(
        None, help="Prediction distance; one sample (spiking) when left out.", unit="ms", above=0
    )
    prewhitening_percent: float = param(
        0.1, help="White noise added to the zero lag.", unit="%", minimum=0, maximum=100
    )
    design_start_ms: float | None = window_start()
    design_end_ms: float | None = window_end()
    velocity_m_per_s: float | None = window_velocity()
    output: Literal["data", "operator"] = param("data", help="Deconvolved traces, or prediction-error operators.")

    def _lags(self, layout: Layout) -> tuple[int, int]:
        """Prediction distance and number of coefficients, in samples."""
        gap = 1 if self.gap_ms is None else whole_samples(self.gap_ms, layout.sampling)
        return gap, whole_samples(self.operator_ms, layout.sampling)

    def _design(self, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
        return guided_window(layout, self.design_start_ms, self.design_end_ms, self.velocity_m_per_s)

    def check(self, layout: Layout) -> None:
        gap, taps = self._lags(layout)
        interval_ms = 1000 * layout.sampling.interval_s
        if taps < 1:
            raise self.bad("operator_ms", f"must be at least one sample ({interval_ms:g} ms), not {self.operator_ms:g}")
        if gap < 1:
            raise self.bad("gap_ms", f"must be at least one sample ({interval_ms:g} ms), not {self.gap_ms:g}")
        if gap + taps > layout.n_samples:
            longest = layout.n_samples * interval_ms
            raise self.bad("operator_ms", f"and the gap together must not exceed the trace of {longest:g} ms")
        check_window(self, layout, "design_start_ms", "design_end_ms")

    def notes(self, layout: Layout) -> list[str]:
        gap, taps = self._lags(layout)
        first, end = self._design(layout)
        live = np.subtract(*layout.live_window[::-1]) > 0
        short = int(np.count_nonzero(live & (end - first < gap + taps)))
        return [f"{short} live traces have a design window shorter than gap and operator"] if short else []

    def plan(self, layout: Layout) -> Layout:
        return layout if self.output == "data" else with_live_words(layout)

    def apply(self, batch: Gather, context: Context) -> Gather:
        gap, taps = self._lags(batch)
        lags = np.empty((batch.n_traces, gap + taps))
        context.kernel("autocorrelate")(batch.traces, *self._design(batch), lags, context.flag)
        lags = self.share(lags, batch)
        cross = np.ascontiguousarray(lags[:, gap:])
        auto = np.ascontiguousarray(lags[:, :taps])
        auto[:, 0] *= 1 + self.prewhitening_percent / 100
        predictor = np.empty_like(auto)
        context.kernel("levinson")(auto, cross, predictor, context.flag)
        if self.output == "operator":
            return _as_traces(batch, gap, predictor, context)
        first, end = batch.live_window
        out = context.empty(batch.traces.shape)
        lag = np.full(batch.n_traces, gap)
        np.negative(predictor, out=predictor)
        context.kernel("convolve")(
            batch.traces, first, end, predictor, lag, 1.0, first, end, out, context.flag
        )  # fmt: skip
        return batch.with_traces(out)

    def share(self, lags: np.ndarray, batch: Gather) -> np.ndarray:
        """The autocorrelations that operators are made from, ``(n_traces, lags)``."""
        return lags


@processor("decon", scope="trace", kernels=KERNELS, claims=claims.DECON)
class Decon(_PredictionError):
    """Spiking and predictive deconvolution: subtract from every trace what its own past predicts.

    y[i] = x[i] - sum_j f[j] x[i - g - j], j = 0 .. n - 1, with prediction distance g (``gap_ms``) and n coefficients
    (``operator_ms``) from the normal equations sum_j r[|i - j|] f[j] = r[g + i]. r is the autocorrelation of the live
    samples in the design window; r[0] is raised by the prewhitening. A gap of one sample (the default) is
    spiking deconvolution, which shortens the wavelet; a gap as long as the wavelet keeps it and removes
    reverberations with periods between g and g + n. The design window may follow a velocity: its times
    grow by |offset| / velocity. ``output = "operator"`` gives 1, 0 .., -f[0], -f[1] .. instead of the data, from sample
    0 on; its time axis then counts lags.

    Only live samples are used; dead traces, and traces without energy in the design window, stay as they are. The
    amplitudes of primaries are those of the input (no scaling to unit energy).

    Not where the wavelet is not minimum phase (vibroseis and zero-phase data: convert them first, `phase_convert`),
    not after AGC with short windows or NMO, which change the periods, and not for long-period multiples of dipping
    water bottoms. Noise enters the operator: mute, edit and filter before, and keep operators shorter than a tenth
    of the design window.

    Source: Robinson and Treitel, Geophysical Signal Analysis (Prentice-Hall, 1980); Peacock and
    Treitel, Predictive deconvolution: theory and practice, Geophysics 34 (1969), 155-169.
    """


@processor("decon_ensemble", scope="gather", kernels=KERNELS, claims=claims.DECON_ENSEMBLE)
class DeconEnsemble(_PredictionError):
    """Spiking and predictive deconvolution with operators shared between the traces of a gather.

    As `decon`, with the autocorrelation of each trace replaced by the weighted mean over its neighbours in the gather:
    r = sum_k w_k r_k / sum_k w_k. ``mix`` holds an odd number of weights, the middle one for the trace itself; beyond
    the ends of the gather and for dead traces weights are left out. Without `mix` all live traces of the gather
    share one operator. Averaging steadies operators where single traces are noisy, and is what a
    surface-consistent wavelet in a shot record asks for. Each trace counts by its energy: balance first where that
    differs by no fault of the wavelet.

    ``mode = "su"`` reproduces Seismic Unix `supef`: weights for the trace and those before it, divided by their number,
    missing ones as zeros.

    Not where the wavelet differs from trace to trace (near-surface variations, mixed receivers): use `decon`.

    Source: Peacock and Treitel, Geophysics 34 (1969), 155-169; Yilmaz, Seismic Data Analysis (SEG, 2001), chapter 2.
    """

    mix: tuple[float, ...] = param((), help="Weights over neighbouring traces; the whole gather without.", minimum=0)
    mode: Literal["centred", "su"] = param("centred", help="Neighbours on both sides, or as Seismic Unix.")

    def check(self, layout: Layout) -> None:
        super().check(layout)
        if self.mode == "su" and not self.mix:
            raise self.bad("mix", 'needs weights with mode = "su"')
        if self.mode == "centred" and self.mix and len(self.mix) % 2 == 0:
            raise self.bad("mix", f"must be an odd number of weights, not {len(self.mix)}")
        if self.mix and not any(self.mix):
            raise self.bad("mix", "needs a weight above 0")

    def share(self, lags: np.ndarray, batch: Gather) -> np.ndarray:
        starts, gather = batch.gather_starts, batch.gather_of
        alive = (lags[:, 0] > 0).astype(np.float64)
        if not self.mix:
            # Row sums by gather through np.add.at: gathers may be empty, which reduceat does not allow.
            total, count = np.zeros((batch.n_gathers, lags.shape[1])), np.zeros(batch.n_gathers)
            np.add.at(total, gather, lags)
            np.add.at(count, gather, alive)
            mean: np.ndarray = (total / np.maximum(count, 1)[:, None])[gather]
            return mean
        row, mixed, weight = np.arange(len(lags)), np.zeros_like(lags), np.zeros(len(lags))
        for k, w in enumerate(self.mix):
            source = row - k if self.mode == "su" else row + k - len(self.mix) // 2
            inside = (source >= starts[gather]) & (source < starts[gather + 1])
            taken = np.where(inside, source, 0)
            mixed += w * np.where(inside[:, None], lags[taken], 0)  # never 0 * NaN of another gather
            weight += w * np.where(inside, alive[taken], 0)
        if self.mode == "su":
            weight[:] = len(self.mix)
        return mixed / np.where(weight > 0, weight, 1)[:, None]


def _as_traces(batch: Gather, gap: int, predictor: np.ndarray, context: Context) -> Gather:
    """Prediction-error operators as traces that are live for their length; dead traces stay dead."""
    first, end = batch.live_window
    length = gap + predictor.shape[1]
    out = context.empty(batch.traces.shape)
    out[...] = 0
    out[:, gap:length] = -predictor
    out[:, 0] = 1
    out[end <= first] = 0
    return batch.with_live_window(out, np.zeros_like(first), np.where(end > first, length, 0))
