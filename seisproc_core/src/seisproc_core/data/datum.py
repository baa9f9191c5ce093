"""The datum that the times of a survey count from, once statics have moved them there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs


@attrs.frozen
class Datum:
    """Where times count from; it belongs to the survey and travels with it.

    Attributes
    ----------
    elevation_m
        Elevation of the final datum.
    replacement_m_per_s
        Velocity between the surface and it.
    floating
        Traces are at a floating datum still: what leads to the final one is in header words.
    """

    elevation_m: float
    replacement_m_per_s: float
    floating: bool = False

    def __str__(self) -> str:
        kind = "a floating datum for" if self.floating else "the datum of"
        return f"{kind} {self.elevation_m:g} m, replacement velocity {self.replacement_m_per_s:g} m/s"

    def to_json(self) -> dict[str, Any]:
        return attrs.asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any] | None) -> Datum | None:
        if plain is None:
            return None
        return cls(float(plain["elevation_m"]), float(plain["replacement_m_per_s"]), bool(plain["floating"]))
