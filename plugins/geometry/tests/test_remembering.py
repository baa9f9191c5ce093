"""What a step works out of the headers of a survey is worked out once, and not taken for that of other headers."""

from __future__ import annotations

import numpy as np

from seisproc_core.data.gather import Layout
from seisproc_core.processing.params import build
from seisproc_core.testing import make_gather
from seisproc_geometry.bins import BinLine
from seisproc_geometry.remembering import once


def _layout(first: int) -> Layout:
    places = 25 * np.arange(first, first + 40)
    gather = make_gather(
        np.zeros((40, 4)),
        field_record=1 + places // 100,
        source_x=places,
        source_y=0,
        receiver_x=places,
        receiver_y=0,
    )
    return Layout(headers=gather.headers, sampling=gather.sampling)


def test_the_same_headers_are_looked_at_once() -> None:
    step, made = build(BinLine, "bin_line", {"bin_m": 12.5}), []
    one, other = _layout(0).headers, _layout(0).headers
    for headers in (one, one, other, one):
        once(step, "it", headers, lambda: made.append(1))
    assert len(made) == 3  # held is what was asked for last, and equal headers are not the same


def test_other_headers_get_numbers_of_their_own() -> None:
    step = build(BinLine, "bin_line", {"bin_m": 25.0, "x_m": [0.0, 2000.0]}).resolve(_layout(0))
    for first in (0, 7):
        layout = _layout(first)
        step.check(layout)
        assert step.notes(layout) == []
        assert step.plan(layout).headers["cdp"].tolist() == list(range(first + 1, first + 41))
