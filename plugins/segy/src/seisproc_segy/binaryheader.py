"""Words of the binary header that say what a file holds: by name, and as they follow from how a survey was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seisproc_segy.fileheaders import put

# Name in options -> first byte and layout (SEG-Y revision 1, table 2).
WORDS = {
    "job": (3201, "i"), "line": (3205, "i"), "reel": (3209, "i"), "traces_per_ensemble": (3213, "h"),
    "auxiliary_per_ensemble": (3215, "h"), "fold": (3227, "h"), "sorting": (3229, "h"), "vertical_sum": (3231, "h"),
    "sweep_start_hz": (3233, "h"), "sweep_end_hz": (3235, "h"), "sweep_length_ms": (3237, "h"),
    "sweep_type": (3239, "h"), "correlated": (3249, "h"), "binary_gain": (3251, "h"),
    "amplitude_recovery": (3253, "h"), "polarity": (3257, "h"), "vibrator_polarity": (3259, "h"),
}  # fmt: skip
_STACKED = 4
# What the first word of the order says of the ensembles (bytes 3229-3230).
_SORTING = {
    "field_record": 5, "source_station": 5, "shotpoint": 5, "source_x": 5, "cdp": 2, "receiver_x": 6,
    "receiver_station": 6, "offset": 7,
}  # fmt: skip


def check_words(value: Any) -> dict[str, int]:
    """The option ``binary``: ``{ job = 7, fold = 30 }``; `ValueError` says what is wrong."""
    if not isinstance(value, Mapping):
        raise ValueError("must be a table like { job = 7, line = 12 }")
    for name, number in value.items():
        if name not in WORDS:
            raise ValueError(f"has no word {name!r}; there are {', '.join(WORDS)}")
        limit = 1 << (31 if WORDS[name][1] == "i" else 15)
        if isinstance(number, bool) or not isinstance(number, int) or not -limit <= number < limit:
            raise ValueError(f"has {name} = {number!r}, which is no whole number of {limit.bit_length() // 8 * 8} bits")
    return dict(value)


def put_words(data: bytearray, words: Mapping[str, int], endian: str) -> None:
    """Write words by name."""
    for name, value in words.items():
        byte, layout = WORDS[name]
        put(data, byte, layout, value, endian)


def ensemble_words(history: Sequence[Mapping[str, Any]], largest_gather: int) -> dict[str, int]:
    """Sorting code and fold as far as the steps that made a survey tell them."""
    words = {}
    for step in history:
        if step["use"] == "stack":
            words = {"sorting": _STACKED, "fold": 1, "traces_per_ensemble": 1}
        elif step["use"] == "sort":
            keys = order_of(step)
            if words.get("sorting") != _STACKED and keys:
                words = {"sorting": _SORTING.get(keys[0], -1)}
    if largest_gather and words.get("sorting") != _STACKED:
        words["traces_per_ensemble"] = min(largest_gather, 32767)
        if words.get("sorting") == _SORTING["cdp"]:
            words["fold"] = min(largest_gather, 32767)
    return words


def order_of(step: Mapping[str, Any]) -> list[str]:
    """Header words a sort step orders by, first to last."""
    given = step["parameters"]
    return [str(word).removeprefix("-") for key in ("gather", "sort") for word in given.get(key, [])]


def without_extended_text(data: bytearray, endian: str) -> bytearray:
    """File headers for revision 0, which has neither extended text nor a fixed-length flag."""
    kept = bytearray(data[:3600])
    put(kept, 3505, "h", 0, endian)
    put(kept, 3503, "H", 0, endian)
    return kept
