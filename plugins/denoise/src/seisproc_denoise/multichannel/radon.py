"""The Radon transform along curves of one family, and what damped least squares make of data with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Literal

import attrs
import numpy as np
import scipy

BLOCK_ELEMENTS = 1 << 15  # complex numbers of the transform that are in memory at once, worked on between two checks
CACHED_BYTES = 64 << 20  # projections of one geometry that are kept for the next gather
FLOOR = 1e-3  # least weight of a curve in the sparse solution

Curve = Literal["linear", "parabolic", "hyperbolic"]


def moveout(curve: Curve, offset_m: np.ndarray, reference_m: float, depth_m: float = 0.0) -> np.ndarray:
    """What each trace multiplies the curve parameter with: g(x), shape ``(n_traces,)``.

    Parameters
    ----------
    curve
        ``linear``: g = x in metres, so that the parameter is a slope in s/m. ``parabolic``: g = (x / x_ref)^2.
        ``hyperbolic``: g = (sqrt(x^2 + z^2) - z) / (sqrt(x_ref^2 + z^2) - z). The parameter of the latter two is
        the moveout at x_ref in seconds.
    reference_m, depth_m
        x_ref and z, positive where they are used.
    """
    if curve == "linear":
        return np.asarray(offset_m, np.float64)
    if curve == "parabolic":
        parabola: np.ndarray = np.square(np.asarray(offset_m, np.float64) / reference_m)
        return parabola
    # Subtracting roots of nearly equal size is avoided: sqrt(x^2 + z^2) - z = x^2 / (sqrt(x^2 + z^2) + z).
    x, scale = np.asarray(offset_m, np.float64), (np.hypot(reference_m, depth_m) + depth_m) / reference_m**2
    hyperbola: np.ndarray = np.square(x) / (np.hypot(x, depth_m) + depth_m) * scale
    return hyperbola


@attrs.frozen(eq=False)
class Radon:
    """d(t, x) = sum_k m(t - q_k g(x), q_k): curves of moveout q_k g, added up in the frequency domain.

    Attributes
    ----------
    moveout
        g of each trace, float64 ``(n_traces,)``.
    curves
        q of each curve, float64 ``(n_curves,)``; q g in seconds.
    n_samples, interval_s
        Of the traces.
    """

    moveout: np.ndarray
    curves: np.ndarray
    n_samples: int
    interval_s: float

    @property
    def length(self) -> int:
        """FFT length: no curve wraps round."""
        reach = np.abs(self.curves).max(initial=0) * np.abs(self.moveout).max(initial=0) / self.interval_s
        return int(scipy.fft.next_fast_len(self.n_samples + min(int(reach), self.n_samples) + 1, real=True))

    def frequencies(self, low_hz: float, high_hz: float) -> tuple[slice, np.ndarray]:
        """Which components of the FFT lie in a band, and their frequencies in Hz."""
        frequency = scipy.fft.rfftfreq(self.length, self.interval_s)
        inside = slice(*np.searchsorted(frequency, (low_hz - 1e-9, high_hz + 1e-9)))
        return inside, frequency[inside]

    def phases(self, frequency: np.ndarray) -> np.ndarray:
        """The transform at each frequency, complex128 ``(n_frequencies, n_traces, n_curves)``."""
        delay = np.multiply.outer(self.moveout, self.curves)
        phases: np.ndarray = np.exp(-2j * np.pi * np.multiply.outer(frequency, delay))
        return phases

    def blocks(self, frequency: np.ndarray) -> Iterator[slice]:
        """Parts of the frequencies small enough to hold the transform of."""
        step = max(1, BLOCK_ELEMENTS // max(1, len(self.moveout) * len(self.curves)))
        for start in range(0, len(frequency), step):
            yield slice(start, min(start + step, len(frequency)))

    def spectrum(self, traces: np.ndarray) -> np.ndarray:
        """The FFT of traces or of a model along time, complex, padded."""
        spectrum: np.ndarray = scipy.fft.rfft(traces, self.length, axis=-1, workers=1)
        return spectrum

    def traces(self, spectrum: np.ndarray) -> np.ndarray:
        """The inverse of `spectrum`."""
        traces: np.ndarray = scipy.fft.irfft(spectrum, self.length, axis=-1, workers=1)[..., : self.n_samples]
        return traces

    def forward(self, model: np.ndarray) -> np.ndarray:
        """Traces, float64 ``(n_traces, n_samples)``, of a model ``(n_curves, n_samples)``."""
        return self._through(np.asarray(model, np.float64), adjoint=False)

    def adjoint(self, data: np.ndarray) -> np.ndarray:
        """The adjoint of `forward`, slant stacks: ``(n_curves, n_samples)`` of traces ``(n_traces, n_samples)``."""
        return self._through(np.asarray(data, np.float64), adjoint=True)

    def _through(self, values: np.ndarray, *, adjoint: bool) -> np.ndarray:
        spectrum = self.spectrum(values)
        frequency = scipy.fft.rfftfreq(self.length, self.interval_s)
        result = np.empty((len(self.curves if adjoint else self.moveout), len(frequency)), np.complex128)
        for block in self.blocks(frequency):
            phases = self.phases(frequency[block])
            if adjoint:
                phases = phases.conj().transpose(0, 2, 1)
            result[:, block] = (phases @ spectrum[:, block].T[:, :, None])[:, :, 0].T
        return self.traces(result)

    def inverse(self, data: np.ndarray, damping: float) -> np.ndarray:
        """The model of least damped misfit, float64 ``(n_curves, n_samples)``.

        Minimises ``|d - L m|^2 + damping max(n_traces, n_curves) |m|^2`` at each frequency.
        """
        spectrum = self.spectrum(np.asarray(data, np.float64))
        frequency = scipy.fft.rfftfreq(self.length, self.interval_s)
        model = np.empty((len(self.curves), len(frequency)), np.complex128)
        for block in self.blocks(frequency):
            phases = self.phases(frequency[block])
            solved = np.linalg.solve(_normal(phases, None, damping), spectrum[:, block].T[:, :, None])
            model[:, block] = (phases.conj().transpose(0, 2, 1) @ solved)[:, :, 0].T
        return self.traces(model)


def _normal(phases: np.ndarray, weights: np.ndarray | None, damping: float) -> np.ndarray:
    """L W L^H with a damped diagonal, ``(n_frequencies, n_traces, n_traces)``."""
    n_traces, n_curves = phases.shape[1:]
    weighted = phases if weights is None else phases * weights
    matrix: np.ndarray = weighted @ phases.conj().transpose(0, 2, 1)
    level = n_curves if weights is None else float(weights.sum())
    matrix[:, np.arange(n_traces), np.arange(n_traces)] += damping * level * max(1.0, n_traces / n_curves)
    return matrix


def project(
    radon: Radon,
    data: np.ndarray,
    share: np.ndarray,
    band_hz: tuple[float, float],
    damping: float,
    sparse: int = 0,
    check: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """The part of the data that lies on some curves: transform, weigh the curves, transform back.

    Parameters
    ----------
    data
        Float32 ``(n_gathers, n_traces, n_samples)``, gathers of the same geometry.
    share
        Weight of each curve in the result, 0 to 1, ``(n_curves,)``.
    band_hz
        Lowest and highest frequency; the result holds nothing else.
    damping
        See `Radon.inverse`.
    sparse
        Times that the curves are weighted anew by the amplitude found on them; 0 for plain least squares.
    check
        Called between pieces of the work (a gather, a block of frequencies); raises to stop it.

    Returns
    -------
    numpy.ndarray
        Float32, shape of `data`.
    """
    inside, frequency = radon.frequencies(*band_hz)
    spectrum = radon.spectrum(data)
    if sparse:
        phases = list(_small_phases(radon, frequency)) if _is_small(radon, frequency) else None
        for number in range(len(data)):
            check()
            columns = spectrum[number][:, inside].T[:, :, None].copy()
            passes = (phases or _small_phases(radon, frequency) for _ in range(sparse + 1))
            spectrum[number] = 0
            spectrum[number][:, inside] = _sparse(passes, columns, share, damping, check)
    else:
        columns = spectrum[:, :, inside].transpose(2, 1, 0).copy()
        spectrum[...] = 0
        for block, projection in _projections(radon, share, frequency, damping):
            check()
            spectrum[:, :, inside.start + block.start : inside.start + block.stop] = (
                projection @ columns[block]
            ).transpose(2, 1, 0)
    return radon.traces(spectrum).astype(np.float32, copy=False)


def _projections(
    radon: Radon, share: np.ndarray, frequency: np.ndarray, damping: float
) -> Iterator[tuple[slice, np.ndarray]]:
    """Blocks of frequencies with their projection matrices, complex64 ``(n_frequencies, n_traces, n_traces)``."""
    if len(frequency) * len(radon.moveout) ** 2 * 8 <= CACHED_BYTES:
        arrays = (radon.moveout, radon.curves, share, frequency)
        known = _known(tuple(array.tobytes() for array in arrays), radon.n_samples, radon.interval_s, damping)
        for block in radon.blocks(frequency):
            if block.start not in known:
                known[block.start] = _projection(radon, share, frequency[block], damping)
            yield block, known[block.start]
        return
    for block in radon.blocks(frequency):
        yield block, _projection(radon, share, frequency[block], damping)


@lru_cache(maxsize=2)
def _known(arrays: tuple[bytes, ...], n_samples: int, interval_s: float, damping: float) -> dict[int, np.ndarray]:
    """The projections of one geometry found so far, by the first frequency of the block; work cut short goes on."""
    return {}


def _projection(radon: Radon, share: np.ndarray, frequency: np.ndarray, damping: float) -> np.ndarray:
    """L P L^H (L L^H + damping)^-1 at each frequency."""
    phases = radon.phases(frequency)
    kept = share != 0
    wanted = (phases[:, :, kept] * share[kept]) @ phases[:, :, kept].conj().transpose(0, 2, 1)
    # Both matrices are Hermitian: A B^-1 = (B^-1 A)^H.
    solved: np.ndarray = np.linalg.solve(_normal(phases, None, damping), wanted)
    return solved.conj().transpose(0, 2, 1).astype(np.complex64)


def _is_small(radon: Radon, frequency: np.ndarray) -> bool:
    """Whether the transform at all frequencies may stay in memory."""
    return len(frequency) * len(radon.moveout) * len(radon.curves) * 8 <= CACHED_BYTES


def _small_phases(radon: Radon, frequency: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Blocks of frequencies with the transform in single precision."""
    for block in radon.blocks(frequency):
        yield block, radon.phases(frequency[block]).astype(np.complex64)


