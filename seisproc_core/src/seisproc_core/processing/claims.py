"""What a processor says of itself beyond its parameters; the conformance suite of `seisproc_core.testing` checks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs


@attrs.frozen(kw_only=True)
class Claims:
    """Claims of a processor. The defaults are what most processors can keep.

    Attributes
    ----------
    examples
        Steps that make sense, as a flow would write their parameters: the first stands in the documentation with its
        picture; together they should reach every branch, because tests and the matrix of backends run them all.
    events
        What made-up gathers hold: reflections as they are recorded; ``flat`` ones, as after moveout correction; flat
        ones with ``multiples`` that are not; trace by trace, a ``spectrum`` over trial velocities; or reflections of a
        vibrator's ``sweep`` of 300 ms from 8 to 60 Hz, tapered over 60 ms, that are not yet correlated.
    axis
        What the samples of the output count, where the sampling does not say: the label of an axis.
    values
        What the samples of the output are, where they are no amplitudes: the label of an axis.
    words
        Header words that the examples need beyond the usual ones: name, and value of a gather's first trace and step
        from trace to trace.
    measured
        Words that `apply` fills in from samples, beside live windows, ``dead`` and ``fold``.
    drops
        Words that the output does not have, because they say nothing about its traces.
    varies_with_interval
        Why the result depends on the sample interval even for signals far below Nyquist; empty where it does not.
        One reason for all examples, or one for each.
    varies_with_start
        Why the result depends on whether samples before time 0, which are not live, were recorded; empty where not.
        One reason for all examples, or one for each.
    spreads
        How far a NaN in one trace may reach: this ``trace`` or this ``gather``. As the scope if left out.
    linear
        The output is a linear function of the samples.
    thresholded
        Samples are compared with thresholds, so that rounding may decide differently in a few of them.
    memory
        Peak of what `apply` allocates, its output included, as a multiple of the bytes of its input or output,
        whichever is larger.
    slow_reference
        The reference form is so slow that the suite looks at an accelerated one where that is installed; the two are
        compared all the same.
    inert
        Parameters that change no result, with the reason.
    beyond_suite
        Why the conformance suite cannot run it, as it makes gathers and nothing else; its own tests must then.
    """

    examples: tuple[Mapping[str, Any], ...] = ({},)
    events: Literal["hyperbolic", "flat", "multiples", "spectrum", "sweep"] = "hyperbolic"
    axis: str = ""
    values: str = ""
    words: Mapping[str, tuple[float, float]] = attrs.field(factory=dict)
    measured: tuple[str, ...] = ()
    drops: tuple[str, ...] = ()
    varies_with_interval: str | tuple[str, ...] = ""
    varies_with_start: str | tuple[str, ...] = ""
    spreads: Literal["trace", "gather"] | None = None
    linear: bool = False
    thresholded: bool = False
    memory: float = 8.0
    slow_reference: bool = False
    inert: Mapping[str, str] = attrs.field(factory=dict)
    beyond_suite: str = ""
