"""Integer formats and amplitudes: samples are multiplied with powers of two, which bytes 169-170 record.

SEG-Y revision 1, table 3: the value of a sample is the stored number times 2^-N, N being the trace weighting factor. A
power of two changes no mantissa, so that what is lost is the rounding to whole numbers alone.
"""

from __future__ import annotations

import numpy as np

from seisproc_segy.samples import LIMITS

LARGEST_EXPONENT = 120  # of what is asked for; float32 samples need no more
PER_TRACE = "trace"


def fitting_exponent(largest: np.ndarray, format_: int) -> np.ndarray:
    """The greatest N for which ``largest * 2^N`` fits the integer format; 0 for zeros.

    Parameters
    ----------
    largest
        Greatest absolute samples, float, any shape.
    """
    limit = float(LIMITS[format_][1])
    values = np.asarray(largest, np.float64)
    exponent = np.floor(np.log2(limit / np.where(values > 0, values, limit)))
    # The logarithm may be off by a rounding error where the quotient is a power of two.
    exponent = np.where(np.ldexp(values, exponent.astype(np.int64) + 1) <= limit, exponent + 1, exponent)
    exponent = np.where(np.ldexp(values, exponent.astype(np.int64)) > limit, exponent - 1, exponent)
    return np.clip(np.where(values > 0, exponent, 0), -LARGEST_EXPONENT, LARGEST_EXPONENT).astype(np.int64)


def scaled(traces: np.ndarray, format_: int, scaling: int | str) -> tuple[np.ndarray, np.ndarray]:
    """Traces times 2^N, and N of each trace, int64 ``(n_traces,)``.

    Parameters
    ----------
    scaling
        N for all traces, or ``"trace"``: the greatest that fits, for each by itself.
    """
    if scaling == PER_TRACE:
        exponents = fitting_exponent(np.abs(traces).max(axis=1, initial=0), format_)
    else:
        exponents = np.full(len(traces), int(scaling), np.int64)
    with np.errstate(over="ignore"):  # infinite then, and refused as any sample that does not fit
        return np.ldexp(traces, exponents[:, None].astype(np.int32)), exponents
