"""The order of a survey is recognised from its headers."""

from __future__ import annotations

import numpy as np
import pytest

from seisproc_core.data.headers import Headers
from seisproc_core.data.stored_order import StoredOrder, stored_order

SHOT, CHANNEL = (values.ravel() for values in np.mgrid[1:21, 1:13])
WORDS = {"field_record": SHOT, "channel": CHANNEL, "cdp": 2 * SHOT + CHANNEL, "inline": np.ones_like(SHOT)}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (("field_record", "channel"), StoredOrder(("field_record", "channel"), ("field_record",))),
        (("channel", "field_record"), StoredOrder(("channel", "field_record"), ("channel",))),
        (("cdp", "channel"), StoredOrder(("cdp", "channel"), ("cdp",))),
    ],
)
def test_a_sorted_survey(keys: tuple[str, ...], expected: StoredOrder) -> None:
    order = np.lexsort([WORDS[key] for key in reversed(keys)])
    assert stored_order(Headers({name: values[order] for name, values in WORDS.items()}, 240)) == expected


def test_no_order() -> None:
    order = np.random.default_rng(2).permutation(240)
    assert stored_order(Headers({name: values[order] for name, values in WORDS.items()}, 240)) == StoredOrder((), ())


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_to_tell(count: int) -> None:
    assert stored_order(Headers({name: values[:count] for name, values in WORDS.items()}, count)).sorted_by == ()
