"""Traces of varying length, and what is said of files whose counts contradict their size."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisproc_native_segy import SegyError, SegyFile, encode

Maker = Callable[..., bytes]
Words = dict[tuple[int, str], float]


def varying(counts: list[int], *, endian: str = "big", interval: int = 2000) -> bytes:
    """Trace headers that state their own count, each with float32 samples 1, 2, ..."""
    order = ">" if endian == "big" else "<"
    body = b""
    for number, count in enumerate(counts):
        header = bytearray(240)
        struct.pack_into(order + "i", header, 0, number + 1)
        struct.pack_into(order + "HH", header, 114, count, interval)
        body += bytes(header) + np.arange(1, count + 1, dtype=order + "f4").tobytes()
    return body


@given(counts=st.lists(st.integers(1, 60), min_size=2, max_size=20), endian=st.sampled_from(["big", "little"]),
       su=st.booleans(), threads=st.integers(1, 3), trailer=st.booleans())  # fmt: skip
def test_padded_to_the_longest(
    segy_bytes: Maker, counts: list[int], endian: str, su: bool, threads: int, trailer: bool
) -> None:
    words: Words = {(3501, "B"): 2, (3529, "i"): 1} if trailer else {}
    head = b"" if su else segy_bytes([], samples=max(counts), endian=endian, words=words)
    tail = b"" if su or not trailer else b"T" * 3200
    options: dict[str, Any] = {"kind": "su" if su else "segy", "endian": endian, "lengths": "pad"}
    file = SegyFile.open(head + varying(counts, endian=endian) + tail, **options)
    assert (file.traces, file.samples) == (len(counts), max(counts))
    assert file.lengths(0, file.traces).tolist() == counts and file.suffix() == tail
    traces, headers, exact = file.read(0, file.traces, threads=threads)
    expected = np.array([[*range(1, n + 1), *[0] * (max(counts) - n)] for n in counts], np.float32)
    assert exact and np.array_equal(traces, expected)
    assert np.array_equal(file.columns([(1, "i4")], 0, file.traces, threads=threads)[0], np.arange(1, len(counts) + 1))
    assert np.array_equal(headers, file.headers(0, file.traces))
    raw = file.raw_samples(0, file.traces)
    body = encode(None, headers, format=5, endian=endian, raw_samples=raw)
    assert body.tobytes() == encode(expected, headers, format=5, endian=endian).tobytes()


def test_refused_with_the_lengths_and_the_way_in(segy_bytes: Maker) -> None:
    content = segy_bytes([], samples=30) + varying([30, 30, 20, 30, 25])
    message = r"3 with 30 samples \(first: trace 1\), 1 with 20 samples \(first: trace 3\).*lengths=\"pad\" reads them"
    with pytest.raises(SegyError, match=message):
        SegyFile.open(content)
    file = SegyFile.open(content, lengths="pad")
    assert "padded with zeros" in file.findings[0] and "own count" in file.reasons["samples"]
    with pytest.raises(SegyError, match=r'lengths="cut" is unknown; use same or pad'):
        SegyFile.open(content, lengths="cut")


@pytest.mark.parametrize("endian", ["big", "little"])
def test_su_is_refused_with_the_lengths_too(endian: str) -> None:
    with pytest.raises(SegyError, match=r'3 with 50 samples .*3 with 40 samples .*lengths="pad" reads them'):
        SegyFile.open(varying([50, 40] * 3, endian=endian), kind="su")


def test_padding_does_nothing_to_equal_traces(segy_bytes: Maker) -> None:
    """Trace headers that say something else than the size must not be walked."""
    for stated in (0, 7, 10):
        content = segy_bytes([np.arange(10, dtype=">f4").tobytes()] * 6, samples=10, trace_samples=stated)
        file = SegyFile.open(content, lengths="pad")
        assert (file.traces, file.samples, set(file.lengths(0, 6))) == (6, 10, {10})


def test_cut_short(segy_bytes: Maker) -> None:
    content = segy_bytes([], samples=30) + varying([30, 20, 25])
    for cut in (1, 60, 101):
        file = SegyFile.open(content[:-cut], lengths="pad", lenient=True)
        assert file.lengths(0, file.traces).tolist() == [30, 20] and any("left over" in f for f in file.findings)
        with pytest.raises(SegyError):
            SegyFile.open(content[:-cut], lengths="pad")


def test_counts_of_the_first_extension(segy_bytes: Maker) -> None:
    """Revision 2: bytes 137-140 of the extension SEG00001 overrule the 16-bit count."""
    body = b""
    for count in (70_000, 3):
        header = bytearray(480)
        struct.pack_into(">HH", header, 114, 0, 2000)
        header[472:480] = b"SEG00001"
        struct.pack_into(">I", header, 240 + 136, count)
        body += bytes(header) + bytes(2 * count)
    words: Words = {(3501, "B"): 2, (3507, "h"): 1}
    file = SegyFile.open(segy_bytes([], samples=0, format=3, words=words) + body, lengths="pad")
    assert (file.header_bytes, file.lengths(0, 2).tolist()) == (480, [70_000, 3])


@pytest.mark.parametrize(("format", "samples"), [(5, 75), (3, 75), (6, 40), (8, 1000)])
@pytest.mark.parametrize("cut", [0, 17])
def test_what_would_fit_is_named(segy_bytes: Maker, format: int, samples: int, cut: int) -> None:
    width = {5: 4, 3: 2, 6: 8, 8: 1}[format]
    rng = np.random.default_rng(1)
    raw = [rng.bytes(width * samples) for _ in range(9)]
    content = segy_bytes(raw, samples=samples, format=format, trace_samples=7, words={(3221, "H"): 99})
    content = content[: len(content) - cut]
    with pytest.raises(SegyError, match=rf"what would fit: samples={samples} \(\d traces; .*headers alike") as caught:
        SegyFile.open(content)
    assert ("the end cut off" in str(caught.value)) == bool(cut)
    file = SegyFile.open(content, samples=samples, lenient=bool(cut))
    assert file.traces == 9 - bool(cut)
    unknown = content[:3224] + b"\0\x63" + content[3226:]
    with pytest.raises(SegyError, match=r"is unknown|code at bytes 3225-3226 is 99.*what would fit: samples="):
        SegyFile.open(unknown)


def test_a_wrong_format_that_fits_by_chance_is_noticed(segy_bytes: Maker) -> None:
    content = segy_bytes([np.random.default_rng(n).bytes(2400) for n in range(48)], samples=600, trace_samples=1500)
    wrong = content[:3224] + b"\0\x03" + content[3226:]  # int16: 88 traces of 1440 bytes instead of 48 of 2640
    file = SegyFile.open(wrong)
    assert file.traces == 88
    assert any("do not recur every 1440 bytes; what would fit: samples=600 format=5" in f for f in file.findings)
    assert not SegyFile.open(content).findings[1:]


def test_reasons_and_revision(segy_bytes: Maker) -> None:
    content = segy_bytes([bytes(40)] * 4, samples=10, words={(3501, "B"): 2, (3502, "B"): 1, (3513, "Q"): 4})
    file = SegyFile.open(content)
    assert list(file.reasons) == ["kind", "endian", "format", "revision", "samples", "text_encoding", "interval"]
    assert "binary header (byte 3221)" in file.reasons["samples"] and "EBCDIC" in file.reasons["text_encoding"]
    older = SegyFile.open(content, revision=(1, 0), endian="big", interval_us=500)
    assert older.revision == (1, 0) and "override: revision 1.0 where the file says 2.1" in older.findings
    for what in ("endian", "revision", "interval"):
        assert older.reasons[what] == "given by the caller"
    with pytest.raises(SegyError, match=r"revision=\(3, 0\) is no SEG-Y revision"):
        SegyFile.open(content, revision=(3, 0))
    su = SegyFile.open(content[3600:])
    assert list(su.reasons) == ["kind", "endian", "format", "samples", "interval"]
