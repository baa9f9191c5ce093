"""Fans of dips and velocities: which slopes a filter keeps, and how much of them."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import attrs
import numpy as np


@attrs.frozen(kw_only=True)
class Fan:
    """A gain over slope; see `FkFilter` for the meaning of each value."""

    kind: Literal["reject", "pass"]
    min_m_per_s: float | None = None
    max_m_per_s: float | None = None
    side: Literal["both", "positive", "negative"] = "both"
    dips_ms_per_m: tuple[float, ...] = ()
    amplitudes: tuple[float, ...] = ()
    taper_percent: float = 20.0

    def problem(self) -> tuple[str, str] | None:
        """The parameter that is wrong, and why."""
        velocities = self.min_m_per_s is not None or self.max_m_per_s is not None
        if velocities and self.dips_ms_per_m:
            return "dips_ms_per_m", "cannot be combined with velocities; give one of them"
        if not velocities and not self.dips_ms_per_m:
            return "min_m_per_s", "or 'max_m_per_s' or 'dips_ms_per_m' must be given"
        if self.amplitudes and not self.dips_ms_per_m:
            return "amplitudes", "belong to dips_ms_per_m, which must be given with them"
        if velocities:
            low, high = self.min_m_per_s or 0.0, self.max_m_per_s or math.inf
            return None if low < high else ("min_m_per_s", f"must be below max_m_per_s ({high:g} m/s), not {low:g} m/s")
        dips = self.dips_ms_per_m
        if self.amplitudes and len(self.amplitudes) != len(dips):
            return "amplitudes", f"must be as many as dips_ms_per_m ({len(dips)}), not {len(self.amplitudes)}"
        if not self.amplitudes and len(dips) != 2:
            return "dips_ms_per_m", f"must be two edges of a fan, or come with amplitudes; it has {len(dips)} values"
        if any(b <= a for a, b in pairwise(dips)):
            return "dips_ms_per_m", "must increase"
        return None

    @property
    def sectors(self) -> list[tuple[float, float]]:
        """Lowest and highest slope of each part of the fan, s/m; infinite where it is open."""
        if self.dips_ms_per_m:
            return [(self.dips_ms_per_m[0] / 1000, self.dips_ms_per_m[-1] / 1000)]
        flattest = 1 / self.max_m_per_s if self.max_m_per_s else 0.0
        steepest = 1 / self.min_m_per_s if self.min_m_per_s else math.inf
        sectors = {"positive": [(flattest, steepest)], "negative": [(-steepest, -flattest)]}
        if self.side != "both":
            return sectors[self.side]
        return [(-steepest, steepest)] if flattest == 0 else sectors["negative"] + sectors["positive"]

    @property
    def steepest(self) -> float:
        """Largest finite slope at which the gain changes, s/m."""
        edges = [abs(edge) for sector in self.sectors for edge in sector if math.isfinite(edge)]
        return (1 + self.taper_percent / 100) * max(edges, default=0.0)


def gain_of_slope(fan: Fan, slope: np.ndarray) -> np.ndarray:
    """Gain at each slope in s/m (infinite ones too), float64, 0 to 1 unless `amplitudes` say otherwise."""
    if fan.amplitudes:
        knots = np.array(fan.dips_ms_per_m) / 1000
        gain: np.ndarray = np.interp(slope, knots, np.array(fan.amplitudes))
        return gain
    inside = np.zeros(slope.shape)
    for low, high in fan.sectors:
        part = _edge(slope, low, fan.taper_percent / 100) * _edge(-slope, -high, fan.taper_percent / 100)
        np.maximum(inside, part, out=inside)
    return inside if fan.kind == "pass" else 1 - inside


def _edge(slope: np.ndarray, edge: float, taper: float) -> np.ndarray:
    """1 from `edge` upwards, falling as cos^2 to 0 over the taper below."""
    if not math.isfinite(edge):
        return np.ones(slope.shape)
    width = taper * abs(edge)
    if width == 0:
        return (slope >= edge).astype(np.float64)
    rise: np.ndarray = np.sin(np.pi / 2 * np.clip((slope - edge) / width + 1, 0, 1)) ** 2
    return rise
