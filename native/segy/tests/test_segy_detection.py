"""Detection, overrides and refusals on files built for the purpose."""

from __future__ import annotations

import os
import resource
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seisproc_native_segy import SegyError, SegyFile

Builder = Callable[..., Path]
Maker = Callable[..., bytes]

SIZES = {1: 4, 2: 4, 3: 2, 4: 4, 5: 4, 6: 8, 7: 3, 8: 1, 9: 8, 10: 4, 11: 2, 12: 8, 15: 3, 16: 1}


@pytest.mark.parametrize("endian", ["big", "little"])
@pytest.mark.parametrize("format", sorted(SIZES))
def test_every_format_and_byte_order_is_detected(build: Builder, format: int, endian: str) -> None:
    file = SegyFile.open(build([bytes(SIZES[format] * 13)] * 4, samples=13, format=format, endian=endian))
    assert (file.format, file.endian, file.samples, file.traces) == (format, endian, 13, 4)
    assert (file.sample_bytes, file.trace_stride) == (SIZES[format], 240 + 13 * SIZES[format])
    assert file.interval_s == pytest.approx(0.002) and file.findings == []


@pytest.mark.parametrize("endian", ["big", "little"])
def test_revision_two_words(build: Builder, endian: str) -> None:
    """Extended sample count and interval, byte-order constant, data offset, header extensions, trailer records."""
    words: dict[tuple[int, str], float] = {
        (3221, "H"): 0, (3269, "I"): 70_000, (3273, "d"): 125.5, (3297, "I"): 0x01020304, (3501, "B"): 2,
        (3502, "B"): 1, (3505, "h"): 1, (3507, "h"): 2, (3513, "Q"): 3, (3521, "Q"): 6800, (3529, "i"): 2,
    }  # fmt: skip
    trailer = b"T" * 6400
    path = build([bytes(140_000)] * 3, samples=0, format=3, endian=endian, words=words, extended=[b"X" * 3200],
                 extensions=2, suffix=trailer)  # fmt: skip
    file = SegyFile.open(path)
    assert (file.samples, file.traces, file.header_bytes, file.data_offset) == (70_000, 3, 720, 6800)
    assert file.interval_s == pytest.approx(125.5e-6) and file.revision == (2, 1) and file.endian == endian
    assert file.suffix() == trailer and file.trailing_bytes == 6400 and file.extended() == ["X" * 3200]
    assert file.columns([(720, "u1")], 0, 3)[0].tolist() == [0, 0, 0]


def test_unstated_number_of_trailer_records(build: Builder) -> None:
    words: dict[tuple[int, str], float] = {(3501, "B"): 2, (3513, "Q"): 4, (3529, "i"): -1}
    file = SegyFile.open(build([bytes(40)] * 4, samples=10, words=words, suffix=bytes(3200 * 5)))
    assert (file.traces, file.trailing_bytes) == (4, 16_000)


@pytest.mark.parametrize("endian", ["big", "little"])
@pytest.mark.parametrize("minor", [0, 1])
@pytest.mark.parametrize("width", ["h", "i"])
@pytest.mark.parametrize("samples", [10, 60])  # 60 take as many bytes as an extension: the size decides nothing
def test_counts_of_header_extensions(build: Builder, width: str, minor: int, endian: str, samples: int) -> None:
    """Revision 2.0 gave the count four bytes; 2.1 gives it two, and the survey type the others. Writers mix them up."""
    words: dict[tuple[int, str], float] = {(3501, "B"): 2, (3502, "B"): minor, (3507, width): 1}
    raw = [bytes(4 * samples)] * 12
    file = SegyFile.open(build(raw, samples=samples, words=words, endian=endian, extensions=1))
    assert (file.header_bytes, file.traces) == (480, 12)
    told = any("header extensions" in finding for finding in file.findings)
    assert told == (endian == "big" and width != "ih"[minor]), file.findings
    none = SegyFile.open(build(raw, samples=samples, words=words, endian=endian, name="none.sgy"))
    assert (none.header_bytes, none.traces) == (240, 12)


