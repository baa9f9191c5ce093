"""What a processor is: parameters, a plan of its output, and the work on a batch of gathers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, Self, TypeVar, cast, dataclass_transform

import attrs
import numpy as np

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.errors import ParameterError
from seisproc_core.processing.claims import Claims
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param

Scope = Literal["trace", "gather", "survey"]
T = TypeVar("T", bound="type[Processor]")


class Processor:
    """Base of all processors; make one with the `processor` decorator.

    A processor is immutable and has no state beside its parameters, so that a segment gives the same bytes however
    often and wherever it runs.

    Attributes
    ----------
    id
        Name in flows and on the command line.
    scope
        ``trace``: every trace by itself, a batch may be cut anywhere. ``gather``: needs whole gathers. ``survey``:
        measures the whole survey first (`SurveyProcessor`), and is then applied to every trace by itself.
    kernels
        Names of the kernels it calls through `Context.kernel`.
    version
        Raised whenever results change; part of a job's fingerprint.
    headers_only
        It changes header words or drops traces, and no sample: the original file's samples stay what they were.
    saves
        Names of its side outputs: samples that `apply` gives to `Context.save`, one trace for each of its output, where
        `Context.saving` says that the flow asks for them. What it removed, ``removed``, every processor has: the core
        takes the difference.
    claims
        Examples, and what it says of itself; the conformance suite checks it.
    """

    id: ClassVar[str] = ""
    scope: ClassVar[Scope] = "trace"
    kernels: ClassVar[tuple[str, ...]] = ()
    version: ClassVar[int] = 1
    headers_only: ClassVar[bool] = False
    saves: ClassVar[tuple[str, ...]] = ()
    claims: ClassVar[Claims] = Claims()

    def resolve(self, layout: Layout) -> Processor:
        """The step with everything filled in that depends on all headers, or on files: called once, while planning.

        What it returns is checked, planned, put into the plan and run by every worker; so an edit of a file, or a
        worker that sees only some of the traces, changes nothing any more.
        """
        return self

    def replaced(self, **values: Any) -> Self:
        """The same step with other values of some parameters."""
        return attrs.evolve(cast("Any", self), **values)  # type: ignore[no-any-return]

    def check(self, layout: Layout) -> None:
        """Refuse parameters that do not suit the data (a corner above Nyquist, a missing word), before any work."""

    def notes(self, layout: Layout) -> list[str]:
        """What a person should know of these data before the job runs: incomplete gathers, unusual headers."""
        return []

    def plan(self, layout: Layout) -> Layout:
        """Rows, words and sampling of the output, from headers and parameters alone.

        The number of gathers stays; a gather may gain or lose rows. What is measured from samples (live windows,
        picks) is filled in by `apply`.
        """
        return layout

    def apply(self, batch: Gather, context: Context) -> Gather:
        """Process a batch of whole gathers (of traces, for ``scope="trace"``).

        The default hands each gather to `apply_gather`; override this method instead where a whole batch is faster.
        """
        parts = [self.apply_gather(gather, context.of_gather(k)) for k, gather in enumerate(batch.split())]
        return Gather.concatenate(parts)

    def apply_gather(self, gather: Gather, context: Context) -> Gather:
        """Process one gather."""
        raise NotImplementedError(f"processor '{self.id}' has neither apply nor apply_gather")

    def adjoint(self, traces: np.ndarray, layout: Layout, context: Context) -> np.ndarray:
        """The adjoint of a linear `apply`: from samples of its output to samples of its input.

        Parameters
        ----------
        traces
            Of the output's shape, zero outside its live windows.
        layout
            That of the input.

        Returns
        -------
        np.ndarray
            float64 or float32, of the input's shape.
        """
        raise NotImplementedError(f"processor '{self.id}' has no adjoint")

    def bad(self, name: str, problem: str) -> ParameterError:
        """The error to raise from `check` about one parameter."""
        return ParameterError(self.id, name, problem)


@dataclass_transform(field_specifiers=(param, attrs.field), kw_only_default=True, frozen_default=True)
def processor(
    id: str,
    *,
    scope: Scope,
    kernels: tuple[str, ...] = (),
    version: int = 1,
    headers_only: bool = False,
    saves: tuple[str, ...] = (),
    claims: Claims | None = None,
) -> Callable[[T], T]:
    """Turn a class with `param` fields into a processor.

    Parameters
    ----------
    id
        Name in flows: lower case letters, digits and ``_``.
    scope, kernels, version, headers_only, saves, claims
        See `Processor`.
    """

    def make(cls: T) -> T:
        made: Any = attrs.frozen(kw_only=True)(cls)
        made.id, made.scope, made.kernels, made.version = id, scope, kernels, version
        made.headers_only, made.saves = headers_only, saves
        made.claims = claims or Claims()
        return made  # type: ignore[no-any-return]

    return make
