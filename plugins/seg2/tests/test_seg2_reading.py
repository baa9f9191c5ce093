"""SEG-2 files: real ones as independent readers describe them, made ones as they were made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisproc_core.data.formats import format_of
from seisproc_core.errors import DataError, ParameterError, UsageError
from seisproc_seg2.inspection import describe
from seisproc_seg2.samples import data_bytes, decode
from seisproc_seg2.storage import Seg2Storage

Write = Callable[..., Path]
USUAL = {"CHANNEL_NUMBER": "1", "SAMPLE_INTERVAL": "0.0005"}


def opened(*paths: Path, **options: Any) -> Any:
    return Seg2Storage().open([str(path) for path in paths], options)


def float_trace(values: np.ndarray, order: str = "<", **words: str) -> tuple[dict[str, str], int, int, bytes]:
    return {**USUAL, **words}, 4, len(values), values.astype(order + "f4").tobytes()


def test_every_file_of_the_corpus(facts: dict[str, dict[str, Any]], shared: Path) -> None:
    assert len(facts) >= 4
    for name, fact in facts.items():
        path = shared / "corpus" / name
        assert format_of(path).id == "seg2", name
        survey = opened(path)
        assert (survey.n_traces, survey.sampling.count) == (fact["n_traces"], fact["n_samples"]), name
        assert survey.sampling.interval_s * 1e6 == pytest.approx(fact["dt_us"]), name
        assert survey.sampling.start_s == float(fact["delay"]), name
        traces = survey.read(slice(0, survey.n_traces)).traces
        assert traces[0, :4].tolist() == fact["first_trace_first4"], name
        assert traces[-1, -4:].tolist() == fact["last_trace_last4"], name
        headers = survey.headers()
        assert headers["source_x"][0] == pytest.approx(float(fact["source_location"])), name
        ends = [headers["receiver_x"][0], headers["receiver_x"][-1]]
        assert ends == pytest.approx([float(text) for text in fact["receiver_locations"]]), name
        assert headers["channel"].tolist() == list(range(1, survey.n_traces + 1)), name
        assert headers["field_record"][0] >= 1, name
        assert any(fact["instrument"] in line for line in describe(str(path))["text"]), name


def test_a_record_and_the_file_converted_from_it(shared: Path) -> None:
    """The same record as SEG-2 and, converted by another program, as SEG-Y with rounded samples."""
    from seisproc_core.data.formats import open_survey

    folder = shared / "corpus" / "JohnWStockwellJr_SeisUnix"
    ours, theirs = opened(folder / "329.dat"), open_survey(folder / "329.sgy")
    assert np.abs(ours.read(slice(0, 3)).traces - theirs.read(slice(0, 3)).traces).max() < 1
    assert ours.headers()["field_record"].tolist() == theirs.headers()["field_record"].tolist() == [329] * 3


@given(
    st.sampled_from(["<", ">"]),
    st.lists(st.tuples(st.integers(-32767, 32767), st.integers(0, 15)), min_size=1, max_size=13),
)
def test_twenty_bit_samples(order: str, samples: list[tuple[int, int]]) -> None:
    """Mantissa in one's complement, exponent of 2 in the first word's bits, the lowest for the first sample."""
    padded = samples + [(0, 0)] * (-len(samples) % 4)
    words: list[int] = []
    for at in range(0, len(padded), 4):
        four = padded[at : at + 4]
        words.append(sum(exponent << (4 * place) for place, (_, exponent) in enumerate(four)))
        words += [value if value >= 0 else 0xFFFF - -value for value, _ in four]
    data = np.array(words, order + "u2").tobytes()
    assert len(data) == data_bytes(len(samples), 3)
    expected = [value * 2.0**exponent for value, exponent in samples]
    assert decode(data, len(samples), 3, order).tolist() == expected


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("format_", "dtype"), [(1, "i2"), (2, "i4"), (4, "f4"), (5, "f8")])
def test_plain_formats_in_both_byte_orders(
    tmp_path: Path, seg2_file: Write, order: str, format_: int, dtype: str
) -> None:
    values = np.array([[1, -2, 30000], [4, 5, -6]])
    traces = [(USUAL, format_, 3, row.astype(order + dtype).tobytes()) for row in values]
    survey = opened(seg2_file(tmp_path / "a.dat", traces, order=order, end=b"\r\n"))
    assert np.array_equal(survey.read(slice(0, 2)).traces, values)
    assert np.array_equal(survey.read(np.array([1, 0, 1])).traces, values[[1, 0, 1]])


def test_keywords_become_words(tmp_path: Path, seg2_file: Write) -> None:
    about = {"UNITS": "FEET", "ACQUISITION_DATE": "02/Feb/2021", "ACQUISITION_TIME": "13:05:59", "NOTE": "two\nlines"}
    words = [
        {"CHANNEL_NUMBER": "7", "RECEIVER_LOCATION": "12.25 -3 101.5", "RECEIVER": "SH_HORIZONTAL_GEOPHONE 40HZ",
         "STACK": "4", "POLARITY": "-1", "SOURCE_STATION_NUMBER": "11"},
        {"CHANNEL_NUMBER": "AUX 2", "RECEIVER_LOCATION": "13 0 99", "STACK": "4", "POLARITY": "1",
         "SOURCE_STATION_NUMBER": "11"},
        {"CHANNEL_NUMBER": "9", "RECEIVER_LOCATION": "14.5", "TRACE_TYPE": "DEAD", "STACK": "4", "POLARITY": "1",
         "SOURCE_STATION_NUMBER": "11"},
    ]  # fmt: skip
    common = {"SAMPLE_INTERVAL": "0.001", "DELAY": "-0.05", "SHOT_SEQUENCE_NUMBER": "31", "SOURCE_LOCATION": "-2.5"}
    traces = [float_trace(np.ones(4), **common, **own) for own in words]
    survey = opened(seg2_file(tmp_path / "a.sg2", traces, strings=about))
    assert survey.info.length_unit == "ft" and survey.sampling.start_s == -0.05
    headers = survey.headers()
    expected = {
        "field_record": [31] * 3, "channel": [7, 2, 9], "trace_type": [1, -1, 2], "component": [13, 0, 0],
        "vertical_fold": [4] * 3, "polarity": [-1, 1, 1], "source_station": [11] * 3, "dead": [0, 0, 2],
        "year": [2021] * 3, "day": [33] * 3, "hour": [13] * 3, "minute": [5] * 3, "second": [59] * 3,
        "receiver_x": [1225, 1300, 1450], "receiver_y": [-300, 0, 0], "coordinate_scalar": [-100] * 3,
        "receiver_elevation": [1015, 990, 0], "elevation_scalar": [-10] * 3, "source_x": [-250] * 3,
    }  # fmt: skip
    assert {name: headers.column(name).tolist() for name in expected} == expected
    assert headers["receiver_x"] == pytest.approx([12.25 * 0.3048, 13 * 0.3048, 14.5 * 0.3048])
    assert survey.info.file["keywords"]["NOTE"] == "two\nlines"
    assert any("POLARITY -1" in note for note in survey.notes)
    live = survey.read(slice(0, 3)).live_window[1]
    assert live.tolist() == [4, 4, 0]


def test_several_files_are_one_survey(tmp_path: Path, seg2_file: Write) -> None:
    files = []
    for shot in (3, 4):
        traces = [
            float_trace(np.full(5, 10.0 * shot + k), CHANNEL_NUMBER=str(k), SHOT_SEQUENCE_NUMBER=str(shot))
            for k in (1, 2)
        ]
        files.append(seg2_file(tmp_path / f"{shot}.dat", traces))
    survey = opened(*files)
    assert survey.headers()["field_record"].tolist() == [3, 3, 4, 4]
    assert survey.headers()["channel"].tolist() == [1, 2, 1, 2]
    assert survey.read(np.array([3, 0])).traces[:, 0].tolist() == [42, 31]
    assert len(np.unique(survey.headers()["trace_id"])) == 4
    assert [item["path"] for item in survey.identity()] == [str(file) for file in files]


def test_field_records_are_found_never_guessed(tmp_path: Path, seg2_file: Write) -> None:
    def record(name: str, **words: str) -> Path:
        return seg2_file(tmp_path / name, [float_trace(np.ones(3), **words)])

    def numbers(*paths: Path, **options: Any) -> list[int]:
        return opened(*paths, **options).headers()["field_record"].tolist()

    plain = [record("s008.dat"), record("s012.dat")]
    survey = opened(*plain)
    assert "field_record" not in survey.headers()
    assert any("no field record number" in note for note in survey.notes)
    assert numbers(*plain, field_record="file_name") == [8, 12]
    assert numbers(*plain, field_record="position") == [1, 2]
    with pytest.raises(DataError, match=r"s008.dat has no field record by field_record = \"raw_record\""):
        opened(*plain, field_record="raw_record")
    raw = record("line2.dat", RAW_RECORD=r"D:\1000\77.dat")
    assert numbers(raw) == [77]
    assert any('77 by raw_record, 2 by file_name; field_record = "file_name"' in n.replace("field record ", "")
               for n in opened(raw).notes)  # fmt: skip
    both = record("5.dat", RAW_RECORD="6.dat", SHOT_SEQUENCE_NUMBER="4")
    assert numbers(both) == [4] and numbers(both, field_record="raw_record") == [6]


def test_descaling_is_on_request(tmp_path: Path, seg2_file: Write) -> None:
    traces = [float_trace(np.array([2.0, -4.0]), DESCALING_FACTOR=factor) for factor in ("2.5E-001", "3")]
    path = seg2_file(tmp_path / "a.dat", traces)
    kept = opened(path)
    assert kept.read(slice(0, 2)).traces.tolist() == [[2, -4], [2, -4]]
    assert kept.headers()["descaling_factor"].tolist() == [0.25, 3]
    assert any("descale = true" in note for note in kept.notes)
    scaled = opened(path, descale=True)
    assert scaled.read(slice(0, 2)).traces.tolist() == [[0.5, -1], [6, -12]]
    assert any("millivolts" in note for note in scaled.notes)
    with pytest.raises(DataError, match="no DESCALING_FACTOR"):
        opened(seg2_file(tmp_path / "b.dat", [float_trace(np.ones(2))]), descale=True)


def test_samples_that_are_not_finite(tmp_path: Path, seg2_file: Write) -> None:
    path = seg2_file(tmp_path / "a.dat", [float_trace(np.array([1, np.nan, 2])), float_trace(np.ones(3))])
    with pytest.raises(DataError, match="holds nan at sample 2"):
        opened(path).read(slice(0, 2))
    assert opened(path, nan="zero").read(slice(0, 1)).traces.tolist() == [[1, 0, 2]]
    killed = opened(path, nan="kill").read(slice(0, 2))
    assert killed.traces[0].tolist() == [0, 0, 0] and killed.headers["dead"].tolist() == [3, 0]


def test_mixed_files_are_refused_with_their_groups(tmp_path: Path, seg2_file: Write) -> None:
    one = seg2_file(tmp_path / "a.dat", [float_trace(np.ones(3))])
    other = seg2_file(tmp_path / "b.dat", [float_trace(np.ones(3), SAMPLE_INTERVAL="0.001", DELAY="0.1")])
    with pytest.raises(DataError, match=r"sample interval: 1 traces at 0.0005 \(first: a.dat\), 1 traces at 0.001"):
        opened(one, other)
    with pytest.raises(DataError, match="differ in delay"):
        opened(one, other, interval_us=500)
    assert opened(one, other, interval_us=500, delay_ms=-20).sampling.start_s == -0.02
    longer = seg2_file(tmp_path / "c.dat", [float_trace(np.ones(4))])
    with pytest.raises(DataError, match="number of samples"):
        opened(one, longer)
    with pytest.raises(DataError, match="states no sample interval"):
        opened(seg2_file(tmp_path / "d.dat", [({}, 4, 1, bytes(4))]))


def test_options_and_paths_are_checked(tmp_path: Path, seg2_file: Write) -> None:
    path = seg2_file(tmp_path / "a.dat", [float_trace(np.ones(3))])
    for options in ({"endian": "big"}, {"nan": "maybe"}, {"descale": 1}, {"delay_ms": "1"}, {"interval_us": 0}):
        with pytest.raises(ParameterError):
            opened(path, **options)
    for bad in (tmp_path, tmp_path / "none.dat"):
        with pytest.raises(UsageError):
            opened(bad)
    with pytest.raises(UsageError, match="given twice"):
        opened(path, path)
