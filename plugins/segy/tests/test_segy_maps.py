"""Header maps: presets, TOML files, tables, layout stanzas; what is said of units and scalars."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core.data.words import STANDARD
from seisproc_core.errors import DataError, HeaderError, ParameterError
from seisproc_segy import describe
from seisproc_segy.fields import WIDTHS
from seisproc_segy.headermap import PRESETS, header_map
from seisproc_segy.storage import SegyStorage

Write = Callable[..., Path]
FOUR = np.ones((4, 5), np.float32)


def column(storage: SegyStorage, path: Path, name: str, **options: Any) -> list[Any]:
    survey = storage.open([str(path)], options)
    whole: np.ndarray = survey.headers().column(name)
    assert np.array_equal(survey.read(slice(0, survey.n_traces)).headers.column(name), whole, equal_nan=True)
    return whole.tolist()


@settings(max_examples=60, deadline=None)
@given(byte=st.integers(1, 240), type_=st.sampled_from(sorted(WIDTHS)), endian=st.sampled_from(["big", "little"]))
def test_any_byte_and_type(
    backend: Any, tmp_path_factory: Any, segy_file: Write, byte: int, type_: str, endian: str
) -> None:
    if byte + WIDTHS[type_] > 241 or not {*range(byte, byte + WIDTHS[type_])}.isdisjoint({*range(109, 119), 215, 216}):
        return
    path = tmp_path_factory.mktemp("any") / "a.sgy"
    stored = "u4" if type_ == "ibm" else type_
    values = np.array([0x41100000, 0xC2800000, 0, 0x40400000], "u4") if type_ == "ibm" else np.arange(1, 5)
    segy_file(path, FOUR, endian=endian, words={(byte, stored): values})
    expected = [1.0, -128.0, 0.0, 0.25] if type_ == "ibm" else [1, 2, 3, 4]
    for given_type in {type_, "ibm4" if type_ == "ibm" else type_}:
        assert column(SegyStorage(backend), path, "mine", words={"mine": [byte, given_type]}, endian=endian) == expected


def test_presets_are_sound() -> None:
    for name, (summary, places) in PRESETS.items():
        assert summary and header_map(name).places == places
        limit = 480 if name == "rev2" else 240
        assert all(byte + WIDTHS[type_] - 1 <= limit for byte, type_ in places.values()), name
        # Within a preset no two words share a byte, but where moved words lie on those of the standard.
        taken = [b for byte, type_ in places.values() for b in range(byte, byte + WIDTHS[type_])]
        assert len(taken) == len(set(taken)) or name.startswith("petrel"), name
    assert PRESETS["rev1"][1] == {name: (word.byte, word.type) for name, word in STANDARD.items()}


def test_presets(storage: SegyStorage, tmp_path: Path, segy_file: Write) -> None:
    words = {(181, "f4"): 2.5, (5, "i4"): 77, (21, "i4"): 88, (73, "i4"): 99, (205, "i4"): 6}
    path = segy_file(tmp_path / "a.sgy", FOUR, words=words)
    assert column(storage, path, "d1", header_map="su") == [2.5] * 4
    assert column(storage, path, "ntr", header_map="su") == [6] * 4
    assert column(storage, path, "inline", header_map="petrel-3d") == [77] * 4
    assert column(storage, path, "cdp_x", header_map="petrel-3d") == [99] * 4
    assert column(storage, path, "inline") == [0] * 4
    with pytest.raises(HeaderError, match="'inline' is not in this survey"):
        column(storage, path, "inline", header_map="rev0")
    assert column(storage, path, "only", header_map="none", words={"only": [21, "i4"]}) == [88] * 4
    assert storage.open([str(path)], {"header_map": "rev2"}).headers().column("inline").tolist() == [0] * 4


def test_toml_file_and_table(storage: SegyStorage, tmp_path: Path, segy_file: Write) -> None:
    path = segy_file(tmp_path / "a.sgy", FOUR, words={(5, "i4"): 7, (233, "i2"): -1})
    file = tmp_path / "acme.toml"
    file.write_text('base = "rev1"\ndrop = ["cdp_x", "cdpy"]\n[words]\niline = [5, "i4"]\npolarity = [233, "i2"]\n')
    table = {"drop": ["cdpx"], "words": {"polarity": [233, "i2"]}}
    assert column(storage, path, "inline", header_map=str(file)) == [7] * 4
    assert column(storage, path, "polarity", header_map=str(file)) == [-1] * 4
    assert column(storage, path, "polarity", header_map=table) == [-1] * 4
    assert column(storage, path, "polarity", header_map=str(file), words={"polarity": [5, "i4"]}) == [7] * 4
    with pytest.raises(HeaderError, match="cdp_x"):
        column(storage, path, "cdp_x", header_map=str(file))
    one, other = (storage.open([str(path)], {"header_map": given}).identity() for given in (str(file), table))
    assert one[0] == other[0] and one[1] != other[1], "another map is another input"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("base = [", "which is no TOML file"), ('base = "acme"', "has base = 'acme'; there are rev0"),
        ("bytes = 3", "has 'bytes'; a header map has base, drop and words"), ("drop = 3", "no list of word names"),
        ('drop = ["nothing"]', "drops 'nothing'"), ("[words]\nx = [1]", "has x = \\[1\\]"),
        ('[words]\nx = [0, "i4"]', "has x = "), ('[words]\ndead = [1, "i4"]', "may not place 'dead'"),
        ('[words]\n"a b" = [1, "i4"]', "no word name"), ("x = '''" + "x" * 300_000 + "'''", "too large"),
        ("\x00", "which is no TOML file"),
    ],
)  # fmt: skip
def test_wrong_map_files(tmp_path: Path, content: str, message: str, storage: SegyStorage, segy_file: Write) -> None:
    path = segy_file(tmp_path / "a.sgy", FOUR)
    (tmp_path / "map.toml").write_text(content)
    with pytest.raises(ParameterError, match=message):
        storage.open([str(path)], {"header_map": str(tmp_path / "map.toml")})


def test_wrong_map_names(tmp_path: Path, storage: SegyStorage, segy_file: Write) -> None:
    path = str(segy_file(tmp_path / "a.sgy", FOUR))
    wrong: Any
    for wrong, message in (
        ("rev9", "has 'rev9'; there are rev0"),
        (3, "must be the name"),
        ("no.toml", "cannot be read"),
    ):
        with pytest.raises(ParameterError, match=message):
            storage.open([path], {"header_map": wrong})
    with pytest.raises(DataError, match="states no header map of its own"):
        storage.open([path], {"header_map": "layout"})
    with pytest.raises(ParameterError, match="far at byte 241; the last possible is 237"):
        storage.open([path], {"header_map": {"words": {"far": [241, "i4"]}}})


def stanza(entries: str, encoding: str = "ascii") -> list[bytes]:
    opening = '((SEG:Layout:text/xml))\n<?xml version="1.0" encoding="utf-8"?>\n'
    xml = f'{opening}<segy-layout name="t">{entries}</segy-layout>'
    data = xml.encode(encoding)
    data += " ".encode(encoding) * (-len(data) % 3200)
    return [data[at : at + 3200] for at in range(0, len(data), 3200)]


@pytest.mark.parametrize("encoding", ["ascii", "cp037"])
def test_layout_stanza(storage: SegyStorage, tmp_path: Path, segy_file: Write, encoding: str) -> None:
    entries = '<entry name="iline" byte="1" type="int4"/><entry name="My Word" byte="9" type="ieee32"/>'
    entries += '<entry name="smeasure" byte="225" type="scale6"/><!-- a remark -->'
    entries += '<entry name="trace_id" byte="5" type="int4"/>'
    words = {(1, "i4"): 12, (9, "f4"): 0.5, (5, "i4"): 3, (225, "i4"): 25, (229, "i2"): -1}
    path = segy_file(tmp_path / "a.sgy", FOUR, words=words, extended=stanza(entries, encoding))
    survey = storage.open([str(path)], {"header_map": "layout"})
    found = {name: survey.headers().column(name)[0] for name in survey.headers()}
    own = {"trace_id", "live_first", "live_end", "dead"}
    expected = {
        "inline": 12,
        "my_word": 0.5,
        "word_trace_id": 3,
        "source_measurement": 25,
        "source_measurement_power": -1,
    }
    assert {name: value for name, value in found.items() if name not in own} == expected
    assert survey.sampling.start_s == 0
    assert column(storage, path, "trace_sequence_line") == [12] * 4, "the standard's map unless asked for"
    assert any('header_map = "layout"' in note for note in storage.open([str(path)], {}).notes)


def test_layouts_of_the_corpus(shared: Path, storage: SegyStorage, backend: Any) -> None:
    folder = shared / "corpus" / "equinor_segyio"
    minimal = folder / "mapping-minimal.sgy"
    assert column(storage, minimal, "inline", header_map="layout") == [1, 1, 2, 2, 3, 3]
    assert column(storage, minimal, "crossline", header_map="layout") == [20, 21] * 3
    whole = storage.open([str(folder / "mapping-default.sgy")], {"header_map": "layout"})
    standard = storage.open([str(folder / "mapping-default.sgy")], {})
    for name in ("inline", "crossline", "offset", "sample_count", "source_x", "shotpoint"):
        assert np.array_equal(whole.headers().column(name), standard.headers().column(name)), name
    for name, message in (("unparsable", "no well-formed XML"), ("invalid-value", "'sm_unit' at byte 666, outside")):
        path = str(folder / f"mapping-{name}.sgy")
        with pytest.raises(DataError, match=message):
            storage.open([path], {"header_map": "layout"})
        assert any("it is not used" in note for note in storage.open([path], {}).notes)
    headers = storage.open([str(folder / "mapping-all-types.sgy")], {"header_map": "layout"}).headers()
    assert len(list(headers)) == 4 + 9 + 19
    assert {headers.dtype(n).str for n in ("int8", "uint8", "ieee32", "ibmfp")} == {"<i8", "<u8", "<f4", "<f8"}
    extended = storage.open([str(folder / "trace-header-extension1.sgy")], {"header_map": "rev2"}).headers()
    assert extended.column("source_x_ext").dtype == np.float64
    assert extended.column("inline").tolist() == [1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ("", "describes no word"), ("<entry/>", "unknown type ''"),
        ('<entry name="a" byte="1" type="int3"/>', "unknown type"),
        ('<entry name="a" byte="0" type="int4"/>', "at byte 0"),
        ('<entry name="a" byte="238" type="int4"/>', "at byte 238"),
        ('<entry name="a" byte="-1" type="int4"/>', "at byte -1"), ("<entry", "no well-formed XML"),
        ("</segy-layout><x>", "no well-formed XML"), ("&amp;&lol;", "no well-formed XML"),
        ('<entry name="a" byte="1e2" type="int4"/>', "at byte 1e2"),
    ],
)  # fmt: skip
def test_wrong_layouts(storage: SegyStorage, tmp_path: Path, segy_file: Write, entries: str, message: str) -> None:
    path = segy_file(tmp_path / "a.sgy", FOUR, extended=stanza(entries))
    with pytest.raises(DataError, match=message):
        storage.open([str(path)], {"header_map": "layout"})
    assert storage.open([str(path)], {}).n_traces == 4


def test_layout_that_would_expand_is_refused(storage: SegyStorage, tmp_path: Path, segy_file: Write) -> None:
    bomb = '((SEG:Layout:text/xml))<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    bomb += "<segy-layout>&b;</segy-layout>"
    path = segy_file(tmp_path / "a.sgy", FOUR, extended=[bomb.ljust(3200).encode()])
    with pytest.raises(DataError, match="declaration that layouts do not have"):
        storage.open([str(path)], {"header_map": "layout"})


def test_files_with_other_maps_are_refused(storage: SegyStorage, tmp_path: Path, segy_file: Write) -> None:
    paths = [
        str(
            segy_file(
                tmp_path / f"{byte}.sgy", FOUR, extended=stanza(f'<entry name="iline" byte="{byte}" type="int4"/>')
            )
        )
        for byte in (1, 5)
    ]
    with pytest.raises(DataError, match=r"inline lies at byte 1 \(i4\) in 1.sgy, at byte 5 \(i4\) in 5.sgy"):
        storage.open(paths, {"header_map": "layout"})
    assert storage.open(paths, {}).n_traces == 8


def test_oddities_are_told(storage: SegyStorage, tmp_path: Path, segy_file: Write) -> None:
    cases: dict[str, dict[tuple[int, str], Any]] = {
        "coordinate_scalar is 32": {(71, "i2"): 32, (73, "i4"): 5},
        "elevation_scalar is -7": {(69, "i2"): [1, -7, 1, 1], (41, "i4"): 5},
        "in seconds of arc (bytes 89-90 of the first": {(89, "i2"): 2},
        "in decimal degrees (bytes 89-90 of some": {(89, "i2"): [1, 1, 3, 1]},
        "contradict each other in their coordinate units: [1, 3]": {(89, "i2"): [1, 1, 3, 1]},
    }
    for message, words in cases.items():
        path = str(segy_file(tmp_path / "a.sgy", FOUR, words=words))
        assert any(message in note for note in storage.open([path], {}).notes), message
        assert any(message in finding for finding in describe(path)["findings"]), message
    feet = str(segy_file(tmp_path / "a.sgy", FOUR, binary={(3255, "i2"): 1}))
    notes = storage.open([feet], {"length_unit": "us_ft"}).notes
    assert "override: lengths in us_ft where bytes 3255-3256 say m" in notes


def test_words_set_for_all_traces(
    storage: SegyStorage, tmp_path: Path, segy_file: Write, plan_of: Any, written: Any
) -> None:
    """An odd scalar overruled: positions follow, notes fall silent, raw headers stay, an export says it rightly."""
    words = {(71, "i2"): 32, (73, "i4"): [100, 200, 300, 400], (89, "i2"): 2}
    path = segy_file(tmp_path / "a.sgy", FOUR, words=words)
    survey = storage.open([str(path)], {"set": {"scalco": -10, "coordinate_units": 1}})
    assert survey.headers()["source_x"].tolist() == [10, 20, 30, 40]
    gather = survey.read(slice(1, 3))
    assert gather.headers["source_x"].tolist() == [20, 30]
    assert gather.headers.raw is not None and gather.headers.raw[0, 70:72].tobytes() == b"\x00\x20"
    assert all(note.startswith("override:") for note in survey.notes) and len(survey.notes) == 2
    out = tmp_path / "b.sgy"
    out.write_bytes(written(storage.sink(plan_of(survey)), lambda at, end: survey.read(slice(at, end)), 4))
    again = storage.open([str(out)], {})
    assert again.headers()["source_x"].tolist() == [10, 20, 30, 40] and again.notes == []
    wrong: Any
    for wrong, message in (({"scalco": 40000}, "does not fit"), ({"scalco": 0.5}, "does not fit"),
                           ({"mine": 3}, "neither the header map"), ({"dead": 1}, "makes itself"),
                           (3, "must be a table"), ({"cdp": "x"}, "give a number")):  # fmt: skip
        with pytest.raises(ParameterError, match=message):
            storage.open([str(path)], {"set": wrong})


@pytest.mark.parametrize("unit", ["m", "ft", "us_ft"])
@pytest.mark.parametrize("scalar", [-1000, -100, -10, 1, 10, 0])
def test_units_and_scalars_round_trip_to_the_same_integers(
    storage: SegyStorage, tmp_path: Path, segy_file: Write, unit: str, scalar: int
) -> None:
    stored = np.array([0, 1, -7, 2_147_483_647, -2_147_483_648, 655_770_167], np.int32)
    places = {(71, "i2"): scalar, (69, "i2"): scalar, (73, "i4"): stored, (41, "i4"): stored, (37, "i4"): stored}
    path = segy_file(tmp_path / "a.sgy", np.ones((6, 5), np.float32), words=places)
    headers = storage.open([str(path)], {"length_unit": unit}).headers()
    for name in ("source_x", "receiver_elevation", "offset"):
        again = headers.with_values(name, headers[name])
        assert np.array_equal(again.column(name), stored), name
