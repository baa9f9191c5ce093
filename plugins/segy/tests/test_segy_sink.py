"""Writing: headers patched where they differ and only there, file headers right, refusals before damage."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import segyio
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core.data.gather import Gather
from seisproc_core.data.sampling import Sampling
from seisproc_core.data.survey import MemorySurvey, OutputPlan, SurveyInfo
from seisproc_core.errors import DataError, HeaderError, ParameterError, UsageError
from seisproc_core.testing import make_gather
from seisproc_segy.storage import SegyStorage

Write = Callable[..., Path]
HEAD = 3600


def ramp(count: int, samples: int) -> np.ndarray:
    return np.arange(1, count * samples + 1, dtype=np.float32).reshape(count, samples)


def plan_for(gather: Any, **changes: Any) -> OutputPlan:
    """The plan of a survey that never was a file."""
    info = changes.pop("info", SurveyInfo())
    words = {name: gather.headers.dtype(name).str for name in gather.headers}
    return OutputPlan(n_traces=gather.n_traces, sampling=gather.sampling, words=words, info=info, **changes)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_untouched_synthetic_files(
    data: st.DataObject, backend: Any, tmp_path_factory: Any, segy_file: Write, plan_of: Any, written: Any
) -> None:
    """Any trace header bytes, any samples, both byte orders, every format: the same bytes come back."""
    draw = data.draw
    format_ = draw(st.sampled_from([2, 3, 5, 6, 8, 10, 11, 16]))
    count, samples = draw(st.integers(1, 5)), draw(st.integers(1, 9))
    noise = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = {2: "i4", 3: "i2", 5: "f4", 6: "f8", 8: "i1", 10: "u4", 11: "u2", 16: "u1"}[format_]
    if format_ in (5, 6):
        traces = noise.normal(size=(count, samples)) * 10.0 ** draw(st.integers(-30, 30))
    else:
        limits = np.iinfo(dtype)
        traces = noise.integers(limits.min, limits.max, (count, samples), dtype=dtype, endpoint=True)
    skipped = {109, 110, 115, 116, 117, 118, 215, 216}  # delay and sampling would be refused as mixed
    words = {(byte, "u1"): noise.integers(0, 256, count) for byte in range(1, 241) if byte not in skipped}
    words |= {(115, "u2"): draw(st.sampled_from([0, samples, 1500])), (117, "u2"): draw(st.sampled_from([0, 2000]))}
    words |= {(109, "i2"): draw(st.integers(-32768, 32767)), (215, "i2"): draw(st.sampled_from([0, 1, 10, -10, -1000]))}
    path = segy_file(
        tmp_path_factory.mktemp("any") / "a.sgy", traces, format=format_,
        endian=draw(st.sampled_from(["big", "little"])),
        words=words, extended=[b"\xc3\x40"] * draw(st.integers(0, 2)), binary={(3255, "i2"): draw(st.integers(0, 3))},
        revision=draw(st.sampled_from([(0, 0), (1, 0), (0, 100)])),
    )  # fmt: skip
    storage = SegyStorage(backend)
    survey = storage.open([str(path)], {})
    sink = storage.sink(plan_of(survey))
    assert written(sink, lambda start, stop: survey.read(slice(start, stop)), count) == path.read_bytes()


@pytest.mark.parametrize("endian", ["big", "little"])
@pytest.mark.parametrize("stated", ["i2", "i4"])  # as revision 2.1 counts extensions, and 2.0
def test_header_extensions_of_either_count(
    storage: SegyStorage, tmp_path: Path, segy_file: Write, plan_of: Any, written: Any, stated: str, endian: str
) -> None:
    """60 samples take as many bytes as an extension, so that 18 traces without would fit as well as 12 with one."""
    extension = np.random.default_rng(1).integers(-(2**30), 2**30, (12, 60))
    path = segy_file(
        tmp_path / "a.sgy", np.hstack((extension, ramp(12, 60))), format=2, endian=endian, revision=(2, 1),
        words={(115, "u2"): 60}, binary={(3221, "u2"): 60, (3507, stated): 1},
    )  # fmt: skip
    survey = storage.open([str(path)], {})
    gather = survey.read(slice(0, 12))
    assert survey.raw_header_bytes == 480 and np.array_equal(gather.traces, ramp(12, 60))
    sink = storage.sink(plan_of(survey))
    assert written(sink, lambda start, stop: survey.read(slice(start, stop)), 12) == path.read_bytes()


def test_only_changed_words_change(
    storage: SegyStorage, tmp_path: Path, segy_file: Write, plan_of: Any, written: Any
) -> None:
    noise = np.random.default_rng(3)
    words = {(byte, "u1"): noise.integers(0, 256, 4) for byte in (*range(1, 109), *range(119, 215), *range(217, 241))}
    path = segy_file(tmp_path / "a.sgy", ramp(4, 6), words=words)
    survey = storage.open([str(path)], {"words": {"half": [21, "i2"]}})
    gather = survey.read(slice(0, 4))
    offset, cdp = gather.headers.column("offset").copy(), gather.headers.column("cdp").copy()
    half = gather.headers.column("half").copy()
    offset[2], cdp[0], half[3] = -7, 99, 5
    changed = gather.with_headers(gather.headers.with_columns(offset=offset, cdp=cdp, half=half))
    file = written(storage.sink(plan_of(survey)), changed.rows, 4)
    expected = bytearray(path.read_bytes())
    stride = 240 + 24
    expected[HEAD + 2 * stride + 36 : HEAD + 2 * stride + 40] = (-7).to_bytes(4, "big", signed=True)
    expected[HEAD + 20 : HEAD + 24] = (99).to_bytes(4, "big")
    expected[HEAD + 3 * stride + 20 : HEAD + 3 * stride + 22] = (5).to_bytes(2, "big")
    assert file == bytes(expected)


def test_sampling_words_follow_the_output(
    storage: SegyStorage, tmp_path: Path, segy_file: Write, plan_of: Any, written: Any
) -> None:
    words = {(115, "u2"): 1500, (109, "i2"): -40, (215, "i2"): -10, (103, "i2"): 70}
    survey = storage.open([str(segy_file(tmp_path / "a.sgy", ramp(3, 10), words=words))], {})
    assert survey.sampling.start_s == -0.004
    shorter = attrs.evolve(survey.sampling, count=4, interval_s=0.001, start_s=0.0125)
    plan = plan_of(survey, sampling=shorter, raw_sample_bytes=0)
    rows = survey.read(slice(0, 3))
    rows = attrs.evolve(rows, traces=np.ascontiguousarray(rows.traces[:, :4]), sampling=shorter)
    path = tmp_path / "b.sgy"
    path.write_bytes(written(storage.sink(plan), rows.rows, 3))
    again = storage.open([str(path)], {})
    assert (again.sampling.count, again.sampling.start_s) == (4, 0.0125)
    assert again.sampling.interval_s == pytest.approx(0.001)
    headers = again.headers()
    for word, value in (("sample_count", 4), ("sample_interval", 1000), ("delay", 125), ("time_scalar", -10)):
        assert headers.column(word).tolist() == [value] * 3
    assert headers["total_static"].tolist() == pytest.approx([0.007] * 3)
    with segyio.open(path, ignore_geometry=True) as file:
        assert np.array_equal(file.trace.raw[:], rows.traces)
        assert file.bin[segyio.BinField.Samples] == 4 and file.bin[segyio.BinField.Interval] == 1000


@pytest.mark.parametrize(("kind", "delay", "scalar", "start_s"), [("segy", 4, 10016, 0.004), ("su", 10000, -10, 1.0)])
def test_another_kind_of_file_starts_where_its_readers_think_it_does(
    storage: SegyStorage, tmp_path: Path, segy_file: Write, plan_of: Any, written: Any,
    kind: str, delay: int, scalar: int, start_s: float,
) -> None:  # fmt: skip
    """SU programs heed no time scalar, and what stands in its place in SU files is none for readers of SEG-Y."""
    words = {(109, "i2"): delay, (215, "i2"): scalar}
    path = segy_file(tmp_path / "a.sgy", ramp(2, 5), words=words)
    if kind == "segy":
        path.write_bytes(path.read_bytes()[3600:])
    survey = storage.open([str(path)], {"kind": "su" if kind == "segy" else "segy", "endian": "big"})
    assert survey.sampling.start_s == pytest.approx(start_s)
    plan = plan_of(survey, options={"kind": kind})
    (tmp_path / "b").write_bytes(written(storage.sink(plan), survey.read(slice(0, 2)).rows, 2))
    again = storage.open([str(tmp_path / "b")], {"kind": kind, "endian": "big"}).headers()
    assert again.column("delay").tolist() == [round(1000 * start_s)] * 2
    assert again.column("time_scalar").tolist() == [0, 0]


def test_overruled_headers_are_written_as_told(
    storage: SegyStorage, tmp_path: Path, segy_file: Write, plan_of: Any, written: Any
) -> None:
    path = segy_file(tmp_path / "a.sgy", ramp(2, 5), words={(109, "i2"): [0, 8]}, interval=0)
    options = {"interval_us": 500, "delay_ms": -20, "length_unit": "ft"}
    survey = storage.open([str(path)], options)
    (tmp_path / "b.sgy").write_bytes(written(storage.sink(plan_of(survey)), survey.read(slice(0, 2)).rows, 2))
    again = storage.open([str(tmp_path / "b.sgy")], {})
    assert again.sampling.interval_s == pytest.approx(5e-4) and again.sampling.start_s == -0.02
    assert again.info.length_unit == "ft" and again.headers().column("delay").tolist() == [-20, -20]


def test_formats(storage: SegyStorage, tmp_path: Path, segy_file: Write, plan_of: Any, written: Any) -> None:
    survey = storage.open([str(segy_file(tmp_path / "a.sgy", ramp(3, 4), format=3))], {})
    rows = survey.read(slice(0, 3))

    def format_of(**changes: Any) -> int:
        file = written(storage.sink(plan_of(survey, **changes)), rows.rows, 3)
        (tmp_path / "b.sgy").write_bytes(file)
        assert np.array_equal(storage.open([str(tmp_path / "b.sgy")], {}).read(slice(0, 3)).traces, rows.traces)
        return int.from_bytes(file[3224:3226], "big")

    assert format_of() == 3
    assert format_of(raw_sample_bytes=0) == 5  # samples were changed: int16 would destroy them
    for code in (1, 2, 6, 8, 10, 11, 16):
        assert format_of(options={"format": code}) == code
    with pytest.raises(UsageError, match="obsolete|must be one of"):
        storage.sink(plan_of(survey, options={"format": 4}))


@pytest.mark.parametrize("first", ["big", "little"])
def test_other_byte_order(
    storage: SegyStorage, tmp_path: Path, segy_file: Write, plan_of: Any, written: Any, first: str
) -> None:
    other = {"big": "little", "little": "big"}[first]
    words = {(21, "i4"): [70000, 2], (73, "i4"): -5, (225, "i4"): 77777, (205, "i4"): 123456, (233, "i2"): [1, -1],
             (109, "i2"): 8}  # fmt: skip
    binary = {(3201, "i4"): 70001, (3255, "i2"): 1, (3503, "i2"): 1}
    paths = [
        segy_file(tmp_path / f"{name}.sgy", ramp(2, 5), words=words, binary=binary, endian=name)
        for name in ("big", "little")
    ]
    source, wanted = paths if first == "big" else paths[::-1]
    survey = storage.open([str(source)], {"words": {"polarity": [233, "i2"]}})
    sink = storage.sink(plan_of(survey, options={"endian": other}))
    assert written(sink, lambda start, stop: survey.read(slice(start, stop)), 2) == wanted.read_bytes()


def test_several_files_into_one(
    storage: SegyStorage, tmp_path: Path, segy_file: Write, plan_of: Any, written: Any
) -> None:
    paths = [segy_file(tmp_path / f"{n}.sgy", ramp(n + 1, 4) * 7, words={(21, "i4"): n}) for n in range(3)]
    survey = storage.open([str(path) for path in paths], {})
    file = written(storage.sink(plan_of(survey)), lambda start, stop: survey.read(slice(start, stop)), 6)
    assert file == paths[0].read_bytes() + paths[1].read_bytes()[HEAD:] + paths[2].read_bytes()[HEAD:]


def test_bytes_behind_the_last_trace(
    storage: SegyStorage, backend: Any, tmp_path: Path, segy_file: Write, plan_of: Any, written: Any
) -> None:
    if backend.__name__ != "seisproc_native_segy":
        pytest.skip("the fallback has no option lenient")
    path = segy_file(tmp_path / "a.sgy", ramp(3, 50), tail=b"left over")
    survey = storage.open([str(path)], {"lenient": True})
    assert written(storage.sink(plan_of(survey)), survey.read(slice(0, 3)).rows, 3) == path.read_bytes()
    fewer = storage.sink(plan_of(survey, n_traces=2))
    assert written(fewer, survey.read(slice(0, 2)).rows, 2) == path.read_bytes()[: HEAD + 2 * 440]


@pytest.mark.parametrize("kind", ["segy", "su"])
@pytest.mark.parametrize("endian", ["big", "little"])
def test_a_survey_that_never_was_a_file(
    storage: SegyStorage, tmp_path: Path, written: Any, kind: str, endian: str
) -> None:
    gather = make_gather(
        ramp(5, 7), interval_ms=2, start_ms=-6, cdp=[1, 1, 2, 2, 3], offset=[-5, 5, -7, 7, 0], polarity=-1
    )
    options = {"kind": kind, "endian": endian, "words": {"polarity": [233, "i2"]}}
    sink = storage.sink(plan_for(gather, options=options))
    path = tmp_path / ("b.su" if kind == "su" else "b.sgy")
    path.write_bytes(written(sink, gather.rows, 5))
    survey = storage.open([str(path)], {"words": {"polarity": [233, "i2"]}})
    again = survey.read(slice(0, 5))
    assert survey.info.file["kind"] == kind and survey.info.file["endian"] == endian
    assert np.array_equal(again.traces, gather.traces) and survey.sampling.start_s == -0.006
    for word in ("cdp", "offset", "polarity"):
        assert np.array_equal(again.headers.column(word), gather.headers.column(word))
    assert again.headers.column("trace_sequence_file").tolist() == [1, 2, 3, 4, 5]
    assert again.headers.column("trace_type").tolist() == [1] * 5
    if kind == "segy":
        with segyio.open(path, ignore_geometry=True, endian=endian) as file:
            text = segyio.tools.wrap(file.text[0]).split("\n")
            assert path.read_bytes()[3500:3502] == b"\x01\x00"
            assert np.array_equal(file.trace.raw[:], gather.traces) and list(file.samples) == list(
                np.arange(7) * 2.0 - 6
            )
        assert (
            len(text) == 40 and text[39].startswith("C40 END TEXTUAL HEADER") and text[38].startswith("C39 SEG Y REV1")
        )
        assert any("233: POLARITY (i2)" in line for line in text)


def test_between_segy_and_su(
    storage: SegyStorage, tmp_path: Path, segy_file: Write, plan_of: Any, written: Any
) -> None:
    """The sample count of a SEG-Y trace header may be wrong; SU has no other."""
    survey = storage.open(
        [str(segy_file(tmp_path / "a.sgy", ramp(3, 8), words={(115, "u2"): 1500, (21, "i4"): 4}))], {}
    )
    su = tmp_path / "b.su"
    su.write_bytes(written(storage.sink(plan_of(survey, options={"kind": "su"})), survey.read(slice(0, 3)).rows, 3))
    second = storage.open([str(su)], {})
    assert second.headers().column("sample_count").tolist() == [8, 8, 8] and second.info.file["kind"] == "su"
    back = tmp_path / "c.sgy"
    back.write_bytes(written(storage.sink(plan_of(second, options={"kind": "segy"})), second.read(slice(0, 3)).rows, 3))
    third = storage.open([str(back)], {})
    assert np.array_equal(third.read(slice(0, 3)).traces, ramp(3, 8)) and third.headers().column("cdp").tolist() == [
        4,
        4,
        4,
    ]
    with pytest.raises(UsageError, match="SU files hold float32"):
        storage.sink(plan_of(survey, options={"kind": "su", "format": 1}))


def test_revision_2_has_room(storage: SegyStorage, tmp_path: Path, written: Any) -> None:
    gather = make_gather(np.ones((2, 70_000)), interval_ms=0.0625)
    for sampling, message in (
        (gather.sampling, "70000 samples per trace do not fit SEG-Y revision 1"),
        (Sampling(0.0, 62.5e-6, 10), "sample interval 62.5 us does not fit the 16-bit"),
        (Sampling(0.0, 0.07, 10), "sample interval 70000 us does not fit the 16-bit"),
    ):
        with pytest.raises(UsageError, match=message):
            storage.sink(attrs.evolve(plan_for(gather), sampling=sampling))
    sink = storage.sink(plan_for(gather, options={"revision": 2}))
    path = tmp_path / "b.sgy"
    path.write_bytes(written(sink, gather.rows, 2))
    native: Any = pytest.importorskip("seisproc_native_segy")
    survey = SegyStorage(native).open([str(path)], {})
    assert survey.sampling.count == 70_000 and survey.sampling.interval_s == pytest.approx(62.5e-6, rel=1e-12)
    assert survey.info.file["revision"] == [2, 0]


def test_what_cannot_be_held_is_refused(storage: SegyStorage) -> None:
    gather = make_gather(ramp(2, 3), cdp=[1, 2])
    bad = gather.traces.copy()
    bad[1, 2] = np.nan
    with pytest.raises(DataError, match="output trace 12 holds nan at sample 3"):
        storage.sink(plan_for(gather)).encode(10, gather.with_traces(bad))
    loud = gather.with_traces(gather.traces * 20000)
    with pytest.raises(UsageError, match=re.escape("do not fit format 3 (int16, -32768 to 32767)")):
        storage.sink(plan_for(gather, options={"format": 3})).encode(0, loud)
    wide = gather.with_headers(gather.headers.with_columns(cdp=np.array([1, 2**40])))
    with pytest.raises(
        HeaderError, match="header word 'cdp' of output trace 8 is 1099511627776, which does not fit byte 21 as i4"
    ):
        storage.sink(plan_for(gather)).encode(6, wide)
    early = attrs.evolve(gather, sampling=attrs.evolve(gather.sampling, start_s=-40.00005))
    with pytest.raises(HeaderError, match="start time -40000.1 ms does not fit the delay word"):
        storage.sink(attrs.evolve(plan_for(gather), sampling=early.sampling)).encode(0, early)
    with pytest.raises(UsageError, match="not spectra"):
        storage.sink(attrs.evolve(plan_for(gather), sampling=Sampling(0.0, 1.0, 3, "frequency")))
    with pytest.raises(ParameterError, match="'formt' is unknown; there are binary, endian, format, header_map"):
        storage.sink(plan_for(gather, options={"formt": 1}))
    with pytest.raises(UsageError, match="'late' at byte 240 lies outside"):
        storage.sink(plan_for(gather, options={"words": {"late": [240, "i2"]}}))


def test_killed_traces_are_marked(
    storage: SegyStorage, tmp_path: Path, segy_file: Write, plan_of: Any, written: Any
) -> None:
    survey = storage.open([str(segy_file(tmp_path / "a.sgy", ramp(4, 4), words={(29, "i2"): [1, 1, 2, 9]}))], {})
    rows = survey.read(slice(0, 4))
    rows = rows.with_headers(rows.headers.with_columns(dead=np.array([0, 4, 2, 0], np.uint8)))
    file = written(storage.sink(plan_of(survey)), rows.rows, 4)
    types = [int.from_bytes(file[HEAD + n * 256 + 28 : HEAD + n * 256 + 30], "big") for n in range(4)]
    assert types == [1, 2, 2, 9]


def test_shards(storage: SegyStorage) -> None:
    gather = make_gather(np.zeros((1, 1000)))
    for count, shard_bytes in ((1, 1 << 20), (10**5, 6_625_000), (10**8, 16 << 20)):
        sink = storage.sink(attrs.evolve(plan_for(gather), n_traces=count))
        assert sink.shard_rows == shard_bytes // 4240 and sink.file_bytes == HEAD + count * 4240
    long = storage.sink(attrs.evolve(plan_for(gather), sampling=Sampling(0.0, 1e-3, 60_000), n_traces=9))
    assert long.shard_rows == 4


def test_from_memory_and_back(storage: SegyStorage, written: Any, tmp_path: Path) -> None:
    """Coordinates in feet keep their integers and their unit."""
    gather = make_gather(ramp(2, 3), source_x=[100, 200], coordinate_scalar=-10)
    survey = MemorySurvey(gather, SurveyInfo(length_unit="us_ft"))
    (tmp_path / "a.sgy").write_bytes(written(storage.sink(plan_for(gather, info=survey.info)), gather.rows, 2))
    again = storage.open([str(tmp_path / "a.sgy")], {})
    assert again.info.length_unit == "ft" and again.headers().column("source_x").tolist() == [100, 200]


def test_raw_samples_of_some_rows_only(
    storage: SegyStorage, tmp_path: Path, segy_file: Write, plan_of: Any, written: Any
) -> None:
    """Batches that float32 holds come without raw samples; laid end to end with others nothing is lost."""
    traces = np.array([[1, 2, 3], [2**24 + 1, 5, 6], [0, 0, 0], [2**30 + 7, -1, -(2**31)], [7, 8, 9]])
    path = segy_file(tmp_path / "a.sgy", traces, format=2)
    survey = storage.open([str(path)], {})
    parts = [survey.read(slice(row, row + 1)) for row in range(5)]
    assert [part.raw_samples is None for part in parts] == [True, False, True, False, True]
    assert written(storage.sink(plan_of(survey)), Gather.concatenate(parts).rows, 5) == path.read_bytes()


def test_odd_ibm_words(storage: SegyStorage, tmp_path: Path, segy_file: Write, plan_of: Any, written: Any) -> None:
    """Unnormalised and extreme IBM words read as their value, and come back as they were."""
    words = [[0x42010000, 0x41100000, 0xC1080000], [0x20100001, 0x41000000, 0x80000000], [0x41100000, 0x4276A000, 0]]
    path = segy_file(tmp_path / "a.sgy", np.array(words, np.uint32), format=10, binary={(3225, "u2"): 1})
    survey = storage.open([str(path)], {})
    gather = survey.read(slice(0, 3))
    assert gather.traces.tolist() == [[1.0, 1.0, -0.5], [2.0**-132, 0.0, -0.0], [1.0, 118.625, 0.0]]
    assert written(storage.sink(plan_of(survey)), gather.rows, 3) == path.read_bytes()
    beyond = segy_file(tmp_path / "b.sgy", np.array([[0x7FFFFFFF, 1]], np.uint32), format=10, binary={(3225, "u2"): 1})
    with pytest.raises(DataError, match="beyond float32"):
        storage.open([str(beyond)], {}).read(slice(0, 1))
    assert storage.open([str(beyond)], {"nan": "zero"}).read(slice(0, 1)).traces[0, 0] == 0
