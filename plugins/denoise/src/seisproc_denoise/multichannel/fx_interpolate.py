"""New traces by prediction filters in f-x: between all traces, or where some are missing."""

from __future__ import annotations

import numpy as np
import scipy

from seisproc_core.data.gather import Gather, Layout, mute_outside
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_denoise.multichannel import claims
from seisproc_denoise.multichannel.fx_decon import cut, joined, prediction_filter
from seisproc_denoise.multichannel.rows import Rows, filled, halved, revived
from seisproc_denoise.multichannel.windows import Window, line_of, line_problem, live_traces, windows

DAMPING = 1e-3  # of the filter equations
ELEMENTS = 1 << 17  # of the matrices of some columns: they stay in cache
TIES = 1e-6  # damping of the unknown traces, as part of the mean diagonal


class _Interpolation(Processor):
    """What both interpolations share: windows, the solution for unknown traces, blending."""

    filter_traces: int
    window_traces: int
    window_ms: float

    def rows(self, layout: Layout) -> Rows:
        """The rows of the output."""
        raise NotImplementedError

    def spectra(self, pieces: np.ndarray, length: int, index: np.ndarray, out: np.ndarray) -> tuple[np.ndarray, int]:
        """Write spectra of windows to their positions.

        Returns those that filters are found on, and how many output positions lie between their traces.
        """
        raise NotImplementedError

    def positions(self, gather: Layout) -> np.ndarray:
        """Output position of each trace of one gather."""
        raise NotImplementedError

    def check(self, layout: Layout) -> None:
        if self.window_traces <= 2 * self.filter_traces:
            least = 2 * self.filter_traces + 1
            raise self.bad("window_traces", f"must be {least} at least for {self.filter_traces} filter traces")
        if self.window_ms / 1000 < 16 * layout.sampling.interval_s:
            raise self.bad("window_ms", f"must hold 16 samples ({16000 * layout.sampling.interval_s:g} ms) at least")

    def plan(self, layout: Layout) -> Layout:
        return self.rows(layout).layout(layout)

    def apply(self, batch: Gather, context: Context) -> Gather:
        rows = self.rows(batch)
        planned = self.plan(batch)
        out = context.empty((planned.n_traces, batch.n_samples))
        for gather, start, stop in zip(batch.split(), rows.starts[:-1], rows.starts[1:], strict=True):
            if gather.n_traces:
                out[start:stop] = self._completed(gather, int(stop - start), context)
        kept = ~rows.new
        first, end = batch.live_window
        alive = (end > first)[rows.left[kept]]
        out[np.flatnonzero(kept)[alive]] = batch.traces[rows.left[kept][alive]]
        mute_outside(out, *planned.live_window)
        return Gather(
            headers=planned.headers, sampling=planned.sampling, gather_starts=planned.gather_starts, traces=out
        )

    def _completed(self, gather: Gather, count: int, context: Context) -> np.ndarray:
        """Output traces of one gather that no live trace stands for, float32 ``(count, n_samples)``; 0 for others."""
        first, end = gather.live_window
        length = min(gather.n_samples, round(self.window_ms / 1000 / gather.sampling.interval_s))
        down = windows(gather.n_samples, length, length // 4)
        padded = scipy.fft.next_fast_len(length + length // 4, real=True)
        pieces = cut(live_traces(gather), down)
        bins = padded // 2 + 1
        index, alive = self.positions(gather), end > first
        known = np.zeros(count, bool)
        known[index[alive]] = True
        spectra = np.zeros((count, len(down) * bins), np.complex128)
        pilot, step = self.spectra(pieces, padded, index, spectra)
        made = np.zeros_like(spectra)
        total = np.zeros(count)
        for window in self._across(count, step):
            context.check()
            weight = window.weight + 1e-9
            part = window.points
            if not known[part].all():
                made[part] += weight[:, None] * self._solved(spectra[part], known[part], pilot, window, step)
            total[part] += weight
        wanted = (made[~known] / total[~known, None]).reshape(-1, len(down), bins)
        traces = np.zeros((count, gather.n_samples), np.float32)
        traces[~known] = joined(scipy.fft.irfft(wanted, padded, axis=2, workers=1), down, gather.n_samples)
        return traces

    def _across(self, count: int, step: int) -> list[Window]:
        """Windows of output positions that begin and end on traces the filters are found on."""
        coarse = windows((count - 1) // step + 1, self.window_traces, self.window_traces // 2)
        made = []
        for window in coarse:
            places = np.arange(window.start * step, (window.stop - 1) * step + 1)
            weight = np.interp(places / step, np.arange(window.start, window.stop), window.weight)
            made.append(Window(int(places[0]), int(places[-1]) + 1, weight))
        return made

    def _solved(
        self, spectra: np.ndarray, known: np.ndarray, pilot: np.ndarray, window: Window, step: int
    ) -> np.ndarray:
        """The traces of a window: known ones as they are, the others as the filter predicts them best."""
        heard = np.arange(window.start, window.stop, step)
        there = known[::step]
        for order in range(min(self.filter_traces, (len(heard) - 1) // 2), 0, -1):
            full = np.array([there[n - order : n + 1].all() for n in range(order, len(there))])
            if full.sum() > order // 2:
                made = np.empty_like(spectra)
                some = max(1, ELEMENTS // max(len(known) * int(np.count_nonzero(~known)), (order + 1) * len(full)))
                for start in range(0, spectra.shape[1], some):
                    columns = slice(start, start + some)
                    data = pilot[heard // step if step > 1 else heard, columns]
                    filter_ = prediction_filter(data, order + np.flatnonzero(full), order, DAMPING)
                    assert filter_ is not None  # some equations are there
                    made[:, columns] = best_predicted(spectra[:, columns], known, filter_)
                return made
        return _linear(spectra, known)


def best_predicted(spectra: np.ndarray, known: np.ndarray, filter_: np.ndarray) -> np.ndarray:
    """Fill in unknown traces so that all are predicted best by a filter from before and, conjugated, from after.

    Minimises ``sum_n |u[n] - sum_k p_k u[n-k]|^2 + |u[n] - sum_k conj(p_k) u[n+k]|^2`` over the unknown u.

    Parameters
    ----------
    spectra
        Complex128 ``(n_traces, n_columns)``.
    known
        Bool ``(n_traces,)``.
    filter_
        Complex128 ``(order, n_columns)``.

    Returns
    -------
    numpy.ndarray
        Complex128, shape of `spectra`.
    """
    order, n_columns = filter_.shape
    count, unknown = len(spectra), np.flatnonzero(~known)
    error = np.concatenate((np.ones((1, n_columns)), -filter_)).T
    forward = error[:, ::-1].conj()[:, :, None] * error[:, None, ::-1]
    backward = error[:, :, None] * error.conj()[:, None, :]
    both = forward + backward
    normal = np.zeros((n_columns, len(unknown), count), np.complex128)  # rows of the unknown alone
    for row, place in enumerate(unknown):
        for n in range(max(place - order, 0), min(place + 1, count - order)):
            normal[:, row, n : n + order + 1] += both[:, place - n]
    matrix = normal[:, :, unknown]
    mean = np.trace(matrix, axis1=1, axis2=2).real / len(unknown)
    matrix[:, np.arange(len(unknown)), np.arange(len(unknown))] += (TIES * mean + 1e-300)[:, None]
    data = np.where(known[:, None], spectra, 0)
    right = -(normal @ data.T[:, :, None])
    ill = ~np.isfinite(matrix).all(axis=(1, 2))  # NaN in a known trace stays in this gather, and stops nothing
    matrix[ill] = np.eye(len(unknown))
    right[ill] = np.nan
    data[unknown] = np.linalg.solve(matrix, right)[:, :, 0].T
    return data


def _linear(spectra: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Unknown traces between the nearest known ones, linearly; nothing where there is none."""
    if not known.any():
        return np.zeros_like(spectra)
    there, places = np.flatnonzero(known), np.arange(len(known))
    above = np.searchsorted(there, places).clip(max=len(there) - 1)
    low = there[(np.searchsorted(there, places, side="right") - 1).clip(min=0)]
    high = there[above]
    part = np.where(high > low, (places - low) / np.maximum(high - low, 1), 0.0)[:, None]
    between: np.ndarray = spectra[low] * (1 - part) + spectra[high] * part
    return between


@processor("fx_interpolate", scope="gather", version=2, claims=claims.FX_INTERPOLATE)
class FxInterpolate(_Interpolation):
    """Halve the trace spacing: a new trace in the middle of every two, also where dips are aliased.

    A prediction filter found at frequency f/2 on the spacing dx predicts at f on dx/2, because straight events have the
    same phase step from trace to trace. In overlapping windows of time and space, filters of `filter_traces`
    coefficients p are found on the input at f/2, and the new traces are those that all traces u of the finer spacing
    are predicted best by: least sum_n |u[n] - sum_k p_k u[n-k]|^2 + |u[n] - sum_k conj(p_k) u[n+k]|^2.
    Input traces stay as they are. A gather of n traces gets 2 n - 1. New headers: words of the trace to the left,
    lengths, coordinates and elevations in the middle, and the live window that both neighbours have.

    Traces count as equally spaced; put missing ones in first (`fx_fill`). New traces hold what the others predict, so
    they lack most of the random noise of their neighbours: of white noise a third is left. On noisy data every second
    trace looks weaker; take the noise from all before (`fx_decon`), and they are even.

    Not with more dips in a window than filter coefficients, nor on curved events in wide windows. Not at frequencies
    where two dips are one alias apart on the input: no filter tells them from each other.

    Source: Spitz, Geophysics 56(6), 1991.
    """

    filter_traces: int = param(4, help="Coefficients of the prediction filter.", minimum=1, maximum=32)
    window_traces: int = param(20, help="Input traces of a window; neighbours overlap by half.", minimum=3)
    window_ms: float = param(1000.0, help="Length of a time window; overlap is a quarter.", unit="ms", above=0)

    def rows(self, layout: Layout) -> Rows:
        return halved(layout)

    def positions(self, gather: Layout) -> np.ndarray:
        return 2 * np.arange(gather.n_traces)

    def spectra(self, pieces: np.ndarray, length: int, index: np.ndarray, out: np.ndarray) -> tuple[np.ndarray, int]:
        # Twice the padding gives the components half-way between those of the output too.
        finer, bins = scipy.fft.rfft(pieces, 2 * length, axis=2, workers=1), length // 2 + 1
        out[index] = finer[:, :, : 2 * bins - 1 : 2].reshape(len(index), -1)
        return finer[:, :, :bins].reshape(len(index), -1).astype(np.complex128), 2


@processor("fx_fill", scope="gather", version=2, claims=claims.FX_FILL)
class FxFill(_Interpolation):
    """Put traces where positions of a regular line have none, and restore dead ones.

    Positions come from a header word; every multiple of the spacing between the first and the last trace of a gather
    gets a row. In overlapping windows of time and space a prediction filter is found at each frequency on runs of live
    neighbours, and missing traces u are those that all traces are predicted best by, forwards and backwards: least
    sum_n |u[n] - sum_k p_k u[n-k]|^2 + |u[n] - sum_k conj(p_k) u[n+k]|^2 (shorter filters, and at last linear
    interpolation, where gaps leave too few neighbours). Live traces stay as they are. With ``revive = false`` dead
    traces stay dead. New headers: words of the trace to the left, lengths, coordinates and elevations interpolated, and
    the live window that both neighbours have.

    Gaps should be narrower than the filter; wide ones fade to nothing of use.

    Not where every second trace is missing: leave those out and use `fx_interpolate`.

    Source: filters from complete rows, then the data they predict best: Claerbout, Earth Soundings Analysis (Blackwell,
    1992), chapter 8; in f-x: Spitz, Geophysics 56(6), 1991.
    """

    filter_traces: int = param(4, help="Coefficients of the prediction filter.", minimum=1, maximum=32)
    window_traces: int = param(20, help="Positions of a window; neighbours overlap by half.", minimum=3)
    window_ms: float = param(1000.0, help="Length of a time window; overlap is a quarter.", unit="ms", above=0)
    position: str = param("offset", help="Header word with the position along the line, m.")
    revive: bool = param(True, help="Restore dead traces too.")

    def plan(self, layout: Layout) -> Layout:
        planned = super().plan(layout)
        return revived(planned) if self.revive else planned

    def check(self, layout: Layout) -> None:
        super().check(layout)
        if (problem := line_problem(layout, self.position, None)) is not None:
            raise self.bad("position", problem)

    def rows(self, layout: Layout) -> Rows:
        bounds = zip(layout.gather_starts[:-1], layout.gather_starts[1:], strict=True)
        headers = layout.headers
        parts = [Layout(headers=headers.take(slice(int(a), int(b))), sampling=layout.sampling) for a, b in bounds]
        return filled(layout, [self.positions(part) for part in parts])

    def positions(self, gather: Layout) -> np.ndarray:
        return line_of(gather, self.position, None).index

    def spectra(self, pieces: np.ndarray, length: int, index: np.ndarray, out: np.ndarray) -> tuple[np.ndarray, int]:
        out[index] = scipy.fft.rfft(pieces, length, axis=2, workers=1).reshape(len(index), -1)
        return out, 1
