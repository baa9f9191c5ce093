"""How far neighbouring traces of a survey are apart."""

from __future__ import annotations

import attrs
import numpy as np

from seisproc_core.data.headers import Headers

# What tells neighbours apart, and the word whose gathers they are neighbours in: shots, CDP gathers, stacks.
_BETWEEN = (
    ("receivers", ("receiver_x", "receiver_y"), "field_record"),
    ("offsets", ("offset",), "field_record"),
    ("offsets", ("offset",), "cdp"),
    ("CDPs", ("cdp_x", "cdp_y"), ""),
)


@attrs.frozen
class Spacing:
    """Distances between neighbouring rows of the same gather, metres.

    Attributes
    ----------
    between
        ``receivers``, ``offsets`` or ``CDPs``: the first of them that changes from row to row.
    usual
        The median of all distances above 0.
    least, greatest
        Bounds that one distance in twenty lies below, and above.
    """

    between: str
    usual: float
    least: float
    greatest: float


def trace_spacing(headers: Headers) -> Spacing | None:
    """The spacing of traces in stored order; None where neither positions nor offsets change from row to row.

    Costs a pass over the columns that it looks at.
    """
    for between, words, gather in _BETWEEN:
        if not all(word in headers for word in (*words, *filter(None, [gather]))):
            continue
        same = np.ones(max(headers.count - 1, 0), bool)
        if gather:
            same = np.diff(headers.column(gather).astype(np.float64)) == 0
        if 2 * same.sum() < len(same):  # gathers of one trace
            continue
        columns = [np.abs(headers[word]) if word == "offset" else headers[word] for word in words]
        apart = np.hypot.reduce([np.diff(column)[same] for column in columns] + [np.zeros(int(same.sum()))])
        found = apart[apart > 0]
        if found.size and 2 * found.size >= apart.size:
            least, usual, greatest = np.quantile(found, (0.05, 0.5, 0.95)).tolist()
            return Spacing(between, usual, least, greatest)
    return None
