"""Delivered files: text header from fields, binary header, integer formats with recorded scaling, words elsewhere."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import segyio
from hypothesis import given
from hypothesis import strategies as st

from seisproc_core.data.survey import OutputPlan, SurveyInfo
from seisproc_core.errors import HeaderError, ParameterError, UsageError
from seisproc_core.testing import make_gather
from seisproc_segy.delivery import export_options
from seisproc_segy.report import check_export
from seisproc_segy.samples import LIMITS
from seisproc_segy.scaling import fitting_exponent
from seisproc_segy.storage import SegyStorage

Write = Callable[..., Path]
HISTORY = (
    {"use": "sort", "parameters": {"gather": ["cdp"], "sort": ["offset"]}},
    {"use": "bandpass", "parameters": {"low_hz": 15, "high_hz": 70.5}},
    {"use": "nmo", "parameters": {"velocity": {"columns": ["time_ms"], "rows": 9}}},
    {"use": "stack", "parameters": {}},
)


def line(count: int = 4, samples: int = 6, **words: Any) -> Any:
    traces = np.random.default_rng(7).normal(size=(count, samples)) * 10.0 ** np.arange(count)[:, None]
    return make_gather(traces, interval_ms=2, cdp=np.arange(101, 101 + count), offset=-5, **words)


def plan_for(gather: Any, history: Any = HISTORY, largest: int = 0, **options: Any) -> OutputPlan:
    words = {name: gather.headers.dtype(name).str for name in gather.headers}
    info = SurveyInfo(processed=bool(history), history=history)
    return OutputPlan(
        n_traces=gather.n_traces, sampling=gather.sampling, words=words, info=info, options=options,
        largest_gather=largest,
    )  # fmt: skip


def file_of(storage: SegyStorage, written: Any, gather: Any, path: Path, **options: Any) -> Path:
    path.write_bytes(written(storage.sink(plan_for(gather, **options)), gather.rows, gather.n_traces))
    return path


def text_of(path: Path, codec: str = "cp037") -> list[str]:
    text = path.read_bytes()[:3200].decode(codec)
    return [text[at : at + 80].rstrip() for at in range(0, 3200, 80)]


def raw_traces(path: Path, dtype: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples and weighting factors by a reader that is nothing but offsets."""
    body = path.read_bytes()[3600:]
    stride = len(body) // count
    traces = [np.frombuffer(body[k * stride + 240 : (k + 1) * stride], ">" + dtype) for k in range(count)]
    factors = [struct.unpack_from(">h", body, k * stride + 168)[0] for k in range(count)]
    return np.array(traces, np.float64), np.array(factors)


def test_text_header_from_fields(storage: SegyStorage, written: Any, tmp_path: Path) -> None:
    fields = {"client": "ACME", "line": "L-12", "crs": "UTM 32N", "datum": "MSL", "notes": ["FINAL", "VERSION 2"]}
    text = text_of(file_of(storage, written, line(), tmp_path / "a.sgy", text=fields))
    assert len(text) == 40 and all(row.startswith(f"C{number:02d}") for number, row in enumerate(text, 1))
    assert text[0] == "C01 CLIENT: ACME   COMPANY:" and "LINE: L-12" in text[1]
    whole = "\n".join(text)
    sequence = " ".join(row[4:] for row in text[9:13])
    assert "1 SORT GATHER=CDP SORT=OFFSET; 2 BANDPASS LOW_HZ=15 HIGH_HZ=70.5; 3 NMO VELOCITY=TABLE; 4 STACK" in sequence
    for part in ("CRS: UTM 32N", "DATUM: MSL", "FINAL", "VERSION 2", "TRACES: 4   SORTED BY: CDP, OFFSET",
                 "SAMPLES/TRACE: 6   INTERVAL: 2 MS", "5 (IEEE float32)", "LENGTHS IN METRES",
                 "21: CDP (i4)", "37: OFFSET (i4)"):  # fmt: skip
        assert part in whole, part
    assert "POLARITY" not in whole  # a field that was not given takes no line
    assert text[38:] == ["C39 SEG Y REV1", "C40 END TEXTUAL HEADER"]


def test_last_lines_and_encoding_follow_the_revision(storage: SegyStorage, written: Any, tmp_path: Path) -> None:
    oldest = file_of(storage, written, line(), tmp_path / "0.sgy", revision=0, text={"client": "A"})
    assert text_of(oldest)[39] == "C40 END EBCDIC" and oldest.read_bytes()[3500:3502] == b"\0\0"
    newest = file_of(storage, written, line(), tmp_path / "2.sgy", revision=2, text_encoding="ascii")
    assert text_of(newest, "ascii")[38:] == ["C39 SEG-Y_REV2.0", "C40 END TEXTUAL HEADER"]
    assert struct.unpack_from(">I", newest.read_bytes(), 3296)[0] == 0x01020304


