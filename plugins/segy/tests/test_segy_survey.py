"""Files as a survey: several files, custom words, odd sampling, dead traces, NaN, refusals."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core.errors import (
    Cancelled,
    DataError,
    HeaderError,
    ParameterError,
    SeisprocError,
    StorageError,
    UsageError,
)
from seisproc_segy import describe
from seisproc_segy.samples import float64_to_ibm
from seisproc_segy.storage import SegyStorage

Write = Callable[..., Path]


def ramp(count: int, samples: int) -> np.ndarray:
    return np.arange(1, count * samples + 1, dtype=np.float32).reshape(count, samples)


@pytest.fixture
def three(tmp_path: Path, segy_file: Write) -> list[str]:
    """Three files of 4, 1 and 3 traces; cdp counts through them."""
    paths, first = [], 0
    for number, count in enumerate((4, 1, 3)):
        words = {(21, "i4"): np.arange(first, first + count), (109, "i2"): -10}
        path = segy_file(tmp_path / f"part{number}.sgy", ramp(count, 6) + 100 * number, words=words)
        paths.append(str(path))
        first += count
    return paths


def test_several_files_are_one_survey(storage: SegyStorage, three: list[str]) -> None:
    survey = storage.open(three, {})
    assert survey.n_traces == 8 and survey.sampling.start_s == -0.01
    headers = survey.headers()
    assert headers.column("cdp").tolist() == list(range(8))
    assert headers.column("trace_id").tolist() == [0, 1, 2, 3, 1 << 40, 2 << 40, (2 << 40) + 1, (2 << 40) + 2]
    assert [entry[1] for entry in survey.info.file["inputs"]] == [4, 1, 3]
    assert len(survey.identity()) == 3


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_rows_in_any_order(data: st.DataObject, backend: Any, tmp_path_factory: Any, segy_file: Write) -> None:
    folder = tmp_path_factory.mktemp("rows")
    paths = [str(segy_file(folder / f"{n}.sgy", ramp(n + 2, 5) + 1000 * n)) for n in range(3)]
    survey = SegyStorage(backend).open(paths, {})
    whole = survey.read(slice(0, survey.n_traces))
    assert np.array_equal(whole.traces, np.concatenate([ramp(n + 2, 5) + 1000 * n for n in range(3)]))
    rows = np.array(data.draw(st.lists(st.integers(0, survey.n_traces - 1), max_size=12)), np.int64)
    some = survey.read(rows)
    assert np.array_equal(some.traces, whole.traces[rows])
    assert np.array_equal(some.headers.raw, whole.headers.raw[rows])
    for name in ("trace_id", "sample_count", "live_end", "dead"):
        assert np.array_equal(some.headers.column(name), whole.headers.column(name)[rows])


def test_rows_out_of_range(storage: SegyStorage, three: list[str]) -> None:
    with pytest.raises(DataError, match="the survey has 8 traces"):
        storage.open(three, {}).read(np.array([0, 8]))


def test_identity_notices_a_change(storage: SegyStorage, three: list[str]) -> None:
    before = storage.open(three, {}).identity()
    assert before == storage.open(three, {}).identity() and json.dumps(before)
    data = bytearray(Path(three[0]).read_bytes())
    data[-1] ^= 1
    stat = os.stat(three[0])
    Path(three[0]).write_bytes(data)
    os.utime(three[0], ns=(stat.st_atime_ns, stat.st_mtime_ns))
    after = storage.open(three, {}).identity()
    assert after[0]["sample_sha256"] != before[0]["sample_sha256"] and after[1:] == before[1:]


def test_custom_words_and_standard_words_elsewhere(storage: SegyStorage, tmp_path: Path, segy_file: Write) -> None:
    words = {(233, "i2"): [1, -1, 1], (193, "i4"): [7, 8, 9], (237, "f4"): [0.5, 1.5, 2.5]}
    path = segy_file(tmp_path / "a.sgy", ramp(3, 4), words=words)
    given_words = {"polarity": [233, "i2"], "cdp": [193, "i4"], "weight": [237, "f4"]}
    survey = storage.open([str(path)], {"words": given_words})
    for headers in (survey.headers(), survey.read(slice(0, 3)).headers):
        assert headers.column("polarity").tolist() == [1, -1, 1]
        assert headers.column("cdp").tolist() == headers.column("crossline").tolist() == [7, 8, 9]
        assert headers.column("weight").tolist() == [0.5, 1.5, 2.5]
        assert headers.dtype("polarity") == np.int16
    assert survey.info.header_map["polarity"] == (233, "i2")
    with pytest.raises(HeaderError, match="did you mean polarity"):
        survey.headers().column("polarty")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"endiann": "big"}, "'endiann' is unknown; there are delay_ms, delays, endian"),
        ({"endian": "middle"}, "'endian' must be one of big, little"),
        ({"samples": True}, "'samples' must be a whole number"),
        ({"samples": 0}, "'samples' must be a whole number from 1"),
        ({"interval_us": float("nan")}, "'interval_us' must be a number"),
        ({"interval_us": "4000"}, "'interval_us' must be a number"),
        ({"format": 13}, "'format' must be one of 1, 2"),
        ({"lenient": 1}, "'lenient' must be true or false"),
        ({"nan": "ignore"}, "'nan' must be one of error, zero, kill"),
        ({"words": {"a": [1]}}, "'words' has a = "),
        ({"words": {"a": [0, "i2"]}}, "'words' has a = "),
        ({"words": {"a": [1, "i3"]}}, "'words' has a = "),
        ({"words": {"a b": [1, "i2"]}}, "no word name"),
        ({"words": {"dead": [233, "i2"]}}, "may not place 'dead'"),
        ({"words": {"late": [240, "i2"]}}, "late at byte 240; the last possible is 239"),
    ],
)
def test_options_are_strict(
    storage: SegyStorage, tmp_path: Path, segy_file: Write, options: dict[str, Any], message: str
) -> None:
    path = segy_file(tmp_path / "a.sgy", ramp(1, 4))
    with pytest.raises(ParameterError, match=re.escape(message)):
        storage.open([str(path)], options)


def test_not_a_file(storage: SegyStorage, tmp_path: Path, segy_file: Write) -> None:
    path = str(segy_file(tmp_path / "a.sgy", ramp(1, 4)))
    os.mkfifo(tmp_path / "pipe")
    for paths, message in (
        ([str(tmp_path / "none.sgy")], "there is no such file"),
        ([str(tmp_path / "a.sgy" / "b.sgy")], "there is no such file"),
        ([str(tmp_path)], "is a folder"),
        ([str(tmp_path / "pipe")], "is a pipe"),
        ([path, path], "is given twice"),
        ([], "no SEG-Y file given"),
    ):
        with pytest.raises(UsageError, match=message):
            storage.open(paths, {})


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_no_permission(storage: SegyStorage, tmp_path: Path, segy_file: Write) -> None:
    path = segy_file(tmp_path / "a.sgy", ramp(1, 4))
    path.chmod(0)
    with pytest.raises(StorageError, match="Permission denied") as caught:
        storage.open([str(path)], {})
    assert caught.value.exit_code == 77


@pytest.mark.parametrize("content", [b"", b"\x01", b"no seismic data at all\n" * 300, bytes(4000), bytes(240)])
def test_no_seismic_file(storage: SegyStorage, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.sgy"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        storage.open([str(path)], {})
    assert "a.sgy" in str(caught.value) and "\n" not in str(caught.value)


def test_cut_short(storage: SegyStorage, backend: Any, tmp_path: Path, segy_file: Write) -> None:
    path = segy_file(tmp_path / "a.sgy", ramp(5, 50))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"a\.sgy"):
        storage.open([str(path)], {})
    if backend.__name__ == "seisproc_native_segy":
        survey = storage.open([str(path)], {"lenient": True})
        assert survey.n_traces == 4
        assert np.array_equal(survey.read(slice(0, 4)).traces, ramp(5, 50)[:4])


def test_cut_short_while_open(storage: SegyStorage, tmp_path: Path, segy_file: Write) -> None:
    path = segy_file(tmp_path / "a.sgy", ramp(50, 50))
    survey = storage.open([str(path)], {})
    with path.open("r+b") as file:
        file.truncate(5000)
    with pytest.raises(DataError, match="cut short"):
        survey.read(slice(0, 50))


def test_files_that_differ(storage: SegyStorage, tmp_path: Path, segy_file: Write) -> None:
    a = str(segy_file(tmp_path / "a.sgy", ramp(2, 4)))
    for name, message, change in (
        ("b", "the same sample interval, found 2000 us: a.sgy; 4000 us: b.sgy; interval_us = N", {"interval": 4000}),
        ("c", "the same sample format, found 5: a.sgy; 3: c.sgy", {"format": 3}),
        ("d", "the same byte order, found big-endian: a.sgy; little-endian: d.sgy", {"endian": "little"}),
        ("e", "the same number of samples, found 4 samples: a.sgy; 7 samples: e.sgy", {"traces": ramp(2, 7)}),
    ):
        traces = change.pop("traces", ramp(2, 4))
        other = str(segy_file(tmp_path / f"{name}.sgy", traces, **change))
        with pytest.raises(DataError, match=re.escape(message)):
            storage.open([a, other], {})
    assert storage.open([a, str(tmp_path / "b.sgy")], {"interval_us": 4000}).sampling.interval_s == pytest.approx(0.004)


def test_mixed_delays_are_listed(storage: SegyStorage, tmp_path: Path, segy_file: Write) -> None:
    words = {(109, "i2"): [-10, -10, 40, 40, 40], (215, "i2"): [0, 1, 0, -10, -10]}
    path = str(segy_file(tmp_path / "a.sgy", ramp(5, 4), words=words))
    survey = storage.open([path], {})
    message = "2 at -10 ms (first: a.sgy trace 1), 1 at 40 ms (first: a.sgy trace 3), 2 at 4 ms (first: a.sgy trace 4)"
    with pytest.raises(DataError, match="delay_ms = N") as caught:
        survey.headers()
    assert all(part in str(caught.value) for part in message.split(", "))
    with pytest.raises(DataError, match="recording delay"):
        survey.read(slice(0, 5))
    assert survey.read(slice(0, 2)).n_traces == 2
    forced = storage.open([path], {"delay_ms": -10})
    assert forced.headers().count == 5 and forced.sampling.start_s == -0.01
    assert "override: start time -10 ms" in forced.notes


def test_a_time_scalar_that_is_none_scales_nothing(storage: SegyStorage, tmp_path: Path, segy_file: Write) -> None:
    """SU and revision 0 have no time scalar: what stands there must not move the data by a factor of 10016."""
    path = str(segy_file(tmp_path / "a.sgy", ramp(2, 4), words={(109, "i2"): 4, (215, "i2"): 10016}))
    survey = storage.open([path], {})
    assert survey.sampling.start_s == pytest.approx(0.004) and survey.read(slice(0, 2)).n_traces == 2
    assert any("10016 at bytes 215-216 is no time scalar" in note for note in survey.notes)
    assert survey.headers().column("time_scalar").tolist() == [10016, 10016]


def test_files_of_other_kinds_are_named(storage: SegyStorage, tmp_path: Path) -> None:
    for head, what in ((b"\x55\x3a\x01\x00", "SEG-2"), (b"\x1f\x8b\x08\x00", "gzip"), (b"PK\x03\x04", "ZIP")):
        (tmp_path / "a.sgy").write_bytes(head + bytes(5000))
        with pytest.raises(DataError, match=what):
            storage.open([str(tmp_path / "a.sgy")], {})


@pytest.mark.parametrize("content", [b"<!DOCTYPE html>\r\n" * 300, b"1,2,3\n" * 2000, b"\thello, world " * 400])
def test_text_files_are_named(storage: SegyStorage, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.sgy").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.sgy is a text file, not SEG-Y or SU: it begins with '\S"):
        storage.open([str(tmp_path / "a.sgy")], {})
    with pytest.raises(DataError, match="is a text file"):
        describe(str(tmp_path / "a.sgy"))


def test_files_with_other_delays(storage: SegyStorage, tmp_path: Path, segy_file: Write) -> None:
    paths = [str(segy_file(tmp_path / f"{d}.sgy", ramp(2, 4), words={(109, "i2"): d})) for d in (0, 100)]
    with pytest.raises(DataError, match=r"2 at 0 ms \(first: 0.sgy trace 1\), 2 at 100 ms \(first: 100.sgy trace 1\)"):
        storage.open(paths, {})


def test_a_description_tells_of_starts_that_differ(tmp_path: Path, segy_file: Write) -> None:
    """Import refuses such a file: who looks at it before is told."""
    path = str(segy_file(tmp_path / "a.sgy", ramp(3, 4), words={(109, "i2"): [0, -20, 100]}))
    assert any("different times, from -20 to 100 ms" in note for note in describe(path)["findings"])
    same = str(segy_file(tmp_path / "b.sgy", ramp(3, 4), words={(109, "i2"): [8, 8, 8]}))
    assert not any("different times" in note for note in describe(same)["findings"])


def test_mixed_sample_intervals_are_listed(storage: SegyStorage, tmp_path: Path, segy_file: Write) -> None:
    path = str(segy_file(tmp_path / "a.sgy", ramp(4, 4), words={(117, "u2"): [2000, 0, 4000, 4000]}))
    survey = storage.open([path], {})
    with pytest.raises(DataError, match=r"1 at 2000 us \(first: a.sgy trace 1\), 2 at 4000 us .*interval_us = N"):
        survey.headers()
    assert storage.open([path], {"interval_us": 2000}).headers().count == 4


def test_no_sample_interval(storage: SegyStorage, tmp_path: Path, segy_file: Write) -> None:
    path = str(segy_file(tmp_path / "a.sgy", ramp(2, 4), interval=0))
    with pytest.raises(DataError, match="interval_us = "):
        storage.open([path], {})
    assert storage.open([path], {"interval_us": 62.5}).sampling.interval_s == pytest.approx(62.5e-6)


def test_dead_traces(storage: SegyStorage, tmp_path: Path, segy_file: Write) -> None:
    traces = ramp(4, 40)
    traces[1] = 0
    traces[3, 1:] = 0  # a single sample is alive
    path = segy_file(tmp_path / "a.sgy", traces, words={(29, "i2"): [1, 1, 2, 1]})
    survey = storage.open([str(path)], {})
    gather = survey.read(slice(0, 4))
    assert gather.headers.column("dead").tolist() == [0, 1, 2, 0]
    assert gather.headers.column("live_end").tolist() == [40, 0, 0, 40]
    assert np.array_equal(gather.traces, traces)
    assert survey.headers().column("dead").tolist() == [0, 0, 2, 0]


@pytest.mark.parametrize("format_", [5, 6])
def test_nan_policies(storage: SegyStorage, tmp_path: Path, segy_file: Write, format_: int) -> None:
    traces = ramp(4, 5).astype(np.float64) / 3
    traces[1, 2], traces[1, 3], traces[3, 0] = np.nan, np.inf, -np.inf
    path = str(segy_file(tmp_path / "a.sgy", traces, format=format_))
    with pytest.raises(
        DataError, match=r"a.sgy, trace 2 holds nan at sample 3; 3 samples in 2 of the 4 traces"
    ) as caught:
        storage.open([path], {}).read(slice(0, 4))
    assert "nan = " in str(caught.value)
    zeroed = storage.open([path], {"nan": "zero"}).read(slice(0, 4))
    expected = np.nan_to_num(traces, nan=0, posinf=0, neginf=0).astype(np.float32)
    assert np.array_equal(zeroed.traces, expected) and zeroed.headers.column("dead").tolist() == [0, 0, 0, 0]
    killed = storage.open([path], {"nan": "kill"}).read(slice(0, 4))
    expected[[1, 3]] = 0
    assert np.array_equal(killed.traces, expected) and killed.headers.column("dead").tolist() == [0, 3, 0, 3]
    assert killed.headers.column("live_end").tolist() == [5, 0, 5, 0]
    if format_ == 6:
        assert killed.raw_samples is not None
        assert np.array_equal(killed.raw_samples.view(">f8").astype(np.float32), expected)


def test_raw_samples_only_where_float32_is_not_enough(storage: SegyStorage, tmp_path: Path, segy_file: Write) -> None:
    traces = np.array([[1, 2, 3], [2**24 + 1, 5, 6], [7, 8, 9]])
    survey = storage.open([str(segy_file(tmp_path / "a.sgy", traces, format=2))], {})
    assert survey.raw_sample_bytes == 12
    assert survey.read(slice(2, 3)).raw_samples is None
    raw = survey.read(np.array([2, 1])).raw_samples
    assert raw is not None and np.array_equal(raw.view(">i4"), traces[[2, 1]])


def test_lengths_in_feet(storage: SegyStorage, tmp_path: Path, segy_file: Write) -> None:
    words = {(37, "i4"): 1000, (73, "i4"): 500, (71, "i2"): -10}
    path = str(segy_file(tmp_path / "a.sgy", ramp(1, 4), words=words, binary={(3255, "i2"): 2}))
    survey = storage.open([path], {})
    assert survey.info.length_unit == "ft"
    headers = survey.read(slice(0, 1)).headers
    assert headers["offset"][0] == pytest.approx(304.8) and headers["source_x"][0] == pytest.approx(15.24)
    assert storage.open([path], {"length_unit": "m"}).headers()["offset"][0] == 1000


def test_odd_units_are_noted(storage: SegyStorage, tmp_path: Path, segy_file: Write) -> None:
    path = segy_file(tmp_path / "a.sgy", ramp(1, 4), words={(89, "i2"): 2}, binary={(3255, "i2"): 7})
    notes = storage.open([str(path)], {}).notes
    assert any("seconds of arc" in note for note in notes) and any(
        "3255-3256 is unknown: m taken" in note for note in notes
    )
    plain = segy_file(tmp_path / "b.sgy", ramp(1, 4), words={(89, "i2"): 1}, binary={(3255, "i2"): 1})
    assert storage.open([str(plain)], {}).notes == []


def test_several_threads(storage: SegyStorage, tmp_path: Path, segy_file: Write) -> None:
    traces = ramp(400, 50)
    survey = storage.open([str(segy_file(tmp_path / "a.sgy", traces, words={(21, "i4"): np.arange(400)}))], {})
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda at: survey.read(slice(at, at + 7)), range(0, 399, 7)))
    assert np.array_equal(np.concatenate([part.traces for part in parts]), traces[:399])
    assert np.concatenate([part.headers.column("cdp") for part in parts]).tolist() == list(range(399))


def test_cancel(storage: SegyStorage, tmp_path: Path, segy_file: Write) -> None:
    survey = storage.open([str(segy_file(tmp_path / "a.sgy", ramp(9, 9)))], {})
    flag = np.zeros(1, np.uint8)
    assert survey.read(slice(0, 9), flag=flag).n_traces == 9
    flag[0] = 1
    with pytest.raises(Cancelled):
        survey.read(slice(0, 9), flag=flag)


@pytest.mark.parametrize("endian", ["big", "little"])
def test_samples_that_contradict_their_format_are_noted(
    storage: SegyStorage, tmp_path: Path, segy_file: Write, rng: np.random.Generator, endian: str
) -> None:
    traces = rng.normal(size=(4, 400)).astype(np.float32)
    ibm = float64_to_ibm(traces.astype(np.float64))
    for name, samples, format_, wrong in (
        ("a", traces.view(np.uint32), 5, False), ("b", traces.view(np.uint32), 1, True),
        ("c", ibm, 1, False), ("d", ibm, 5, True), ("e", np.tile(ibm[0, :5], (4, 80)), 5, False),
    ):  # fmt: skip
        path = segy_file(tmp_path / f"{name}.sgy", samples, format=10, endian=endian, binary={(3225, "u2"): format_})
        notes = [note for note in storage.open([str(path)], {}).notes if "samples look like" in note]
        assert len(notes) == wrong, notes


def test_fallback_says_once_that_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from seisproc_segy import backend, fallback

    monkeypatch.setitem(sys.modules, "seisproc_native_segy", None)
    backend.default_backend.cache_clear()
    try:
        with pytest.warns(RuntimeWarning, match="not installed") as heard:
            assert backend.default_backend() is fallback
            assert backend.default_backend() is fallback
        assert len(heard) == 1
    finally:
        backend.default_backend.cache_clear()


def test_opening_reads_no_samples(tmp_path: Path, segy_file: Write) -> None:
    """A sparse file of 40 GB opens at once: nothing is allocated by its headers' word."""
    native: Any = pytest.importorskip("seisproc_native_segy")
    path = segy_file(tmp_path / "a.sgy", ramp(1, 5000))
    stride = 240 + 4 * 5000
    with path.open("r+b") as file:
        file.truncate(3600 + 2_000_000 * stride)
    survey = SegyStorage(native).open([str(path)], {"delay_ms": 0})
    assert survey.n_traces == 2_000_000
    assert survey.read(slice(1_999_990, 1_999_992)).headers.column("dead").tolist() == [1, 1]
    assert len(survey.identity()) == 1


