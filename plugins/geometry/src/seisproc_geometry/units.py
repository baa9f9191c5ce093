"""Units of survey files: lengths in the survey's unit or a stated one, times in milliseconds."""

from __future__ import annotations

from typing import Literal

import numpy as np

from seisproc_core.data.headers import Headers
from seisproc_core.data.survey import LENGTH_FACTOR
from seisproc_core.data.words import word

LengthUnit = Literal["m", "ft", "us_ft"]


def metres(unit: LengthUnit | None, headers: Headers) -> float:
    """Metres in a unit of length; in the survey's own where none is stated."""
    return headers.length_factor if unit is None else LENGTH_FACTOR[unit]


def in_si(name: str, values: np.ndarray, unit_m: float) -> np.ndarray:
    """Values of a table in SI units: lengths by their unit, times from milliseconds, all others as they are."""
    kind = word(name).kind
    if kind == "plain":
        return values
    return values / 1000 if kind == "time" else values * unit_m
