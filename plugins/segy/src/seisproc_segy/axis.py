"""One time axis for traces that start at different times or have different lengths.

Every trace is put where its own samples belong; before and behind them are zeros outside its live window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import attrs
import numpy as np

from seisproc_core.errors import DataError
from seisproc_segy.timing import delay_ms

if TYPE_CHECKING:
    from seisproc_segy.fallback import SegyFile

_CHUNK = 1 << 18
_WHOLE = 1e-3  # samples: how far a start may lie beside a sample of the common axis
_MOST_GROWTH = 16

# Delay and time scalar of some traces of a file.
Delays = Callable[["SegyFile", int, int], Sequence[np.ndarray]]


@attrs.frozen
class Axis:
    """The common axis of a survey.

    Attributes
    ----------
    start_ms, interval_ms, count
        Time of its first sample, and its sampling.
    delays, lengths
        Whether traces start at different times, have different lengths.
    """

    start_ms: float
    interval_ms: float
    count: int
    delays: bool = False
    lengths: bool = False

    @property
    def padded(self) -> bool:
        return self.delays or self.lengths

    def first(self, delays_ms: np.ndarray) -> np.ndarray:
        """First own sample of traces that start at those times, int64."""
        if not self.delays:
            return np.zeros(len(delays_ms), np.int64)
        return np.rint((delays_ms - self.start_ms) / self.interval_ms).astype(np.int64)

    def place(self, traces: np.ndarray, first: np.ndarray, out: np.ndarray, width: int = 1) -> None:
        """Put rows of `traces` into zeroed rows of `out`, each from its own first sample on.

        Parameters
        ----------
        width
            Elements of a row per sample.
        """
        for start in np.unique(first):
            if not 0 <= int(start) * width < out.shape[1]:
                raise DataError("recording delays are not what they were when the files were opened; open them again")
            rows = np.flatnonzero(first == start)
            room = min(traces.shape[1], out.shape[1] - int(start) * width)
            out[rows, int(start) * width : int(start) * width + room] = traces[rows, :room]


def common_axis(files: Sequence[SegyFile], delays: Delays) -> Axis:
    """The axis that holds all traces of some files, by their delays and lengths.

    Raises
    ------
    DataError
        If starts are no whole number of samples apart, or the axis would make the data many times larger.
    """
    interval_ms = files[0].interval_s * 1e3
    start, latest, end, shortest, longest, samples, count = np.inf, -np.inf, -np.inf, np.inf, 0, 0, 0
    for file, starts, lengths in _starts_and_lengths(files, delays):
        beside = (starts - starts[0]) / interval_ms
        odd = np.flatnonzero(np.abs(beside - np.rint(beside)) > _WHOLE)
        if odd.size or (np.isfinite(start) and _beside((starts[0] - start) / interval_ms)):
            other = starts[odd[0]] if odd.size else start
            raise DataError(
                f"{file.path}: traces start at {starts[0]:g} and {other:g} ms, no whole number of samples of "
                f"{interval_ms:g} ms apart; delay_ms = N reads all with one start, or import them separately and shift"
            )
        start, latest = min(start, float(starts.min())), max(latest, float(starts.max()))
        end = max(end, float((starts + lengths * interval_ms).max()))
        shortest, longest = min(shortest, int(lengths.min())), max(longest, int(lengths.max()))
        samples, count = samples + int(lengths.sum()), count + len(lengths)
    width = round((end - start) / interval_ms)
    if width * count > _MOST_GROWTH * samples:
        raise DataError(
            f"traces start between {start:g} and {latest:g} ms with {shortest} to {longest} samples: one axis of "
            f"{width} samples would make the data {width * count / samples:.0f} times larger; import the groups "
            "separately, or delay_ms = N reads all with one start"
        )
    return Axis(start, interval_ms, width, delays=latest > start, lengths=longest > shortest)


def _beside(samples: float) -> bool:
    return abs(samples - round(samples)) > _WHOLE


def _starts_and_lengths(files: Sequence[SegyFile], delays: Delays) -> Iterator[tuple[SegyFile, np.ndarray, np.ndarray]]:
    for file in files:
        for at in range(0, file.traces, _CHUNK):
            stop = min(at + _CHUNK, file.traces)
            yield file, delay_ms(*delays(file, at, stop)), file.lengths(at, stop).astype(np.int64)
