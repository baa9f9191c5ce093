"""One survey, one sampling: what files and traces must share, and refusals that list the groups that do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seisproc_core.errors import DataError

if TYPE_CHECKING:
    from seisproc_segy.fallback import SegyFile

# Header words of some traces of a file.
Columns = Callable[["SegyFile", int, int], Sequence[np.ndarray]]
# Value -> how many traces have it, and where the first of them is.
Groups = dict[float, tuple[int, str]]
_MOST_GROUPS = 6
_LONGEST = 1 << 28  # samples of a trace: 1 GiB as float32
_TERMS = {
    "interval_us": "sample interval", "samples": "number of samples", "kind": "kind", "endian": "byte order",
    "format": "sample format", "header_bytes": "trace header length",
}  # fmt: skip
_CHUNK = 1 << 18
_SCALARS = (1, 10, 100, 1000, 10000)


def delay_ms(delay: np.ndarray, scalar: np.ndarray) -> np.ndarray:
    """Recording delay in ms by the rule of bytes 215-216: a positive scalar multiplies, a negative one divides.

    Scalars are 1, 10, 100, 1000 or 10000 (SEG-Y revision 1, bytes 215-216). SU and revision 0 have no such word and
    hold anything there, so that any other value counts as one.
    """
    factor = usable_scalar(scalar).astype(np.float64)
    multiplied = np.where(factor > 0, delay * factor, delay.astype(np.float64))
    return np.where(factor < 0, delay / np.where(factor < 0, -factor, 1.0), multiplied)


def usable_scalar(scalar: np.ndarray) -> np.ndarray:
    """Time scalars, with 0, which scales nothing, for those that are none."""
    return np.where(np.isin(np.abs(scalar.astype(np.int64)), _SCALARS), scalar, 0).astype(scalar.dtype)


def odd_scalar(delay: np.ndarray, scalar: np.ndarray) -> list[str]:
    """A remark on a time scalar of the first trace that is none and would have scaled its delay."""
    if not delay[0] or not scalar[0] or abs(int(scalar[0])) in _SCALARS:
        return []
    return [f"{scalar[0]} at bytes 215-216 is no time scalar: the recording delay is taken in ms"]


def check_same(files: Sequence[SegyFile], *, any_length: bool = False) -> None:
    """Refuse empty files, files without a sample interval, and files that differ in what a survey has once."""
    for file in files:
        if file.traces == 0:
            raise DataError(f"{file.path} holds no trace; leave it out")
        if file.samples > _LONGEST:
            raise DataError(
                f"{file.path}: traces of {file.samples} samples, {file.samples >> 28} GiB each, are not read; the "
                "count may be wrong: samples = N reads with another"
            )
        if not file.interval_s > 0:
            raise DataError(f"{file.path}: the sample interval is 0 in all headers; give it with interval_us = ...")
    for what, unit, option in (
        ("interval_us", " us", "interval_us = N reads all with one"),
        ("samples", " samples", 'lengths = "pad" reads all as long as the longest, or import them separately'),
        ("kind", "", "import them separately"),
        ("endian", "-endian", "import them separately"),
        ("format", "", "import them separately"),
        ("header_bytes", " bytes of trace header", "import them separately"),
    ):
        if what == "samples" and any_length:
            continue
        groups: dict[str, list[str]] = {}
        for file in files:
            value = f"{file.interval_s * 1e6:.9g}" if what == "interval_us" else str(getattr(file, what))
            groups.setdefault(value, []).append(Path(file.path).name)
        if len(groups) > 1:
            listed = "; ".join(f"{value}{unit}: {_names(names)}" for value, names in groups.items())
            raise DataError(f"files of one survey must have the same {_TERMS[what]}, found {listed}; {option}")


def _names(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def check_timing(files: Sequence[SegyFile], columns: Columns, *, any_delay: bool, any_interval: bool) -> None:
    """Refuse mixed recording delays and mixed sample intervals in the trace headers, listing the groups.

    Parameters
    ----------
    columns
        The words delay, time scalar and sample interval of some traces of a file.
    any_delay, any_interval
        The caller overrules what the headers say.
    """
    delays: Groups = {}
    intervals: Groups = {}
    for file in files:
        for start in range(0, file.traces, _CHUNK):
            delay, scalar, interval = columns(file, start, min(start + _CHUNK, file.traces))
            _count(delays, delay_ms(delay, scalar), file, start)
            stated = np.flatnonzero(interval)  # 0: not stated
            _count(intervals, interval[stated], file, start, stated)
    if len(delays) > 1 and not any_delay:
        raise DataError(
            f'traces differ in recording delay: {_groups(delays, "ms")}; delays = "pad" puts them on one time axis, '
            "delay_ms = N reads all with one start"
        )
    if len(intervals) > 1 and not any_interval:
        raise DataError(
            f"traces differ in sample interval: {_groups(intervals, 'us')}; interval_us = N reads all with one, or "
            "import them separately and resample"
        )


def _count(groups: Groups, values: np.ndarray, file: SegyFile, start: int, at: np.ndarray | None = None) -> None:
    found, first, counts = np.unique(values, return_index=True, return_counts=True)
    for value, index, count in zip(found.tolist(), first.tolist(), counts.tolist(), strict=True):
        trace = start + (index if at is None else int(at[index])) + 1
        before, where = groups.get(value, (0, f"{Path(file.path).name} trace {trace}"))
        groups[value] = (before + count, where)


def _groups(groups: Groups, unit: str) -> str:
    listed = [f"{count} at {value:g} {unit} (first: {where})" for value, (count, where) in groups.items()]
    more = f" and {len(listed) - _MOST_GROUPS} more groups" if len(listed) > _MOST_GROUPS else ""
    return ", ".join(listed[:_MOST_GROUPS]) + more
