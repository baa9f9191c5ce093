"""What keywords mean as header words. Values are what files say; nothing that is missing is made up.

Keywords as in Pullan (1990), tables 4 and 5, and as recorders of several makers write them.
"""

from __future__ import annotations

import calendar
import datetime
import math
import re
from collections.abc import Mapping

from seisproc_core.errors import DataError

# Trace identification codes of SEG-Y revision 1 (bytes 29-30).
TRACE_TYPES = {"SEISMIC_DATA": 1, "DEAD": 2, "TEST_DATA": 3, "UPHOLE": 5, "RADAR_DATA": 1}
AUXILIARY = -1  # "other": a channel that is no seismic trace
COMPONENTS = {"VERTICAL_GEOPHONE": 12, "SH_HORIZONTAL_GEOPHONE": 13, "SV_HORIZONTAL_GEOPHONE": 14, "HYDROPHONE": 11}
# Keyword -> header word, for whole numbers.
WHOLE = {
    "STACK": "vertical_fold",
    "SOURCE_STATION_NUMBER": "source_station",
    "RECEIVER_STATION_NUMBER": "receiver_station",
    "SHOT_SEQUENCE_NUMBER": "shot_sequence",
    "POLARITY": "polarity",
    "CDP_NUMBER": "cdp",
    "CDP_TRACE": "cdp_trace",
    "LINE_ID": "line_id",
    "RECEIVER_LINE_NUMBER": "receiver_line",
    "SOURCE_LINE_NUMBER": "source_line",
}
# ... and for others.
REAL = {"DESCALING_FACTOR": "descaling_factor", "SKEW": "skew_s", "FIXED_GAIN": "fixed_gain_db"}
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?")
_UNITS = {
    "METER": ("m", 1.0), "METERS": ("m", 1.0), "METRE": ("m", 1.0), "METRES": ("m", 1.0), "M": ("m", 1.0),
    "FEET": ("ft", 1.0), "FOOT": ("ft", 1.0), "FT": ("ft", 1.0), "INCHES": ("ft", 1 / 12), "INCH": ("ft", 1 / 12),
    "CENTIMETERS": ("m", 0.01), "CENTIMETER": ("m", 0.01), "CM": ("m", 0.01), "NONE": ("m", 1.0), "": ("m", 1.0),
}  # fmt: skip
_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}


def number_of(text: str) -> float | None:
    """The number a value begins with, None where it begins with none."""
    found = _NUMBER.match(text.strip())
    value = float(found[0]) if found else math.nan
    return value if math.isfinite(value) else None


def numbers_of(text: str) -> tuple[float, ...]:
    """All numbers of a value such as ``"12.5 0 103.2"``, as far as they go."""
    found = []
    for part in text.replace(",", " ").split():
        value = number_of(part)
        if value is None:
            break
        found.append(value)
    return tuple(found)


def last_number(name: str) -> int | None:
    r"""The last number in a file name, without its suffix: 12 for ``D:\1000\rec012.dat``."""
    stem = re.split(r"[/\\]", name.strip())[-1].rpartition(".")
    digits = re.findall(r"\d{1,9}", stem[0] or stem[2])
    return int(digits[-1]) if digits else None


def unit_of(keywords: Mapping[str, str]) -> tuple[str, float] | None:
    """Unit of locations, ``m`` or ``ft``, and how many of it a stored one is; None for a unit nobody knows."""
    return _UNITS.get(keywords.get("UNITS", "").strip().upper())


def channel_of(keywords: Mapping[str, str]) -> tuple[int | None, bool]:
    """Channel number, and whether it is auxiliary (``AUX 1``)."""
    text = keywords.get("CHANNEL_NUMBER", "").strip()
    auxiliary = text.upper().startswith("AUX")
    value = number_of(text[3:].lstrip(" _-") if auxiliary else text)
    return (None if value is None else int(value)), auxiliary


def trace_type_of(keywords: Mapping[str, str]) -> int:
    """Trace identification code: seismic data where the trace does not say otherwise."""
    stated = keywords.get("TRACE_TYPE", "").strip().upper()
    if stated:
        return TRACE_TYPES.get(stated, AUXILIARY)
    return AUXILIARY if channel_of(keywords)[1] else 1


def component_of(keywords: Mapping[str, str]) -> int:
    """Component as SEG-Y numbers it: 12 vertical, 13 cross-line, 14 in-line, 11 pressure; 0 where not stated."""
    kind = keywords.get("RECEIVER", "").split()
    return COMPONENTS.get(kind[0].upper(), 0) if kind else 0


def time_of(keywords: Mapping[str, str]) -> dict[str, int]:
    """``year day hour minute second`` of acquisition, as far as they can be read."""
    found = {}
    date = _date(keywords.get("ACQUISITION_DATE", ""))
    if date is not None:
        found = {"year": date.year, "day": date.timetuple().tm_yday}
    clock = re.findall(r"\d+", keywords.get("ACQUISITION_TIME", ""))[:3]
    if len(clock) == 3 and int(clock[0]) < 24 and int(clock[1]) < 60 and int(clock[2]) < 61:
        found |= dict(zip(("hour", "minute", "second"), map(int, clock), strict=True))
    return found


def _date(text: str) -> datetime.date | None:
    """``22/Mar/2022`` or, in the same order, ``17/10/2021``."""
    parts = [part for part in re.split(r"[\s,./-]+", text.strip()) if part]
    try:
        day, month, year = parts[:3]
        number = _MONTHS.get(month[:3].lower()) or int(month)
        return datetime.date(int(year), number, int(day))
    except ValueError:
        return None


def seconds(keywords: Mapping[str, str], keyword: str, where: str) -> float | None:
    """A time in seconds, None where there is none.

    Raises
    ------
    DataError
        It is not a number.
    """
    if keyword not in keywords:
        return None
    value = number_of(keywords[keyword])
    if value is None:
        raise DataError(f"{where}: {keyword} is '{keywords[keyword][:40]}', not a number of seconds")
    return value
