"""Broken and hostile files: refused in one line, or read for what is right; never a crash, never a large allocation."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core.errors import DataError, SeisprocError
from seisproc_seg2.inspection import describe
from seisproc_seg2.storage import Seg2Storage

Write = Callable[..., Path]
WORDS = {"CHANNEL_NUMBER": "1", "SAMPLE_INTERVAL": "0.001"}


@pytest.fixture
def good(tmp_path: Path, seg2_file: Write) -> Path:
    values = np.arange(8, dtype="<f4").tobytes()
    return seg2_file(tmp_path / "good.dat", [(WORDS, 4, 8, values)] * 3, strings={"UNITS": "METERS", "NOTE": "x"})


def refused(path: Path, match: str) -> None:
    with pytest.raises(DataError, match=match) as caught:
        Seg2Storage().open([str(path)], {})
    assert "\n" not in str(caught.value)


def patched(path: Path, offset: int, layout: str, value: int) -> Path:
    data = bytearray(path.read_bytes())
    struct.pack_into(layout, data, offset, value)
    out = path.with_name("patched.dat")
    out.write_bytes(data)
    return out


def test_wrong_numbers_are_named(good: Path) -> None:
    first = struct.unpack_from("<I", good.read_bytes(), 32)[0]
    refused(patched(good, 0, "<H", 0x1234), "is not a SEG-2 file")
    refused(patched(good, 6, "<H", 0), "holds no trace")
    refused(patched(good, 6, "<H", 60000), "60000 traces are announced")
    refused(patched(good, 4, "<H", 65000), "ends at byte|no trace begins|inside its")
    refused(patched(good, 32, "<I", 2**31), "descriptor of trace 1")
    refused(patched(good, 32, "<I", 3), "inside the file descriptor")
    refused(patched(good, 32, "<I", first + 4), "no trace begins")
    refused(patched(good, first + 8, "<I", 2**32 - 1), "4294967295 samples of format 4 .* cut short")
    refused(patched(good, first + 12, "<B", 9), "data format 9")
    refused(patched(good, first + 2, "<H", 8), "descriptor of 8 bytes")


def test_pointers_to_the_same_samples(tmp_path: Path, seg2_file: Write) -> None:
    """A few bytes may not stand for gigabytes."""
    path = seg2_file(tmp_path / "a.dat", [(WORDS, 4, 1000, bytes(4000))] * 9)
    data = bytearray(path.read_bytes())
    first = struct.unpack_from("<I", data, 32)[0]
    struct.pack_into("<9I", data, 32, *[first] * 9)
    bomb = bytes(data[: first + 4200])
    (tmp_path / "b.dat").write_bytes(bomb)
    refused(tmp_path / "b.dat", "more than once")


def test_cut_anywhere(good: Path) -> None:
    whole = good.read_bytes()
    for length in range(len(whole)):
        cut = good.with_name("cut.dat")
        cut.write_bytes(whole[:length])
        with pytest.raises(DataError):
            Seg2Storage().open([str(cut)], {})


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_changed_bytes(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory, seg2_file: Write) -> None:
    """Any bytes anywhere: an error meant for people, or a survey whose reading ends in one or in samples."""
    folder = tmp_path_factory.mktemp("any")
    path = seg2_file(folder / "a.dat", [(WORDS, 4, 8, bytes(32))] * 2, strings={"UNITS": "FEET"})
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw)
    try:
        survey = Seg2Storage().open([str(path)], {"nan": "zero"})
        assert survey.read(slice(0, survey.n_traces)).traces.shape == (survey.n_traces, survey.sampling.count)
    except SeisprocError as error:
        assert "\n" not in str(error)


def test_control_characters_do_not_get_out(tmp_path: Path, seg2_file: Write) -> None:
    strings = {"INSTRUMENT": "\x1b[31mred\x07", "OB\x1bSERVER": "me"}
    path = seg2_file(tmp_path / "a.dat", [({**WORDS, "NOTE": "\x1b]0;title\x07"}, 4, 1, bytes(4))], strings=strings)
    shown = repr(describe(str(path)))
    assert "\\x1b" not in shown and "\\x07" not in shown and "[31mred" in shown
