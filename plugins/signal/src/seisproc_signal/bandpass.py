"""Zero-phase frequency filters: Butterworth, trapezoid and notch."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy

from seisproc_core.data.gather import Gather, Layout, mute_outside
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_signal import claims
from seisproc_signal.filtering import Transfer, effective_length, fft_length, filter_traces


class _ZeroPhase(Processor):
    """What zero-phase filters share: they say their amplitude over frequency, the rest follows."""

    def amplitude(self, frequency_hz: np.ndarray, nyquist_hz: float) -> np.ndarray:
        """Amplitude response at frequencies from 0 to Nyquist."""
        raise NotImplementedError

    def transfer(self, n_samples: int, interval_s: float) -> Transfer:
        """The filter as multiplication, free of wrap-around for traces of `n_samples`."""
        return _transfer(self, n_samples, interval_s)

    def apply(self, batch: Gather, context: Context) -> Gather:
        transfer = self.transfer(batch.n_samples, batch.sampling.interval_s)
        out = context.empty(batch.traces.shape)
        filter_traces(batch.traces, transfer, out, context)
        mute_outside(out, *batch.live_window)
        return batch.with_traces(out)

    def below_nyquist(self, name: str, frequency_hz: float, layout: Layout) -> None:
        """Refuse a frequency that the sampling cannot hold."""
        nyquist = layout.sampling.nyquist_hz
        if frequency_hz >= nyquist:
            raise self.bad(name, f"must be below the Nyquist frequency of {nyquist:g} Hz, not {frequency_hz:g} Hz")


@processor("bandpass", scope="trace", claims=claims.BANDPASS)
class Bandpass(_ZeroPhase):
    """Zero-phase Butterworth band-pass, low-pass or high-pass.

    The filter of order n run forward and backward: amplitude A(f) = 1 / (1 + (w_low / w)^2n) / (1 + (w / w_high)^2n)
    with w = tan(pi f dt), the bilinear transform. It is 1/2 (-6 dB) at each corner and falls by 12 n dB per octave
    beyond. Leave out `low_hz` for a low-pass, `high_hz` for a high-pass. Whole traces are filtered, as if zero
    before and after, with padding as long as the impulse response, so that nothing wraps round; then the mute is
    applied again.

    Not where phase must be minimum: a zero-phase filter puts energy before first breaks. Steep slopes ring; prefer a
    low order.

    Source: Oppenheim and Schafer, Discrete-Time Signal Processing (Prentice Hall, 1989), section 7.1.
    """

    low_hz: float | None = param(None, help="Low corner, at half amplitude.", unit="Hz", above=0)
    high_hz: float | None = param(None, help="High corner, at half amplitude.", unit="Hz", above=0)
    order: int = param(4, help="Order of the filter in each direction.", minimum=1, maximum=16)

    def check(self, layout: Layout) -> None:
        if self.low_hz is None and self.high_hz is None:
            raise self.bad("low_hz", "or 'high_hz' must be given")
        if self.low_hz is not None:
            self.below_nyquist("low_hz", self.low_hz, layout)
        if self.high_hz is not None:
            self.below_nyquist("high_hz", self.high_hz, layout)
            if self.low_hz is not None and self.low_hz >= self.high_hz:
                raise self.bad("low_hz", f"must be below high_hz ({self.high_hz:g} Hz), not {self.low_hz:g} Hz")

    def amplitude(self, frequency_hz: np.ndarray, nyquist_hz: float) -> np.ndarray:
        warped = np.tan(np.pi / 2 * np.minimum(frequency_hz / nyquist_hz, 1 - 1e-12))
        gain = np.ones_like(frequency_hz)
        if self.low_hz is not None:
            power = (warped / np.tan(np.pi / 2 * self.low_hz / nyquist_hz)) ** (2 * self.order)
            gain *= power / (1 + power)
        if self.high_hz is not None:
            gain /= 1 + (warped / np.tan(np.pi / 2 * self.high_hz / nyquist_hz)) ** (2 * self.order)
        return gain


@processor("trapezoid", scope="trace", claims=claims.TRAPEZOID)
class Trapezoid(_ZeroPhase):
    """Zero-phase filter through given amplitudes at given frequencies, with sin^2 slopes between them.

    Four corners with the default amplitudes 0, 1, 1, 0 are the usual trapezoid. Between corners f_k and f_k+1 the
    amplitude is a_k + (a_k+1 - a_k) sin^2(pi/2 (f - f_k) / (f_k+1 - f_k)); outside the corners it stays.
    Whole traces are filtered with padding as long as the impulse response, so that nothing wraps round; then the
    mute is applied again. `su_length` instead reproduces Seismic Unix `sufilter` at the FFT length it chose (280 for
    256 samples, 420 for 400, 840 for 750): corners on whole frequency samples, wrap-around included.

    Not with slopes much narrower than 1 / trace length: they cannot be realised. Zero-phase energy precedes first
    breaks.

    Source: Yilmaz, Seismic Data Analysis (SEG, 2001), chapter 1, on zero-phase frequency filtering.
    """

    corners_hz: tuple[float, ...] = param(help="Increasing frequencies, two or more.", unit="Hz", minimum=0)
    amplitudes: tuple[float, ...] = param((0.0, 1.0, 1.0, 0.0), help="Amplitude at each corner.", minimum=0)
    su_length: int | None = param(None, help="FFT length of a Seismic Unix run to reproduce.", minimum=1)

    def check(self, layout: Layout) -> None:
        if len(self.corners_hz) < 2 or np.any(np.diff(self.corners_hz) < 0):
            raise self.bad("corners_hz", f"must be two or more increasing frequencies, not {list(self.corners_hz)}")
        if len(self.amplitudes) != len(self.corners_hz):
            raise self.bad("amplitudes", f"must be {len(self.corners_hz)} numbers, one per corner")
        if self.corners_hz[-1] > layout.sampling.nyquist_hz:
            nyquist = layout.sampling.nyquist_hz
            raise self.bad("corners_hz", f"must not exceed the Nyquist frequency of {nyquist:g} Hz")
        if self.su_length is not None and self.su_length < layout.n_samples:
            raise self.bad("su_length", f"must be at least the {layout.n_samples} samples of a trace")

    def amplitude(self, frequency_hz: np.ndarray, nyquist_hz: float) -> np.ndarray:
        corners, gains = np.array(self.corners_hz), np.array(self.amplitudes)
        segment = np.interp(frequency_hz, corners, np.arange(len(corners)))
        low = np.minimum(segment.astype(np.int64), len(corners) - 2)
        amplitude: np.ndarray = gains[low] + (gains[low + 1] - gains[low]) * np.sin(np.pi / 2 * (segment - low)) ** 2
        return amplitude

    def transfer(self, n_samples: int, interval_s: float) -> Transfer:
        if self.su_length is None:
            return _transfer(self, n_samples, interval_s)
        return _su_transfer(self.corners_hz, self.amplitudes, self.su_length, interval_s)


@processor("notch", scope="trace", claims=claims.NOTCH)
class Notch(_ZeroPhase):
    """Zero-phase notch: remove narrow bands, as of power lines.

    A(f) = product over the frequencies f_k of 1 - exp(-4 ln 2 ((f - f_k) / width)^2): zero at f_k, one half at
    f_k +- width / 2. The Gaussian shape keeps the impulse response short, about 3 / width seconds. Whole
    traces are filtered with padding of that length; then the mute is applied again.

    Not for a frequency that wanders by more than the width, and not on traces shorter than 1 / width: there,
    subtracting a fitted sine does less harm.

    Source: the Gaussian window of Harris, Proceedings of the IEEE 66 (1978), 51-83, taken as a frequency response.
    """

    frequencies_hz: tuple[float, ...] = param(help="Centres of the notches.", unit="Hz", above=0)
    width_hz: float = param(4.0, help="Full width of each notch at half amplitude.", unit="Hz", above=0)

    def check(self, layout: Layout) -> None:
        if not self.frequencies_hz:
            raise self.bad("frequencies_hz", "needs at least one frequency")
        for frequency in self.frequencies_hz:
            self.below_nyquist("frequencies_hz", frequency, layout)

    def amplitude(self, frequency_hz: np.ndarray, nyquist_hz: float) -> np.ndarray:
        distance = (frequency_hz[:, None] - np.array(self.frequencies_hz)) / self.width_hz
        gain: np.ndarray = np.prod(1 - np.exp(-4 * np.log(2) * distance**2), axis=1)
        return gain


@lru_cache(maxsize=32)
def _transfer(design: _ZeroPhase, n_samples: int, interval_s: float) -> Transfer:
    """Sample the amplitude response finely, cut its impulse response at its effective length, pad for that.

    A response cut at the trace length filters the trace exactly: longer lags reach none of its samples.
    """
    dense = scipy.fft.next_fast_len(max(16 * n_samples, 1 << 15), real=True)
    response = scipy.fft.irfft(design.amplitude(scipy.fft.rfftfreq(dense, interval_s), 0.5 / interval_s), dense)
    reach = min(effective_length(response), n_samples - 1)
    length = fft_length(n_samples + reach)
    kernel = np.zeros(length)
    kernel[: reach + 1] = response[: reach + 1]
    if reach:
        kernel[-reach:] = response[-reach:]
    return Transfer(scipy.fft.rfft(kernel).real.astype(np.float32), length)


def _su_transfer(
    corners_hz: tuple[float, ...], amplitudes: tuple[float, ...], length: int, interval_s: float
) -> Transfer:
    """The transfer function of Seismic Unix `sufilter`: corners on whole bins, tapers one bin longer on each side."""
    bins = np.minimum(np.floor(np.array(corners_hz) * length * interval_s + 0.5).astype(int), length // 2)
    gain = np.full(length // 2 + 1, amplitudes[0])
    for first, last, a0, a1 in zip(bins[:-1], bins[1:], amplitudes[:-1], amplitudes[1:], strict=True):
        if a0 == a1:
            gain[first + 1 : last + 1] = a0
            continue
        i = np.arange(first, last + 1)
        from_low = i - first + 1 if a1 > a0 else last - i + 1
        taper = np.sin(np.pi / 2 * from_low / (last - first + 2)) ** 2
        gain[first : last + 1] = min(a0, a1) + abs(a1 - a0) * taper
    gain[bins[-1] + 1 :] = amplitudes[-1]
    return Transfer(gain.astype(np.float32), length)
