"""The step `header_math`: header words computed from header words."""

from __future__ import annotations

from typing import Literal

import attrs
import numpy as np

from seisproc_core.data.expressions import Expression, assignment
from seisproc_core.data.gather import Gather, Layout
from seisproc_core.data.headers import Headers
from seisproc_core.data.scalars import with_scalar
from seisproc_core.errors import ExpressionError, HeaderError
from seisproc_core.processing.claims import Claims
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor

Scalar = Literal[1, -10, -100, -1000, -10000]


@processor(
    "header_math",
    scope="trace",
    headers_only=True,
    claims=Claims(
        examples=(
            {"compute": ["cdp_x = (source_x + receiver_x) / 2", "cdp = round(cdp_x / 12.5)"], "coordinate_scalar": -10},
            {"compute": ["receiver_elevation = receiver_elevation + 0.5"], "elevation_scalar": -10},
            {"compute": ["cdp = cdp + 1000"], "where": "abs(offset) < 50"},
        ),
        linear=True,
    ),
)
class HeaderMath(Processor):
    """Compute header words from header words: assignments one after the other, each seeing those before it.

    ``compute = ["cdp_x = (source_x + receiver_x) / 2", "cdp = round(cdp_x / 12.5) + 100"]``. Words are in SI units
    (metres, seconds), whatever scalar or unit the survey stores them in; ``stored(source_x)`` is the stored number.
    Numbers, words, ``+ - * / // % **``, comparisons, ``and or not & | ~`` and functions (abs, sqrt, atan2, hypot,
    round, floor, where, min, max, isin, ...) are all there is.

    A value that cannot be computed - a division by zero, NaN, too large a number - or that the word cannot hold
    exactly stops the flow before any work, naming expression, column and trace. A new word gets the type of its
    values: whole numbers, floats, or 0 and 1 for conditions. An offset that is no whole number is kept as float.
    Assigning a scalar word (``coordinate_scalar``) changes what the stored coordinates mean, which mends a wrong one;
    the parameters `coordinate_scalar` and `elevation_scalar` keep their meaning and store them more finely.

    Not for what differs from trace to trace without a rule: `join` takes it from a table. Not for sums or ranks over
    gathers: an expression sees the words of one trace.

    Source: meaning and scalars of words as in SEG-Y revision 2.1 (SEG, 2023), standard trace header.
    """

    compute: tuple[str, ...] = param(help='Assignments in order, each as "word = expression".')
    where: str | None = param(None, help="Only for traces for which this expression holds; others keep their values.")
    coordinate_scalar: Scalar | None = param(None, help="Store coordinates with this SEG-Y scalar.")
    elevation_scalar: Scalar | None = param(None, help="Store elevations and depths with this SEG-Y scalar.")

    def check(self, layout: Layout) -> None:
        if not self.compute:
            raise self.bad("compute", 'must hold at least one assignment, as "cdp = field_record * 2"')
        for text in self.compute:
            self._parsed(text)

    def plan(self, layout: Layout) -> Layout:
        return attrs.evolve(layout, headers=self._computed(layout.headers))

    def apply(self, batch: Gather, context: Context) -> Gather:
        return batch.with_headers(self._computed(batch.headers))

    def _parsed(self, text: str) -> tuple[str, Expression]:
        try:
            return assignment(text)
        except ExpressionError as error:
            raise self.bad("compute", f"cannot be used: {error}") from None

    def _computed(self, headers: Headers) -> Headers:
        chosen = self._chosen(headers)
        if self.coordinate_scalar is not None:
            headers = with_scalar(headers, "coordinate_scalar", self.coordinate_scalar)
        if self.elevation_scalar is not None:
            headers = with_scalar(headers, "elevation_scalar", self.elevation_scalar)
        for text in self.compute:
            name, expression = self._parsed(text)
            try:
                values = expression.evaluate(headers, chosen)
            except ExpressionError as error:
                raise self.bad("compute", f"cannot be computed: {error}") from None
            if chosen is not None:
                if name not in headers:
                    raise self.bad(
                        "where", f"leaves '{name}' without a value for other traces: compute it for all first"
                    )
                values = np.where(chosen, values, headers[name])
            try:
                headers = headers.assign(name, values)
            except HeaderError as error:
                raise self.bad("compute", f"'{expression.text}' cannot be stored: {error}") from None
        return headers

    def _chosen(self, headers: Headers) -> np.ndarray | None:
        return None if self.where is None else Expression.parse(self.where).condition(headers)
