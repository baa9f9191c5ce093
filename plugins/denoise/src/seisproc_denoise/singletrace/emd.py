"""Empirical mode decomposition: the processor, and the reference form of its kernels."""

from __future__ import annotations

from typing import Literal

import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.data.words import TRACE_ID
from seisproc_core.errors import Cancelled
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_denoise.singletrace import claims
from seisproc_denoise.singletrace.bands import MEDIAN_OF_NOISE, SHAPES, Block, blocks

SHORTEST = 16  # live samples; shorter traces are left as they are
# Variance of mode k > 1 of white noise over that of mode 1 (Flandrin, Rilling and Goncalves 2004): 2.01^-k / 0.719.
DECAY, FIRST = 2.01, 0.719


@processor("emd_denoise", scope="trace", version=2, kernels=("emd_modes", "interval_shrink"), claims=claims.EMD_DENOISE)
class EmdDenoise(Processor):
    """Attenuate random noise by shrinking the intrinsic modes of each trace.

    Empirical mode decomposition takes the live part of a trace apart into modes, fast ones first: again and again
    the mean of the cubic-spline envelopes through maxima and minima is subtracted, `siftings` times a mode; the record
    is taken as even round its ends. ``eemd`` averages the modes of copies with added noise, ``ceemdan`` averages mode
    by mode, with the matching mode of the noise added each time; both keep modes from mixing. The noise comes in
    pairs +w and -w, from `seed` and the trace's identity: the same in every run, whatever else is in the batch.

    In each mode the piece between two zero crossings with peak a shrinks as a whole: to 0 for a <= L, else by 1 - L/a
    (soft), 1 (hard) or 1 - (L/a)^2 (garrote), L = `threshold` * sigma sqrt(2 ln n). sigma is median |mode| / 0.6745
    of each mode (``each``), or of the first mode, falling from there as white noise does: sigma_k^2 = sigma_1^2
    2.01^-k / 0.719 (``white``). Modes beyond `modes` and the remainder stay.

    Not for large data without need: thousands of times the work of `wavelet_denoise`. Not where every sample
    matters: modes depend on the data, and a small change of the input may change all of them.

    Sources: Huang et al., Proc. R. Soc. London A 454 (1998), 903-995; Wu and Huang, Adv. Adaptive Data Anal. 1 (2009),
    1-41 (eemd); Yeh, Shieh and Huang, ibid. 2 (2010), 135-156 (pairs); Torres et al., IEEE ICASSP (2011), 4144-4147
    (ceemdan); Kopsinis and McLaughlin, IEEE Trans. Signal Proc. 57 (2009), 1351-1362 (shrinking); Flandrin, Rilling and
    Goncalves, IEEE Signal Proc. Letters 11 (2004), 112-114 (noise).
    """

    method: Literal["emd", "eemd", "ceemdan"] = param("emd", help="The decomposition.")
    modes: int = param(6, help="Modes taken out and shrunk.", minimum=1, maximum=20)
    siftings: int = param(10, help="Siftings per mode.", minimum=1, maximum=100)
    pairs: int = param(10, help="Pairs of copies with noise (eemd, ceemdan).", minimum=1, maximum=1000)
    noise_ratio: float = param(0.2, help="Standard deviation of the added noise over the trace's.", above=0)
    seed: int = param(0, help="Another number gives other noise.", minimum=0)
    threshold: float = param(0.5, help="Multiple of sigma sqrt(2 ln n); 0 changes nothing.", minimum=0)
    noise: Literal["white", "each"] = param("white", help="How the noise of each mode is told.")
    mode: Literal["soft", "hard", "garrote"] = param("garrote", help="What happens to pieces beyond the threshold.")

    def apply(self, batch: Gather, context: Context) -> Gather:
        out = context.empty(batch.traces.shape)
        identity = batch.headers.column(TRACE_ID)
        for rows in blocks(batch.n_traces, context):
            block = Block.of(batch, rows)
            traces = block.traces.copy()
            for row, key in enumerate(identity[rows]):
                live = slice(block.first[row], block.end[row])
                if live.stop - live.start >= SHORTEST and not block.broken[row]:
                    traces[row, live] = self._denoise(traces[row, live].astype(np.float64), int(key), context)
            block.finish(traces, out, rows)
        return batch.with_traces(out)

    def _denoise(self, trace: np.ndarray, key: int, context: Context) -> np.ndarray:
        modes = self.decompose(trace, key, context)
        remainder = trace - modes.sum(axis=0)
        sigma = np.median(np.abs(modes), axis=1) / MEDIAN_OF_NOISE[1]
        if self.noise == "white":
            order = np.arange(2, len(modes) + 1)
            sigma[1:] = sigma[0] * np.sqrt(DECAY**-order / FIRST)
        limit = self.threshold * sigma * np.sqrt(2 * np.log(len(trace)))
        context.kernel("interval_shrink")(modes, limit, SHAPES[self.mode], context.flag)
        kept: np.ndarray = modes.sum(axis=0) + remainder
        return kept

    def decompose(self, trace: np.ndarray, key: int, context: Context) -> np.ndarray:
        """Modes of one trace, fast ones first: float64 ``(modes, n_samples)``; what they leave is the remainder.

        Parameters
        ----------
        trace
            float64 ``(n_samples,)``.
        key
            The trace's identity, which its noise follows from.
        """
        spread = self.noise_ratio * float(trace.std())
        if self.method == "emd" or not spread:
            plain: np.ndarray = self._modes(trace[None], self.modes, context)[0]
            return plain
        # Philox is a published, counter-based generator: the key alone tells the numbers.
        random = np.random.Generator(np.random.Philox(key=[self.seed, key & (2**64 - 1)]))
        noise = random.standard_normal((self.pairs, len(trace)))
        noise = np.concatenate((noise, -noise))
        if self.method == "eemd":
            averaged: np.ndarray = self._modes(trace + spread * noise, self.modes, context).mean(axis=0)
            return averaged
        added = np.concatenate((noise[:, None], self._modes(noise, self.modes, context)), axis=1)
        made = np.zeros((self.modes, len(trace)))
        rest = trace.copy()
        for k in range(self.modes):
            noisy = rest + self.noise_ratio * rest.std() * added[:, k]
            made[k] = self._modes(noisy, 1, context)[:, 0].mean(axis=0)
            rest -= made[k]
        return made

    def _modes(self, signals: np.ndarray, modes: int, context: Context) -> np.ndarray:
        made = np.zeros((len(signals), modes, signals.shape[1]))
        context.kernel("emd_modes")(np.ascontiguousarray(signals), self.siftings, made, context.flag)
        return made


