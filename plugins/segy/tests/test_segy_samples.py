"""The NumPy decoders against exact rational arithmetic and against the other library."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from seisproc_segy import samples
from seisproc_segy.samples import LIMITS, SAMPLE_BYTES

WRITABLE = [code for code in SAMPLE_BYTES if code != 4]
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


def exact_ibm(word: int) -> Fraction:
    """The definition of an IBM System/360 single."""
    sign = -1 if word >> 31 else 1
    return sign * Fraction(word & 0xFFFFFF, 1 << 24) * Fraction(16) ** ((word >> 24 & 0x7F) - 64)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        (0x41100000, 1.0),
        (0xC276A000, -118.625),
        (0x42010000, 1.0),
        (0, 0.0),
        (0x41000000, 0.0),
        (0x60FFFFFF, 2.0**128 - 2**104),
    ],
)
def test_known_ibm_words(word: int, value: float) -> None:
    assert samples.ibm_to_float64(np.array([word], np.uint32))[0] == value


@given(st.integers(0, 2**32 - 1))
def test_ibm_words_decode_exactly(word: int) -> None:
    value = samples.ibm_to_float64(np.array([word], np.uint32))[0]
    assert Fraction(float(value)) == exact_ibm(word)
    assert np.signbit(value) == bool(word >> 31)


@given(FINITE)
def test_ibm_encoding_is_nearest(value: float) -> None:
    word = int(samples.float64_to_ibm(np.array([value]))[0])
    error = abs(exact_ibm(word) - Fraction(value))
    for neighbour in (word - 1, word + 1):
        if 0 <= neighbour < 1 << 32 and neighbour >> 31 == word >> 31:
            assert error <= abs(exact_ibm(neighbour) - Fraction(value))


@pytest.mark.parametrize("endian", ["big", "little"])
@pytest.mark.parametrize("code", WRITABLE)
@given(data=st.data())
def test_exact_means_the_same_bytes(data: st.DataObject, code: int, endian: str) -> None:
    width = SAMPLE_BYTES[code]
    raw = data.draw(arrays.arrays(np.uint8, (2, 6 * width)))
    traces = samples.decode(raw, code, endian)
    exact = samples.survives(traces, raw, code, endian)
    if code in (5, 6) or np.isfinite(traces).all():
        with np.errstate(invalid="ignore"):
            same = np.array_equal(samples.encode(traces, code, endian), raw)
        # A signalling NaN may come back as a quiet one; surveys refuse either.
        assert exact == same or not np.isfinite(traces).all()
    else:
        assert not exact


@pytest.mark.parametrize("code", sorted(LIMITS))
def test_integers_round_half_to_even_and_saturate(code: int) -> None:
    low, high = LIMITS[code]
    traces = np.array([[0.5, 1.5, 2.5, 1e30, -1e30]], np.float32)
    back = samples.decode(samples.encode(traces, code, "little"), code, "little")
    assert back[0].tolist() == [0, 2, 2, float(np.float32(high)), float(np.float32(low))]


def test_fixed_point_with_gain() -> None:
    raw = np.array([[0, 3, 0, 5, 0, 0, 0xFF, 0xFF]], np.uint8)
    assert samples.decode(raw, 4, "big").tolist() == [[40.0, -1.0]]
    assert not samples.survives(np.zeros((1, 2), np.float32), raw, 4, "big")


@given(arrays.arrays(np.float32, (2, 5), elements=FINITE))
def test_both_libraries_encode_alike(traces: np.ndarray) -> None:
    native: Any = pytest.importorskip("seisproc_native_segy")
    for code in WRITABLE:
        for endian in ("big", "little"):
            body = native.encode(traces, np.zeros((2, 240), np.uint8), format=code, endian=endian)
            mine = samples.encode(traces, code, endian)
            assert np.array_equal(np.asarray(body).reshape(2, -1)[:, 240:], mine), (code, endian)


@given(st.lists(st.floats(width=32), min_size=1, max_size=20))
def test_all_finite(values: list[float]) -> None:
    array = np.array([values], np.float32)
    assert samples.all_finite(array) == bool(np.isfinite(array).all())
    assert samples.all_finite(np.full((1, 9), 3e38, np.float32))
