"""The order of a survey is recognised from its headers."""

from __future__ import annotations

import numpy as np
import pytest

from seisproc_core.data.headers import Headers
from seisproc_core.data.spacing import Spacing, trace_spacing
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


def test_spacing_of_traces() -> None:
    count, channels = 60, 12
    shot, channel = np.divmod(np.arange(count), channels)
    headers = Headers({
        "field_record": shot, "channel": channel, "coordinate_scalar": np.full(count, -10, np.int16),
        "receiver_x": (channel + shot) * 125, "receiver_y": np.zeros(count, np.int32), "offset": 25 * channel - 100,
        "cdp": 2 * shot + channel,
    }, count)  # fmt: skip
    assert trace_spacing(headers) == Spacing("receivers", 12.5, 12.5, 12.5)
    without = headers.with_columns(receiver_x=np.zeros(count, np.int32))
    assert trace_spacing(without) == Spacing("offsets", 25, 25, 25)
    by_cdp = without.take(np.lexsort((channel, headers.column("cdp"))))
    assert trace_spacing(by_cdp) == Spacing("offsets", 50, 50, 50)
    stack = Headers({"cdp": np.arange(9), "cdp_x": 30 * np.arange(9), "cdp_y": 40 * np.arange(9)}, 9)
    assert trace_spacing(stack) == Spacing("CDPs", 50, 50, 50)
    assert trace_spacing(Headers({"cdp": np.arange(9)}, 9)) is None
    assert trace_spacing(headers.take(np.arange(1))) is None