# Bytes of the file headers and of the first trace header that decide how a file is read.
_DECISIVE = [*range(8), *range(3212, 3230), *range(3254, 3256), *range(3264, 3304), *range(3500, 3536)]
_DECISIVE += [3600 + byte for byte in (*range(28, 30), *range(108, 118), *range(214, 216))]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(_DECISIVE), st.integers(0, 255)), min_size=1, max_size=6), st.integers(0, 900)
)
def test_damaged_headers_are_read_or_refused(
    backend: Any, tmp_path_factory: Any, segy_file: Write, damage: list[tuple[int, int]], cut: int
) -> None:
    path = segy_file(tmp_path_factory.mktemp("damaged") / "a.sgy", ramp(4, 30), format=2)
    data = bytearray(path.read_bytes())
    for position, value in damage:
        data[position] = value
    path.write_bytes(data[: len(data) - cut] if cut % 3 == 0 else data)
    try:
        survey = SegyStorage(backend).open([str(path)], {})
        survey.headers().column("cdp")
        gather = survey.read(slice(0, survey.n_traces))
    except SeisprocError as error:
        assert str(error) and "\n" not in str(error)
    else:
        assert gather.traces.shape == (survey.n_traces, survey.sampling.count)
        assert gather.traces.nbytes <= 8 * len(data)
