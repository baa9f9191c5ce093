"""Remarks on a file's headers that a person should see before relying on them: units, scalars, an own header map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from seisproc_core.errors import DataError
from seisproc_segy.headermap import STATED, Places, words_or_zero
from seisproc_segy.options import ReadOptions
from seisproc_segy.samples import LIMITS as WHOLE
from seisproc_segy.stanza import layout_of
from seisproc_segy.timing import delay_ms, odd_scalar

if TYPE_CHECKING:
    from seisproc_segy.fallback import SegyFile

_ANGLES = {2: "seconds of arc", 3: "decimal degrees", 4: "degrees, minutes, seconds"}
_SCALARS = {0, 1, 10, 100, 1000, 10000}
_SYSTEM = slice(3254, 3256)
_PROBES = 64
_LOOKED_AT = 4096  # samples of a trace
_ENOUGH = 400  # different samples: (15/16)^400 is 6e-12
_SCALED = {
    "coordinate_scalar": ("71-72", ("source_x", "source_y", "receiver_x", "receiver_y", "cdp_x", "cdp_y")),
    "elevation_scalar": ("69-70", ("receiver_elevation", "source_elevation", "source_depth")),
}


def system_of(file: SegyFile, prefix: bytes) -> int:
    """The measurement system of the binary header, 0 where there is none."""
    order = "big" if file.endian == "big" else "little"
    return int.from_bytes(prefix[_SYSTEM], order) if file.kind == "segy" else 0  # type: ignore[arg-type]


def notes_on(file: SegyFile, prefix: bytes, places: Places, options: ReadOptions) -> list[str]:
    """Remarks on one file, from its headers (`prefix` are those before the traces) and some of its traces."""
    given = [f"override: {name} is {value:g} in all traces" for name, value in options.set.items()]
    return [
        *_on_format(file, options),
        *_on_map(file, options),
        *_on_units(file, prefix, places, options),
        *_on_scalars(file, places, options),
        *_on_weights(file, places, options),
        *_on_starts(file, places, options),
        *given,
    ]


def _on_format(file: SegyFile, options: ReadOptions) -> list[str]:
    """Whether samples said to be IBM floats look like IEEE ones, or the other way round.

    The first hexadecimal digit of an IBM fraction is 0 only where a writer did not normalise; read as if they were IBM
    floats, about one in 16 IEEE floats has such a digit, because there it is one bit of the exponent and three of the
    fraction.
    """
    if file.format not in (1, 5) or options.format is not None or file.kind == "su":
        return []
    rows = sorted({0, file.traces // 2, file.traces - 1})
    order = ">u4" if file.endian == "big" else "<u4"
    words = np.unique(np.concatenate([file.raw_samples(row, row + 1)[0, : 4 * _LOOKED_AT].view(order) for row in rows]))
    words = words[words << 1 != 0].astype(np.uint32)
    if words.size < _ENOUGH:
        return []
    unnormalised = float(((words & 0x00F00000) == 0).mean())
    power = (words >> 23 & 0xFF).astype(np.int64) - 127  # of 2, as IEEE floats
    power_ibm = (words >> 24 & 0x7F).astype(np.int64) - 64  # of 16, as IBM floats
    if file.format == 1 and unnormalised > 0.01 and (np.abs(power) < 64).mean() > 0.99:
        share = f"{100 * unnormalised:.0f} % of them would not be normalised"
        return [f"samples look like IEEE floats, not like the IBM floats that format 1 means ({share}): see format = 5"]
    if file.format == 5 and unnormalised == 0 and (np.abs(power_ibm) < 16).mean() > 0.99:
        return ["samples look like IBM floats, not like the IEEE floats that format 5 means: see format = 1"]
    return []


def _on_map(file: SegyFile, options: ReadOptions) -> list[str]:
    if options.header_map.name == STATED:
        return []
    try:
        stated = layout_of(file)
    except DataError as error:
        return [str(error).partition(": ")[2].replace("; name another header_map", "; it is not used")]
    if not stated:
        return []
    return [f'the file states a header map of its own ({len(stated)} words): header_map = "{STATED}" reads it by that']


def _on_units(file: SegyFile, prefix: bytes, places: Places, options: ReadOptions) -> list[str]:
    notes = []
    units = _some(file, places, ("coordinate_units",))[0]
    if "coordinate_units" in options.set:
        units = np.full(len(units), options.set["coordinate_units"])
    found = sorted({int(unit) for unit in np.unique(units)} & set(_ANGLES))
    for unit in found:
        where = (
            "bytes 89-90 of the first trace header" if int(units[0]) == unit else "bytes 89-90 of some trace headers"
        )
        notes.append(
            f"coordinates are in {_ANGLES[unit]} ({where}): they are no lengths; "
            "set = { coordinate_units = 1 } says that they are"
        )
    if len(np.unique(units[units != 0])) > 1:
        notes.append(f"traces contradict each other in their coordinate units: {sorted({int(u) for u in units})}")
    system = system_of(file, prefix)
    if system not in (0, 1, 2):
        notes.append(f"measurement system at bytes 3255-3256 is unknown: {options.length_unit or 'm'} taken")
    elif options.length_unit and system and (system == 2) != (options.length_unit != "m"):
        notes.append(f"override: lengths in {options.length_unit} where bytes 3255-3256 say {('m', 'ft')[system - 1]}")
    return notes


def _on_scalars(file: SegyFile, places: Places, options: ReadOptions) -> list[str]:
    notes = []
    if options.delay_ms is None and "time_scalar" not in options.set:
        delay, scalar = words_or_zero(places, ("delay", "time_scalar"), lambda fields: file.columns(fields, 0, 1), 1)
        notes += odd_scalar(delay, scalar)
    for name, (where, scaled) in _SCALED.items():
        if name in options.set:
            continue
        scalars, *values = _some(file, places, (name, *scaled))
        if not any(column.any() for column in values):
            continue
        odd = sorted({int(value) for value in np.unique(scalars)} - {sign * s for s in _SCALARS for sign in (1, -1)})
        if odd:
            notes.append(
                f"{name} is {', '.join(map(str, odd[:3]))} (bytes {where}), none of the standard's powers of ten: it "
                f"is applied as it stands; set = {{ {name} = N }} takes another for all"
            )
    return notes


def _on_weights(file: SegyFile, places: Places, options: ReadOptions) -> list[str]:
    """Whether trace weighting factors say that the numbers in the file are not the samples themselves."""
    if file.format not in WHOLE or "weighting_factor" in options.set:
        return []
    factors = np.unique(_some(file, places, ("weighting_factor",))[0])
    if not factors.any():
        return []
    told = f"{factors[0]}" if len(factors) == 1 else f"from {factors[0]} to {factors[-1]}"
    return [
        f"trace weighting factors N (bytes 169-170) are {told}: samples are read as they stand, not times 2^-N, and "
        + ("amplitudes of traces do not compare" if len(factors) > 1 else "have that scale")
    ]


def _on_starts(file: SegyFile, places: Places, options: ReadOptions) -> list[str]:
    """Whether traces start at different times, as far as those looked at tell."""
    if options.delay_ms is not None or options.delays == "pad":
        return []
    starts = delay_ms(*_some(file, places, ("delay", "time_scalar")))
    if (starts == starts[0]).all():
        return []
    return [
        f"traces start at different times, from {starts.min():g} to {starts.max():g} ms (bytes 109-110): "
        'delays = "pad" puts them on one time axis, delay_ms = N reads all with one start'
    ]


def _some(file: SegyFile, places: Places, names: tuple[str, ...]) -> list[np.ndarray]:
    """Words of the first trace and some others all over the file."""
    wanted = np.unique(np.linspace(0, file.traces - 1, min(_PROBES, file.traces)).astype(int))
    parts = [
        words_or_zero(places, names, lambda fields, at=at: file.columns(fields, at, at + 1), 1)
        for at in wanted.tolist()
    ]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]
