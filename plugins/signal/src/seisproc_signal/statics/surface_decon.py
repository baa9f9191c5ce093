"""Surface-consistent deconvolution: one operator for every source and receiver, from the spectra of all traces."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import processor
from seisproc_core.processing.survey_scope import Tables
from seisproc_signal import claims
from seisproc_signal.statics.stations import decompose
from seisproc_signal.statics.surface_terms import ALL, DAMPING, SurfaceConsistent
from seisproc_signal.windows import whole_samples

FREQUENCIES = 16  # solved for side by side: what fits into memory twice, of all traces


@processor(
    "surface_consistent_decon",
    scope="survey",
    kernels=("autocorrelate", "levinson", "convolve"),
    claims=claims.SURFACE_CONSISTENT_DECON,
)
class SurfaceConsistentDecon(SurfaceConsistent):
    """Spiking deconvolution with the wavelet of the survey, of every source and of every receiver.

    The logarithms of the power spectra of all traces, ln P(f) = mean + s(source) + r(receiver) + h(offset) + g(gather),
    are split frequency by frequency by least squares. Spectra are those of autocorrelations over the design window,
    tapered (Parzen) at twice the operator's length, plus the prewhitening. For every trace the spectrum of the mean
    (unless ``whiten = false``) and of the terms that `correct` names, exp(mean + s + r), becomes an
    autocorrelation again, and that a prediction-error operator of `operator_ms`, as in `decon`: the minimum-phase
    inverse of the product of minimum-phase wavelets. So a noisy trace gets the operator of its source and receiver,
    which hundreds of traces measured, and reflectivity, which differs from trace to trace, stays out of it.
    With ``whiten = false`` only differences between sources and receivers go, not the wavelet they share.

    A source or receiver with fewer than `min_traces` traces in the window gets the wavelet of the survey. Amplitudes:
    operators begin with 1, as in `decon`; `surface_consistent_amplitude` before it evens levels out.

    `surface_decon` is 1 on traces of a survey that had it; its presence refuses a second time.

    Not where the wavelet is not minimum phase (vibroseis: `phase_convert` first); not after AGC or NMO. Steady noise in
    the window (hum, ground roll) is whitened as if it were wavelet: filter and mute before.

    Source: Cary and Lorentz, Four-component surface-consistent deconvolution, Geophysics 58 (1993), 383-392; Cambois
    and Stoffa, Surface-consistent deconvolution in the log/Fourier domain, Geophysics 57 (1992), 823-840; Levin,
    Surface-consistent deconvolution, Geophysics 54 (1989), 1123-1133.
    """

    operator_ms: float = param(120.0, help="Length of the prediction operator.", unit="ms", above=0)
    prewhitening_percent: float = param(
        0.1, help="White noise added to spectra and to the operator's zero lag.", unit="%", above=0, maximum=100
    )
    whiten: bool = param(True, help="Take off the wavelet that all traces share, too.")

    solves = (*ALL, "mean")

    def check(self, layout: Layout) -> None:
        super().check(layout)
        if "surface_decon" in layout.headers:
            raise self.bad("correct", "such deconvolution was done already (word 'surface_decon' is there)")
        taps = self._taps(layout)
        interval_ms = 1000 * layout.sampling.interval_s
        if taps < 2:
            raise self.bad("operator_ms", f"must be at least two samples ({2 * interval_ms:g} ms)")
        if 2 * taps > layout.n_samples:
            raise self.bad("operator_ms", f"must not exceed half the trace of {layout.n_samples * interval_ms:g} ms")

    def plan(self, layout: Layout) -> Layout:
        headers = layout.headers.with_columns(surface_decon=np.ones(layout.n_traces, np.uint8))
        return Layout(headers=headers, sampling=layout.sampling, gather_starts=layout.gather_starts)

    def _taps(self, layout: Layout) -> int:
        return whole_samples(self.operator_ms, layout.sampling)

    def measured(self, layout: Layout) -> np.dtype[Any]:
        return np.dtype([*self.key_fields(), ("usable", "?"), ("spectrum", "f4", (2 * self._taps(layout) + 1,))])

    def measure(self, batch: Gather, context: Context) -> np.ndarray:
        records = np.zeros(batch.n_traces, self.measured(batch.layout))
        for term in self.terms:
            records[term] = self.keys(batch.headers, term)
        taps = self._taps(batch)
        lags = np.empty((batch.n_traces, 2 * taps))
        context.kernel("autocorrelate")(batch.traces, *self.design_window(batch), lags, context.flag)
        usable = lags[:, 0] > 0
        level = np.where(usable, lags[:, 0], 1.0)
        lags *= scipy.signal.windows.parzen(4 * taps - 1)[2 * taps - 1 :] / level[:, None]
        power = np.maximum(scipy.fft.rfft(_both_sides(lags), axis=1, workers=1).real, 0)
        records["spectrum"] = np.log(power + self.prewhitening_percent / 100)
        records["usable"] = usable
        return records

    def solve(self, records: np.ndarray, context: Context) -> Tables:
        usable, spectra = records["usable"], records["spectrum"]
        keys, indexes = self.stations_of(records)
        mean = spectra[usable].mean(axis=0, dtype=np.float64) if usable.any() else np.zeros(spectra.shape[1])
        damping = tuple(DAMPING[term] for term in self.terms)
        found = {term: np.zeros((len(keys[term]), spectra.shape[1])) for term in self.terms}
        for start in range(0, len(mean), FREQUENCIES):
            context.check()
            some = slice(start, start + FREQUENCIES)
            split = decompose(spectra[:, some] - mean[some], usable, list(indexes.values()), damping)
            for term, values in zip(self.terms, split, strict=True):
                found[term][:, some] = values
        tables: dict[str, dict[str, np.ndarray]] = {term: {} for term in ALL}
        for term, spectrum in found.items():
            traces = np.bincount(indexes[term], usable, minlength=len(spectrum))
            enough = traces >= (self.min_traces if term in ("source", "receiver") else 1)
            spectrum[~enough] = 0
            tables[term] = {**self.table(term, keys[term]), "log_power": spectrum, "traces": traces}
        tables["mean"] = {"log_power": mean}
        return tables

    def apply(self, batch: Gather, context: Context) -> Gather:
        taps = self._taps(batch)
        mean = np.asarray(context.solution["mean"]["log_power"])
        spectrum = np.tile(mean if self.whiten else np.zeros(len(mean)), (batch.n_traces, 1))
        for term in self.correct:
            table = dict(context.solution[term])
            spectrum += table["log_power"][self.station(batch.headers, term, table)]
        lags = scipy.fft.irfft(np.exp(spectrum), axis=1, workers=1)[:, : taps + 1]
        auto, cross = np.ascontiguousarray(lags[:, :taps]), np.ascontiguousarray(lags[:, 1:])
        auto[:, 0] *= 1 + self.prewhitening_percent / 100
        predictor = np.empty_like(auto)
        context.kernel("levinson")(auto, cross, predictor, context.flag)
        np.negative(predictor, out=predictor)
        first, end = batch.live_window
        out, lag = context.empty(batch.traces.shape), np.ones(batch.n_traces, np.int64)
        context.kernel("convolve")(batch.traces, first, end, predictor, lag, 1.0, first, end, out, context.flag)
        done = batch.with_traces(out)
        return done.with_headers(done.headers.with_columns(surface_decon=np.ones(batch.n_traces, np.uint8)))


def _both_sides(lags: np.ndarray) -> np.ndarray:
    """Autocorrelations of lags ``0 ... n - 1`` as periods of ``2 n`` samples, lag -n being 0."""
    return np.concatenate([lags, np.zeros((len(lags), 1)), lags[:, :0:-1]], axis=1)
