"""What is measured: a processor with parameters, its peers, and what its formula needs at least."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import attrs

from seisproc_core.data.gather import Gather

Peer = Callable[[Gather], Any]
Data = Literal["line", "scattered", "spectra", "floating", "grids"]


@attrs.frozen(kw_only=True)
class Case:
    """A processor in one of its uses.

    Attributes
    ----------
    use, parameters
        As in a flow.
    label
        What tells it from other cases of the same processor.
    data
        Function of `benchmarks.processors.data` that makes its batches.
    peers
        Library calls, or an algorithm as it was published in plain NumPy, for the same work, by name.
    same
        Largest difference of samples to every peer's, over the largest sample; None where peers do the same amount of
        work in another way (other interpolation, other ends), which their names say.
    goal
        Traces per second on one core.
    times
        Goal against the fastest peer: its speed, so many times. None where peers do only a part of the work, which
        their names say: shown, and not judged.
    each
        Traces that count for every trace read: 41 for a spectrum of 41 velocities.
    inputs
        Parameters that name a further survey; its traces are those of the batch.
    transforms
        FFTs as long as a trace (of real numbers, either way) that the formula needs for a trace.
    multiplications
        Multiplications, each with an addition, that the formula needs for a trace.
    """

    use: str
    parameters: Mapping[str, Any] = attrs.field(factory=dict)
    label: str = ""
    data: Data = "line"
    peers: Mapping[str, Peer] = attrs.field(factory=dict)
    same: float | None = None
    goal: float | None = None
    times: float | None = 1.0
    each: int = 1
    inputs: tuple[str, ...] = ()
    transforms: float = 0.0
    multiplications: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.use}: {self.label}" if self.label else self.use
