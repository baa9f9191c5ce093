"""Header views: scalars, units, combination - against the SEG-Y rules written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisproc_core.data.headers import Headers, LazyColumns
from seisproc_core.data.words import ALIASES, STANDARD, canonical
from seisproc_core.errors import HeaderError


def headers(**columns: object) -> Headers:
    made = {name: np.atleast_1d(np.asarray(values)) for name, values in columns.items()}
    return Headers(made, len(next(iter(made.values()))))


@pytest.mark.parametrize(("scalar", "metres"), [(1, 1234.0), (0, 1234.0), (-100, 12.34), (10, 12340.0), (-1, 1234.0)])
def test_coordinate_scalar(scalar: int, metres: float) -> None:
    made = headers(source_x=np.int32([1234]), coordinate_scalar=np.int16([scalar]))
    assert made["source_x"] == pytest.approx([metres], rel=1e-15)
    assert made["sx"].dtype == np.float64
    assert made.column("source_x")[0] == 1234


def test_feet_become_metres() -> None:
    made = Headers({"offset": np.int32([1000])}, 1, length_factor=0.3048)
    assert made["offset"][0] == pytest.approx(304.8)


def test_an_impossible_time_scalar_counts_as_one() -> None:
    assert headers(delay=np.int16([4]), time_scalar=np.int16([10016]))["delay"][0] == pytest.approx(0.004)


def test_times_are_seconds() -> None:
    made = headers(delay=np.int16([-100]), time_scalar=np.int16([-10]))
    assert made["delay"][0] == pytest.approx(-0.01)


@given(
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=20), st.sampled_from([-1000, -100, -10, 0, 1, 10])
)
def test_a_view_written_back_gives_the_same_integers(values: list[int], scalar: int) -> None:
    made = headers(source_x=np.int32(values), coordinate_scalar=np.full(len(values), scalar, np.int16))
    assert np.array_equal(made.with_values("source_x", made["source_x"]).column("source_x"), made.column("source_x"))


def test_a_value_that_does_not_fit_is_refused() -> None:
    made = headers(source_x=np.int32([1]), coordinate_scalar=np.int16([-1000]))
    with pytest.raises(HeaderError, match="source_x.*cannot hold"):
        made.with_values("source_x", np.array([1e7]))


def test_a_missing_word_is_named_with_its_neighbours() -> None:
    with pytest.raises(HeaderError, match="'ofset'.*did you mean offset"):
        headers(offset=np.int32([1]))["ofset"]


def test_aliases_lead_to_one_name() -> None:
    assert canonical("fldr") == canonical("FieldRecord") == "field_record"
    assert canonical("sx") == canonical("SourceX") == "source_x"
    assert set(ALIASES.values()) <= set(STANDARD)


def test_combine_rules() -> None:
    made = headers(
        cdp=np.int32([5, 5, 6, 7]),
        channel=np.int32([1, 2, 3, 3]),
        offset=np.int32([-10, 20, 7, 9]),
        fold=np.int16([1, 2, 3, 4]),
    )
    combined = made.combine(np.array([0, 2, 2, 4]))
    assert combined.count == 2
    assert combined.column("cdp").tolist() == [5, 0]  # "same": 6 and 7 do not agree
    assert combined.column("channel").tolist() == [0, 3]
    assert combined.column("offset").tolist() == [5, 8]
    assert combined.column("fold").tolist() == [3, 7]


def test_lazy_columns_load_only_what_is_asked() -> None:
    asked = []

    def load(name: str) -> np.ndarray:
        asked.append(name)
        return np.arange(4, dtype=np.int32)

    lazy = LazyColumns({"cdp": np.dtype("i4"), "offset": np.dtype("i4")}, load)
    made = Headers(lazy, 4).take(np.array([3, 1])).with_columns(channel=np.int32([8, 9]))
    assert made["cdp"].tolist() == [3, 1]
    assert made.dtype("offset") == np.dtype("i4")
    assert asked == ["cdp"]
    assert set(made) == {"cdp", "offset", "channel"}