def test_the_survey_type_is_no_count_of_header_extensions(build: Builder) -> None:
    words: dict[tuple[int, str], float] = {(3501, "B"): 2, (3502, "B"): 1, (3509, "h"): 1}
    file = SegyFile.open(build([bytes(240)] * 12, samples=60, words=words))
    assert (file.header_bytes, file.traces, file.findings) == (240, 12, [])


def test_of_two_counts_that_fit_the_one_where_headers_recur_is_taken(build: Builder) -> None:
    """180 samples said by the binary header give 4 traces, 60 by the trace headers 8: both fill the file."""
    words: dict[tuple[int, str], float] = {(3221, "H"): 180}
    file = SegyFile.open(build([bytes(240)] * 8, samples=60, words=words))
    assert (file.samples, file.traces) == (60, 8)
    assert any("60 fits" in finding for finding in file.findings)


def test_extended_text_until_its_closing_stanza(build: Builder) -> None:
    records = [text.ljust(3200).encode("cp037") for text in ("((SEG: Location Data))", "more", "((SEG: EndText))")]
    file = SegyFile.open(build([bytes(40)] * 3, samples=10, words={(3505, "h"): -1}, extended=records))
    assert (file.extended_text, file.data_offset, file.traces) == (3, 3600 + 9600, 3)
    assert [text.split()[0] for text in file.extended()] == ["((SEG:", "more", "((SEG:"]
    open_ended = build([bytes(40)] * 3, samples=10, words={(3505, "h"): -1}, name="open.sgy")
    assert SegyFile.open(open_ended).traces == 3
    assert "EndText" in SegyFile.open(open_ended).findings[0]


@pytest.mark.parametrize("count", [-7, 0, 1, 3])
@pytest.mark.parametrize("encoding", ["cp037", "latin-1"])
def test_pages_of_text_are_counted_where_their_stated_number_fits_nothing(
    build: Builder, count: int, encoding: str
) -> None:
    records = [text.ljust(3200).encode(encoding) for text in ("C 1 PROCESSING HISTORY", "")]
    file = SegyFile.open(build([bytes(40)] * 24, samples=10, words={(3505, "h"): count}, extended=records))
    assert (file.extended_text, file.data_offset, file.traces) == (2, 3600 + 6400, 24)
    assert any("2 fit the file's size" in finding for finding in file.findings) or count < 0


@pytest.mark.parametrize("pages", [1, 3])
def test_pages_of_text_at_the_end_are_a_trailer_though_none_is_stated(build: Builder, pages: int) -> None:
    suffix = "C 1 NAVIGATION".ljust(3200).encode() * pages
    file = SegyFile.open(build([bytes(40)] * 24, samples=10, suffix=suffix))
    assert (file.traces, file.samples, file.suffix()) == (24, 10, suffix)
    assert any("behind the last trace, which no word states" in finding for finding in file.findings)
    with pytest.raises(SegyError, match="no sample count fits"):
        SegyFile.open(build([bytes(40)] * 24, samples=10, suffix=suffix[:-7], name="cut.sgy"))


def test_a_tape_label_is_named(build: Builder) -> None:
    path = build([bytes(40)] * 3, samples=10)
    path.write_bytes(b"   1SY1.0RECORD     0".ljust(128) + path.read_bytes())
    with pytest.raises(SegyError, match="tape label of 128 bytes"):
        SegyFile.open(path)


@pytest.mark.parametrize("count", [-7, 3, 32767])
def test_wrong_number_of_text_records_is_reported(build: Builder, count: int) -> None:
    file = SegyFile.open(build([bytes(40)] * 3, samples=10, words={(3505, "h"): count}))
    assert (file.extended_text, file.traces) == (0, 3)
    assert any("extended text" in finding for finding in file.findings)


def test_trace_header_has_the_right_count(build: Builder) -> None:
    file = SegyFile.open(build([bytes(40)] * 3, samples=11, trace_samples=10))
    assert file.samples == 10 and file.traces == 3
    assert "10 fits the file's size" in file.findings[0]