def emd_modes(signals: np.ndarray, siftings: int, out: np.ndarray, flag: np.ndarray) -> None:
    """Take the fastest modes out of signals: reference form.

    Parameters
    ----------
    signals
        float64 ``(n_signals, n_samples)``.
    siftings
        Times that the mean of the envelopes is subtracted for each mode.
    out
        float64 zeros ``(n_signals, modes, n_samples)``; modes of a signal without a maximum or minimum stay zero.
    flag
        uint8 ``(1,)``, raised to cancel.

    Raises
    ------
    Cancelled
        When the flag was raised.
    """
    for signal, modes in zip(signals, out, strict=True):
        rest = signal.copy()
        for mode in modes:
            if flag[0]:
                raise Cancelled
            sifted = rest.copy()
            for done in range(siftings):
                mean = _mean_envelope(sifted)
                if mean is None:
                    if done == 0:
                        sifted[:] = 0
                    break
                sifted -= mean
            mode[:] = sifted
            rest -= sifted


def _mean_envelope(signal: np.ndarray) -> np.ndarray | None:
    """Mean of upper and lower envelope; None where there is no maximum or no minimum inside."""
    upper, lower = _envelope(signal), _envelope(-signal)
    return None if upper is None or lower is None else (upper - lower) / 2


def _envelope(signal: np.ndarray) -> np.ndarray | None:
    """Natural cubic spline through the maxima of the signal, continued evenly beyond its ends."""
    from scipy.interpolate import CubicSpline  # slow to import, and only this form needs it

    last = len(signal) - 1
    inside = np.flatnonzero((signal[1:-1] > signal[:-2]) & (signal[1:-1] >= signal[2:])) + 1
    if not len(inside):
        return None
    ends = [
        np.array([0] if signal[0] > signal[1] else [], int),
        np.array([last] if signal[-1] > signal[-2] else [], int),
    ]
    at = np.concatenate((ends[0], inside, ends[1]))
    before = -at[len(ends[0]) :][:2][::-1]
    after = 2 * last - at[: len(at) - len(ends[1])][-2:][::-1]
    knots = np.concatenate((before, at, after))
    values = signal[np.abs(np.where(knots > last, 2 * last - knots, knots))]
    envelope: np.ndarray = CubicSpline(knots, values, bc_type="natural")(np.arange(last + 1))
    return envelope


def interval_shrink(modes: np.ndarray, limit: np.ndarray, shape: int, flag: np.ndarray) -> None:
    """Shrink the pieces of modes between zero crossings by their peaks, in place: reference form.

    Pieces with peak a up to the limit L of their mode become 0; the others are multiplied with 1 - L/a (shape 0), 1 (1)
    or 1 - (L/a)^2 (2).

    Parameters
    ----------
    modes
        float64 ``(modes, n_samples)``.
    limit
        float64 ``(modes,)``.
    flag
        uint8 ``(1,)``, raised to cancel.

    Raises
    ------
    Cancelled
        When the flag was raised.
    """
    for mode, low in zip(modes, limit, strict=True):
        if flag[0]:
            raise Cancelled
        starts = np.concatenate(([0], np.flatnonzero((mode[1:] > 0) != (mode[:-1] > 0)) + 1))
        peak = np.maximum.reduceat(np.abs(mode), starts)
        ratio = np.divide(low, peak, out=np.full_like(peak, 2), where=peak > low)
        gain = np.where(ratio < 1, (1 - ratio, 1.0, 1 - ratio**2)[shape], 0.0)
        np.multiply(mode, np.repeat(gain, np.diff(np.append(starts, len(mode)))), out=mode)
