"""The sample axis that all traces of a survey share."""

from __future__ import annotations

from typing import Any, Literal

import attrs
import numpy as np

Domain = Literal["time", "depth", "frequency"]


@attrs.frozen
class Sampling:
    """Regular sampling of a trace.

    Attributes
    ----------
    start_s
        Time of sample 0 in seconds; time 0 is the instant of the source, so a recording delay of
        -10 ms is ``start_s = -0.01``. (Metres in the depth domain.)
    interval_s
        Seconds (metres) between samples.
    count
        Samples per trace.
    domain
        What the axis is.
    """

    start_s: float
    interval_s: float
    count: int
    domain: Domain = "time"

    def __attrs_post_init__(self) -> None:
        if not (self.interval_s > 0 and np.isfinite(self.interval_s)):
            raise ValueError(f"sample interval must be positive, not {self.interval_s!r} s")
        if self.count < 1:
            raise ValueError(f"a trace needs at least one sample, not {self.count}")

    @property
    def nyquist_hz(self) -> float:
        """Highest frequency the sampling can hold, Hz."""
        return 0.5 / self.interval_s

    @property
    def end_s(self) -> float:
        """Time of the last sample, s."""
        return self.start_s + (self.count - 1) * self.interval_s

    def times(self) -> np.ndarray:
        """Time of every sample: float64, shape ``(count,)``, seconds."""
        return self.start_s + np.arange(self.count) * self.interval_s

    def to_json(self) -> dict[str, Any]:
        return attrs.asdict(self)
