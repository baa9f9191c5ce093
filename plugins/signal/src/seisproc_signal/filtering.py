"""Filters that are the same for all traces: multiplication of spectra, free of wrap-around."""

from __future__ import annotations

import attrs
import numpy as np
import scipy

from seisproc_core.processing.context import Context

ROWS = 32  # traces between two looks at the cancel flag; their spectra stay in cache
TAIL = 1e-5  # part of the impulse response's rms that may lie beyond its effective length


@attrs.frozen(eq=False)
class Transfer:
    """A filter made ready for one trace length.

    Attributes
    ----------
    gain
        Gain at each frequency of the real FFT, ``(length // 2 + 1,)``: float32 for zero phase, else complex64.
    length
        Length of that FFT.
    """

    gain: np.ndarray
    length: int

    @property
    def adjoint(self) -> Transfer:
        """The adjoint filter: the same amplitude, the opposite phase."""
        return Transfer(np.conj(self.gain), self.length)


def filter_traces(traces: np.ndarray, transfer: Transfer, out: np.ndarray, context: Context) -> None:
    """Multiply the spectrum of every trace.

    Parameters
    ----------
    traces
        float32, shape ``(n_traces, n_samples)``.
    transfer
        The filter, made for `n_samples`.
    out
        float32, shape ``(n_traces, at most transfer.length)``: the first samples of the result.

    Raises
    ------
    Cancelled
        When the job was told to stop.
    """
    n_samples = traces.shape[1]
    padded = np.zeros((ROWS, transfer.length), np.float32)
    # Real and imaginary parts side by side: a real product costs half of a complex one.
    zero_phase = not np.iscomplexobj(transfer.gain)
    gain = np.repeat(transfer.gain, 2) if zero_phase else transfer.gain
    for row in range(0, len(traces), ROWS):
        context.check()
        block = traces[row : row + ROWS]
        padded[: len(block), :n_samples] = block
        spectrum = scipy.fft.rfft(padded[: len(block)], axis=1, workers=1)
        parts = spectrum.view(np.float32) if zero_phase else spectrum
        parts *= gain
        filtered = scipy.fft.irfft(spectrum, transfer.length, axis=1, overwrite_x=True, workers=1)
        out[row : row + len(block)] = filtered[:, : out.shape[1]]


def fir_transfer(kernel: np.ndarray, first_lag: int, n_samples: int) -> Transfer:
    """The filter y[i] = sum_k kernel[k] x[i - first_lag - k] for traces of `n_samples`, zero before and after.

    Lags of a trace length or more are left out: they reach no sample.
    """
    lag = first_lag + np.arange(len(kernel))
    inside = np.abs(lag) < n_samples
    lag, kernel = lag[inside], kernel[inside]
    length = fft_length(n_samples + (int(np.abs(lag).max()) if len(lag) else 0))
    wrapped = np.zeros(length)
    wrapped[lag % length] = kernel
    return Transfer(scipy.fft.rfft(wrapped).astype(np.complex64), length)


def response_transfer(response: np.ndarray, n_samples: int) -> Transfer:
    """The filter of a complex frequency response, given finely from 0 to Nyquist, for traces of `n_samples`.

    Its impulse response is cut at lags of a trace length, which reach no sample, and beyond its effective length on
    either side.
    """
    kernel = scipy.fft.irfft(response)
    reach = min(len(kernel) // 2, n_samples) - 1
    energy = np.square(kernel).sum()
    before, after = (
        min(int(np.count_nonzero(np.cumsum(np.square(side)[::-1]) > (0.1 * TAIL) ** 2 * energy)), reach)
        for side in (kernel[: len(kernel) // 2 : -1], kernel[1 : len(kernel) // 2])
    )
    return fir_transfer(np.concatenate((kernel[len(kernel) - before :], kernel[: after + 1])), -before, n_samples)


def design_length(n_samples: int) -> int:
    """FFT length, even, on which frequency responses for traces of `n_samples` are designed."""
    return 2 * int(scipy.fft.next_fast_len(max(8 * n_samples, 1 << 14), real=True))


def effective_length(response: np.ndarray) -> int:
    """Largest lag of a symmetric impulse response that counts: beyond lies less than `TAIL` of its rms."""
    half = response[: len(response) // 2] ** 2
    beyond = np.cumsum(half[::-1])[::-1]
    return int(np.count_nonzero(beyond > TAIL**2 * beyond[0]))


def fft_length(at_least: int) -> int:
    """The next fast length; multiples of 256 are left out, where the rows of a block fall on the same cache lines."""
    length = int(scipy.fft.next_fast_len(at_least, real=True))
    while length % 256 == 0:
        length = int(scipy.fft.next_fast_len(length + 1, real=True))
    return length
