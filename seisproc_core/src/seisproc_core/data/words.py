"""The header dictionary: one name per header word, with its SEG-Y byte, SU key and how it combines.

Byte positions and meanings are those of SEG-Y rev 1 (SEG Technical Standards, 2002), table 3; types are big- or
little-endian two's complement integers as the file says. The rule column tells what a word becomes when several
traces make one: ``same`` keeps a value on which all agree and writes 0 otherwise.
"""

from __future__ import annotations

import difflib
from functools import lru_cache
from typing import Literal

import attrs
import numpy as np

from seisproc_core.errors import HeaderError

Kind = Literal["plain", "coordinate", "elevation", "length", "time"]
Rule = Literal["same", "first", "mean", "min", "max", "sum", "drop"]

# name, first byte (1-based), type, SU key, kind, combine rule
_TABLE = """
trace_sequence_line      1 i4 tracl  plain      first
trace_sequence_file      5 i4 tracr  plain      first
field_record             9 i4 fldr   plain      same
channel                 13 i4 tracf  plain      same
source_station          17 i4 ep     plain      same
cdp                     21 i4 cdp    plain      same
cdp_trace               25 i4 cdpt   plain      first
trace_type              29 i2 trid   plain      first
vertical_fold           31 i2 nvs    plain      sum
fold                    33 i2 nhs    plain      sum
data_use                35 i2 duse   plain      same
offset                  37 i4 offset length     mean
receiver_elevation      41 i4 gelev  elevation  mean
source_elevation        45 i4 selev  elevation  mean
source_depth            49 i4 sdepth elevation  mean
receiver_datum          53 i4 gdel   elevation  mean
source_datum            57 i4 sdel   elevation  mean
source_water_depth      61 i4 swdep  elevation  mean
receiver_water_depth    65 i4 gwdep  elevation  mean
elevation_scalar        69 i2 scalel plain      same
coordinate_scalar       71 i2 scalco plain      same
source_x                73 i4 sx     coordinate same
source_y                77 i4 sy     coordinate same
receiver_x              81 i4 gx     coordinate same
receiver_y              85 i4 gy     coordinate same
coordinate_units        89 i2 counit plain      same
weathering_velocity     91 i2 wevel  plain      same
subweathering_velocity  93 i2 swevel plain      same
source_uphole           95 i2 sut    time       same
receiver_uphole         97 i2 gut    time       same
source_static           99 i2 sstat  time       same
receiver_static        101 i2 gstat  time       same
total_static           103 i2 tstat  time       same
lag_a                  105 i2 laga   time       same
lag_b                  107 i2 lagb   time       same
delay                  109 i2 delrt  time       same
mute_start             111 i2 muts   time       same
mute_end               113 i2 mute   time       same
sample_count           115 u2 ns     plain      same
sample_interval        117 u2 dt     plain      same
gain_type              119 i2 gain   plain      same
gain_constant          121 i2 igc    plain      same
initial_gain           123 i2 igi    plain      same
correlated             125 i2 corr   plain      same
sweep_start_hz         127 i2 sfs    plain      same
sweep_end_hz           129 i2 sfe    plain      same
sweep_length           131 i2 slen   plain      same
sweep_type             133 i2 styp   plain      same
sweep_taper_start      135 i2 stas   plain      same
sweep_taper_end        137 i2 stae   plain      same
taper_type             139 i2 tatyp  plain      same
alias_hz               141 i2 afilf  plain      same
alias_slope            143 i2 afils  plain      same
notch_hz               145 i2 nofilf plain      same
notch_slope            147 i2 nofils plain      same
low_cut_hz             149 i2 lcf    plain      same
high_cut_hz            151 i2 hcf    plain      same
low_cut_slope          153 i2 lcs    plain      same
high_cut_slope         155 i2 hcs    plain      same
year                   157 i2 year   plain      first
day                    159 i2 day    plain      first
hour                   161 i2 hour   plain      first
minute                 163 i2 minute plain      first
second                 165 i2 sec    plain      first
time_basis             167 i2 timbas plain      first
weighting_factor       169 i2 trwf   plain      same
group_roll             171 i2 grnors plain      same
group_first            173 i2 grnofr plain      same
group_last             175 i2 grnlof plain      same
gap                    177 i2 gaps   plain      same
overtravel             179 i2 otrav  plain      same
cdp_x                  181 i4 cdpx   coordinate mean
cdp_y                  185 i4 cdpy   coordinate mean
inline                 189 i4 iline  plain      same
crossline              193 i4 xline  plain      same
shotpoint              197 i4 shotpt plain      same
shotpoint_scalar       201 i2 shotsc plain      same
trace_unit             203 i2 trunit plain      same
time_scalar            215 i2 timesc plain      same
source_type            217 i2 srctyp plain      same
source_measurement     225 i4 srcmea plain      same
"""


