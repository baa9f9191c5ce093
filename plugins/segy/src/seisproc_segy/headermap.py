"""Header maps: where the words of a trace header lie, and of which type they are.

A map is a preset, a TOML file, the layout stanza of the file itself (`seisproc_segy.stanza`), or a table in a flow; the
option ``words`` adds to it or moves words.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from seisproc_core.data.words import OWN_WORDS, STANDARD, canonical, word
from seisproc_core.errors import DataError, ParameterError
from seisproc_segy.fields import WIDTHS, column_dtype
from seisproc_segy.stanza import layout_of

if TYPE_CHECKING:
    from seisproc_segy.fallback import SegyFile

Places = Mapping[str, tuple[int, str]]
_LARGEST_FILE = 256 << 10
_LAST_OF_REVISION_0 = 180  # bytes 181-240 are unassigned in Barry, Cavers and Kneale (1975)
MADE = {own.name for own in OWN_WORDS}
STATED = "layout"  # the map that the file itself states

_REV1: Places = {name: (word.byte, word.type) for name, word in STANDARD.items()}
_REV0: Places = {name: place for name, place in _REV1.items() if place[0] <= _LAST_OF_REVISION_0}
# SEG-Y revision 2.1, trace header extension SEG00001: what is not 0 there stands for the word of the first 240 bytes.
_EXTENSION = """
trace_sequence_line 1 i8, trace_sequence_file 9 i8, field_record 17 i8, cdp 25 i8, receiver_elevation 33 f8,
receiver_depth 41 f8, source_elevation 49 f8, source_depth 57 f8, receiver_datum 65 f8, source_datum 73 f8,
source_water_depth 81 f8, receiver_water_depth 89 f8, source_x 97 f8, source_y 105 f8, receiver_x 113 f8,
receiver_y 121 f8, offset 129 f8, sample_count 137 u4, nanosecond 141 i4, sample_interval 145 f8, cable_number 153 i4,
extensions 157 u2, last_trace 159 i2, cdp_x 161 f8, cdp_y 169 f8
"""
# Seismic Unix, header file segy.h: what it keeps in the bytes that revision 0 left free.
_SU = """
d1 181 f4, f1 185 f4, d2 189 f4, f2 193 f4, ungpow 197 f4, unscale 201 f4, ntr 205 i4, mark 209 i2, shortpad 211 i2
"""
# IRIS PASSCAL, header file segy.h of its SEG-Y variant; its names of stations and channels are text and left out.
_PASSCAL = """
total_static_high 199 i2, sample_rate 201 i4, data_form 205 i2, millisecond 207 i2, trigger_year 209 i2,
trigger_day 211 i2, trigger_hour 213 i2, trigger_minute 215 i2, trigger_second 217 i2, trigger_millisecond 219 i2,
scale_factor 221 f4, instrument 225 u2, sample_count_wide 229 i4, largest 233 i4, smallest 237 i4
"""


def _listed(text: str, *, suffix: str = "", offset: int = 0) -> Places:
    entries = (entry.split() for entry in text.split(","))
    return {name + suffix: (int(byte) + offset, type_) for name, byte, type_ in entries}


def _moved(**moved: int) -> Places:
    """Words of four bytes elsewhere than the standard has them."""
    return {**_REV1, **{name: (byte, "i4") for name, byte in moved.items()}}


PRESETS: dict[str, tuple[str, Places]] = {
    "rev0": ("SEG-Y revision 0: bytes 1-180", _REV0),
    "rev1": ("SEG-Y revision 1, the default", _REV1),
    "rev2": ("revision 1, and the words of extension SEG00001 as NAME_ext", {
        **_REV1, **_listed(_EXTENSION, suffix="_ext", offset=240),
    }),
    "su": ("Seismic Unix: revision 0, and d1 f1 d2 f2 ...", {**_REV0, **_listed(_SU)}),
    "passcal": ("IRIS PASSCAL: revision 0, and trigger time, scale factor, ...", {**_REV0, **_listed(_PASSCAL)}),
    "petrel-3d": ("Petrel, 3-D: inline 5, crossline 21, CDP coordinates 73 and 77", _moved(
        inline=5, crossline=21, cdp_x=73, cdp_y=77
    )),
    "petrel-2d": ("Petrel, 2-D: CDP coordinates 73 and 77", _moved(cdp_x=73, cdp_y=77)),
    "none": ("no word but those added", {}),
}  # fmt: skip


@attrs.frozen
class HeaderMap:
    """A map as an option gives it.

    Attributes
    ----------
    name
        Of the preset or file; ``layout`` for the file's own stanza.
    places
        Its words; empty for ``layout``.
    """

    name: str = "rev1"
    places: Places = attrs.field(default=_REV1, repr=False)


def header_map(value: Any) -> HeaderMap:
    """The map that an option means: a preset, ``layout``, the path of a TOML file, or a table like its content.

    Raises
    ------
    ValueError
        What is wrong with it, as the end of a sentence that begins with the option.
    """
    if isinstance(value, Mapping):
        return HeaderMap("a table", _from_table(value))
    if not isinstance(value, str):
        raise ValueError(f"must be the name of a preset, a TOML file or a table, not {value!r}")
    if value == STATED:
        return HeaderMap(STATED, {})
    if value in PRESETS:
        return HeaderMap(value, PRESETS[value][1])
    if value.lower().endswith(".toml"):
        return HeaderMap(value, _from_table(load_map(value)))
    raise ValueError(f"has {value!r}; there are {', '.join(PRESETS)}, {STATED} (the file's own), and TOML files")


def load_map(path: str) -> dict[str, Any]:
    """The content of a map file, checked as an option would be."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            raise ValueError(f"names {path}, which is too large for a header map ({_LARGEST_FILE} bytes)")
        table = tomllib.loads(content.decode())
    except OSError as error:
        raise ValueError(f"names {path}, which cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ValueError(f"names {path}, which is no TOML file: {error}") from None
    _from_table(table)
    return table


def _from_table(table: Mapping[str, Any]) -> Places:
    unknown = set(table) - {"base", "drop", "words"}
    if unknown:
        raise ValueError(f"has '{min(unknown)}'; a header map has base, drop and words")
    base = table.get("base", "rev1")
    if base not in PRESETS:
        raise ValueError(f"has base = {base!r}; there are {', '.join(PRESETS)}")
    dropped = table.get("drop", [])
    if not isinstance(dropped, list) or not all(isinstance(name, str) for name in dropped):
        raise ValueError("has drop, which is no list of word names")
    places = dict(PRESETS[base][1])
    for name in dropped:
        if places.pop(canonical(name), None) is None:
            raise ValueError(f"drops '{name}', which {base} does not have")
    return places | dict(checked_places(table.get("words", {})))


def checked_places(value: Any) -> Places:
    """Words as options and map files write them, by their one name."""
    if not isinstance(value, Mapping):
        raise ValueError('must be a table like { polarity = [233, "i2"] }')
    places = {}
    for given, place in value.items():
        name = canonical(str(given))
        known = isinstance(place, (list, tuple)) and len(place) == 2 and type(place[0]) is int
        type_ = {"ibm4": "ibm"}.get(str(place[1]), place[1]) if known else None
        if not known or type_ not in WIDTHS or place[0] < 1:
            raise ValueError(f"has {given} = {place!r}; give [first byte, type] with a type of {' '.join(WIDTHS)}")
        if name in MADE:
            raise ValueError(f"may not place '{name}', a word that seisproc makes itself")
        if not name.isidentifier():
            raise ValueError(f"has {given!r}, which is no word name: use letters, digits and underscores")
        places[name] = (int(place[0]), str(type_))
    return places


def places_of(file: SegyFile, map_: HeaderMap, words: Places) -> Places:
    """Where each word lies in the trace headers of a file."""
    base = map_.places
    if map_.name == STATED:
        stated = layout_of(file)
        if stated is None:
            raise DataError(f"{file.path} states no header map of its own; leave header_map away or name another")
        base = stated
    if map_.name == "rev2":  # a file without extensions has no words there
        base = {name: place for name, place in base.items() if _last(place) <= file.header_bytes}
    places = {**base, **words}
    for name, place in places.items():
        if _last(place) > file.header_bytes:
            option, last = ("words" if name in words else "header_map"), file.header_bytes - WIDTHS[place[1]] + 1
            raise ParameterError("segy", option, f"has {name} at byte {place[0]}; the last possible is {last}")
    return places


def _last(place: tuple[int, str]) -> int:
    return place[0] + WIDTHS[place[1]] - 1


def check_same_maps(files: Sequence[SegyFile], maps: Sequence[Places]) -> None:
    """Refuse files whose words lie at different places: one column cannot mean two things."""
    for file, places in zip(files, maps, strict=True):
        differing = sorted(name for name in {*places, *maps[0]} if places.get(name) != maps[0].get(name))
        if differing:
            name = differing[0]
            one, other = (
                f"at byte {found[name][0]} ({found[name][1]})" if name in found else "nowhere"
                for found in (maps[0], places)
            )
            raise DataError(
                f"files of one survey must have the same header map: {name} lies {one} in {Path(files[0].path).name}, "
                f"{other} in {Path(file.path).name} ({len(differing)} words differ); import them separately"
            )


def words_or_zero(
    places: Places, names: Sequence[str], columns: Any, count: int, given: Mapping[str, float] | None = None
) -> list[np.ndarray]:
    """Columns of words, zeros for those that the map does not have; ``columns(fields)`` reads them.

    Parameters
    ----------
    given
        Words that have one value in all traces, whatever the headers say.
    """
    given = given or {}
    known = [name for name in names if name in places and name not in given]
    found = dict(zip(known, columns([places[name] for name in known]), strict=True)) if known else {}
    found |= {name: np.full(count, given[name], given_dtype(name, places)) for name in names if name in given}
    return [found[name] if name in found else np.zeros(count, np.int16) for name in names]


def given_dtype(name: str, places: Places) -> np.dtype:
    """Type of the column of a word whose value an option gives."""
    return column_dtype(places[name][1]) if name in places else word(name).dtype


def check_given(given: Mapping[str, float], places: Places) -> None:
    """Refuse values for words that nobody has, or that do not hold them."""
    for name, value in given.items():
        if name not in places and name not in STANDARD:
            raise ParameterError("segy", "set", f"has {name}, which neither the header map nor the dictionary has")
        dtype = given_dtype(name, places)
        limits = np.iinfo(dtype) if dtype.kind in "iu" else None
        if limits and (value != int(value) or not limits.min <= value <= limits.max):
            raise ParameterError("segy", "set", f"has {name} = {value:g}, which does not fit {dtype}")
