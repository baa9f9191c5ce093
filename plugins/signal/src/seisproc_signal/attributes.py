"""Attributes of traces, measured from their samples into header words."""

from __future__ import annotations

import re
from typing import Literal

import attrs
import numpy as np
import scipy

from seisproc_core.data.gather import Gather, Layout, mute_outside
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_signal import claims
from seisproc_signal.windows import check_window, guided_window, window_end, window_start, window_velocity

ROWS = 32  # traces between two looks at the cancel flag; their spectra stay in cache
SPECTRAL = ("centroid_hz", "bandwidth_hz")
Measure = Literal["rms", "peak", "mean", "centroid_hz", "bandwidth_hz"]


@processor("attributes", scope="trace", headers_only=True, claims=claims.ATTRIBUTES)
class Attributes(Processor):
    """Measure each trace in a window and keep what was found in header words: amplitude, bias, frequency.

    Over the n live samples x of the window: ``rms`` = sqrt(sum x^2 / n), ``peak`` = max |x|, ``mean`` = sum x / n. With
    their power spectrum P(f) = |X(f)|^2 from 0 to Nyquist: ``centroid_hz`` fc = sum f P / sum P, and ``bandwidth_hz`` =
    sqrt(sum (f - fc)^2 P / sum P). The words are called `prefix` and the measure: ``trace_rms``. A trace without live
    samples in the window gets 0, one that holds NaN too. Samples stay as they are.

    What is in words can be mapped by source, receiver, CMP or offset (`seisproc map --kind attribute`), listed, and
    used to choose traces (`kill`, `select`). Another `prefix` keeps a second window beside the first: signal, and what
    comes before the first arrival, whose ratio `header_math` forms.

    Not the frequencies of windows shorter than some periods: the spectrum of what a window cuts is wider.

    Source: Barnes, Instantaneous spectral bandwidth and dominant frequency, Geophysics 58 (1993), 419-428, for moments
    of spectra.
    """

    measures: tuple[Measure, ...] = param(
        ("rms", "peak", "centroid_hz"), help="What is measured: rms, peak, mean, centroid_hz, bandwidth_hz."
    )
    prefix: str = param("trace_", help="What the names of the words begin with.")
    start_ms: float | None = window_start()
    end_ms: float | None = window_end()
    velocity_m_per_s: float | None = window_velocity()

    def check(self, layout: Layout) -> None:
        if not self.measures or len(set(self.measures)) < len(self.measures):
            raise self.bad("measures", "must name one measure or more, each once")
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.prefix):
            raise self.bad("prefix", f"must be lower-case letters, digits and _, as in trace_, not '{self.prefix}'")
        if layout.sampling.domain != "time" and any(name in SPECTRAL for name in self.measures):
            raise self.bad("measures", f"{SPECTRAL[0]} needs traces in time, these are in {layout.sampling.domain}")
        check_window(self, layout, "start_ms", "end_ms")

    def plan(self, layout: Layout) -> Layout:
        zeros = np.zeros(layout.n_traces, np.float32)
        headers = layout.headers.with_columns(**dict.fromkeys(self._words(), zeros))
        return attrs.evolve(layout, headers=headers)

    def _words(self) -> list[str]:
        return [self.prefix + name for name in self.measures]

    def apply(self, batch: Gather, context: Context) -> Gather:
        first, end = guided_window(batch, self.start_ms, self.end_ms, self.velocity_m_per_s)
        found = np.zeros((len(self.measures), batch.n_traces), np.float32)
        for row in range(0, batch.n_traces, ROWS):
            context.check()
            rows = slice(row, row + ROWS)
            traces = batch.traces[rows].astype(np.float64)
            mute_outside(traces, first[rows], end[rows])
            traces[~np.isfinite(traces).all(axis=1)] = 0
            found[:, rows] = measured(traces, end[rows] - first[rows], batch.sampling.interval_s, self.measures)
        return batch.with_headers(batch.headers.with_columns(**dict(zip(self._words(), found, strict=True))))


def measured(traces: np.ndarray, count: np.ndarray, interval_s: float, measures: tuple[str, ...]) -> np.ndarray:
    """Measures of traces, one row each; 0 for silence.

    Parameters
    ----------
    traces
        float64 ``(n_traces, n_samples)``, finite, 0 outside the window.
    count
        Samples of each inside the window.
    interval_s
        Sample interval, s.
    """
    samples = np.maximum(count, 1)
    made = {
        "rms": lambda: np.sqrt(np.sum(traces**2, axis=1) / samples),
        "peak": lambda: np.abs(traces).max(axis=1, initial=0),
        "mean": lambda: traces.sum(axis=1) / samples,
    }
    if any(name in SPECTRAL for name in measures):
        centroid, bandwidth = _moments(traces, interval_s)
        made |= {"centroid_hz": lambda: centroid, "bandwidth_hz": lambda: bandwidth}
    return np.stack([made[name]() for name in measures])


def _moments(traces: np.ndarray, interval_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean frequency of the power spectrum of each trace, and the standard deviation about it."""
    # Zeros appended, so that the spectrum is sampled finely enough whatever the window.
    length = scipy.fft.next_fast_len(2 * traces.shape[1], real=True)
    power = np.abs(scipy.fft.rfft(traces, length, axis=1, workers=1)) ** 2
    frequency = scipy.fft.rfftfreq(length, interval_s)
    power[:, 0] /= 2  # the trapezoidal rule
    total = power.sum(axis=1)
    total = np.where(total > 0, total, 1)
    centroid = power @ frequency / total
    spread = np.sum((frequency - centroid[:, None]) ** 2 * power, axis=1) / total
    silent = ~traces.any(axis=1)
    return np.where(silent, 0, centroid), np.where(silent, 0, np.sqrt(spread))
