"""Sample formats and header words against exact arithmetic."""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seisproc_native_segy import (
    SegyError,
    SegyFile,
    decode_columns,
    ebcdic_decode,
    ebcdic_encode,
    encode,
    float_to_ibm,
    ibm_to_float,
    patch_columns,
)

Builder = Callable[..., Path]

MOST = Fraction(2) ** 128 - Fraction(2) ** 103  # from half a unit above the largest float32 on, rounding gives infinity


def ibm_value(word: int) -> Fraction:
    """The exact value: (-1)^s * fraction * 2^-24 * 16^(exponent - 64)."""
    magnitude = Fraction(word & 0xFFFFFF, 1 << 24) * Fraction(16) ** ((word >> 24 & 0x7F) - 64)
    return -magnitude if word >> 31 else magnitude


def nearest_float32(value: Fraction) -> float:
    """Rounding to nearest, ties to even, in exact arithmetic."""
    if value == 0:
        return 0.0
    magnitude = abs(value)
    if magnitude >= MOST:
        return float("inf") if value > 0 else float("-inf")
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    exponent -= magnitude < Fraction(2) ** exponent
    unit = Fraction(2) ** (max(exponent, -126) - 23)
    rounded = float(round(magnitude / unit) * unit)  # round() of a Fraction goes to even
    return rounded if value > 0 else -rounded


# Every exponent with the fractions at which behaviour changes: unnormalised, just normalised, full, tie patterns.
FRACTIONS = [
    0,
    1,
    2,
    0x0FFFFF,
    0x100000,
    0x100001,
    0x1FFFFF,
    0x200003,
    0x7FFFFF,
    0x800000,
    0xC00001,
    0xFFFFFE,
    0xFFFFFF,
]
CLASSES = [s << 31 | e << 24 | f for s in (0, 1) for e in range(128) for f in FRACTIONS]


def test_ibm_decode_of_every_pattern_class() -> None:
    values = ibm_to_float(np.array(CLASSES, np.uint32))
    expected = [nearest_float32(ibm_value(word)) for word in CLASSES]
    np.testing.assert_array_equal(values, np.array(expected, np.float32))
    signs = [word >> 31 for word in CLASSES]
    np.testing.assert_array_equal(np.signbit(values), np.array(signs, bool))


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=40))
@settings(max_examples=300, deadline=None)
def test_ibm_decode_of_any_word(words: list[int]) -> None:
    values = ibm_to_float(np.array(words, np.uint32))
    np.testing.assert_array_equal(values, np.array([nearest_float32(ibm_value(word)) for word in words], np.float32))


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
@example(1.17549435e-38)
@example(1.401298464324817e-45)
@example(3.4028234663852886e38)
@example(-0.0)
@settings(max_examples=500, deadline=None)
def test_ibm_encode_is_nearest_even(value: float) -> None:
    (word,) = float_to_ibm(np.array([value], np.float32)).tolist()
    exact = Fraction(value)
    unit = Fraction(16) ** ((word >> 24 & 0x7F) - 64) / (1 << 24)
    error = abs(ibm_value(word) - exact)
    assert error * 2 < unit or (error * 2 == unit and word % 2 == 0) or word & 0x7FFFFFFF == 0 == exact
    assert word >> 31 == int(np.signbit(np.float32(value)))
    assert word & 0xF00000 or exact == 0, "normalised"


def test_ibm_encode_refuses_non_finite() -> None:
    with pytest.raises(SegyError, match="position 1"):
        float_to_ibm(np.array([1, np.nan], np.float32))


INTEGERS = {2: "i4", 3: "i2", 8: "i1", 9: "i8", 10: "u4", 11: "u2", 12: "u8", 16: "u1"}


