"""Options of reading and writing, checked strictly: an unknown name or a wrong value is a `ParameterError`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs

from seisproc_core.data.survey import LENGTH_FACTOR
from seisproc_core.data.words import canonical
from seisproc_core.errors import ParameterError
from seisproc_segy.binaryheader import check_words
from seisproc_segy.headermap import MADE, HeaderMap, Places, checked_places, header_map
from seisproc_segy.samples import SAMPLE_BYTES
from seisproc_segy.scaling import LARGEST_EXPONENT, PER_TRACE
from seisproc_segy.textheader import TextOptions, text_options

_REVISIONS = {("0", "0"), ("1", "0"), ("2", "0"), ("2", "1")}


def _one_of(*choices: Any) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if isinstance(value, bool) or value not in choices:
            raise ValueError(f"must be one of {', '.join(map(str, choices))}, not {value!r}")
        return value

    return check


def _number(low: float, *, whole: bool = False) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or not low <= value < 2**32:
            raise ValueError(f"must be {'a whole number' if whole else 'a number'} from {low:g} up, not {value!r}")
        return value

    return check


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {value!r}")
    return value


def _revision(value: Any) -> tuple[int, int]:
    major, _, minor = str(value).partition(".")
    if isinstance(value, bool) or (major, minor) not in {*((str(n), "") for n in range(3)), *_REVISIONS}:
        raise ValueError(f"must be 0, 1, 2, 2.0 or 2.1, not {value!r}")
    return int(major), int(minor or 0)


def _values(value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping):
        raise ValueError("must be a table like { coordinate_scalar = -100 }")
    values = {}
    for given, number in value.items():
        name = canonical(str(given))
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not abs(number) < 2.0**63:
            raise ValueError(f"has {given} = {number!r}; give a number")
        if name in MADE:
            raise ValueError(f"may not set '{name}', a word that seisproc makes itself")
        values[name] = number
    return values


@attrs.frozen(kw_only=True)
class ReadOptions:
    """How to read, where detection is to be overruled.

    Attributes
    ----------
    kind, endian, format, samples, text_encoding, revision, lengths, lenient
        As in `SegyFile.open`.
    interval_us
        Sample interval in microseconds, whatever the headers say.
    delay_ms
        Time of the first sample in milliseconds, whatever the headers say.
    delays
        ``same`` refuses traces that start at different times; ``pad`` puts them on one time axis.
    header_map
        Where header words lie: a preset, ``layout`` for the map that the file states, a TOML file, or a table.
    words
        Header words beside those of the map, or elsewhere than it says: name -> (first byte, type).
    set
        Header words that have one value in all traces, whatever the headers say: scalars, unit words.
    nan
        What to do with samples that are NaN or infinite: ``error``, ``zero`` the samples or ``kill`` the traces.
    length_unit
        Unit of stored lengths; from the binary header where not given.
    """

    kind: str | None = None
    endian: str | None = None
    format: int | None = None
    samples: int | None = None
    interval_us: float | None = None
    delay_ms: float | None = None
    text_encoding: str | None = None
    revision: tuple[int, int] | None = None
    lengths: str = "same"
    delays: str = "same"
    lenient: bool = False
    header_map: HeaderMap = attrs.field(factory=HeaderMap)
    words: Places = attrs.field(factory=dict)
    set: Mapping[str, float] = attrs.field(factory=dict)
    nan: str = "error"
    length_unit: str | None = None

    @property
    def overruled(self) -> list[str]:
        """Options by which the caller contradicts headers that a sink would otherwise copy."""
        names = ("format", "samples", "interval_us", "delay_ms", "length_unit")
        return [name for name in names if getattr(self, name) is not None]

    @property
    def of_file(self) -> dict[str, Any]:
        """What the reader of a single file is told."""
        names = ("kind", "endian", "format", "samples", "interval_us", "text_encoding", "revision")
        told = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        told |= {} if self.lengths == "same" else {"lengths": self.lengths}
        return told | ({"lenient": True} if self.lenient else {})


@attrs.frozen(kw_only=True)
class WriteOptions:
    """How to write.

    Attributes
    ----------
    kind
        ``segy`` or ``su``; that of the original file when not given.
    format
        Sample format code. When not given: the original's for samples that no step has changed; else the original's if
        it is 1 or 5, else 5.
    endian
        That of the original when not given, else big.
    revision
        Major revision of the binary header; the original's when not given, else 1. From 2 on, intervals and sample
        counts may exceed the 16-bit words.
    words
        Places of further header words to write; a word of that name is written there and nowhere else.
    header_map
        Where words are written, as in `ReadOptions`; those that it has at their usual places stay where they are.
    text
        Fields of a new text header, see `seisproc_segy.textheader.TextOptions`; the original's is kept when not given.
    text_encoding
        ``ebcdic`` or ``ascii``; that of the original when not given, else EBCDIC.
    binary
        Words of the binary header by name, see `seisproc_segy.binaryheader.WORDS`.
    scaling
        For integer formats: N, to write samples times 2^N, or ``"trace"`` for the greatest N that fits each trace. N is
        added to the trace weighting factor (bytes 169-170).
    renumber
        Count trace sequence numbers (bytes 1-8) anew from 1.
    """

    kind: str | None = None
    format: int | None = None
    endian: str | None = None
    revision: int | None = None
    words: Places = attrs.field(factory=dict)
    header_map: HeaderMap = attrs.field(factory=HeaderMap)
    text: TextOptions | None = None
    text_encoding: str | None = None
    binary: Mapping[str, int] = attrs.field(factory=dict)
    scaling: int | str | None = None
    renumber: bool = False


def _scaling(value: Any) -> int | str:
    if value == PER_TRACE:
        return PER_TRACE
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > LARGEST_EXPONENT:
        raise ValueError(
            f'must be "{PER_TRACE}" or a whole number from -{LARGEST_EXPONENT} to {LARGEST_EXPONENT}, not {value!r}'
        )
    return value


_COMMON: dict[str, Callable[[Any], Any]] = {
    "kind": _one_of("segy", "su"),
    "endian": _one_of("big", "little"),
    "format": _one_of(*SAMPLE_BYTES),
    "words": checked_places,
}
_READ = _COMMON | {
    "samples": _number(1, whole=True),
    "interval_us": _number(1e-6),
    "delay_ms": _number(-(2.0**31)),
    "text_encoding": _one_of("ebcdic", "ascii"),
    "revision": _revision,
    "lengths": _one_of("same", "pad"),
    "delays": _one_of("same", "pad"),
    "header_map": header_map,
    "set": _values,
    "lenient": _flag,
    "nan": _one_of("error", "zero", "kill"),
    "length_unit": _one_of(*LENGTH_FACTOR),
}
_WRITE = _COMMON | {
    "format": _one_of(*(code for code in SAMPLE_BYTES if code != 4)),
    "revision": _one_of(0, 1, 2),
    "header_map": header_map,
    "text": text_options,
    "text_encoding": _one_of("ebcdic", "ascii"),
    "binary": check_words,
    "scaling": _scaling,
    "renumber": _flag,
}

Made = TypeVar("Made")


def _build(cls: type[Made], checks: Mapping[str, Callable[[Any], Any]], given: Mapping[str, Any]) -> Made:
    checked = {}
    for name, value in given.items():
        if name not in checks:
            raise ParameterError("segy", name, f"is unknown; there are {', '.join(sorted(checks))}")
        try:
            checked[name] = checks[name](value)
        except ValueError as error:
            raise ParameterError("segy", name, str(error)) from None
    return cls(**checked)


def read_options(given: Mapping[str, Any]) -> ReadOptions:
    """Options of a source."""
    return _build(ReadOptions, _READ, given)


def write_options(given: Mapping[str, Any]) -> WriteOptions:
    """Options of a sink."""
    return _build(WriteOptions, _WRITE, given)
