"""Options of reading, checked strictly: an unknown name or a wrong value is a `ParameterError`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs

from seisproc_core.data.survey import LENGTH_FACTOR, LengthUnit
from seisproc_core.errors import ParameterError

RECORD_FROM = ("shot_sequence_number", "raw_record", "file_name", "position")


@attrs.frozen(kw_only=True)
class ReadOptions:
    """How to read, where files leave something open.

    Attributes
    ----------
    field_record
        Where field record numbers come from: keyword ``shot_sequence_number``, the last number in the file name of
        keyword ``raw_record``, the last number in ``file_name``, or ``position`` in the list of files, from 1. When not
        given: the first of the two keywords that all files have.
    descale
        Multiply samples with keyword DESCALING_FACTOR: millivolts at the input of the recorder.
    interval_us, delay_ms
        Sample interval, and time of the first sample after the shot, whatever files say.
    length_unit
        Unit of locations; from keyword UNITS when not given.
    nan
        What to do with samples that are NaN or infinite: ``error``, ``zero`` the samples or ``kill`` the traces.
    """

    field_record: str | None = None
    descale: bool = False
    interval_us: float | None = None
    delay_ms: float | None = None
    length_unit: LengthUnit | None = None
    nan: str = "error"


_CHOICES: dict[str, tuple[str, ...]] = {
    "field_record": RECORD_FROM,
    "length_unit": tuple(LENGTH_FACTOR),
    "nan": ("error", "zero", "kill"),
}


def read_options(given: Mapping[str, Any]) -> ReadOptions:
    """Options of a source."""
    names = [field.name for field in attrs.fields(ReadOptions)]
    for name, value in given.items():
        if name not in names:
            raise ParameterError("seg2", name, f"is unknown; there are {', '.join(sorted(names))}")
        if name in _CHOICES and value not in _CHOICES[name]:
            raise ParameterError("seg2", name, f"must be one of {', '.join(_CHOICES[name])}, not {value!r}")
        if name == "descale" and not isinstance(value, bool):
            raise ParameterError("seg2", name, f"must be true or false, not {value!r}")
        if name in ("interval_us", "delay_ms") and not _is_number(value, positive=name == "interval_us"):
            raise ParameterError("seg2", name, f"must be a number, not {value!r}")
    return ReadOptions(**given)


def _is_number(value: Any, *, positive: bool) -> bool:
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return known and (value > 0 or not positive)