def decode(build: Builder, raw: bytes, format: int, endian: str, size: int) -> tuple[Any, bool]:
    file = SegyFile.open(build([raw], samples=len(raw) // size, format=format, endian=endian), endian=endian)
    traces, headers, exact = file.read(0, 1)
    if exact:
        body = encode(traces, headers, format=format, endian=endian)
        assert body[240:].tobytes() == raw, "exact means: the same bytes come back"
    return traces[0], exact


@pytest.mark.parametrize("endian", ["big", "little"])
@pytest.mark.parametrize("format", sorted(INTEGERS))
def test_integer_formats(build: Builder, format: int, endian: str) -> None:
    dtype = np.dtype((">" if endian == "big" else "<") + INTEGERS[format])
    limits = np.iinfo(dtype)
    rng = np.random.default_rng(format)
    small = np.clip([0, 1, -1, 100, -128, 2**24], limits.min, limits.max)
    wide = rng.integers(limits.min, limits.max, 50, INTEGERS[format], endpoint=True)
    for values, must_be_exact in ((small, True), (wide, dtype.itemsize < 4)):
        traces, exact = decode(build, values.astype(dtype).tobytes(), format, endian, dtype.itemsize)
        np.testing.assert_array_equal(traces, values.astype(np.float32))
        assert exact or not must_be_exact
    assert not exact or dtype.itemsize < 4


@pytest.mark.parametrize("endian", ["big", "little"])
@pytest.mark.parametrize("format", [7, 15])
def test_three_byte_integers(build: Builder, format: int, endian: str) -> None:
    low, high = (-(2**23), 2**23 - 1) if format == 7 else (0, 2**24 - 1)
    values = [low, high, 0, 1, high // 3]
    raw = b"".join(value.to_bytes(3, "big" if endian == "big" else "little", signed=format == 7) for value in values)
    traces, exact = decode(build, raw, format, endian, 3)
    assert traces.tolist() == values and exact


@pytest.mark.parametrize("endian", ["big", "little"])
def test_float_formats(build: Builder, endian: str) -> None:
    order = ">" if endian == "big" else "<"
    values = np.array([0.0, -0.0, 1.5, -3e38, 1e-45, np.inf, -np.inf, np.nan], np.float32)
    for code, size in ((5, 4), (6, 8)):
        traces, exact = decode(build, values.astype(f"{order}f{size}").tobytes(), code, endian, size)
        np.testing.assert_array_equal(traces, values)
        assert exact
    traces, exact = decode(build, np.array([0.1, 1e300], order + "f8").tobytes(), 6, endian, 8)
    assert traces.tolist() == [float(np.float32(0.1)), np.inf] and not exact
    signalling = struct.pack(order + "I", 0x7F800001)
    assert decode(build, signalling, 5, endian, 4)[1], "float32 samples are moved, not computed with"


def test_fixed_point_with_gain_is_read_and_not_written(build: Builder) -> None:
    traces, exact = decode(build, struct.pack(">BBhBBh", 0, 0, -5, 0, 4, 3), 4, "big", 4)
    assert traces.tolist() == [-5.0, 48.0] and not exact
    with pytest.raises(SegyError, match="format 4"):
        encode(np.zeros((1, 2), np.float32), np.zeros((1, 240), np.uint8), format=4, endian="big")


def test_encode_rounds_to_even_and_saturates() -> None:
    values = np.array([[0.5, 1.5, 2.5, -0.5, -1.5, 40000, -40000]], np.float32)
    headers = np.zeros((1, 240), np.uint8)
    body = encode(values, headers, format=3, endian="little")
    assert body[240:].view("<i2").tolist() == [0, 2, 2, 0, -2, 32767, -32768]
    body = encode(values, headers, format=11, endian="big")
    assert body[240:].view(">u2").tolist() == [0, 2, 2, 0, 0, 40000, 0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("format", [1, 2, 3, 7, 8, 9, 10, 11, 12, 15, 16])
def test_non_finite_samples_are_refused_by_trace_and_sample(format: int, bad: float) -> None:
    traces = np.zeros((3, 9), np.float32)
    traces[2, 7] = bad
    with pytest.raises(SegyError, match=r"sample 7 of trace 2 is (NaN|-?inf)"):
        encode(traces, np.zeros((3, 240), np.uint8), format=format, endian="big", threads=2)


TYPES = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q", "f4": "f", "f8": "d"}


@given(data=st.data(), endian=st.sampled_from(["big", "little"]), rows=st.integers(0, 5))
@settings(max_examples=200, deadline=None)
def test_patch_then_decode(data: st.DataObject, endian: str, rows: int) -> None:
    """Any value of a type survives; bytes outside the field are untouched; struct reads the same."""
    name = data.draw(st.sampled_from(sorted(TYPES)))
    dtype = np.dtype(name)
    byte = data.draw(st.integers(1, 241 - dtype.itemsize))
    headers = np.random.default_rng(byte).integers(0, 256, (rows, 240), np.uint8, endpoint=False)
    before = headers.copy()
    values = np.frombuffer(data.draw(st.binary(min_size=rows * dtype.itemsize, max_size=rows * dtype.itemsize)), dtype)
    values = np.where(np.isnan(values), 0, values).astype(dtype) if dtype.kind == "f" else values
    patch_columns(headers, [(byte, name)], [values], endian)
    (again,) = decode_columns(headers, [(byte, name)], endian)
    assert again.dtype == dtype
    np.testing.assert_array_equal(again, values)
    for row, value in zip(headers, values, strict=True):
        assert struct.unpack_from((">" if endian == "big" else "<") + TYPES[name], row, byte - 1)[0] == value
    outside = np.ones(240, bool)
    outside[byte - 1 : byte - 1 + dtype.itemsize] = False
    np.testing.assert_array_equal(headers[:, outside], before[:, outside])


@pytest.mark.parametrize(
    ("name", "value"),
    [("i2", 32768), ("i2", -32769), ("u2", -1), ("u1", 256), ("i4", 2**31), ("i4", 0.5), ("u8", -1), ("i8", 1e19),
     ("f4", 1e39), ("i4", np.nan), ("ibm", np.inf), ("ibm", 1e76), ("u4", np.uint64(2**63))],
)  # fmt: skip
def test_patch_refuses_what_does_not_fit(name: str, value: float) -> None:
    headers = np.zeros((4, 240), np.uint8)
    values = np.array([0, 0, value, 0], None if isinstance(value, np.uint64) else np.asarray(value).dtype)
    with pytest.raises(SegyError, match=r"value .* of trace 2 does not fit header bytes 73-"):
        patch_columns(headers, [(73, name)], [values], "big")
    assert not headers.any(), "a refused column changes nothing"


def test_words_that_hold_the_value_keep_their_bytes() -> None:
    """An unnormalised IBM word and a NaN with a payload stay; no word undoes another one on the same bytes."""
    headers = np.zeros((300, 240), np.uint8)
    headers[:, 180:184] = [0x42, 0x08, 0, 0]  # 8.0, unnormalised
    headers[:, 184:188] = [0x7F, 0xC0, 0x12, 0x34]
    headers[:, 188:192] = [0, 0, 0, 7]
    before, count = headers.copy(), np.arange(300)
    value, nan = np.full(300, 8.0), np.full(300, np.nan, np.float32)
    fields, seven = [(181, "ibm"), (185, "f4"), (189, "i4"), (191, "i2")], np.full(300, 7)
    patch_columns(headers, fields, [value, nan, seven.astype(np.int32), seven.astype(np.int64)], "big")
    np.testing.assert_array_equal(headers, before)
    patch_columns(headers, fields[2:], [count.astype(np.int32), seven.astype(np.int16)], "big")
    np.testing.assert_array_equal(decode_columns(headers, fields[2:3], "big")[0], count)
    value[299] = 1e76
    with pytest.raises(SegyError, match="trace 299 does not fit"):
        patch_columns(headers, [(9, "i4"), (181, "ibm")], [count, value], "big")
    assert not headers[:, 8:12].any(), "a refused column keeps the others from being written"


def test_ibm_header_words() -> None:
    headers = np.zeros((3, 240), np.uint8)
    values = np.array([1.0, -118.625, 7.2e75])
    patch_columns(headers, [(181, "ibm")], [values], "big")
    (again,) = decode_columns(headers, [(181, "ibm")], "big")
    assert again.dtype == np.float64 and again[:2].tolist() == [1.0, -118.625]
    assert again[2] == pytest.approx(7.2e75, rel=1e-6), "IBM words reach further than float32"


def test_fields_are_checked(simple: Any) -> None:
    file = SegyFile.open(simple)
    for field, message in (((237, "i8"), "lies outside"), ((0, "i2"), "lies outside"), ((1, "x4"), "is unknown")):
        with pytest.raises(SegyError, match=message):
            file.columns([field], 0, 1)
        with pytest.raises(SegyError, match=message):
            decode_columns(np.zeros((1, 240), np.uint8), [field], "big")


@given(st.text(st.characters(max_codepoint=255)))
def test_ebcdic_round_trip(text: str) -> None:
    assert ebcdic_encode(text) == text.encode("cp037")
    assert ebcdic_decode(text.encode("cp037")) == text


def test_ebcdic_refuses_what_it_lacks() -> None:
    with pytest.raises(SegyError, match="no EBCDIC code"):
        ebcdic_encode("\N{SNOWMAN}")
