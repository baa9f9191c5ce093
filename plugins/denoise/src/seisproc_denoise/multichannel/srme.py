"""Surface-related multiples of a 2-D line, predicted from its own traces."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from seisproc_core.data.gather import Gather, Layout, mute_outside
from seisproc_core.data.headers import Headers
from seisproc_core.processing.claims import Claims
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import processor
from seisproc_core.processing.survey_scope import SurveyProcessor, Tables
from seisproc_denoise.multichannel.srme_sum import pairs
from seisproc_denoise.multichannel.windows import live_traces

ROWS = 64  # traces predicted at a time
ON_GRID = 0.01  # spacings: nearer to a point of the grid than that needs no moveout


@processor(
    "srme",
    scope="survey",
    kernels=("sum_of_products",),
    claims=Claims(beyond_suite="it needs a whole survey to predict from"),
)
class Srme(SurveyProcessor):
    """Predict all surface-related multiples: the output is the model that `adaptive_subtract` takes off.

    A multiple of the free surface is a wave that comes up at a surface point k and goes down again there. So the
    multiples on the trace from source s to receiver r are M(s, r) = -sum_k p(s, k) * p(k, r) dx, with * the convolution
    of traces, over points k every `spacing_m` from `aperture_m` before to `aperture_m` behind the two, tapered over
    the outer quarter. The square root of i omega makes up for summing along a line what spreads in three dimensions.
    Nothing about the ground is needed. The wavelet stands in the model twice and its level is arbitrary (that of the
    data); the adaptive subtraction mends both.

    p(a, b) is the trace of nearly the offset |b - a| whose midpoint is nearest, by reciprocity from either side.
    Offsets are moved to multiples of `spacing_m` by hyperbolic moveout with `velocity_m_per_s`; the same makes offsets
    that are missing, those below the nearest above all, from the nearest. Beyond the farthest traces count as zero.

    The sea floor shall be seen at near offsets, direct waves and refractions be muted, and amplitudes as recorded (no
    AGC). Memory: all traces of the survey, as spectra up to `max_hz`, in every worker.

    Not where the line is three-dimensional (side-swipe, strong cross-dip: predicted times are wrong), not in water so
    shallow that its reflections are beyond critical at the nearest offset, and not on land.

    Source: Berkhout and Verschuur, Estimation of multiple scattering by iterative inversion, Part I, Geophysics 62
    (1997), 1586-1595; Verschuur, Berkhout and Wapenaar, Geophysics 57 (1992), 1166-1177; nearest traces with moveout:
    Dragoset et al., A perspective on 3D surface-related multiple elimination, Geophysics 75 (2010), 75A245-75A261.
    """

    spacing_m: float = param(help="Distance of the surface points, that of receivers or less.", unit="m", above=0)
    aperture_m: float = param(500.0, help="How far points reach beyond source and receiver.", unit="m", minimum=0)
    velocity_m_per_s: float = param(1500.0, help="Velocity of the moveout between offsets.", unit="m/s", above=0)
    max_hz: float = param(80.0, help="Highest frequency that is predicted.", unit="Hz", above=0)

    solves = ("traces", "classes", "line")

    def check(self, layout: Layout) -> None:
        for word in ("source_x", "receiver_x"):
            layout.headers.column(word)
        nyquist = 0.5 / layout.sampling.interval_s
        if self.max_hz > nyquist:
            raise self.bad("max_hz", f"must not exceed the Nyquist frequency of {nyquist:g} Hz")
        at = _places(layout.headers)
        farthest = float(np.sqrt(((at[:, 0] - at[:, 1]) ** 2).sum(axis=-1)).max(initial=0))
        if self.spacing_m > max(farthest, 1e-9) / 4:
            raise self.bad("spacing_m", f"must be less than a quarter of the largest offset ({farthest:g} m)")

    def measuring_order(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return ("source_x",), ("receiver_x",)

    def measured(self, layout: Layout) -> np.dtype[Any]:
        sampling = layout.sampling
        axis = [("start_s", "f8"), ("interval_s", "f8")]
        return np.dtype([("place", "f8", (2, 2)), *axis, ("samples", "f4", (sampling.count,))])

    def measure(self, batch: Gather, context: Context) -> np.ndarray:
        records = np.zeros(batch.n_traces, self.measured(batch.layout))
        records["place"] = _places(batch.headers)
        records["start_s"], records["interval_s"] = batch.sampling.start_s, batch.sampling.interval_s
        records["samples"] = live_traces(batch)
        return records

    def solve(self, records: np.ndarray, context: Context) -> Tables:
        """Spectra of all live traces at offsets on the grid, by class of offset, then midpoint."""
        times = records["start_s"][:1] + records["interval_s"][:1] * np.arange(records["samples"].shape[1])
        records = records[np.asarray(records["samples"].any(axis=1))]
        line = _direction(records["place"])
        place = records["place"] @ line
        midpoint, offset = place.mean(axis=1), np.abs(place[:, 1] - place[:, 0])
        kind = np.rint(offset / self.spacing_m).astype(np.int64)
        axis = Axis(times, self.max_hz)
        present = np.unique(kind)
        rows, kinds, spectra = [], [], []
        for number in range(int(kind.max(initial=-1)) + 1):
            context.check()
            chosen = np.flatnonzero(kind == present[np.abs(present - number).argmin()])  # an empty class: the nearest
            chosen = chosen[np.argsort(midpoint[chosen], kind="stable")]
            rows.append(chosen)
            kinds.append(np.full(len(chosen), number))
            moved = self._moved(times, records["samples"][chosen], offset[chosen], number * self.spacing_m)
            spectra.append(axis.spectra(moved))
        held = np.concatenate([np.zeros(0, np.int64), *rows])
        energy = np.einsum("ij,ij->i", records["samples"], records["samples"], dtype=np.float64)
        level = np.sqrt(energy.mean()) if len(records) else 1.0
        return {
            "traces": {
                "midpoint_m": midpoint[held],
                "spectrum": np.concatenate([np.zeros((0, axis.used), np.complex64), *spectra])
                / np.float32(np.sqrt(level)),
            },
            "classes": {"first": np.searchsorted(np.concatenate([np.zeros(0), *kinds]), np.arange(len(kinds) + 1))},
            "line": {"direction": line},
        }

    def _moved(self, times: np.ndarray, samples: np.ndarray, offset: np.ndarray, wanted: float) -> np.ndarray:
        """Traces as if they were of another offset: every sample at the time its reflection has there."""
        out, offset = samples.copy(), np.round(offset, 3)
        for distance in np.unique(offset[np.abs(offset - wanted) > ON_GRID * self.spacing_m]):
            rows = np.flatnonzero(offset == distance)  # to the millimetre
            square = np.square(np.maximum(times, 0)) + (distance**2 - wanted**2) / self.velocity_m_per_s**2
            at = np.sqrt(np.maximum(square, 0))
            curves = scipy.interpolate.make_interp_spline(times, samples[rows].T.astype(np.float64), k=3)
            read = curves(np.clip(at, times[0], times[-1])).T
            out[rows] = np.where((square < 0) | (at > times[-1]), 0.0, read)
        return out

    def apply(self, batch: Gather, context: Context) -> Gather:
        first, end = batch.live_window
        axis = Axis(batch.sampling.times(), self.max_hz)
        solution = context.solution
        live = np.flatnonzero(end > first)
        place = _places(batch.headers)[live] @ solution["line"]["direction"]
        spectra, reach = solution["traces"]["spectrum"], int(np.floor(self.aperture_m / self.spacing_m))
        midpoints, starts = solution["traces"]["midpoint_m"], solution["classes"]["first"]
        out = context.empty(batch.traces.shape)
        out[...] = 0
        for start in range(0, len(live), ROWS):
            context.check()
            rows = slice(start, start + ROWS)
            chosen = pairs(place[rows, 0], place[rows, 1], midpoints, starts, self.spacing_m, reach)
            summed = np.empty((len(place[rows]), spectra.shape[1]), np.complex64)
            context.kernel("sum_of_products")(spectra, chosen, summed, context.flag)
            out[live[rows]] = axis.traces(-self.spacing_m * summed)
        mute_outside(out, first, end)
        return batch.with_traces(out)


class Axis:
    """Times of samples and the spectra of traces on them, times counted from the source."""

    def __init__(self, times: np.ndarray, max_hz: float) -> None:
        self.count, interval_s = len(times), float(times[1] - times[0])
        self.length = scipy.fft.next_fast_len(2 * self.count, real=True)
        hz = scipy.fft.rfftfreq(self.length, interval_s)
        self.used = int(np.searchsorted(hz, max_hz, side="right"))
        self.start = np.exp(-2j * np.pi * hz[: self.used] * times[0]).astype(np.complex64)
        taper = np.clip((max_hz - hz[: self.used]) / (0.1 * max_hz), 0, 1)
        half_derivative = np.sqrt(2j * np.pi * hz[: self.used]) * np.sin(np.pi / 2 * taper) ** 2
        self.back = (half_derivative / self.start).astype(np.complex64)

    def spectra(self, samples: np.ndarray) -> np.ndarray:
        return np.asarray(
            scipy.fft.rfft(samples, self.length, axis=1, workers=1)[:, : self.used] * self.start, np.complex64
        )

    def traces(self, products: np.ndarray) -> np.ndarray:
        """Samples of products of two spectra each."""
        whole = np.zeros((len(products), self.length // 2 + 1), np.complex64)
        whole[:, : self.used] = products * self.back
        return np.asarray(scipy.fft.irfft(whole, self.length, axis=1, workers=1)[:, : self.count])


def _places(headers: Headers) -> np.ndarray:
    """Coordinates of source and receiver, metres: ``(n_traces, 2, 2)``; y is 0 where the words are not there."""
    zeros = np.zeros(headers.count)
    found = [
        [headers[word].astype(np.float64) if word in headers else zeros for word in (f"{end}_x", f"{end}_y")]
        for end in ("source", "receiver")
    ]
    return np.moveaxis(np.array(found), -1, 0)


def _direction(place: np.ndarray) -> np.ndarray:
    """Unit vector along the line of all sources and receivers, pointing to greater x."""
    at = place.reshape(-1, 2)
    if len(at) < 2:
        return np.array([1.0, 0.0])
    vector = np.linalg.svd(at - at.mean(axis=0), full_matrices=False)[2][0]
    return np.asarray(vector * (1.0 if vector[0] > 0 or (vector[0] == 0 and vector[1] > 0) else -1.0))
