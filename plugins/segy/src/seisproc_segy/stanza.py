"""The layout stanza of revision 2.1: a header map in XML, inside the extended text of a file.

``((SEG:Layout:text/xml))`` is followed by ``<segy-layout>`` with an ``<entry name byte type>`` for each word and an
``<extension name>`` for each trace header extension, in their order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from seisproc_core.data.words import OWN_WORDS
from seisproc_core.errors import DataError
from seisproc_segy.fields import WIDTHS

if TYPE_CHECKING:
    from seisproc_segy.fallback import SegyFile

_OPENING = re.compile(r"\(\(\s*SEG\s*:\s*Layout\s*(:[^()]*)?\)\)", re.IGNORECASE)
_LARGEST = 1 << 20
_HEADER = 240
_TYPES = {
    "int2": "i2", "int4": "i4", "int8": "i8", "uint2": "u2", "uint4": "u4", "uint8": "u8", "ibmfp": "ibm",
    "ieee32": "f4", "ieee64": "f8", "linetrc": "i4", "reeltrc": "i4", "linetrc8": "i8", "reeltrc8": "i8", "coor4": "i4",
    "elev4": "i4", "time2": "i2", "spnum4": "i4",
}  # fmt: skip
_SCALED = "scale6"  # a mantissa of four bytes and a power of ten of two
# The standard's names where they are not the dictionary's.
_STANDARD = """
    linetrc=trace_sequence_line reeltrc=trace_sequence_file ffid=field_record chan=channel espnum=source_station
    cdptrc=cdp_trace trctype=trace_type vstack=vertical_fold rectype=data_use relev=receiver_elevation
    selev=source_elevation sdepth=source_depth rdatum=receiver_datum sdatum=source_datum wdepthso=source_water_depth
    wdepthrc=receiver_water_depth ed_scal=elevation_scalar co_scal=coordinate_scalar sht_x=source_x sht_y=source_y
    rec_x=receiver_x rec_y=receiver_y coorunit=coordinate_units wvel=weathering_velocity subwvel=subweathering_velocity
    shuphole=source_uphole rcuphole=receiver_uphole shstat=source_static rcstat=receiver_static stapply=total_static
    lagtimea=lag_a lagtimeb=lag_b mutestrt=mute_start muteend=mute_end nsamps=sample_count dt=sample_interval
    gaintype=gain_type ingconst=gain_constant initgain=initial_gain corrflag=correlated sweepsrt=sweep_start_hz
    sweepend=sweep_end_hz sweeplng=sweep_length sweeptyp=sweep_type sweepstp=sweep_taper_start sweepetp=sweep_taper_end
    tapertyp=taper_type aliasfil=alias_hz aliaslop=alias_slope notchfil=notch_hz notchslp=notch_slope lowcut=low_cut_hz
    highcut=high_cut_hz lowcslop=low_cut_slope hicslop=high_cut_slope timebase=time_basis trweight=weighting_factor
    rstaswp1=group_roll rstatrc1=group_first rstatrcn=group_last gapsize=gap overtrvl=overtravel iline=inline
    xline=crossline sp=shotpoint sp_scal=shotpoint_scalar samp_unit=trace_unit tm_scal=time_scalar src_type=source_type
    smeasure=source_measurement rdepth=receiver_depth nanosecs=nanosecond cable_num=cable_number last_trc=last_trace
"""
_NAMES = dict(pair.split("=") for pair in _STANDARD.split())


def layout_of(file: SegyFile) -> Mapping[str, tuple[int, str]] | None:
    """The header map that a file states, None if it states none; `DataError` if it cannot be understood."""
    if not file.extended_text or file.extended_text * 3200 > _LARGEST:
        return None
    text = "".join(file.extended())
    opening = _OPENING.search(text)
    if opening is None:
        return None
    content = text[opening.end() :].partition("((")[0]
    return _parse(file.path, content[: content.rfind(">") + 1].strip(), file.header_bytes)


def _parse(path: str, xml: str, header_bytes: int) -> dict[str, tuple[int, str]]:
    where = f"{path}: the layout stanza of the extended text"
    if "<!" in xml.replace("<!--", ""):  # no entities, no document types: nothing that could expand
        raise DataError(f"{where} holds an XML declaration that layouts do not have; name another header_map")
    try:
        root = ElementTree.fromstring(xml)
    except (ElementTree.ParseError, ValueError) as error:
        raise DataError(f"{where} is no well-formed XML ({error}); name another header_map") from None
    places: dict[str, tuple[int, str]] = {}
    for entry in root.findall("entry"):
        places |= _entry(where, entry, 0)
    for number, extension in enumerate(root.findall("extension"), 1):
        if _HEADER * (number + 1) > header_bytes:
            break  # described, and not in this file
        for entry in extension.findall("entry"):
            found = _entry(where, entry, _HEADER * number)
            # The same word again, wider: both are kept, for both are in the file.
            places |= {(f"{name}_ext" if name in places else name): place for name, place in found.items()}
    if not places:
        raise DataError(f"{where} describes no word; name another header_map")
    return places


def _entry(where: str, entry: ElementTree.Element, offset: int) -> dict[str, tuple[int, str]]:
    name, byte, type_ = (entry.get(key, "") for key in ("name", "byte", "type"))
    shown = f"{where} has entry '{name[:40]}'"
    if type_ != _SCALED and type_ not in _TYPES:
        raise DataError(f"{shown} of unknown type '{type_[:40]}'; name another header_map")
    width = 6 if type_ == _SCALED else WIDTHS[_TYPES[type_]]
    if not re.fullmatch(r"[0-9]{1,3}", byte) or not 1 <= int(byte) <= _HEADER - width + 1:
        raise DataError(f"{shown} at byte {byte[:40]}, outside the {_HEADER} of a header; name another header_map")
    own, first = _word_name(name), offset + int(byte)
    if type_ == _SCALED:
        return {own: (first, "i4"), f"{own}_power": (first + 4, "i2")}
    return {own: (first, _TYPES[type_])}


def _word_name(name: str) -> str:
    """The dictionary's name of an entry, or its own made a word name."""
    known = _NAMES.get(name.lower(), name.lower())
    known = re.sub(r"[^a-z0-9_]", "_", known)[:60]
    if not known.isidentifier() or known in {word.name for word in OWN_WORDS}:
        known = f"word_{known}"
    return known