@attrs.frozen
class Word:
    """One header word.

    Attributes
    ----------
    name
        The only name used inside seisproc.
    byte, type
        Where and how SEG-Y stores it (1-based byte, ``i2 i4 u2 ...``); byte 0 for words that only seisproc has.
    su
        Key in Seismic Unix.
    kind
        ``coordinate`` and ``elevation`` words are scaled by their scalar word, ``length`` words by the
        survey's unit, ``time`` words are stored in ms (bytes 215-216 scale them); all read as SI.
    combine
        What it becomes when traces are combined.
    """

    name: str
    byte: int
    type: str
    su: str
    kind: Kind
    combine: Rule

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self.type)


# Words that seisproc adds to every trace.
TRACE_ID = "trace_id"  # input file number << 40 | position in that file; survives sort, kill and edit
LIVE_FIRST = "live_first"  # first live sample
LIVE_END = "live_end"  # one past the last live sample
DEAD = "dead"  # 0 alive, else why it is dead (see DEAD_REASONS)
OWN_WORDS = (
    Word(TRACE_ID, 0, "i8", "", "plain", "first"),
    Word(LIVE_FIRST, 0, "i4", "", "plain", "min"),
    Word(LIVE_END, 0, "i4", "", "plain", "max"),
    Word(DEAD, 0, "u1", "", "plain", "min"),
)
# Words that geometry gives to traces; SEG-Y has no places for them, but a file may get some (`words`).
GEOMETRY_WORDS = (
    Word("shot", 0, "i4", "", "plain", "same"),
    Word("source", 0, "i4", "", "plain", "same"),
    Word("receiver", 0, "i4", "", "plain", "same"),
    Word("receiver_station", 0, "f8", "", "plain", "same"),
    Word("azimuth", 0, "f8", "", "plain", "same"),
    Word("midpoint_x", 0, "f8", "", "length", "mean"),
    Word("midpoint_y", 0, "f8", "", "length", "mean"),
    Word("line_distance", 0, "f8", "", "length", "mean"),
)
DEAD_REASONS = {
    0: "alive",
    1: "all samples zero",
    2: "marked dead by the field crew",
    3: "held NaN",
    4: "killed by a step",
}


def _standard() -> dict[str, Word]:
    words = {}
    for line in _TABLE.split("\n"):
        if line:
            name, byte, type_, su, kind, rule = line.split()
            words[name] = Word(name, int(byte), type_, su, kind, rule)  # type: ignore[arg-type]
    return words


STANDARD: dict[str, Word] = _standard()
WORDS: dict[str, Word] = STANDARD | {word.name: word for word in (*OWN_WORDS, *GEOMETRY_WORDS)}
# The names the field uses elsewhere: SU keys, and segyio's TraceField names.
_SEGYIO = {
    "fieldrecord": "field_record", "tracenumber": "channel", "energysourcepoint": "source_station",
    "inline_3d": "inline", "crossline_3d": "crossline", "sourcex": "source_x", "sourcey": "source_y",
    "groupx": "receiver_x", "groupy": "receiver_y", "delayrecordingtime": "delay",
    "sourcegroupscalar": "coordinate_scalar", "elevationscalar": "elevation_scalar",
    "shotpoint": "shotpoint", "nstackedtraces": "fold",
}  # fmt: skip
ALIASES: dict[str, str] = {word.su: word.name for word in STANDARD.values()} | _SEGYIO


@lru_cache(maxsize=4096)  # names may come from files
def canonical(name: str) -> str:
    """The one name of a header word given by name, SU key or segyio name; unknown names pass (custom words)."""
    return name if name in WORDS else ALIASES.get(name.lower(), name)


@lru_cache(maxsize=4096)  # names may come from files
def word(name: str, dtype: str = "i4") -> Word:
    """The dictionary entry, or a plain custom word of that name."""
    return WORDS.get(name) or Word(name, 0, dtype, "", "plain", "same")


def unknown_word(name: str, present: list[str]) -> HeaderError:
    """The error for a word that the data do not have, with the nearest names."""
    near = difflib.get_close_matches(canonical(name), present, n=3)
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    return HeaderError(f"header word '{name}' is not in this survey{hint} (seisproc headers lists what is there)")