def test_a_template_of_ones_own(storage: SegyStorage, written: Any, tmp_path: Path) -> None:
    template = tmp_path / "own.txt"
    template.write_text(
        "C01 FOR {client}\nC02\nC03 {samples} SAMPLES, {format}\n{processing}\n".replace("{client}", "ME")
    )
    given = export_options({"text": str(template)}, lambda: None)
    text = text_of(file_of(storage, written, line(), tmp_path / "a.sgy", **given))
    assert text[:3] == ["C01 FOR ME", "C02", "C03 6 SAMPLES, 5 (IEEE float32)"]
    assert text[3].startswith("C04 1 SORT GATHER=CDP")
    toml = tmp_path / "own.toml"
    toml.write_text('client = "ME"\nprocessing = ["STACKED"]\n')
    text = text_of(
        file_of(storage, written, line(), tmp_path / "b.sgy", **export_options({"text": toml}, lambda: None))
    )
    assert any(row.endswith(" STACKED") for row in text) and "BANDPASS" not in "\n".join(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ({"client": "X" * 80}, r"line C01 has \d+ characters, 76 fit"),
        ({"notes": ["FINE", "Y" * 77]}, r"line C0\d has 77 characters, 76 fit: 'YYY"),
        ({"notes": ["N"] * 40}, r"needs \d+ lines, 38 fit"),
        ({"crs": "\x1b[2J"}, r"line C\d\d holds a control character"),
        ({"datum": "40 \u03bcs"}, r"line C\d\d holds '\u03bc', which has no EBCDIC byte"),
        ({"clint": "X"}, "has no field 'clint'; did you mean client"),
        ({"client": 3}, "has client = 3, which must be a text"),
        ({"template": ["A {clint}"]}, "template line 1 asks for {clint}, which is no field; did you mean {client}"),
        ({"template": ["A {processing}"]}, "template line 1: {processing} becomes several lines"),
        ({"template": ["{client.__class__}", "{0}"]}, "template line 2 asks for {0}"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_its_line(storage: SegyStorage, text: Any, said: str) -> None:
    with pytest.raises(ParameterError, match=f"segy: parameter 'text' {said}"):
        storage.sink(plan_for(line(), text=text))


def test_a_long_processing_sequence_loses_its_parameters_first(
    storage: SegyStorage, written: Any, tmp_path: Path
) -> None:
    steps = [
        {"use": "bandpass", "parameters": {"low_hz": k, "high_hz": 70, "slope": "A RATHER LONG VALUE"}}
        for k in range(40)
    ]
    text = "\n".join(text_of(file_of(storage, written, line(), tmp_path / "a.sgy", history=tuple(steps))))
    assert "40 BANDPASS" in text and "LOW_HZ" not in text
    with pytest.raises(ParameterError, match="are the processing sequence"):
        storage.sink(plan_for(line(), history=tuple(steps) * 10))


def test_binary_header_says_what_was_done(storage: SegyStorage, written: Any, tmp_path: Path) -> None:
    def words(path: Path) -> tuple[int, ...]:
        data = path.read_bytes()
        return tuple(struct.unpack_from(">h", data, byte - 1)[0] for byte in (3213, 3227, 3229))

    assert words(file_of(storage, written, line(), tmp_path / "a.sgy")) == (1, 1, 4)
    sort = ({"use": "sort", "parameters": {"gather": ["cdp"]}},)
    assert words(file_of(storage, written, line(), tmp_path / "b.sgy", history=sort, largest=24)) == (24, 24, 2)
    shots = ({"use": "sort", "parameters": {"gather": ["field_record"]}},)
    assert words(file_of(storage, written, line(), tmp_path / "c.sgy", history=shots, largest=96)) == (96, 0, 5)
    told = file_of(storage, written, line(), tmp_path / "d.sgy", binary={"job": 70000, "fold": 30, "polarity": 1})
    assert words(told) == (1, 30, 4) and struct.unpack_from(">i", told.read_bytes(), 3200)[0] == 70000
    with segyio.open(told, ignore_geometry=True) as file:
        assert file.bin[segyio.BinField.Samples] == 6 and file.bin[segyio.BinField.Interval] == 2000
        assert file.bin[segyio.BinField.TraceFlag] == 1 and file.bin[segyio.BinField.MeasurementSystem] == 1
    for bad in ({"clowns": 1}, {"fold": 1 << 15}, {"fold": 1.5}, {"job": True}):
        with pytest.raises(ParameterError, match="parameter 'binary'"):
            storage.sink(plan_for(line(), binary=bad))


@pytest.mark.parametrize(("format_", "dtype"), [(2, "i4"), (3, "i2"), (8, "i1")])
@pytest.mark.parametrize("scaling", ["trace", "survey"])
def test_integer_formats_give_the_samples_back(
    storage: SegyStorage, written: Any, tmp_path: Path, format_: int, dtype: str, scaling: str
) -> None:
    """value = stored * 2^-N, N at bytes 169-170, to half a stored unit."""
    gather = line(weighting_factor=[0, 3, 0, -1])

    class Opened:
        n_traces, sampling = gather.n_traces, gather.sampling

        def read(self, rows: slice) -> Any:
            return gather.rows(*rows.indices(gather.n_traces)[:2])

    options = export_options({"format": format_, "scaling": scaling}, Opened)
    path = file_of(storage, written, gather, tmp_path / "a.sgy", **options)
    stored, factors = raw_traces(path, dtype, gather.n_traces)
    exponents = factors - np.array([0, 3, 0, -1])
    assert (
        np.abs(stored * 2.0 ** -exponents[:, None] - gather.traces).max(initial=0) <= 0.5001 * 2.0 ** -exponents.min()
    )
    largest = np.abs(stored).max(axis=1)
    limit = LIMITS[format_][1]
    if scaling == "trace":
        assert np.all(largest > limit / 2 - 1)
    else:
        assert len(set(exponents)) == 1 and limit / 2 - 1 < largest.max() <= limit
    found = check_export(str(path), plan_for(gather, **options), [gather])
    assert found["problems"] == [] and "weighting_factor" in found["words_set_by_the_export"]


@given(st.floats(1e-30, 1e30), st.sampled_from([2, 3, 7, 8]))
def test_the_greatest_power_that_fits(largest: float, format_: int) -> None:
    exponent = int(fitting_exponent(np.array(largest), format_))
    limit = LIMITS[format_][1]
    assert np.ldexp(largest, exponent) <= limit < np.ldexp(largest, exponent + 1) or abs(exponent) == 120


def test_weighting_factors_are_noted_when_a_file_is_read(storage: SegyStorage, written: Any, tmp_path: Path) -> None:
    for scaling, told in (("trace", "do not compare"), (7, "are 7: samples are read as they stand"), (0, None)):
        path = file_of(storage, written, line(), tmp_path / f"{scaling}.sgy", format=2, scaling=scaling)
        notes = [note for note in storage.open([str(path)], {}).notes if "weighting" in note]
        assert (told is None and not notes) or told in notes[0]


def test_rounding_that_leaves_little_is_refused_unless_asked_for(
    storage: SegyStorage, written: Any, tmp_path: Path
) -> None:
    gather = line()
    weak = gather.with_traces(gather.traces * (0.9 / np.abs(gather.traces).max()).astype(np.float32))
    with pytest.raises(UsageError, match=r'when they are rounded .*scaling = "survey" keeps them, scaling = 0 writes'):
        file_of(storage, written, weak, tmp_path / "a.sgy", format=3)
    file_of(storage, written, weak, tmp_path / "b.sgy", format=3, scaling=0)
    whole = gather.with_traces(np.sign(gather.traces))
    file_of(storage, written, whole, tmp_path / "c.sgy", format=3)


def test_scaling_is_refused_where_it_means_nothing(storage: SegyStorage, written: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="scaling is for integer formats"):
        storage.sink(plan_for(line(), format=1, scaling=3))
    with pytest.raises(UsageError, match="recorded at bytes 169-170, where another word"):
        storage.sink(plan_for(line(), format=3, scaling=3, words={"offset": [168, "i4"]}))
    with pytest.raises(ParameterError, match="'scaling' must be"):
        storage.sink(plan_for(line(), format=3, scaling=1000))
    with pytest.raises(UsageError, match=r"do not fit format 3 .*; scaling = -?\d+ makes these fit"):
        file_of(storage, written, line(count=7), tmp_path / "a.sgy", format=3)
    gather = line(count=7)
    told = int(fitting_exponent(np.abs(gather.traces).max(), 3))
    file_of(storage, written, gather, tmp_path / "b.sgy", format=3, scaling=told)
    with pytest.raises(UsageError, match=f"scaling = {told} makes these fit"):
        file_of(storage, written, gather, tmp_path / "c.sgy", format=3, scaling=told + 1)


def test_words_go_where_they_are_told_and_alone(storage: SegyStorage, written: Any, tmp_path: Path) -> None:
    gather = line(field_record=77, inline=[5, 6, 7, 8])
    path = file_of(
        storage, written, gather, tmp_path / "a.sgy", words={"inline": [9, "i4"], "field_record": [189, "i4"]}
    )
    with segyio.open(path, ignore_geometry=True) as file:
        assert file.attributes(9)[:].tolist() == [5, 6, 7, 8] and file.attributes(189)[:].tolist() == [77] * 4
    assert "9: INLINE (i4)" in "\n".join(text_of(path))
    with pytest.raises(HeaderError, match="'nonsense' is not in this survey"):
        storage.sink(plan_for(gather, words={"nonsense": [9, "i4"]}))


def test_renumbering(storage: SegyStorage, written: Any, tmp_path: Path, segy_file: Write, plan_of: Any) -> None:
    survey = storage.open([str(segy_file(tmp_path / "a.sgy", np.ones((3, 5)), words={(1, "i4"): 9, (5, "i4"): 8}))], {})
    again = tmp_path / "b.sgy"
    plan = plan_of(survey, options={"renumber": True})
    again.write_bytes(written(storage.sink(plan), survey.read(slice(0, 3)).rows, 3))
    with segyio.open(again, ignore_geometry=True) as file:
        assert file.attributes(1)[:].tolist() == file.attributes(5)[:].tolist() == [1, 2, 3]
    assert check_export(str(again), plan, [survey.read(slice(0, 3))])["problems"] == []


def test_revision_0_drops_what_it_cannot_have(
    storage: SegyStorage, written: Any, tmp_path: Path, segy_file: Write, plan_of: Any
) -> None:
    source = segy_file(tmp_path / "a.sgy", np.ones((2, 5)), extended=[b"\xc3\x40"], binary={(3503, "i2"): 1})
    survey = storage.open([str(source)], {})
    plan = plan_of(survey, options={"revision": 0})
    out = tmp_path / "b.sgy"
    out.write_bytes(written(storage.sink(plan), survey.read(slice(0, 2)).rows, 2))
    data = out.read_bytes()
    assert len(data) == len(source.read_bytes()) - 3200
    assert struct.unpack_from(">hhh", data, 3500) == (0, 0, 0)
    with segyio.open(out, ignore_geometry=True) as file:
        assert file.tracecount == 2


def test_another_text_encoding_loses_nothing(
    storage: SegyStorage, written: Any, tmp_path: Path, segy_file: Write, plan_of: Any
) -> None:
    source = segy_file(tmp_path / "a.sgy", np.ones((2, 5)), extended=[bytes(range(64, 250))])
    survey = storage.open([str(source)], {})
    out = tmp_path / "b.sgy"
    out.write_bytes(
        written(storage.sink(plan_of(survey, options={"text_encoding": "ascii"})), survey.read(slice(0, 2)).rows, 2)
    )
    assert out.read_bytes()[:20].startswith(b"C 1 A TEST FILE")
    back = storage.open([str(out)], {"text_encoding": "ascii"})
    again = tmp_path / "c.sgy"
    again.write_bytes(
        written(storage.sink(plan_of(back, options={"text_encoding": "ebcdic"})), back.read(slice(0, 2)).rows, 2)
    )
    assert again.read_bytes() == source.read_bytes()


def test_the_report_finds_what_is_wrong(storage: SegyStorage, written: Any, tmp_path: Path) -> None:
    gather = line(count=5, samples=40)
    plan = plan_for(gather, format=1)
    path = file_of(storage, written, gather, tmp_path / "a.sgy", format=1)
    good = check_export(str(path), plan, [gather.rows(0, 2), gather.rows(2, 5)])
    assert good["problems"] == [] and good["traces"] == 5 and good["segyio"].endswith("alike")
    assert good["words"]["cdp"]["low"] == 101 and good["words"]["cdp"]["high"] == 105
    assert good["sample_range"] == pytest.approx([gather.traces.min(), gather.traces.max()], rel=1e-6)
    assert any("no problem found" in row for row in good["text_report"])
    stride = 240 + 160
    damaged = bytearray(path.read_bytes())
    damaged[3600 + 2 * stride + 240 + 5] ^= 0x40  # a sample of trace 3
    damaged[3600 + 4 * stride + 23] ^= 1  # cdp of trace 5
    path.write_bytes(damaged)
    found = check_export(str(path), plan, [gather])["problems"]
    assert len(found) == 2 and "first in trace 3" in found[0]
    assert found[1].startswith("header word cdp differs in 1 traces; trace 5:")
    path.write_bytes(damaged[:-stride])
    assert check_export(str(path), plan, [gather.rows(0, 3), gather.rows(3, 5)])["problems"][0].startswith("4 traces")


def test_su_files_are_checked_too(storage: SegyStorage, written: Any, tmp_path: Path) -> None:
    gather = line()
    path = file_of(storage, written, gather, tmp_path / "a.su", kind="su", endian="little")
    found = check_export(str(path), plan_for(gather, kind="su", endian="little"), [attrs.evolve(gather)])
    assert found["problems"] == [] and found["kind"] == "su"