def test_truncated_file_is_refused_and_read_when_lenient(build: Builder) -> None:
    path = build([np.arange(10, dtype=">f4").tobytes()] * 3, samples=10)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(SegyError, match=r"says 10, giving 2 traces of 280 bytes and 271 left over.*lenient=True"):
        SegyFile.open(path)
    file = SegyFile.open(path, lenient=True)
    assert (file.traces, file.trailing_bytes) == (2, 271)
    assert file.read(0, 2)[0][1].tolist() == list(range(10))
    assert file.prefix() + file.headers(0, 0).tobytes() == path.read_bytes()[:3600]
    assert file.suffix() == path.read_bytes()[-271:]


def test_varying_trace_lengths_are_refused_by_name(tmp_path: Path, segy_bytes: Maker) -> None:
    body = b""
    for count in (10, 20, 15):
        header = bytearray(240)
        struct.pack_into(">H", header, 114, count)
        body += bytes(header) + bytes(4 * count)
    path = tmp_path / "varying.sgy"
    path.write_bytes(segy_bytes([], samples=20) + body)
    with pytest.raises(SegyError, match="vary in length .*1 with 10 samples .first: trace 1., 1 with 20.*lengths="):
        SegyFile.open(path)


def test_varying_lengths_whose_total_fits_by_chance(tmp_path: Path, segy_bytes: Maker) -> None:
    body = b""
    for count in (10, 20, 0 + 10, 5, 5):
        header = bytearray(240)
        struct.pack_into(">H", header, 114, count)
        body += bytes(header) + bytes(4 * count)
    assert len(body) == 5 * (240 + 40)
    path = tmp_path / "chance.sgy"
    path.write_bytes(segy_bytes([], samples=10) + body)
    with pytest.raises(SegyError, match="vary in length .*2 with 10 samples .*2 with 5 samples"):
        SegyFile.open(path)


def test_stated_records_that_would_fill_memory_are_not_believed(tmp_path: Path, segy_bytes: Maker) -> None:
    """A data offset or a trailer of many gigabytes agrees with the size of a sparse file, and is still refused."""
    samples = 10
    stride = 240 + 4 * samples
    far: dict[tuple[int, str], float] = {(3501, "B"): 2, (3521, "Q"): 2**40 - stride}
    long: dict[tuple[int, str], float] = {(3501, "B"): 2, (3513, "Q"): 1, (3529, "i"): 2**27 + 1}
    for words, size in ((far, 2**40), (long, 3600 + stride + 3200 * (2**27 + 1))):
        path = tmp_path / "sparse.sgy"
        path.write_bytes(segy_bytes([bytes(4 * samples)], samples=samples, words=words))
        os.truncate(path, size)
        with pytest.raises(SegyError, match="no sample count fits"):
            SegyFile.open(path)


def test_overrides(build: Builder) -> None:
    path = build([bytes(range(40))] * 3, samples=0, format=99, trace_samples=0, interval=0, trace_interval=0)
    with pytest.raises(SegyError, match=r"code at bytes 3225-3226 is 99 \(big-endian\) or 25344 \(little-endian\)"):
        SegyFile.open(path)
    with pytest.raises(SegyError, match="pass samples="):
        SegyFile.open(path, format=3)
    file = SegyFile.open(path, format=3, samples=20, interval_us=500, endian="little", text_encoding="ascii")
    assert (file.samples, file.interval_s, file.endian, file.text_encoding) == (20, 0.0005, "little", "ascii")
    assert file.read(0, 1)[0][0, :2].tolist() == [256.0, 770.0]
    with pytest.raises(SegyError, match="samples= says 7"):
        SegyFile.open(path, format=3, samples=7)
    for wrong in ({"format": 13}, {"endian": "middle"}, {"kind": "segd"}, {"samples": 0}, {"interval_us": -1.0},
                  {"interval_us": float("nan")}, {"text_encoding": "utf-8"}):  # fmt: skip
        with pytest.raises(SegyError):
            SegyFile.open(path, **wrong)


def test_pairwise_swapped_file_is_refused(build: Builder) -> None:
    path = build([bytes(40)] * 3, samples=10, words={(3297, "I"): 0x02010403})
    with pytest.raises(SegyError, match="pairs are swapped"):
        SegyFile.open(path)
    assert SegyFile.open(path, endian="big").traces == 3


