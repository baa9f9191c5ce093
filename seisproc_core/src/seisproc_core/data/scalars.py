"""Coordinate and elevation scalars: choosing one that holds values exactly, and storing words with another one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np

from seisproc_core.data.headers import Headers
from seisproc_core.data.words import word

ScalarWord = Literal["coordinate_scalar", "elevation_scalar"]
SCALARS = (1, -10, -100, -1000, -10000)  # SEG-Y rev 1, bytes 69-72: negative divides
_EXACT = 1e-6  # share of a stored unit


def fitting_scalar(values: Iterable[np.ndarray]) -> tuple[int, bool]:
    """The coarsest scalar with which int32 words hold all values exactly.

    Parameters
    ----------
    values
        In the survey's unit of length.

    Returns
    -------
    scalar, exact
        Where no scalar holds all digits: the finest with which the values fit, and False.
    """
    arrays = [np.asarray(v, np.float64) for v in values if len(v)]
    largest = max((float(np.abs(v).max()) for v in arrays), default=0.0)
    fitting = [scalar for scalar in SCALARS if largest * abs(scalar) < 2**31]
    for scalar in fitting:
        scaled = [v * abs(scalar) for v in arrays]
        if all((np.abs(v - np.rint(v)) <= _EXACT).all() for v in scaled):
            return scalar, True
    return (fitting or [1])[-1], False


def with_scalar(headers: Headers, name: ScalarWord, scalar: int) -> Headers:
    """The same positions stored with another scalar; `HeaderError` where a word cannot hold its value exactly so."""
    if name in headers and (headers.column(name) == scalar).all():
        return headers
    kind = name.partition("_")[0]
    held = {other: headers[other] for other in headers if word(other).kind == kind}
    changed = headers.with_columns(**{name: np.full(len(headers), scalar, np.int16)})
    for other, values in held.items():
        changed = changed.assign(other, values)
    return changed