def _sparse(
    passes: Iterator[Iterable[tuple[slice, np.ndarray]]],
    data: np.ndarray,
    share: np.ndarray,
    damping: float,
    check: Callable[[], None],
) -> np.ndarray:
    """Iteratively reweighted least squares with one weight per curve for all frequencies, which also undoes aliasing.

    Parameters
    ----------
    passes
        For each pass, the transform in blocks of frequencies.
    data
        Complex64 ``(n_frequencies, n_traces, 1)``.

    Returns
    -------
    numpy.ndarray
        The part of the data on the curves by their `share`, complex64 ``(n_traces, n_frequencies)``.
    """
    weights = np.ones(len(share), np.float32)
    result = np.empty(data.shape[:2], np.complex64)
    for blocks in passes:
        power = np.zeros(len(share))
        for block, phases in blocks:
            check()
            solved = np.linalg.solve(_normal(phases, weights, damping), data[block])
            model = weights * (phases.conj().transpose(0, 2, 1) @ solved)[:, :, 0]
            power += np.square(np.abs(model), dtype=np.float64).sum(axis=0)
            result[block] = (phases @ (share * model).astype(np.complex64)[:, :, None])[:, :, 0]
        amplitude = np.sqrt(power)
        if amplitude.any():
            weights = (amplitude / amplitude.max() + FLOOR).astype(np.float32)
    return result.T