@pytest.mark.parametrize(
    ("binary", "trace", "expected", "finding"),
    [(2000, 2000, 2000, ""), (0, 4000, 4000, ""), (2000, 4000, 2000, "binary header is taken"),
     (65534, 4000, 4000, "is not positive"), (2000, 40536, 2000, ""), (40000, 40000, 40000, "read as unsigned"),
     (0, 0, 0, "pass interval_us=")],
)  # fmt: skip
def test_interval(build: Builder, binary: int, trace: int, expected: float, finding: str) -> None:
    file = SegyFile.open(build([bytes(40)] * 3, samples=10, interval=binary, trace_interval=trace))
    assert file.interval_s * 1e6 == pytest.approx(expected)
    assert finding in "".join(file.findings) and bool(finding) == bool(file.findings)


@pytest.mark.parametrize("endian", ["big", "little"])
@pytest.mark.parametrize("name", ["line.su", "line.dat"])
def test_su(tmp_path: Path, segy_bytes: Maker, endian: str, name: str) -> None:
    whole = segy_bytes(
        [np.arange(10, dtype=">f4" if endian == "big" else "<f4").tobytes()] * 3, samples=10, endian=endian
    )
    path = tmp_path / name
    path.write_bytes(whole[3600:])
    file = SegyFile.open(path)
    assert (file.kind, file.endian, file.samples, file.traces, file.format) == ("su", endian, 10, 3, 5)
    assert file.prefix() == b"" and file.read(2, 3)[0].tolist() == [list(range(10))]
    path.write_bytes(whole[3600:-5])
    with pytest.raises(SegyError):
        SegyFile.open(path)
    assert SegyFile.open(path, kind="su", endian=endian, lenient=True).traces == 2


def test_what_is_no_seismic_file(tmp_path: Path) -> None:
    cases = {"empty.sgy": b"", "byte.sgy": b"x", "text.sgy": b"This is a note about a survey.\n" * 500,
             "short.sgy": bytes(3599), "nul.sgy": bytes(5000), "half.su": bytes(100)}  # fmt: skip
    for name, content in cases.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(SegyError) as caught:
            SegyFile.open(path)
        assert name in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(SegyError, match="is a folder"):
        SegyFile.open(tmp_path)
    with pytest.raises(FileNotFoundError):
        SegyFile.open(tmp_path / "absent.sgy")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_and_devices_do_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.sgy")
    for path in (tmp_path / "pipe.sgy", Path("/dev/zero")):
        began = time.monotonic()
        with pytest.raises(SegyError, match="a pipe or device"):
            SegyFile.open(path)
        assert time.monotonic() - began < 1


def test_file_of_headers_only(build: Builder) -> None:
    file = SegyFile.open(build([], samples=10))
    assert file.traces == 0 and any("no trace" in finding for finding in file.findings)
    assert file.read(0, 0)[0].shape == (0, 10) and file.headers(0, 0).shape == (0, 240)
    assert file.columns([(1, "i4")], 0, 0)[0].shape == (0,)


def test_absurd_counts_in_a_sparse_terabyte(tmp_path: Path, segy_bytes: Maker) -> None:
    """Sizes are checked by arithmetic: no count in a header makes memory or time grow."""
    path = tmp_path / "sparse.sgy"
    for words in ({(3221, "H"): 65535, (3505, "h"): 32767},
                  {(3269, "I"): 0xFFFFFFFF, (3501, "B"): 2, (3507, "h"): 32767},
                  {(3221, "H"): 7, (3501, "B"): 2, (3513, "Q"): 2**63, (3521, "Q"): 2**62, (3529, "i"): 2**31 - 1},
                  {(3505, "h"): -1}):  # fmt: skip
        path.write_bytes(segy_bytes([bytes(40)], samples=10, words=words))
        os.truncate(path, 2**40)
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
        with pytest.raises(SegyError):
            SegyFile.open(path)
        try:
            file = SegyFile.open(path, lenient=True)
            assert len(file.prefix()) + len(file.suffix()) < 200e6 and file.headers(0, 1).shape[0] == 1
        except SegyError:
            pass
        assert time.monotonic() - began < 2
        # The most text records believed have 105 MB, and `prefix` hands them out.
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 130_000, "kilobytes"
